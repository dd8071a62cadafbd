"""Rounds of visits and what is selected of them, with scores that the tests make up."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tasks.prepare.documents import CORPUS
from tasks.quad import finish, neighbours, rounds
from tasks.quad import plan as plan_of
from tasks.quad import visits as visits_of
from tasks.quad.settings import QuadSettings
from tasks.records import BadInput
from tasks.select.lsa import unit_rows
from tasks.storage.arrays import save_array
from tasks.storage.tables import CORPUS as SCHEMA
from tasks.storage.tables import read_rows, write_json, write_table

SIZES = [30, 3, 12, 25, 1]
DOCUMENTS = sum(SIZES)
LABELS = np.repeat(np.arange(len(SIZES)), SIZES)
MEANS = [0.0, 2.0, -1.0, 1.0, 3.0]
TOKENS = [10 + row % 5 for row in range(DOCUMENTS)]
FACTS = {"documents": DOCUMENTS, "tokens": sum(TOKENS)}


def score_of(text: str) -> float:
    row = int(text.split()[1])
    return MEANS[LABELS[row]] + 0.1 * float(np.sin(row))


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run's folder with five clusters, of which the small ones are the best."""
    asked: list[str] = []

    def scored(texts: list[str], **named: Any) -> Iterator[float]:
        asked.extend(texts)
        assert len(set(asked)) == len(asked)  # nothing is scored twice
        return iter([score_of(text) for text in texts])

    monkeypatch.setattr(visits_of, "score_documents", scored)
    rows = (
        {"id": f"d{row}", "text": f"text {row}", "source": "s", "tokens": TOKENS[row]}
        for row in range(DOCUMENTS)
    )
    write_table(tmp_path / CORPUS, rows, SCHEMA)
    save_array(tmp_path / "stages/labels.npy", LABELS)
    random = np.random.default_rng(1)
    vectors = unit_rows(np.eye(len(SIZES), 8)[LABELS] + 0.05 * random.normal(size=(DOCUMENTS, 8)))
    save_array(tmp_path / "vectors.npy", vectors)
    save_array(tmp_path / "stages/reference.npy", unit_rows(random.normal(size=(4, 8))))
    save_array(tmp_path / "stages/centroids.npy", unit_rows(np.random.default_rng(0).normal(size=(5, 8))))
    write_json(tmp_path / "stages/terms.json", [[f"term{number}"] for number in range(5)])
    return tmp_path


@pytest.fixture
def settings() -> Callable[..., QuadSettings]:
    def make(**changes: Any) -> QuadSettings:
        paper: dict[str, Any] = {"strategy": "neighbours", "buy": "blocks", "tau_quantile": 0.7}
        given = {"visits": 2, "block": 3, "budget": 0.25, "scored": 1.0, **paper, **changes}
        return QuadSettings(corpus=["c"], reference="r", **given)

    return make


def all_rounds(run: Path, settings: QuadSettings) -> dict[str, Any]:
    so_far = rounds.nothing_yet(run, settings, FACTS)
    while plan := plan_of.next_round(settings, FACTS, so_far):
        so_far = rounds.visit(run, settings, plan, clusters={}, curvature={"mark": ""}, before=so_far)
    return so_far


def selected(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "selected.jsonl").read_text().splitlines()]


def test_the_best_clusters_are_bought_and_what_is_bought_was_scored(run: Path, settings: Any) -> None:
    own = settings()
    last = all_rounds(run, own)
    facts = finish.select(run, own, corpus=FACTS, last=last)
    scores = {row["document_id"]: row for row in read_rows(run / "scores.parquet")}
    rows = selected(run)
    assert facts["documents"] == len(rows)
    assert facts["filled"] == 0
    assert all(scores[row["id"]]["score"] == row["score"] for row in rows)
    assert all(scores[row["id"]]["bought"] for row in rows)
    assert np.mean([row["score"] for row in rows]) > 0.8
    assert {row["cluster"] for row in rows} <= {0, 1, 3, 4}
    assert {1, 4} & {row["cluster"] for row in rows}  # small clusters can be chosen
    assert last["scored"] == len(scores) < DOCUMENTS
    assert 0.2 * FACTS["tokens"] < facts["tokens"] <= 0.25 * FACTS["tokens"] + 1


