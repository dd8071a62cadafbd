"""Settings of flows that choose among documents by examples of a task."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import Field

from tasks.run.settings import ParallelSettings, RunSettings, group

_CORPUS = group("Corpus")
_TARGET = group("Target")
_SELECT = group("Select")


class EncoderSettings(RunSettings):
    """The fields of a flow that encodes texts."""

    encoder: Annotated[str, Field(min_length=1, json_schema_extra=_SELECT)] = "lsa"
    """'lsa', or name or path of a transformers encoder, as BAAI/bge-small-en-v1.5."""

    encoder_dimensions: Annotated[int, Field(ge=2, le=4096, json_schema_extra=_SELECT)] = 256
    """Dimensions of the LSA vectors."""

    encoder_max_tokens: Annotated[int, Field(ge=8, json_schema_extra=_SELECT)] = 256
    """A transformers encoder reads this many tokens of a text."""


class CorpusSettings(ParallelSettings, EncoderSettings):
    """The fields of a flow that reads a corpus, encodes and clusters it, and has examples that steer and examples that judge."""

    # --- corpus
    corpus: Annotated[list[str], Field(min_length=1, json_schema_extra=_CORPUS)]
    """JSONL(.gz), Parquet or CSV files, folders of .txt, .md and .html, hf:NAME or a saved dataset's folder, or
    python:PACKAGE,... for the docstrings of installed packages."""

    text_field: Annotated[str, Field(min_length=1, json_schema_extra=_CORPUS)] = "text"
    """Field or column that holds the text."""

    id_field: Annotated[str, Field(min_length=1, json_schema_extra=_CORPUS)] = "id"
    """Field or column that holds a unique id; file and line number where a record has none."""

    source_field: Annotated[str, Field(json_schema_extra=_CORPUS)] = "source"
    """Field or column that says where a document is from; shown in reports, never used to select."""

    hf_split: Annotated[str, Field(json_schema_extra=_CORPUS)] = "train"
    """Split of a Hugging Face dataset."""

    corpus_share: Annotated[float, Field(gt=0, le=1, json_schema_extra=_CORPUS)] = 1.0
    """Share of the corpus to use, drawn by hash of the id: to try things on a sample first."""

    exclude: Annotated[list[str], Field(json_schema_extra=_CORPUS)] = []
    """Ids to leave out, with * and ? as wildcards."""

    min_characters: Annotated[int, Field(ge=1, json_schema_extra=_CORPUS)] = 40
    """Documents shorter than this (characters) are dropped."""

    max_tokens: Annotated[int, Field(ge=64, json_schema_extra=_CORPUS)] = 4096
    """Documents longer than this (tokens) are split at headings, paragraphs, then lines."""

    near_duplicates: Annotated[float, Field(gt=0, le=1, json_schema_extra=_CORPUS)] = 0.8
    """Jaccard similarity of 5-word shingles above which a document is a near duplicate; 1 keeps them all."""

    decontamination_ngram: Annotated[int, Field(ge=4, le=50, json_schema_extra=_CORPUS)] = 13
    """A document that shares this many consecutive words with the test part is dropped."""

    max_broken: Annotated[float, Field(ge=0, le=1, json_schema_extra=_CORPUS)] = 0.01
    """Share of unreadable records above which the run stops instead of counting them."""

    test: Annotated[str, Field(json_schema_extra=_TARGET)] = ""
    """Examples that judge the result, never seen by the selection; without it a part of the target judges."""

    test_share: Annotated[float, Field(gt=0, lt=1, json_schema_extra=_TARGET)] = 0.5
    """Share of the target that judges when no test file is given."""

    question_field: Annotated[str, Field(min_length=1, json_schema_extra=_TARGET)] = "question"
    """Field or column of a target's question."""

    answer_field: Annotated[str, Field(min_length=1, json_schema_extra=_TARGET)] = "answer"
    """Field or column of a target's answer."""

    examples_field: ClassVar[str]  # which of a flow's fields says where the examples are
    examples_may_be_texts: ClassVar[bool] = False

    @property
    def examples(self) -> str:
        """Where the examples are."""
        return str(getattr(self, self.examples_field))

    @property
    def example_fields(self) -> dict[str, Any]:
        """Where what of an example is, as `tasks.corpus.target` names it."""
        return {
            "question_field": self.question_field,
            "answer_field": self.answer_field,
            "text_fields": (self.text_field, "text") if self.examples_may_be_texts else (),
        }

    @property
    def examples_flag(self) -> str:
        """Their flag, for messages."""
        return f"--{self.examples_field}"

    # --- select
    clusters: Annotated[int | None, Field(ge=1, json_schema_extra=_SELECT)] = None
    """Number of clusters; by default the square root of half the number of documents."""
