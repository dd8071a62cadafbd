"""Settings of the LEAD flow: the form in the UI, the flags of `sluice lead`, and the run's settings.yaml."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from tasks.prepare.settings import EncoderSettings
from tasks.run.settings import RunSettings, group
from tasks.select.idu import Choice
from tasks.select.levels import Arms
from tasks.train.settings import TinyStudentSettings

_DATA = group("Data")
_BUDGET = group("Budget")
_ROUNDS = group("Rounds")
_TRAIN = group("Train")


class ChoosingSettings(RunSettings):
    """The fields of every training that chooses its data."""

    visits: Annotated[int, Field(ge=1, le=1000, json_schema_extra=_BUDGET)] = 1
    """Times that one example may be trained on, at most; the paper has 4. While there are others, these are worth more to a model
    than the same example again. With 1 an example's utility is its loss before training."""

    arms: Annotated[Arms, Field(json_schema_extra=_ROUNDS)] = "task"
    """What makes the clusters. task: like examples first, and inside them levels of the loss before training, as many examples in
    each. difficulty, as in the paper: levels of the IFD ratio first (which takes a second pass over every example), and
    like examples inside them."""

    levels: Annotated[int | None, Field(ge=1, le=1000, json_schema_extra=_ROUNDS)] = None
    """Levels of difficulty; fewer where there are few examples. By default 3 in each task, or with `difficulty` 7, as in the paper."""

    tasks: Annotated[int | None, Field(ge=1, le=1000, json_schema_extra=_ROUNDS)] = None
    """Clusters of like examples, at most; by default 7, or with `difficulty` 3 in each level."""

    draws: Annotated[int, Field(ge=1, le=1000, json_schema_extra=_ROUNDS)] = 40
    """Draws of a cluster in a round, which share its examples; the paper has 1. With more, batches are mixed as the clusters are, and
    the bandit is told more."""

    start: Annotated[Literal["sizes", "even"], Field(json_schema_extra=_ROUNDS)] = "sizes"
    """How likely clusters are before rewards tell them apart: in proportion to their sizes, or with a reference to what coverage would
    choose of each if there were no clusters, or to how likely its examples are to be drawn; or, as in the paper, clusters alike."""

    reward: Annotated[Literal["gain", "fall"], Field(json_schema_extra=_ROUNDS)] = "gain"
    """What the bandit is told of a cluster. fall, as in the paper: how much utility its examples lost when they were trained on.
    gain: by how much, for each of its answer tokens, training on them lowers the loss of the reference, or without one that of all
    other examples visited so far, as their gradients foretell."""

    gamma: Annotated[float | None, Field(gt=0, le=1, json_schema_extra=_ROUNDS)] = None
    """Share of the draws of a cluster that is as in the beginning, whatever the rewards were, and the rate at which they are learnt
    from; by default the one with the best bound for the clusters and rounds there are. The paper has 0.1."""

    tilt: Annotated[float, Field(gt=0, le=100, json_schema_extra=_ROUNDS)] = 1.0
    """How far rewards may tilt the clusters' probabilities: the logarithm of a weight stays within this of their mean. A bandit looks for
    the one best cluster, and a model that is trained on that alone learns little. The paper has no bound; 100 is as good as none."""

    choice: Annotated[Choice | None, Field(json_schema_extra=_ROUNDS)] = None
    """What a round takes of a cluster. coverage: the examples whose answers' pairs of tokens foretell most of those of all others beside
    what was trained on before, for each token of theirs (cynical selection); with a reference, mostly of its answers. highest, as in
    the paper: those with the highest utility; drawn: examples drawn in proportion to it; with a reference how much an example helps it
    takes the place of the utility. random: any. By default coverage where there is a reference or the model is small (below 20 million
    weights), else drawn: what a model that knows the language lacks, pairs of tokens do not tell."""

    smoothing: Annotated[float, Field(ge=0, lt=1, json_schema_extra=_ROUNDS)] = 0.1
    """Weight of an example's utility before a round in its utility after it."""

    change: Annotated[Literal["mixture", "first-order"], Field(json_schema_extra=_ROUNDS)] = "first-order"
    """How the change of a loss is foretold: by the product of the example's gradient with every step's since its last visit; or, as in
    the paper, by the shortest mixture of the example's gradient and that of the last step."""

    sketch: Annotated[int, Field(ge=2, le=256, json_schema_extra=_ROUNDS)] = 32
    """Side of the random projection of gradients that angles are taken from; it has sketch x sketch numbers."""


class LeadSettings(ChoosingSettings, EncoderSettings, TinyStudentSettings):
    """Choose instruction data while training on it: draw clusters, train on examples of theirs, repeat."""

    # --- data
    data: Annotated[str, Field(min_length=1, json_schema_extra=_DATA)]
    """Instruction data to choose from: JSONL, JSON, CSV or Parquet with a question and an answer each (as the pairs of a run
    of `sluice equal`), with messages, with ShareGPT's conversations, or in Alpaca's form; or doctest:MODULE,..."""

    test: Annotated[str, Field(json_schema_extra=_DATA)] = ""
    """Examples that judge the model, in any of these forms; what overlaps them is dropped from the data. Without it a part of the
    data judges."""

    test_share: Annotated[float, Field(gt=0, lt=1, json_schema_extra=_DATA)] = 0.1
    """Share of the data that judges when no test file is given."""

    reference: Annotated[str, Field(json_schema_extra=_DATA)] = ""
    """Examples of the task that the model is trained for, in any of these forms. What is to be covered is then mostly their answers; or
    examples are drawn by how much each helps them, as its gradient before training foretells. How much a cluster's go on helping is
    what the bandit is told. From twenty on they are taken apart into kinds by likeness, four at most, each of which has its share of
    that. None of them is trained on for it, and what overlaps the test is dropped."""

    question_field: Annotated[str, Field(min_length=1, json_schema_extra=_DATA)] = "question"
    """Field or column of a question."""

    answer_field: Annotated[str, Field(min_length=1, json_schema_extra=_DATA)] = "answer"
    """Field or column of an answer."""

    decontamination_ngram: Annotated[int, Field(ge=4, le=50, json_schema_extra=_DATA)] = 13
    """An example that shares this many consecutive words with the test part is dropped."""

    # --- budget
    budget: Annotated[float, Field(gt=0, le=1, json_schema_extra=_BUDGET)] = 0.025
    """Share of the examples that may be trained on."""

    rounds: Annotated[int, Field(ge=1, le=10_000, json_schema_extra=_BUDGET)] = 20
    """Rounds, at most; the run ends before where the budget is reached."""

    round_share: Annotated[float, Field(gt=0, le=1, json_schema_extra=_BUDGET)] = 0.1
    """Share of the budget that a round trains on."""

    # --- train
    model: Annotated[str, Field(min_length=1, json_schema_extra=_TRAIN)] = "tiny"
    """The model to train: "tiny", which is made here, or name or path of a causal language model."""

    lora: Annotated[bool, Field(json_schema_extra=_TRAIN)] = False
    """Train low-rank adapters instead of every weight (needs the extra 'lora')."""

    learning_rate: Annotated[float | None, Field(gt=0, json_schema_extra=_TRAIN)] = None
    """Before its decay, by .995 every 8 steps; by default 1e-3 for a small model, 1e-5 for others, 1e-4 with LoRA."""

    batch_tokens: Annotated[int | None, Field(ge=64, json_schema_extra=_TRAIN)] = None
    """Tokens of a training batch, padding included; by default 1,024 for a small model, 4,096 for others."""

    @property
    def title(self) -> str:
        return f"{self.budget:.3g} of the examples"
