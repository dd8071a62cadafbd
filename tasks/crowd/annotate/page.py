"""A page on this machine where people answer: each has a queue of items, a key for each label, and may skip.

An answer needs nothing of the process that handed its item out: a page that stays open while the run is stopped and continued
sends what it holds when there is somebody to take it. An answer that the budget does not pay waits in the page for a larger one.
Only pages of this very address are listened to: a request whose Host or Origin is another is refused, so that neither another
site nor a name that is made to point here can answer in somebody's name.
"""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from tasks.crowd.annotate.campaign import Campaign
from tasks.crowd.annotate.settings import AnnotateSettings
from tasks.page.templates import templates
from tasks.records import Stopped
from tasks.run import terminal

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

Facts = dict[str, Any]

HOST = "127.0.0.1"
LONGEST_NAME = 80  # characters of an annotator's name
_LARGEST = 1 << 16  # bytes of a request
_GOODBYE = 6.0  # seconds in which open pages are told that it is over
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class Refused(Exception):
    """A request that is not answered.

    Args:
        status: of HTTP.
    """

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


def collect(run: Path, settings: AnnotateSettings, campaign: Campaign, quota: int) -> None:
    """Serve the page until this round has its answers, or nothing is wanted any more.

    Raises:
        Stopped: the port is taken.
    """
    desk = Desk(settings, campaign)
    with serving(desk) as address:
        terminal.current().note(f"annotators answer on {address}")
        with campaign.changed:
            while campaign.this_round < quota and not campaign.finished:
                campaign.changed.wait(0.5)  # also to let Ctrl-C through
                terminal.current().progress("answers in this round", campaign.this_round)
        until = time.monotonic() + _GOODBYE
        while campaign.finished and desk.waiting() and time.monotonic() < until:
            time.sleep(0.1)


