"""Wrong events of pairs, whose answers are compared with peers of like length."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tasks.records import BadInput
from tasks.train.checkpoint import load_student
from tasks.train.student import make_student
from tasks.train.threads import one_thread
from tasks.train.training import Training
from tasks.wrong_event import pairs as events
from tasks.wrong_event.pairs import count_events, length_classes

NAMES = ["apple", "river", "stone", "cloud", "tiger", "piano", "lemon", "chair"]


def asked(count: int = 96) -> tuple[list[tuple[str, str]], np.ndarray]:
    """Questions whose answer is in them, and some whose answer is that of another."""
    random = np.random.default_rng(0)
    words = [NAMES[place] for place in random.integers(0, 8, count)]
    given = list(words)
    wrong = np.zeros(count, bool)
    wrong[random.permutation(count)[: count // 5]] = True
    for row in np.flatnonzero(wrong):
        given[row] = random.choice([name for name in NAMES if name != words[row]])
    return [(f"say {word}", f"{name} {name}") for word, name in zip(words, given, strict=True)], wrong


@pytest.fixture(scope="module")
def student(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("student") / "tiny"
    with one_thread():
        make_student(
            path,
            [f"{name} {name} say" for name in NAMES],
            vocabulary=300,
            width=32,
            layers=1,
            pretrain_tokens=0,
            seed=0,
        )
    return path


def counted(student: Path, learning_rate: float = 1e-2, pairs: Any = None, **options: Any) -> Any:
    with one_thread():
        model, tokenizer = load_student(student)
        training = Training(learning_rate=learning_rate, batch_tokens=256, sequence_tokens=64, seed=4)
        return count_events(model, tokenizer, pairs or asked()[0], training, **{"epochs": 8, **options})


def test_swapped_answers_gather_more_wrong_events(student):
    from sklearn.metrics import roc_auc_score

    wrong = asked()[1]
    found = counted(student)
    assert found.epochs == 8
    assert (found.counts <= 8).all()
    assert roc_auc_score(wrong, found.counts) > 0.85
    assert found.losses[-1] < found.losses[0]
    clean = found.model().clean(found.counts)
    assert clean[~wrong].mean() > clean[wrong].mean() + 0.3


def test_right_answers_are_not_doubted(student):
    right = [(question, f"{question[4:]} {question[4:]}") for question, _ in asked()[0]]
    found = counted(student, pairs=right, learning_rate=1e-3)  # at which some events happen
    assert found.counts.max() > 1
    assert (found.model().clean(found.counts) == 1).all()


def test_below_the_median_of_the_peers():
    shares = np.array([0.1, 0.5, 0.9, 0.2, 0.2, 0.8])
    below = events._below_median(shares, np.array([0, 0, 0, 1, 1, 1]))
    assert below.tolist() == [True, False, False, False, False, False]


def test_peers_are_of_like_length_and_each_is_asked_of_once():
    lengths = np.random.default_rng(0).integers(1, 200, 400)
    classes = length_classes(lengths)
    assert len(np.unique(classes)) == 12
    assert np.bincount(classes).min() >= 25
    for one in range(11):
        assert lengths[classes == one].max() <= lengths[classes == one + 1].min()
    others = events._of_peers(classes, np.random.default_rng(1))
    assert (classes[others] == classes).all()
    assert (others != np.arange(400)).all()
    assert sorted(others) == list(range(400))
    assert len(np.unique(length_classes(np.full(100, 7)))) == 1


@pytest.mark.parametrize(
    "lengths",
    [
        [7] * 59 + [3],  # below the only edge
        [7] * 30 + [8] + [9] * 59,  # between two edges
    ],
)
def test_no_pair_is_its_own_peer_where_many_answers_are_as_long(lengths):
    """Its answer would never be likelier after its own question than after the same one."""
    classes = length_classes(np.array(lengths))
    others = events._of_peers(classes, np.random.default_rng(0))
    assert (others != np.arange(len(lengths))).all()
    assert (np.diff(classes[np.argsort(lengths, kind="stable")]) >= 0).all()


def test_peers_with_the_same_question_tell_nothing(student):
    found = counted(student, pairs=[("say it", f"{name} {name}") for name in NAMES * 12], epochs=2)
    assert found.counts.tolist() == [0] * 96


def test_the_share_of_right_tokens_counts_with_peers_answers(student):
    found = counted(student, peers="answers", epochs=3)
    assert 0 < found.counts.max() <= 3
    # At most half of a class is below its median at a visit.
    assert found.counts.sum() <= 3 * len(found.counts) / 2


def test_an_interrupted_count_ends_as_one_that_was_not(student, tmp_path):
    def stop(epoch: int, of: int) -> None:
        if epoch == 2:
            raise KeyboardInterrupt

    whole = counted(student, epochs=4)
    with pytest.raises(KeyboardInterrupt):
        counted(student, epochs=4, kept=tmp_path / "kept", told=stop)
    again = counted(student, epochs=4, kept=tmp_path / "kept")
    assert (whole.counts == again.counts).all()
    assert whole.losses == again.losses


def test_a_count_that_diverges_is_bad_input(student):
    with pytest.raises(BadInput, match=r"--learning-rate 1e\+20: the loss was not finite in epoch \d"):
        counted(student, epochs=3, learning_rate=1e20)
