"""The live display: where the run stands, what it found so far, how long the rounds will take."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any

from rich import box, live
from rich.console import Console, Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from tasks.run.terminal import figures, one_line

_TOP = 5  # clusters shown


class Live:
    """Redraws a few lines in place with rich.

    Args:
        console: where to draw.
        run, strategy: for the header.
        clock: seconds; for the time the rounds will take.
    """

    def __init__(
        self, console: Console, run: str = "", strategy: str = "", clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._console, self._clock = console, clock
        self._run, self._strategy = one_line(run), one_line(strategy)
        self._began = clock()
        self._stage, self._detail = "", ""
        self._number, self._of = 0, 0
        self._info: Mapping[str, Any] = {}
        self._first: tuple[int, float] | None = None
        self._latest: tuple[int, float] | None = None
        self._live = live.Live(get_renderable=self._draw, console=console, refresh_per_second=4)

    def stage(self, name: str) -> None:
        self._stage, self._detail = one_line(name), ""

    def progress(self, what: str, done: int) -> None:
        self._detail = f"{one_line(what)} {done:,}"

    def round(self, number: int, of: int, info: Mapping[str, Any]) -> None:
        self._number, self._of, self._info = number, of, info
        self._latest = (number, self._clock())
        self._first = self._first or self._latest

    def note(self, text: str) -> None:
        self._console.print(Text(one_line(text), style="dim"))

    def finish(self, rows: Sequence[Sequence[str]], report: str = "") -> None:
        self._stage = self._detail = ""
        self._live.stop()
        heading, *lines = rows
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        for column, title in enumerate(heading):
            table.add_column(title, justify="right" if column else "left", no_wrap=True)
        for number, row in enumerate(lines):
            table.add_row(*map(Text, row), style="bold" if number == 0 else "")
        self._console.print(table)
        if report:
            self._console.print(
                Text.assemble(("report  ", "dim"), (one_line(report), "cyan")), soft_wrap=True
            )

    def __enter__(self) -> Live:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def _draw(self) -> RenderableType:
        parts: list[RenderableType] = [self._header()]
        if self._of:
            parts.append(self._rounds())
        if self._info:
            parts.append(self._figures())
        if self._info.get("clusters"):
            parts.append(self._clusters())
        if self._stage:
            detail = f"  {self._detail}" if self._detail else ""
            parts.append(
                Text.assemble(("> ", "cyan"), self._stage, (detail, "dim"), overflow="ellipsis", no_wrap=True)
            )
        return Group(*parts)

    def _header(self) -> RenderableType:
        elapsed = _clock_text(self._clock() - self._began)
        line = Text.assemble(("sluice ", "bold cyan"), (self._run, "bold"), no_wrap=True, overflow="ellipsis")
        if self._strategy:
            line.append(f"  {self._strategy}", style="dim")
        line.append(f"  {elapsed}", style="dim")
        return line

    def _rounds(self) -> RenderableType:
        grid = Table.grid(padding=(0, 2))
        left = self.remaining()
        grid.add_row(
            ProgressBar(total=self._of, completed=self._number, width=min(40, self._console.width // 3)),
            Text(f"round {self._number} of {self._of}"),
            Text("" if left is None else f"about {_clock_text(left)} left", style="dim"),
        )
        return grid

    def remaining(self) -> float | None:
        """Seconds that the other rounds will take at the pace so far; None until two rounds were seen."""
        if not self._first or not self._latest or self._latest[0] <= self._first[0]:
            return None
        pace = (self._latest[1] - self._first[1]) / (self._latest[0] - self._first[0])
        return max(0.0, pace * (self._of - self._number) - (self._clock() - self._latest[1]))

    def _figures(self) -> RenderableType:
        line = Text(no_wrap=False)
        for name, value in figures(self._info):
            line.append(f"{name} ", style="dim").append(value, style="bold").append("   ")
        return line

    def _clusters(self) -> RenderableType:
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="dim", expand=False)
        table.add_column("cluster", justify="right")
        table.add_column("about", no_wrap=True, overflow="ellipsis", max_width=44)
        for title in ("pulls", "pairs", "reward"):
            table.add_column(title, justify="right")
        rows = [row for row in self._info["clusters"] if row.get("reward") is not None]
        for row in sorted(rows, key=lambda row: -row["reward"])[:_TOP]:
            table.add_row(
                str(row["cluster"]),
                Text(one_line(row.get("terms") or "")),
                f"{row.get('pulls') or 0:,}",
                f"{row.get('pairs') or 0:,}",
                f"{row['reward']:.3f}",
            )
        return table


def _clock_text(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
