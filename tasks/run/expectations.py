"""How a gate asks Great Expectations: a file context in the run folder, its data docs, and one line when a check fails."""

from __future__ import annotations

import html
import json
import os
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from tasks.records import Stopped
from tasks.storage.tables import atomic_folder

_SHOWN = 5  # ids that a message names
_GROUP = 4096  # rows held as Python objects


class GateFailed(Stopped):
    """A table broke an expectation. The message is one line: which, how many rows, the first of them, where to look."""


def frame_of(rows: Iterable[dict[str, Any]], columns: Sequence[str]) -> Any:
    """A pandas frame of measured rows, built in groups so that Python objects do not pile up; ids made safe to show."""
    import pandas as pd

    groups, held = [], []
    for row in rows:
        held.append({**row, "id": html.escape(row["id"]) if row["id"] is not None else None})
        if len(held) >= _GROUP:
            groups.append(pd.DataFrame(held, columns=list(columns)))
            held = []
    groups.append(pd.DataFrame(held, columns=list(columns)))
    return pd.concat([group for group in groups if len(group)] or groups, ignore_index=True)


def pair_id(left: str, right: str) -> str:
    """Both names of a pair as one id; written so that a comma in one of them is not taken for the one between them."""
    return f"{left}, {right}" if "," not in left + right else json.dumps([left, right], ensure_ascii=False)


def validate(gate: str, frame: Any, expectations: list[Any], pages: Path) -> None:
    """Validate a frame, renew the data docs, and stop at the first expectation that is not met."""
    # Great Expectations writes in place, and what a kill or a full disk leaves torn it cannot load ever after.
    with atomic_folder(pages) as renewed:
        if pages.exists():
            shutil.copytree(pages, renewed, dirs_exist_ok=True)
        failed = _failed(gate, frame, expectations, renewed)
    if failed:
        more = f" ({len(failed) - 1} more failed)" if len(failed) > 1 else ""
        raise GateFailed(
            f"gate '{gate}' failed: {_message(failed[0], frame)}{more}; see {pages / 'docs' / 'index.html'}"
        )


def _failed(gate: str, frame: Any, expectations: list[Any], pages: Path) -> list[Any]:
    """The outcomes of the expectations that are not met."""
    import great_expectations as gx

    context = _context(pages)
    batch = (
        context.data_sources.add_or_update_pandas("run")
        .add_dataframe_asset(gate)
        .add_batch_definition_whole_dataframe("all")
    )
    suite = context.suites.add_or_update(gx.ExpectationSuite(name=gate, expectations=expectations))
    validation = context.validation_definitions.add_or_update(
        gx.ValidationDefinition(name=gate, data=batch, suite=suite)
    )
    checkpoint = context.checkpoints.add_or_update(
        gx.Checkpoint(
            name=gate,
            validation_definitions=[validation],
            actions=[gx.checkpoint.UpdateDataDocsAction(name="docs")],
            result_format={
                "result_format": "SUMMARY",
                "unexpected_index_column_names": ["id"],
                "partial_unexpected_count": _SHOWN,
            },
        )
    )
    result = checkpoint.run(batch_parameters={"dataframe": frame})
    return [
        outcome
        for validated in result.run_results.values()
        for outcome in validated.results
        if not outcome.success
    ]


def _context(pages: Path) -> Any:
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
    import great_expectations as gx

    context = gx.get_context(mode="file", project_root_dir=pages.resolve())
    context.variables.progress_bars = {"globally": False, "metric_calculations": False}
    site = {
        "class_name": "SiteBuilder",
        "show_how_to_buttons": False,
        "store_backend": {"class_name": "TupleFilesystemStoreBackend", "base_directory": "../docs/"},
        "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"},
    }
    if context.get_config().data_docs_sites != {"docs": site}:
        context.variables.data_docs_sites = {"docs": site}
        context.variables.save()
    return context


def _message(outcome: Any, frame: Any) -> str:
    """What was expected, how many rows are not so, and the first of them."""
    settings = outcome.expectation_config
    subject = {
        name: value
        for name, value in settings.kwargs.items()
        if name not in ("batch_id", "ignore_row_if") and value is not None
    }
    told = ", ".join(f"{name} {value}" for name, value in subject.items())
    result = outcome.result or {}
    if "unexpected_count" in result:
        rows = [
            html.unescape(str(row["id"]))[:80] for row in result.get("partial_unexpected_index_list") or []
        ]
        more = ", ..." if result["unexpected_count"] > len(rows) else ""
        found = f"{result['unexpected_count']} of {len(frame)} rows fail: {', '.join(map(repr, rows))}{more}"
    elif "observed_value" in result:
        found = f"found {result['observed_value']}"
    else:
        problem = outcome.exception_info or {}
        found = " ".join(str(problem.get("exception_message") or problem).split())[:300]
    name = settings.type.removeprefix("expect_").replace("_", " ")
    return f"expected {name} ({told}); {found}"


def unique_ids(gxe: Any) -> list[Any]:
    """Expectations of a column of ids.

    Args:
        gxe: great_expectations.expectations, which is slow to import.
    """
    return [gxe.ExpectColumnValuesToNotBeNull(column="id"), gxe.ExpectColumnValuesToBeUnique(column="id")]
