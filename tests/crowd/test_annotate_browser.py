"""The page in a real browser, driven over its DevTools protocol: keys, two annotators, a restart, markup as text."""

from __future__ import annotations

import itertools
import json
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tasks.crowd.annotate.page import Desk, serving
from tests.crowd.annotating import campaign_of, settings_of
from tests.csv_files import write_rows

connect = pytest.importorskip("websockets.sync.client").connect
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
PATIENCE = 30.0  # seconds

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")


class Tab:
    """A page in a browser of its own profile, so that two of them are two people."""

    def __init__(self, address: str) -> None:
        self._socket, self._ids = connect(address, max_size=None), itertools.count(1)

    def call(self, method: str, **parameters: Any) -> Any:
        number = next(self._ids)
        self._socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            said = json.loads(self._socket.recv(timeout=PATIENCE))
            if said.get("id") == number:
                assert "error" not in said, said
                return said["result"]

    def value(self, expression: str) -> Any:
        found = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def until(self, expression: str) -> Any:
        deadline = time.monotonic() + PATIENCE
        while not (found := self.value(expression)):
            assert time.monotonic() < deadline, f"{expression}: {self.value('document.body.innerText')}"
            time.sleep(0.03)
        return found

    def press(self, key: str) -> None:
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, text=key if kind == "keyDown" else "")

    def begin(self, address: str, name: str) -> None:
        self.call("Page.navigate", url=address)
        self.until("document.getElementById('welcome')?.hidden === false")
        self.value("document.getElementById('name').focus()")
        self.call("Input.insertText", text=name)
        self.value("document.querySelector('#welcome button').click()")
        self.until(SHOWN)

    def close(self) -> None:
        self._socket.close()


SHOWN = "document.getElementById('work')?.hidden === false && document.getElementById('item').innerText"


