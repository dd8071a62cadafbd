"""A reference: its gradient against autograd's, what it does to the bandit and to a flow's trainer, and that it costs no pass in a round."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tasks.corpus.target import Target
from tasks.lead import rounds
from tasks.lead.difficulty import CLUSTERS, LABELS, REFERENCE, SHARES, WEIGHTS, look_at_all
from tasks.lead.pool import pairs_of
from tasks.lead.reference import KINDS, kinds_of, look, weights_of, without_extremes
from tasks.lead.settings import ChoosingSettings
from tasks.lead.trainer import finetune_by_choice
from tasks.records import BadInput, Example
from tasks.select.idu import Choice
from tasks.select.influence.examples import GradientSketch, gradient_of
from tasks.storage.arrays import load_array, save_array
from tasks.storage.tables import read_json, read_rows
from tasks.train.checkpoint import load_student
from tasks.train.evaluate import pair_losses
from tasks.train.finetune import answer_losses
from tasks.train.format import encode_pairs, pad
from tasks.train.training import Training
from tests.lead.prepared import examples, prepare, watched_rows

PAIRS = [(one["question"], one["answer"]) for one in examples(60)]  # sums and cooking in turn
SUMS, COOKING = PAIRS[::2], PAIRS[1::2]


def gradient(model: Any, tokenizer: Any, pairs: list[tuple[str, str]]) -> dict[str, torch.Tensor]:
    """By autograd, of the pairs' mean loss of an answer token, of each layer."""
    examples, layers = encode_pairs(tokenizer, pairs, 96), GradientSketch(model, 8, 5).layers
    losses, _ = answer_losses(model, *pad(examples, np.arange(len(pairs)), 0), torch.device("cpu"))
    model.zero_grad()
    losses.mean().backward()
    return {name: gradient_of(layer).clone() for name, layer in layers.items()}


@pytest.mark.parametrize("kinds", [1, 2])
def test_what_it_sees_is_what_autograd_gives(gpt2: Path, kinds: int) -> None:
    model, tokenizer = load_student(gpt2)
    model.eval()
    reference = SUMS[:7] if kinds == 1 else SUMS[:8] + COOKING[:12]
    sketch, pool = GradientSketch(model, 8, 5), encode_pairs(tokenizer, PAIRS[30:38], 96)
    of_kind = [reference] if kinds == 1 else [reference[::3], reference[1::3] + reference[2::3]]
    owners = np.zeros(len(reference), dtype=int) if kinds == 1 else np.minimum(1, np.arange(20) % 3)
    seen = look(model, tokenizer, reference, owners, pool, sketch, 128, 96)
    gradients = [gradient(model, tokenizer, pairs) for pairs in of_kind]
    products = [
        [
            sum(
                float((matrix * own[name]).sum())
                for name, matrix in gradient(model, tokenizer, [pair]).items()
            )
            for pair in PAIRS[30:38]
        ]
        for own in gradients
    ]
    # A token's of the example, of its summed loss.
    gains = without_extremes(np.array(products) * pool.loss_lengths / pool.lengths)
    shares = np.array([len(pairs) / len(reference) for pairs in of_kind])
    assert seen.weights == pytest.approx(weights_of(gains, shares), rel=1e-3)
    wanted = sum(
        share / own.std() * sketch.of(matrices).double().numpy()
        for share, own, matrices in zip(shares, gains, gradients, strict=True)
    )
    assert seen.sketch == pytest.approx(wanted, rel=1e-2, abs=1e-4 * float(np.abs(wanted).max()))
    alone = look(model, tokenizer, reference, owners, None, sketch, 128, 96)
    assert alone.weights is None
    wanted = sum(
        share
        * sketch.of(matrices).double().numpy()
        / sum(float((m**2).sum()) for m in matrices.values()) ** 0.5
        for share, matrices in zip(shares, gradients, strict=True)
    )
    assert alone.sketch == pytest.approx(wanted, rel=1e-2, abs=1e-4 * float(np.abs(wanted).max()))
    # A kind without an example is none.
    again = look(model, tokenizer, reference, 2 * owners, pool, sketch, 128, 96)
    assert again.weights.tolist() == seen.weights.tolist()