def test_every_visit_is_a_row_with_its_interval_and_its_threshold(run: Path, settings: Any) -> None:
    own = settings()
    last = all_rounds(run, own)
    finish.select(run, own, corpus=FACTS, last=last)
    visits = read_rows(run / "arms.parquet")
    scores = read_rows(run / "scores.parquet")
    assert sum(visit["documents"] for visit in visits) == len(scores)
    for visit in visits:
        assert visit["reward"] == pytest.approx(visit["mean"] - visit["tau"])
        assert visit["low"] <= visit["high"]
        assert visit["size"] == SIZES[visit["cluster"]]
    for visit in visits_of.all_visits(run, last["number"]):  # in its round
        assert visit["bought"] == (visit["documents"] if visit["reward"] > 0 else 0)


def test_bought_is_in_the_end_what_is_selected(run: Path, settings: Any) -> None:
    own = settings(budget=0.1)
    last = all_rounds(run, own)
    facts = finish.select(run, own, corpus=FACTS, last=last)
    assert facts["documents"] < last["bought"]  # the last round found more than the budget pays
    scores, visits = (read_rows(run / name) for name in ("scores.parquet", "arms.parquet"))
    assert {row["id"] for row in selected(run)} == {row["document_id"] for row in scores if row["bought"]}
    assert sum(visit["bought"] for visit in visits) == facts["documents"]
    seen: list[dict[str, Any]] = []
    for number in range(1, last["number"] + 1):
        seen += [row for row in scores if row["round"] == number]
        (tau,) = {visit["tau"] for visit in visits if visit["round"] == number}
        clusters = np.array([row["cluster"] for row in seen])
        wanted = neighbours.threshold(
            np.array([row["score"] for row in seen]), clusters, np.array(SIZES), own.tau_quantile
        )
        assert tau == pytest.approx(wanted)


def test_the_threshold_is_the_corpus_quantile_however_uneven_the_visits_are() -> None:
    random = np.random.default_rng(0)
    sizes = np.array([4000, 1000])
    scores = [random.normal(0, 1, 4000), random.normal(3, 1, 1000)]
    wanted = np.quantile(np.concatenate(scores), 0.7)
    taken = [scores[0][:200], scores[1][:800]]  # the good cluster was visited most
    clusters = np.repeat([0, 1], [200, 800])
    found = neighbours.threshold(np.concatenate(taken), clusters, sizes, 0.7)
    assert found == pytest.approx(wanted, abs=0.15)
    assert np.quantile(np.concatenate(taken), 0.7) > wanted + 1


def test_an_interval_with_the_threshold_inside_takes_another_block(run: Path, settings: Any) -> None:
    own = settings(more_blocks=3, confidence=0.99999)
    plan = {"number": 1, "visits": 5, "documents": DOCUMENTS, "tau_quantile": 0.7, "budget": 10**6}
    before = rounds.nothing_yet(run, own, FACTS)
    rounds.visit(run, own, plan, clusters={}, curvature={"mark": ""}, before=before)
    documents = {
        visit["cluster"]: visit["documents"] for visit in read_rows(run / "rounds/001/visits.parquet")
    }
    assert documents[1] == 3  # all there are
    assert documents[4] == 1
    assert max(documents.values()) == 12  # so unsure that no block tells


def test_a_budget_that_good_visits_do_not_reach_is_filled_with_the_best_of_the_others(
    run: Path, settings: Any
) -> None:
    own = settings(budget=0.9, visits=5)
    last = all_rounds(run, own)
    assert last["left"] == 0
    facts = finish.select(run, own, corpus=FACTS, last=last)
    assert facts["filled"] > 0
    assert facts["tokens"] > 0.85 * FACTS["tokens"]
    assert len({row["id"] for row in selected(run)}) == facts["documents"]


def test_no_more_are_scored_than_may_be(run: Path, settings: Any) -> None:
    own = settings(budget=1.0, scored=0.3)
    last = all_rounds(run, own)
    assert 0.3 * DOCUMENTS <= last["scored"] < 0.3 * DOCUMENTS + own.block


