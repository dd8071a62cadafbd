"""Rounds: what is chosen, how often, that nothing is passed through the model for it, and that a stop changes nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from tasks.lead import checkpoint, finish, rounds, steps
from tasks.lead.difficulty import CLUSTERS, COVERAGE, LABELS, LOSSES, RATIOS
from tasks.lead.pool import pairs_of
from tasks.records import BadInput
from tasks.select.coverage import Coverage
from tasks.storage.arrays import load_array
from tasks.storage.tables import read_json, read_rows
from tasks.train.format import encode_pairs
from tests.lead.prepared import prepare

TABLES = ("selected.parquet", "visits.parquet", "steps.parquet", "arms.parquet")
Make = Callable[..., Any]


def test_a_round_trains_on_the_least_sure_of_the_cluster_it_draws(prepared: Make) -> None:
    one = prepared(change="mixture", draws=1, choice="highest", reward="fall")
    after = one.round()
    visits = read_rows(one.run / "rounds/001/visits.parquet")
    losses, labels = load_array(one.run / LOSSES), load_array(one.run / LABELS)
    own = np.flatnonzero(labels == after["clusters"][0])
    wanted = own[np.argsort(-losses[own])][: len(visits)]
    assert [visit["row"] for visit in visits] == wanted.tolist()
    assert after["selected"] == len(visits) == after["visits"]
    for visit in visits:
        assert visit["idu_before"] == pytest.approx(losses[visit["row"]])
        assert visit["loss"] > 0
        assert visit["gradient"] > 0
    # IDU = .9 (loss + what the steps change) + .1 IDU before; the change is never upwards with the paper's mixture.
    assert all(
        visit["idu_after"] <= 0.9 * visit["loss"] + 0.1 * visit["idu_before"] + 1e-9 for visit in visits
    )
    fall = np.mean([visit["idu_before"] - visit["idu_after"] for visit in visits])
    assert after["reward"] == pytest.approx(fall)


def test_rounds_cover_the_pool_one_after_the_other(data: Path, tmp_path: Path) -> None:
    one = prepare(tmp_path / "run", data, tasks=1, levels=1, round_share=0.25)  # one cluster
    one.all_rounds()
    rows = [visit["row"] for visit in rounds.all_rows(one.run, 4, "visits")]
    _, tokenizer = checkpoint.load_model(one.run, one.settings, 0)
    count = one.facts["pool"]["examples"]
    examples = encode_pairs(tokenizer, pairs_of(one.run, range(count)), one.settings.sequence_tokens)
    every = np.ones(count, bool)
    wanted = Coverage.of(examples).after(np.zeros(count, int)).choose(every, every, len(rows), count)
    assert rows == wanted.tolist()
    (one.run / COVERAGE).unlink()
    with pytest.raises(BadInput, match="older Sluice"):
        checkpoint.load_checkpoint(one.run, one.settings.model_copy(update={"choice": "coverage"}), 4)


@pytest.mark.parametrize("most", [1, 4])
def test_the_budget_is_kept_and_every_table_agrees(prepared: Make, most: int) -> None:
    one = prepared(visits=most)
    last = one.all_rounds()
    facts = one.select(last)
    selected, visits = (read_rows(one.run / name) for name in TABLES[:2])
    assert facts["examples"] == len(selected) == last["selected"] == one.facts["pool"]["budget"] == 16
    assert len({row["id"] for row in selected}) == len(selected)
    counts = Counter(visit["id"] for visit in visits)
    assert {row["id"]: row["visits"] for row in selected} == counts
    assert last["visits"] == len(visits)
    first = {visit["id"]: visit for visit in reversed(visits)}
    for row in selected:
        visit = first[row["id"]]
        assert (row["round"], row["idu"]) == (visit["round"], visit["idu_before"])
        assert row["cluster"] == load_array(one.run / LABELS)[visit["row"]]
    arms = read_rows(one.run / "arms.parquet")
    for number in range(1, last["number"] + 1):
        own = [row for row in arms if row["round"] == number]
        assert sum(row["probability"] for row in own) == pytest.approx(1)
        assert (
            sum(row["drawn"] for row in own) == 2
        )  # as many as a round has examples, not the eight of the default
        assert sum(row["draws"] for row in own) == 2 * number
    assert sum(row["tokens"] for row in read_rows(one.run / "steps.parquet")) == last["tokens"]


def test_no_example_is_visited_more_often_than_it_may_be(prepared: Make) -> None:
    one = prepared(budget=0.1, round_share=1.0, rounds=40, visits=4)
    one.facts["pool"] = {**one.facts["pool"], "budget": 1000}  # never reached: the visits run out instead
    one = one.copy(one.run.with_name("other"), round_share=0.02)  # 20 examples a round
    last = one.all_rounds()
    visits = rounds.all_rows(one.run, last["number"], "visits")
    counts = Counter(visit["row"] for visit in visits)
    assert max(counts.values()) == 4
    assert all(visit["visits"] <= 4 for visit in visits)
    assert last["number"] == 40 or last["left"] == 0


def test_all_visits_used_up_end_the_run(prepared: Make) -> None:
    one = prepared(visits=1, round_share=1.0, rounds=1000)
    one.facts["pool"] = {**one.facts["pool"], "budget": 1000}
    last = one.all_rounds()
    assert last["left"] == 0
    assert last["selected"] == last["visits"] == one.facts["pool"]["examples"]


def test_every_cluster_that_the_last_round_draws_shares_what_is_left(prepared: Make) -> None:
    one = prepared(budget=0.3, round_share=0.3)  # 16 examples, in rounds of 5
    last = one.all_rounds()
    assert (last["number"], last["selected"], last["visits"]) == (4, 16, 16)
    arms = [row for row in rounds.all_rows(one.run, 4, "arms") if row["drawn"]]
    assert all(row["reward"] is not None for row in arms)


def test_rounds_pass_nothing_through_the_model_but_their_steps(
    prepared: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = prepared()
    last = one.all_rounds()
    assert last["forward_passes"] == last["steps"] == len(rounds.all_rows(one.run, last["number"], "steps"))

    # The counter is no constant: a look at the model in the middle of a round shows.
    real = steps.Trainer.step

    def looks(self: Any, input_ids: Any, labels: Any) -> Any:
        import torch

        with torch.inference_mode():
            self.model(input_ids=torch.from_numpy(input_ids))
        return real(self, input_ids, labels)

    monkeypatch.setattr(steps.Trainer, "step", looks)
    peeked = prepared("peeked").all_rounds()
    assert peeked["forward_passes"] - peeked["steps"] == peeked["steps"] > 0


@pytest.mark.parametrize(
    "changes",
    [{}, {"visits": 4}, {"change": "mixture", "gamma": 0.5, "start": "even", "reward": "fall"}],
)
def test_a_run_stopped_between_rounds_or_in_one_goes_on_bit_for_bit(
    prepared: Make, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any]
) -> None:
    whole = prepared("whole", **changes)
    last = whole.all_rounds()
    whole.select(last)

    stopped = prepared("stopped", **changes)
    so_far = None
    for _ in range(3):
        so_far = stopped.round(so_far)
    real, calls = steps.Trainer.step, 0

    def dies(self: Any, *batch: Any) -> Any:
        nonlocal calls
        calls += 1
        found = real(self, *batch)
        if calls == 1:
            raise KeyboardInterrupt
        return found

    monkeypatch.setattr(steps.Trainer, "step", dies)
    with pytest.raises(KeyboardInterrupt):
        stopped.round(so_far)
    again = stopped.all_rounds(so_far)
    stopped.select(again)
    assert again == last
    for name in TABLES:
        assert (stopped.run / name).read_bytes() == (whole.run / name).read_bytes(), name
    at = f"checkpoints/{last['number']:05d}"
    for name in ("model/model.safetensors", "optimizer.safetensors", "utilities.safetensors", "state.json"):
        assert (stopped.run / at / name).read_bytes() == (whole.run / at / name).read_bytes(), name


def test_dropout_goes_on_bit_for_bit_too(data: Path, gpt2: Path, tmp_path: Path) -> None:
    given = {"model": str(gpt2), "lora": False, "budget": 0.2, "round_share": 0.25}
    runs = [prepare(tmp_path / name, data, **given) for name in ("one", "two")]
    whole = runs[0].all_rounds()
    so_far = runs[1].round(runs[1].round())
    assert runs[1].all_rounds(so_far) == whole
    losses = [[row["loss"] for row in rounds.all_rows(one.run, whole["number"], "steps")] for one in runs]
    assert losses[0] == losses[1]


def test_only_the_last_two_checkpoints_are_kept_and_a_lost_one_is_one_line(prepared: Make) -> None:
    one = prepared()
    so_far = one.round(one.round(one.round()))
    assert sorted(at.name for at in (one.run / "checkpoints").iterdir()) == ["00002", "00003"]
    checkpoint.discard_all(one.run)
    with pytest.raises(BadInput, match="is gone; start a new run"):
        one.round(so_far)


def test_with_lora_only_adapters_are_trained_and_kept(data: Path, gpt2: Path, tmp_path: Path) -> None:
    pytest.importorskip("peft", reason="the extra 'lora' is not installed")
    one = prepare(tmp_path / "run", data, model=str(gpt2), lora=True, budget=0.1)
    last = one.round(one.round())
    assert last["forward_passes"] == last["steps"]
    kept = load_file(one.run / "checkpoints/00002/model/adapter_model.safetensors")
    assert all("lora_" in name for name in kept)
    judged = finish.judge(one.run, one.settings, one.facts["pool"], last)
    assert judged["nll_after"] != judged["nll_before"]
    assert (one.run / "student/adapter_config.json").is_file()


def test_one_pass_is_made_before_training_and_levels_are_of_the_loss_in_each_task(base: Any) -> None:
    facts, losses = base.facts, load_array(base.run / LOSSES)
    assert facts["difficulty"]["forward_passes"] == facts["pool"]["examples"] == len(losses)
    assert not (base.run / RATIOS).exists()
    described = read_json(base.run / CLUSTERS)
    labels = load_array(base.run / LABELS)
    assert facts["clusters"]["clusters"] == len(described) == len(set(labels)) > 1
    for one in described:
        assert one["loss"] == pytest.approx(losses[labels == one["cluster"]].mean())
        if one["level"]:  # of the same task as the one before it
            assert one["loss"] > described[one["cluster"] - 1]["loss"]


def test_difficulty_is_the_ratio_of_the_answers_losses_and_levels_are_in_its_order(
    data: Path, tmp_path: Path
) -> None:
    base = prepare(tmp_path / "run", data, arms="difficulty")
    assert base.facts["difficulty"]["forward_passes"] == 2 * base.facts["pool"]["examples"]
    from tasks.lead.pool import pairs_of
    from tasks.prepare.student import model_path
    from tasks.train.checkpoint import load_student
    from tasks.train.evaluate import pair_losses

    pairs = pairs_of(base.run, range(5))
    own, tokenizer = load_student(model_path(base.run, "tiny"))
    asked = pair_losses(own, tokenizer, pairs, sequence_tokens=96)
    alone = pair_losses(own, tokenizer, [("", answer) for _, answer in pairs], sequence_tokens=96)
    assert asked.answered.tolist() == alone.answered.tolist()  # the same tokens in both
    assert load_array(base.run / LOSSES)[:5] == pytest.approx(asked.loss / asked.answered, rel=1e-5)
    assert load_array(base.run / RATIOS)[:5] == pytest.approx(asked.loss / alone.loss, rel=1e-5)
    described = read_json(base.run / CLUSTERS)
    by_level = [
        np.mean([one["ratio"] for one in described if one["level"] == level])
        for level in range(base.facts["clusters"]["levels"])
    ]
    assert by_level == sorted(by_level)
    assert sum(one["size"] for one in described) == base.facts["pool"]["examples"]
