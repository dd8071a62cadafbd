"""A run is a folder: runs/<flow>/<name>/, made once, owned by one process at a time, continued by name.

It reads the same inputs from its first round to its last: their fingerprints are kept in it, and a run whose inputs have
changed is not continued, because finished rounds would then speak of other documents than those to come.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import platform
import re
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, TextIO
from uuid import uuid4

import yaml

from tasks.records import BadInput
from tasks.run.log import logged
from tasks.run.settings import RunSettings, parse, read_yaml
from tasks.storage.tables import read_json, write_json, write_text

PAYER = ".payer"  # in a run's folder, written before anything is extracted for it
_INPUTS = ".inputs.json"
_WORTH_KEEPING = 60.0  # seconds of work
# What a kill leaves of writes that were not done: see tables.atomic_path and atomic_folder.
_LEFT_OVER = re.compile(r"\..+\.\d+\.(tmp|old)")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
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


@contextmanager
def in_one_line() -> Iterator[None]:
    """A path that cannot even be looked at, as bad input."""
    try:
        yield
    except OSError as error:
        if error.filename is None:
            raise
        raise BadInput(f"{error.filename}: {error.strerror}; give a path that can be used") from None
    except RuntimeError as error:
        if "home directory" not in str(error):  # pathlib's only word for it
            raise
        raise BadInput("a path begins with ~ and a name that no user here has; write it in full") from None


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


def named(flow: str, settings: Any, flow_run: Any) -> Any:
    """Settings with a name and, of a flow run that is tried again, with `resume`.

    A scheduled run takes its name from its time and its id, so that a retry of it finds its folder, and two of one second have each
    their own.

    Args:
        flow_run: prefect.runtime.flow_run.
    """
    retried = (flow_run.run_count or 1) > 1
    name = f"{run_name(flow_run.scheduled_start_time)}-{str(flow_run.id)[:4]}"
    settings = settings.model_copy(update={"run": settings.run or name})
    # What failed before its folder was made begins anew.
    began = (run_path(flow, settings) / "settings.yaml").is_file()
    return settings.model_copy(update={"resume": settings.resume or (retried and began)})


def absolute_path(path: str, built_in: str = "") -> str:
    """A path that is there made absolute, so that a run can be continued from another folder; any other text as it is.

    Args:
        built_in: a name that stays, whatever lies in this folder.
    """
    try:
        if path != built_in and (local := Path(path).expanduser()).exists():
            return str(local.resolve())
    except OSError as error:
        # A long list of packages or modules is no path; every check of a path comes to its name again.
        if error.errno != errno.ENAMETOOLONG:
            raise
    return path


def absolute_file(path: str) -> str:
    """The path of a file or folder made absolute, there or not; what begins with a scheme, as s3: or python:, as it is."""
    path = absolute_path(path)
    return path if not path or _SCHEME.match(path) else str(Path(path).expanduser().absolute())


def run_path(flow: str, settings: RunSettings) -> Path:
    return Path(settings.runs_dir).expanduser().resolve() / flow / settings.run


def check_unused(flow: str, settings: RunSettings) -> None:
    """Whether the name of a new run is free.

    Raises:
        BadInput: there is a run of this name.
    """
    path = run_path(flow, settings)
    if path.exists():
        raise BadInput(
            f"--run {settings.run}: this name is used already ({path}); choose another, or continue it with --resume {settings.run}"
        )


def check_runs_dir(flow: str, settings: RunSettings) -> None:
    """Whether the run's folder can be made: found out before a server and workers are started."""
    path = run_path(flow, settings)
    nearest = next(parent for parent in path.parents if parent.exists())
    if not nearest.is_dir() or not os.access(nearest, os.W_OK):
        raise BadInput(f"--runs-dir {settings.runs_dir}: {nearest} is not a folder that can be written to")


def create(flow: str, settings: RunSettings, inputs: Mapping[str, str]) -> Path:
    """Make the run's folder with its settings and the fingerprints of its inputs; it is there with both or not at all.

    Raises:
        BadInput: the name is used already, or the folder cannot be made.
    """
    check_unused(flow, settings)
    path = run_path(flow, settings)
    making = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    heading = "# " + ", ".join(f"{name} {number}" for name, number in versions().items()) + "\n"
    try:
        making.mkdir(parents=True)
        write_json(making / _INPUTS, dict(inputs))
        values = yaml.safe_dump(settings.model_dump(mode="json"), sort_keys=False)
        write_text(making / "settings.yaml", heading + values)
        making.rename(path)
    except OSError as error:
        check_unused(flow, settings)  # another process may have made a run of this name just now
        raise BadInput(
            f"--runs-dir {settings.runs_dir}: cannot make the run's folder: {error.strerror}"
        ) from None
    finally:
        shutil.rmtree(making, ignore_errors=True)
    return path


