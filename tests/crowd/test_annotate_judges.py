"""Language models as annotators: who is asked, what it costs, and that nothing is paid twice."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tasks.crowd.annotate import judges, rounds
from tasks.crowd.annotate.campaign import Campaign
from tasks.crowd.annotate.settings import AnnotateSettings
from tasks.llm.settings import requests_path
from tasks.llm.store import RequestStore
from tasks.records import BadInput
from tests.crowd.annotating import LABELS, Killed, dying, run_all, settings_of, shares, state_of, truth_of
from tests.csv_files import write_rows
from tests.llm.fake_server import Body, FakeServer, marked


def says(body: Body) -> str:
    """What the text says; a judge with an instruction says the contrary."""
    prompt = body["messages"][-1]["content"]
    contrary = "Say the contrary" in body["messages"][0]["content"]
    found = {}
    for number, text in marked(prompt).items():
        if "unclear" not in text:
            found[str(number)] = {"label": LABELS[("dog" in text) != contrary]}
    return json.dumps(found)


def judged(folder: Path, server: FakeServer, count: int = 24, **changes: Any) -> AnnotateSettings:
    values: dict[str, Any] = {
        "judges": ["small", "large"],
        "price_input": 1.0,
        "price_output": 2.0,
        "batch_size": 4,
    }
    return settings_of(folder, count, annotators="llm", llm_url=server.url, **{**values, **changes})


def test_models_judge_each_answer_is_paid_once_and_told_before(tmp_path):
    with FakeServer(answer=says) as server:
        settings = judged(tmp_path, server, 16, max_answers=3, rounds=2)
        expected = rounds.estimate(settings)
        played = run_all(tmp_path, settings)
    assert {len(times) for times in server.asked.values()} == {1}
    assert {body["model"] for body in server.bodies} == {"small", "large"}
    last = played[-1]
    assert last["workers"] == 2
    assert last["answers"] == 32
    assert last["cost"] > 0
    assert expected["cost_least"] / 3 < last["cost"] < expected["cost_most"] * 3
    lines = [json.loads(line) for line in (tmp_path / "costs.jsonl").read_text().splitlines()]
    assert sum(line["requests"] for line in lines) == len(server.asked)
    assert sum(line["cost_paid"] for line in lines) == pytest.approx(last["cost"])


@pytest.mark.parametrize("at", [1, 2, 5])
def test_judging_that_was_killed_pays_nothing_twice(tmp_path, monkeypatch, at):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    for folder in (whole, killed):
        folder.mkdir()
    with FakeServer(answer=says) as server:
        settings = judged(tmp_path, server, 16, rounds=2, concurrency=1, runs_dir=str(killed))
        with monkeypatch.context() as patched:
            patched.setattr(Campaign, "accept", dying(at))
            with pytest.raises(Killed):
                run_all(killed, settings)
        run_all(killed, settings)
        with RequestStore(requests_path(settings)) as replies:
            assert set(replies.calls().values()) == {1}
        # Only what was under way when it was killed can have been asked a second time.
        assert sum(len(times) - 1 for times in server.asked.values()) <= 1
        asked = set(server.asked)
        other = settings.model_copy(update={"runs_dir": str(whole)})
        run_all(whole, other)
        assert set(server.asked) == asked
    assert state_of(killed, settings) == state_of(whole, other)


def test_judges_are_models_instructions_and_seeds(tmp_path):
    with FakeServer(answer=says) as server:
        changes = {"judges": ["small"], "instructions": ["Take care.", "Say the contrary."], "judge_seeds": 2}
        settings = judged(tmp_path, server, 4, temperature=0.7, max_answers=4, min_answers=4, **changes)
        run_all(tmp_path, settings)
    assert [judge.name for judge in judges.judges_of(settings)] == [
        f"small, instruction {place}, seed {seed}" for place in (1, 2) for seed in (0, 1)
    ]
    assert {body["seed"] for body in server.bodies} == {0, 1}
    answers, _ = state_of(tmp_path, settings)
    right = {worker: truth_of(int(task[1:])) == label for task, worker, label, _ in answers}
    assert right == {
        f"small, instruction {place}, seed {seed}": place == 1 for place in (1, 2) for seed in (0, 1)
    }


@pytest.mark.parametrize(
    ("labels", "said", "meant"),
    [
        (["*", "**", "***"], "**", "**"),
        (["*", "no"], "****", None),
        (["U.S.", "U.K."], "U.S.", "U.S."),
        (["U.S.", "U.K."], "**U.K**", "U.K."),
        (["'tis", "'twas"], "'tis", "'tis"),
        (["'tis", "'twas"], '"Tis"', "'tis"),
        (["A", "a"], "A", "A"),
        (["A", "a"], "**a**", "a"),
        (["A", "B"], "b.", "B"),
        (["Aa", "aA", "b"], "aa", None),
        (["no.", "no"], "'no'", None),
    ],
)
def test_a_label_in_plain_text_is_read_exactly_or_where_only_one_can_be_meant(tmp_path, labels, said, meant):
    settings = settings_of(tmp_path, 1, annotators="llm", model="m", labels=labels)
    found = judges.judges_of(settings)[0].form().from_text(said)
    assert (found and found.label) == meant


def test_judges_who_tell_most_for_their_price_are_asked_first(tmp_path):
    table = tmp_path / "prices.yaml"
    table.write_text("small: {input: 1, output: 4}\nlarge: {input: 10, output: 40}\n")
    with FakeServer(answer=says) as server:
        prices = {"price_table": str(table), "price_input": None, "price_output": None}
        settings = judged(tmp_path, server, 16, min_answers=1, max_answers=2, waiting=2, rounds=4, **prices)
        run_all(tmp_path, settings)
        assert shares(tmp_path, settings)["small"] >= 0.5
        first = [row for row in state_of(tmp_path, settings)[0] if row[3] == 1]
    assert {row[1] for row in first} == {"small"}


def test_a_judge_who_is_found_to_say_anything_is_asked_no_more(tmp_path):
    def mixed(body: Body) -> str:
        said = json.loads(says(body))
        if body["model"] == "large":  # whatever the text
            said = {number: {"label": LABELS[int(number) % 2]} for number in said}
        return json.dumps(said)

    with FakeServer(answer=mixed) as server:
        given = {"golden": 24, "golden_share": 0.5, "eliminate_below": 0.0}
        settings = judged(tmp_path, server, 64, waiting=2, min_answers=1, max_answers=2, rounds=8, **given)
        run_all(tmp_path, settings)
        answers, _ = state_of(tmp_path, settings)
    late = [worker for _, worker, _, round in answers if round > 3]
    assert late.count("large") < len(late) / 4


def test_a_budget_ends_judging_and_a_higher_one_goes_on(tmp_path):
    with FakeServer(answer=says) as server:
        settings = judged(
            tmp_path, server, 40, judges=["small", "large"], max_answer_tokens=64, max_cost=0.004
        )
        first = run_all(tmp_path, settings)[-1]
        assert first["out_of_money"]
        assert 0 < first["answers"] < 80
        assert first["cost"] <= 0.004
        assert run_all(tmp_path, settings)[-1] == first
        more = run_all(tmp_path, settings.model_copy(update={"max_cost": 1.0}))[-1]
    assert more["answers"] >= 80
    assert {len(times) for times in server.asked.values()} == {1}


def test_what_a_model_cannot_answer_is_skipped(tmp_path):
    write_rows(tmp_path / "odd.csv", ["id", "text"], [["a", "a cat"], ["b", "unclear"], ["c", "a dog"]])
    with FakeServer(answer=says) as server:
        settings = judged(tmp_path, server, items=str(tmp_path / "odd.csv"), max_answers=2)
        last = run_all(tmp_path, settings)[-1]
    assert (last["answers"], last["skips"], last["done"]) == (4, 2, 3)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"judges": []}, "needs --model"),
        ({"judge_seeds": 2}, "--judge-seeds: at temperature 0"),
        ({"judges": ["a", "a"]}, "a model stands there twice"),
        ({"max_cost": 1.0, "price_input": None, "price_output": None}, "--max-cost needs prices"),
    ],
)
def test_judges_that_cannot_work_are_one_line(tmp_path, changes, said):
    with FakeServer() as server, pytest.raises(BadInput, match=said):
        judges.check(judged(tmp_path, server, **changes))
