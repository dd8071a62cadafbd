"""The flow of EQUAL with other models, without some stages, and with a stage that cannot be mended."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tasks.records import BadInput, Stopped
from tasks.run.tables import read_rows

pytestmark = pytest.mark.server


def test_with_a_transformers_encoder_its_alignment_and_a_model_that_trains_at_the_end(
    prefect_server, settings, tmp_path, without_dask, encoder_model, causal_model
):
    from flows.equal import equal

    summary = equal(
        settings(
            tmp_path,
            "models",
            encoder=str(encoder_model),
            encoder_max_tokens=32,
            align="full",
            reward="similarity",
            student=str(causal_model),
            train="end",
            learning_rate=3e-3,
            compare=["nearest-cluster"],
        )
    )
    run = tmp_path / "equal/models"
    aligned, frozen = (np.load(run / name) for name in ("stages/space.npy", "vectors.npy"))
    assert aligned.shape == frozen.shape == (120, 32)
    assert (run / "stages/aligned-encoder/model.safetensors").is_file()
    assert summary["nll_after"] < summary["nll_before"]
    assert all(part["nll"] is None for part in summary["rounds"])
    assert summary["comparison"][0]["nll"] is not None
    assert (run / "student/config.json").is_file()
    assert all(-1 <= row["reward"] <= 1 for row in read_rows(run / "arms.parquet"))


def test_without_training_or_alignment_nothing_of_either_is_made(
    prefect_server, settings, tmp_path, without_dask
):
    from flows.equal import equal

    summary = equal(settings(tmp_path, "bare", train="never", align="none", strategy="ucb"))
    run = tmp_path / "equal/bare"
    np.testing.assert_allclose(np.load(run / "stages/space.npy"), np.load(run / "vectors.npy"), atol=1e-6)
    assert summary["nll_before"] is summary["nll_after"] is None
    assert not (run / "student").exists()
    assert summary["transport_heldout"] > 0


def test_low_rank_adapters_train_in_rounds(prefect_server, settings, tmp_path, without_dask, causal_model):
    pytest.importorskip("peft")
    from flows.equal import equal

    summary = equal(
        settings(
            tmp_path,
            "lora",
            student=str(causal_model),
            lora=True,
            learning_rate=1e-2,
            strategy="nearest-cluster",
        )
    )
    assert summary["nll_after"] < summary["nll_before"]
    assert (tmp_path / "equal/lora/student/adapter_config.json").is_file()


@pytest.mark.parametrize("error", [BadInput("the target is empty"), Stopped("the budget is spent")])
def test_what_a_retry_cannot_mend_is_not_tried_again(
    prefect_server, settings, tmp_path, without_dask, monkeypatch, error
):
    import flows.equal

    tries = []

    def fails(*arguments: Any, **named: Any) -> dict[str, Any]:
        tries.append(1)
        raise error

    monkeypatch.setattr(flows.equal.read_target, "function", fails)
    with pytest.raises(type(error), match=str(error)):
        flows.equal.equal(settings(tmp_path, "once"))
    assert len(tries) == 1
