"""Settings of an annotation campaign: the form in the UI, the flags of `sluice crowd annotate`, and the run's settings.yaml."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from tasks.llm.settings import ModelSettings
from tasks.run.settings import group

_ITEMS = group("Items")
_ANNOTATORS = group("Annotators")
_ASSIGN = group("Who gets what, and when to stop")
_GOLDEN = group("Golden tasks")
_PAGE = group("Page")

Annotators = Literal["people", "file", "llm", "replay"]
Strategy = Literal["qasca", "entropy", "fewest", "random"]
Method = Literal["mv", "zc", "ds", "lfc", "ibcc", "cvb", "glad", "pm", "catd", "mace"]


class AnnotateSettings(ModelSettings):
    """Have items labelled by people on a page of this machine, from files, by language models or from a recording: whoever comes
    is given what helps most, an item is done when its label is sure, and what was said is weighed by who said it."""

    place: ClassVar[frozenset[str]] = ModelSettings.place | {
        "answers",
        "budget",
        "port",
        "queue",
        "lease_minutes",
    }

    # --- items
    items: Annotated[str, Field(min_length=1, json_schema_extra=_ITEMS)]
    """What is to be labelled: CSV, JSON lines or Parquet, with an id and a text or several."""

    id_column: Annotated[str, Field(min_length=1, json_schema_extra=_ITEMS)] = "id"
    """Column of the items' ids."""

    text: Annotated[list[str], Field(json_schema_extra=_ITEMS)] = []
    """Columns to show; by default all but the id. Leave out what gives the label away."""

    labels: Annotated[list[str], Field(min_length=2, max_length=100, json_schema_extra=_ITEMS)]
    """The labels to choose from, in the order of their keys."""

    question: Annotated[str, Field(min_length=1, json_schema_extra=_ITEMS)] = "Which label fits?"
    """What annotators are asked about each item."""

    truth: Annotated[str, Field(json_schema_extra=_ITEMS)] = ""
    """Right labels (task, truth) of some items. They judge the result, and steer nothing."""

    # --- annotators
    annotators: Annotated[Annotators, Field(json_schema_extra=_ANNOTATORS)] = "people"
    """Who answers: people on a page of this machine; people elsewhere, whose answers come in files (wanted.csv says which are
    wanted); language models; or a recording of answers that were given before."""

    answers: Annotated[list[str], Field(json_schema_extra=_ANNOTATORS)] = []
    """Answers (task, worker, label): the recording of 'replay'; with 'file' read again each time the run goes on."""

    earlier: Annotated[list[str], Field(json_schema_extra=_ANNOTATORS)] = []
    """Answers of the same annotators to other items with the same labels (task, worker, label), as answers.csv of an earlier campaign:
    they show from the start whom to believe, and label nothing."""

    answer_price: Annotated[float, Field(ge=0, json_schema_extra=_ANNOTATORS)] = 0.0
    """What an answer of a person costs, US dollars; counts in --max-cost."""

    judges: Annotated[list[str], Field(json_schema_extra=_ANNOTATORS)] = []
    """llm: models that judge, by their names at the server; by default --model alone."""

    instructions: Annotated[list[str], Field(json_schema_extra=_ANNOTATORS)] = []
    """llm: each makes a judge of its own of every model, as "Be strict: in doubt the label is no"."""

    judge_seeds: Annotated[int, Field(ge=1, le=100, json_schema_extra=_ANNOTATORS)] = 1
    """llm: judges of every model and instruction that differ in nothing but the seed; needs a temperature."""

    batch_size: Annotated[int, Field(ge=1, le=128, json_schema_extra=_ANNOTATORS)] = 8
    """llm: items in a request."""

    adjudicate: Annotated[int, Field(ge=0, le=40, json_schema_extra=_ANNOTATORS)] = 0
    """Items still in dispute at the end that somebody decides in a form of the Prefect UI, at most; the run waits for it."""

    # --- who gets what, and when to stop
    strategy: Annotated[Strategy, Field(json_schema_extra=_ASSIGN)] = "qasca"
    """Which items an annotator is given: those whose label this annotator is expected to make surer most (QASCA), the least sure,
    those with the fewest answers, or any."""

    waiting: Annotated[int, Field(ge=1, le=1000, json_schema_extra=_ASSIGN)] = 1
    """llm and replay: of so many who could answer next the one is asked whose answers are expected to tell most for their price (mutual
    information); 1 takes them as they come, judges in turn."""

    method: Annotated[Method, Field(json_schema_extra=_ASSIGN)] = "ds"
    """Truth inference between rounds, and in the end; but for mv, each answer is then weighed by its annotator's other answers,
    so that a probability can be stopped by."""

    confidence: Annotated[float, Field(gt=0.5, lt=1, json_schema_extra=_ASSIGN)] = 0.95
    """Probability of a label from which on an item is done."""

    min_answers: Annotated[int, Field(ge=1, le=1000, json_schema_extra=_ASSIGN)] = 2
    """Answers that every item gets, at least."""

    max_answers: Annotated[int, Field(ge=1, le=1000, json_schema_extra=_ASSIGN)] = 5
    """Answers to an item, at most."""

    budget: Annotated[int | None, Field(ge=1, json_schema_extra=_ASSIGN)] = None
    """Answers in all, at most. A continued run may be given more, or fewer, to end it now. What people have answered beyond it (or
    beyond --max-cost) is not taken and not lost: it stays in its file, or in the page of who answered, for a larger budget."""

    rounds: Annotated[int, Field(ge=1, le=1000, json_schema_extra=_ASSIGN)] = 10
    """Rounds that the answers are collected in, about; truth is inferred anew after each."""

    # --- golden tasks
    golden: Annotated[str, Field(json_schema_extra=_GOLDEN)] = ""
    """Items whose label is known (task, label): they are mixed in to show how reliable annotators are."""

    golden_share: Annotated[float, Field(ge=0, le=0.5, json_schema_extra=_GOLDEN)] = 0.1
    """Share of an annotator's items that are golden, while there are some new to that annotator."""

    eliminate_below: Annotated[float, Field(ge=0, lt=1, json_schema_extra=_GOLDEN)] = 0.6
    """Accuracy on golden tasks that is too low: annotators who surely do not reach it get no more, and their answers do not count."""

    eliminate_confidence: Annotated[float, Field(ge=0.5, lt=1, json_schema_extra=_GOLDEN)] = 0.95
    """How sure that must be."""

    # --- page
    port: Annotated[int, Field(ge=0, le=65535, json_schema_extra=_PAGE)] = 8765
    """people: port of the page on 127.0.0.1; 0 takes a free one, and the same again when the run goes on."""

    queue: Annotated[int, Field(ge=1, le=100, json_schema_extra=_PAGE)] = 3
    """people: items that an annotator is given at once."""

    lease_minutes: Annotated[float, Field(gt=0, le=10_080, json_schema_extra=_PAGE)] = 15.0
    """people: after so long an item that was not answered is given to another. A late answer counts all the same,
    unless the budget has gone to others."""

    @property
    def title(self) -> str:
        return f"{self.annotators}, {self.strategy}, {self.method}"

    @property
    def models(self) -> list[str]:
        """Models that judge."""
        return self.judges or ([self.model] if self.model else [])

    @field_validator("labels")
    @classmethod
    def _distinct(cls, labels: list[str]) -> list[str]:
        if any(not label.strip() or label != label.strip() for label in labels):
            raise ValueError("a label is empty, or begins or ends with a space")
        if len(set(labels)) < len(labels):
            raise ValueError("a label stands there twice")
        return labels

    @model_validator(mode="after")
    def _at_least_before_at_most(self) -> AnnotateSettings:
        if self.min_answers > self.max_answers:
            raise ValueError("--min-answers is more than --max-answers")
        return self
