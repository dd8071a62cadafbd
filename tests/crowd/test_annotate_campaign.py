"""Who is given what, when an item is done, who is eliminated."""

from __future__ import annotations

import threading
import time
from collections import Counter

import numpy as np
import pytest

from tasks.crowd.annotate.campaign import Campaign
from tasks.crowd.annotate.items import earlier_answers, items_of
from tasks.crowd.annotate.replay import recording_of
from tasks.crowd.annotate.worker import golden_due
from tasks.crowd.truth.agreement import upper_bound
from tasks.crowd.truth.inferred import UNKNOWN
from tasks.records import BadInput
from tests.crowd.annotating import LABELS, answer, campaign_of, settings_of, truth_of
from tests.csv_files import write_rows


def test_annotators_at_once_are_not_given_more_than_an_item_needs(tmp_path):
    with campaign_of(tmp_path, settings_of(tmp_path, 6, min_answers=1)) as campaign:
        first, second, third = (campaign.offer(name, 4) for name in ("ann", "bob", "eve"))
        assert len(first) == 4
        assert len(second) == 2
        assert sorted(first + second) == list(range(6))
        assert third == []
        answer(campaign, "ann", first)  # one answer is not sure: one more of each is wanted
        assert sorted(campaign.offer("eve", 9)) == sorted(first)
        assert not set(campaign.offer("ann", 9)) & set(first)


def test_what_is_not_answered_in_time_goes_to_another_and_late_answers_count(tmp_path):
    now = [0.0]
    settings = settings_of(tmp_path, 1, min_answers=1, max_answers=1)
    with campaign_of(tmp_path, settings, clock=lambda: now[0]) as campaign:
        assert campaign.offer("ann", 1, seconds=60) == [0]
        assert campaign.offer("bob", 1, seconds=60) == []
        now[0] = 61.0
        assert campaign.offer("bob", 1, seconds=60) == [0]
        answer(campaign, "ann", [0])
        answer(campaign, "bob", [0])
        assert campaign.counts.tolist() == [2]
        assert campaign.finished


def test_an_item_is_done_when_it_is_sure_or_has_enough_answers(tmp_path):
    settings = settings_of(tmp_path, 2, min_answers=2, max_answers=4, confidence=0.8)
    with campaign_of(tmp_path, settings) as campaign:
        assert campaign.needs().tolist() == [2, 2]
        for name in ("ann", "bob"):
            answer(campaign, name, [0])
        assert campaign.needs().tolist() == [0, 2]
        for name, right in (("ann", True), ("bob", False), ("eve", True), ("joe", False)):
            assert campaign.needs()[1] > 0
            answer(campaign, name, [1], right)
        assert campaign.belief.posterior[1].max() < 0.8
        assert campaign.needs()[1] == 0
        assert campaign.finished


def test_what_everybody_skips_is_not_asked_for_ever(tmp_path):
    with campaign_of(tmp_path, settings_of(tmp_path, 1, max_answers=2)) as campaign:
        for name in ("ann", "bob"):
            assert campaign.offer(name, 1) == [0]
            campaign.accept(name, [], [(0, "skipped")])
            campaign.accept(name, [], [(0, "skipped")])  # the same once more is no second one
            assert campaign.offer(name, 1) == []
        assert campaign.skips.tolist() == [2]
        assert campaign.finished


@pytest.mark.parametrize("limits", [{"budget": 5}, {"max_cost": 1.0, "answer_price": 0.2}])
def test_nothing_is_handed_out_beyond_the_budget(tmp_path, limits):
    with campaign_of(tmp_path, settings_of(tmp_path, **limits)) as campaign:
        first = campaign.offer("ann", 3)
        second = campaign.offer("bob", 9)
        assert (len(first), len(second)) == (3, 2)
        assert campaign.offer("eve", 1) == []
        assert not campaign.finished
        answer(campaign, "ann", first)
        answer(campaign, "bob", second)
        assert campaign.finished
        assert campaign.needs().any()


