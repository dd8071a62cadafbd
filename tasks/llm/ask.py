"""Asking: with retries, limits and a shared cool-down, within a budget, and never twice for the same."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from tasks.llm.endpoint import Endpoint, Passing, Throttled, Unanswerable
from tasks.llm.form import SCHEMA
from tasks.llm.prices import Prices
from tasks.llm.request import NotAReply, Reply, Request, read_reply
from tasks.llm.slots import Slots
from tasks.llm.store import Admission, RequestStore
from tasks.records import BadInput, Stopped

PATIENCE = 600.0  # seconds of "too many requests" without an answer in between, or asked for at once
FAILED_IN_A_ROW = (
    3  # requests that were given up, none answered in between: then it is the server, not the request
)
REFUSED_AT_FIRST = 10  # requests, none answered before: then it is what they have in common
LATE_ALONE = 2  # tries of a request that is under way alone: then another would be late as well
_POLL = 0.05  # seconds until somebody else's request is looked at again
_LONGEST = 60.0  # seconds of a cool-down whose length the server leaves to us

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Limits:
    """How a server may be used.

    Args:
        concurrency: requests at once.
        per_minute: requests in a minute, by all processes that share the store; None for no limit.
        retries: further tries after a passing fault.
        timeout: seconds after which a request counts as lost.
        pause: seconds before the first of the retries, doubled for each next, up to half a minute.
    """

    concurrency: int = 32
    per_minute: float | None = None
    retries: int = 6
    timeout: float = 120.0
    pause: float = 0.5


@dataclass(frozen=True, slots=True)
class Failure:
    """A request that was given up. Nothing of it is kept, so that it is asked again another time."""

    reason: str


class _Late(Passing):
    """A request ran out of time."""


class OutOfMoney(Stopped):
    """The next request may cost more than is left of the budget."""


class PutOff(Exception):
    """The reply will be there another time, not in this process's; what needs it cannot go on now."""


class Asking(Protocol):
    """Whoever replies to requests, at once (`Asker`) or another time (tasks/llm/batched.py)."""

    store: RequestStore
    stopped: BadInput | Stopped | None

    @property
    def at_once(self) -> int:
        """Requests that are worth having under way."""

    async def ask(self, request: Request) -> Reply | Failure:
        """The reply.

        Raises:
            PutOff: not now.
            Stopped, BadInput: nothing more can be asked.
        """

    def cost(self, reply: Reply) -> float:
        """Dollars of a reply, whoever paid it."""

    def first_rung(self, model: str) -> int:
        """In which form a model is asked first (tasks/llm/form.py), as far as is known what it takes."""

    def refused(self, model: str, rung: int) -> int:
        """Told of the refusal of a request to a model for its schema; the form in which to ask next."""

    def stop(self, why: BadInput | Stopped) -> None:
        """Send nothing more."""

    def ended(self) -> BadInput | Stopped | None:
        """Called when nothing is under way any more: what the work came to, None where every request had its reply."""


