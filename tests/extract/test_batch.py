"""Extraction of many documents: nothing twice, in order, and nothing lost however a process ends."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest

from tasks.extract import batch
from tasks.extract.batch import ExtractedDocument, ExtractionJob, extract_batch, extract_documents
from tasks.extract.extractor import Extraction, make_extractor, work_key
from tasks.extract.rules.extractor import RuleExtractor
from tasks.extract.store import ExtractionStore
from tasks.records import BadInput, Document, Reject, Stopped

ROOT = Path(__file__).resolve().parents[2]
TEXT = "Q: What is number {}?\nA: It is {}.\n\nProblem: What is {} + 1?"


def documents(count: int) -> list[tuple[str, str]]:
    return [(f"d{n}", TEXT.format(n, n, n)) for n in range(count)]


def test_second_run_takes_everything_from_the_store(tmp_path: Path) -> None:
    job = ExtractionJob("rules", str(tmp_path / "s.sqlite"), documents(5), payer="first")
    first, second = extract_batch(job), extract_batch(replace(job, payer="second"))
    assert [done.cached for done in first] == [False] * 5
    assert [done.cached for done in second] == [True] * 5
    assert [(d.id, d.pairs, d.rejects) for d in first] == [(d.id, d.pairs, d.rejects) for d in second]
    assert first[3].pairs[0].id == "d3#0"
    assert first[3].rejects[0].id == "d3"
    assert set(ExtractionStore(job.store).calls().values()) == {1}


def test_a_run_that_asks_again_has_still_paid_itself(tmp_path: Path) -> None:
    job = ExtractionJob("rules", str(tmp_path / "s.sqlite"), documents(5), payer="first")
    extract_batch(replace(job, documents=documents(3)))
    assert [done.cached for done in extract_batch(job)] == [False] * 5
    assert set(ExtractionStore(job.store).calls().values()) == {1}
    assert [done.cached for done in extract_batch(replace(job, payer="second"))] == [True] * 5


def test_two_runs_that_extract_one_document_at_once_have_both_paid_when_they_ask_again(
    tmp_path: Path,
) -> None:
    job = ExtractionJob("rules", str(tmp_path / "s.sqlite"), documents(1))
    key = work_key(make_extractor("rules"), documents(1)[0][1])
    with ExtractionStore(job.store) as store:
        for payer in ("first", "second"):
            store.put(key, Extraction([], []), "rules/2", payer)
    cached = [extract_batch(replace(job, payer=payer))[0].cached for payer in ("first", "second", "third")]
    assert cached == [False, False, True]


@pytest.mark.parametrize("documents_per_job", [1, 2])
def test_same_text_under_another_id_is_the_same_work(tmp_path: Path, documents_per_job: int) -> None:
    text = documents(1)[0][1]
    path = str(tmp_path / "s.sqlite")
    one, other = extract_documents(
        [("one", text), ("other", text)], "rules", path, documents_per_job=documents_per_job
    )
    assert (one.cached, other.cached) == (False, True)
    assert [pair.id for pair in other.pairs] == ["other#0"]
    assert other.pairs[0].document_id == other.rejects[0].id == "other"
    assert set(ExtractionStore(path).calls().values()) == {1}


@pytest.mark.parametrize("distant", [False, True])
def test_a_text_read_twice_is_paid_once_also_by_a_run_that_asks_again(tmp_path: Path, distant: bool) -> None:
    twice = [*documents(2), *documents(3)]

    def paid() -> list[bool]:
        done = extract_documents(
            twice, "rules", str(tmp_path / "s.sqlite"), documents_per_job=2, payer="run", distant=distant
        )
        return [not document.cached for document in done]

    assert paid() == paid() == [True, True, False, False, True]


def test_other_settings_are_other_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = ExtractionJob("rules", str(tmp_path / "s.sqlite"), documents(1))
    extract_batch(job)
    monkeypatch.setattr(batch, "make_extractor", lambda spec: RuleExtractor(max_answer_characters=3))
    (again,) = extract_batch(job)
    assert not again.cached
    assert {reject.reason for reject in again.rejects} == {"answer too long", "no answer"}


def test_text_that_utf8_cannot_hold_is_stored(tmp_path: Path) -> None:
    job = ExtractionJob(
        "rules", str(tmp_path / "s.sqlite"), [("d", "Q: What is \ud800?\nA: A \x00 surrogate.")]
    )
    assert extract_batch(job)[0].pairs == extract_batch(job)[0].pairs != []


class _Fails:
    name = "fails/1"
    settings: ClassVar[dict[str, Any]] = {}

    def __init__(self, error: Exception) -> None:
        self.error = error

    def extract(self, document: Document) -> Extraction:
        if document.id == "d1":
            raise self.error
        return make_extractor("rules").extract(document)


@pytest.mark.parametrize("distant", [False, True])
def test_a_failure_costs_its_document_and_is_never_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, distant: bool
) -> None:
    monkeypatch.setattr(batch, "make_extractor", lambda spec: _Fails(ZeroDivisionError("by\nzero")))
    store = str(tmp_path / "s.sqlite")
    good, failed, last = extract_documents(documents(3), "fails", store, distant=distant)
    assert failed.rejects == [Reject("extract", "extractor failed", "d1", "ZeroDivisionError: by zero")]
    assert failed.pairs == []
    assert good.pairs
    assert last.pairs
    assert len(ExtractionStore(store).calls()) == 2


@pytest.mark.parametrize("distant", [False, True])
@pytest.mark.parametrize("error", [Stopped("the budget is spent"), BadInput("no such model")])
def test_a_stop_goes_through_and_keeps_what_was_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, distant: bool
) -> None:
    monkeypatch.setattr(batch, "make_extractor", lambda spec: _Fails(error))
    store = str(tmp_path / "s.sqlite")
    with pytest.raises(type(error)):
        list(extract_documents(documents(3), "fails", store, distant=distant))
    assert len(ExtractionStore(store).calls()) == 1


def test_distant_workers_get_only_what_is_missing_and_never_the_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = str(tmp_path / "s.sqlite")
    sent: list[list[str]] = []

    def far_away(function: Any, jobs: Iterable[ExtractionJob]) -> Any:
        for job in jobs:
            sent.append([document_id for document_id, _ in job.documents])
            with monkeypatch.context() as patch:
                patch.delattr(batch, "ExtractionStore")
                result = function(pickle.loads(pickle.dumps(job)))
            yield result

    def extract(count: int) -> list[ExtractedDocument]:
        return list(
            extract_documents(documents(count), "rules", path, far_away, documents_per_job=2, distant=True)
        )

    first, again = extract(3), extract(5)
    assert sent == [["d0", "d1"], ["d2"], [], ["d3"], ["d4"]]
    assert again[:3] == first
    assert again == extract_batch(ExtractionJob("rules", path, documents(5)))
    assert set(ExtractionStore(path).calls().values()) == {1}


def test_what_distant_workers_sent_before_a_kill_is_kept(tmp_path: Path) -> None:
    path = str(tmp_path / "s.sqlite")
    results = extract_documents(documents(9), "rules", path, documents_per_job=3, distant=True)
    for _ in range(4):
        next(results)
    assert len(ExtractionStore(path).calls()) == 4


def test_jobs_keep_the_order_and_read_documents_as_needed(tmp_path: Path) -> None:
    sizes: list[int] = []

    def mapper(function: Any, items: Iterable[Any]) -> Any:
        for item in items:
            sizes.append(len(item.documents))
            yield function(item)

    done = list(
        extract_documents(documents(7), "rules", str(tmp_path / "s.sqlite"), mapper, documents_per_job=3)
    )
    assert [document.id for document in done] == [f"d{n}" for n in range(7)]
    assert sizes == [3, 3, 1]


WORKER = """
import sys
from tests.extract.test_batch import documents
from tasks.extract.batch import ExtractionJob, extract_batch
extract_batch(ExtractionJob("rules", sys.argv[1], documents(int(sys.argv[2]))))
"""


def run(code: str, *arguments: str) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen([sys.executable, "-c", code, *arguments], env=environment, cwd=ROOT)


def test_two_processes_share_a_store(tmp_path: Path) -> None:
    path = tmp_path / "s.sqlite"
    processes = [run(WORKER, str(path), "400") for _ in range(2)]
    assert [process.wait(60) for process in processes] == [0, 0]
    calls = ExtractionStore(path).calls()
    assert len(calls) == 400
    assert set(calls.values()) <= {1, 2}  # both may hold the same document at the same time
    job = ExtractionJob("rules", str(path), documents(400), payer="another")
    assert all(document.cached for document in extract_batch(job))


def test_a_killed_process_loses_at_most_the_document_in_its_hands(tmp_path: Path) -> None:
    path, count = tmp_path / "s.sqlite", 20_000
    done: list[int] = []
    for moment in (1, 40, 200):
        process = run(WORKER, str(path), str(count))
        while process.poll() is None and _rows(path) < (done[-1] if done else 0) + moment:
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        assert process.wait(10) == -signal.SIGKILL
        calls = ExtractionStore(path).calls()
        assert set(calls.values()) == {1}
        done.append(len(calls))
    assert 0 < done[0] < done[1] < done[2] < count
    extractor = make_extractor("rules")
    finished = [work_key(extractor, text) for _, text in documents(count)][: done[-1]]
    assert set(finished) == set(ExtractionStore(path).get_many(finished))


def _rows(path: Path) -> int:
    return len(ExtractionStore(path).calls()) if path.exists() else 0
