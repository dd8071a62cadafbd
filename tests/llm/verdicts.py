"""The form that the fake server's default answers are valid for, and what else the tests of asking share."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from tasks.llm.ask import Asker, Limits
from tasks.llm.endpoint import Server
from tasks.llm.form import Form
from tasks.llm.prices import Prices
from tasks.llm.request import Reply, Request
from tasks.llm.store import RequestStore

ROOT = Path(__file__).resolve().parents[2]
DOLLAR = Prices(input=1.0, output=1.0)  # for a million tokens of either kind
SOON = Limits(concurrency=8, retries=3, timeout=5.0, pause=0.01)


class Verdict(BaseModel):
    model_config = ConfigDict(extra="forbid")

    label: Literal["animal", "plant", "stone", "banana"]
    score: int = Field(ge=0, le=10)


def from_text(text: str) -> Verdict | None:
    found = re.fullmatch(r"(\w+),? (\d+)\.?", text.strip())
    if not found or found[1] not in ("animal", "plant", "stone", "banana") or int(found[2]) > 10:
        return None
    return Verdict(label=found[1], score=int(found[2]))  # type: ignore[arg-type]


FORM = Form(
    name="verdict",
    task="Say of each text whether it is about an animal, a plant or a stone, and how good it is, from 0 to 10.",
    answer=Verdict,
    example=Verdict(label="animal", score=3),
    as_text="the label, a comma and the score, as: animal, 3",
    from_text=from_text,
    to_text=lambda verdict: f"{verdict.label}, {verdict.score}",
    model="m",
    parameters={"max_tokens": 100},
)


def request(text: str = "Is it a stone?", answered: int = 100, **parameters: Any) -> Request:
    return Request("m", (("user", text),), {"max_tokens": answered, **parameters})


async def with_asker(
    url: str, path: Path, work: Callable[[Asker], Awaitable[Any]], *, limits: Limits = SOON, **settings: Any
) -> Any:
    """Work with an asker of a server, and close both."""
    server = Server(url, timeout=limits.timeout, connections=limits.concurrency)
    with RequestStore(path) as store:
        given = {"payer": "run", "stage": "test", "prices": DOLLAR, **settings}
        try:
            return await work(Asker(server, store, limits=limits, **given))
        finally:
            await server.close()


def texts(replies: list[Any]) -> list[str]:
    """What the replies say; all have to be replies."""
    assert all(isinstance(reply, Reply) for reply in replies), replies
    return [reply.text for reply in replies]


def run(code: str, *arguments: str, stdin: bool = False) -> subprocess.Popen[str]:
    """Python code in a process of its own; with `stdin` it can be told to end, or finds out that we have."""
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        cwd=ROOT,
        stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    )
