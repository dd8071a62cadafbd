from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_models import SUMS

from tasks.records import BadInput
from tasks.storage.tables import atomic_folder
from tasks.train.checkpoint import check_student, load_student, save_student
from tasks.train.evaluate import evaluate
from tasks.train.finetune import finetune
from tasks.train.training import Training


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_a_saved_student_is_the_same_student_and_holds_no_pickle(llama: Path, tmp_path: Path) -> None:
    model, tokenizer = load_student(llama)
    finetune(model, tokenizer, SUMS, Training(tokens=1000, learning_rate=1e-3, seed=0))
    save_student(model, tokenizer, tmp_path / "student")
    again = load_student(tmp_path / "student")
    assert evaluate(*again, SUMS).nll == evaluate(model, tokenizer, SUMS).nll
    assert {path.suffix for path in (tmp_path / "student").iterdir()} <= {".json", ".safetensors", ".jinja"}
    assert [path.name for path in tmp_path.iterdir()] == ["student"]


def test_saving_over_a_student_replaces_it_whole(llama: Path, gpt2: Path, tmp_path: Path) -> None:
    save_student(*load_student(gpt2), tmp_path / "student")
    save_student(*load_student(llama), tmp_path / "student")
    save_student(*load_student(llama), tmp_path / "fresh")
    assert contents(tmp_path / "student") == contents(tmp_path / "fresh")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fresh", "student"]


def test_a_save_that_fails_leaves_the_old_student_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "student").mkdir()
    (tmp_path / "student" / "config.json").write_text("old")

    def save_on_a_full_disk() -> None:
        with atomic_folder(tmp_path / "student") as temporary:
            (temporary / "config.json").write_text("new")
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        save_on_a_full_disk()
    assert (tmp_path / "student" / "config.json").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["student"]


def test_lora_changes_its_adapters_and_nothing_else(llama: Path, tmp_path: Path) -> None:
    pytest.importorskip("peft", reason="the extra 'lora' is not installed")
    model, tokenizer = load_student(llama, lora=True, seed=1)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    finetune(model, tokenizer, SUMS, Training(tokens=2000, learning_rate=1e-2, batch_tokens=512, seed=0))
    changed = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    assert changed
    assert changed == {name for name in before if "lora_" in name}
    assert {name.split(".")[-4] for name in changed} == {
        *("q_proj", "k_proj", "v_proj", "o_proj"),
        *("gate_proj", "up_proj", "down_proj"),
    }

    save_student(model, tokenizer, tmp_path / "adapters")
    names = {path.name for path in (tmp_path / "adapters").iterdir()}
    assert "adapter_model.safetensors" in names
    assert "model.safetensors" not in names
    check_student(tmp_path / "adapters", lora=True)
    warm, _ = load_student(tmp_path / "adapters", lora=True)
    assert evaluate(warm, tokenizer, SUMS).nll == pytest.approx(
        evaluate(model, tokenizer, SUMS).nll, rel=1e-6
    )
    assert any(parameter.requires_grad for parameter in warm.parameters())


