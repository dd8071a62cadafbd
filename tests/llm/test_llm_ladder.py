"""The ladder: keeps what parsed, asks again only for the rest, in halves and plainer, and gives a reason in the end."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tasks.llm.form import OBJECT, SCHEMA
from tasks.llm.ladder import Answered, Ladder, Undecided
from tasks.llm.store import RequestStore
from tests.llm.fake_server import Body, Content, FakeServer, Faults, marked, share, verdict
from tests.llm.verdicts import DOLLAR, FORM, Verdict, with_asker

TEXTS = [f"text number {n}" for n in range(8)]
ALL = [Verdict(**verdict(text)) for text in TEXTS]


def climb(
    server: FakeServer, path: Path, *batches: Sequence[str], **more: Any
) -> list[Answered[Verdict] | Undecided]:
    async def work(asker: Any) -> list[Any]:
        ladder = Ladder(FORM, asker)
        return [outcome for texts in batches or [TEXTS] for outcome in await ladder.answers(texts)]

    return asyncio.run(with_asker(server.url, path, work, **more))  # type: ignore[no-any-return]


def values(outcomes: Sequence[Any]) -> list[Verdict | None]:
    return [outcome.value if isinstance(outcome, Answered) else None for outcome in outcomes]


def asked(server: FakeServer) -> list[tuple[int, str]]:
    """How many texts each request was about, and in which form an answer was wanted."""
    found = []
    for body in server.bodies:
        plain = "text" if "plain text" in body["messages"][0]["content"] else "json"
        kind = body["response_format"]["type"] if "response_format" in body else ""
        found.append(
            (len(texts_of(body)), {"json_schema": "schema", "json_object": "object", "": plain}[kind])
        )
    return found


def texts_of(body: Body) -> list[str]:
    return list(marked(body["messages"][-1]["content"]).values())


def answering(readable: Callable[[Body, str], bool]) -> Callable[[Body], Content]:
    """Leaves out the texts that are not readable to it."""

    def answer(body: Body) -> Content:
        blocks = marked(body["messages"][-1]["content"])
        return json.dumps({str(n): verdict(text) for n, text in blocks.items() if readable(body, text)})

    return answer


def test_all_are_asked_in_one_request(tmp_path: Path) -> None:
    with FakeServer() as server:
        assert values(climb(server, tmp_path / "s")) == ALL
    assert asked(server) == [(8, "schema")]


def test_what_parsed_is_kept_and_the_rest_asked_again_in_halves_and_plainer(tmp_path: Path) -> None:
    few = answering(lambda body, text: len(texts_of(body)) < 2 or text not in TEXTS[2:8])
    with FakeServer(answer=few) as server:
        assert values(climb(server, tmp_path / "s")) == ALL
    # Halves are asked about at the same time, in whatever order.
    assert asked(server)[0] == (8, "schema")
    halves = [(4, "json"), (2, "json"), (2, "text"), (2, "text"), *[(1, "text")] * 6]
    assert sorted(asked(server)[1:]) == sorted(halves)


def test_an_answer_is_that_of_the_request_that_gave_it(tmp_path: Path) -> None:
    few = answering(lambda body, text: "response_format" not in body or text != TEXTS[3])
    with FakeServer(answer=few) as server:
        outcomes = climb(server, tmp_path / "s")
    with RequestStore(tmp_path / "s") as store:
        for text, outcome in zip(TEXTS, outcomes, strict=True):
            assert isinstance(outcome, Answered)
            assert (
                json.dumps(verdict(text))[1:-1]
                in json.loads(store.get_many([outcome.request])[outcome.request])["choices"][0]["message"][
                    "content"
                ]
            )
        assert len({outcome.request for outcome in outcomes if isinstance(outcome, Answered)}) == 2


def test_costs_of_all_texts_add_up_to_what_was_paid(tmp_path: Path) -> None:
    few = answering(lambda body, text: share(text + str(len(server.bodies))) < 0.4 and text != TEXTS[5])
    with FakeServer(answer=few) as server:
        outcomes = climb(server, tmp_path / "s")
    with RequestStore(tmp_path / "s") as store:
        assert sum(outcome.cost for outcome in outcomes) == pytest.approx(store.spending("run").cost)


def test_what_cannot_be_read_in_any_form_is_undecided_with_a_reason_and_the_others_are_not(
    tmp_path: Path,
) -> None:
    with FakeServer(answer=answering(lambda _, text: text != TEXTS[3])) as server:
        outcomes = climb(server, tmp_path / "s")
    assert isinstance(outcomes[3], Undecided)
    assert outcomes[3].reason == "the answer could not be read"
    assert outcomes[3].cost > 0
    assert values(outcomes) == [*ALL[:3], None, *ALL[4:]]
    assert asked(server) == [(8, "schema"), (1, "json"), (1, "text")]


def test_an_answer_that_is_cut_gives_its_whole_records_and_the_rest_is_asked_again(tmp_path: Path) -> None:
    def cut(body: Body) -> Content:
        whole = json.dumps(
            {str(n): verdict(text) for n, text in marked(body["messages"][-1]["content"]).items()}
        )
        return (whole[:120], True) if len(texts_of(body)) > 4 else whole

    with FakeServer(answer=cut) as server:
        assert values(climb(server, tmp_path / "s")) == ALL
    assert asked(server)[0] == (8, "schema")
    assert sum(count for count, _ in asked(server)[1:]) < 8


def test_an_answer_that_is_always_cut_says_so(tmp_path: Path) -> None:
    with FakeServer(answer=lambda _: ('{"1": {"label": "pl', True)) as server:
        (outcome,) = climb(server, tmp_path / "s", TEXTS[:1])
    assert isinstance(outcome, Undecided)
    assert outcome.reason == "the answer was cut off"


def test_a_server_that_refuses_schemas_is_not_asked_for_them_again(tmp_path: Path) -> None:
    with FakeServer(schemas=()) as server:
        assert values(climb(server, tmp_path / "s", TEXTS[:4], TEXTS[4:6], TEXTS[6:])) == ALL
    assert asked(server) == [(4, "schema"), (4, "object"), (4, "json"), (2, "json"), (2, "json")]


def test_a_server_that_knows_the_older_form_of_schemas_is_asked_in_that(tmp_path: Path) -> None:
    with FakeServer(schemas=("json_object",)) as server:
        assert values(climb(server, tmp_path / "s", TEXTS[:4], TEXTS[4:])) == ALL
    assert asked(server) == [(4, "schema"), (4, "object"), (4, "object")]
    assert server.bodies[1]["response_format"]["schema"] == FORM.schema(4)


def test_what_cannot_be_read_is_asked_for_without_a_schema_of_either_form(tmp_path: Path) -> None:
    with FakeServer(
        schemas=("json_object",), answer=answering(lambda body, _: "response_format" not in body)
    ) as server:
        assert values(climb(server, tmp_path / "s", TEXTS[:4])) == ALL[:4]
    assert asked(server) == [(4, "schema"), (4, "object"), (2, "json"), (2, "json")]


def test_a_model_that_refuses_schemas_is_the_only_one_that_is_not_asked_for_them(tmp_path: Path) -> None:
    async def work(asker: Any) -> None:
        for rung in (SCHEMA, OBJECT):
            asker.refused("another", rung)
        await Ladder(FORM, asker).answers(TEXTS[:2])
        await Ladder(replace(FORM, model="another"), asker).answers(TEXTS[:2])

    with FakeServer() as server:
        asyncio.run(with_asker(server.url, tmp_path / "s", work))
    assert asked(server) == [(2, "schema"), (2, "json")]


@pytest.mark.parametrize(("before", "now"), [(3, 0), (0, 3), (1, 2), (2, 1)])
def test_what_was_answered_in_one_form_is_not_asked_for_again_in_another(
    tmp_path: Path, before: int, now: int
) -> None:
    """A run may go on with another server."""
    kinds = [(), ("json_object",), ("json_schema",), ("json_schema", "json_object")]
    with FakeServer(schemas=kinds[before]) as server:
        climb(server, tmp_path / "s", TEXTS[:4])
    with FakeServer(schemas=kinds[now]) as server:
        assert values(climb(server, tmp_path / "s", TEXTS[4:], TEXTS[:4])) == ALL[4:] + ALL[:4]
    forms = [["schema", "object", "json"], ["schema", "object"], ["schema"], ["schema"]][now]
    assert asked(server) == [(4, form) for form in forms]


def test_an_answer_to_the_schema_counts_though_the_plainer_one_is_there_too(tmp_path: Path) -> None:
    """What a text has cost is all that was paid for it."""
    with FakeServer(answer=answering(lambda body, _: "response_format" not in body)) as server:
        first = climb(server, tmp_path / "s", TEXTS[:1])
        assert climb(server, tmp_path / "s", TEXTS[:1]) == first
    assert asked(server) == [(1, "schema"), (1, "json")]


def test_a_server_that_takes_a_schema_and_ignores_it_is_read_all_the_same(tmp_path: Path) -> None:
    def in_text(body: Body) -> str:
        blocks = marked(body["messages"][-1]["content"])
        return "Sure!\n" + "\n".join(
            f"[{n}] {verdict(text)['label']}, {verdict(text)['score']}" for n, text in blocks.items()
        )

    with FakeServer(answer=in_text) as server:
        assert values(climb(server, tmp_path / "s")) == ALL
    assert asked(server) == [(8, "schema")]


def test_a_request_that_is_too_long_is_asked_in_parts(tmp_path: Path) -> None:
    long = TEXTS[5] + " long" * 500

    def short(body: Body) -> str:
        if len(body["messages"][-1]["content"]) > 1500:
            raise ValueError("too long")
        return json.dumps({str(n): verdict(t) for n, t in marked(body["messages"][-1]["content"]).items()})

    texts = [*TEXTS[:5], long, *TEXTS[6:]]
    with FakeServer(answer=short) as server:
        outcomes = climb(server, tmp_path / "s", texts)
    assert values(outcomes) == [*ALL[:5], None, *ALL[6:]]
    assert isinstance(outcomes[5], Undecided)
    assert "RemoteProtocolError" in outcomes[5].reason


def test_malformed_contents_are_climbed_around(tmp_path: Path) -> None:
    with FakeServer(faults=Faults(contents=0.5, at_most=1)) as server:
        outcomes = climb(server, tmp_path / "s", *(TEXTS[n : n + 2] for n in range(0, 8, 2)))
    assert server.faulty["contents"] > 0
    decided = [value for value in values(outcomes) if value]
    assert len(decided) >= 5
    assert all(value is None or value == wanted for value, wanted in zip(values(outcomes), ALL, strict=True))


def test_no_texts_are_no_request(tmp_path: Path) -> None:
    with FakeServer() as server:
        assert climb(server, tmp_path / "s", []) == []
    assert server.bodies == []


def test_a_second_climb_takes_every_step_from_the_store(tmp_path: Path) -> None:
    few = answering(lambda body, text: len(texts_of(body)) < 3 and text != TEXTS[3])
    with FakeServer(answer=few) as server:
        first, sent = climb(server, tmp_path / "s"), len(server.bodies)
        assert climb(server, tmp_path / "s") == first
    assert len(server.bodies) == sent


class Whatever:
    """An endpoint whose model writes what it is told, whatever was asked."""

    name, at_once = "whatever", 9

    def __init__(self, writings: list[str]) -> None:
        self.writings = writings

    async def complete(self, request: Any) -> str:
        said = self.writings[int(share(request.key) * len(self.writings))]
        return json.dumps({"choices": [{"message": {"content": said}, "finish_reason": "stop"}]})

    async def close(self) -> None:
        pass


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.text()
        | st.dictionaries(
            st.sampled_from("1234"),
            st.fixed_dictionaries({"label": st.just("plant"), "score": st.integers(-5, 15)}),
        ).map(json.dumps),
        min_size=1,
        max_size=9,
    ),
    st.integers(1, 5),
)
def test_every_text_comes_to_an_end_whatever_is_written(
    tmp_path_factory: pytest.TempPathFactory, writings: list[str], count: int
) -> None:
    from tasks.llm.ask import Asker
    from tests.llm.verdicts import SOON

    async def work() -> list[Any]:
        with RequestStore(tmp_path_factory.mktemp("s") / "s") as store:
            asker = Asker(Whatever(writings), store, payer="run", stage="s", prices=DOLLAR, limits=SOON)
            return await Ladder(FORM, asker).answers(TEXTS[:count])

    outcomes = asyncio.run(work())
    assert len(outcomes) == count
    for outcome in outcomes:
        assert isinstance(outcome, Undecided) or 0 <= outcome.value.score <= 10