def test_kinds_of_a_reference_are_of_its_texts() -> None:
    kinds = kinds_of(PAIRS[:40], PAIRS, 0)
    assert set(kinds) == set(range(KINDS))
    assert not set(kinds[::2]) & set(kinds[1::2])  # sums and cooking
    assert kinds_of(PAIRS[:19], PAIRS, 0).tolist() == [0] * 19  # too few to take apart
    assert kinds_of([("?", "!")] * 40, [("?", "!")] * 3, 0).tolist() == [0] * 40  # not a word


def test_each_kind_has_its_share_of_the_draws_and_extremes_have_no_more_than_others() -> None:
    random = np.random.default_rng(0)
    gains = random.normal(3, 2, (2, 1000))
    gains[0, 999] = 1e6
    gains = without_extremes(gains)
    assert gains[0].std() == pytest.approx(2, rel=0.1)
    assert gains[0, 999] == gains[0].max()
    first, second = weights_of(gains[:1], np.ones(1)), weights_of(gains[1:], np.ones(1))
    assert np.log(first).std() == pytest.approx(2)  # exp(2 z)
    both = weights_of(gains * np.array([[1.0], [50.0]]), np.array([0.25, 0.75]))
    assert both == pytest.approx(0.25 * first + 0.75 * second)
    assert both.mean() == pytest.approx(1)
    assert weights_of(np.full((1, 5), 2.0), np.ones(1)).tolist() == [1.0] * 5


def test_a_reference_without_a_token_or_a_damaged_model_is_one_line(gpt2: Path) -> None:
    model, tokenizer = load_student(gpt2)
    sketch, pool = GradientSketch(model, 8, 5), encode_pairs(tokenizer, PAIRS[:3], 96)
    with pytest.raises(BadInput, match="no example has a token of its answer left"):
        look(model, tokenizer, [], np.zeros(0, dtype=int), pool, sketch, 128, 96)
    with torch.no_grad():
        model.get_input_embeddings().weight.fill_(float("nan"))
    for weighed in (pool, None):
        with pytest.raises(BadInput, match="not finite"):
            look(model, tokenizer, PAIRS[:3], np.zeros(3, dtype=int), weighed, sketch, 128, 96)


@pytest.fixture(scope="module")
def with_reference(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Any]:
    """A prepared run whose reference is of one kind."""

    def make(kind: str, choice: str = "coverage") -> Any:
        folder = tmp_path_factory.mktemp(kind)
        path = folder / "reference.csv"
        pairs = [(q.replace("?", " now?"), a) for q, a in (SUMS if kind == "sums" else COOKING)]
        path.write_text("question,answer\n" + "".join(f'"{q}","{a}"\n' for q, a in pairs))
        return prepare(
            folder / "run",
            data,
            reference=str(path),
            learning_rate=1e-3,
            budget=0.8,
            round_share=0.2,
            levels=1,
            choice=choice,
        )

    return make


@pytest.mark.parametrize("choice", ["coverage", "drawn"])
@pytest.mark.parametrize("kind", ["sums", "cooking"])
def test_clusters_of_its_kind_are_rewarded_most_without_a_pass_in_the_rounds(
    with_reference: Callable[..., Any], kind: str, choice: str
) -> None:
    one = with_reference(kind, choice)
    assert one.facts["pool"]["reference"] == len(Target.load(one.run / "target").reference) > 20
    assert (
        one.facts["difficulty"]["forward_passes"]
        == (2 if choice == "drawn" else 1) * one.facts["pool"]["examples"] + one.facts["pool"]["reference"]
    )
    assert load_array(one.run / REFERENCE).shape == (64,)
    last = one.all_rounds()
    assert last["forward_passes"] == last["steps"]
    labels = load_array(one.run / LABELS)
    is_sum = np.array(["cook" not in question for question, _ in pairs_of(one.run, range(len(labels)))])
    kinds = [is_sum[labels == cluster].mean() for cluster in range(len(read_json(one.run / CLUSTERS)))]
    assert set(kinds) == {0.0, 1.0}  # clusters are of one kind each
    rewards: dict[bool, list[float]] = {True: [], False: []}
    for row in rounds.all_rows(one.run, last["number"], "arms"):
        if row["drawn"]:
            rewards[kinds[row["cluster"]] == (kind == "sums")].append(row["reward"])
    assert np.mean(rewards[True]) > np.mean(rewards[False])
    arms = rounds.arms_of_round(one.run, 1)  # later, clusters of its kind are used up
    likely = sum(arm["probability"] for arm in arms if kinds[arm["cluster"]] == (kind == "sums"))
    share = is_sum.mean() if kind == "sums" else 1 - is_sum.mean()
    assert likely > share


