"""What a person sees while a run works: a live display on a terminal, plain lines anywhere else."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Protocol, TextIO

from tasks.records import Stopped


class Display(Protocol):
    """Told what a run does; a context manager, so that the terminal is restored whatever happens.

    `info` of a round may hold: documents, budget_documents, cost, free (nothing is paid: the cost is what it would be),
    pairs, budget_pairs, loss, nll_before, nll,
    transport_heldout, and clusters, a list of {cluster, terms, pulls, pairs, reward}. What is absent is not shown.
    """

    def stage(self, name: str) -> None: ...

    def progress(self, what: str, done: int) -> None: ...

    def round(self, number: int, of: int, info: Mapping[str, Any]) -> None: ...

    def note(self, text: str) -> None: ...

    def finish(self, rows: Sequence[Sequence[str]], report: str = "") -> None:
        """Show a table, its heading first, and where the report is."""

    def __enter__(self) -> Display: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Silent:
    """Shows nothing: what a flow tells when nobody looks, as under a worker."""

    def stage(self, name: str) -> None:
        pass

    def progress(self, what: str, done: int) -> None:
        pass

    def round(self, number: int, of: int, info: Mapping[str, Any]) -> None:
        pass

    def note(self, text: str) -> None:
        pass

    def finish(self, rows: Sequence[Sequence[str]], report: str = "") -> None:
        pass

    def __enter__(self) -> Silent:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass


class Plain(Silent):
    """One line per stage, round and note; no control codes, nothing overwritten."""

    def __init__(self, stream: TextIO, run: str = "", strategy: str = "") -> None:
        self._stream = stream
        self._header = " ".join(word for word in ("sluice", run, f"({strategy})" if strategy else "") if word)

    def stage(self, name: str) -> None:
        self._write(f"{name} ...")

    def round(self, number: int, of: int, info: Mapping[str, Any]) -> None:
        self._write(
            ", ".join([f"round {number} of {of}", *(f"{name} {value}" for name, value in figures(info))])
        )

    def note(self, text: str) -> None:
        self._write(text)

    def finish(self, rows: Sequence[Sequence[str]], report: str = "") -> None:
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        for row in rows:
            first, *rest = zip(row, widths, strict=True)
            self._write("  ".join([first[0].ljust(first[1]), *(text.rjust(width) for text, width in rest)]))
        if report:
            self._write(f"report: {report}")

    def __enter__(self) -> Plain:
        self._write(self._header)
        return self

    def _write(self, line: str) -> None:
        encoding = getattr(self._stream, "encoding", None) or "utf-8"
        try:
            self._stream.write(one_line(line).encode(encoding, "replace").decode(encoding) + "\n")
            self._stream.flush()
        except BrokenPipeError:  # no service of ours went away
            raise Stopped("nobody reads the output any more; send it to a file, and resume") from None


def make_display(
    stream: TextIO, run: str = "", strategy: str = "", clock: Callable[[], float] = time.monotonic
) -> Display:
    """The live display if `stream` is a terminal that can move its cursor, plain lines otherwise."""
    if stream.isatty():
        from rich.console import Console

        from tasks.run.live import Live

        console = Console(file=stream)
        if console.is_terminal and not console.is_dumb_terminal:
            return Live(console, run, strategy, clock)
    return Plain(stream, run, strategy)


_shown: list[Display] = [Silent()]


def current() -> Display:
    """The display that `shown_on` set last; one that shows nothing otherwise."""
    return _shown[-1]


@contextmanager
def shown_on(display: Display) -> Iterator[Display]:
    """While this lasts, `current()` is `display`, in every thread of the process."""
    _shown.append(display)
    try:
        yield display
    finally:
        _shown.remove(display)


def figures(info: Mapping[str, Any]) -> list[tuple[str, str]]:
    """A round's figures as (name, text), those that are there."""
    found = []
    if info.get("documents") is not None:
        budget = info.get("budget_documents")
        found.append(("documents", f"{info['documents']:,}" + (f" of {budget:,}" if budget else "")))
    if info.get("cost") is not None:
        found.append((_cost(bool(info.get("free"))), dollars(info["cost"])))
    if info.get("pairs") is not None:
        budget = info.get("budget_pairs")
        found.append(("pairs", f"{info['pairs']:,}" + (f" of {budget:,}" if budget else "")))
    if info.get("transport_heldout") is not None:
        found.append(("distance", f"{info['transport_heldout']:.3f}"))
    if info.get("loss") is not None:
        found.append(("loss", f"{info['loss']:.3f}"))
    if info.get("nll") is not None:
        before = info.get("nll_before")
        found.append(
            ("student NLL", (f"{before:.3f} -> " if before is not None else "") + f"{info['nll']:.3f}")
        )
    return found


def comparison(summary: Mapping[str, Any]) -> list[list[str]]:
    """The run beside the strategies it was compared with and the student as it was: a heading and a row each; columns without values left out."""
    mine = {**summary, "documents": summary.get("extracted_documents"), "tokens": summary.get("tokens_read")}
    mine["nll"] = summary.get("nll_after")
    columns: list[tuple[str, str, Callable[[Any], str]]] = [
        ("strategy", "strategy", one_line),
        ("documents", "documents", "{:,}".format),
        ("tokens", "tokens", "{:,}".format),
        (_cost(summary.get("extractor") == "rules"), "cost", dollars),
        ("pairs", "pairs", "{:,}".format),
        ("distance", "transport_heldout", "{:.3f}".format),
        ("student NLL", "nll", "{:.3f}".format),
    ]
    runs = [mine, *(summary.get("comparison") or [])]
    if mine["nll"] is not None and summary.get("nll_before") is not None:
        runs.append({"strategy": "before training", "nll": summary["nll_before"]})
    columns = [column for column in columns if any(run.get(column[1]) is not None for run in runs)]
    rows = [[title for title, _, _ in columns]]
    rows += [[text(run[key]) if run.get(key) is not None else "" for _, key, text in columns] for run in runs]
    return rows


def _cost(free: bool) -> str:
    return "would cost" if free else "cost"


def dollars(amount: float) -> str:
    """An amount with as many decimals as it needs for two or three figures."""
    bounds = ((1, 2), (0.1, 3), (0.001, 4))
    decimals = 2 if amount == 0 else next((digits for bound, digits in bounds if amount >= bound), 6)
    return f"${amount:,.{decimals}f}"


def one_line(text: Any) -> str:
    """Text from a corpus can hold anything: nothing of it may move the cursor or break the line."""
    return "".join(
        character if character.isprintable() else " " for character in str(text).replace("\t", " ")
    )