@in_one_line()
def load_settings(
    model: type[RunSettings],
    flow: str,
    runs_dir: str,
    name: str,
    changes: dict[str, Any],
    absolute: Callable[[Any], Any] = lambda settings: settings,
) -> Any:
    """The saved settings of a run, with the changes that a continued run may have.

    Args:
        absolute: makes the paths in settings absolute; a path that is given again is the same however it is written.

    Raises:
        BadInput: there is no such run, or the changes would alter what it computes.
    """
    path = Path(runs_dir).expanduser().resolve() / flow / name
    if not (path / "settings.yaml").is_file():
        present = sorted(p.parent.name for p in path.parent.glob("[!.]*/settings.yaml"))
        known = f"; runs there: {', '.join(present[-8:])}" if present else ""
        raise BadInput(f"--resume {name}: no such run in {path.parent}{known}")
    saved = read_yaml(path / "settings.yaml")
    begun = parse(model, saved, path / "settings.yaml")
    wanted = parse(model, {**saved, **changes, "run": name, "runs_dir": runs_dir})
    if refused := _other_settings(absolute(begun), absolute(wanted)):
        flags = ", ".join("--" + field.replace("_", "-") for field in refused)
        raise BadInput(
            f"--resume {name}: a continued run keeps its settings; leave out {flags}, or start a new run"
        )
    return begun.model_copy(update={field: getattr(wanted, field) for field in model.place})


def payer_of(run: Path) -> str:
    """Who pays for what this run extracts: an id of its folder, because a name can be used again."""
    path = run / PAYER
    if not path.exists():
        write_text(path, uuid4().hex)
    return path.read_text(encoding="utf-8")


@contextmanager
def open_run(flow: str, settings: RunSettings, inputs: Mapping[str, str]) -> Iterator[Path]:
    """The run's folder, made or (with `resume`) found, and held; the lock goes with the process, however it ends.

    A new run whose input proves bad within a minute, before anything was paid for, leaves no folder: its name is free for the
    next try. What took longer stays, whatever ended it.

    Args:
        inputs: fingerprint of everything that the run reads, by a name to be shown.

    Raises:
        BadInput: the name is used already, there is no such run, another process works on it, or it was begun with
            other settings or inputs.
    """
    path = run_path(flow, settings)
    if not settings.resume:
        create(flow, settings, inputs)
    elif not (path / "settings.yaml").is_file():
        raise BadInput(f"--resume {settings.run}: no such run in {path.parent}")
    else:
        _check_unchanged(path, settings, inputs)
    with _locked(path / ".lock"):
        discard_torn_results(path / ".results")
        discard_left_over(path)
        began = time.monotonic()
        try:
            with logged(path):
                yield path
        except BadInput:
            worth_keeping = (path / PAYER).exists() or time.monotonic() - began > _WORTH_KEEPING
            if not settings.resume and not worth_keeping:
                _remove(path)
            raise


def _locked(file: Path) -> TextIO:
    """The open lock file; its lock goes when it is closed."""
    run = file.parent
    try:
        lock = file.open("w", encoding="utf-8")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.close()
            raise
    except BlockingIOError:
        raise BadInput(f"run {run.name} is being worked on by another process") from None
    except OSError as error:
        raise BadInput(f"run {run.name}: cannot lock its folder {run}: {error.strerror}") from None
    return lock


def _remove(path: Path) -> None:
    """Remove a run; renamed first, so that it is there whole or not at all, as `discard_left_over` knows it."""
    removing = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    path.rename(removing)
    shutil.rmtree(removing, ignore_errors=True)


def _check_unchanged(path: Path, settings: RunSettings, inputs: Mapping[str, str]) -> None:
    saved = parse(type(settings), read_yaml(path / "settings.yaml"), path / "settings.yaml")
    if other := _other_settings(saved, settings):
        raise BadInput(f"run {path.name} was begun with other settings ({', '.join(other)}); start a new run")
    file = path / _INPUTS
    before = read_json(file) if file.exists() else {}
    names = dict.fromkeys([*inputs, *before])
    if changed := [name for name in names if before.get(name) != inputs.get(name)]:
        raise BadInput(
            f"inputs changed since run {path.name} began: {', '.join(changed)}; start a new run, or put them back"
        )


def _other_settings(saved: RunSettings, settings: RunSettings) -> list[str]:
    """Names of the fields that alter what is computed and are not the same in both."""
    return [
        field
        for field in type(settings).model_fields
        if field not in settings.place and getattr(saved, field) != getattr(settings, field)
    ]


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


def discard_left_over(path: Path) -> None:
    """Remove what a kill left of files and folders that were being written in a run, or as the run itself.

    A folder that was moved aside for one that did not take its place goes back.
    """
    beside = (
        p for p in path.parent.iterdir() if re.fullmatch(rf"\.{re.escape(path.name)}\.\d+\.tmp", p.name)
    )
    for left in [*beside, *(p for p in path.rglob(".*") if _LEFT_OVER.fullmatch(p.name))]:
        kept = left.with_name(left.name[1:].rsplit(".", 2)[0])
        if left.suffix == ".old" and not kept.exists():
            left.rename(kept)
        elif left.is_dir():
            shutil.rmtree(left, ignore_errors=True)
        else:
            left.unlink(missing_ok=True)
