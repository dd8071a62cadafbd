"""Speed and memory of a student and an encoder of real size, on a GPU beside the CPU, in bfloat16 and in float32 there.

    python -m tests.bench.gpu

The models are made here with random weights, which cost as much as trained ones: a Llama of about half a billion parameters,
trained whole and with LoRA, and a BERT of the size of BERT base. Tokens are those of the texts, padding left out.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from transformers import BertConfig, BertModel, LlamaConfig, LlamaForCausalLM

from tasks.select.pretrained import TransformersEncoder
from tasks.train import precision
from tasks.train.checkpoint import load_student
from tasks.train.evaluate import pair_losses
from tasks.train.finetune import finetune
from tasks.train.format import encode_pairs
from tasks.train.student import learn_tokenizer
from tasks.train.training import Training
from tests.bench.markdown import table

PAIRS, TEXTS = 1_000, 2_000
CPU_PAIRS, CPU_TEXTS = 16, 64  # enough for a rate
BFLOAT16 = "cpu, bfloat16"
WORDS = [f"{first}{second}{third}" for first in "bdfgk" for second in "aeiou" for third in "lmnrst"]


def main() -> None:
    """Measure and print."""
    devices = ["cuda"] if torch.cuda.is_available() else []
    devices += [BFLOAT16, "cpu"] if precision.multiplies_bfloat16() else ["cpu"]
    draw = random.Random(0)
    texts = [" ".join(draw.choices(WORDS, k=draw.randint(60, 180))) for _ in range(TEXTS)]
    pairs = [(text[:200], text[200:600]) for text in texts[:PAIRS]]
    rows = []
    with TemporaryDirectory() as folder:
        llama, bert = make_llama(Path(folder) / "llama", texts), make_bert(Path(folder) / "bert", texts)
        for device in devices:
            # What the product decides by the processor is decided here by the row.
            precision.multiplies_bfloat16 = lambda device=device: device == BFLOAT16
            some = pairs if device == "cuda" else pairs[:CPU_PAIRS]
            for lora in (False, True):
                rows += student_rows(llama, some, device, lora)
            rows.append(encoder_row(bert, texts if device == "cuda" else texts[:CPU_TEXTS], device))
    name = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    print(table([f"{name}, {torch.get_num_threads()} threads", "tokens/s", "peak GPU memory, GiB"], rows))


def student_rows(path: Path, pairs: list[tuple[str, str]], device: str, lora: bool) -> list[list[str]]:
    model, tokenizer = load_student(path, lora=lora)
    model.to(device.partition(",")[0])
    training = Training(epochs=1, lora=lora)
    tokens = int(encode_pairs(tokenizer, pairs, training.sequence_tokens).lengths.sum())
    how = "LoRA" if lora else "all weights"
    finetune(model, tokenizer, pairs[:4], training)  # the first steps compile kernels and claim memory
    rows = [measured(f"train, {how}", device, tokens, lambda: finetune(model, tokenizer, pairs, training))]
    if not lora:
        rows.append(measured("ask and judge", device, tokens, lambda: pair_losses(model, tokenizer, pairs)))
    return rows


def encoder_row(path: Path, texts: list[str], device: str) -> list[str]:
    encoder = TransformersEncoder(str(path))
    if device != "cuda":
        encoder.device = torch.device("cpu")
        kind = torch.bfloat16 if precision.in_bfloat16(encoder.model, encoder.device) else torch.float32
        encoder.model.to("cpu", dtype=kind)
    tokens = sum(
        map(len, encoder.tokenizer(texts, truncation=True, max_length=encoder.max_tokens)["input_ids"])
    )
    encoder.encode(texts[:8])
    return measured("encode", device, tokens, lambda: encoder.encode(texts))


def measured(name: str, device: str, tokens: int, work: Callable[[], Any]) -> list[str]:
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    began = time.perf_counter()
    work()
    if device == "cuda":
        torch.cuda.synchronize()
    seconds = time.perf_counter() - began
    memory = f"{torch.cuda.max_memory_allocated() / 2**30:.1f}" if device == "cuda" else "-"
    return [f"{name}, {device}", f"{tokens / seconds:,.0f}", memory]


def make_llama(path: Path, texts: list[str]) -> Path:
    tokenizer = learn_tokenizer(texts, 1024)
    config = LlamaConfig(
        vocab_size=32_000,
        hidden_size=1024,
        intermediate_size=4096,
        num_hidden_layers=24,
        num_attention_heads=16,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
    )
    LlamaForCausalLM(config).save_pretrained(path)
    tokenizer.save_pretrained(path)
    return path


def make_bert(path: Path, texts: list[str]) -> Path:
    tokenizer = learn_tokenizer(texts, 1024)
    BertModel(BertConfig(vocab_size=30_522)).save_pretrained(path)
    tokenizer.model_max_length = 512
    tokenizer.save_pretrained(path)
    return path


if __name__ == "__main__":
    main()