@pytest.mark.parametrize("limits", [{"budget": 3}, {"max_cost": 0.6, "answer_price": 0.2}])
def test_late_answers_are_taken_while_the_budget_pays_them(tmp_path, limits):
    now = [0.0]
    settings = settings_of(tmp_path, **limits)
    with campaign_of(tmp_path, settings, clock=lambda: now[0]) as campaign:
        late = campaign.offer("ann", 3, seconds=60)
        now[0] = 61.0
        (held,) = campaign.offer("bob", 1, seconds=60)
        told = [(task, 0) for task in late]
        assert campaign.accept("ann", told) == [True, True, None]  # one is bob's
        assert campaign.accept("ann", told) == [False, False, None]  # the same once more
        assert campaign.accept("bob", [(held, 0)]) == [True]
        assert campaign.finished
        assert len(campaign.answers) == len(campaign.store.answers()) == 3
        assert campaign.cost == pytest.approx(settings.max_cost or 0.0)
    more = settings.model_copy(update={name: 2 * limits[name] for name in limits if name != "answer_price"})
    with campaign_of(tmp_path, more, clock=lambda: now[0]) as campaign:
        assert campaign.accept("ann", told) == [False, False, True]


def test_answers_in_hand_are_taken_up_to_a_budget_that_was_lowered(tmp_path):
    with campaign_of(tmp_path, settings_of(tmp_path)) as campaign:
        held = [(name, campaign.offer(name, 1)[0]) for name in ("ann", "bob", "eve")]
    with campaign_of(tmp_path, settings_of(tmp_path, budget=2)) as campaign:
        assert [campaign.accept(name, [(task, 0)]) for name, task in held] == [[True], [True], [None]]


def test_a_budget_that_was_lowered_ends_a_campaign_though_items_are_in_hand(tmp_path):
    with campaign_of(tmp_path, settings_of(tmp_path)) as campaign:
        answer(campaign, "ann", campaign.offer("ann", 3))
        campaign.offer("bob", 2)
    with campaign_of(tmp_path, settings_of(tmp_path, budget=3)) as campaign:
        assert campaign.finished


def test_golden_items_are_mixed_in_at_their_share_and_each_once(tmp_path):
    settings = settings_of(tmp_path, 60, golden=20, golden_share=0.25)
    with campaign_of(tmp_path, settings) as campaign:
        places = Counter()
        for name in ("ann", "bob", "eve", "joe"):
            given = [task for _ in range(5) for task in campaign.offer(name, 4)]
            assert len(set(given)) == len(given) == 20
            golden = [place for place, task in enumerate(given) if campaign.items.golden[task] != UNKNOWN]
            assert len(golden) in (5, 6)
            places.update(golden)
        assert len(places) > 8  # nowhere in particular
    assert golden_due(settings, 1000, "ann") in (250, 251)


def test_who_fails_golden_items_is_eliminated_and_does_not_count(tmp_path):
    settings = settings_of(tmp_path, 20, golden=10, golden_share=0.5, eliminate_below=0.6, min_answers=1)
    with campaign_of(tmp_path, settings) as campaign:
        answer(campaign, "ann", list(range(20)))
        answer(campaign, "bob", list(range(10, 20)), right=False)  # no golden ones: nothing is known
        assert campaign.counts[10:].tolist() == [2] * 10
        wrong = 0
        while "bob" not in campaign.eliminated:
            answer(campaign, "bob", [wrong], right=False)
            wrong += 1
        bounds = upper_bound(np.zeros(4, int), np.arange(1, 5))
        assert wrong == int(np.argmax(bounds < 0.6)) + 1  # not after the first
        assert campaign.counts[10:].tolist() == [1] * 10
        assert campaign.offer("bob", 1) == []
        assert campaign.belief.posterior[10:].argmax(axis=1).tolist() == [
            n * n % 3 % 2 for n in range(10, 20)
        ]
        answer(campaign, "bob", [9], right=True)  # it was in hand: accepted, and does not count
        assert campaign.answers[-1].worker == "bob"
        assert campaign.counts[9] == 1


