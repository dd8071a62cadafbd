"""The `sluice` command: one subcommand per flow.

Exit codes: 0 done, 1 a fault, 2 bad input or a full disk, 3 stopped and resumable, 130 interrupted (Ctrl-C), 143
terminated (SIGTERM).
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from importlib import import_module
from typing import Any

from flows.commands import COMMANDS, OF_SEVERAL, Command
from tasks.records import BadInput, Stopped
from tasks.run.command import Parser, add_flags, named_in, settings_from
from tasks.run.folder import load_settings, run_name, run_path
from tasks.run.interrupts import Terminated, ends_on_sigterm
from tasks.run.services import is_lost
from tasks.run.settings import RunSettings
from tasks.run.terminal import one_line
from tasks.storage.disk import is_full

_FIELDS_WITH_OWN_FLAGS = {"resume"}
_LONGEST_SETTINGS = (
    450_000  # bytes as JSON; Prefect's server refuses the parameters of a flow run from 524,288 on
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a flow from the command line. Returns the exit code."""
    try:
        with ends_on_sigterm():
            arguments = _parser().parse_args(argv)
            with named_in("" if arguments.resume else arguments.config, vars(arguments)):
                return _run(arguments.command, arguments)
    except BadInput as error:
        return _say(str(error), 2)
    except KeyboardInterrupt as error:
        return _say(*_interrupted(error))


def _parser() -> argparse.ArgumentParser:
    parser = Parser(prog="sluice", description="Finds the training data worth paying for.")
    flows = parser.add_subparsers(title="flows", metavar="FLOW", required=True, parser_class=Parser)
    groups: dict[str, Any] = {}
    for command in COMMANDS:
        if command.operation and command.name not in groups:
            said = OF_SEVERAL[command.name]
            several = flows.add_parser(command.name, help=said, description=f"{said[:1].upper()}{said[1:]}.")
            groups[command.name] = several.add_subparsers(
                title="operations", metavar="OPERATION", required=True, parser_class=Parser
            )
        own = groups.get(command.name, flows).add_parser(
            command.function.replace("_", "-"),
            help=command.help,
            description=command.settings.__doc__,
            epilog="Exit codes: 0 done, 1 a fault (its traceback is in the run's log), 2 bad input or a full disk, 3 a "
            "budget, a check or a service stopped it, 130 Ctrl-C, 143 SIGTERM. A run that had begun continues with --resume NAME.",
        )
        own.add_argument(
            "--config",
            metavar="FILE",
            help="YAML file of field names and values; flags win over it. Paths in it are relative to the folder in which "
            "the command is given, as those of flags are",
        )
        own.add_argument(
            "--resume", metavar="NAME", help="continue the run of this name; nothing is paid twice"
        )
        own.add_argument("--verbose", action="store_true", help="show the flow's log on the terminal too")
        add_flags(own, command.settings, leave_out=_FIELDS_WITH_OWN_FLAGS)
        own.set_defaults(command=command)
    return parser


def _run(command: Command, arguments: argparse.Namespace) -> int:
    check = import_module(command.check)
    model = command.settings
    given = {name: value for name, value in vars(arguments).items() if name in model.model_fields}
    given.pop("resume", None)
    if arguments.resume:
        if arguments.config:
            raise BadInput("--resume takes its settings from the run; leave out --config")
        runs_dir = given.pop("runs_dir", model.model_fields["runs_dir"].default)
        settings = load_settings(model, command.folder, runs_dir, arguments.resume, given, check.absolute)
    else:
        settings = settings_from(model, given, arguments.config)
        settings = check.absolute(settings.model_copy(update={"run": settings.run or run_name()}))
    settings = settings.model_copy(update={"resume": bool(arguments.resume)})
    values = settings.model_dump(mode="json")
    if (size := len(json.dumps(values))) > _LONGEST_SETTINGS:
        longest = max(values, key=lambda name: len(json.dumps(values[name])))
        raise BadInput(
            f"{size:,} bytes of settings are more than Prefect takes: --{longest.replace('_', '-')} names "
            f"{len(values[longest]):,} sources; give the folders they are in"
        )
    try:
        check.check_inputs(settings)
        _prefect_environment(arguments.verbose)
        _start(command, settings)
    except BadInput:
        raise
    except (Exception, KeyboardInterrupt) as error:
        return _stopped(error, command, settings)
    return 0


def _start(command: Command, settings: RunSettings) -> None:
    from tasks.run import terminal

    with (
        terminal.make_display(sys.stdout, settings.run, settings.title) as display,
        terminal.shown_on(display),
    ):
        display.stage("start Prefect")
        flow = import_module(command.module)
        from tasks.run.server import own_server

        with own_server(meanwhile=partial(_import_early, command.early)):
            summary: dict[str, Any] = getattr(flow, command.function)(settings)
        if getattr(settings, "dry_run", False):
            display.note(f"nothing is paid for; start it with --resume {settings.run}")
            return
        display.finish(flow.shown(summary), report=str(run_path(command.folder, settings) / "report.html"))


def _import_early(modules: Sequence[str]) -> None:
    for name in modules:
        with suppress(ImportError):  # the stage that needs it will say so
            import_module(name)


def _stopped(error: BaseException, command: Command, settings: RunSettings) -> int:
    """Say what ended a run, and how to continue it if it had begun. Returns the exit code."""
    begun = (run_path(command.folder, settings) / "settings.yaml").is_file()
    again = f"continue with --resume {settings.run}" if begun else "start it again"
    if isinstance(error, KeyboardInterrupt):
        what, code = _interrupted(error)
        return _say(f"{what}; nothing that was read is lost, {again}" if begun else what, code)
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


def _interrupted(error: KeyboardInterrupt) -> tuple[str, int]:
    """What a signal did to a run, and the exit code that shells give it."""
    return ("terminated", 143) if isinstance(error, Terminated) else ("interrupted", 130)


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
