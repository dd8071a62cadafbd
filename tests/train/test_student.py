from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tiny_models import SUMS, TEXTS

from tasks.records import BadInput
from tasks.train.checkpoint import check_student, load_student
from tasks.train.evaluate import evaluate
from tasks.train.finetune import fit
from tasks.train.student import make_student, pack, sample_texts
from tasks.train.train import count_tokens, train_student
from tasks.train.training import Training

SMALL: dict[str, Any] = {
    "vocabulary": 300,
    "width": 32,
    "layers": 1,
    "sequence_tokens": 64,
    "pretrain_tokens": 2000,
}


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.fixture(scope="module")
def student(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("made") / "student"
    make_student(path, TEXTS, seed=3, **SMALL)
    return path


@given(st.text())
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_decodes_to_itself(tokenizer: Any, text: str) -> None:
    assert tokenizer.decode(tokenizer.encode(text, split_special_tokens=True)) == text


def test_the_same_seed_makes_the_same_files_in_another_process(student: Path, tmp_path: Path) -> None:
    script = (
        "import sys, pathlib; from tasks.train.student import make_student; from tiny_models import TEXTS;"
        f"make_student(pathlib.Path(sys.argv[1]), TEXTS, seed=3, **{SMALL!r})"
    )
    root = Path(__file__).resolve().parents[2]
    paths = [str(root), str(Path(__file__).parent)]
    subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path[:0] = {paths!r};" + script, str(tmp_path / "again")],
        check=True,
        capture_output=True,
    )
    assert contents(tmp_path / "again") == contents(student)


def test_another_seed_makes_another_student(student: Path, tmp_path: Path) -> None:
    make_student(tmp_path / "other", TEXTS, seed=4, **SMALL)
    assert contents(tmp_path / "other")["model.safetensors"] != contents(student)["model.safetensors"]


def test_a_made_student_can_be_loaded_and_pretraining_taught_it_something(
    student: Path, tmp_path: Path
) -> None:
    make_student(tmp_path / "blank", TEXTS, seed=3, **{**SMALL, "pretrain_tokens": 0})
    check_student(student)
    taught, blank = (evaluate(*load_student(path), SUMS).nll for path in (student, tmp_path / "blank"))
    assert taught < blank - 0.2
    assert blank == pytest.approx(np.log(300), abs=0.7)


def test_the_default_size_is_about_0_7_million_parameters(tmp_path: Path) -> None:
    text = " ".join(f"{a}x{b} is {a * b}," for a in range(60) for b in range(60))
    make_student(tmp_path / "student", [text], pretrain_tokens=0, seed=0)
    model, tokenizer = load_student(tmp_path / "student")
    assert model.num_parameters() == pytest.approx(700_000, rel=0.05)
    assert model.config.hidden_size // model.config.num_attention_heads == 32
    assert len(tokenizer) <= 1024


def test_a_student_that_fails_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="--student-width 40"):
        make_student(tmp_path / "student", TEXTS, seed=0, **{**SMALL, "width": 40})
    with pytest.raises(BadInput, match="no text to learn from"):
        make_student(tmp_path / "student", ["", " \n"], seed=0, **SMALL)
    assert list(tmp_path.iterdir()) == []


def test_the_sample_is_bounded_and_reaches_the_end_of_a_sorted_corpus() -> None:
    texts = [f"{index:05d}" * 20 for index in range(2000)]
    sample = sample_texts(iter(texts), np.random.default_rng(0), characters=10_000)
    assert 9_900 <= sum(map(len, sample)) <= 10_000
    places = [texts.index(text) for text in sample]
    assert 600 < np.mean(places) < 1400
    assert places != sorted(places)


def test_packing_keeps_every_token_and_ends_every_text() -> None:
    blocks = pack([[1, 2, 3], [4, 5], [6, 7]], 0, 4)
    assert blocks.tokens.tolist() == [1, 2, 3, 0, 4, 5, 0, 6, 7, 0]
    assert blocks.lengths.tolist() == [4, 4, 2]


def test_a_last_block_always_has_something_to_predict(student: Path) -> None:
    model, _ = load_student(student)
    for texts in range(1, 9):
        blocks = pack([[token] for token in range(1, texts + 1)], 0, 3)
        assert blocks.lengths.sum() == 2 * texts
        assert blocks.lengths.min() > 1
        for tokens in range(1, 9):  # whatever room is left for the last step
            fit(model, blocks, Training(tokens=tokens, learning_rate=1e-4, batch_tokens=6))


def test_training_from_folder_to_folder(student: Path, tmp_path: Path) -> None:
    training = Training(tokens=4000, batch_tokens=512, learning_rate=3e-3)
    before = evaluate(*load_student(student), SUMS[16:], batch_tokens=512).nll
    result = train_student(student, tmp_path / "next", SUMS[:16], SUMS[16:], training)
    assert result["nll"] < before
    assert result["nll"] == evaluate(*load_student(tmp_path / "next"), SUMS[16:], batch_tokens=512).nll
    assert 3900 < result["tokens"] <= 4000

    train_student(student, tmp_path / "again", SUMS[:16], SUMS[16:], training)
    assert contents(tmp_path / "again") == contents(tmp_path / "next")


def test_a_student_in_the_home_folder_can_be_trained_and_counted_with(
    student: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(student.parent))
    assert count_tokens("~/student", SUMS, 64) == count_tokens(student, SUMS, 64)
    tokens = train_student("~/student", None, SUMS, [], Training(epochs=1, sequence_tokens=64))["tokens"]
    assert tokens == count_tokens(student, SUMS, 64)


def test_training_without_pairs_or_test_says_so(student: Path) -> None:
    result = train_student(student, None, [], [], Training())
    assert result["tokens"] == 0
    assert result["nll"] is result["exact_match"] is None


def test_rates_follow_the_kind_of_student(student: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, _ = load_student(student)
    assert Training().rates(model) == (1e-3, 1024)
    assert Training(lora=True).rates(model) == (1e-4, 1024)
    assert Training(learning_rate=0.5, batch_tokens=64).rates(model) == (0.5, 64)
    monkeypatch.setattr("tasks.train.training.SMALL", model.num_parameters())
    assert Training().rates(model) == (1e-5, 4096)
    assert Training(lora=True).rates(model) == (1e-4, 4096)
