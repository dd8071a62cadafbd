"""Asking through a batch API, which is cheaper and answers within a day: what has no reply yet is put into a file.

A stage asks as it always does. Replies that are in the store are given; every other request goes into a file in the run's
folder, and the run stops. A person has the file answered and puts the file of results beside it; the continued run takes
the replies into the store, comes as far as they reach, and writes what follows from them into the next file.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tasks.corpus.tokens import count_bytes
from tasks.llm.ask import REFUSED_AT_FIRST, Failure, OutOfMoney, PutOff
from tasks.llm.batchfile import Failed, line_of, read_requests, read_results, write_requests
from tasks.llm.prices import Prices
from tasks.llm.request import MOST_ANSWERED, Reply, Request, read_reply
from tasks.llm.store import RequestStore
from tasks.records import BadInput, Stopped
from tasks.storage.tables import write_text

REQUESTS_PER_FILE, BYTES_PER_FILE = 50_000, 100 * 1024 * 1024  # what batch APIs take at most
TRIES = 3  # batches in which a request may fail
_ENDING = ".requests.jsonl"
_NO_SCHEMAS = "no-schemas"  # a file: this batch API refuses requests for them


class BatchAsker:
    """Gives the replies that are there, and collects the other requests of a stage.

    Args:
        folder: where files of requests are written, and where a person puts files of results, as .jsonl.
        payer, stage, prices, budget: as an `Asker`'s; the prices are the batch API's.
        bound: what the API calls MOST_ANSWERED.

    Raises:
        BadInput: a file in the folder cannot be read.
        Stopped: the API refused everything.
    """

    at_once = 32  # none of it waits

    def __init__(
        self,
        folder: Path,
        store: RequestStore,
        *,
        payer: str,
        stage: str,
        prices: Prices,
        budget: float | None = None,
        bound: str = MOST_ANSWERED,
    ) -> None:
        self.folder, self.store, self._bound = folder, store, bound
        self._payer, self._stage, self._prices, self._budget = payer, stage, prices, budget
        self.stopped: BadInput | Stopped | None = None
        self._wanted: dict[str, Request] = {}
        self._failed: dict[str, list[Failed]] = {}
        self._waiting: dict[str, Request] = {}  # written, and neither answered nor failed so far
        self._unread = 0.0  # dollars, at most, of answers that could not be read
        self._take_results()
        self.knows_schemas = not (folder / _NO_SCHEMAS).exists()

    def refused_a_schema(self) -> None:
        """Nothing: what the API knows was found when its results were read, from all of them."""

    async def ask(self, request: Request) -> Reply | Failure:
        """The reply, if it is there.

        Raises:
            PutOff: it is not; the request goes into the next file.
            Stopped, BadInput: what `stop` was told.
        """
        if self.stopped:
            raise self.stopped
        if raw := self.store.get_many([request.key]).get(request.key):
            return read_reply(raw, request, paid=False)
        failed = self._failed.get(request.key, [])
        if any(one.lasting for one in failed) or len(failed) >= TRIES:
            return Failure(failed[-1].reason)
        self._wanted[request.key] = request
        raise PutOff

    def cost(self, reply: Reply) -> float:
        """Dollars of a reply, whoever paid it."""
        return self._prices.cost(reply.usage)

    def stop(self, why: BadInput | Stopped) -> None:
        """Collect nothing more."""
        self.stopped = self.stopped or why

    def ended(self) -> BadInput | Stopped | None:
        """Write what was collected. Returns what a person has to do, or None where every request had its reply."""
        if self.stopped or not self._wanted:
            return self.stopped
        waiting = [request for key, request in self._wanted.items() if key in self._waiting]
        fresh = [request for key, request in self._wanted.items() if key not in self._waiting]
        within = self._within_budget(fresh)
        if not within and not waiting:
            return self._out_of_money(fresh)
        paths = self._write(within)
        where = f"{paths[0].name if len(paths) == 1 else f'{len(paths)} files'} in {self.folder}"
        told = []
        if within:
            most = sum(map(self._prices.most, within))
            told.append(
                f"{_requests(within)} for a batch API {'is' if len(within) == 1 else 'are'} in {where}"
                + (f", at most ${most:,.2f}" if most else "")
            )
        if waiting:
            told.append(
                f"no results are in {self.folder} yet of {_requests(waiting)} written before (keep all files there; "
                f"remove a file of requests that will have none)"
            )
        if len(within) < len(fresh):
            told.append(f"for {_requests(fresh[len(within) :])} more --max-cost may not suffice")
        return Stopped(
            "; ".join(told) + "; put the files of results, as .jsonl, into that folder, then resume"
        )

    def _take_results(self) -> None:
        """Replies of all files of results into the store; what failed, and what is not answered yet."""
        files = sorted(self.folder.glob("*.jsonl")) if self.folder.is_dir() else []
        written = [read_requests(path) for path in files if self._number_of(path)]
        asked = {key: request for part in written for key, request in part.items()}
        for path in files:
            if asked and not path.name.endswith(_ENDING):
                found = read_results(
                    path, asked, self.store, payer=self._payer, stage=self._stage, prices=self._prices
                )
                for key, failed in found.failed.items():
                    self._failed.setdefault(key, []).append(failed)
                    self._unread += self._prices.most(asked[key]) if failed.charged else 0.0
        known = self.store.get_many(list(asked))
        self._look_at_refusals(asked, set(known))
        times = Counter(key for part in written for key in part)
        self._waiting = {
            key: request
            for key, request in asked.items()
            if key not in known and times[key] > len(self._failed.get(key, []))
        }

    def _look_at_refusals(self, asked: Mapping[str, Request], known: set[str]) -> None:
        """What the refusals have in common: an API that knows no schemas, or one that takes nothing of this run.

        Raises:
            Stopped: it takes nothing.
        """
        refused = [key for key, failed in self._failed.items() if any(one.lasting for one in failed)]
        schemas = {key for key, request in asked.items() if "response_format" in request.parameters}
        plain = [key for key in refused if key not in schemas]
        if schemas & set(refused) and not schemas & known:
            write_text(self.folder / _NO_SCHEMAS, "")
        if len(plain) >= REFUSED_AT_FIRST and not known:
            raise Stopped(
                f"the batch API refuses every request: {self._failed[plain[0]][-1].reason}; mend that, remove its results from "
                f"{self.folder}, then resume"
            )

    def _within_budget(self, fresh: Sequence[Request]) -> list[Request]:
        """The first of some requests, as many as can be paid for whatever they and those before come to cost."""
        if self._budget is None:
            return list(fresh)
        left = self._budget - self._spent() - sum(map(self._prices.most, self._waiting.values()))
        within: list[Request] = []
        for request in fresh:
            left -= self._prices.most(request)
            if left < 0:
                break
            within.append(request)
        return within

    def _spent(self) -> float:
        return self.store.spending(self._payer).cost + self.store.lost(self._payer) + self._unread

    def _out_of_money(self, fresh: Sequence[Request]) -> OutOfMoney:
        return OutOfMoney(
            f"the budget of ${self._budget:,.2f} is spent: ${self._spent():,.4f}, and the next request may cost "
            f"${self._prices.most(fresh[0]):,.4f}; every reply is kept, resume with a higher --max-cost"
        )

    def _write(self, requests: Sequence[Request]) -> list[Path]:
        last = max(map(self._number_of, self.folder.glob(f"*{_ENDING}")), default=0)
        paths = []
        for number, part in enumerate(_parts(requests, self._bound), start=last + 1):
            paths.append(self.folder / f"{self._name}.{number}{_ENDING}")
            write_requests(paths[-1], part, self._bound)
        return paths

    def _number_of(self, path: Path) -> int:
        """Of a file of this stage's requests, from 1; 0 for any other, a copy of one among them."""
        found = re.fullmatch(rf"{re.escape(self._name)}\.(\d+){re.escape(_ENDING)}", path.name)
        return int(found[1]) if found else 0

    @property
    def _name(self) -> str:
        """The stage, as part of a file's name."""
        return re.sub(r"[^A-Za-z0-9]+", "-", self._stage)


def _requests(requests: Sequence[Request]) -> str:
    return f"{len(requests):,} request{'' if len(requests) == 1 else 's'}"


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