class Asker:
    """Sends requests and keeps replies. Made inside the event loop that uses it.

    Args:
        payer: the run that pays; its budget counts over all its stages and all processes.
        stage: of it that asks, for the account.
        budget: dollars; None for no limit.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        store: RequestStore,
        *,
        payer: str,
        stage: str,
        prices: Prices,
        budget: float | None = None,
        limits: Limits,
    ) -> None:
        self.endpoint, self.store, self.limits = endpoint, store, limits
        self._payer, self._stage, self._prices, self._budget = payer, stage, prices, budget
        self._slots = Slots(min(limits.concurrency, endpoint.at_once), limits.timeout)
        self._failed_in_a_row = self._refused = 0
        self._has_answered = False
        self._throttled_since: float | None = None
        self._halt = asyncio.Event()
        self.stopped: BadInput | Stopped | None = None
        self._rungs: dict[str, int] = {}  # by model

    @property
    def at_once(self) -> int:
        return self.limits.concurrency

    def first_rung(self, model: str) -> int:
        return self._rungs.get(model, SCHEMA)

    def refused(self, model: str, rung: int) -> int:
        """No request to it asks in that form again."""
        self._rungs[model] = max(self.first_rung(model), rung + 1)
        return self._rungs[model]

    def ended(self) -> BadInput | Stopped | None:
        return self.stopped

    def stop(self, why: BadInput | Stopped) -> None:
        """Send nothing more; what is under way comes to its end, what waits for its turn ends at once."""
        self.stopped = self.stopped or why
        self._halt.set()

    async def ask(self, request: Request) -> Reply | Failure:
        """The reply, out of the store or from the endpoint.

        Raises:
            Stopped: it may cost more than is left of the budget, or the endpoint does not answer anybody.
            BadInput: the endpoint refuses all requests.
        """
        await self._slots.take()
        try:
            return await self._ask(request)
        except (BadInput, Stopped) as why:
            self.stop(why)
            raise
        finally:
            self._slots.give()

    async def _ask(self, request: Request) -> Reply | Failure:
        sent = failed = late = 0
        while True:
            if self.stopped:
                raise self.stopped
            admission = self._admit(request)
            if admission.state == "known":
                return read_reply(admission.reply, request, paid=False)
            if admission.state == "over":
                raise self._out_of_money(admission, request)
            if admission.state != "send":
                await self._wait(admission.seconds or _POLL)
                continue
            alone = not self._slots.under_way
            came = await self._send(request, sent)
            if isinstance(came, Reply):
                return came
            sent += 1
            if isinstance(came, _Late):
                late += alone
            if isinstance(came, Unanswerable) or (
                isinstance(came, Passing) and (failed == self.limits.retries or late == LATE_ALONE)
            ):
                return self._given_up(came, request)
            if isinstance(came, Passing):
                pause = min(30.0, self.limits.pause * 2**failed)
                failed += 1
                await self._wait(pause * random.uniform(0.5, 1.0))
            if isinstance(came, _Late):  # whoever waits goes first
                self._slots.give()
                await self._slots.take()

    def cost(self, reply: Reply) -> float:
        """Dollars of a reply, whoever paid it."""
        return self._prices.cost(reply.usage)

    def _admit(self, request: Request) -> Admission:
        return self.store.admit(
            request.key,
            payer=self._payer,
            cost=self._prices.most(request),
            budget=self._budget,
            endpoint=self.endpoint.name,
            per_minute=self.limits.per_minute,
        )

    async def _send(self, request: Request, tries: int) -> Reply | Passing | Unanswerable | Throttled:
        """One try, of a request that is claimed."""
        kept, charged = False, True  # also where this task is cancelled: nobody knows
        try:
            with self._slots.sent():
                async with asyncio.timeout(self.limits.timeout):
                    raw = await self.endpoint.complete(request)
                reply = read_reply(raw, request)
            cost = self._prices.cost(reply.usage)
            self.store.put(
                request.key, raw, reply.usage, payer=self._payer, stage=self._stage, cost=cost, retries=tries
            )
            kept = True
            self._failed_in_a_row, self._throttled_since, self._has_answered = 0, None, True
            return reply
        except TimeoutError:
            return _Late(
                f"no answer in {self.limits.timeout:g} s (see --llm-timeout, --concurrency and --max-answer-tokens)"
            )
        except NotAReply as error:
            return Passing(str(error))
        except Throttled as error:
            charged = False
            self._cool_down(error.seconds)
            return error
        except (Passing, Unanswerable, BadInput) as error:
            charged = isinstance(error, Passing) and error.charged
            if isinstance(error, BadInput):
                raise
            return error
        finally:
            if not kept:
                self.store.release(request.key, charged=charged)

    async def _wait(self, seconds: float) -> None:
        """So long, or until this asker is stopped."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._halt.wait()

    def _cool_down(self, seconds: float | None) -> None:
        """Where the server says nothing, or zero, each cool-down is as long as all before it."""
        if self._throttled_since is None:
            self._throttled_since = time.monotonic()
        waited = time.monotonic() - self._throttled_since
        if waited > PATIENCE or (seconds or 0.0) > PATIENCE:
            raise Stopped(
                f"{self.endpoint.name} answers with too many requests"
                + (f" and asks to wait {seconds:,.0f} s" if seconds else f" for {waited:,.0f} s")
                + "; resume later, or with a lower --concurrency or --requests-per-minute"
            )
        self.store.cool_down(self.endpoint.name, seconds or min(_LONGEST, max(self.limits.pause * 4, waited)))

    def _out_of_money(self, admission: Admission, request: Request) -> OutOfMoney:
        lost = self.store.lost(self._payer)
        return OutOfMoney(
            f"the budget of ${self._budget:,.2f} is spent: ${admission.spent:,.4f}"
            + (f", of it at most ${lost:,.4f} for requests that got no answer" if lost else "")
            + f", and the next request may cost ${self._prices.most(request):,.4f}; every reply is kept, resume with "
            "a higher --max-cost"
        )

    def _given_up(self, why: Exception, request: Request) -> Failure:
        if isinstance(why, Unanswerable):
            # A schema may be refused by a server that answers without one.
            self._refused += not self._has_answered and "response_format" not in request.parameters
            if self._refused >= REFUSED_AT_FIRST:
                raise Stopped(
                    f"{self.endpoint.name} refuses every request: {why}; mend the model's settings, then resume"
                )
            return Failure(str(why))
        self._failed_in_a_row += 1
        if self._failed_in_a_row >= FAILED_IN_A_ROW:
            raise Stopped(
                f"{self.endpoint.name} does not answer: {why}; nothing that was paid is lost, resume when it does"
            )
        return Failure(str(why))


async def each(
    asker: Asking, items: Iterable[Item], work: Callable[[Item], Awaitable[None]], at_once: int | None = None
) -> None:
    """Do work on items, some at once; what stops one, stops them all, but requests under way are waited for.

    So a budget that ends, Ctrl-C, a faulty server or a fault of ours costs no reply that is paid already. Only a second
    Ctrl-C does not wait. An item whose reply is put off does not keep the others from asking.

    Args:
        at_once: items; by default so many that none waits for another's last try.

    Raises:
        Stopped, BadInput: what stopped it.
        Exception: what `work` or `items` raised besides.
    """
    source = iter(items)
    faults: list[Exception] = []

    async def take() -> None:
        try:
            for item in source:
                if asker.stopped:
                    return
                with contextlib.suppress(PutOff):
                    await work(item)
        except (BadInput, Stopped) as why:
            asker.stop(why)
        except Exception as fault:
            faults.append(fault)
            asker.stop(Stopped(f"{type(fault).__name__}: {fault}"))

    workers = [asyncio.ensure_future(take()) for _ in range(at_once or 2 * asker.at_once)]
    try:
        await asyncio.shield(asyncio.gather(*workers))
    except asyncio.CancelledError:
        asker.stop(Stopped("interrupted"))
        await asyncio.gather(*workers, return_exceptions=True)
        raise
    if faults:
        raise faults[0]
    if why := asker.ended():
        raise why
