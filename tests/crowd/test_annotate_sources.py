"""Who answers: a recording, files, language models."""

from __future__ import annotations

import csv
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tasks.crowd.annotate import files, judges, replay, rounds
from tasks.crowd.annotate.campaign import Campaign
from tasks.crowd.annotate.settings import AnnotateSettings
from tasks.llm.settings import requests_path
from tasks.llm.store import RequestStore
from tasks.records import BadInput, Stopped
from tests.crowd.annotating import LABELS, campaign_of, recorded, settings_of, truth_of
from tests.csv_files import write_rows
from tests.llm.fake_server import Body, FakeServer, marked

DATA = Path(__file__).resolve().parents[2].parent / "shared/data/crowd/duck_bluebird"


class Killed(BaseException):
    """As a kill would: nothing may catch it."""


def run_all(folder: Path, settings: AnnotateSettings) -> list[dict[str, Any]]:
    while plan := rounds.next_round(folder, settings):
        rounds.collect(folder, settings, plan)
    return rounds.played(folder)


def state_of(folder: Path, settings: AnnotateSettings) -> tuple[list[Any], bytes]:
    with campaign_of(folder, settings, round=99) as campaign:
        answers = sorted((one.task, one.worker, one.label, one.round) for one in campaign.answers)
        return answers, campaign.belief.posterior.tobytes()


# --- a recording


@pytest.mark.parametrize("strategy", ["qasca", "entropy", "fewest", "random"])
def test_a_recording_is_replayed_until_labels_are_sure(tmp_path, strategy):
    answers = recorded(tmp_path, 40, 8, wrong=6)
    settings = settings_of(
        tmp_path, 40, golden=8, annotators="replay", answers=[str(answers)], strategy=strategy, rounds=4
    )
    played = run_all(tmp_path, settings)
    assert played[-1]["done"] == played[-1]["items"] == 32
    assert 64 <= played[-1]["answers"] < 32 * 5
    with campaign_of(tmp_path, settings, round=99) as campaign:
        best = campaign.belief.posterior.argmax(axis=1)
        assert np.mean([LABELS[code] == truth_of(n) for n, code in enumerate(best)]) > 0.85


def shares(folder: Path, settings: AnnotateSettings) -> dict[str, float]:
    """Of all answers what part is whose."""
    answers, _ = state_of(folder, settings)
    return {name: share / len(answers) for name, share in Counter(one[1] for one in answers).items()}


def test_of_those_who_wait_the_one_who_tells_most_is_asked(tmp_path):
    answers = recorded(tmp_path, 60, 6, wrong=12)  # w5 says anything
    given = {"answers": [str(answers)], "golden_share": 0.3, "eliminate_below": 0.0}
    settings = settings_of(tmp_path, 60, golden=20, annotators="replay", rounds=6, max_answers=3, **given)
    found = {}
    for waiting in (1, 4):
        at = tmp_path / str(waiting)
        at.mkdir()
        own = settings.model_copy(update={"waiting": waiting})
        run_all(at, own)
        found[waiting] = shares(at, own)
    assert found[1]["w5"] > 0.08
    assert found[4].get("w5", 0) < found[1]["w5"] / 2


@pytest.mark.parametrize("waiting", [1, 3])
@pytest.mark.parametrize("at", [1, 4, 9])
def test_a_replay_that_was_killed_goes_on_to_the_same_end(tmp_path, monkeypatch, at, waiting):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    for folder in (whole, killed):
        folder.mkdir()
    answers = str(recorded(tmp_path, 30, 6))
    settings = settings_of(
        tmp_path, 30, golden=6, annotators="replay", answers=[answers], rounds=3, waiting=waiting
    )
    run_all(whole, settings)
    accept, count = Campaign.accept, [0]

    def dies(self: Campaign, *arguments: Any, **more: Any) -> Any:
        count[0] += 1
        if count[0] == at:
            raise Killed
        return accept(self, *arguments, **more)

    monkeypatch.setattr(Campaign, "accept", dies)
    with pytest.raises(Killed):
        run_all(killed, settings)
    run_all(killed, settings)
    assert state_of(killed, settings) == state_of(whole, settings)


def test_a_recording_that_says_no_more_ends_the_campaign(tmp_path):
    answers = recorded(tmp_path, 10, 1)
    settings = settings_of(tmp_path, 10, annotators="replay", answers=[str(answers)])
    played = run_all(tmp_path, settings)
    assert played[-1]["answers"] == 10
    assert played[-1]["done"] == 0


def test_a_larger_budget_goes_on_where_the_smaller_ended(tmp_path):
    answers = recorded(tmp_path, 20, 6)
    settings = settings_of(tmp_path, 20, annotators="replay", answers=[str(answers)], budget=15, rounds=2)
    assert run_all(tmp_path, settings)[-1]["answers"] == 15
    assert run_all(tmp_path, settings)[-1]["answers"] == 15
    assert run_all(tmp_path, settings.model_copy(update={"budget": 25}))[-1]["answers"] == 25


