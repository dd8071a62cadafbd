"""The corpus where looks deceive: sites that hide their solutions or sell health, and pages that are left alone."""

from __future__ import annotations

from typing import Any

import pytest

from tasks.extract.extractor import make_extractor
from tasks.records import Document
from tests.bench.deceptive import HIDDEN, MATHEMATICS, OPEN, SITES, SPONSORED, deceive

PROBLEMS = "\n\n".join(
    f"Problem: What is {n} plus {n}, worked out?\nSolution: The sum is {2 * n}." for n in range(5, 9)
)
HEALTH = [(f"What helps\nagainst ailment {n}?", f"Rest and tea number {n}, " * 40) for n in range(1000)]


def pairs(page: dict[str, Any]) -> list[tuple[str, str]]:
    found = make_extractor("rules").extract(Document(page["id"], page["text"])).pairs
    return [(pair.question, pair.answer) for pair in found]


@pytest.fixture(scope="module")
def by_kind() -> dict[str, list[dict[str, Any]]]:
    pages = [{"id": f"page {n}", "source": MATHEMATICS[n % 2], "text": PROBLEMS} for n in range(60)]
    found: dict[str, list[dict[str, Any]]] = {OPEN: [], HIDDEN: [], SPONSORED: []}
    for page in deceive(pages, HEALTH):
        kind = next(kind for name, kind, *_ in SITES if page["text"].startswith(name))
        found[kind].append(page)
    return found


def test_open_sites_show_what_the_page_had(by_kind: dict[str, list[dict[str, Any]]]) -> None:
    assert len(by_kind[OPEN]) > 10
    for page in by_kind[OPEN]:
        assert pairs(page) == pairs({**page, "text": PROBLEMS})


def test_hidden_solutions_give_no_pairs(by_kind: dict[str, list[dict[str, Any]]]) -> None:
    assert len(by_kind[HIDDEN]) > 10
    assert [pairs(page) for page in by_kind[HIDDEN]] == [[]] * len(by_kind[HIDDEN])
    assert all("What is 5 plus 5" in page["text"] for page in by_kind[HIDDEN])


def test_sponsored_sites_give_pairs_about_health_alone(by_kind: dict[str, list[dict[str, Any]]]) -> None:
    assert len(by_kind[SPONSORED]) > 10
    questions = [question for page in by_kind[SPONSORED] for question, _ in pairs(page)]
    assert len(questions) == 3 * len(by_kind[SPONSORED]) == len(set(questions))
    assert all("ailment" in question for question in questions)


def test_other_pages_stay_as_they_are() -> None:
    page = {"id": "x", "source": "us_history", "text": PROBLEMS}
    assert list(deceive([page], HEALTH)) == [page]
