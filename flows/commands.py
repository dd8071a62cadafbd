"""The flows as subcommands of `sluice`."""

from __future__ import annotations

from dataclasses import dataclass

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
from tasks.resolve.settings import BatcherSettings
from tasks.run.settings import RunSettings
from tasks.wrong_event.settings import WrongEventSettings


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
OF_SEVERAL = {"crowd": "answers of people and of models who err: labels, patterns, entities, clusters"}
