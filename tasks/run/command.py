"""From a settings model to a command: every field is a flag, every group of fields a group of flags.

pydantic-settings has a command line of its own; it splits lists at commas (`python:sympy,scipy` is one source) and does
not take `--corpus A B`, so the flags are made here, with argparse.
"""

from __future__ import annotations

import argparse
import re
import types
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Literal, Union, get_args, get_origin

from tasks.records import BadInput
from tasks.run.settings import RunSettings, parse, read_yaml


def add_flags(
    parser: argparse.ArgumentParser, model: type[RunSettings], leave_out: Collection[str] = ()
) -> None:
    """A flag for every field of the model but those left out; only flags that are given end up in the namespace."""
    groups: dict[str, Any] = {}
    for name, field in model.model_fields.items():
        if name in leave_out:
            continue
        extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
        title = str(extra.get("group", "Other"))
        if title not in groups:
            groups[title] = parser.add_argument_group(title)
        default = field.get_default(call_default_factory=True) if not field.is_required() else None
        shown = "" if default in (None, "", []) else f" [{_text(default)}]"
        options: dict[str, Any] = {
            "dest": name,
            "default": argparse.SUPPRESS,
            "help": " ".join((field.description or "").split()).replace("%", "%%") + shown,
        }
        kind = _kind(field.annotation)
        if kind is bool:
            options["action"] = argparse.BooleanOptionalAction
        elif get_origin(kind) is list:
            options.update(action="extend", nargs="*", metavar=_metavar(name, get_args(kind)[0]))
        else:
            options["metavar"] = _metavar(name, kind)
        groups[title].add_argument("--" + name.replace("_", "-"), **options)


def settings_from(model: type[RunSettings], given: dict[str, Any], config: str | None) -> Any:
    """Settings of flags over those of a YAML file over the defaults.

    Raises:
        BadInput: one line that names the wrong fields.
    """
    read = read_yaml(config) if config else {}
    values = {name.replace("-", "_"): value for name, value in read.items()}
    return parse(model, {**values, **given}, config or "")


@contextmanager
def named_in(config: str | None, given: Mapping[str, Any]) -> Iterator[None]:
    """Bad input that a file of settings gave says so: the flags that a message names stand in no command.

    Args:
        given: flags, by the names of their fields; they win over the file.
    """
    try:
        yield
    except BadInput as error:
        flags = re.findall(r"--([a-z][a-z-]*)", str(error))
        if not config or "config" in flags:  # which it is when the file cannot be read
            raise
        fields = {flag.replace("-", "_") for flag in flags} - given.keys()
        own = [name for name in read_yaml(config) if name.replace("-", "_") in fields]
        if not own:
            raise
        raise BadInput(f"{error} ({', '.join(own)} in {config})") from None


class Parser(argparse.ArgumentParser):
    """argparse, but a wrong flag is one line like every other bad input."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """What is not known is said here and now: the parser of all flows, which is told of it, has other flags."""
        found, unknown = super().parse_known_args(args, namespace)
        if unknown:
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        return found, unknown

    def error(self, message: str) -> Any:
        raise BadInput(f"{message} (see {self.prog} --help)")


def _kind(annotation: Any) -> Any:
    """The type inside Optional[...]."""
    if get_origin(annotation) in (Union, types.UnionType):
        return next(part for part in get_args(annotation) if part is not type(None))
    return annotation


def _metavar(name: str, kind: Any) -> str:
    if get_origin(kind) is Literal:
        return "{" + ",".join(get_args(kind)) + "}"
    return {int: "N", float: "X"}.get(kind, name.rsplit("_", 1)[-1].upper())


def _text(default: Any) -> str:
    return (
        " ".join(map(str, default))
        if isinstance(default, Sequence) and not isinstance(default, str)
        else str(default)
    )
