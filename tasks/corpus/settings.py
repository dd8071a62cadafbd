"""The setting of every flow that reads tables of rows."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from tasks.run.settings import RunSettings, group


class RowsSettings(RunSettings):
    """How much of a table may be unusable."""

    max_broken: Annotated[float, Field(ge=0, le=1, json_schema_extra=group("Run"))] = 0.05
    """Share of a file's rows that may be unusable (unreadable, or without a cell or number that they need), above which the run stops
    instead of leaving them out."""
