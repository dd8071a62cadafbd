"""What every strategy stands on: the arms, their unread documents, and the protocol a strategy fulfils."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from tasks.records import BadInput


@dataclass(frozen=True, slots=True)
class Pull:
    """Documents of one arm to read next.

    Args:
        arm: cluster.
        rows: rows of the corpus table, in the order to read them.
        exploit: what the arm is thought to be worth, the first term of its score.
        bonus: what not knowing it adds, the second term; infinite for an arm that must be tried first.
        pulls: how often the arm was picked in this choice; pass it on to `update`.
    """

    arm: int
    rows: np.ndarray
    exploit: float
    bonus: float
    pulls: int = 1


class Strategy(Protocol):
    """Chooses which documents to read next."""

    name: str

    def choose(self, documents: int, per_pull: int) -> list[Pull]:
        """The next documents (fewer only when fewer are left), at most per_pull a pick, marked as read; a Pull per arm."""
        ...

    def mark_read(self, rows: Sequence[int] | np.ndarray) -> None:
        """Documents read without `choose`, as in the warm-up; tell their arms' rewards by `update`."""
        ...

    def update(self, arm: int, reward: float, pulls: int = 1) -> None:
        """The arm's reward over everything read from it so far, after `pulls` more pulls."""
        ...

    def observe(self, rows: np.ndarray, gains: np.ndarray) -> None:
        """What each document read so far has gained, (n,) each, for a strategy that learns from documents."""
        ...

    def remaining(self, arm: int) -> int:
        """Documents of the arm not read yet."""
        ...

    def pulls(self, arm: int) -> int:
        """Pulls of the arm so far."""
        ...

    def state(self) -> dict[str, Any]:
        """All that `restore` needs, JSON-serialisable."""
        ...

    def restore(self, state: dict[str, Any]) -> None:
        """Continues from a state of the same strategy on the same arms and seed."""
        ...


class Arms:
    """Documents by arm, which of them were read, and each arm's pulls and latest reward.

    Args:
        labels: arm of each document, (n,).
        order: permutation of the documents; an arm's documents are read in this order.
        count: number of arms; by default the largest label plus one.
    """

    def __init__(self, labels: np.ndarray, order: np.ndarray, count: int | None = None) -> None:
        self.labels = np.asarray(labels)
        self.count = int(count or self.labels.max(initial=-1) + 1)
        self.order = np.asarray(order)
        by_arm = np.argsort(self.labels[self.order], kind="stable")
        self._queue = self.order[by_arm]
        self._start = np.searchsorted(self.labels[self._queue], np.arange(self.count + 1))
        self.read = np.zeros(len(self.labels), dtype=bool)
        self.left = np.diff(self._start)
        self.pulled = np.zeros(self.count, dtype=np.int64)
        self.latest = np.zeros(self.count)

    def take(self, arm: int, documents: int) -> np.ndarray:
        """The next unread rows of an arm, at most `documents`, marked as read."""
        queue = self._queue[self._start[arm] : self._start[arm + 1]]
        rows: np.ndarray = queue[~self.read[queue]][:documents]
        self.mark(rows)
        return rows

    def mark(self, rows: Sequence[int] | np.ndarray) -> None:
        fresh = np.unique(np.asarray(rows, dtype=np.int64))
        fresh = fresh[~self.read[fresh]]
        self.read[fresh] = True
        self.left = self.left - np.bincount(self.labels[fresh], minlength=self.count)

    def update(self, arm: int, reward: float, pulls: int) -> None:
        # The reward is recomputed over all the arm's pairs, so it replaces the last one and is not averaged.
        self.pulled[arm] += pulls
        self.latest[arm] = reward

    def state(self) -> dict[str, Any]:
        return {
            "documents": len(self.labels),
            "read": np.flatnonzero(self.read).tolist(),
            "pulls": self.pulled.tolist(),
            "rewards": self.latest.tolist(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Raises BadInput if the state is of other arms."""
        if state["documents"] != len(self.labels) or len(state["pulls"]) != self.count:
            raise BadInput(
                f"saved bandit: made for {len(state['pulls'])} clusters of {state['documents']} documents, here are "
                f"{self.count} of {len(self.labels)}; resume with the settings and corpus it was started with"
            )
        self.read[:] = False
        self.left = np.diff(self._start)
        self.mark(state["read"])
        self.pulled = np.asarray(state["pulls"], dtype=np.int64)
        self.latest = np.asarray(state["rewards"], dtype=float)


class Armed:
    """The part of a strategy that only keeps books."""

    name: str

    def __init__(self, name: str, arms: Arms) -> None:
        self.name, self.arms = name, arms

    def mark_read(self, rows: Sequence[int] | np.ndarray) -> None:
        self.arms.mark(rows)

    def update(self, arm: int, reward: float, pulls: int = 1) -> None:
        self.arms.update(arm, reward, pulls)

    def observe(self, rows: np.ndarray, gains: np.ndarray) -> None:
        """A strategy that learns from its arms' rewards has no use for it."""

    def remaining(self, arm: int) -> int:
        return int(self.arms.left[arm])

    def pulls(self, arm: int) -> int:
        return int(self.arms.pulled[arm])

    def state(self) -> dict[str, Any]:
        return {"strategy": self.name, **self.arms.state()}

    def restore(self, state: dict[str, Any]) -> None:
        if state["strategy"] != self.name:
            raise BadInput(
                f"saved bandit: of strategy {state['strategy']}; resume with it, not with {self.name}"
            )
        self.arms.restore(state)


def pulls_of(rows: np.ndarray, labels: np.ndarray, exploit: np.ndarray, bonus: np.ndarray) -> list[Pull]:
    """Documents chosen one by one as a pull of each arm they are of, in order of the arms' first documents.

    Args:
        rows: chosen, in the order to read them.
        labels, exploit, bonus: of every document of the corpus, (n,); a pull has the mean of its documents'.
    """
    by_arm: dict[int, list[int]] = {}
    for row in np.asarray(rows).tolist():
        by_arm.setdefault(int(labels[row]), []).append(row)
    return [
        Pull(arm, np.asarray(taken), float(exploit[taken].mean()), float(bonus[taken].mean()))
        for arm, taken in by_arm.items()
    ]