def test_a_budget_in_tokens_wins(run: Path, settings: Any) -> None:
    own = settings(budget_tokens=40)
    facts = finish.select(run, own, corpus=FACTS, last=all_rounds(run, own))
    assert facts["tokens"] <= 40
    assert facts["documents"] >= 2


@pytest.mark.parametrize("strategy", ["linucb", "neighbours"])
@pytest.mark.parametrize("budget", [10, 12, 41])
def test_a_budget_is_never_passed_and_documents_dearer_than_all_of_it_are_not_scored(
    run: Path, settings: Any, strategy: str, budget: int
) -> None:
    own = settings(strategy=strategy, budget_tokens=budget, scored=None)
    last = all_rounds(run, own)
    facts = finish.select(run, own, corpus=FACTS, last=last)
    assert 10 <= facts["tokens"] <= budget
    assert facts["documents"] == len(selected(run)) >= 1
    scored = [row["tokens"] for row in read_rows(run / "scores.parquet")]
    assert max(scored) <= budget
    if strategy == "linucb":
        assert len(scored) == (14 if budget == 41 else 12)  # four times the budget, but twelve at least


def test_a_budget_that_no_document_fits_is_refused(run: Path, settings: Any) -> None:
    for given, flag in (({"budget_tokens": 9}, "--budget-tokens"), ({"budget": 0.01}, "--budget 0.01")):
        with pytest.raises(
            BadInput, match=rf"{flag}: \d tokens, and the shortest document has 10; give more"
        ):
            rounds.nothing_yet(run, settings(**given), FACTS)


def test_a_selection_below_the_budget_says_why(run: Path, settings: Any) -> None:
    own = settings(strategy="linucb", budget=0.5, scored=0.1)
    facts = finish.select(run, own, corpus=FACTS, last=all_rounds(run, own))
    tokens, budget = facts["tokens"], round(0.5 * FACTS["tokens"])
    assert facts["documents"] == 8
    said = "all that was scored is selected; raise --scored"
    assert facts["short"] == f"{tokens} of the budget's {budget} tokens: {said}"
    rows = [{"tokens": 10}, {"tokens": 30}]
    assert finish._short(rows, 2, 0, 42) is None
    assert (
        finish._short(rows, 2, 0, 100)
        == "40 of the budget's 100 tokens: all documents that fit it are selected"
    )
    assert "none of the other documents that were scored fits" in str(finish._short(rows, 3, 5, 45))


def test_linucb_goes_on_after_every_document_that_fits_is_scored(run: Path, settings: Any) -> None:
    own = settings(strategy="linucb", budget_tokens=12, scored=1.0)
    last = all_rounds(run, own)
    assert last["left"] == 0
    assert last["scored"] == sum(tokens <= 12 for tokens in TOKENS)


def test_documents_are_bought_by_their_own_score_where_it_is_asked_for(run: Path, settings: Any) -> None:
    own = settings(buy="documents")
    last = all_rounds(run, own)
    facts = finish.select(run, own, corpus=FACTS, last=last)
    scores = read_rows(run / "scores.parquet")
    tau = {visit["round"]: visit["tau"] for visit in read_rows(run / "arms.parquet")}
    assert all(row["bought"] == (row["score"] > tau[row["round"]]) for row in scores)
    bought = [row["document_id"] for row in scores if row["bought"]]
    assert [row["id"] for row in selected(run)][: len(bought)] == bought[: facts["documents"]]
    assert {visit["bought"] for visit in read_rows(run / "arms.parquet")} - {0, 3, 6}  # parts of blocks


def test_the_threshold_that_is_not_given_has_twice_the_budget_above_it(settings: Any) -> None:
    before = {"scored": 0, "bought_tokens": 0, "left": DOCUMENTS, "number": 0}
    for budget, quantile in ((0.05, 0.9), (0.1, 0.8), (0.6, 0.5)):
        plan = plan_of.next_round(settings(budget=budget, tau_quantile=None), FACTS, before)
        assert plan is not None
        assert plan["tau_quantile"] == pytest.approx(quantile, abs=0.01)


