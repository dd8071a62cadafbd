"""What the tests of flows share: a corpus, the cheapest settings that still run every stage, and models to name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from example_corpus import write_corpus

from tasks.loop.settings import EqualSettings

TINY = {
    "budget": 0.3,
    "rounds": 3,
    "workers": 1,
    "student_vocabulary": 400,
    "student_width": 32,
    "student_layers": 1,
    "pretrain_tokens": 2000,
    "compare": [],
}


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """corpus.jsonl (120 documents) and target.jsonl."""
    return write_corpus(tmp_path_factory.mktemp("corpus"))


@pytest.fixture(scope="session")
def settings(corpus: tuple[Path, Path]) -> Callable[..., EqualSettings]:
    """Settings of a tiny run on the corpus, with changes."""

    def make(runs_dir: Path, run: str, **changes: Any) -> EqualSettings:
        values = {"corpus": [str(corpus[0])], "target": str(corpus[1]), **TINY, **changes}
        return EqualSettings(runs_dir=str(runs_dir), run=run, **values)

    return make


@pytest.fixture
def without_dask(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stages run in this process: the results are the same, and no workers have to start."""
    import flows.equal

    @contextmanager
    def nobody(count: int, scheduler: str) -> Iterator[None]:
        yield

    monkeypatch.setattr(flows.equal, "workers", nobody)


@pytest.fixture(scope="session")
def causal_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a small GPT-2 with random weights."""
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    from tasks.train.student import learn_tokenizer

    folder = tmp_path_factory.mktemp("gpt2")
    tokenizer = learn_tokenizer(["How many marbles does Ada have now? The answer is 12."] * 20, 320)
    shape = GPT2Config(
        vocab_size=len(tokenizer), n_embd=32, n_layer=1, n_head=2, n_positions=512, eos_token_id=0
    )
    with torch.random.fork_rng():
        torch.manual_seed(7)
        GPT2LMHeadModel(shape).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def encoder_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a small BERT with random weights that knows a few words of the corpus."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("bert")
    words = [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        *["answer", "boat", "cook", "finds", "gives", "How", "is", "many", "now", "soup", "the"],
    ]
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]"
    ).save_pretrained(folder)
    shape = BertConfig(
        vocab_size=len(words),
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=64,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        BertModel(shape).save_pretrained(folder)
    return folder
