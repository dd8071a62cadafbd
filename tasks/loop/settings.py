"""Settings of the EQUAL flow: the form in the UI, the flags of `sluice equal`, and the run's settings.yaml."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from tasks.llm.settings import ModelSettings
from tasks.prepare.settings import CorpusSettings
from tasks.run.settings import group
from tasks.train.settings import TinyStudentSettings
from tasks.train.training import Trainer

Strategy = Literal[
    "random",
    "everything",
    "mean-similarity",
    "dsir",
    "nearest-cluster",
    "tsds",
    "linucb",
    "ucb",
    "ucb-paper",
    "ucb-prior",
    "thompson",
]

_TARGET = group("Target")
_BUDGET = group("Budget")
_SELECT = group("Select")
_EXTRACT = group("Extract")
_JUDGE = group("Judge")
_TRAIN = group("Train")


class EqualSettings(TinyStudentSettings, ModelSettings, CorpusSettings):
    """Find the training data worth paying for: read what promises most, keep the pairs that serve the target, train, repeat."""

    place: ClassVar[frozenset[str]] = ModelSettings.place | CorpusSettings.place
    examples_field: ClassVar[str] = "target"

    # --- target
    target: Annotated[str, Field(min_length=1, json_schema_extra=_TARGET)]
    """Examples of the task, with a question and an answer each: JSONL, CSV or Parquet, or doctest:MODULE,..."""

    # --- budget
    budget: Annotated[float, Field(gt=0, le=1, json_schema_extra=_BUDGET)] = 0.05
    """Share of the documents that may be handed to the extractor, the warm-up among them."""

    price: Annotated[float, Field(ge=0, json_schema_extra=_BUDGET)] = 1.0
    """Price of a million document tokens handed to the rules, in US dollars. They cost nothing; this shows what a model
    would. With --extractor llm the cost is what was paid, at price_input and price_output."""

    warmup: Annotated[float, Field(ge=0, lt=1, json_schema_extra=_BUDGET)] = 0.1
    """Share of the budget spent on random documents first (ucb, ucb-paper, ucb-prior and thompson only)."""

    rounds: Annotated[int, Field(ge=1, le=1000, json_schema_extra=_BUDGET)] = 12
    """Rounds of select, extract, train over which the budget is spread."""

    # --- select
    strategy: Annotated[Strategy, Field(json_schema_extra=_SELECT)] = "linucb"
    """How documents or clusters are chosen. 'everything' reads the whole corpus whatever the budget."""

    keep: Annotated[float | None, Field(gt=0, le=1, json_schema_extra=_SELECT)] = None
    """Share of the extracted pairs to keep: of the half nearest to the reference by transport (of as many as are kept,
    if more) those that teach the student most; without a student the nearest, a quarter. No more are kept than `epochs` passes of
    train_tokens hold. By default with linucb it is tried how many: in rounds 1, 2, 4, 8, ... and the last students are trained on so
    many, twice as many, and so on, as long as that lowers their loss on the reference; with train_tokens what they hold, half at
    most, and nothing is tried. The other strategies keep all."""

    alpha: Annotated[float, Field(ge=0, json_schema_extra=_SELECT)] = 0.05
    """Weight of the exploration bonus of ucb and ucb-prior, in units of reward; its noise for thompson."""

    documents_per_pull: Annotated[int | None, Field(ge=1, json_schema_extra=_SELECT)] = None
    """Documents read at each pull of an arm; by default so that half the budget would pull every arm once, 1 to 16.
    linucb chooses documents one by one."""

    reward: Annotated[Literal["transport", "similarity", "influence"], Field(json_schema_extra=_SELECT)] = (
        "transport"
    )
    """Reward of an arm: 1 - optimal transport cost between its pairs and the reference, mean similarity, or the pairs'
    influence on the student's loss on the reference per token, 1 being what the reference does for itself, by the student
    of the round (with --train end the one before any training). linucb learns from documents' gains instead, by transport or
    by influence (harm counts as nothing), and an arm's reward is only reported. Which pairs are kept does not depend on it."""

    align: Annotated[Literal["none", "linear", "full"], Field(json_schema_extra=_SELECT)] = "linear"
    """Contrastive alignment on the warm-up's (document, pair): a linear head, or the whole encoder.
    Nothing is aligned without a warm-up."""

    align_temperature: Annotated[float, Field(gt=0, json_schema_extra=_SELECT)] = 1.0
    """Temperature of the contrastive loss; 1 as the paper prints it."""

    # --- extract
    extractor: Annotated[Literal["rules", "llm"], Field(json_schema_extra=_EXTRACT)] = "rules"
    """What turns a document into question-answer pairs: rules over explicit structure, or a language model (--model)."""

    refine: Annotated[bool, Field(json_schema_extra=_EXTRACT)] = True
    """Let the model check and mend its pairs once: their format, missing answers, mismatches."""

    documents_per_request: Annotated[int, Field(ge=1, le=64, json_schema_extra=_EXTRACT)] = 8
    """Documents that the model is asked about at once, where they are short."""

    tokens_per_request: Annotated[int, Field(ge=64, json_schema_extra=_EXTRACT)] = 3000
    """Tokens of the documents that the model is asked about at once; a longer document goes alone."""

    min_answer_characters: Annotated[int, Field(ge=1, json_schema_extra=_EXTRACT)] = 1
    """Pairs with a shorter answer are dropped."""

    max_pairs_per_document: Annotated[int, Field(ge=1, json_schema_extra=_EXTRACT)] = 64
    """Pairs kept of one document, the first ones."""

    # --- judge
    judges: Annotated[int, Field(ge=0, le=25, json_schema_extra=_JUDGE)] = 0
    """Models that rate the pairs which are kept, when all are read: answerable, correct, useful. What they say is merged by truth
    inference; pairs that are likely not good are left out, and p_good in pairs.parquet says how likely the others are. 0 for none."""

    judge_models: Annotated[list[str], Field(json_schema_extra=_JUDGE)] = []
    """Names of the judges at the same server, in turn; by default --model. One that is several judges answers at a temperature of .7
    and with other seeds."""

    adjudicate: Annotated[int, Field(ge=0, json_schema_extra=_JUDGE)] = 0
    """So many of the pairs over which judges differ, the least certain, wait for a person's word in disputed.csv."""

    # --- train
    train: Annotated[Literal["rounds", "end", "never"], Field(json_schema_extra=_TRAIN)] = "rounds"
    """When the student is trained: in rounds a stretch on the pairs kept so far, or anew in those in which it is tried how many to
    keep; or once, at the end."""

    trainer: Annotated[Trainer, Field(json_schema_extra=_TRAIN)] = "plain"
    """How the tokens of a training are spent. plain: on all kept pairs, in random order. lead: on those that LEAD
    chooses for the reference while it trains (see `sluice lead`), after a look at every pair; where there are fewer tokens than theirs."""

    clean: Annotated[Literal["none", "wrong-event"], Field(json_schema_extra=_TRAIN)] = "none"
    """Leave out pairs whose answer is likely wrong before the student is trained (with --train end): a student learns all that
    are kept first, and it is counted how often a pair's own question helped it no more than another's. Other strategies are
    compared with as they are."""

    student: Annotated[str, Field(min_length=1, json_schema_extra=_TRAIN)] = "tiny"
    """'tiny' (a small Llama made and pre-trained here on the corpus), or name or path of a causal language model."""

    lora: Annotated[bool, Field(json_schema_extra=_TRAIN)] = False
    """Train low-rank adapters instead of every weight (needs the extra 'lora')."""

    train_tokens: Annotated[int | None, Field(ge=1, json_schema_extra=_TRAIN)] = None
    """Tokens to fine-tune on, pairs repeated or cut to reach it; by default `epochs` passes over the pairs."""

    epochs: Annotated[float, Field(gt=0, json_schema_extra=_TRAIN)] = 2.0
    """Passes over the pairs when train_tokens is not given; with it, so many passes of what is kept fit into them."""

    learning_rate: Annotated[float | None, Field(gt=0, json_schema_extra=_TRAIN)] = None
    """Peak of the cosine schedule; by default 1e-3 for the tiny student, 1e-5 for others, 1e-4 with LoRA."""

    batch_tokens: Annotated[int | None, Field(ge=64, json_schema_extra=_TRAIN)] = None
    """Tokens of a training batch; by default 1,024 for the tiny student, 4,096 for others."""

    sequence_tokens: Annotated[int, Field(ge=32, json_schema_extra=_TRAIN)] = 512
    """Longest training example, tokens; in longer ones the question loses its start and the answer stays, but an answer
    of more than half this length loses its end to leave the question up to half."""

    round_examples: Annotated[int, Field(ge=1, json_schema_extra=_TRAIN)] = 256
    """Examples of the test part, the same ones each time, that score the student after a round; all of them at the end."""

    train_reference: Annotated[bool, Field(json_schema_extra=_TRAIN)] = False
    """Also train one student on the reference alone and one on reference and selection, at the end: what the
    selection adds to the examples already in hand."""

    compare: Annotated[list[Strategy], Field(json_schema_extra=_TRAIN)] = ["random"]
    """Strategies run beside the chosen one for the report's comparison, on their own budget, reported apart. Those that warm
    up share the run's warm-up, and have none beside a strategy that does not. With --extractor llm none unless they are
    named, because what they read is paid for."""

    @property
    def title(self) -> str:
        return self.strategy

    @model_validator(mode="after")
    def _compare_with_others(self) -> EqualSettings:
        if self.extractor == "llm" and "compare" not in self.model_fields_set:
            object.__setattr__(self, "compare", [])
        others = [name for name in dict.fromkeys(self.compare) if name != self.strategy]
        object.__setattr__(self, "compare", others)
        return self