def test_a_campaign_that_is_opened_again_stands_where_it_stood(tmp_path):
    settings = settings_of(tmp_path, 20, golden=6, golden_share=0.3)
    with campaign_of(tmp_path, settings) as campaign:
        for number, name in enumerate(("ann", "bob", "eve", "bob", "ann")):
            answer(campaign, name, campaign.offer(name, 5), right=number != 2)
        campaign.accept("eve", [], [(campaign.offer("eve", 1)[0], "skipped")])
        campaign.offer("joe", 3)
        held = campaign.held("joe")
        with campaign_of(tmp_path, settings) as again:
            assert again.belief.posterior.tobytes() == campaign.belief.posterior.tobytes()
            assert again.counts.tolist() == campaign.counts.tolist()
            assert again.this_round == campaign.this_round
            assert again.held("joe") == held
        with campaign_of(tmp_path, settings, round=2) as later:  # of all answers together
            assert later.this_round == 0
            campaign.refresh()
            assert later.belief.posterior.tobytes() == campaign.belief.posterior.tobytes()


def test_golden_items_that_were_skipped_are_known_for_golden_when_opened_again(tmp_path):
    now = [0.0]
    settings = settings_of(tmp_path, 20, golden=10, golden_share=0.5)
    with campaign_of(tmp_path, settings, clock=lambda: now[0]) as campaign:
        given = campaign.offer("ann", 6, seconds=60)
        golden = [task for task in given if campaign.items.golden[task] != UNKNOWN]
        assert len(golden) > 1
        campaign.accept("ann", [], [(golden[0], "skipped")])
        now[0] = 61.0
        campaign.offer("bob", 1, seconds=60)
        campaign.accept("ann", [], [(golden[1], "skipped")])  # late
        assert campaign.workers["ann"].golden == 2
        with campaign_of(tmp_path, settings, clock=lambda: now[0]) as again:
            assert again.workers["ann"] == campaign.workers["ann"]


def test_what_is_under_way_is_what_is_in_hand(tmp_path):
    now = [0.0]
    settings = settings_of(tmp_path, 12, min_answers=2)
    with campaign_of(tmp_path, settings, clock=lambda: now[0]) as campaign:

        def check(opened: Campaign) -> None:
            held = np.array([task for task, _ in opened.in_hand], dtype=np.int64)
            assert opened.under_way.tolist() == np.bincount(held, minlength=12).tolist()

        for number, name in enumerate(("ann", "bob", "eve", "joe")):
            tasks = campaign.offer(name, 4, seconds=60 * (1 + number % 2))
            check(campaign)
            answer(campaign, name, tasks[:1])
            answer(campaign, name, tasks[:1])  # once more
            campaign.accept(name, [], [(tasks[1], "skipped")])
            check(campaign)
            now[0] += 25
        assert campaign.held("ann") == []
        check(campaign)
        assert campaign.held("bob")
        with campaign_of(tmp_path, settings, clock=lambda: now[0]) as again:
            check(again)


