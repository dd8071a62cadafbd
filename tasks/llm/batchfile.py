"""Requests as a file for a batch API, which is cheaper and answers within a day; its results into the store.

The format is that of OpenAI's Batch API, which others read as well: a JSON object per line, and for each a line of results
with the same custom_id, here the request's key.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasks.llm.prices import Prices
from tasks.llm.request import NotAReply, Request, read_reply
from tasks.llm.store import RequestStore
from tasks.records import BadInput
from tasks.run.tables import write_text

URL = "/v1/chat/completions"


@dataclass(frozen=True, slots=True)
class Results:
    """What a file of results held.

    Args:
        stored: replies that are in the store now and were not before.
        known: replies that were.
        failed: keys of requests without a reply, each with the reason; they are asked again another time.
        foreign: lines about requests that were not asked for.
    """

    stored: int
    known: int
    failed: dict[str, str]
    foreign: int


def write_requests(path: Path, requests: Iterable[Request]) -> int:
    """Write requests, each once, for a batch API. Returns how many."""
    lines = {
        request.key: json.dumps(
            {"custom_id": request.key, "method": "POST", "url": URL, "body": request.body()},
            ensure_ascii=False,
        )
        for request in requests
    }
    write_text(path, "".join(line + "\n" for line in lines.values()))
    return len(lines)


def read_results(
    path: Path, requests: Iterable[Request], store: RequestStore, *, payer: str, stage: str, prices: Prices
) -> Results:
    """Take the results of a batch into the store.

    Args:
        requests: those that were written.
        prices: of the batch API.

    Raises:
        BadInput: it cannot be read, or a line is no JSON object with a custom_id.
    """
    asked = {request.key: request for request in requests}
    known = set(store.get_many(list(asked)))
    stored, foreign, failed, seen = 0, 0, {}, 0
    for number, line in _lines(path):
        if not line.strip():
            continue
        key, response, error = _parts(line, f"{path}:{number}")
        request = asked.get(key)
        if request is None:
            foreign += 1
        elif key in known:
            seen += 1
        elif error or response.get("status_code", 200) != 200:
            failed[key] = " ".join(str(error or response.get("body")).split())[:300]
        else:
            raw = json.dumps(response.get("body"))
            try:
                usage = read_reply(raw, request).usage
            except NotAReply as fault:
                failed[key] = str(fault)
                continue
            store.put(key, raw, usage, payer=payer, stage=stage, cost=prices.cost(usage))
            known.add(key)
            failed.pop(key, None)
            stored += 1
    return Results(stored, seen, failed, foreign)


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Numbered from 1. Only a line end ends one: JSON may hold what str.splitlines takes for one besides."""
    try:
        with path.open(encoding="utf-8", newline="\n") as file:
            yield from enumerate(file, start=1)
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{path}: cannot be read as a file of batch results ({error})") from None


def _parts(line: str, where: str) -> tuple[str, dict[str, Any], Any]:
    try:
        value = json.loads(line)
        response = value.get("response") or {}
        return str(value["custom_id"]), dict(response), value.get("error")
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
        raise BadInput(
            f"{where}: not a line of batch results; give the file as the batch API wrote it"
        ) from None
