"""Wrong events on the bench's data, and the ways of them that the default was chosen among."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import torch

from tasks.classify.inputs import Vectors
from tasks.classify.networks import probabilities
from tasks.classify.training import Training
from tasks.wrong_event.beta_mixture import HALF, EventModel
from tasks.wrong_event.loss import class_shares
from tasks.wrong_event.robust import train_robustly
from tasks.wrong_event.warm_up import warm_up
from tests.bench.noisy_labels import Task
from tests.bench.noisy_peers import RATE, Outcome, losses_of, make

WARM, ROBUST = 20, 55  # ours: 150 views of every row are looked at
PUBLISHED = 30, 70  # the paper's, 170 views


class LossModel(EventModel):
    """A mixture over the losses of the present epoch in place of wrong events (Arazo et al., ICML 2019)."""

    def __init__(self, network: torch.nn.Module, task: Task) -> None:
        super().__init__(task.given, task.split.classes)
        self.network, self.task, self.losses = network, task, np.zeros(len(task.given))

    def _learn(self, counts: np.ndarray, iterations: int) -> None:
        losses = losses_of(self.network, self.task)
        self.losses = np.clip(losses, *np.quantile(losses, [0.05, 0.95]))
        super()._learn(self.losses, iterations)

    def weights(self, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return super().weights(self.losses)


def two_stages(
    task: Task,
    seed: int,
    over: str = "events",
    base: str = "agreement",
    epochs: tuple[int, int] = (WARM, ROBUST),
    rate: float = RATE,
    published: bool = False,
    shares_of: Callable[[np.ndarray, int], torch.Tensor] = class_shares,
    mixing: bool = True,
) -> Outcome:
    """Ours; over="losses" has mixtures over losses in place of wrong events, `published` trains as the paper says."""
    warm, robust = epochs
    network, inputs, batch = make(task, seed), Vectors(task.split.train), task.split.batch
    classes = task.split.classes
    judge = EventModel(task.given, classes, least=HALF) if base == "agreement" else None
    shares = None if published else shares_of(task.given, classes)
    first = warm_up(
        network, inputs, task.given, Training(warm, rate, batch), seed=seed, shares=shares, judge=judge
    )
    network.load_state_dict(first.base)
    model = LossModel(network, task) if over == "losses" else EventModel(task.given, classes, least=HALF)
    second = train_robustly(
        network,
        inputs,
        task.given,
        first.counts,
        model,
        Training(robust, rate, batch),
        seed=seed,
        before=first.visits,
        shares=shares,
        mixing=mixing,
    )
    predicted = probabilities(network, Vectors(task.split.test)).argmax(axis=1)
    clean = model.weights(second.counts)[0]
    return Outcome(predicted, 1 - clean + 1e-9 * second.counts)


OWN: dict[str, Callable[[Task, int], Outcome]] = {
    "loss + beta": partial(two_stages, over="losses"),
    "wrong events, published": partial(two_stages, base="label-wave", epochs=PUBLISHED, published=True),
    "wrong events": two_stages,
}


def _even(labels: np.ndarray, count: int) -> torch.Tensor:
    return torch.full((count,), 1 / count)


def _given(labels: np.ndarray, count: int) -> torch.Tensor:
    sizes = torch.from_numpy(np.bincount(labels, minlength=count) + 1.0)
    return (sizes / sizes.sum()).float()


VARIANTS: dict[str, Callable[[Task, int], Outcome]] = {
    "the paper's loss": partial(two_stages, mixing=False),
    "even shares": partial(two_stages, shares_of=_even),
    "shares of the labels": partial(two_stages, shares_of=_given),
    "label-wave": partial(two_stages, base="label-wave"),
    # As many epochs as a pre-trained encoder has, and its loss, at a rate by which the small network learns as much in them.
    "5 + 10 epochs, agreement": partial(two_stages, epochs=(5, 10), rate=3e-3, mixing=False),
    "5 + 10 epochs, label-wave": partial(
        two_stages, base="label-wave", epochs=(5, 10), rate=3e-3, mixing=False
    ),
}
