"""Factors that a run has left are used again while the model is the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tasks.corpus.target import Target
from tasks.quad import curvature
from tasks.quad.scoring import load_model
from tasks.quad.settings import QuadSettings
from tasks.records import BadInput, Example
from tests.train.tiny_models import SUMS, TEXTS, save_model


def test_factors_are_made_once_for_a_model_and_anew_for_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tasks.select.influence import factors
    from tasks.train.student import learn_tokenizer

    real, made = factors.fit_factors, []

    def counted(model: Any, *arguments: Any, **named: Any) -> Any:
        made.append(model)
        return real(model, *arguments, **named)

    monkeypatch.setattr(factors, "fit_factors", counted)
    settings = QuadSettings(corpus=["c"], reference="r", sequence_tokens=32)
    reference = [Example(question, question, answer) for question, answer in SUMS[:4]]
    tokenizer = learn_tokenizer(TEXTS, 320)
    one, other = (
        load_model(str(save_model(tmp_path / f"model-{seed}", tokenizer, seed=seed)), "") for seed in (1, 2)
    )

    def unit(loaded: tuple[Any, Any]) -> float:
        return curvature._direction(tmp_path, settings, 0, loaded, TEXTS[:8], reference).unit

    first = unit(one)
    assert unit(one) == first
    assert made == [one[0]]
    assert unit(other) != first
    assert made == [one[0], other[0]]


def test_checkpoints_of_another_architecture_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tasks.train.student import learn_tokenizer

    tokenizer = learn_tokenizer(TEXTS, 320)
    one, earlier = (str(save_model(tmp_path / f"model-{seed}", tokenizer, seed=seed)) for seed in (1, 2))
    other = str(save_model(tmp_path / "other", tokenizer, "gpt2"))
    target = Target([Example(question, question, answer) for question, answer in SUMS[:4]], [])
    target.save(tmp_path / "target")
    monkeypatch.setattr(curvature, "read_documents", lambda run, rows: [{"text": TEXTS[row]} for row in rows])
    (tmp_path / "stages").mkdir()

    def run(checkpoints: list[str]) -> dict[str, Any]:
        settings = QuadSettings(
            corpus=["c"], reference="r", sequence_tokens=32, model=one, checkpoints=checkpoints
        )
        return curvature.curvature(tmp_path, settings, {"documents": 8}, {}, {"model": "given"})

    assert len(run([earlier])["files"]) == 4
    with pytest.raises(BadInput, match=r"--checkpoints .*other: its layers are not those of --model"):
        run([earlier, other])