def test_many_annotators_at_once_and_every_answer_posted_twice(tmp_path):
    settings = settings_of(tmp_path, 30, max_answers=3, confidence=0.999)
    with campaign_of(tmp_path, settings) as campaign:

        def work(name: str) -> None:
            while not campaign.finished:  # a hand that is empty now, as others hold all, may be filled later
                tasks = campaign.offer(name, 2)
                for _ in range(2):
                    answer(campaign, name, tasks)
                if not tasks:
                    time.sleep(0.001)

        threads = [threading.Thread(target=work, args=(f"w{number}",)) for number in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        kept = campaign.store.answers()
        assert len(kept) == len({(one.task, one.worker) for one in kept}) == len(campaign.answers)
        assert campaign.counts.tolist() == [3] * 30
        assert Counter(one.task for one in kept) == {f"i{n}": 3 for n in range(30)}


@pytest.mark.parametrize("method", ["ds", "cvb", "ibcc", "zc"])
def test_while_all_answers_are_one_label_an_item_is_not_sure_to_be_of_it(tmp_path, method):
    with campaign_of(tmp_path, settings_of(tmp_path, 6, min_answers=1, method=method)) as campaign:
        for worker, tasks in (("ann", [0, 1]), ("bob", [2])):
            campaign.accept(worker, [(task, 0) for task in tasks])
        campaign.refresh()
        answered, open_ = campaign.belief.posterior[:3, 0], campaign.belief.posterior[3:, 0]
        assert (answered > 0.8).all()
        assert (answered < 0.98).all()
        assert (open_ < answered.min()).all()
        for worker in ("bob", "eve", "joe"):
            campaign.accept(worker, [(0, 0)])
        campaign.refresh()
        assert campaign.belief.posterior[0, 0] > 0.99  # four agree


def test_earlier_answers_show_from_the_start_whom_to_believe(tmp_path):
    rows = [
        [f"e{n}", name, LABELS[(n + wrong) % 2]]
        for n in range(20)
        for name, wrong in (("ann", 0), ("bob", 0), ("eve", n % 3 == 0), ("joe", n // 2 % 2))
    ]
    earlier = str(write_rows(tmp_path / "earlier.csv", ["task", "worker", "label"], rows))
    settings = settings_of(tmp_path, 4, earlier=[earlier], min_answers=1)
    with campaign_of(tmp_path, settings) as campaign:
        assert campaign.belief.posterior.shape == (4, 2)
        assert campaign.worth("ann", 4) > 2 * campaign.worth("joe", 4)
        answer(campaign, "ann", [0])
        answer(campaign, "joe", [0], right=False)
        campaign.refresh()
        assert LABELS[int(campaign.belief.posterior[0].argmax())] == truth_of(0)
        assert len(campaign.answers) == 2
        assert sorted(campaign.belief.quality) == ["ann", "bob", "eve", "joe"]
    (tmp_path / "other").mkdir()
    with campaign_of(tmp_path / "other", settings_of(tmp_path, 4, min_answers=1)) as campaign:
        assert campaign.worth("ann", 4) == campaign.worth("joe", 4)


def test_earlier_answers_are_to_other_items(tmp_path):
    earlier = str(write_rows(tmp_path / "earlier.csv", ["task", "worker", "label"], [["i1", "ann", "cat"]]))
    settings = settings_of(tmp_path, 4, earlier=[earlier])
    with pytest.raises(BadInput, match=r"earlier\.csv:2: the task i1 is an id of the items"):
        earlier_answers(settings, items_of(settings))


def test_files_that_have_changed_are_read_again(tmp_path):
    earlier, said = tmp_path / "earlier.csv", tmp_path / "said.csv"
    write_rows(earlier, ["task", "worker", "label"], [["e0", "ann", "cat"]])
    write_rows(said, ["task", "worker", "label"], [["i0", "ann", "cat"]])
    settings = settings_of(tmp_path, 4, golden=1, earlier=[str(earlier)], answers=[str(said)])
    before = items_of(settings)
    assert items_of(settings) is before
    assert earlier_answers(settings, before) is earlier_answers(settings, before)
    assert recording_of(settings) == {"ann": {0: 0}}
    write_rows(earlier, ["task", "worker", "label"], [["e0", "ann", "cat"], ["e1", "ann", "dog"]])
    write_rows(said, ["task", "worker", "label"], [["i0", "ann", "cat"], ["i1", "ann", "dog"]])
    assert len(earlier_answers(settings, before)) == 2
    assert recording_of(settings) == {"ann": {0: 0, 1: 1}}
    settings_of(tmp_path, 6, golden=2)  # the same files, written anew
    after = items_of(settings)
    assert (len(after), int((after.golden != UNKNOWN).sum())) == (6, 2)
