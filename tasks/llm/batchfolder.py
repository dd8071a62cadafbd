"""A run's folder of files for a batch API: what all its stages have written there, and what came of it.

Beside a file of requests lies its account: whose they are, and at what prices. So whichever stage looks first takes all results
into the store, each for the stage that asked, and the budget counts what any of them has under way.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence, Set
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from tasks.corpus.tokens import count_bytes
from tasks.llm.batchfile import Asked, Failed, line_of, read_requests, read_results, write_requests
from tasks.llm.endpoint import is_about_schemas
from tasks.llm.prices import Prices
from tasks.llm.request import Request
from tasks.llm.store import RequestStore
from tasks.records import BadInput
from tasks.storage.tables import read_json, write_json

REQUESTS_PER_FILE, BYTES_PER_FILE = 50_000, 100 * 1024 * 1024  # what batch APIs take at most
_REQUESTS, _ACCOUNT = ".requests.jsonl", ".account.json"  # endings of the two files


@dataclass(frozen=True, slots=True)
class Written:
    """A request that stands in files of the folder, without what it asks.

    Args:
        stage: that wants it.
        model: that is asked.
        schema: whether its answer is to follow one.
        most: dollars that an answer can cost.
        times: files that it stands in.
    """

    stage: str
    model: str
    schema: bool
    most: float
    times: int = 1


@dataclass(frozen=True, slots=True)
class Found:
    """What a folder holds, by the requests' keys.

    Args:
        failed: what came of each request instead of a reply, once for a file of results.
    """

    written: dict[str, Written]
    failed: dict[str, list[Failed]]

    def waiting(self, paid: Set[str]) -> dict[str, float]:
        """Requests that still have answers to come, and what these can cost at most.

        Args:
            paid: keys of the requests whose answers were paid for.
        """
        left = {
            key: one.times - len(self.failed.get(key, ())) - (key in paid)
            for key, one in self.written.items()
        }
        return {key: count * self.written[key].most for key, count in left.items() if count > 0}

    def without_schemas(self, answered: Set[str]) -> set[str]:
        """Models that have refused a request for its schema and answered none that has one.

        Args:
            answered: keys of the requests that have an answer, or may have one yet.
        """
        asked = {key: one.model for key, one in self.written.items() if one.schema}
        refused = {
            asked[key]
            for key, failed in self.failed.items()
            if key in asked and any(one.lasting and is_about_schemas(one.reason) for one in failed)
        }
        return refused - {model for key, model in asked.items() if key in answered}


def look(folder: Path, store: RequestStore, payer: str) -> Found:
    """What is there, with all replies taken into the store.

    Nothing is read again while all files are as they were when this process last looked: every stage of a run looks, in
    every round.

    Raises:
        BadInput: a file cannot be read.
    """
    stats = [(path, path.stat()) for path in sorted(folder.glob("*.json*"))]
    files = [(path.name, status.st_size, status.st_mtime_ns) for path, status in stats]
    seen = _seen.get(folder)
    if seen and seen[0] == files:
        return seen[1]
    found = _read(folder, store, payer)
    _seen[folder] = files, found
    return found


_seen: dict[Path, tuple[list[tuple[str, int, int]], Found]] = {}


def _read(folder: Path, store: RequestStore, payer: str) -> Found:
    asked: dict[str, Asked] = {}
    written: dict[str, Written] = {}
    for path in sorted(folder.glob(f"*{_REQUESTS}")):
        if not _account_of(path).exists():  # a copy
            continue
        stage, prices = _read_account(_account_of(path))
        for key, request in read_requests(path).items():
            asked[key] = Asked(request, stage, prices)
            schema = "response_format" in request.parameters
            one = Written(stage, request.model, schema, prices.most(request))
            written[key] = replace(one, times=written[key].times + 1) if key in written else one
    failed: dict[str, list[Failed]] = {}
    for path in sorted(folder.glob("*.jsonl")):
        if asked and not path.name.endswith(_REQUESTS):
            for key, fault in read_results(path, asked, store, payer=payer).failed.items():
                failed.setdefault(key, []).append(fault)
    return Found(written, failed)


def write(folder: Path, requests: Sequence[Request], *, stage: str, prices: Prices, bound: str) -> list[Path]:
    """Write requests of a stage into files as large as batch APIs take. Returns these.

    Args:
        bound: what the API calls MOST_ANSWERED.
    """
    last = max((_number_of(path, stage) for path in folder.glob(f"*{_REQUESTS}")), default=0)
    paths = []
    for number, part in enumerate(_parts(requests, bound), start=last + 1):
        paths.append(folder / f"{_name_of(stage)}.{number}{_REQUESTS}")
        _write_account(_account_of(paths[-1]), stage, prices)  # first: without it a file is taken for a copy
        write_requests(paths[-1], part, bound)
    return paths


def adopt(folder: Path, *, stage: str, prices: Prices) -> None:
    """Write the accounts of files that have none, as an earlier version left them: they are of the stage in their names."""
    for path in folder.glob(f"*{_REQUESTS}"):
        if _number_of(path, stage) and not _account_of(path).exists():
            _write_account(_account_of(path), stage, prices)


def _account_of(path: Path) -> Path:
    """Where the account of a file of requests is."""
    return path.with_name(path.name.removesuffix(_REQUESTS) + _ACCOUNT)


def _write_account(path: Path, stage: str, prices: Prices) -> None:
    write_json(path, {"stage": stage, "prices": asdict(prices)})


def _read_account(path: Path) -> tuple[str, Prices]:
    try:
        value = read_json(path)
        return value["stage"], Prices(**value["prices"])
    except (OSError, ValueError, TypeError, LookupError):
        raise BadInput(f"{path}: not an account as it was written; remove the file and resume") from None


def _number_of(path: Path, stage: str) -> int:
    """Of a file of requests that is named after a stage, from 1; 0 for any other, a copy of one among them."""
    found = re.fullmatch(rf"{_name_of(stage)}\.(\d+){re.escape(_REQUESTS)}", path.name)
    return int(found[1]) if found else 0


def _name_of(stage: str) -> str:
    """A stage as part of a file's name, for people: another stage may have the same."""
    return re.sub(r"[^A-Za-z0-9]+", "-", stage)


def _parts(requests: Sequence[Request], bound: str) -> Iterator[list[Request]]:
    """In files as large as batch APIs take."""
    part: list[Request] = []
    held = 0
    for request in requests:
        size = count_bytes(line_of(request, bound))
        if part and (len(part) == REQUESTS_PER_FILE or held + size > BYTES_PER_FILE):
            yield part
            part, held = [], 0
        part.append(request)
        held += size
    if part:
        yield part
