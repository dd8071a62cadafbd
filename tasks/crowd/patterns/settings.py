"""Settings of the flow: the form in the UI, the flags of `sluice crowd patterns`, and the run's settings.yaml."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from tasks.corpus.settings import RowsSettings
from tasks.crowd.patterns.miner import Policy
from tasks.run.settings import group

_ANSWERS = group("Answers")
_RULES = group("Rules")
_ASK = group("Questions")


class PatternsSettings(RowsSettings):
    """Find which habits go together (a, b -> c) by asking people: how often do you do a and b, and how often c with them?"""

    # --- answers
    answers: Annotated[str, Field(json_schema_extra=_ANSWERS)] = ""
    """Answers that are there: CSV, JSON lines or Parquet with worker, antecedent, consequent, support and confidence. Support is how
    often this worker does all of it, confidence how often the consequent with the antecedent: 0 to 1, or percentages, and support no
    more than confidence. Of a worker's answers to the same rule the first counts. A column kind may say open of a rule that its
    worker told of themselves."""

    replay: Annotated[bool, Field(json_schema_extra=_ANSWERS)] = False
    """Give these answers out one by one to the questions that are asked, instead of counting them all."""

    simulate: Annotated[str, Field(json_schema_extra=_ANSWERS)] = ""
    """Ask simulated workers instead of people, who know what they did: a file with a worker and items in each row, one occasion a row."""

    scale: Annotated[int, Field(ge=0, le=101, json_schema_extra=_ANSWERS)] = 5
    """Steps that simulated workers round their answers to, 5: never, a quarter, half, three quarters, always; 0: not rounded."""

    rules: Annotated[str, Field(json_schema_extra=_ANSWERS)] = ""
    """Rules to be asked of besides those that people tell: a file with antecedent and consequent in each row."""

    separator: Annotated[str, Field(min_length=1, max_length=5, json_schema_extra=_ANSWERS)] = ";"
    """What stands between the items of an antecedent, a consequent or an occasion."""

    # --- rules
    support: Annotated[float, Field(gt=0, lt=1, json_schema_extra=_RULES)] = 0.15
    """Least support of a significant rule, mean over workers: the share of occasions with all its items."""

    confidence: Annotated[float, Field(gt=0, lt=1, json_schema_extra=_RULES)] = 0.5
    """Least confidence, mean over workers: the share of occasions with the antecedent that have the consequent too; 0 for a
    worker who never does the antecedent."""

    most_items: Annotated[int, Field(ge=2, le=6, json_schema_extra=_RULES)] = 3
    """Items of a rule that is made out of others or told by simulated workers, both sides together."""

    prune: Annotated[bool, Field(json_schema_extra=_RULES)] = True
    """Leave out rules with items whose support together is surely too low."""

    expand: Annotated[bool, Field(json_schema_extra=_RULES)] = True
    """Ask of the neighbours of rules that seem significant: one item less, two antecedents together, sides exchanged."""

    sure: Annotated[float, Field(gt=0.5, lt=1, json_schema_extra=_RULES)] = 0.95
    """Probability that counts for surely."""

    # --- questions
    questions: Annotated[int | None, Field(ge=0, le=1_000_000, json_schema_extra=_ASK)] = None
    """Questions to ask at most; by default 500, and none where answers are given and not replayed."""

    batch: Annotated[int, Field(ge=1, le=10_000, json_schema_extra=_ASK)] = 40
    """Questions that people are asked at once."""

    choice: Annotated[Literal["error", "random", "fewest"], Field(json_schema_extra=_ASK)] = "error"
    """Which rule is asked of. error: where an answer is expected to prevent most wrong decisions; random; fewest: with the fewest answers."""

    open: Annotated[Literal["share", "gain"], Field(json_schema_extra=_ASK)] = "share"
    """When people are asked for a rule of theirs. share: for a share of all questions; gain: when that is expected to prevent more wrong
    decisions than the best closed question."""

    open_share: Annotated[float, Field(ge=0, le=1, json_schema_extra=_ASK)] = 0.1
    """Share of open questions."""

    least_gain: Annotated[float, Field(ge=0, lt=1, json_schema_extra=_ASK)] = 0.0005
    """Stop when no question is expected to prevent as many wrong decisions (with --choice error)."""

    @property
    def budget(self) -> int:
        """Questions to ask at most."""
        if self.questions is not None:
            return self.questions
        return 0 if self.answers and not self.replay and not self.simulate else 500

    @property
    def policy(self) -> Policy:
        """How questions are chosen."""
        share = self.open_share if self.open == "share" else None
        return Policy(
            self.support,
            self.confidence,
            self.most_items,
            self.choice,
            share,
            self.prune,
            self.expand,
            self.sure,
        )

    @property
    def title(self) -> str:
        crowd = "simulated" if self.simulate else "replayed" if self.replay else "people"
        return f"{crowd}, {self.budget:,} questions" if self.budget else "answers as they are"

    @model_validator(mode="after")
    def _fits(self) -> PatternsSettings:
        if self.replay and not self.answers:
            raise ValueError("--replay: give the answers with --answers")
        if self.replay and self.simulate:
            raise ValueError("--replay and --simulate: take one of them")
        return self