# --- linucb


def test_linucb_learns_where_the_best_documents_are_and_takes_the_best_of_what_it_scored(
    run: Path, settings: Any
) -> None:
    own = settings(strategy="linucb", budget=0.2, scored=0.5)
    last = all_rounds(run, own)
    facts = finish.select(run, own, corpus=FACTS, last=last)
    scores = read_rows(run / "scores.parquet")
    assert last["scored"] == len(scores) == -(-DOCUMENTS // 2)
    assert last["number"] >= 12
    rows, bought = selected(run), {row["document_id"] for row in scores if row["bought"]}
    assert {row["id"] for row in rows} == bought
    assert min(row["score"] for row in rows) >= max(row["score"] for row in scores if not row["bought"])
    assert facts["tokens"] <= 0.2 * FACTS["tokens"] + 1
    assert facts["filled"] == 0
    # Of half the documents, all of the three good clusters, which hold two fifths.
    counts = np.bincount([row["cluster"] for row in scores], minlength=5)
    assert counts[1] == 3
    assert counts[4] == 1
    assert counts[3] > 20


def test_visits_of_linucb_say_what_was_bought_in_the_end_and_what_is_expected_of_the_whole_cluster(
    run: Path, settings: Any
) -> None:
    own = settings(strategy="linucb", budget=0.2, scored=0.5)
    finish.select(run, own, corpus=FACTS, last=all_rounds(run, own))
    visits, scores = read_rows(run / "arms.parquet"), read_rows(run / "scores.parquet")
    assert sum(visit["documents"] for visit in visits) == len(scores)
    assert sum(visit["bought"] for visit in visits) == sum(row["bought"] for row in scores)
    for cluster in set(LABELS.tolist()):
        last = [visit for visit in visits if visit["cluster"] == cluster][-1:]
        for visit in last:
            truth = np.mean([score_of(f"text {row}") for row in np.flatnonzero(cluster == LABELS)])
            assert visit["low"] - 0.3 <= truth <= visit["high"] + 0.3
            assert visit["size"] == SIZES[cluster]


def test_a_round_of_linucb_writes_what_is_new_alone(run: Path, settings: Any) -> None:
    last = all_rounds(run, settings(strategy="linucb", budget=0.2, scored=0.5))
    for number in range(1, last["number"] + 1):
        files = {path.name for path in (run / f"rounds/{number:03d}").iterdir()}
        assert files == {"scores.parquet", "visits.parquet"}
    visits = read_rows(run / "rounds/012/visits.parquet")
    earlier = [
        row for number in range(1, 12) for row in read_rows(run / f"rounds/{number:03d}/visits.parquet")
    ]
    for visit in visits:
        assert visit["visits"] == 1 + sum(row["cluster"] == visit["cluster"] for row in earlier)


def test_linucb_scores_four_times_the_budget_by_default(settings: Any) -> None:
    for strategy, budget, share in (("linucb", 0.05, 0.2), ("linucb", 0.5, 1.0), ("neighbours", 0.05, 0.5)):
        own = settings(strategy=strategy, budget=budget, scored=None)
        assert plan_of.documents_to_score(own, FACTS) == pytest.approx(share * DOCUMENTS, abs=2)


def test_what_does_not_fit_a_budget_is_passed_over_until_it_is_nearly_full() -> None:
    rows = [{"tokens": tokens, "score": score} for tokens, score in ((5, 1.0), (4, 3.0), (3, 2.0))]
    for budget, wanted in ((8, [3.0, 2.0]), (7, [3.0, 2.0]), (6, [3.0]), (3, [2.0]), (2, [])):
        assert [row["score"] for row in visits_of.affordable(rows, budget)] == wanted
    order = [{"tokens": tokens} for tokens in (96, 5, 4)]
    assert visits_of.within(order, 100) == order[:1]
    assert visits_of.within(order, 105) == order
    assert visits_of.within([{"tokens": 94}, {"tokens": 7}, {"tokens": 4}], 100) == [
        {"tokens": 94},
        {"tokens": 4},
    ]
