"""A run is a folder: runs/<flow>/<name>/, made once, owned by one process at a time, continued by name."""

from __future__ import annotations

import fcntl
import hashlib
import json
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import yaml

from tasks.records import BadInput
from tasks.run.log import logged
from tasks.run.settings import PLACE, RunSettings, parse, read_yaml
from tasks.run.tables import write_text

_RECORDED = (
    "sluice",
    "prefect",
    "dask",
    "torch",
    "transformers",
    "scikit-learn",
    "faiss-cpu",
    "pot",
    "numpy",
    "pyarrow",
)


def versions() -> dict[str, str]:
    """Versions of what a result depends on."""
    found = {"python": platform.python_version()}
    for package in _RECORDED:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "absent"
    return found


def run_name(at: datetime | None = None) -> str:
    """A name from the date and time, to the second."""
    return (at or datetime.now()).strftime("%Y%m%d-%H%M%S")


def run_path(flow: str, settings: RunSettings) -> Path:
    return Path(settings.runs_dir).expanduser().resolve() / flow / settings.run


def create(flow: str, settings: RunSettings) -> Path:
    """Make the run's folder and save its settings in it.

    Raises:
        BadInput: the name is used already, or the folder cannot be made.
    """
    path = run_path(flow, settings)
    try:
        path.mkdir(parents=True)
    except FileExistsError:
        raise BadInput(
            f"--run {settings.run}: this name is used already ({path}); choose another, or continue it with --resume {settings.run}"
        ) from None
    except OSError as error:
        raise BadInput(
            f"--runs-dir {settings.runs_dir}: cannot make the run's folder: {error.strerror}"
        ) from None
    heading = "# " + ", ".join(f"{name} {number}" for name, number in versions().items()) + "\n"
    write_text(
        path / "settings.yaml", heading + yaml.safe_dump(settings.model_dump(mode="json"), sort_keys=False)
    )
    return path


def load_settings(
    model: type[RunSettings], flow: str, runs_dir: str, name: str, changes: dict[str, Any]
) -> Any:
    """The saved settings of a run, with the changes that a continued run may have.

    Raises:
        BadInput: there is no such run, or the changes would alter what it computes.
    """
    path = Path(runs_dir).expanduser().resolve() / flow / name
    if not (path / "settings.yaml").is_file():
        present = sorted(p.parent.name for p in path.parent.glob("*/settings.yaml"))
        known = f"; runs there: {', '.join(present[-8:])}" if present else ""
        raise BadInput(f"--resume {name}: no such run in {path.parent}{known}")
    saved = read_yaml(path / "settings.yaml")
    refused = sorted(
        field for field, value in changes.items() if field not in PLACE and saved.get(field) != value
    )
    if refused:
        flags = ", ".join("--" + field.replace("_", "-") for field in refused)
        raise BadInput(
            f"--resume {name}: a continued run keeps its settings; leave out {flags}, or start a new run"
        )
    kept = {field: value for field, value in changes.items() if field in PLACE}
    return parse(model, {**saved, **kept, "run": name, "runs_dir": runs_dir})


@contextmanager
def open_run(flow: str, settings: RunSettings) -> Iterator[Path]:
    """The run's folder, made or (with `resume`) found, and held; the lock goes with the process, however it ends.

    Raises:
        BadInput: the name is used already, there is no such run, or another process works on it.
    """
    path = run_path(flow, settings)
    if not settings.resume:
        create(flow, settings)
    elif not (path / "settings.yaml").is_file():
        raise BadInput(f"--resume {settings.run}: no such run in {path.parent}")
    with (path / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise BadInput(f"run {path.name} is being worked on by another process") from None
        discard_torn_results(path / ".results")
        with logged(path):
            yield path


def digest(path: Path) -> str:
    """Hash of a file's content, or of the names and contents below a folder."""
    hasher = hashlib.sha256()
    files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    for file in files:
        hasher.update(str(file.relative_to(path)).encode() if path.is_dir() else b"")
        with file.open("rb") as stream:
            while chunk := stream.read(1 << 20):
                hasher.update(chunk)
    return hasher.hexdigest()[:32]


def discard_torn_results(path: Path) -> None:
    """Remove stage results that a kill left half-written: Prefect writes them in place."""
    for file in path.glob("*"):
        if file.is_file():
            try:
                json.loads(file.read_bytes())
            except ValueError:
                file.unlink()
