"""Settings of flows that may ask a model: what of them is in a request, and so in its key."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer

from tasks.crowd.annotate.check import input_fingerprints as of_annotate
from tasks.crowd.annotate.judges import judges_of as annotators_of
from tasks.crowd.annotate.settings import AnnotateSettings
from tasks.crowd.cluster import models
from tasks.crowd.cluster.check import input_fingerprints as of_cluster
from tasks.crowd.cluster.settings import ClusterSettings
from tasks.llm.ask import OutOfMoney
from tasks.llm.local import LocalModel
from tasks.llm.request import Reply, Request, read_reply
from tasks.llm.settings import ModelSettings, asked_model, asking, in_turn
from tasks.llm.store import RequestStore
from tasks.loop.check import input_fingerprints as of_equal
from tasks.loop.judging import judges_of
from tasks.loop.pulls import llm_extractor
from tasks.loop.settings import EqualSettings
from tasks.records import Stopped
from tasks.resolve.check import input_fingerprints as of_batcher
from tasks.resolve.settings import BatcherSettings
from tests.train.tiny_models import save_model


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Of a model, as far as its name goes."""
    path = tmp_path / "model"
    path.mkdir()
    (path / "model.safetensors").write_text("old")
    return path


def test_a_continued_run_with_another_address_asks_the_same_requests() -> None:
    """--llm-url may be another when a run goes on: what was paid for is found all the same."""
    parameters = [
        ModelSettings(model="m", llm_url=url).parameters()
        for url in ("https://api.openai.com/v1", "http://127.0.0.1:8000/v1", "")
    ]
    assert parameters == [{"max_tokens": 4096, "temperature": 0.0}] * 3


def test_a_folder_that_is_written_anew_is_another_model(folder: Path) -> None:
    before = asked_model(ModelSettings(), str(folder))
    assert before.startswith(f"{folder}@")
    assert asked_model(ModelSettings(), str(folder)) == before
    (folder / "model.safetensors").write_text("newer")
    assert asked_model(ModelSettings(), str(folder)) != before


@pytest.mark.parametrize("name", ["", "owner/model"])
def test_a_model_on_a_hub_keeps_its_name(name: str) -> None:
    assert asked_model(ModelSettings(), name) == name


@pytest.mark.parametrize("where", [{"llm_url": "http://127.0.0.1:1/v1"}, {"llm_batch": True}])
def test_a_servers_model_keeps_its_name_whatever_lies_here(folder: Path, where: dict[str, Any]) -> None:
    assert asked_model(ModelSettings(**where), str(folder)) == str(folder)


def test_every_flow_asks_a_folder_by_its_files(folder: Path) -> None:
    own, name = asked_model(ModelSettings(), str(folder)), str(folder)
    equal = EqualSettings(corpus=["x"], target="y", model=name, judges=1)
    annotate = AnnotateSettings(items="x", labels=["a", "b"], annotators="llm", model=name)
    assert judges_of(equal, [])[0].form.model == own
    assert llm_extractor(equal).settings["model"] == own
    assert annotators_of(annotate)[0].form().model == own
    assert models._form(ClusterSettings(pairs="x", model=name)).model == own


@pytest.mark.parametrize(
    ("fingerprints", "settings", "field"),
    [
        (of_batcher, lambda at, name: BatcherSettings(left=at, judge="llm", model=name), "model"),
        (of_annotate, lambda at, name: AnnotateSettings(items=at, labels=["a", "b"], model=name), "model"),
        (
            of_annotate,
            lambda at, name: AnnotateSettings(items=at, labels=["a", "b"], judges=[name]),
            "judges",
        ),
        (of_cluster, lambda at, name: ClusterSettings(pairs=at, judges=["m", name]), "judges"),
        (of_equal, lambda at, name: EqualSettings(corpus=[at], target=at, model=name), "model"),
        (
            of_equal,
            lambda at, name: EqualSettings(corpus=[at], target=at, judge_models=[name]),
            "judge_models",
        ),
    ],
)
def test_a_run_is_not_continued_with_a_folder_that_was_written_anew(
    folder: Path,
    tmp_path: Path,
    fingerprints: Callable[[Any], dict[str, str]],
    settings: Callable[[str, str], Any],
    field: str,
) -> None:
    (tmp_path / "input.csv").write_text("id,text\n")
    given = settings(str(tmp_path / "input.csv"), str(folder))
    before = fingerprints(given)
    # The folder's own name counts where a server has it, too: a run may go on with one.
    assert fingerprints(given.model_copy(update={"llm_url": "http://127.0.0.1:1/v1"})) == before
    (folder / "model.safetensors").write_text("newer")
    now = fingerprints(given)
    assert [name for name in now if now[name] != before[name]] == [field]
    assert field not in fingerprints(settings(str(tmp_path / "input.csv"), "owner/model"))


@pytest.mark.parametrize(
    ("raised", "told"),
    [
        ([OutOfMoney("no money"), Stopped("files"), OutOfMoney("none")], "files"),
        ([Stopped("files"), OutOfMoney("no money"), Stopped("more files")], "files"),
        ([OutOfMoney("no money"), None, OutOfMoney("none")], "no money"),
    ],
)
def test_files_to_be_answered_are_told_before_a_spent_budget(raised: list[Stopped | None], told: str) -> None:
    """Their results are paid for: a campaign must not end without them."""
    turns = []

    def ask(why: Stopped | None) -> None:
        turns.append(why)
        if why:
            raise why

    with pytest.raises(Stopped, match=f"^{told}$"):
        in_turn(ModelSettings(llm_batch=True), raised, ask)
    assert turns == raised


def test_replies_of_a_folder_are_not_given_for_what_is_written_there_later(
    chat_model: Path, tmp_path: Path
) -> None:
    at, run = tmp_path / "model", tmp_path / "run"
    run.mkdir()
    tokenizer = AutoTokenizer.from_pretrained(chat_model)
    settings = ModelSettings(model=str(at))

    def request() -> Request:
        return Request(asked_model(settings, settings.model), (("user", "Is it?"),), {"max_tokens": 8})

    async def ask(store: RequestStore) -> Reply:
        async with asking(settings, store, run, stage="s") as asker:
            found = await asker.ask(request())
            assert isinstance(found, Reply)
            return found

    with RequestStore(tmp_path / "s.sqlite") as store:
        for seed in (7, 8):
            save_model(at, tokenizer, seed=seed)
            reply = asyncio.run(ask(store))
            assert reply.paid
            assert not asyncio.run(ask(store)).paid
            fresh = asyncio.run(LocalModel(str(at)).complete(request()))
            assert reply.text == read_reply(fresh, request()).text
