"""A small pool, a run on it that is ready for its first round, and a GPT-2 to train."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tasks.train.threads import one_thread
from tests.lead.prepared import Prepared, examples, prepare
from tests.train.tiny_models import save_model


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> Iterator[None]:
    """These models are so small that threads would only wait for each other."""
    with one_thread():
        yield


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "pool.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in examples()))
    return path


@pytest.fixture(scope="session")
def base(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    return prepare(tmp_path_factory.mktemp("prepared") / "run", data)


@pytest.fixture
def prepared(base: Prepared, tmp_path: Path) -> Callable[..., Prepared]:
    """A copy of the prepared run, under a name, with changes of its settings."""
    return lambda name="run", **changes: base.copy(tmp_path / name, **changes)


@pytest.fixture(scope="session")
def gpt2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a GPT-2, which has dropout."""
    from tasks.train.student import learn_tokenizer

    texts = [f"{row['question']} {row['answer']}" for row in examples()]
    return save_model(tmp_path_factory.mktemp("gpt2"), learn_tokenizer(texts, 320), "gpt2")