def test_examples_taken_at_random_are_not_asked_how_much_they_help(
    with_reference: Callable[..., Any],
) -> None:
    one = with_reference("sums", "random")
    assert not (one.run / WEIGHTS).exists()
    assert (
        one.facts["difficulty"]["forward_passes"]
        == one.facts["pool"]["examples"] + one.facts["pool"]["reference"]
    )
    assert load_array(one.run / SHARES).tolist() == np.bincount(load_array(one.run / LABELS)).tolist()
    assert one.round()["visits"] > 0


def test_a_coverage_that_weighs_examples_is_an_older_one(with_reference: Callable[..., Any]) -> None:
    one = with_reference("sums")
    save_array(one.run / WEIGHTS, np.ones(one.facts["pool"]["examples"]))
    with pytest.raises(BadInput, match="begun by an older Sluice; start a new run"):
        one.round()


def test_a_trainer_spends_more_of_its_tokens_on_what_helps_the_reference(
    gpt2: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shares, seen = [], watched_rows(monkeypatch)
    training = Training(tokens=1500, learning_rate=1e-3, batch_tokens=256, sequence_tokens=96, seed=3)
    for reference in (SUMS, COOKING):
        seen.clear()
        model, tokenizer = load_student(gpt2)
        before = pair_losses(model, tokenizer, reference, sequence_tokens=96).nll
        finetune_by_choice(
            model, tokenizer, PAIRS, training, settings=ChoosingSettings(levels=1), reference=reference
        )
        assert pair_losses(model, tokenizer, reference, sequence_tokens=96).nll < before
        shares.append(np.mean([row % 2 == 0 for row in seen]))
    assert shares[0] > shares[1]
    # The same without one is not the same: the reference is looked at.
    seen.clear()
    model, tokenizer = load_student(gpt2)
    finetune_by_choice(model, tokenizer, PAIRS, training, settings=ChoosingSettings(levels=1))
    assert np.mean([row % 2 == 0 for row in seen]) != shares[0]


@pytest.mark.parametrize("choice", ["coverage", "drawn"])
def test_in_a_cluster_what_the_reference_wants_is_taken(
    gpt2: Path, monkeypatch: pytest.MonkeyPatch, choice: Choice
) -> None:
    seen = watched_rows(monkeypatch)
    settings = ChoosingSettings(levels=1, tasks=1, choice=choice)  # the bandit has nothing to say
    training = Training(tokens=1000, learning_rate=1e-3, batch_tokens=256, sequence_tokens=96, seed=3)
    shares = []
    for reference in (SUMS, COOKING):
        seen.clear()
        model, tokenizer = load_student(gpt2)
        finetune_by_choice(model, tokenizer, PAIRS, training, settings=settings, reference=reference)
        shares.append(np.mean([row % 2 == 0 for row in seen]))
    assert shares[0] > shares[1] + 0.2


def test_what_overlaps_the_test_is_not_in_it(data: Path, tmp_path: Path) -> None:
    test = tmp_path / "test.csv"
    test.write_text("question,answer\n" + "".join(f'"{q}","{a}"\n' for q, a in SUMS[:4]))
    one = prepare(tmp_path / "run", data, test=str(test), reference=str(data))
    known = Target.load(one.run / "target")
    assert not {(e.question, e.answer) for e in known.reference} & {
        (e.question, e.answer) for e in known.test
    }
    assert one.facts["pool"]["reference"] == 56
    reasons = [row["reason"] for row in read_rows(one.run / "rejected.parquet")]
    assert reasons == ["overlaps the test part"] * 8  # of the pool and of the reference
    assert isinstance(known.reference[0], Example)


def test_a_larger_model_covers_a_reference_and_draws_without_one(
    gpt2: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, tokenizer = load_student(gpt2)
    examples, settings = encode_pairs(tokenizer, PAIRS[:8], 96), ChoosingSettings(sketch=8)

    def covered(reference: list[tuple[str, str]]) -> bool:
        return (
            look_at_all(model, tokenizer, PAIRS[:8], examples, reference, settings, 256, 96).coverage
            is not None
        )

    assert covered([])
    monkeypatch.setattr("tasks.train.training.SMALL", 1)
    assert not covered([])
    assert covered(SUMS[:3])
