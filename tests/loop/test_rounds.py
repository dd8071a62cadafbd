"""Stages of the loop over a run's folder: what a strategy knows, which space it sees, how far a choice is bound by it."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from example_corpus import write_corpus

from tasks.loop import alignment, rounds
from tasks.loop.settings import EqualSettings
from tasks.loop.space import document_space, is_aligned, reference_space
from tasks.prepare import stages as prepare
from tasks.select.align import Alignment
from tasks.select.bandit import cluster_prior
from tasks.select.ranked import similarity_to
from tasks.select.transport import transport_cost
from tasks.storage.arrays import load_array

Facts = dict[str, Any]


def settings(folder: Path, **changes: Any) -> EqualSettings:
    corpus, target = write_corpus(folder)
    values = {"corpus": [str(corpus)], "target": str(target), "budget": 0.3, "rounds": 3, "warmup": 0.5}
    return EqualSettings(runs_dir=str(folder), run="run", train="never", **{**values, **changes})


def prepared(folder: Path, **changes: Any) -> tuple[Path, EqualSettings, Facts]:
    """The stages up to the clusters. Returns the run's folder, its settings and the clusters' facts."""
    run, own = folder / "equal/run", settings(folder, **changes)
    run.mkdir(parents=True)
    target = prepare.target(run, own, source="")
    corpus = prepare.corpus(run, own, source="", target=target)
    vectors = prepare.encode(run, own, corpus=corpus, target=target)
    warm = alignment.warm_up(run, own, corpus=corpus, vectors=vectors)
    space = alignment.align(run, own, vectors=vectors, warm=warm)
    return run, own, alignment.cluster(run, own, corpus=corpus, warm=warm, space=space)


@pytest.fixture
def aligned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, EqualSettings, Facts]:
    """A run whose alignment halves the first half of the dimensions."""

    def fit(documents: np.ndarray, pairs: np.ndarray, **_: Any) -> tuple[np.ndarray, Alignment]:
        d = documents.shape[1]
        return np.diag(np.where(np.arange(d) < d // 2, 0.2, 1.0)).astype(np.float32), Alignment(
            1, 0.5, 1, 9, 9
        )

    monkeypatch.setattr(alignment, "fit_linear_head", fit)
    return prepared(tmp_path, strategy="ucb-prior")


def known(run: Path, own: EqualSettings, clusters: Facts, name: str) -> np.ndarray:
    """What `start` lets a strategy know, in a folder of its own as a strategy that is compared."""
    at = run / "compare" / name
    rounds_of = rounds.round_folder(at, 0)
    rounds.extract_rows(run, at, own, 0, [])
    facts = rounds.start(run, own, warm={}, clusters=clusters, strategy=name, folder=f"compare/{name}")
    assert f"compare/{name}/rounds/00/known.npy" in facts["files"]
    return np.asarray(load_array(rounds_of / "known.npy"))


def test_a_ranked_strategy_sees_the_encoders_own_space_in_a_run_that_is_aligned(
    aligned: tuple[Path, EqualSettings, Facts],
) -> None:
    run, own, clusters = aligned
    vectors, reference = load_array(run / "vectors.npy"), load_array(run / "stages/reference.npy")
    assert is_aligned(run)
    assert not np.allclose(document_space(run), vectors)
    scores = known(run, own, clusters, "mean-similarity")
    np.testing.assert_array_equal(scores, similarity_to(reference, vectors))
    # Clusters of its own: those of the aligned space differ.
    nearest = known(run, own, clusters, "nearest-cluster")
    labels = load_array(run / "stages/labels.npy")
    assert any(len(set(nearest[labels == arm])) > 1 for arm in range(clusters["clusters"]))


def test_a_bandit_sees_the_aligned_space(aligned: tuple[Path, EqualSettings, Facts]) -> None:
    run, own, clusters = aligned
    prior = cluster_prior(
        document_space(run),
        load_array(run / "stages/labels.npy"),
        clusters["clusters"],
        reference_space(run),
        own.seed,
        transport_cost,
    )
    np.testing.assert_array_equal(known(run, own, clusters, "ucb-prior"), prior)


def test_the_prior_is_of_the_rewards_kind(tmp_path: Path) -> None:
    run, own, clusters = prepared(tmp_path, reward="similarity")
    vectors, labels = document_space(run), load_array(run / "stages/labels.npy")
    cosines = np.asarray(vectors @ reference_space(run).T)
    mean = [cosines[labels == arm][:48].mean() for arm in range(clusters["clusters"])]
    found = known(run, own, clusters, "ucb-prior")
    small = np.bincount(labels) <= 48  # of larger ones a sample is taken
    np.testing.assert_allclose(found[small], np.array(mean)[small], atol=1e-6)


def test_an_alignment_that_does_not_help_leaves_one_space(tmp_path: Path) -> None:
    run, *_ = prepared(tmp_path, align="none")
    assert not is_aligned(run)
    np.testing.assert_array_equal(document_space(run), load_array(run / "vectors.npy"))
    assert not (run / "stages/head.npy").exists()


def test_what_an_attempt_that_was_killed_left_of_an_alignment_is_not_used(tmp_path: Path) -> None:
    run, own, _ = prepared(tmp_path, align="none")
    for left in ("head.npy", "space.npy", "space-reference.npy"):
        np.save(run / "stages" / left, np.zeros((3, 3), dtype=np.float32))
    alignment.align(run, own, vectors={}, warm={})
    assert not is_aligned(run)


@pytest.mark.parametrize("strategy", ["ucb-prior", "thompson", "ucb", "nearest-cluster"])
def test_a_round_reads_exactly_the_documents_it_was_planned(tmp_path: Path, strategy: str) -> None:
    run, own, clusters = prepared(tmp_path, strategy=strategy)
    state = rounds.start(run, own, warm={}, clusters=clusters, strategy=strategy)
    seen: list[int] = [row["row"] for row in rounds.read_rows(rounds.round_folder(run, 0) / "reads.parquet")]
    for number, documents in enumerate(clusters["plan"]["documents"], start=1):
        given: Facts = {"number": number, "strategy": strategy}
        chosen = rounds.choose(run, own, plan=clusters["plan"], before=state, **given)
        pulls = json.loads((rounds.round_folder(run, number) / "pulls.json").read_text())["pulls"]
        assert chosen["documents"] == documents == sum(len(pull["rows"]) for pull in pulls)
        assert len({pull["arm"] for pull in pulls}) == len(pulls)
        read = rounds.extract(run, own, number=number, chosen=chosen)
        state = rounds.reward(run, own, before=state, extracted=read, **given)
        seen += [row for pull in pulls for row in pull["rows"]]
    assert len(set(seen)) == len(seen) == clusters["plan"]["budget"]


def test_rounds_are_read_as_they_were_written_in_any_locale(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, own, clusters = prepared(tmp_path, strategy="ucb-prior")
    terms = ["crème brûlée"]
    (run / "stages/terms.json").write_text(
        json.dumps([terms] * clusters["clusters"], ensure_ascii=False), "utf-8"
    )
    monkeypatch.setattr(io, "text_encoding", lambda encoding, *_: encoding or "ascii")
    given: Facts = {"number": 1, "strategy": "ucb-prior"}
    state = rounds.start(run, own, warm={}, clusters=clusters, strategy="ucb-prior")
    chosen = rounds.choose(run, own, plan=clusters["plan"], before=state, **given)
    read = rounds.extract(run, own, number=1, chosen=chosen)
    rounds.reward(run, own, before=state, extracted=read, **given)
    arms = rounds.read_rows(rounds.round_folder(run, 1) / "arms.parquet")
    assert {arm["terms"] for arm in arms} == set(terms)


def test_the_judged_cost_does_not_depend_on_how_pairs_are_cut_into_rounds() -> None:
    random = np.random.default_rng(0)
    vectors = random.normal(size=(300, 8)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    whole = rounds.judged_transport([vectors], vectors[:20], seed=1)
    cut = rounds.judged_transport(
        [vectors[:0], vectors[:7], vectors[7:250], vectors[250:]], vectors[:20], seed=1
    )
    assert whole == cut
    assert rounds.judged_transport([vectors[:0], vectors[:0]], vectors[:20], seed=1) is None
