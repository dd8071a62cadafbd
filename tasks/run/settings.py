"""What every flow's settings share: where a run lives, its seed, and how fields become flags and files."""

from __future__ import annotations

import re
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, ClassVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from tasks.records import BadInput

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def group(name: str) -> dict[str, str]:
    """Marks a field as belonging to a group of flags: `Field(..., json_schema_extra=group("Corpus"))`."""
    return {"group": name}


class RunSettings(BaseModel):
    """The fields every flow has. A flow's settings model inherits from it and is the flow's only parameter."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False)

    # Fields that say where the work is done, never what is computed: a continued run may change them.
    place: ClassVar[frozenset[str]] = frozenset({"run", "runs_dir", "resume"})

    run: Annotated[str, Field(json_schema_extra=group("Run"))] = ""
    """Name of the run and of its folder; made from the date and time when empty."""

    resume: Annotated[bool, Field(exclude=True, json_schema_extra=group("Run"))] = False
    """Continue the run of this name where it stopped, instead of starting it."""

    runs_dir: Annotated[str, Field(json_schema_extra=group("Run"))] = "runs"
    """Folder that holds runs."""

    seed: Annotated[int, Field(ge=0, lt=2**32, json_schema_extra=group("Run"))] = 0
    """Seed of everything random; the same settings and seed give the same tables."""

    @property
    def title(self) -> str:
        """What sets this run apart, for the head of a display."""
        return ""

    @field_validator("run")
    @classmethod
    def _a_folder_name(cls, name: str) -> str:
        if name and not _NAME.fullmatch(name):
            raise ValueError(
                "use letters, digits, dots, dashes and underscores, starting with a letter or digit"
            )
        return name


class ParallelSettings(RunSettings):
    """The fields of a flow whose stages run on Dask workers."""

    place: ClassVar[frozenset[str]] = RunSettings.place | {"workers", "scheduler"}

    workers: Annotated[int, Field(ge=1, le=256, json_schema_extra=group("Run"))] = 2
    """Dask worker processes on this machine, one thread each."""

    scheduler: Annotated[str, Field(json_schema_extra=group("Run"))] = ""
    """Address of a Dask scheduler to use instead of workers on this machine, as tcp://host:8786."""


def parse(model: type[RunSettings], values: dict[str, Any], file: str | Path = "") -> Any:
    """Settings from plain values.

    Args:
        file: that the values are from, for messages.

    Raises:
        BadInput: one line that names every wrong field, as its flag.
    """
    try:
        return model.model_validate(values)
    except ValidationError as error:
        problems = []
        for problem in error.errors():
            name = ".".join(str(part) for part in problem["loc"]) or "settings"
            message = problem["msg"].removeprefix("Value error, ")
            if problem["type"] == "extra_forbidden":
                meant = get_close_matches(name, model.model_fields, 1)
                problems.append(
                    f"unknown setting {name}"
                    + (f" in {file}" if file else "")
                    + (f"; did you mean {meant[0]}?" if meant else "")
                )
                continue
            if problem["type"] == "finite_number" and "nan" in str(problem["input"]).lower():
                message = "not a number"
            flag = "--" + name.split(".")[0].replace("_", "-") if problem["loc"] else name
            given = (
                ""
                if problem["type"] == "missing" or not problem["loc"]
                else f" (given: {problem['input']!r})"
            )
            problems.append(f"{flag}: {message[:1].lower()}{message[1:]}{given}")
        raise BadInput("; ".join(problems)) from None


def read_yaml(path: str | Path, flag: str = "--config") -> dict[str, Any]:
    """A mapping from a YAML file.

    Args:
        flag: that names it, for messages.

    Raises:
        BadInput: the file is missing or is not a mapping.
    """
    try:
        values = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise BadInput(f"{flag} {path}: {error.strerror or error}") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # as of a date that is none, of [[[[...
        raise BadInput(f"{flag} {path}: not YAML: {' '.join(str(error).split())}") from None
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise BadInput(f"{flag} {path}: expected lines of the form 'name: value'")
    return {str(name): value for name, value in values.items()}
