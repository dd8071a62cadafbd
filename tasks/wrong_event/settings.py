"""Settings of the wrong-event flow: the form in the UI, the flags of `sluice wrong-event`, and the run's settings.yaml."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from tasks.corpus.settings import RowsSettings
from tasks.run.settings import group
from tasks.train.settings import TinyStudentSettings

_DATA = group("Data")
_NETWORK = group("Network")
_TRAIN = group("Train")
_RESULT = group("Result")

FEWEST_PAIRS = 60  # below which there are too few peers to be compared with
PAIR_EPOCHS = 8  # by default
FEWEST_TO_AGREE = 10  # epochs; see tests/bench/wrong_event.md


class WrongEventSettings(TinyStudentSettings, RowsSettings):
    """Train on labels that are partly wrong: count how often each label is contradicted, trust it accordingly, say which are wrong."""

    # --- data
    data: Annotated[str, Field(min_length=1, json_schema_extra=_DATA)]
    """Rows: CSV, JSON lines or Parquet."""

    label: Annotated[str, Field(json_schema_extra=_DATA)] = ""
    """Column of the given label."""

    text: Annotated[str, Field(json_schema_extra=_DATA)] = ""
    """Column of the text to classify."""

    features: Annotated[list[str], Field(json_schema_extra=_DATA)] = []
    """Columns of numbers to classify by, A,B,...; without a text, by default all but the label. A cell may hold an array, as of
    an image's pixels (Parquet, JSON); rows of another shape than most are rejected."""

    test: Annotated[str, Field(json_schema_extra=_DATA)] = ""
    """Rows with right labels that judge the result; those that stand in the data too are left out, and those with a label
    that the data do not have count as errors."""

    question: Annotated[str, Field(json_schema_extra=_DATA)] = "question"
    """Of question-answer pairs (see answer): field of the question."""

    answer: Annotated[str, Field(json_schema_extra=_DATA)] = ""
    """Field of the answer: the data are question-answer pairs without labels, and it is said whose answer is wrong."""

    peers: Annotated[Literal["questions", "answers"], Field(json_schema_extra=_DATA)] = "questions"
    """Of pairs: what makes a visit a wrong event. questions: the answer is no likelier after its own question than after a
    peer's, a pair whose answer is about as long. answers: the share of its tokens predicted right is below its peers' median."""

    # --- network
    encoder: Annotated[str, Field(min_length=1, json_schema_extra=_NETWORK)] = "lsa"
    """Of texts: 'lsa' (vectors fitted on the texts, under a small network), or name or path of a transformers encoder that is
    trained whole."""

    encoder_dimensions: Annotated[int, Field(ge=2, le=4096, json_schema_extra=_NETWORK)] = 256
    """Dimensions of the LSA vectors."""

    encoder_max_tokens: Annotated[int, Field(ge=8, json_schema_extra=_NETWORK)] = 256
    """A transformers encoder reads this many tokens of a text."""

    width: Annotated[int, Field(ge=4, le=8192, json_schema_extra=_NETWORK)] = 128
    """Units of each hidden layer of the small network."""

    student: Annotated[str, Field(min_length=1, json_schema_extra=_NETWORK)] = "tiny"
    """Of pairs: 'tiny' (a small Llama made here from their texts), or name or path of a causal language model."""

    # --- train
    warm_epochs: Annotated[int | None, Field(ge=1, le=1000, json_schema_extra=_TRAIN)] = None
    """Epochs of plain training that counts wrong events first; by default 20, 5 for a pre-trained encoder, 8 for pairs (whose
    training ends there)."""

    epochs: Annotated[int | None, Field(ge=1, le=1000, json_schema_extra=_TRAIN)] = None
    """Epochs of robust training after that; by default 55, 10 for a pre-trained encoder."""

    learning_rate: Annotated[float | None, Field(gt=0, json_schema_extra=_TRAIN)] = None
    """Of AdamW; by default 1e-3, 2e-5 for a pre-trained encoder, and for a student as in `sluice equal`."""

    batch: Annotated[int, Field(ge=2, le=4096, json_schema_extra=_TRAIN)] = 64
    """Rows of a batch."""

    base: Annotated[Literal["agreement", "label-wave"] | None, Field(json_schema_extra=_TRAIN)] = None
    """Epoch of plain training that robust training goes on from. agreement: the one that predicted most of the labels that are likely right
    and fewest of those likely wrong. label-wave: the first minimum of the number of predictions that change (the paper's), or the last. By
    default agreement, and label-wave where there are fewer than ten epochs, since after so few it is not known which labels are right."""

    smoothing: Annotated[int, Field(ge=1, le=50, json_schema_extra=_TRAIN)] = 3
    """Of --base label-wave: epochs over which the number of changed predictions is averaged before its first minimum is looked for."""

    published: Annotated[bool, Field(json_schema_extra=_TRAIN)] = False
    """Train as the paper says: 30 and 70 epochs without an encoder, one view of a row in the first stage, --base label-wave, its loss in the second,
    no mixtures of rows, and nothing that keeps predictions near the classes' shares."""

    per_class: Annotated[bool, Field(json_schema_extra=_TRAIN)] = True
    """Tell right from wrong in each given class by itself; classes of fewer than ten rows share one mixture."""

    # --- result
    threshold: Annotated[float, Field(gt=0, lt=1, json_schema_extra=_RESULT)] = 0.5
    """Rows whose P(clean) is below this are flagged."""

    @property
    def title(self) -> str:
        return "question-answer pairs" if self.answer else f"labels in {self.label}"

    @property
    def pretrained(self) -> bool:
        """Whether the network is a transformers encoder."""
        return bool(self.text) and self.encoder != "lsa"

    @property
    def stages_epochs(self) -> tuple[int, int]:
        """Epochs of both stages."""
        warm, robust = (5, 10) if self.pretrained else (30, 70) if self.published else (20, 55)
        return self.warm_epochs or warm, self.epochs or robust

    @property
    def by_agreement(self) -> bool:
        """Whether the epoch to go on from is chosen by agreement."""
        if self.base is None:
            return not self.published and self.stages_epochs[0] >= FEWEST_TO_AGREE
        return self.base == "agreement"

    @property
    def visits(self) -> int:
        """To each row in both stages, one for every view of it."""
        warm, robust = self.stages_epochs
        return (1 if self.published else 2) * warm + 2 * robust

    @field_validator("features")
    @classmethod
    def _at_commas(cls, names: list[str]) -> list[str]:
        return [name.strip() for one in names for name in one.split(",") if name.strip()]
