"""Files of pairs, answers, truth and workers: ids of two tables that are alike, pairs without an order, and what cannot be."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tasks.crowd.cluster.read import Ids, read_answers, read_candidates, read_confusion, read_truth
from tasks.crowd.cost.pairs import Candidates
from tasks.records import BadInput


def write(path: Path, *lines: str) -> str:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(path)


def candidates(tmp_path: Path, within: bool, *rows: str) -> tuple[Candidates, Ids]:
    name = write(tmp_path / "pairs.csv", "left_id,right_id,probability", *rows)
    pairs, ids, _ = read_candidates(name, "probability", within)
    return pairs, ids


def test_ids_of_two_tables_may_be_alike_and_those_of_one_have_no_order(tmp_path: Path) -> None:
    rows = ("1,1,0.9", "1,2,0.2", "2,1,0.4")
    pairs, ids = candidates(tmp_path, False, *rows)
    assert ids.records == [("left", "1"), ("right", "1"), ("right", "2"), ("left", "2")]
    assert len(pairs) == 3
    assert pairs.records == 4
    with pytest.raises(BadInput, match=r"pairs.csv:\d: 1 is paired with itself"):
        candidates(tmp_path, True, *rows)
    name = write(tmp_path / "twice.csv", "ltable_id,rtable_id,probability", "a,b,.2", "b,a,.7", "b,c,0")
    pairs, ids, rejects = read_candidates(name, "probability", True)
    assert pairs.score.tolist() == [0.7, 0.0]
    assert [ids.names(0), ids.names(1)] == [("a", "b"), ("b", "c")]
    assert [(one.reason, one.id.rpartition(":")[2]) for one in rejects] == [("stands there twice", "3")]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("a,b,1.5", "probability is 1.5"),
        ("a,b,", "(empty)"),
        ("a,,1", "right_id is empty"),
        ("a,b,nan", "nan"),
    ],
)
def test_what_is_no_pair_is_told_with_its_place(tmp_path: Path, row: str, said: str) -> None:
    with pytest.raises(BadInput, match=r"pairs.csv:2: ") as told:
        candidates(tmp_path, True, row)
    assert said in str(told.value)


def test_answers_and_truth_find_their_pairs_whatever_the_order(tmp_path: Path) -> None:
    _, ids = candidates(tmp_path, True, "a,b,.5", "c,d,.5", "b,c,.1")
    answers = write(
        tmp_path / "answers.csv",
        "left_id,right_id,worker,label",
        *("b,a,w1,yes", "a,b,w1,0", "a,b,w2,1", "x,y,w1,1", "d,c,w2,", "d,c,w2,0"),
    )
    assert read_answers([answers], ids) == {0: {"w1": 1, "w2": 1}, 1: {"w2": 0}}
    truth = write(tmp_path / "truth.csv", "left_id,right_id,label", "b,a,1", "c,d,0", "x,y,1")
    assert read_truth(truth, ids).tolist() == [0, 0, 1, 2]
    clusters = write(tmp_path / "clusters.csv", "cluster,id", "7,a", "7,c", "8,b", "9,x")
    assert read_truth(clusters, ids).tolist() == [0, 1, 0, 2]
    _, ids = candidates(tmp_path, False, "1,1,.5", "2,2,.5")
    clusters = write(tmp_path / "two.csv", "cluster,table,id", "0,left,1", "0,right,2", "1,right,1")
    assert read_truth(clusters, ids).tolist() == [0, 1, 2, 0]
    with pytest.raises(BadInput, match="no column label, nor cluster and id"):
        read_truth(write(tmp_path / "none.csv", "left_id,right_id", "1,1"), ids)


def test_workers_of_whom_half_is_known_are_left_out(tmp_path: Path) -> None:
    head = "worker,truth,label,probability,answers"
    rows = ["a,0,0,.9,30", "a,0,1,.1,30", "a,1,0,.2,10", "a,1,1,.8,10", "b,0,0,1,5", "b,0,1,0,5"]
    found = read_confusion(write(tmp_path / "workers.csv", head, *rows))
    assert list(found.workers) == ["a"]
    assert np.allclose(found.matrices, [[[0.9, 0.1], [0.2, 0.8]]])
    assert found.activity.tolist() == [40]
    with pytest.raises(BadInput, match=r"of a sum to 1.1, 1, by truth"):
        read_confusion(write(tmp_path / "wrong.csv", head, "a,0,0,1,1", *rows[1:]))
    with pytest.raises(BadInput, match="no workers"):
        read_confusion(write(tmp_path / "half.csv", head, *rows[4:]))
