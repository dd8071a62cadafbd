"""Asking through files for a batch API: each call of a stage comes as far as the replies that are there."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import tasks.llm.batchfolder
from tasks.llm.ask import OutOfMoney, each
from tasks.llm.batched import TRIES, BatchAsker
from tasks.llm.form import Form
from tasks.llm.ladder import Answered, Ladder, Undecided
from tasks.llm.prices import Prices
from tasks.llm.request import Usage
from tasks.llm.store import RequestStore
from tasks.records import BadInput, Stopped
from tests.llm.batches import answer_files, answered, refused, requests_in
from tests.llm.verdicts import DOLLAR, FORM

TEXTS = ["An oak.", "Some granite.", "A fox."]
Outcomes = list[list[Answered[Any] | Undecided]]


@pytest.fixture
def stage(store: RequestStore, tmp_path: Path) -> Callable[..., Outcomes]:
    """A stage that asks about groups of texts, each in a request."""

    def run(*groups: list[str], form: Form[Any] = FORM, **settings: Any) -> Outcomes:
        found: Outcomes = [[] for _ in groups]
        given = {"payer": "run", "stage": "a/stage", "prices": DOLLAR, **settings}

        async def work(place: int) -> None:
            found[place] = await ladder.answers(groups[place])

        async def all_of_it() -> None:
            await each(asker, range(len(groups)), work)

        asker = BatchAsker(tmp_path / "batch", store, **given)
        ladder = Ladder(form, asker)
        asyncio.run(all_of_it())
        return found

    return run


def test_a_stage_stops_with_its_requests_in_a_file_and_goes_on_with_the_results(
    stage: Callable[..., Outcomes], store: RequestStore, tmp_path: Path
) -> None:
    groups = [[text] for text in TEXTS]
    with pytest.raises(Stopped, match=r"3 requests for a batch API are in a-stage\.1\.requests\.jsonl"):
        stage(*groups)
    asked = requests_in(tmp_path / "batch/a-stage.1.requests.jsonl")
    assert [key for key, _ in asked] == [FORM.request(group).key for group in groups]
    answer_files(tmp_path / "batch")
    found = stage(*groups)
    assert all(isinstance(one, Answered) for (one,) in found)
    assert store.spending("run", "a/stage").requests == 3
    assert store.spending("run").cost == pytest.approx(3 * 110 / 1e6)
    assert stage(*groups) == found
    assert set(store.calls().values()) == {1}


def test_what_waits_is_not_written_twice_and_what_is_new_is(
    stage: Callable[..., Outcomes], tmp_path: Path
) -> None:
    folder = tmp_path / "batch"
    with pytest.raises(Stopped):
        stage(TEXTS[:1])
    with pytest.raises(Stopped, match=r"^no results are in .* yet of 1 request written before"):
        stage(TEXTS[:1])
    with pytest.raises(
        Stopped, match=r"1 request for a batch API is in .*; no results .* of 1 request written"
    ):
        stage(TEXTS[:1], TEXTS[1:2])
    assert [len(requests_in(path)) for path in sorted(folder.glob("*.requests.jsonl"))] == [1, 1]
    answer_files(folder)
    assert len(stage(TEXTS[:1], TEXTS[1:2])) == 2


def test_an_answer_that_does_not_parse_is_asked_again_in_both_halves_at_once(
    stage: Callable[..., Outcomes], tmp_path: Path
) -> None:
    folder = tmp_path / "batch"
    files = 0

    def dumb(key: str, body: dict[str, Any]) -> Any:
        return answered(key, body, lambda body: "no idea")

    for line in (dumb, dumb, answered):
        with pytest.raises(Stopped):
            stage(TEXTS)
        files += 1
        answer_files(folder, line)
    (found,) = stage(TEXTS)
    assert len(found) == 3
    assert all(isinstance(one, Answered) for one in found)
    sizes = [len(requests_in(folder / f"a-stage.{number}.requests.jsonl")) for number in range(1, files + 1)]
    assert sizes == [1, 2, 3]


def refuses_schemas(key: str, body: dict[str, Any]) -> Any:
    if "response_format" in body:
        return refused(key, 400, "response_format is not supported")
    return answered(key, body)


def test_an_api_without_schemas_is_found_out_once_for_all_stages(
    stage: Callable[..., Outcomes], tmp_path: Path
) -> None:
    folder = tmp_path / "batch"
    for _ in range(2):
        with pytest.raises(Stopped):
            stage(TEXTS[:1], TEXTS[1:])
        answer_files(folder, refuses_schemas)
    assert all(isinstance(one, Answered) for group in stage(TEXTS[:1], TEXTS[1:]) for one in group)
    with pytest.raises(Stopped):
        stage(["A newt."], stage="next")
    ((_, body),) = requests_in(folder / "next.1.requests.jsonl")
    assert "response_format" not in body


def test_one_refused_schema_asks_nothing_again_that_is_answered(
    stage: Callable[..., Outcomes], tmp_path: Path
) -> None:
    folder, groups = tmp_path / "batch", [[text] for text in TEXTS]
    with pytest.raises(Stopped):
        stage(*groups)
    first = FORM.request(groups[0]).key
    answer_files(
        folder,
        lambda key, body: (
            refused(key, 400, "json_schema has too many properties") if key == first else answered(key, body)
        ),
    )
    with pytest.raises(Stopped, match="1 request for"):
        stage(*groups)
    answer_files(folder)
    assert all(isinstance(one, Answered) for (one,) in stage(*groups))


def test_a_model_that_refuses_schemas_says_nothing_of_another(
    stage: Callable[..., Outcomes], store: RequestStore, tmp_path: Path
) -> None:
    groups = [[text] for text in TEXTS]
    plain, able = replace(FORM, model="plain"), replace(FORM, model="able")
    for form in (plain, able):
        with pytest.raises(Stopped):
            stage(*groups, form=form, stage=form.model)
    answer_files(
        tmp_path / "batch",
        lambda key, body: refuses_schemas(key, body) if body["model"] == "plain" else answered(key, body),
    )
    with pytest.raises(Stopped, match="3 requests for"):
        stage(*groups, form=plain, stage="plain")
    assert all(isinstance(one, Answered) for (one,) in stage(*groups, form=able, stage="able"))
    assert store.spending("run", "able").requests == 3
    assert [has_schemas(tmp_path, f"plain.{number}") for number in (1, 2)] == [{True}, {False}]


def has_schemas(folder: Path, name: str) -> set[bool]:
    """Whether requests of a file have schemas."""
    return {"response_format" in body for _, body in requests_in(folder / f"batch/{name}.requests.jsonl")}


@pytest.mark.parametrize("reason", ["the context is too long", "json_schema has too many properties"])
def test_answers_that_come_after_the_errors_are_taken(
    stage: Callable[..., Outcomes], tmp_path: Path, reason: str
) -> None:
    """Of a batch there may be a file of errors first, and one of answers later."""
    folder, groups = tmp_path / "batch", [[text] for text in TEXTS]
    with pytest.raises(Stopped):
        stage(*groups)
    first, *others = requests_in(folder / "a-stage.1.requests.jsonl")
    (folder / "errors.jsonl").write_text(json.dumps(refused(first[0], 400, reason)) + "\n")
    with pytest.raises(Stopped, match=r"1 request for .*; no results .* of 2 requests"):
        stage(*groups)
    with pytest.raises(Stopped):
        stage(["A newt."], stage="next")
    assert has_schemas(tmp_path, "next.1") == {True}
    late = "".join(json.dumps(answered(*one)) + "\n" for one in others)
    (folder / "answers.jsonl").write_text(late)
    with pytest.raises(Stopped, match=r"^no results .* of 2 requests"):  # of which the next stage has one
        stage(*groups)
    (again,) = requests_in(folder / "a-stage.2.requests.jsonl")
    (folder / "again.jsonl").write_text(json.dumps(answered(*again)) + "\n")
    assert all(isinstance(one, Answered) for (one,) in stage(*groups))


def test_a_refusal_that_is_not_for_its_schema_takes_schemas_from_nobody(
    stage: Callable[..., Outcomes], tmp_path: Path
) -> None:
    with pytest.raises(Stopped):
        stage(TEXTS[:1])
    answer_files(tmp_path / "batch", lambda key, body: refused(key, 400, "the context is too long"))
    with pytest.raises(Stopped):
        stage(TEXTS[1:2], stage="next")
    assert has_schemas(tmp_path, "next.1") == {True}


def test_schemas_are_asked_for_again_when_one_is_answered_after_all(
    stage: Callable[..., Outcomes], tmp_path: Path
) -> None:
    folder = tmp_path / "batch"
    with pytest.raises(Stopped):
        stage(TEXTS[:1])
    ((key, body),) = requests_in(folder / "a-stage.1.requests.jsonl")
    answer_files(folder, refuses_schemas)
    with pytest.raises(Stopped):
        stage(TEXTS[1:2], stage="next")
    answer_files(folder)
    (folder / "repeated.jsonl").write_text(json.dumps(answered(key, body)) + "\n")
    with pytest.raises(Stopped):
        stage(TEXTS[2:], stage="last")
    assert [has_schemas(tmp_path, name) for name in ("next.1", "last.1")] == [{False}, {True}]
    assert isinstance(stage(TEXTS[1:2], stage="next")[0][0], Answered)


def test_an_api_that_refuses_everything_stops_the_run(stage: Callable[..., Outcomes], tmp_path: Path) -> None:
    groups = [[f"Text {number}."] for number in range(12)]
    with pytest.raises(Stopped):
        stage(*groups)
    answer_files(tmp_path / "batch", lambda key, body: refused(key, 404, "no such model"))
    with pytest.raises(Stopped, match="12 requests for"):  # without schemas; it may be these
        stage(*groups)
    answer_files(tmp_path / "batch", lambda key, body: refused(key, 404, "no such model"))
    with pytest.raises(Stopped, match=r"refuses every request: HTTP 404.*no such model"):
        stage(*groups)


def test_an_answer_that_cannot_be_read_was_paid_for(stage: Callable[..., Outcomes], tmp_path: Path) -> None:
    most = DOLLAR.most(FORM.request(TEXTS[:1]))
    with pytest.raises(Stopped):
        stage(TEXTS[:1], budget=1.5 * most)
    answer_files(
        tmp_path / "batch",
        lambda key, body: {"custom_id": key, "response": {"status_code": 200, "body": {"choices": []}}},
    )
    with pytest.raises(Stopped, match=r"the budget of .* is spent"):
        stage(TEXTS[:1], budget=1.5 * most)


def test_what_could_not_be_read_counts_once_in_the_budget_of_all_stages(
    stage: Callable[..., Outcomes], store: RequestStore, tmp_path: Path
) -> None:
    most = DOLLAR.most(FORM.request(TEXTS[:1]))
    with pytest.raises(Stopped):
        stage(TEXTS[:1])
    answer_files(
        tmp_path / "batch",
        lambda key, body: {"custom_id": key, "response": {"status_code": 200, "body": {"choices": []}}},
    )
    for _ in range(2):
        with pytest.raises(OutOfMoney):
            stage(TEXTS[:1], stage="next", budget=1.5 * most)
        assert store.lost("run") == pytest.approx(most)
        (tmp_path / "batch/more.jsonl").write_text("")  # so that all is read again


def test_a_copy_of_a_file_of_requests_is_no_matter(stage: Callable[..., Outcomes], tmp_path: Path) -> None:
    folder = tmp_path / "batch"
    with pytest.raises(Stopped):
        stage(TEXTS[:1])
    answer_files(folder)
    copy = folder / "a-stage.1 (1).requests.jsonl"
    copy.write_bytes((folder / "a-stage.1.requests.jsonl").read_bytes())
    assert isinstance(stage(TEXTS[:1])[0][0], Answered)


def test_a_request_that_fails_is_asked_again_and_given_up_after_some_batches(
    stage: Callable[..., Outcomes], tmp_path: Path
) -> None:
    folder = tmp_path / "batch"
    form_steps = 3  # a single text is asked for by schema, as JSON and as text
    for _ in range(TRIES * form_steps):
        with pytest.raises(Stopped, match="1 request for"):
            stage(TEXTS[:1])
        answer_files(folder, lambda key, body: refused(key, 500, "overloaded"))
    ((one,),) = stage(TEXTS[:1])
    assert isinstance(one, Undecided)
    assert "HTTP 500" in one.reason
    assert one.cost == 0.0


def test_an_expired_request_is_asked_again(stage: Callable[..., Outcomes], tmp_path: Path) -> None:
    folder = tmp_path / "batch"
    with pytest.raises(Stopped):
        stage(TEXTS[:1])
    answer_files(
        folder, lambda key, body: {"custom_id": key, "response": None, "error": {"code": "batch_expired"}}
    )
    with pytest.raises(Stopped, match="1 request for"):
        stage(TEXTS[:1])
    answer_files(folder)
    assert isinstance(stage(TEXTS[:1])[0][0], Answered)


def test_a_budget_bounds_what_is_written_by_what_it_can_cost(
    stage: Callable[..., Outcomes], store: RequestStore, tmp_path: Path
) -> None:
    groups = [[text] for text in TEXTS]
    most = [DOLLAR.most(FORM.request(group)) for group in groups]
    with pytest.raises(Stopped, match=r"2 requests for .*; for 1 request more --max-cost may not suffice"):
        stage(*groups, budget=most[0] + most[1])
    # Both are paid for at the most that they can cost until their results are there.
    with pytest.raises(Stopped, match=r"^no results .* of 2 requests .*; for 1 request more"):
        stage(*groups, budget=most[0] + most[1])
    answer_files(tmp_path / "batch")
    with pytest.raises(Stopped, match=r"the budget of .* is spent"):
        stage(*groups, budget=store.spending("run").cost + most[2] / 2 + 2 * 110 / 1e6)
    with pytest.raises(Stopped, match="1 request for"):
        stage(*groups, budget=most[0] + most[1] + most[2])
    answer_files(tmp_path / "batch")
    assert all(isinstance(one, Answered) for (one,) in stage(*groups, budget=0.0))


def test_the_budget_is_of_all_models_whatever_their_prices(
    stage: Callable[..., Outcomes], store: RequestStore, tmp_path: Path
) -> None:
    """Files for several models are written before any is answered."""
    groups = [[text] for text in TEXTS]
    half = Prices(input=0.5, output=0.5)
    forms = {name: replace(FORM, model=name) for name in ("cheap", "dear", "last")}
    budget = 3 * DOLLAR.most(forms["cheap"].request(TEXTS[:1]))
    for name, prices in (("cheap", half), ("dear", DOLLAR), ("last", half)):
        with pytest.raises(Stopped) as stopped:
            stage(*groups, form=forms[name], stage=name, prices=prices, budget=budget)
        # What the others have under way may cost less in the end.
        assert not isinstance(stopped.value, OutOfMoney)
    written = [
        DOLLAR.most(FORM.request([text])) * price
        for name, price in (("cheap", 0.5), ("dear", 1.0))
        for text, _ in zip(TEXTS, requests_in(tmp_path / f"batch/{name}.1.requests.jsonl"), strict=False)
    ]
    assert len(written) == 4
    assert sum(written) <= budget
    assert not (tmp_path / "batch/last.1.requests.jsonl").exists()
    answer_files(tmp_path / "batch")
    with pytest.raises(Stopped, match="3 requests for"):  # the first that looks takes all results
        stage(*groups, form=forms["last"], stage="last", prices=half, budget=budget)
    costs = [(store.spending("run", name).requests, store.spending("run", name).cost) for name in forms]
    assert costs == [(3, pytest.approx(3 * 55 / 1e6)), (1, pytest.approx(110 / 1e6)), (0, 0.0)]


def test_what_waits_counts_though_another_run_has_the_reply(
    stage: Callable[..., Outcomes], store: RequestStore, tmp_path: Path
) -> None:
    asked = FORM.request(TEXTS[:1])
    with pytest.raises(Stopped):
        stage(TEXTS[:1])
    reply = answered(asked.key, asked.body())["response"]["body"]
    store.put(asked.key, json.dumps(reply), Usage(), payer="another", stage="s", cost=0.0)
    with pytest.raises(Stopped, match=r"^no results .* of 1 request .*; for 1 request more --max-cost"):
        stage(TEXTS[:1], TEXTS[1:2], budget=1.5 * DOLLAR.most(asked))


def test_stages_whose_names_look_alike_have_files_and_accounts_of_their_own(
    stage: Callable[..., Outcomes], store: RequestStore, tmp_path: Path
) -> None:
    for name, text in (("gpt-4.1", "An oak."), ("gpt-4-1", "A fox.")):
        with pytest.raises(Stopped, match="1 request for"):
            stage([text], stage=name, form=replace(FORM, model=name))
    paths = sorted((tmp_path / "batch").glob("*.requests.jsonl"))
    assert [path.name for path in paths] == ["gpt-4-1.1.requests.jsonl", "gpt-4-1.2.requests.jsonl"]
    assert [body["model"] for path in paths for _, body in requests_in(path)] == ["gpt-4.1", "gpt-4-1"]
    answer_files(tmp_path / "batch")
    stage(["A fox."], stage="gpt-4-1", form=replace(FORM, model="gpt-4-1"))
    assert [store.spending("run", name).requests for name in ("gpt-4.1", "gpt-4-1")] == [1, 1]


def test_files_of_an_earlier_version_are_of_the_stage_in_their_names(
    stage: Callable[..., Outcomes], store: RequestStore, tmp_path: Path
) -> None:
    with pytest.raises(Stopped):
        stage(TEXTS[:1])
    (tmp_path / "batch/a-stage.1.account.json").unlink()
    with pytest.raises(Stopped, match=r"^no results"):
        stage(TEXTS[:1])
    answer_files(tmp_path / "batch")
    assert isinstance(stage(TEXTS[:1])[0][0], Answered)
    assert store.spending("run", "a/stage").requests == 1


def test_files_are_read_again_only_when_one_of_them_is_another(
    stage: Callable[..., Outcomes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = []
    results = tasks.llm.batchfolder.read_results
    monkeypatch.setattr(
        tasks.llm.batchfolder,
        "read_results",
        lambda path, *given, **more: read.append(path.name) or results(path, *given, **more),
    )
    with pytest.raises(Stopped):
        stage(TEXTS[:1])
    answer_files(tmp_path / "batch")
    for name in ("a/stage", "a/stage", "another"):
        stage(TEXTS[:1], stage=name)
    assert len(read) == 1
    (tmp_path / "batch/more.jsonl").write_text("")
    stage(TEXTS[:1])
    assert len(read) == 3


def test_large_batches_are_parted(
    stage: Callable[..., Outcomes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks.llm.batchfolder, "REQUESTS_PER_FILE", 2)
    with pytest.raises(Stopped, match="3 requests for a batch API are in 2 files in"):
        stage(*([text] for text in TEXTS))
    assert len(answer_files(tmp_path / "batch")) == 3
    monkeypatch.setattr(tasks.llm.batchfolder, "BYTES_PER_FILE", 10)
    with pytest.raises(Stopped, match="2 files in"):
        stage(*([text] for text in TEXTS), ["A cat."], ["A dog."])
    answer_files(tmp_path / "batch")
    assert len(stage(*([text] for text in TEXTS), ["A cat."], ["A dog."])) == 5


def test_another_stages_results_in_the_folder_are_no_matter(
    stage: Callable[..., Outcomes], tmp_path: Path
) -> None:
    with pytest.raises(Stopped):
        stage(TEXTS[:1])
    with pytest.raises(Stopped):
        stage(TEXTS[1:2], stage="b")
    answer_files(tmp_path / "batch")
    assert isinstance(stage(TEXTS[:1])[0][0], Answered)
    assert isinstance(stage(TEXTS[1:2], stage="b")[0][0], Answered)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("results.jsonl", "{\n", r"results.jsonl:1: not a line of batch results"),
        ("a-stage.2.requests.jsonl", "{}\n", r"a-stage.2.requests.jsonl:1: not a request as it was written"),
        ("a-stage.1.account.json", "{}\n", r"a-stage.1.account.json: not an account as it was written"),
    ],
)
def test_a_file_that_cannot_be_read_is_bad_input(
    stage: Callable[..., Outcomes], tmp_path: Path, name: str, text: str, said: str
) -> None:
    with pytest.raises(Stopped):
        stage(TEXTS[:1])
    (tmp_path / "batch" / name).write_text(text)
    with pytest.raises(BadInput, match=said):
        stage(TEXTS[:1])


def test_a_request_that_somebody_changed_is_bad_input(stage: Callable[..., Outcomes], tmp_path: Path) -> None:
    with pytest.raises(Stopped):
        stage(TEXTS[:1])
    path = tmp_path / "batch/a-stage.1.requests.jsonl"
    line = json.loads(path.read_text())
    line["body"]["model"] = "a dearer one"
    path.write_text(json.dumps(line) + "\n")
    with pytest.raises(BadInput, match="not a request as it was written"):
        stage(TEXTS[:1])


def test_what_others_have_paid_for_is_not_written(stage: Callable[..., Outcomes], tmp_path: Path) -> None:
    with pytest.raises(Stopped):
        stage(TEXTS[:1])
    answer_files(tmp_path / "batch")
    first = stage(TEXTS[:1])
    assert stage(TEXTS[:1], stage="another", payer="somebody else") == first


def test_the_prices_are_the_batch_apis(stage: Callable[..., Outcomes], tmp_path: Path) -> None:
    half = replace(DOLLAR, input=0.5, output=0.5)
    assert isinstance(half, Prices)
    with pytest.raises(Stopped):
        stage(TEXTS[:1], prices=half)
    answer_files(tmp_path / "batch")
    assert stage(TEXTS[:1], prices=half)[0][0].cost == pytest.approx(110 / 2e6)
