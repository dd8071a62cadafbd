"""Who answers: a recording, or people through files."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest

from tasks.crowd.annotate import files, replay, rounds
from tasks.crowd.annotate.campaign import Campaign
from tasks.records import BadInput, Stopped
from tasks.run import terminal
from tests.crowd.annotating import (
    LABELS,
    Killed,
    campaign_of,
    dying,
    recorded,
    run_all,
    settings_of,
    shares,
    state_of,
    truth_of,
)
from tests.csv_files import read_rows_of, write_rows

DATA = Path(__file__).resolve().parents[2].parent / "shared/data/crowd/duck_bluebird"


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
    monkeypatch.setattr(Campaign, "accept", dying(at))
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
    """All 4,212 answers give D&S 0.880 (authors' own output), majority voting 0.759; a fifth of them .83 ± .04 by seed, hence ten."""
    with (DATA / "truth.csv").open() as file:
        tasks = [row["task"] for row in csv.DictReader(file)]
    items = write_rows(tmp_path / "birds.csv", ["id", "text"], [[task, task] for task in tasks])
    given = {"labels": ["0", "1"], "truth": str(DATA / "truth.csv"), "answers": [str(DATA / "answers.csv")]}
    accuracy = []
    for seed in range(10):
        run = tmp_path / str(seed)
        run.mkdir()
        settings = settings_of(
            run, items=str(items), annotators="replay", max_answers=15, rounds=12, seed=seed, **given
        )
        last = run_all(run, settings)[-1]
        assert last["answers"] <= 108 * 15
        accuracy.append(last["accuracy"])
    assert np.mean(accuracy) > 0.8, accuracy


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


@pytest.mark.parametrize("limits", [{"budget": 10}, {"max_cost": 5.0, "answer_price": 0.5}])
def test_answers_beyond_the_budget_stay_in_their_files_for_a_larger_one(tmp_path, limits):
    given = tmp_path / "given.csv"
    rows = [[f"i{n}", worker, truth_of(n)] for n in range(8) for worker in ("ann", "bob")]
    write_rows(given, ["task", "worker", "label"], rows)
    settings = settings_of(tmp_path, 12, annotators="file", answers=[str(given)], rounds=1, **limits)
    lines = io.StringIO()
    with terminal.shown_on(terminal.Plain(lines)):
        (last,) = run_all(tmp_path, settings)
    assert last["answers"] == 10
    assert "6 answers in files are left out" in lines.getvalue()
    assert run_all(tmp_path, settings) == [last]  # the same budget ends at once
    more = settings.model_copy(update={name: 3 * limits[name] for name in limits if name != "answer_price"})
    with pytest.raises(Stopped, match="are wanted"):
        run_all(tmp_path, more)
    assert len(state_of(tmp_path, more)[0]) == 16


def test_what_was_filled_in_is_kept_when_the_budget_was_lowered_meanwhile(tmp_path):
    settings = settings_of(tmp_path, 8, annotators="file", rounds=1, min_answers=1, max_answers=1)
    with pytest.raises(Stopped):
        run_all(tmp_path, settings)
    fill(tmp_path / files.WANTED)
    filled = (tmp_path / files.WANTED).read_bytes()
    (last,) = run_all(tmp_path, settings.model_copy(update={"budget": 3}))
    assert last["answers"] == 3
    assert (tmp_path / files.WANTED).read_bytes() == filled
    assert run_all(tmp_path, settings)[-1]["answers"] == 8
    assert not (tmp_path / files.WANTED).exists()


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


def test_ids_and_texts_that_a_spreadsheet_would_spoil_come_back_as_they_were(tmp_path):
    rows = [{"id": "=1+1", "text": "10%\r50%\r100% done"}, {"id": "'-2", "text": "two\r\nlines"}]
    (tmp_path / "items.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    settings = settings_of(
        tmp_path, 1, annotators="file", rounds=1, min_answers=1, max_answers=1, labels=["x", "y"]
    )
    settings = settings.model_copy(update={"items": str(tmp_path / "items.jsonl")})
    plan = rounds.next_round(tmp_path, settings)
    with pytest.raises(Stopped, match="2 answers are wanted"):
        rounds.collect(tmp_path, settings, plan)
    wanted = read_rows_of(tmp_path / "wanted.csv")
    assert {row["task"]: row["text"] for row in wanted} == {"'=1+1": rows[0]["text"], "''-2": rows[1]["text"]}
    write_rows(
        tmp_path / "wanted.csv",
        list(wanted[0]),
        [[*({**row, "worker": "ann", "label": "x"}).values()] for row in wanted],
    )
    assert rounds.collect(tmp_path, settings, plan)["answers"] == 2


def test_recordings_are_read_once(tmp_path):
    settings = settings_of(tmp_path, 10, annotators="replay", answers=[str(recorded(tmp_path, 10, 2))])
    assert replay.recording_of(settings) is replay.recording_of(settings)
