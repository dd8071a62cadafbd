"""Strategies beside the run's own: each is done once, whatever kills the run in between."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from example_corpus import write_corpus

from tasks.loop import compare
from tasks.loop.settings import EqualSettings

Facts = dict[str, Any]
GIVEN: Facts = {
    "corpus": {"files": {"c": "1"}},
    "clusters": {"files": {"k": "1"}},
    "student": {"files": {}, "student": "tiny"},
    "taught": {"files": {"t": "1"}, "student": "taught"},
    "rounds": 3,
    "rewarded": {"files": {"r": "1"}, "amounts": []},
}


def settings(folder: Path) -> EqualSettings:
    corpus, target = write_corpus(folder)
    return EqualSettings(
        corpus=[str(corpus)], target=str(target), compare=["random", "dsir"], train_reference=True
    )


def test_what_is_done_is_not_done_again_after_a_kill(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own, done = settings(tmp_path), []

    def strategy(run: Path, settings: EqualSettings, name: str, *_: Any) -> Facts:
        if name == "dsir" and len(done) == 1:
            done.append("killed")
            raise KeyboardInterrupt
        done.append(name)
        return {"strategy": name, "nll": len(done)}

    monkeypatch.setattr(compare, "strategy", strategy)
    monkeypatch.setattr(compare.students, "with_reference", lambda *_, **__: {"nll_reference": 1.0})
    with pytest.raises(KeyboardInterrupt):
        compare.others(tmp_path, own, tokens=7, **GIVEN)
    found = compare.others(tmp_path, own, tokens=7, **GIVEN)
    assert done == ["random", "killed", "dsir"]
    assert [row["strategy"] for row in found["comparison"]] == ["random", "dsir"]
    assert found["reference"]["nll_reference"] == 1.0
    compare.others(tmp_path, own, tokens=8, **GIVEN)  # longer training is other work
    assert done == ["random", "killed", "dsir", "random", "dsir"]
    other = {**GIVEN, "taught": {**GIVEN["taught"], "files": {"t": "2"}}}
    compare.others(tmp_path, own, tokens=8, **other)  # so is the word of another student
    assert done[5:] == ["random", "dsir"]
    for mark in ("1", "2"):  # so are the pairs that a person thinks good
        judged = {**GIVEN["rewarded"], "judged": {"files": {"judged.npy": mark}}}
        compare.others(tmp_path, own, tokens=8, **{**GIVEN, "rewarded": judged})
    assert done[7:] == ["random", "dsir", "random", "dsir"]


def test_rows_are_in_the_order_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = ["random", "everything", "dsir"]
    own = settings(tmp_path).model_copy(update={"compare": asked, "train_reference": False})
    began: list[str] = []

    def strategy(run: Path, settings: EqualSettings, name: str, *_: Any) -> Facts:
        began.append(name)
        return {"strategy": name}

    monkeypatch.setattr(compare, "strategy", strategy)
    found = compare.others(tmp_path, own, tokens=7, **GIVEN)
    assert [row["strategy"] for row in found["comparison"]] == asked
    assert began[0] == "everything"  # the longest first
    assert found["reference"] is None


@pytest.mark.parametrize(("scheduler", "on_workers"), [("", True), ("tcp://host:8786", False)])
def test_distant_workers_are_given_no_strategy_because_it_would_write_to_the_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scheduler: str, on_workers: bool
) -> None:
    own = settings(tmp_path).model_copy(update={"train_reference": False, "scheduler": scheduler})
    sent: list[str] = []

    def mapper(function: Any, items: Any) -> Any:
        for name, work in items:
            sent.append(name)
            yield function((name, work))

    monkeypatch.setattr(compare, "current_mapper", lambda: mapper)
    monkeypatch.setattr(compare, "strategy", lambda run, settings, name, *_: {"strategy": name})
    compare.others(tmp_path, own, tokens=7, **GIVEN)
    assert sent == (own.compare if on_workers else [])