def test_new_adapters_follow_the_seed(llama: Path) -> None:
    pytest.importorskip("peft", reason="the extra 'lora' is not installed")

    def weights(seed: int) -> torch.Tensor:
        model, _ = load_student(llama, lora=True, seed=seed)
        return torch.cat([value.flatten() for name, value in model.named_parameters() if "lora_A" in name])

    assert torch.equal(weights(1), weights(1))
    assert not torch.equal(weights(1), weights(2))


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names the hub was asked for; it knows all but models/typo, and cannot be reached for models/offline."""
    import httpx2
    import huggingface_hub
    from huggingface_hub.errors import RepositoryNotFoundError

    names: list[str] = []

    def model_info(self: Any, name: str, **options: Any) -> None:
        names.append(name)
        if name == "models/typo":
            request = httpx2.Request("GET", "/")
            raise RepositoryNotFoundError("404", response=httpx2.Response(404, request=request))
        if name == "models/offline":
            raise ConnectionError("no network\nat all")

    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", model_info)
    return names


def test_check_accepts_what_can_be_loaded(llama: Path, asked: list[str]) -> None:
    for good in ("tiny", llama, str(llama), "Qwen/Qwen3-0.6B", "gpt2"):
        check_student(good)
    assert asked == ["Qwen/Qwen3-0.6B", "gpt2"]


@pytest.mark.parametrize("key", ["max_position_embeddings", "n_positions"])
def test_more_tokens_at_once_than_a_model_has_positions_are_refused(tmp_path: Path, key: str) -> None:
    (tmp_path / "config.json").write_text(json.dumps({key: 256}))
    (tmp_path / "model.safetensors").write_bytes(b"")
    check_student(tmp_path, sequence_tokens=256)
    said = r"--model .*: reads 256 tokens at most, and --sequence-tokens is 512; give --sequence-tokens 256"
    with pytest.raises(BadInput, match=said):
        check_student(tmp_path, flag="--model", sequence_tokens=512)


def test_a_mistyped_name_is_found_out_before_anything_starts(asked: list[str]) -> None:
    for bad, why in (("models/typo", "nor a model of the hub"), ("models/offline", "hub cannot be asked")):
        with pytest.raises(BadInput, match=f"--student {bad}: .*{why}") as refusal:
            check_student(bad)
        assert "\n" not in str(refusal.value)


def adapters_of(folder: Path, base: object) -> Path:
    folder.mkdir()
    (folder / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": base}))
    (folder / "adapter_model.safetensors").write_bytes(b"")
    return folder


def test_adapters_are_refused_unless_they_are_to_be_trained(llama: Path, tmp_path: Path) -> None:
    pytest.importorskip("peft", reason="the extra 'lora' is not installed")
    adapters = adapters_of(tmp_path / "adapters", str(llama))
    check_student(adapters, lora=True)
    with pytest.raises(BadInput, match="a folder of LoRA adapters; give --lora"):
        check_student(adapters, lora=False)
    with pytest.raises(BadInput, match="a folder of LoRA adapters; merge them"):
        check_student(adapters)


def test_adapters_of_a_model_that_is_not_there_are_refused_in_one_line(
    tmp_path: Path, asked: list[str]
) -> None:
    pytest.importorskip("peft", reason="the extra 'lora' is not installed")
    for number, (base, why) in enumerate(
        (
            (str(tmp_path / "gone"), f"the model it adapts, {tmp_path / 'gone'}: no such folder"),
            ("models/typo", "the model it adapts, models/typo: neither a folder here nor a model of the hub"),
            (None, "its adapter_config.json names no base model"),
        )
    ):
        adapters = adapters_of(tmp_path / str(number), base)
        for refuses in (check_student, load_student):
            with pytest.raises(BadInput) as refusal:
                refuses(adapters, lora=True)
            assert f"--student {adapters}: {why}" in str(refusal.value)
            assert "\n" not in str(refusal.value)


def test_a_path_that_is_no_model_is_refused_in_one_line(tmp_path: Path, llama: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "pickled").mkdir()
    (tmp_path / "pickled" / "config.json").write_text("{}")
    (tmp_path / "pickled" / "pytorch_model.bin").write_bytes(b"")
    (tmp_path / "file").write_text("x")
    for bad, why in (
        (tmp_path / "missing", "no such folder"),
        ("./missing", "no such folder"),
        (tmp_path / "empty", "no config.json"),
        (tmp_path / "file", "no config.json"),
        (tmp_path / "pickled", "no *.safetensors"),
    ):
        with pytest.raises(BadInput) as refusal:
            check_student(bad)
        assert why in str(refusal.value)
        assert str(bad) in str(refusal.value)
        assert "\n" not in str(refusal.value)


def test_broken_models_are_refused_in_one_line(tmp_path: Path, llama: Path, tokenizer: Any) -> None:
    def copy(name: str, **changed: bytes) -> Path:
        (tmp_path / name).mkdir()
        for file, data in contents(llama).items():
            (tmp_path / name / file).write_bytes(changed.get(file.partition(".")[0], data))
        return tmp_path / name

    encoder = json.dumps({"model_type": "t5"}).encode()
    for broken in (
        copy("not-json", config=b"{"),
        copy("unknown", config=b'{"model_type": "no-such-model"}'),
        copy("encoder", config=encoder),
        copy("cut-weights", model=b"\x10\x00"),
        copy("cut-tokenizer", tokenizer=b"{"),
    ):
        with pytest.raises(BadInput) as refusal:
            load_student(broken)
        assert str(broken) in str(refusal.value)
        assert "\n" not in str(refusal.value)


def test_a_model_that_sees_later_tokens_is_refused(tmp_path: Path, tokenizer: Any) -> None:
    from transformers import BertConfig, BertForMaskedLM

    shape = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=64,
    )
    BertForMaskedLM(shape).save_pretrained(tmp_path / "bert")
    tokenizer.save_pretrained(tmp_path / "bert")
    with pytest.raises(BadInput, match="bert: no causal language model: a token sees those after it"):
        load_student(tmp_path / "bert")


def changed(llama: Path, folder: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    """A copy of a model with other weights."""
    shutil.copytree(llama, folder)
    weights = load_file(folder / "model.safetensors")
    change(weights)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def test_a_model_that_lacks_weights_is_refused(llama: Path, tmp_path: Path) -> None:
    """transformers would make them up, others at each loading."""
    lacking = changed(
        llama, tmp_path / "lacking", lambda own: own.pop("model.layers.1.self_attn.q_proj.weight")
    )
    with pytest.raises(
        BadInput, match=r"--model .*lacking: 1 of its weights are not in its files \(model.layers.1"
    ):
        load_student(lacking, flag="--model")


def test_a_model_with_damaged_weights_is_refused_for_that(llama: Path, tmp_path: Path) -> None:
    def damage(own: dict[str, Any]) -> None:
        own["model.norm.weight"][3] = float("nan")

    with pytest.raises(BadInput, match="computes no finite numbers; its weights may be damaged"):
        load_student(changed(llama, tmp_path / "damaged", damage))


def test_a_tokenizer_of_another_model_is_refused(tmp_path: Path, llama: Path) -> None:
    model, tokenizer = load_student(llama)
    model.resize_token_embeddings(tokenizer.vocab_size - 1)
    save_student(model, tokenizer, tmp_path / "small")
    with pytest.raises(BadInput, match="292 tokens and it embeds 291; they are of different models"):
        load_student(tmp_path / "small")


def test_a_tokenizer_without_an_end_is_refused(tmp_path: Path, llama: Path) -> None:
    model, tokenizer = load_student(llama)
    tokenizer.eos_token = None
    save_student(model, tokenizer, tmp_path / "endless")
    with pytest.raises(BadInput, match="no end-of-text token"):
        load_student(tmp_path / "endless")


def test_a_tokenizer_without_padding_pads_with_its_end(tmp_path: Path, llama: Path) -> None:
    model, tokenizer = load_student(llama)
    tokenizer.pad_token = None
    save_student(model, tokenizer, tmp_path / "student")
    _, loaded = load_student(tmp_path / "student")
    assert loaded.pad_token == loaded.eos_token


def test_a_name_that_cannot_be_fetched_is_refused_in_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(BadInput) as refusal:
        load_student("nobody/no-such-model")
    assert "nobody/no-such-model" in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_lora_without_peft_is_refused(monkeypatch: pytest.MonkeyPatch, llama: Path) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(BadInput, match=r"install sluice\[lora\]"):
        check_student(llama, lora=True)
