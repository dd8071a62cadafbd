"""Asking through a batch API, which is cheaper and answers within a day: what has no reply yet is put into a file.

A stage asks as it always does. Replies that are in the store are given; every other request goes into a file in the run's
folder, and the run stops. A person has the file answered and puts the file of results beside it; the continued run takes
the replies into the store, comes as far as they reach, and writes what follows from them into the next file.
"""

from __future__ import annotations

from collections.abc import Sequence, Sized
from pathlib import Path

from tasks.llm.ask import REFUSED_AT_FIRST, Failure, OutOfMoney, PutOff
from tasks.llm.batchfolder import Found, adopt, look, write
from tasks.llm.form import JSON, SCHEMA
from tasks.llm.prices import Prices
from tasks.llm.request import MOST_ANSWERED, Reply, Request, read_reply
from tasks.llm.store import RequestStore
from tasks.records import BadInput, Stopped

TRIES = 3  # batches in which a request may fail


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
        adopt(folder, stage=stage, prices=prices)
        found = look(folder, store, payer)
        self._failed = found.failed
        paid = store.paid_by(payer)
        self._waiting = found.waiting(paid)  # of all stages: the budget is the run's
        self._without_schemas = found.without_schemas(paid | self._waiting.keys())
        self._check_refusals(found)

    def first_rung(self, model: str) -> int:
        return JSON if model in self._without_schemas else SCHEMA

    def refused(self, model: str, rung: int) -> int:
        """What a model knows was found when the results were read, from all of them; another form would take another batch."""
        return JSON

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
        fresh = [request for key, request in self._wanted.items() if key not in self._waiting]
        within = self._within_budget(fresh)
        if not within and not self._waiting:
            return self._out_of_money(fresh)
        paths = write(self.folder, within, stage=self._stage, prices=self._prices, bound=self._bound)
        where = f"{paths[0].name if len(paths) == 1 else f'{len(paths)} files'} in {self.folder}"
        told = []
        if within:
            most = sum(map(self._prices.most, within))
            told.append(
                f"{_requests(within)} for a batch API {'is' if len(within) == 1 else 'are'} in {where}"
                + (f", at most ${most:,.2f}" if most else "")
            )
        if self._waiting:
            told.append(
                f"no results are in {self.folder} yet of {_requests(self._waiting)} written before (keep all files there; "
                f"remove a file of requests that will have none)"
            )
        if len(within) < len(fresh):
            told.append(f"for {_requests(fresh[len(within) :])} more --max-cost may not suffice")
        return Stopped(
            "; ".join(told) + "; put the files of results, as .jsonl, into that folder, then resume"
        )

    def _check_refusals(self, found: Found) -> None:
        """Whether the API takes anything of this stage.

        Raises:
            Stopped: it refuses all.
        """
        own = [key for key, one in found.written.items() if one.stage == self._stage]
        # A schema may be refused by an API that answers without one.
        refused = [
            key
            for key in own
            if not found.written[key].schema and any(one.lasting for one in found.failed.get(key, ()))
        ]
        if len(refused) >= REFUSED_AT_FIRST and not self.store.get_many(own):
            raise Stopped(
                f"the batch API refuses every request: {found.failed[refused[0]][-1].reason}; mend that, remove its results "
                f"from {self.folder}, then resume"
            )

    def _within_budget(self, fresh: Sequence[Request]) -> list[Request]:
        """The first of some requests, as many as can be paid for whatever they and those before come to cost."""
        if self._budget is None:
            return list(fresh)
        left = self._budget - self._spent() - sum(self._waiting.values())
        within: list[Request] = []
        for request in fresh:
            left -= self._prices.most(request)
            if left < 0:
                break
            within.append(request)
        return within

    def _spent(self) -> float:
        return self.store.spending(self._payer).cost + self.store.lost(self._payer)

    def _out_of_money(self, fresh: Sequence[Request]) -> OutOfMoney:
        return OutOfMoney(
            f"the budget of ${self._budget:,.2f} is spent: ${self._spent():,.4f}, and the next request may cost "
            f"${self._prices.most(fresh[0]):,.4f}; every reply is kept, resume with a higher --max-cost"
        )


def _requests(requests: Sized) -> str:
    return f"{len(requests):,} request{'' if len(requests) == 1 else 's'}"