@pytest.mark.skipif(not DATA.exists(), reason=f"{DATA} is not there")
def test_bluebirds_are_told_with_a_part_of_the_answers(tmp_path):
    """All 4,212 answers give D&S 0.880 (authors' own output), majority voting 0.759."""
    with (DATA / "truth.csv").open() as file:
        tasks = [row["task"] for row in csv.DictReader(file)]
    items = write_rows(tmp_path / "birds.csv", ["id", "text"], [[task, task] for task in tasks])
    given = {"labels": ["0", "1"], "truth": str(DATA / "truth.csv"), "answers": [str(DATA / "answers.csv")]}
    settings = settings_of(
        tmp_path, items=str(items), annotators="replay", max_answers=15, rounds=12, **given
    )
    last = run_all(tmp_path, settings)[-1]
    assert last["accuracy"] > 0.8
    assert last["answers"] <= 108 * 15


# --- files


def fill(path: Path, workers: int = 3, names: str = "w") -> None:
    """Somebody fills in what is wanted; nobody a second time."""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    turns: dict[str, int] = {}
    for row in rows:
        taken = row["not_by"].split("; ")
        free = [f"{names}{number}" for number in range(workers) if f"{names}{number}" not in taken]
        turn = turns[row["task"]] = turns.get(row["task"], -1) + 1
        if turn < len(free):
            row["worker"], row["label"] = free[turn], truth_of(int(row["task"][1:]))
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def test_wanted_answers_are_written_and_taken_when_they_are_filled_in(tmp_path):
    settings = settings_of(tmp_path, 8, golden=2, annotators="file", rounds=2, golden_share=0.2)
    stops = []
    while plan := rounds.next_round(tmp_path, settings):
        try:
            rounds.collect(tmp_path, settings, plan)
        except Stopped as why:
            stops.append(str(why))
            fill(tmp_path / files.WANTED)
        assert len(stops) < 9
    assert len(stops) > 1
    assert all("answers are wanted" in why and "--resume r" in why for why in stops)
    last = rounds.played(tmp_path)[-1]
    assert last["done"] == 6
    assert not (tmp_path / files.WANTED).exists()
    answers, _ = state_of(tmp_path, settings)
    assert len(answers) == len({row[:2] for row in answers}) == last["answers"]
    assert {"i0", "i1"} & {row[0] for row in answers}  # golden ones were among them


def test_a_file_of_answers_may_grow(tmp_path):
    given = tmp_path / "given.csv"
    rows = [[f"i{n}", "ann", truth_of(n)] for n in range(4)]
    write_rows(given, ["task", "worker", "label"], rows)
    settings = settings_of(
        tmp_path, 4, annotators="file", answers=[str(given)], rounds=1, max_answers=2, answer_price=0.5
    )
    plan = rounds.next_round(tmp_path, settings)
    with pytest.raises(Stopped, match=r"4 answers are wanted.*or add answers to .*given\.csv"):
        rounds.collect(tmp_path, settings, plan)
    write_rows(
        given, ["task", "worker", "label"], [*rows, *([f"i{n}", "bob", truth_of(n)] for n in range(4))]
    )
    assert rounds.next_round(tmp_path, settings) == plan
    facts = rounds.collect(tmp_path, settings, plan)
    assert facts["answers"] == 8
    assert facts["cost"] == 4.0
    assert rounds.next_round(tmp_path, settings) is None
    line = json.loads((tmp_path / "costs.jsonl").read_text())
    assert (line["pairs"], line["cost_paid"]) == (8, 4.0)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (["i9", "ann", "cat"], r"given\.csv:2: the task i9 is no id of the items"),
        (["i0", "ann", "cow"], r"given\.csv:2: the label is cow, which is none of --labels: cat, dog"),
        (["i0", "", "cat"], r"given\.csv:2: a label without a worker"),
    ],
)
def test_what_is_no_answer_is_one_line(tmp_path, row, said):
    given = write_rows(tmp_path / "given.csv", ["task", "worker", "label"], [row])
    settings = settings_of(tmp_path, 4, annotators="file", answers=[str(given)])
    with pytest.raises(BadInput, match=said):
        rounds.collect(tmp_path, settings, rounds.next_round(tmp_path, settings))


def test_no_spreadsheet_takes_a_text_for_a_formula():
    assert files.as_cell("=1+1") == "'=1+1"
    assert files.as_cell("1+1") == "1+1"


# --- language models


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
    accept, count = Campaign.accept, [0]

    def dies(self: Campaign, *arguments: Any, **more: Any) -> Any:
        count[0] += 1
        if count[0] == at:
            raise Killed
        return accept(self, *arguments, **more)

    whole, killed = tmp_path / "whole", tmp_path / "killed"
    for folder in (whole, killed):
        folder.mkdir()
    with FakeServer(answer=says) as server:
        settings = judged(tmp_path, server, 16, rounds=2, concurrency=1, runs_dir=str(killed))
        with monkeypatch.context() as patched:
            patched.setattr(Campaign, "accept", dies)
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


def test_recordings_are_read_once(tmp_path):
    settings = settings_of(tmp_path, 10, annotators="replay", answers=[str(recorded(tmp_path, 10, 2))])
    assert replay.recording_of(settings) is replay.recording_of(settings)
