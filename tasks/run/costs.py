"""The cost ledger of a run: a line per stage of a round, readable after a crash at any moment."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tasks.records import BadInput
from tasks.storage.tables import write_text

COUNTS = (
    "documents",
    "tokens",
    "cached_documents",
    "pairs",
    "requests",
    "retries",
    "tokens_sent",
    "tokens_cached",
    "tokens_answered",
)
AMOUNTS = ("cost", "cost_paid")


class Ledger:
    """costs.jsonl: one JSON object per line, whole lines only.

    A line has the round, the stage, and the figures of COUNTS and AMOUNTS: `tokens` are the documents' own; `cost` is what
    reading them costs (US dollars), or would cost where rules read them, `cost_paid` what this run paid: nothing for rules
    and for replies that are known; `requests` to a model were answered and paid, after `retries` that came to nothing, with `tokens_sent` (of which `tokens_cached` by the server)
    and `tokens_answered`.

    One process writes a ledger at a time, the one that runs the flow; any number may read it.

    Args:
        path: the ledger's file; made at the first line.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, round: int, stage: str, **figures: float) -> None:
        """Add a line; it is on disk when this returns.

        Args:
            figures: of COUNTS and AMOUNTS; 0 for those that are not given.

        Raises:
            TypeError: a figure has another name.
        """
        row = {"round": round, "stage": stage, **dict.fromkeys(COUNTS, 0), **dict.fromkeys(AMOUNTS, 0.0)}
        if unknown := figures.keys() - row.keys():
            raise TypeError(f"no figures of the ledger: {', '.join(sorted(unknown))}")
        row.update(figures)
        self._repair()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            # One write of one whole line: a reader sees it whole, or as a last line without its end.
            line = _line(row).encode()
            if os.write(handle, line) < len(line):  # what was written of it is cut off before the next
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))
            os.fsync(handle)
        finally:
            os.close(handle)

    def rows(self) -> list[dict[str, Any]]:
        """The whole lines, in the order they were written; a half-written last line is left out.

        Raises:
            BadInput: a line before the last is not a JSON object.
        """
        rows = []
        for number, line in enumerate(self._whole_lines().splitlines(), start=1):
            try:
                row = json.loads(line)
            except ValueError:
                row = None
            if not isinstance(row, dict):
                raise BadInput(
                    f"{self.path.name}:{number}: not a line of the cost ledger; remove the line and resume"
                )
            rows.append(row)
        return rows

    def replace_round(self, round: int) -> None:
        """Forget a round's lines, because the round is about to run again."""
        rows = self.rows()
        kept = [row for row in rows if row.get("round") != round]
        if len(kept) < len(rows):
            write_text(self.path, "".join(_line(row) for row in kept))

    def by_stage(self) -> dict[str, dict[str, float]]:
        """Sums of every count and amount per stage, in order of first appearance."""
        sums: dict[str, dict[str, float]] = {}
        for row in self.rows():
            stage = sums.setdefault(row["stage"], dict.fromkeys((*COUNTS, *AMOUNTS), 0))
            for name in stage:
                stage[name] += row.get(name, 0)  # a line of an earlier version has fewer
        return sums

    def _whole_lines(self) -> str:
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            return ""
        return content[: content.rfind(b"\n") + 1].decode("utf-8", errors="replace")

    def _repair(self) -> None:
        """Cut off a line that a crash left without its end, so that the next line does not grow out of it."""
        content = self.path.read_bytes() if self.path.exists() else b""
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            os.truncate(self.path, whole)


def _line(row: Mapping[str, Any]) -> str:
    return json.dumps(row, ensure_ascii=False) + "\n"
