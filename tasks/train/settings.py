"""Settings of the tiny student, which is made from the corpus."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from tasks.run.settings import RunSettings, group

_STUDENT = group("Tiny student")


class TinyStudentSettings(RunSettings):
    """The fields of a flow that can make its own student."""

    student_vocabulary: Annotated[int, Field(ge=300, json_schema_extra=_STUDENT)] = 1024
    """Tokens of the tiny student's byte-level BPE, learnt from the corpus."""

    student_width: Annotated[int, Field(ge=32, multiple_of=32, json_schema_extra=_STUDENT)] = 128
    """Hidden size of the tiny student, a multiple of 32 (the width of an attention head)."""

    student_layers: Annotated[int, Field(ge=1, json_schema_extra=_STUDENT)] = 3
    """Layers of the tiny student."""

    pretrain_tokens: Annotated[int, Field(ge=0, json_schema_extra=_STUDENT)] = 200_000
    """Tokens of raw corpus text the tiny student is pre-trained on, before anything is chosen."""

    sequence_tokens: Annotated[int, Field(ge=32, json_schema_extra=_STUDENT)] = 512
    """Longest sequence that the student reads, tokens."""
