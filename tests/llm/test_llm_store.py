"""The store: one asks, the others wait; money that is held, spent or lost; a pace that all processes keep."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import psutil
import pytest

from tasks.llm import store as module
from tasks.llm.request import Usage
from tasks.llm.store import Admission, RequestStore
from tasks.records import BadInput, Stopped
from tests.llm.verdicts import run

USAGE = Usage(10, 4, 2)

# Claims a request, says so, and lives until its input ends.
CLAIM = """
import sys, psutil
from tasks.llm.store import RequestStore
store = RequestStore(sys.argv[1])
print(store.admit("k", payer="run", cost=3.0).state, flush=True)
sys.stdin.read()
"""


def admit(store: RequestStore, key: str = "k", **settings: Any) -> Admission:
    return store.admit(key, **{"payer": "run", "cost": 1.0, **settings})


def put(store: RequestStore, key: str = "k", cost: float = 1.0, **settings: Any) -> None:
    store.put(key, f"reply to {key}", USAGE, cost=cost, **{"payer": "run", "stage": "s", **settings})


def test_a_request_is_claimed_until_its_reply_is_there(store: RequestStore) -> None:
    assert admit(store).state == "send"
    assert admit(store).state == "asked"
    put(store)
    assert admit(store) == Admission("known", "reply to k")


def test_a_request_that_is_given_back_can_be_asked_again(store: RequestStore) -> None:
    admit(store)
    store.release("k")
    assert admit(store).state == "send"
    assert store.get_many(["k"]) == {}
    assert store.lost("run") == 0


def test_the_first_reply_of_a_request_stays_and_every_payment_counts(store: RequestStore) -> None:
    put(store)
    store.put("k", "another", USAGE, payer="run", stage="s", cost=1.0)
    assert store.get_many(["k"]) == {"k": "reply to k"}
    assert store.calls() == {"k": 2}
    assert store.spending("run").cost == 2.0


def test_replies_are_there_for_a_store_that_is_opened_later(store: RequestStore) -> None:
    for n in range(1200):
        put(store, f"k{n}")
    with RequestStore(store.path) as later:
        assert set(later.get_many([f"k{n}" for n in range(1300)])) == {f"k{n}" for n in range(1200)}


def test_text_of_any_characters_comes_back_as_it_was(store: RequestStore) -> None:
    text = '{"x": "\x00 \u2028 \U0001f600 \\ud800"}'
    store.put("k", text, USAGE, payer="run", stage="s", cost=0.0)
    assert store.get_many(["k"])["k"] == text


def test_spending_is_by_payer_and_stage(store: RequestStore) -> None:
    put(store, "a", retries=2)
    put(store, "b", stage="t")
    put(store, "c", payer="other")
    both = store.spending("run")
    assert (both.requests, both.retries, both.sent, both.cached, both.answered, both.cost) == (
        2,
        2,
        20,
        8,
        4,
        2.0,
    )
    assert store.spending("run", "t").requests == 1
    assert store.spending("nobody").cost == 0
    assert store.paid_by("run") == {"a", "b"}


def test_what_is_under_way_is_held_at_its_most_and_what_it_did_not_cost_is_free_again(
    store: RequestStore,
) -> None:
    assert admit(store, "a", budget=3.0).state == "send"
    assert admit(store, "b", budget=3.0).state == "send"
    assert admit(store, "c", budget=3.0, cost=1.5).state == "held"
    put(store, "a", cost=0.25)
    assert admit(store, "c", budget=3.0, cost=1.5).state == "send"


def test_over_is_what_no_reply_under_way_can_change(store: RequestStore) -> None:
    admit(store, "a")
    assert admit(store, "b", budget=3.0, cost=3.5).state == "over"
    put(store, "a", cost=1.0)
    assert admit(store, "b", budget=3.0, cost=2.5).state == "over"
    assert admit(store, "b", budget=3.0, cost=2.0).state == "send"


def test_a_budget_is_of_one_payer(store: RequestStore) -> None:
    put(store, "a", cost=2.0)
    assert admit(store, "b", budget=2.0).state == "over"
    assert admit(store, "b", budget=2.0, payer="other").state == "send"


def test_what_is_known_costs_nothing_also_when_the_budget_is_spent(store: RequestStore) -> None:
    put(store, cost=9.0)
    assert admit(store, budget=1.0).state == "known"


def test_many_small_sums_fit_a_budget_exactly(store: RequestStore) -> None:
    for n in range(10):
        assert admit(store, str(n), cost=0.1, budget=1.0).state == "send"
        put(store, str(n), cost=0.1)
    assert admit(store, "x", cost=0.1, budget=1.0).state == "over"


def test_a_request_that_may_have_been_charged_is_lost_money(store: RequestStore) -> None:
    admit(store, cost=2.0)
    store.release("k", charged=True)
    assert store.lost("run") == 2.0
    assert store.spending("run").cost == 0
    assert admit(store, budget=2.5).state == "over"


def test_an_answer_that_could_not_be_read_is_lost_money_once(store: RequestStore) -> None:
    for answer in ("first", "second", "first"):
        store.lose("k", answer, payer="run", cost=2.0)
    store.lose("k", "first", payer="other", cost=1.0)
    assert (store.lost("run"), store.lost("other")) == (4.0, 1.0)
    assert admit(store, budget=4.5).state == "over"


def test_a_claim_of_another_process_holds_while_that_lives_and_is_lost_money_when_it_was_killed(
    store: RequestStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = run_until_claimed(store.path)
    try:
        assert admit(store).state == "asked"
        assert store.lost("run") == 0
    finally:
        other.kill()
    # It is not waited for: what a killed process leaves in the table of processes is not alive either.
    while psutil.Process(other.pid).status() != psutil.STATUS_ZOMBIE:
        os.sched_yield()
    monkeypatch.setattr(module, "_SURE", 0.0)
    assert admit(store, budget=3.5).state == "over"
    assert store.lost("run") == 3.0
    assert admit(store, budget=4.0).state == "send"
    assert store.lost("run") == 3.0
    other.wait()


def run_until_claimed(path: Path) -> Any:
    process = run(CLAIM, str(path), stdin=True)
    assert process.stdout
    assert process.stdout.readline() == "send\n"
    return process


@pytest.mark.parametrize(("later", "state"), [(1.3, "asked"), (60.0, "send")])
def test_a_claim_outlives_a_clock_that_is_set_and_not_a_process_whose_number_is_used_again(
    store: RequestStore, monkeypatch: pytest.MonkeyPatch, later: float, state: str
) -> None:
    """When a process began is told by the clock as it is set now."""
    other = run_until_claimed(store.path)
    began = psutil.Process.create_time
    monkeypatch.setattr(psutil.Process, "create_time", lambda self: began(self) + later)
    try:
        assert admit(store).state == state
    finally:
        other.kill()
        other.wait()


def test_a_store_that_was_closed_with_a_claim_does_not_hold_it_though_its_process_lives(
    tmp_path: Path,
) -> None:
    with RequestStore(tmp_path / "s") as first:
        admit(first)
    with RequestStore(tmp_path / "s") as second:
        assert admit(second, cost=2.0).state == "send"
        assert second.lost("run") == 1.0


def test_two_stores_of_one_process_do_not_give_back_each_others_claims(tmp_path: Path) -> None:
    with RequestStore(tmp_path / "s") as first, RequestStore(tmp_path / "s") as second:
        admit(first)
        second.release("k")
        assert admit(second).state == "asked"


def test_a_cool_down_is_for_all_and_never_made_shorter(store: RequestStore) -> None:
    store.cool_down("here", 50.0)
    store.cool_down("here", 1.0)
    with RequestStore(store.path) as other:
        waiting = admit(other, endpoint="here")
    assert waiting.state == "wait"
    assert 49 < waiting.seconds <= 50
    assert admit(store, endpoint="elsewhere").state == "send"


def test_a_cool_down_ends(store: RequestStore, monkeypatch: pytest.MonkeyPatch) -> None:
    store.cool_down("here", 50.0)
    later = time.time() + 51
    monkeypatch.setattr(module.time, "time", lambda: later)
    assert admit(store, endpoint="here").state == "send"


def test_requests_of_a_minute_are_spaced_evenly_by_all_who_share_the_store(
    store: RequestStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1_000.0
    monkeypatch.setattr(module.time, "time", lambda: now)
    sent = []
    other = RequestStore(store.path)  # as another process would have
    while now < 1_060.0:
        come = admit((store, other)[len(sent) % 2], str(len(sent)), endpoint="here", per_minute=60)
        if come.state == "send":
            sent.append(now)
        else:
            now += come.seconds
    assert len(sent) == 60
    assert min(later - sooner for sooner, later in pairwise(sent)) >= 0.9
    other.close()


def test_a_pause_is_not_made_up_for(store: RequestStore, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1_000.0
    monkeypatch.setattr(module.time, "time", lambda: now)
    assert admit(store, "a", endpoint="here", per_minute=60).state == "send"
    now += 600
    assert admit(store, "b", endpoint="here", per_minute=60).state == "send"
    assert admit(store, "c", endpoint="here", per_minute=60).state == "wait"


def _race(path: str, barrier: Any, wins: Any) -> None:
    with RequestStore(path) as store:
        for number in range(40):
            barrier.wait(30)
            if store.admit(str(number), payer="run", cost=1.0, budget=30.0).state == "send":
                wins.put(number)


def test_processes_that_ask_for_one_request_at_once_get_leave_once_and_never_past_the_budget(
    tmp_path: Path,
) -> None:
    context = multiprocessing.get_context("spawn")
    barrier, wins = context.Barrier(3), context.Queue()
    path = str(tmp_path / "s")
    processes = [context.Process(target=_race, args=(path, barrier, wins)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0, 0]
    won = [wins.get(timeout=5) for _ in range(wins.qsize())]
    assert len(won) == len(set(won))
    # A process that ends early gives its claims up as lost; money is never granted twice.
    assert len(won) == 30


def test_what_is_no_store_is_bad_input_and_a_sick_disk_stops(tmp_path: Path) -> None:
    path = tmp_path / "s.sqlite"
    path.write_text("a letter " * 500)
    with pytest.raises(BadInput, match="not a store of model replies"):
        RequestStore(path)
    path.unlink()
    RequestStore(path).close()
    (tmp_path / "s.sqlite-wal").mkdir()
    with pytest.raises(Stopped, match="then resume"):
        RequestStore(path)


def test_a_process_that_is_killed_while_it_writes_leaves_whole_rows(tmp_path: Path) -> None:
    code = """
import sys
from tasks.llm.request import Usage
from tasks.llm.store import RequestStore
store = RequestStore(sys.argv[1])
for n in range(100_000):
    store.admit(str(n), payer="run", cost=1.0)
    store.put(str(n), "reply", Usage(), payer="run", stage="s", cost=1.0)
    print(n, flush=True)
"""
    process = run(code, str(tmp_path / "s"))
    assert process.stdout
    for _ in range(200):
        last = int(process.stdout.readline())
    process.send_signal(signal.SIGKILL)
    process.wait()
    with RequestStore(tmp_path / "s") as store:
        calls = store.calls()
        assert set(calls.values()) == {1}
        assert len(calls) > last  # what was said to be stored is
        assert len(store.get_many(list(calls))) == len(calls)
        assert store.spending("run").cost == len(calls)
        assert store.lost("run") <= 1.0
