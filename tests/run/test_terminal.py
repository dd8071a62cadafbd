import io
import re

import pytest
from rich.console import Console

from tasks.records import Stopped
from tasks.run.live import Live
from tasks.run.terminal import Plain, Silent, comparison, current, make_display, shown_on

HOSTILE = "prime \x1b[2J\x07 factor\r\n[bold red]x[/]"
INFO = {
    "documents": 86,
    "budget_documents": 300,
    "cost": 0.0123,
    "pairs": 412,
    "nll_before": 4.789,
    "nll": 4.655,
    "transport_heldout": 0.512,
    "clusters": [
        {
            "cluster": n,
            "terms": HOSTILE if n == 6 else f"terms {n}",
            "pulls": n,
            "pairs": 3 * n,
            "reward": n / 10,
        }
        for n in range(1, 8)
    ],
}
SUMMARY = {
    "strategy": "ucb-prior",
    "extracted_documents": 300,
    "tokens_read": 123456,
    "cost": 0.25,
    "pairs": 801,
    "transport_heldout": 0.5,
    "nll_before": 4.8,
    "nll_after": 4.5,
    "comparison": [
        {
            "strategy": "random",
            "documents": 299,
            "tokens": 120000,
            "cost": 0.24,
            "pairs": 400,
            "transport_heldout": 0.7,
            "nll": 4.75,
        }
    ],
}


def drive(display):
    with display:
        display.stage("read corpus")
        display.progress("documents", 1234)
        display.note(HOSTILE)
        for number in (1, 2):
            display.stage(f"extract, round {number}")
            display.round(number, 12, INFO)
        display.finish(comparison(SUMMARY), "runs/equal/first/report.html")


def test_plain_lines_without_control_codes_when_not_a_terminal():
    stream = io.StringIO()
    display = make_display(stream, "first", "ucb-prior")
    assert isinstance(display, Plain)
    drive(display)
    text = stream.getvalue()
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", text)
    lines = text.splitlines()
    assert lines[0] == "sluice first (ucb-prior)"
    assert lines[1] == "read corpus ..."
    assert (
        "round 2 of 12, documents 86 of 300, cost $0.0123, pairs 412, distance 0.512, student NLL 4.789 -> 4.655"
        in lines
    )
    assert lines[-1] == "report: runs/equal/first/report.html"
    table = lines[-5:-1]
    assert [line.split()[0] for line in table] == ["strategy", "ucb-prior", "random", "before"]
    assert table[3].split() == ["before", "training", "4.800"]
    assert table[1].split()[1:] == ["300", "123,456", "$0.250", "801", "0.500", "4.500"]
    assert len({len(line) for line in table}) == 1


def test_plain_lines_on_a_stream_that_knows_ascii_only():
    raw = io.BytesIO()
    with Plain(io.TextIOWrapper(raw, encoding="ascii"), "première") as display:
        display.stage("étape")
    assert raw.getvalue().decode("ascii").splitlines() == ["sluice premi?re", "?tape ..."]


def test_output_that_nobody_reads_any_more_stops_the_run_and_is_no_lost_service():
    class Closed(io.StringIO):
        def flush(self):
            raise BrokenPipeError(32, "Broken pipe")

    with pytest.raises(Stopped, match="nobody reads the output any more"):
        Plain(Closed()).stage("read corpus")


def terminal(**settings):
    return Console(file=io.StringIO(), force_terminal=True, width=100, color_system="standard", **settings)


def test_live_display_shows_where_the_run_stands_and_the_best_clusters():
    console = terminal()
    seconds = iter(range(0, 100000, 10))
    drive(Live(console, "first", "ucb-prior", clock=lambda: next(seconds)))
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", console.file.getvalue())
    for words in (
        "sluice first",
        "ucb-prior",
        "round 2 of 12",
        "86 of 300",
        "$0.0123",
        "412",
        "4.789 -> 4.655",
    ):
        assert words in text
    assert "terms 7" in text
    assert "terms 3" in text
    assert "terms 2" not in text  # sixth best
    assert "123,456" in text
    assert "runs/equal/first/report.html" in text


def test_live_display_neither_obeys_nor_styles_text_of_the_corpus():
    console = terminal()
    drive(Live(console, "first"))
    text = console.file.getvalue()
    assert "\x1b[2J" not in text
    assert "\x07" not in text
    assert "[bold red]x[/]" in text


def test_time_left_is_told_from_the_pace_of_the_rounds():
    now = [0.0]
    display = Live(terminal(), clock=lambda: now[0])
    display.round(1, 10, {})
    assert display.remaining() is None
    now[0] = 20.0
    display.round(3, 10, {})
    assert display.remaining() == 70.0
    now[0] = 25.0
    assert display.remaining() == 65.0


def test_cursor_is_shown_again_after_an_error():
    console = terminal()
    with pytest.raises(RuntimeError), Live(console):
        raise RuntimeError
    written = console.file.getvalue()
    assert written.rindex("\x1b[?25h") > written.rindex("\x1b[?25l")


def test_dumb_terminals_get_plain_lines(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setenv("TERM", "dumb")
    assert isinstance(make_display(Terminal()), Plain)
    monkeypatch.setenv("TERM", "xterm")
    assert isinstance(make_display(Terminal()), Live)


def test_current_display_lasts_as_long_as_its_block():
    assert isinstance(current(), Silent)
    display = Plain(io.StringIO())
    with shown_on(display):
        assert current() is display
    with pytest.raises(RuntimeError), shown_on(display):
        raise RuntimeError
    assert isinstance(current(), Silent)
    assert not isinstance(current(), Plain)


def test_a_run_without_training_or_comparison_finishes_with_what_it_has():
    stream = io.StringIO()
    with Plain(stream) as display:
        display.round(1, 2, {})
        display.finish(
            comparison({"strategy": "random", "extracted_documents": 3, "pairs": 0, "nll_after": None})
        )
    assert stream.getvalue().splitlines()[1:] == [
        "round 1 of 2",
        "strategy  documents  pairs",
        "random            3      0",
    ]


def test_what_rules_read_is_told_as_what_it_would_cost() -> None:
    stream = io.StringIO()
    Plain(stream).round(1, 2, {"documents": 3, "cost": 0.5, "free": True})
    assert stream.getvalue() == "round 1 of 2, documents 3, would cost $0.500\n"
    assert "would cost" in comparison({**SUMMARY, "extractor": "rules"})[0]
    assert "cost" in comparison({**SUMMARY, "extractor": "llm"})[0]


def test_a_round_of_training_shows_its_budget_and_its_loss() -> None:
    stream = io.StringIO()
    Plain(stream).round(3, 12, {"pairs": 1200, "budget_pairs": 5000, "loss": 2.34567})
    assert stream.getvalue() == "round 3 of 12, pairs 1,200 of 5,000, loss 2.346\n"
