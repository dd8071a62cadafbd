"""How many requests are under way at once: fewer where a server has them wait for one another."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager


class Slots:
    """Turns to send a request.

    Args:
        allowed: at once, at first.
        timeout: seconds after which a request counts as late.
    """

    def __init__(self, allowed: int, timeout: float) -> None:
        self.allowed, self._timeout = allowed, timeout
        self._free, self._owed = asyncio.Semaphore(allowed), 0
        self.under_way = self._answered = 0
        self._patient_until = 0.0

    async def take(self) -> None:
        """Wait for a turn."""
        await self._free.acquire()

    def give(self) -> None:
        """A turn is over."""
        if self._owed:
            self._owed -= 1
        else:
            self._free.release()

    @contextmanager
    def sent(self) -> Iterator[None]:
        """Around a try that is answered; one that is late raises TimeoutError."""
        ahead, answered = self.under_way, self._answered
        self.under_way += 1
        try:
            yield
            self._answered += 1
        except TimeoutError:
            if self._answered - answered < ahead / 2:
                self._allow_fewer()
            raise
        finally:
            self.under_way -= 1

    def _allow_fewer(self) -> None:
        """Half as many, where a request ran out of time before even half of those ahead of it were answered.

        In a small server they wait for one another, and all would be late again; one that forgets a request now and then has
        answered many more meanwhile. Once for those that were under way together; never more again, because what is late may
        have been charged.
        """
        now = time.monotonic()
        if now < self._patient_until or self.allowed == 1:
            return
        self._patient_until = now + self._timeout
        fewer = self.allowed // 2
        self._owed += self.allowed - fewer
        self.allowed = fewer