@pytest.fixture
def tabs(tmp_path: Path) -> Iterator[list[Tab]]:
    """Two tabs of one browser, each with its own storage."""
    profile = tmp_path / "profile"
    process = subprocess.Popen(
        [
            str(CHROMIUM),
            *(
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-quic",
                "--disable-background-networking",
            ),
            *("--disable-component-update", "--disable-sync", "--no-first-run", "--remote-debugging-port=0"),
            f"--user-data-dir={profile}",
            "about:blank",
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    opened: list[Tab] = []
    try:
        told, deadline = profile / "DevToolsActivePort", time.monotonic() + PATIENCE
        while not (told.exists() and len(told.read_text().splitlines()) == 2):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        port, path = told.read_text().splitlines()
        browser = Tab(f"ws://127.0.0.1:{port}{path}")
        for _ in range(2):
            context = browser.call("Target.createBrowserContext")["browserContextId"]
            target = browser.call("Target.createTarget", url="about:blank", browserContextId=context)[
                "targetId"
            ]
            opened.append(Tab(f"ws://127.0.0.1:{port}/devtools/page/{target}"))
        yield opened
        browser.close()
    finally:
        for tab in opened:
            tab.close()
        process.kill()
        process.wait()


def test_a_late_answer_is_taken_when_the_budget_has_room_for_it_again(tmp_path, tabs):
    now = [0.0]
    settings = settings_of(tmp_path, 6, port=0, queue=1, budget=1, lease_minutes=1.0)
    ann, bob = tabs
    with (
        campaign_of(tmp_path, settings, clock=lambda: now[0]) as campaign,
        serving(Desk(settings, campaign)) as address,
    ):
        ann.begin(address, "ann")
        now[0] = 61.0
        bob.begin(address, "bob")
        ann.press("1")
        ann.until("document.getElementById('trouble').innerText.includes('1 of your answers is not taken')")
        now[0] = 122.0  # bob has gone
        ann.until("document.getElementById('progress').innerText.includes('1 answer by you')")
        assert ann.value("document.getElementById('trouble').hidden") is True
        assert [one.worker for one in campaign.answers] == ["ann"]


def test_a_late_answer_that_the_budget_does_not_pay_is_kept_for_a_larger_one(tmp_path, tabs):
    now = [0.0]
    settings = settings_of(tmp_path, 6, port=0, queue=1, budget=1, lease_minutes=1.0)
    ann, bob = tabs
    clock = {"clock": lambda: now[0]}
    with campaign_of(tmp_path, settings, **clock) as campaign, serving(Desk(settings, campaign)) as address:
        ann.begin(address, "ann")
        now[0] = 61.0
        bob.begin(address, "bob")
        ann.press("1")
        ann.until("document.getElementById('trouble').innerText.includes('1 of your answers is not taken')")
        bob.press("2")
        bob.until("document.getElementById('progress').innerText.includes('1 answer by you')")
        ann.until("document.getElementById('headline').innerText.startsWith('That is all')")
        assert ann.value("document.getElementById('trouble').hidden") is False
        assert [one.worker for one in campaign.answers] == ["bob"]
    more = settings.model_copy(update={"budget": 2})
    with campaign_of(tmp_path, more, **clock) as campaign, serving(Desk(more, campaign)):
        ann.call("Page.reload")
        ann.until("document.getElementById('progress')?.innerText.includes('1 answer by you')")
        ann.until("document.getElementById('trouble').hidden")
        assert [one.worker for one in campaign.answers] == ["bob", "ann"]
        assert ann.value("Object.keys(localStorage).some((k) => localStorage[k].includes('label'))") is False


def test_two_people_answer_by_keys_over_a_restart(tmp_path, tabs):
    rows = [[f"i{n}", f"<img src=x onerror=\"document.title='owned'\"> item {n} & more"] for n in range(6)]
    items = write_rows(tmp_path / "marked.csv", ["id", "text"], rows)
    settings = settings_of(tmp_path, items=str(items), port=0, queue=2, max_answers=2)
    ann, bob = tabs
    with campaign_of(tmp_path, settings) as campaign, serving(desk := Desk(settings, campaign)) as address:
        ann.begin(address, "ann")
        bob.begin(address, "bob")
        # Markup is text.
        assert ann.value("document.getElementById('item').innerText").startswith("<img src=x onerror=")
        assert ann.value("document.querySelectorAll('#item img').length") == 0
        assert ann.value("document.title") == "Which label fits? · Sluice"
        assert bob.value(
            "[...document.querySelectorAll('#labels button')].map((b) => b.innerText.split(/\\s+/).join(' '))"
        ) == [
            "1 cat",
            "2 dog",
        ]
        # Keys: a label each, and one that is held down, or no label's, is none.
        ann.press("1")
        ann.press("2")
        ann.press("7")
        ann.until("document.getElementById('progress').innerText.includes('2 answers by you')")
        bob.press("2")
        bob.press("s")
        bob.until("document.getElementById('progress').innerText.includes('1 answer by you')")
        with campaign.changed:
            assert campaign.changed.wait_for(lambda: campaign.skips.sum() == 1, PATIENCE)
            given = [(one.worker, one.label) for one in campaign.answers]
        assert [label for worker, label in given if worker == "ann"] == ["cat", "dog"]
        assert [label for worker, label in given if worker == "bob"] == ["dog"]
        # The same answer, posted once more by the page.
        first = campaign.answers[0]
        said = json.dumps({"campaign": desk.id, "worker": first.worker, "task": first.task, "label": "dog"})
        ann.value(
            "fetch('/answer', {method: 'POST', headers: {'Content-Type': 'application/json'}, "
            f"body: {json.dumps(said)}}}).then((r) => r.json()).then((told) => {{ window.told = told; }}), 0"
        )
        assert ann.until("window.told && [window.told.counted]") == [False]
        assert len(campaign.answers) == 3
        ann.until(SHOWN)
    # The server is away: the answer is kept in the page, and said to be.
    ann.press("2")
    ann.until("document.getElementById('trouble').innerText.includes('1 of your answers is kept here')")
    with campaign_of(tmp_path, settings) as campaign, serving(Desk(settings, campaign)) as again:
        assert again == address
        ann.until("document.getElementById('progress').innerText.includes('3 answers by you')")
        assert [one.label for one in campaign.answers if one.worker == "ann"] == ["cat", "dog", "dog"]
        # A page that was loaded again knows who it is, and takes what is left.
        ann.call("Page.reload")
        deadline = time.monotonic() + PATIENCE
        while len(campaign.answers) < 11:  # two of each item, but for the one that bob skipped
            assert time.monotonic() < deadline
            for tab in (ann, bob):
                if tab.value(SHOWN):
                    tab.press("1")
            time.sleep(0.05)
        assert len(campaign.answers) == len({(one.task, one.worker) for one in campaign.answers}) == 11
        assert urllib.request.urlopen(again).status == 200
