"""What ``connect`` waits for."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

__all__ = ["GATHER_AFTER_FIRST", "Gathering"]

GATHER_AFTER_FIRST = 2.0
"""Seconds that ``connect`` waits for further nodes once one has a ready link."""


class Gathering:
    """Waits until all is there, at most some seconds after the first of it.

    :param clock: waits.
    :param all_there: whether all is.
    :param some_there: whether the first of it is.
    """

    def __init__(
        self, clock: IReactorTime, all_there: Callable[[], bool], some_there: Callable[[], bool]
    ) -> None:
        self._clock = clock
        self._all_there = all_there
        self._some_there = some_there
        self._waiter: Deferred[None] | None = None
        self._late = False

    async def wait(self) -> None:
        """Wait."""
        timer = None
        try:
            while not self._late and not self._all_there():
                if timer is None and self._some_there():
                    timer = self._clock.callLater(GATHER_AFTER_FIRST, self._too_late)
                self._waiter = Deferred()
                await self._waiter
        finally:
            self._waiter = None
            if timer is not None and timer.active():
                timer.cancel()

    def look(self) -> None:
        """Something has changed."""
        waiter, self._waiter = self._waiter, None
        if waiter is not None:
            waiter.callback(None)

    def _too_late(self) -> None:
        self._late = True
        self.look()
