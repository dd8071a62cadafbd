"""Transformers encoders: pooling, batches by length, limits, and the whole encoder's fine-tuning."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from tasks.records import BadInput
from tasks.select import finetune
from tasks.select.encode import EncoderSpec, check_encoder, encode_texts, load_encoder
from tasks.select.finetune import finetune_encoder
from tasks.select.pretrained import POOLING, TransformersEncoder, batches_by_length
from tasks.train import precision

TEXTS = ["w1 w2 w3", "w4", "w5 w6 w7 w8 w9 w1 w2 w3 w4 w5", "", "w9 w8"]


def with_pooling(folder: Path, target: Path, **modes: bool) -> str:
    shutil.copytree(folder, target)
    (target / "1_Pooling").mkdir()
    (target / POOLING).write_text(json.dumps({"word_embedding_dimension": 32, **modes}))
    return str(target)


@pytest.mark.parametrize("mode", ["mean", "cls"])
def test_vectors_are_the_pooled_states_of_one_text_at_a_time(
    tiny_bert: Path, tmp_path: Path, mode: str
) -> None:
    import torch
    from transformers import AutoModel, AutoTokenizer

    name = with_pooling(
        tiny_bert,
        tmp_path / "m",
        pooling_mode_cls_token=mode == "cls",
        pooling_mode_mean_tokens=mode == "mean",
    )
    vectors = encode_texts(EncoderSpec(name), TEXTS)
    model, tokenizer = AutoModel.from_pretrained(name).eval(), AutoTokenizer.from_pretrained(name)
    for text, vector in zip(TEXTS, vectors, strict=True):
        with torch.inference_mode():
            states = model(torch.tensor([tokenizer(text)["input_ids"]])).last_hidden_state[0]
        expected = (states[0] if mode == "cls" else states.mean(0)).numpy()
        assert vector == pytest.approx(expected / np.linalg.norm(expected), abs=1e-5)


def test_batches_keep_to_the_token_budget_and_lose_no_text() -> None:
    lengths = [3, 50, 7, 7, 120, 1, 64, 9]
    batches = list(batches_by_length(lengths, 100))
    assert sorted(index for batch in batches for index in batch) == list(range(8))
    for batch in batches:
        assert len(batch) == 1 or len(batch) * max(lengths[i] for i in batch) <= 100
    assert batches[0] == [4]


def test_the_batch_size_does_not_change_the_vectors(tiny_bert: Path) -> None:
    encoder = TransformersEncoder(str(tiny_bert))
    together = encoder.encode(TEXTS)
    encoder.batch_tokens = 1
    assert encoder.encode(TEXTS) == pytest.approx(together, abs=1e-5)


def test_a_large_encoder_computes_in_bfloat16_where_the_processor_does(
    tiny_bert: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exact = TransformersEncoder(str(tiny_bert)).encode(TEXTS)
    monkeypatch.setattr(precision, "multiplies_bfloat16", lambda: True)
    assert np.array_equal(TransformersEncoder(str(tiny_bert)).encode(TEXTS), exact)  # small
    monkeypatch.setattr(precision, "is_small", lambda model: False)
    rough = TransformersEncoder(str(tiny_bert)).encode(TEXTS)
    assert not np.array_equal(rough, exact)
    assert (rough * exact).sum(axis=1) == pytest.approx(1, abs=1e-3)


def test_texts_longer_than_the_models_positions_are_cut(tiny_bert: Path) -> None:
    encoder = TransformersEncoder(str(tiny_bert), max_tokens=512)
    assert encoder.max_tokens == 40
    assert np.isfinite(encoder.encode(["w1 " * 500])).all()


def test_a_pooling_we_do_not_have_is_named(tiny_bert: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="pooling_mode_max_tokens"):
        TransformersEncoder(with_pooling(tiny_bert, tmp_path / "m", pooling_mode_max_tokens=True))


def test_damaged_weights_are_one_clear_line(tiny_bert: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_bert, tmp_path / "m")
    (tmp_path / "m" / "model.safetensors").write_bytes(b"not weights")
    check_encoder(str(tmp_path / "m"))
    with pytest.raises(BadInput, match="cannot be loaded") as error:
        TransformersEncoder(str(tmp_path / "m"))
    assert "\n" not in str(error.value)


def test_replaced_weights_are_loaded_anew(tiny_bert: Path, tmp_path: Path) -> None:
    from transformers import AutoModel

    spec = EncoderSpec(str(shutil.copytree(tiny_bert, tmp_path / "m")))
    before = encode_texts(spec, TEXTS)
    assert load_encoder(spec) is load_encoder(spec)
    model = AutoModel.from_pretrained(spec.name)
    model.embeddings.word_embeddings.weight.data.neg_()
    model.save_pretrained(spec.name, safe_serialization=True)
    assert not np.allclose(encode_texts(spec, TEXTS), before)


def translations(count: int) -> tuple[list[str], list[str]]:
    """Word wN in a document becomes w(N+30) in its pair: nothing in common until it is learnt."""
    words = np.random.default_rng(0).integers(0, 25, size=(count, 3))
    return (
        [" ".join(f"w{word}" for word in row) for row in words],
        [" ".join(f"w{word + 30}" for word in row) for row in words],
    )


def test_finetuning_lowers_the_held_out_loss_and_saves_an_encoder(tiny_bert: Path, tmp_path: Path) -> None:
    documents, pairs = translations(160)
    output = tmp_path / "aligned"
    report = finetune_encoder(
        str(tiny_bert), documents, pairs, output, epochs=3, learning_rate=3e-3, temperature=0.1, seed=0
    )
    assert report.helped
    assert report.loss_after < report.loss_before - 0.3
    check_encoder(str(output))
    before, after = (
        np.diagonal(encode_texts(spec, documents) @ encode_texts(spec, pairs).T).mean()
        - (encode_texts(spec, documents) @ encode_texts(spec, pairs).T).mean()
        for spec in (EncoderSpec(str(tiny_bert)), EncoderSpec(str(output)))
    )
    assert after > before + 0.1


def test_finetuning_that_does_not_help_saves_the_original(tiny_bert: Path, tmp_path: Path) -> None:
    documents, _ = translations(40)
    report = finetune_encoder(  # each document is its own pair, at a rate that only does harm
        str(tiny_bert), documents, documents, tmp_path / "same", epochs=1, learning_rate=5.0, seed=0
    )
    assert (report.epochs, report.loss_after) == (0, report.loss_before)
    original = encode_texts(EncoderSpec(str(tiny_bert)), documents)
    assert encode_texts(EncoderSpec(str(tmp_path / "same")), documents) == pytest.approx(original, abs=1e-6)


def test_an_encoder_that_cannot_be_saved_leaves_the_one_before(
    tiny_bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, value: object) -> None:
        raise OSError(28, "No space left on device")

    output = Path(shutil.copytree(tiny_bert, tmp_path / "aligned"))
    before = sorted(path.name for path in output.iterdir())
    monkeypatch.setattr(finetune, "write_json", full)
    with pytest.raises(OSError, match="No space left"):
        finetune_encoder(str(tiny_bert), ["w1"], ["w2"], output)
    assert sorted(path.name for path in output.iterdir()) == before
    assert [path.name for path in tmp_path.iterdir()] == ["aligned"]
