"""A model that follows a script: it reads the marked texts of a request and answers as the test says."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tasks.extract.extractor import Extraction
from tasks.extract.llm.extractor import LLMExtractor
from tasks.extract.llm.prompts import REFINE
from tasks.llm.ask import Asker, Limits
from tasks.llm.prices import Prices
from tasks.llm.request import Request
from tasks.llm.store import RequestStore
from tasks.records import Reject
from tests.llm.fake_server import marked

PRICES = Prices(input=1.0, output=2.0)
Made = Sequence[Extraction | Reject]


def texts_of(request: Request) -> list[str]:
    """The texts of a request, without their marks."""
    return list(marked(request.messages[1][1]).values())


def refines(request: Request) -> bool:
    return request.messages[0][1].startswith(REFINE)


def pairs_json(pairs: Sequence[tuple[str, str, str]]) -> dict[str, Any]:
    return {"pairs": [dict(zip(("question", "answer", "quote"), pair, strict=True)) for pair in pairs]}


class Scripted:
    """An endpoint.

    Args:
        script: the content of the answer to a request.
    """

    name = "script"
    at_once = 99

    def __init__(self, script: Callable[[Request], str]) -> None:
        self.script = script
        self.asked: list[Request] = []

    async def complete(self, request: Request) -> str:
        self.asked.append(request)
        message = {"role": "assistant", "content": self.script(request)}
        usage = {"prompt_tokens": 100, "completion_tokens": 10}
        return json.dumps({"choices": [{"message": message, "finish_reason": "stop"}], "usage": usage})

    async def close(self) -> None:
        pass


def capitals(request: Request) -> str:
    """The words "X is the capital of Y." becomes a pair; the pass that mends gives the pairs back as they are."""
    answers = {}
    for number, text in enumerate(texts_of(request), start=1):
        if refines(request):
            answers[str(number)] = {"pairs": json.loads(text.split("\nPAIRS\n")[1])}
            continue
        answers[str(number)] = pairs_json(
            [
                (f"What is the capital of {country}?", city, f"{city} is the capital of {country}")
                for city, country in re.findall(r"(\w+) is the capital of (\w+)", text)
            ]
        )
    return json.dumps(answers)


def extract(
    folder: Path,
    endpoint: Scripted,
    documents: Sequence[tuple[str, str]],
    extractor: LLMExtractor | None = None,
    budget: float | None = None,
) -> list[Extraction | Reject]:
    """What comes of documents, with the replies in a store of the folder."""
    extractor = extractor or LLMExtractor("m", {"max_tokens": 100})

    async def ask() -> list[Extraction | Reject]:
        with RequestStore(folder / "requests.sqlite") as store:
            asker = Asker(
                endpoint,
                store,
                payer="run",
                stage="s",
                prices=PRICES,
                budget=budget,
                limits=Limits(retries=0),
            )
            return await extractor.extract(asker, documents)

    return asyncio.run(ask())
