"""What a round of LEAD is, wherever its examples come from: draw, train, foretell, reward."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from tasks.lead.settings import ChoosingSettings
from tasks.lead.steps import Trainer
from tasks.run import terminal
from tasks.run.seeds import generator, integer
from tasks.select.coverage import Coverage
from tasks.select.exp3 import Exp3, best_gamma
from tasks.select.idu import Utilities, choose, preference
from tasks.select.influence.examples import GradientSketch
from tasks.train.format import Examples, pad, plan_batches
from tasks.train.training import Training

if TYPE_CHECKING:
    from tasks.lead.difficulty import Looked

Facts = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Learner:
    """What is carried from round to round."""

    trainer: Trainer
    tokenizer: Any
    batch_tokens: int
    bandit: Exp3
    utilities: Utilities
    weights: np.ndarray | None  # of every example of the pool, if they are drawn for a reference, (n,)
    coverage: Coverage | None  # of the pool, if examples are chosen by it

    @classmethod
    def begin(
        cls,
        model: Any,
        tokenizer: Any,
        training: Training,
        settings: ChoosingSettings,
        seen: Looked,
        shares: np.ndarray,
        rounds: int,
    ) -> Learner:
        """Before the first round.

        Args:
            seen: what is known of every example of the pool.
            shares: that the clusters' draws begin at, (K,).
            rounds: that there will be, at most.
        """
        learning_rate, batch_tokens = training.rates(model)
        reference = seen.reference
        gamma = settings.gamma or best_gamma(len(shares), rounds * settings.draws)
        return cls(
            Trainer(model, learning_rate, sketch_of(model, settings)),
            tokenizer,
            batch_tokens,
            Exp3(len(shares), gamma, shares, settings.tilt),
            Utilities(
                seen.losses,
                settings.sketch**2,
                settings.smoothing,
                settings.change,
                None if reference is None else reference.sketch,
            ),
            None if reference is None else reference.weights,
            seen.coverage,
        )


def sketch_of(model: Any, settings: ChoosingSettings) -> GradientSketch:
    """The projection that all of a run's gradients share."""
    return GradientSketch(model, settings.sketch, integer(settings.seed, "sketch"))


@dataclass(frozen=True, slots=True)
class Played:
    """A round that was played.

    Args:
        rows: of the pool, that were trained on, (r,).
        drawn: how often each cluster was, (K,); probabilities: with which, (K,).
        idu_before: of the rows, (r,).
        reward: mean over the round.
        rewards: of each cluster trained on, its mean gain and the same in -1..1, as the bandit was told.
        seen: loss and gradient length of each row, before its step.
        steps: a row for each step.
    """

    rows: np.ndarray
    drawn: np.ndarray
    probabilities: np.ndarray
    idu_before: np.ndarray
    reward: float
    rewards: dict[int, tuple[float, float]]
    seen: dict[int, Facts]
    steps: list[Facts]


def play(
    found: Learner,
    settings: ChoosingSettings,
    labels: np.ndarray,
    number: int,
    count: int,
    room: int,
    examples_of: Callable[[np.ndarray], Examples],
    tokens: int | None = None,
) -> Played:
    """Draw clusters, train on examples of theirs, foretell what that does to those visited before, tell the bandit.

    Args:
        labels: cluster of every example of the pool, (n,).
        number: of the round, from 1.
        count: examples to train on; room: how many of them may be new.
        examples_of: tokens of rows of the pool.
        tokens: to train on at most; of the examples drawn the last ones are then left out.
    """
    bandit, utilities = found.bandit, found.utilities
    is_open = np.bincount(labels[utilities.visits < settings.visits], minlength=len(bandit.weights)) > 0
    probabilities = bandit.probabilities(is_open)
    rows, drawn = draw_rows(found, settings, labels, number, count, room, is_open)
    examples = examples_of(rows)
    if tokens is not None and int(examples.lengths.sum()) > tokens:
        rows = rows[np.cumsum(examples.lengths) <= tokens]
        examples = examples_of(rows)
    before = utilities.idu[rows]
    seen, steps = train_on(found, settings, rows, examples, number)
    utilities.settle()
    gained, weights = gains(utilities, settings, rows, before)
    rewards = reward(bandit, labels[rows], gained, weights, drawn, is_open) if len(rows) else {}
    mean = float(gained.sum() / weights.sum()) if len(rows) else 0.0
    return Played(rows, drawn, probabilities, before, mean, rewards, seen, steps)


