"""Requests as a file for a batch API, which is cheaper and answers within a day; its results into the store.

The format is that of OpenAI's Batch API, which others read as well: a JSON object per line, and for each a line of results
with the same custom_id, here the request's key.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasks.llm.endpoint import NEWER_BOUND, PASSING
from tasks.llm.prices import Prices
from tasks.llm.request import MOST_ANSWERED, NotAReply, Request, read_reply
from tasks.llm.store import RequestStore
from tasks.records import BadInput
from tasks.storage.tables import write_text

URL = "/v1/chat/completions"


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that was written for a batch API.

    Args:
        stage: of the run, for the account.
        prices: of the batch API.
    """

    request: Request
    stage: str
    prices: Prices


@dataclass(frozen=True, slots=True)
class Failed:
    """A request that a batch API gave no reply to.

    Args:
        lasting: it would be refused again.
    """

    reason: str
    lasting: bool = False


@dataclass(frozen=True, slots=True)
class Results:
    """What a file of results held.

    Args:
        stored: replies that are in the payer's account now and were not before.
        known: replies that were.
        failed: requests without a reply, by key.
        foreign: lines about requests that were not asked for.
    """

    stored: int
    known: int
    failed: dict[str, Failed]
    foreign: int


def write_requests(path: Path, requests: Iterable[Request], bound: str = MOST_ANSWERED) -> int:
    """Write requests, each once, for a batch API. Returns how many.

    Args:
        bound: what the API calls MOST_ANSWERED.
    """
    lines = {request.key: line_of(request, bound) for request in requests}
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, "".join(lines.values()))
    return len(lines)


def line_of(request: Request, bound: str = MOST_ANSWERED) -> str:
    """A request's line in a file for a batch API."""
    value = {"custom_id": request.key, "method": "POST", "url": URL, "body": request.body(bound)}
    return json.dumps(value, ensure_ascii=False) + "\n"


def read_requests(path: Path) -> dict[str, Request]:
    """Requests of a file that `write_requests` wrote, by key.

    Raises:
        BadInput: it cannot be read, or somebody has changed it.
    """
    found: dict[str, Request] = {}
    for number, line in _lines(path):
        try:
            value = json.loads(line)
            body = value["body"]
            messages = tuple((one["role"], one["content"]) for one in body.pop("messages"))
            if NEWER_BOUND in body:
                body[MOST_ANSWERED] = body.pop(NEWER_BOUND)
            request = Request(body.pop("model"), messages, body)
            whole = request.key == value["custom_id"]
        except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
            whole = False
        if not whole:
            raise BadInput(f"{path}:{number}: not a request as it was written; remove the file and resume")
        found[request.key] = request
    return found


def read_results(path: Path, asked: Mapping[str, Asked], store: RequestStore, *, payer: str) -> Results:
    """Take the results of a batch into the store. What another has paid for was paid twice, and so is entered twice.

    An answer that cannot be read may have been charged: the account has it as lost.

    Args:
        asked: requests that were written, by key.

    Raises:
        BadInput: it cannot be read, or a line is no JSON object with a custom_id.
    """
    paid = store.paid_by(payer)
    failed: dict[str, Failed] = {}
    stored = foreign = seen = 0
    for number, line in _lines(path):
        key, response, error = _parts(line, f"{path}:{number}")
        one = asked.get(key)
        if one is None:
            foreign += 1
        elif key in paid:
            seen += 1
        elif error or response.get("status_code", 200) != 200:
            status = response.get("status_code")
            reason = " ".join(str(error or response.get("body")).split())[:300]
            failed[key] = Failed(reason if error else f"HTTP {status}: {reason}", _is_lasting(status))
        else:
            raw = json.dumps(response.get("body"))
            try:
                usage = read_reply(raw, one.request).usage
            except NotAReply as fault:
                failed[key] = Failed(str(fault))
                answer = hashlib.sha256(f"{path.name}\n{line}".encode("utf-8", "surrogatepass")).hexdigest()
                store.lose(key, answer, payer=payer, cost=one.prices.most(one.request))
                continue
            store.put(key, raw, usage, payer=payer, stage=one.stage, cost=one.prices.cost(usage))
            paid.add(key)
            failed.pop(key, None)
            stored += 1
    return Results(stored, seen, failed, foreign)


def _is_lasting(status: Any) -> bool:
    """Whether a status says that the request itself is at fault."""
    return isinstance(status, int) and 400 <= status < 500 and status not in PASSING


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Numbered from 1, the empty ones left out. Only a line end ends one: JSON may hold what str.splitlines takes for one."""
    try:
        with path.open(encoding="utf-8", newline="\n") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield number, line
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{path}: cannot be read as a file of a batch API ({error})") from None


def _parts(line: str, where: str) -> tuple[str, dict[str, Any], Any]:
    try:
        value = json.loads(line)
        response = value.get("response") or {}
        return str(value["custom_id"]), dict(response), value.get("error")
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
        raise BadInput(
            f"{where}: not a line of batch results; give the file as the batch API wrote it"
        ) from None