class Desk:
    """What the page asks for, as plain functions.

    Args:
        clock: seconds.
    """

    def __init__(
        self, settings: AnnotateSettings, campaign: Campaign, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.settings, self.campaign, self._clock = settings, campaign, clock
        self.id = campaign.store.note("id") or uuid4().hex
        campaign.store.set_note("id", self.id)
        self._seen: dict[str, float] = {}
        self._answers_then = -1  # when the truth was inferred for somebody who had nothing to do

    def hello(self, said: Facts) -> Facts:
        """What the page shows around the items."""
        return {"campaign": self.id, "question": self.settings.question, "labels": self.settings.labels}

    def queue(self, said: Facts) -> Facts:
        """What an annotator has to do, filled up, and how far the campaign is."""
        campaign, worker = self.campaign, self._worker(said)
        with campaign.changed:
            held = campaign.held(worker)
            want = self.settings.queue - len(held)
            seconds = 60 * self.settings.lease_minutes
            given = campaign.offer(worker, want, seconds) if want > 0 else []
            if not held and not given and self._answers_then != len(campaign.answers):
                # Within a round posteriors are approximate: only all answers together tell whether there is nothing to do.
                self._answers_then = len(campaign.answers)
                campaign.refresh()
                given = campaign.offer(worker, want, seconds)
            over = campaign.finished or worker in campaign.eliminated
            items = [self._item(task) for task in ([] if over else [*held, *given])]
            own = campaign.workers[worker].answers if worker in campaign.workers else 0
            told = {"items": items, "over": over, "own": own, **campaign.progress()}
        if over:
            self._seen.pop(worker, None)
        else:
            self._seen[worker] = self._clock()
        return told

    def answer(self, said: Facts) -> Facts:
        """Take an answer, whoever handed the item out and when; the same once more is no second one.

        One that comes so late that the budget has gone to others is not taken: `counted` is null, and the page keeps it.
        """
        worker, task = self._worker(said), self._task(said)
        label = self.campaign.label_code.get(str(said.get("label")))
        if label is None:
            raise Refused(422, "no such label")
        counted = self.campaign.accept(worker, [(task, label)])
        return {"counted": counted[0], **self.queue(said)}

    def skip(self, said: Facts) -> Facts:
        """Take an item back that an annotator does not want."""
        self.campaign.accept(self._worker(said), [], [(self._task(said), "skipped")])
        return self.queue(said)

    def waiting(self) -> bool:
        """Whether pages were here a moment ago that do not know yet that it is over."""
        return any(self._clock() - at < _GOODBYE for at in list(self._seen.values()))

    def _item(self, task: int) -> Facts:
        return {"task": self.campaign.items.ids[task], "fields": self.campaign.items.shown(task)}

    def _worker(self, said: Facts) -> str:
        if said.get("campaign") != self.id:
            raise Refused(409, "another campaign is annotated here now; load the page again")
        name = " ".join(str(said.get("worker") or "").split())
        if not name or len(name) > LONGEST_NAME or not name.isprintable():
            raise Refused(422, f"a name of 1 to {LONGEST_NAME} characters is needed")
        return name

    def _task(self, said: Facts) -> int:
        task = self.campaign.code.get(str(said.get("task")))
        if task is None:
            raise Refused(422, "no such item")
        return task


@contextmanager
def serving(desk: Desk) -> Iterator[str]:
    """The page, served while the block lasts. Yields its address.

    Raises:
        Stopped: the port is taken.
    """
    import uvicorn

    wanted = desk.settings.port or int(desk.campaign.store.note("port") or 0)
    with socket.socket() as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((HOST, wanted))
        except OSError as error:
            raise Stopped(
                f"--port {wanted}: {error.strerror}; end what uses it, or resume with another --port"
            ) from None
        port = listening.getsockname()[1]
        desk.campaign.store.set_note("port", str(port))
        server = uvicorn.Server(
            uvicorn.Config(
                application(desk, port),
                log_config=None,
                access_log=False,
                lifespan="off",
                server_header=False,
                timeout_graceful_shutdown=2,
            )
        )
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        try:
            while not server.started and thread.is_alive():
                time.sleep(0.01)
            yield f"http://{HOST}:{port}/"
        finally:
            server.should_exit = True
            thread.join()


def application(desk: Desk, port: int) -> Any:
    """The page as an ASGI application, for its own address alone."""
    from starlette.applications import Starlette
    from starlette.concurrency import run_in_threadpool
    from starlette.responses import JSONResponse, Response
    from starlette.routing import Route

    hosts = {f"{name}:{port}" for name in (HOST, "localhost")}
    origins = {f"http://{host}" for host in hosts}

    def guarded(work: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            try:
                if request.headers.get("host") not in hosts:
                    raise Refused(421, "this page has another address")
                if request.method == "POST" and request.headers.get("origin") not in origins:
                    raise Refused(403, "only the page itself may answer")
                answer = await work(request)
            except Refused as error:
                answer = JSONResponse({"error": str(error)}, error.status)
            answer.headers.update(_HEADERS)
            return answer

        return endpoint

    def told(work: Callable[[Facts], Facts]) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            said = await _said(request)
            return JSONResponse(await run_in_threadpool(work, said))

        return guarded(endpoint)

    def shown(content: str, kind: str) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            return Response(content, media_type=kind)

        return guarded(endpoint)

    package = files("tasks.crowd.annotate")
    page = templates("tasks.crowd.annotate").get_template("desk.html.j2")
    return Starlette(
        routes=[
            Route("/", shown(page.render(question=desk.settings.question), "text/html")),
            Route("/page.css", shown((package / "page.css").read_text("utf-8"), "text/css")),
            Route("/page.js", shown((package / "page.js").read_text("utf-8"), "text/javascript")),
            Route("/hello", told(desk.hello), methods=["POST"]),
            Route("/queue", told(desk.queue), methods=["POST"]),
            Route("/answer", told(desk.answer), methods=["POST"]),
            Route("/skip", told(desk.skip), methods=["POST"]),
        ]
    )


async def _said(request: Request) -> Facts:
    """The JSON object of a request."""
    if request.headers.get("content-type") != "application/json":
        raise Refused(415, "JSON is needed")
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > _LARGEST:
            raise Refused(413, "too long")
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        said = None
    if not isinstance(said, dict):
        raise Refused(400, "not a JSON object")
    return said