def draw_rows(
    found: Learner,
    settings: ChoosingSettings,
    labels: np.ndarray,
    number: int,
    count: int,
    room: int,
    is_open: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the pool that a round trains on, and how often each cluster was drawn; those drawn share the round's examples."""
    utilities = found.utilities
    if found.coverage is not None:
        take = found.coverage.after(utilities.visits).choose
    else:
        worth = utilities.idu if found.weights is None else found.weights
        wanted = preference(worth, settings.choice or "drawn", generator(settings.seed, "choice", number))
        take = partial(choose, wanted)
    may, is_new = utilities.visits < settings.visits, utilities.visits == 0
    random = generator(settings.seed, "draw", number)
    # What the clusters drawn share: in the last round, where none is trained on again, no more than the budget's rest.
    count = min(count, room + int((may & ~is_new).sum()))
    draws = min(settings.draws, count)
    drawn = np.bincount(
        [found.bandit.draw(random, is_open) for _ in range(draws)], minlength=len(found.bandit.weights)
    )
    chosen: list[np.ndarray] = []
    ends = np.cumsum(drawn) * count // draws
    for arm in np.flatnonzero(drawn):
        own = int(ends[arm] - (ends[arm - 1] if arm else 0))
        rows = take(may & (labels == arm), is_new, own, room)
        room -= int(is_new[rows].sum())
        chosen.append(rows)
    return np.concatenate(chosen), drawn


def gains(
    utilities: Utilities, settings: ChoosingSettings, rows: np.ndarray, before: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """What each example of a round brought, and what it counts for in its cluster's mean, (r,); see the setting `reward`.

    Args:
        before: their utilities before the round, (r,).
    """
    if settings.reward == "gain":
        return utilities.gain(rows)
    return before - utilities.idu[rows], np.ones(len(rows))


def reward(
    bandit: Exp3,
    owners: np.ndarray,
    gained: np.ndarray,
    weights: np.ndarray,
    drawn: np.ndarray,
    is_open: np.ndarray,
) -> dict[int, tuple[float, float]]:
    """Tell the bandit what each cluster's examples brought on average, once for each time that it was drawn.

    Args:
        owners: clusters of the examples trained on, (r,).
        gained, weights: of each, (r,), by `gains`.

    Returns:
        Of each cluster trained on the mean, and the same in -1..1, as the bandit was told.
    """
    probabilities = bandit.probabilities(is_open)
    arms, place = np.unique(owners, return_inverse=True)
    raw = np.bincount(place, gained) / np.bincount(place, weights)
    found = {
        arm: (value, scaled)
        for arm, value, scaled in zip(arms.tolist(), raw.tolist(), bandit.scaled(raw).tolist(), strict=True)
    }
    for arm, (_, scaled) in found.items():
        for _ in range(drawn[arm]):
            bandit.update(arm, scaled, float(probabilities[arm]), int(is_open.sum()))
    return found


def train_on(
    found: Learner, settings: ChoosingSettings, rows: np.ndarray, examples: Examples, number: int
) -> tuple[dict[int, Facts], list[Facts]]:
    """One pass over examples, those of `rows` of the pool. Returns what it measured of each, and a row for each step."""
    trainer, utilities = found.trainer, found.utilities
    seen: dict[int, Facts] = {}
    steps: list[Facts] = []
    # Dropout draws from torch's global stream: the round's own for the time of its training, then as it was.
    with torch.random.fork_rng():
        torch.manual_seed(integer(settings.seed, "dropout", number))
        trainer.model.train()
        for batch in plan_batches(
            examples.lengths, found.batch_tokens, generator(settings.seed, "batches", number)
        ):
            step = trainer.step(*pad(examples, batch, 0))
            utilities.visit(rows[batch], step.losses, step.answered, step.squares, step.sketches)
            utilities.move(step.move)
            lengths = np.sqrt(step.squares)
            for row, loss, length in zip(rows[batch], step.losses, lengths, strict=True):
                seen[int(row)] = {"loss": float(loss), "gradient": float(length)}
            steps.append(
                {
                    "round": number,
                    "step": trainer.steps,
                    "examples": len(batch),
                    "tokens": int(examples.lengths[batch].sum()),
                    "loss": step.loss,
                }
            )
            terminal.current().progress("steps", trainer.steps)
        trainer.model.eval()
    return seen, steps
