"""The `sluice` command: one subcommand per flow.

Exit codes: 0 done, 1 a fault, 2 bad input or a full disk, 3 stopped and resumable, 130 interrupted.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from typing import Any

from tasks.loop.settings import EqualSettings
from tasks.records import BadInput, Stopped
from tasks.run.command import Parser, add_flags, settings_from
from tasks.run.disk import is_full
from tasks.run.folder import load_settings, run_name, run_path
from tasks.run.services import is_lost
from tasks.run.terminal import one_line

_FIELDS_WITH_OWN_FLAGS = {"resume"}
_LONGEST_SETTINGS = (
    450_000  # bytes as JSON; Prefect's server refuses the parameters of a flow run from 524,288 on
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a flow from the command line. Returns the exit code."""
    try:
        arguments = _parser().parse_args(argv)
        return int(arguments.start(arguments))
    except BadInput as error:
        return _say(str(error), 2)
    except KeyboardInterrupt:
        return _say("interrupted", 130)


def _parser() -> argparse.ArgumentParser:
    parser = Parser(prog="sluice", description="Finds the training data worth paying for.")
    commands = parser.add_subparsers(title="flows", metavar="FLOW", required=True, parser_class=Parser)
    equal = commands.add_parser(
        "equal",
        help="select clusters, extract question-answer pairs, train, repeat (the main job)",
        description=EqualSettings.__doc__,
        epilog="Exit codes: 0 done, 1 a fault (its traceback is in the run's log), 2 bad input or a full disk, 3 a budget, "
        "a check or a service stopped it, 130 Ctrl-C. A run that had begun continues with --resume NAME.",
    )
    equal.add_argument(
        "--config", metavar="FILE", help="YAML file of field names and values; flags win over it"
    )
    equal.add_argument(
        "--resume", metavar="NAME", help="continue the run of this name; nothing is paid twice"
    )
    equal.add_argument("--verbose", action="store_true", help="show the flow's log on the terminal too")
    add_flags(equal, EqualSettings, leave_out=_FIELDS_WITH_OWN_FLAGS)
    equal.set_defaults(start=_equal)
    return parser


def _equal(arguments: argparse.Namespace) -> int:
    from tasks.loop.check import absolute, check_inputs

    given = {name: value for name, value in vars(arguments).items() if name in EqualSettings.model_fields}
    given.pop("resume", None)
    if arguments.resume:
        if arguments.config:
            raise BadInput("--resume takes its settings from the run; leave out --config")
        runs_dir = given.pop("runs_dir", EqualSettings.model_fields["runs_dir"].default)
        settings = load_settings(EqualSettings, "equal", runs_dir, arguments.resume, given, absolute)
    else:
        settings = settings_from(EqualSettings, given, arguments.config)
        settings = absolute(settings.model_copy(update={"run": settings.run or run_name()}))
    settings = settings.model_copy(update={"resume": bool(arguments.resume)})
    if (size := len(json.dumps(settings.model_dump(mode="json")))) > _LONGEST_SETTINGS:
        raise BadInput(
            f"{size:,} bytes of settings are more than Prefect takes: --corpus names {len(settings.corpus):,} sources; "
            "give the folders they are in"
        )
    try:
        check_inputs(settings)
        _prefect_environment(arguments.verbose)
        _start(settings)
    except BadInput:
        raise
    except (Exception, KeyboardInterrupt) as error:
        return _stopped(error, settings)
    return 0


def _start(settings: EqualSettings) -> None:
    from tasks.run import terminal

    with (
        terminal.make_display(sys.stdout, settings.run, settings.strategy) as display,
        terminal.shown_on(display),
    ):
        display.stage("start Prefect")
        from flows.equal import equal
        from tasks.run.server import own_server

        with own_server(meanwhile=_import_early):
            summary: dict[str, Any] = equal(settings)
        if settings.dry_run:
            display.note(f"nothing is paid for; start it with --resume {settings.run}")
            return
        display.finish(summary, report=str(run_path("equal", settings) / "report.html"))


def _import_early() -> None:
    """What the first stages will import, while the server starts and a core is idle."""
    for name in ("distributed", "sklearn.decomposition", "faiss", "great_expectations"):
        with suppress(ImportError):  # the stage that needs it will say so
            import_module(name)


def _stopped(error: BaseException, settings: EqualSettings) -> int:
    """Say what ended a run, and how to continue it if it had begun. Returns the exit code."""
    begun = (run_path("equal", settings) / "settings.yaml").is_file()
    again = f"continue with --resume {settings.run}" if begun else "start it again"
    if isinstance(error, KeyboardInterrupt):
        return _say(f"interrupted; nothing that was read is lost, {again}" if begun else "interrupted", 130)
    if isinstance(error, Stopped):
        return _say(str(error), 2 if is_full(error) else 3)
    if is_full(error):
        return _say(f"the disk is full ({_first_line(error)}); free some space, then {again}", 2)
    if is_lost(error):
        return _say(f"a service went away ({type(error).__name__}: {_first_line(error)}); {again}", 3)
    notes = _notes(error)
    if not notes:
        raise error
    return _say(f"{type(error).__name__}: {_first_line(error)}; {notes[-1]}", 1)


def _prefect_environment(verbose: bool) -> None:
    """What Prefect reads from the environment when it is imported; what the user has set stays."""
    os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
    os.environ.setdefault("DO_NOT_TRACK", "1")
    os.environ.setdefault("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "120")
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
    if not verbose:
        os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "CRITICAL")
        os.environ.setdefault("PREFECT_LOGGING_INTERNAL_LEVEL", "CRITICAL")


def _notes(error: BaseException | None) -> list[str]:
    """Notes of an error, or of what it was raised from or while handling."""
    while error is not None:
        if notes := getattr(error, "__notes__", None):
            return list(notes)
        error = error.__cause__ or error.__context__
    return []


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).strip().splitlines()), "without a message")


def _say(message: str, code: int) -> int:
    print(f"sluice: {one_line(message)}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
