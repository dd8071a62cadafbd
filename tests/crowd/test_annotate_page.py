"""The page where people answer, as a browser speaks to it, without one."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tasks.crowd.annotate import page
from tasks.crowd.annotate.campaign import Campaign
from tasks.crowd.annotate.page import Desk, Refused, serving
from tasks.records import Stopped
from tests.crowd.annotating import answer, campaign_of, settings_of


@pytest.fixture
def campaign(tmp_path: Path) -> Iterator[Campaign]:
    with campaign_of(tmp_path, settings_of(tmp_path, 6, port=0, queue=2)) as opened:
        yield opened


def desk_of(campaign: Campaign) -> tuple[Desk, dict[str, Any]]:
    desk = Desk(campaign.settings, campaign)
    return desk, {"campaign": desk.hello({})["campaign"], "worker": "ann"}


def ask(port: int, path: str, said: Any = None, **headers: str) -> tuple[int, dict[str, str], str]:
    """A request as the page itself makes it, but for `headers`."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    own = {"Host": f"127.0.0.1:{port}"}
    if said is not None:
        own |= {"Origin": f"http://127.0.0.1:{port}", "Content-Type": "application/json"}
    own |= {name.replace("_", "-"): value for name, value in headers.items()}
    body = said if isinstance(said, str | None) else json.dumps(said)
    connection.request("GET" if said is None else "POST", path, body, {k: v for k, v in own.items() if v})
    with connection.getresponse() as answer:
        found = answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read().decode()
    connection.close()
    return found


def port_of(address: str) -> int:
    return int(address.rstrip("/").rpartition(":")[2])


def test_a_queue_is_filled_up_and_an_answer_posted_twice_counts_once(campaign):
    desk, me = desk_of(campaign)
    first = desk.queue(me)
    assert [len(item["fields"]) for item in first["items"]] == [1, 1]
    assert [item["task"] for item in desk.queue(me)["items"]] == [item["task"] for item in first["items"]]
    said = {**me, "task": first["items"][0]["task"], "label": "cat"}
    told = desk.answer(said)
    assert (told["counted"], told["own"], told["answers"]) == (True, 1, 1)
    assert told["items"][0] == first["items"][1]
    assert len(told["items"]) == 2
    told = desk.answer({**said, "label": "dog"})
    assert (told["counted"], told["own"], told["answers"]) == (False, 1, 1)
    assert [one.label for one in campaign.answers] == ["cat"]


def test_nobody_is_told_which_items_are_golden(tmp_path):
    with campaign_of(tmp_path, settings_of(tmp_path, 8, golden=4, golden_share=0.5, queue=8)) as campaign:
        desk, me = desk_of(campaign)
        told = desk.queue(me)
        assert {item["task"] for item in told["items"]} & {"i0", "i1", "i2", "i3"}
        assert {key for item in told["items"] for key in item} == {"task", "fields"}
        assert told["items_in_all"] == 4


def test_who_has_nothing_to_do_waits_and_is_told_when_all_is_done(campaign):
    desk, me = desk_of(campaign)
    for worker in ("bob", "eve"):
        answer(campaign, worker, list(range(6)))
    campaign.refresh()
    for task in campaign.needs().nonzero()[0].tolist():
        assert not desk.queue(me)["over"]
        answer(campaign, "joe", [task])
    told = desk.queue(me)
    if campaign.finished:
        assert told["over"]
        assert told["items"] == []
    assert not desk.waiting()


