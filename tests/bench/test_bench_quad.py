"""What Quad's benchmarks share: scores of all documents as the product makes them, looked up in the rounds."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pytest

from tasks.prepare.student import model_path
from tasks.quad import curvature, rounds
from tasks.quad.plan import next_round
from tasks.quad.scoring import score_documents
from tasks.storage.arrays import load_array
from tasks.storage.tables import read_column, read_rows
from tests.bench import quad_corpora, targets
from tests.bench.prepared import place_of

WORDS = [
    "salt",
    "pepper",
    "flour",
    "sugar",
    "butter",
    "boil",
    "bake",
    "stir",
    "mix",
    "add",
    "cook",
    "pan",
    "oven",
    "bowl",
    "spoon",
]


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> argparse.Namespace:
    random = np.random.default_rng(0)

    def text() -> str:
        return " ".join(random.choice(WORDS, 30))

    with pytest.MonkeyPatch.context() as context:
        pages = [{"id": f"p{row}", "text": text(), "source": "cooking"} for row in range(40)]
        pairs = [{"question": f"How to {text()}?", "answer": text()} for _ in range(12)]
        context.setattr(targets, "mixed", lambda: (pages, []))
        context.setitem(targets.MAKERS, "gsm8k", lambda: (pairs[:6], pairs[6:]))
        words = ["--documents", "36", "--student", "32x1x500", "--seeds", "0", "--budgets", "0.3"]
        own = quad_corpora.parser("quad", "").parse_args(words)
        own.out = tmp_path_factory.mktemp("bench")
        quad_corpora.write_inputs(own)
    return own


@pytest.mark.parametrize("score", ["cosine", "influence"])
def test_scores_that_are_looked_up_are_those_that_a_run_would_make(
    given: argparse.Namespace, score: str, tmp_path: Path
) -> None:
    at, facts = quad_corpora.prepared(given, 0)
    own = quad_corpora.settings_of(given, 0, 0.3).model_copy(update={"score": score})
    made = list(
        score_documents(
            read_column(at / "stages/corpus.parquet", "text").tolist(),
            models=[(model_path(at, "tiny"), str(curvature.direction_path(at, 0)))],
            student="tiny",
            mark="",
            score=score,
            sequence_tokens=own.sequence_tokens,
            batch_tokens=own.batch_tokens,
        )
    )
    assert np.asarray(load_array(quad_corpora.scores_path(at, score))) == pytest.approx(
        np.array(made), rel=1e-3
    )
    place = place_of(at, f"looked-up-{score}")
    with quad_corpora.known_scores(at, score):
        so_far = rounds.nothing_yet(place, own, facts["corpus"])
        plan = next_round(own, facts["corpus"], so_far)
        assert plan is not None
        rounds.visit(place, own, plan, clusters={}, curvature={"mark": ""}, before=so_far)
    for row in read_rows(place / "rounds/001/scores.parquet"):
        assert row["score"] == pytest.approx(made[row["row"]], rel=1e-3)


def test_every_strategy_keeps_the_budget(given: argparse.Namespace) -> None:
    at, facts = quad_corpora.prepared(given, 0)
    own = quad_corpora.settings_of(given, 0, 0.3)
    found = {
        name: quad_corpora.select(at, place_of(at, name), own, name, facts["corpus"])
        for name in ("random", "similarity", "quad", "full cosine", "full influence")
    }
    budget = 0.3 * facts["corpus"]["tokens"]
    assert all(0 < one["selected_tokens"] <= budget for one in found.values())
    assert [one["scored"] for one in found.values()][:2] == [0, 0]
    assert 0 < found["quad"]["scored"] <= found["full influence"]["scored"] == facts["corpus"]["documents"]
