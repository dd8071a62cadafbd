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
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import Any

from tasks.crowd.aggregate.settings import AggregateSettings
from tasks.crowd.annotate.settings import AnnotateSettings
from tasks.crowd.cluster.settings import ClusterSettings
from tasks.crowd.discover.settings import DiscoverSettings
from tasks.crowd.latency.settings import LatencySettings
from tasks.crowd.learn.settings import ClassifySettings, LearnSettings
from tasks.crowd.patterns.settings import PatternsSettings
from tasks.lead.settings import LeadSettings
from tasks.loop.settings import EqualSettings
from tasks.quad.settings import QuadSettings
from tasks.records import BadInput, Stopped
from tasks.resolve.settings import BatcherSettings
from tasks.run.command import Parser, add_flags, settings_from
from tasks.run.folder import load_settings, run_name, run_path
from tasks.run.interrupts import Terminated, ends_on_sigterm
from tasks.run.services import is_lost
from tasks.run.settings import RunSettings
from tasks.run.terminal import one_line
from tasks.storage.disk import is_full
from tasks.wrong_event.settings import WrongEventSettings

_FIELDS_WITH_OWN_FLAGS = {"resume"}
_LONGEST_SETTINGS = (
    450_000  # bytes as JSON; Prefect's server refuses the parameters of a flow run from 524,288 on
)


@dataclass(frozen=True, slots=True)
class Command:
    """A flow as a subcommand.

    Args:
        name: of the flow; flows.NAME holds it, with `shown`, which makes rows for the terminal of its summary.
        operation: of a flow that has several; flows.NAME.OPERATION holds it.
        settings: its settings model.
        help: a line in the list of flows.
        check: module with its absolute(settings) and check_inputs(settings).
        early: modules that its first stages import, taken in while Prefect's server starts and a core is idle.
    """

    name: str
    settings: type[RunSettings]
    help: str
    check: str
    early: tuple[str, ...]
    operation: str = ""

    @property
    def module(self) -> str:
        return f"flows.{self.name}.{self.operation}" if self.operation else f"flows.{self.name}"

    @property
    def folder(self) -> str:
        """Of its runs, inside the folder of all runs."""
        return f"{self.name}-{self.operation}" if self.operation else self.name

    @property
    def function(self) -> str:
        return self.operation or self.name


_READS_A_CORPUS = ("distributed", "sklearn.decomposition", "faiss", "great_expectations")
COMMANDS = (
    Command(
        "equal",
        EqualSettings,
        "select clusters, extract question-answer pairs, train, repeat (the main job)",
        check="tasks.loop.check",
        early=_READS_A_CORPUS,
    ),
    Command(
        "batcher",
        BatcherSettings,
        "find the records of two tables, or of one, that mean the same",
        check="tasks.resolve.check",
        early=("great_expectations", "sklearn.ensemble", "sklearn.cluster", "rapidfuzz"),
    ),
    Command(
        "quad",
        QuadSettings,
        "choose pre-training documents by their influence on a reference, cluster by cluster",
        check="tasks.quad.check",
        early=_READS_A_CORPUS,
    ),
    Command(
        "lead",
        LeadSettings,
        "choose instruction data while training on it: the examples that the model is least sure of",
        check="tasks.lead.check",
        early=("sklearn.decomposition", "sklearn.cluster", "faiss", "great_expectations", "transformers"),
    ),
    Command(
        "wrong_event",
        WrongEventSettings,
        "train on labels that are partly wrong, and find the wrong ones",
        check="tasks.wrong_event.check",
        early=("torch", "great_expectations", "scipy.special"),
    ),
    Command(
        "crowd",
        AggregateSettings,
        "one label for each task out of several answers, and who is reliable",
        check="tasks.crowd.aggregate.check",
        early=("great_expectations", "scipy.stats", "sklearn.metrics"),
        operation="aggregate",
    ),
    Command(
        "crowd",
        ClassifySettings,
        "a label for each item by several answers and by what it is",
        check="tasks.crowd.learn.check",
        early=("torch", "great_expectations", "scipy.optimize", "sklearn.decomposition"),
        operation="classify",
    ),
    Command(
        "crowd",
        LearnSettings,
        "a model for items that nobody labelled, from answers that differ",
        check="tasks.crowd.learn.check",
        early=("torch", "great_expectations", "scipy.optimize", "sklearn.decomposition"),
        operation="learn",
    ),
    Command(
        "crowd",
        AnnotateSettings,
        "have items labelled by people, files of answers or language models, until each label is sure",
        check="tasks.crowd.annotate.check",
        early=("great_expectations", "scipy.stats", "uvicorn", "starlette.applications"),
        operation="annotate",
    ),
    Command(
        "crowd",
        ClusterSettings,
        "the records that mean the same, by asking about few pairs",
        check="tasks.crowd.cluster.check",
        early=("great_expectations", "scipy.sparse", "sklearn.isotonic"),
        operation="cluster",
    ),
    Command(
        "crowd",
        PatternsSettings,
        "association rules of what people do, a, b -> c, by asking the questions that decide most",
        check="tasks.crowd.patterns.check",
        early=("great_expectations", "scipy.special"),
        operation="patterns",
    ),
    Command(
        "crowd",
        DiscoverSettings,
        "things of a kind as people name them, and how many nobody has named yet",
        check="tasks.crowd.discover.check",
        early=("great_expectations", "scipy.sparse", "rapidfuzz"),
        operation="discover",
    ),
    Command(
        "crowd",
        LatencySettings,
        "when a crowd will be done, what it costs, and how many workers to keep waiting",
        check="tasks.crowd.latency.check",
        early=("scipy.optimize", "scipy.special", "pandas"),
        operation="latency",
    ),
)
_OF_SEVERAL = {"crowd": "answers of people and of models who err: labels, patterns, entities, clusters"}


def main(argv: Sequence[str] | None = None) -> int:
    """Run a flow from the command line. Returns the exit code."""
    try:
        with ends_on_sigterm():
            arguments = _parser().parse_args(argv)
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
            said = _OF_SEVERAL[command.name]
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
            "--config", metavar="FILE", help="YAML file of field names and values; flags win over it"
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