def test_a_late_answer_that_the_budget_does_not_pay_is_told_and_another_is_taken(tmp_path):
    now = [0.0]
    settings = settings_of(tmp_path, 6, budget=1, queue=1, lease_minutes=1.0)
    with campaign_of(tmp_path, settings, clock=lambda: now[0]) as campaign:
        desk, me = desk_of(campaign)
        said = {**me, "task": desk.queue(me)["items"][0]["task"], "label": "cat"}
        now[0] = 61.0
        other = {**me, "worker": "bob"}
        (item,) = desk.queue(other)["items"]
        told = desk.answer(said)
        assert (told["counted"], told["own"], told["over"]) == (None, 0, False)
        told = desk.answer({**other, "task": item["task"], "label": "dog"})
        assert (told["counted"], told["own"], told["over"]) == (True, 1, True)
        assert desk.answer(said)["counted"] is None
        assert len(campaign.answers) == 1


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"worker": " \n "}, 422),
        ({"worker": "x" * 81}, 422),
        ({"worker": "a\u202eb"}, 422),
        ({"task": "i99"}, 422),
        ({"label": "cow"}, 422),
        ({"campaign": "another"}, 409),
    ],
)
def test_what_is_no_answer_is_refused(campaign, changes, status):
    desk, me = desk_of(campaign)
    with pytest.raises(Refused) as refused:
        desk.answer({**me, "task": "i0", "label": "cat", **changes})
    assert refused.value.status == status
    assert campaign.answers == []


def test_only_the_page_itself_is_listened_to(campaign):
    desk, me = desk_of(campaign)
    with serving(desk) as address:
        port = port_of(address)
        status, headers, content = ask(port, "/")
        assert status == 200
        assert "default-src 'none'; script-src 'self'" in headers["content-security-policy"]
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert "access-control-allow-origin" not in headers
        assert "http://" not in content  # nothing is loaded from elsewhere
        assert "https://" not in content
        said = {**me, "task": "i0", "label": "cat"}
        for refused in (
            ask(port, "/", Host=f"evil.example:{port}"),  # a name that was made to point here
            ask(port, "/answer", said, Host=f"evil.example:{port}", Origin=f"http://evil.example:{port}"),
            ask(port, "/answer", said, Origin="http://evil.example"),
            ask(port, "/answer", said, Origin="null"),
            ask(port, "/answer", said, Origin=""),
            ask(port, "/answer", said, Content_Type="text/plain"),  # what a form of another site can send
            ask(port, "/answer", "[1]"),
            ask(port, "/answer", "{"),
            ask(port, "/answer", json.dumps({**said, "label": "c" * 70_000})),
            ask(port, "/answer"),
            ask(port, "/../settings.yaml"),
        ):
            assert 400 <= refused[0] < 500
        assert campaign.answers == []
        local = {"Host": f"localhost:{port}", "Origin": f"http://localhost:{port}"}
        assert ask(port, "/answer", said, **local)[0] == 200
        assert len(campaign.answers) == 1


def test_a_page_that_stays_open_is_answered_by_the_next_process(tmp_path):
    settings = settings_of(tmp_path, 6, port=0, queue=2)
    with campaign_of(tmp_path, settings) as campaign:
        desk, me = desk_of(campaign)
        with serving(desk) as address:
            held = json.loads(ask(port_of(address), "/queue", me)[2])["items"]
    with pytest.raises(ConnectionRefusedError):
        ask(port_of(address), "/queue", me)
    with campaign_of(tmp_path, settings) as campaign, serving(Desk(settings, campaign)) as again:
        assert again == address  # where the page looks for it
        for item in held:
            status, _, told = ask(port_of(again), "/answer", {**me, "task": item["task"], "label": "cat"})
            assert (status, json.loads(told)["counted"]) == (200, True)
        assert len(campaign.answers) == 2


def test_a_round_ends_with_its_answers_and_a_port_that_is_taken_is_one_line(campaign):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = campaign.settings.model_copy(update={"port": other.getsockname()[1]})
        with pytest.raises(Stopped, match=r"--port \d+: Address already in use"):
            page.collect(Path(), taken, campaign, 2)
    worker = threading.Timer(0.2, lambda: answer(campaign, "ann", [0, 1, 2]))
    worker.start()
    page.collect(Path(), campaign.settings, campaign, 3)
    worker.join()
    assert campaign.this_round == 3
