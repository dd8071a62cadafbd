"""A run's folder with a small pool whose stages before the rounds are done, and its settings; without Prefect."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tasks.lead import difficulty, finish, pool, rounds, trainer
from tasks.lead.settings import LeadSettings
from tests.example_corpus import DISHES, SPICES, sums

TINY = {
    "budget": 0.3,
    "student_vocabulary": 400,
    "student_width": 32,
    "student_layers": 1,
    "pretrain_tokens": 2000,
    "sequence_tokens": 96,
    "batch_tokens": 256,
    "sketch": 8,
}


def examples(count: int = 60) -> list[dict[str, Any]]:
    """Sums and questions about cooking, in turn."""
    random = np.random.default_rng(0)
    found = []
    for number in range(count):
        question, answer = sums(random)
        if number % 2:
            dish, spice = random.choice(DISHES), random.choice(SPICES)
            question = f"How long does {dish} number {number} with {spice} cook?"
            answer = f"Cook the {dish} for {random.integers(5, 60)} minutes, then add {spice}."
        found.append({"id": f"e{number}", "question": question, "answer": answer})
    return found


@dataclass(frozen=True)
class Prepared:
    """A run before its first round."""

    run: Path
    settings: LeadSettings
    facts: dict[str, Any]

    def copy(self, run: Path, **changes: Any) -> Prepared:
        shutil.copytree(self.run, run)
        return replace(
            self, run=run, settings=self.settings.model_copy(update=changes), facts=dict(self.facts)
        )

    def round(self, so_far: dict[str, Any] | None = None) -> dict[str, Any] | None:
        """The next round, or None where there is none."""
        facts = self.facts
        so_far = so_far or rounds.nothing_yet(facts["pool"], facts["difficulty"])
        plan = rounds.next_round(self.settings, facts["pool"], so_far)
        if plan is None:
            return None
        return rounds.train(self.run, self.settings, plan, facts["clusters"], facts["model"], so_far)

    def all_rounds(self, so_far: dict[str, Any] | None = None) -> dict[str, Any]:
        while (further := self.round(so_far)) is not None:
            so_far = further
        assert so_far is not None
        return so_far

    def select(self, last: dict[str, Any]) -> dict[str, Any]:
        return finish.select(self.run, self.settings, self.facts["pool"], last)


def prepare(run: Path, data: Path, **changes: Any) -> Prepared:
    settings = LeadSettings(**{**TINY, "data": str(data), **changes})
    facts: dict[str, Any] = {"pool": pool.pool(run, settings, {})}
    facts["vectors"] = pool.encode(run, settings, facts["pool"])
    facts["model"] = pool.model(run, settings, facts["pool"])
    facts["difficulty"] = difficulty.difficulty(run, settings, facts["pool"], facts["model"])
    facts["clusters"] = difficulty.clusters(run, settings, facts["vectors"], facts["difficulty"])
    return Prepared(run, settings, facts)


def watched_rows(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The rows that a flow's trainer goes on to train on."""
    rows: list[int] = []
    real = trainer.play

    def watched(*given: object) -> object:
        played = real(*given)  # type: ignore[arg-type]
        rows.extend(played.rows.tolist())
        return played

    monkeypatch.setattr(trainer, "play", watched)
    return rows
