"""Both stages: when the first one stops, what is counted, what is trained on, and that an interruption changes nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tasks.classify.networks import probabilities, small_network
from tasks.classify.training import Training
from tasks.records import BadInput
from tasks.train.threads import one_thread
from tasks.wrong_event import checkpoint
from tasks.wrong_event.agreement import agreement, telling_epoch
from tasks.wrong_event.beta_mixture import HALF, EventModel
from tasks.wrong_event.label_wave import first_minimum
from tasks.wrong_event.loss import balance, class_shares
from tasks.wrong_event.robust import train_robustly
from tasks.wrong_event.settings import WrongEventSettings
from tasks.wrong_event.warm_up import WarmUp, warm_up
from tests.wrong_event.blobs import blobs


@pytest.mark.parametrize(
    ("changes", "window", "place"),
    [
        ([], 1, None),
        ([9, 5, 3], 1, None),  # it may still fall
        ([9, 5, 3, 4], 1, 2),
        ([9, 5, 3, 4, 1, 2], 1, 2),  # the first, not the lowest
        ([9, 5, 5, 6], 1, 2),  # the end of a plateau
        ([3, 4, 5], 1, None),  # the first value is no minimum
        ([9, 5, 6, 3, 2, 8, 9], 1, 1),
        ([9, 5, 6, 3, 2, 8, 9], 3, 4),  # means 6.7, 4.7, 3.7, 4.3, 6.3
    ],
)
def test_the_first_local_minimum(changes, window, place):
    found = first_minimum(changes, window)
    assert found == (None if place is None else place)


def both_stages(
    kept: Path | None, stop: tuple[str, int] | None = None, mixing: bool = True
) -> tuple[Any, Any, np.ndarray]:
    """Train through both stages; with `stop`, until an epoch of one of them has been told."""
    inputs, labels, _ = blobs()

    def told(stage: str) -> Any:
        def tell(epoch: int, of: int) -> None:
            if stop == (stage, epoch):
                raise KeyboardInterrupt

        return tell

    with one_thread():
        network = small_network(8, 3, seed=1)
        options = {"seed": 1, "shares": class_shares(labels, 3)}
        first = warm_up(
            network,
            inputs,
            labels,
            Training(8, 1e-3, 32),
            **options,
            judge=EventModel(labels, 3, least=HALF),
            kept=kept and kept / "first",
            told=told("first"),
        )
        network.load_state_dict(first.base)
        second = train_robustly(
            network,
            inputs,
            labels,
            first.counts,
            EventModel(labels, 3),
            Training(6, 1e-3, 32),
            **options,
            mixing=mixing,
            kept=kept and kept / "second",
            told=told("second"),
        )
        return first, second, probabilities(network, inputs)


@pytest.mark.parametrize("mixing", [True, False])
def test_wrong_events_tell_wrong_labels_and_the_network_predicts_the_right_ones(mixing):
    from sklearn.metrics import roc_auc_score

    _, labels, wrong = blobs()
    first, second, predicted = both_stages(None, mixing=mixing)
    assert (first.counts <= 16).all()  # one a view, as in the second
    assert (second.counts - first.counts <= 12).all()
    assert (second.counts >= first.counts).all()
    assert roc_auc_score(wrong, second.counts) > 0.97
    differs = predicted.argmax(axis=1) != labels
    assert (differs == wrong).mean() > 0.93


@pytest.mark.parametrize(("least", "visits"), [(HALF, 30), (0.0, None)])
def test_right_labels_of_rows_that_are_easily_told_apart_are_not_doubted(least, visits):
    inputs, labels, _ = blobs(noise=0.0, apart=6.0)
    model = EventModel(labels, 3, least=least)
    with one_thread():
        network = small_network(8, 3, seed=1)
        judge = EventModel(labels, 3, least=least)
        first = warm_up(network, inputs, labels, Training(30, 1e-3, 32), seed=1, judge=judge)
        network.load_state_dict(first.base)
        training = Training(10, 1e-3, 32)
        second = train_robustly(network, inputs, labels, first.counts, model, training, seed=1, before=visits)
    doubted = (model.clean(second.counts) < 0.5).mean()
    if visits:
        assert doubted == 0
    else:
        assert doubted > 0.2  # the paper's scale, which is guarded against


@pytest.mark.parametrize("stop", [("first", 2), ("first", 6), ("second", 3)])
def test_an_interrupted_training_ends_as_one_that_was_not(tmp_path, stop):
    whole = both_stages(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        both_stages(tmp_path / "stopped", stop)
    again = both_stages(tmp_path / "stopped")
    for one, other in zip(whole[:2], again[:2], strict=True):
        assert (one.counts == other.counts).all()
        assert one.losses == other.losses
    assert whole[0].base_epoch == again[0].base_epoch
    assert all((whole[0].base[name] == again[0].base[name]).all() for name in whole[0].base)
    assert (whole[2] == again[2]).all()


@pytest.mark.parametrize("on_disk", [False, True])
@pytest.mark.parametrize("judged", [False, True])
def test_the_base_is_a_copy_of_the_weights_of_its_epoch(tmp_path, judged, on_disk):
    inputs, labels, _ = blobs()
    weights: dict[int, Any] = {}
    with one_thread():
        network = small_network(8, 3, seed=1)

        def keep(epoch: int, of: int) -> None:
            weights[epoch] = checkpoint.weights_of(network)

        judge = EventModel(labels, 3, least=HALF) if judged else None
        kept = tmp_path / "kept" if on_disk else None
        training = Training(30, 2e-3, 32)
        found = warm_up(network, inputs, labels, training, seed=1, judge=judge, kept=kept, told=keep)
    if judged:
        right, learnt = (np.array(shares) for shares in zip(*found.agreement, strict=True))
        assert right[found.base_epoch - 1] > 0.8
        assert learnt[found.base_epoch - 1] < learnt[-1]  # wrong labels are learnt by heart after it
    else:
        place = first_minimum(found.changes, 3)
        assert place is not None
        assert found.base_epoch == place + 2  # changes begin with the second epoch
        assert found.agreement == []
    assert found.base_epoch < 30
    assert all((found.base[name] == weights[found.base_epoch][name]).all() for name in found.base)
    assert any((found.base[name] != weights[30][name]).any() for name in found.base)


def test_the_first_stage_as_published_has_one_view_of_a_row_and_the_default_two():
    inputs, labels, _ = blobs()
    seen: dict[bool, WarmUp] = {}
    for published in (True, False):
        with one_thread():
            network = small_network(8, 3, seed=1)
            shares = None if published else class_shares(labels, 3)
            seen[published] = warm_up(network, inputs, labels, Training(4, 1e-3, 32), seed=1, shares=shares)
    assert (seen[True].visits, seen[False].visits) == (4, 8)
    assert seen[True].counts.max() <= 4
    assert 4 < seen[False].counts.max() <= 8


def test_mixtures_are_of_strong_views_with_weak_ones_and_learnt_as_the_same_mixture_of_labels():
    inputs, labels, _ = blobs(count=10)
    seen: list[torch.Tensor] = []

    class Watched(torch.nn.Linear):
        def forward(self, values: torch.Tensor) -> torch.Tensor:
            seen.append(values.detach().clone())
            return super().forward(values)

    torch.manual_seed(0)
    network, shares = Watched(8, 3), class_shares(labels, 3)
    kept = {name: weight.clone() for name, weight in network.state_dict().items()}
    found = train_robustly(
        network,
        inputs,
        labels,
        np.zeros(10, np.int64),  # no label is doubted
        EventModel(labels, 3),
        Training(1, 1e-3, 10),
        seed=0,
        shares=shares,
        mixing=True,
    )
    views, mixtures = seen
    weak, strong = views.chunk(2)
    # Each mixture lies between the row's strong view and some row's weak one, nearer to the strong one, all by the same part.
    ways = mixtures[:, None] - strong[:, None], weak[None] - strong[:, None]
    parts = (ways[0] * ways[1]).sum(dim=2) / ways[1].square().sum(dim=2)
    errors = (ways[0] - parts[..., None] * ways[1]).norm(dim=2)
    others = errors.argmin(dim=1)
    assert errors.amin(dim=1).max() < 1e-4
    assert sorted(others.tolist()) == list(range(10))
    part = float(parts[torch.arange(10), others].mean())
    assert parts[torch.arange(10), others].numpy() == pytest.approx(np.full(10, part), abs=1e-4)
    assert 0 < part <= 0.5
    rows = [int((inputs.values - row).norm(dim=1).argmin()) for row in weak]
    hot = torch.nn.functional.one_hot(torch.from_numpy(labels[rows]), 3).float()
    logits = mixtures @ kept["weight"].T + kept["bias"]
    targets = (1 - part) * hot + part * hot[others]
    wanted = -(targets * logits.log_softmax(dim=1)).sum(dim=1).mean()
    wanted += balance(logits.softmax(dim=1), shares)
    assert found.losses == [pytest.approx(float(wanted), abs=1e-4)]


def test_a_class_most_of_whose_labels_are_wrong_is_not_given_up():
    inputs, labels, _ = blobs(noise=0.0)
    random = np.random.default_rng(3)
    flipped = labels.copy()
    of_last = np.flatnonzero(labels == 2)
    flipped[random.permutation(of_last)[: int(0.55 * len(of_last))]] = 1
    predicted = {}
    for shares in (None, class_shares(flipped, 3)):
        with one_thread():
            network = small_network(8, 3, seed=1)
            warm_up(network, inputs, flipped, Training(12, 1e-3, 32), seed=1, shares=shares)
            predicted[shares is None] = probabilities(network, inputs).argmax(axis=1)
    right = {paper: float((found[of_last] == 2).mean()) for paper, found in predicted.items()}
    assert right[False] > right[True] + 0.15, right


def test_the_epoch_that_tells_best_predicts_right_labels_and_not_wrong_ones():
    clean = np.array([1.0, 1.0, 1.0, 0.0, 0.0])
    agree = np.array([[1, 0, 0, 1, 0], [1, 1, 1, 1, 0], [1, 1, 1, 1, 1]], bool)
    assert np.allclose(agreement(agree, clean), [(1 / 3, 0.5), (1, 0.5), (1, 1)])
    assert telling_epoch(agree, clean) == 1


def test_a_few_wrong_labels_do_not_send_it_back_to_where_nothing_was_learnt():
    clean = np.array([*[1.0] * 20, 0.0])
    early = [*[1] * 10, *[0] * 10, 0]  # half of the right ones, none of the wrong ones
    late = [*[1] * 20, 1]
    assert telling_epoch(np.array([early, late], bool), clean) == 1


def test_where_no_label_is_doubted_the_epoch_that_predicts_most_of_them_is_best():
    assert telling_epoch(np.array([[1, 0], [1, 1], [0, 1]], bool), np.ones(2)) == 1


def test_after_few_epochs_the_epoch_is_chosen_without_the_counts():
    def settings(**values: Any) -> WrongEventSettings:
        return WrongEventSettings(data="rows.csv", label="kind", **values)

    assert settings().by_agreement
    assert not settings(warm_epochs=5).by_agreement
    assert not settings(text="body", encoder="an/encoder").by_agreement
    assert settings(warm_epochs=5, base="agreement").by_agreement
    assert not settings(base="label-wave").by_agreement
    assert not settings(published=True).by_agreement


def test_the_paper_has_more_epochs_and_fewer_views():
    ours, paper = (WrongEventSettings(data="rows.csv", label="kind", published=one) for one in (False, True))
    assert (ours.stages_epochs, ours.visits) == ((20, 55), 150)
    assert (paper.stages_epochs, paper.visits) == ((30, 70), 170)


def test_a_training_that_diverges_is_bad_input():
    inputs, labels, _ = blobs()
    training = Training(3, 1e18, 32)
    with pytest.raises(BadInput, match=r"--learning-rate 1e\+18: the loss was not finite in epoch \d"):
        warm_up(small_network(8, 3, seed=1), inputs, labels, training, seed=1)
    counts = np.zeros(len(labels), np.int64)
    model = EventModel(labels, 3)
    with pytest.raises(BadInput, match=r"--learning-rate 1e\+18: the loss was not finite in epoch \d"):
        train_robustly(small_network(8, 3, seed=1), inputs, labels, counts, model, training, seed=1)
