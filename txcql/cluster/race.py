"""Trying one thing after another, without waiting long for any of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure

__all__ = ["HEAD_START", "Race"]

T = TypeVar("T")

HEAD_START = 1.0
"""Seconds that an attempt has before the next one begins beside it."""


class Race(Generic[T]):
    """Starts attempts in their order until one succeeds; the others are cancelled then.

    The next one begins when one has failed, and when the last one has had its head start.

    :param clock: tells the time and waits.
    :param attempts: each begins one; its Deferred fires with ``None`` if it has failed.
    :ivar result: fires with what the first has that succeeds, or with ``None`` if none does; fails
        with what any of them fails with. Cancelling it cancels those under way.
    """

    def __init__(self, clock: IReactorTime, attempts: Iterable[Callable[[], Deferred[T | None]]]) -> None:
        self._clock = clock
        self._attempts = iter(attempts)
        self._under_way: dict[Deferred[T | None], None] = {}
        self._timer: IDelayedCall | None = None
        self._over = False
        self.result: Deferred[T | None] = Deferred(lambda _: self._stop())
        self._next()

    def _next(self) -> None:
        """Begin the next attempt, if there is one."""
        if self._over:
            return
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        begin = next(self._attempts, None)
        if begin is None:
            if not self._under_way:
                self._end(None)
            return
        self._timer = self._clock.callLater(HEAD_START, self._next)
        attempt = begin()
        self._under_way[attempt] = None
        attempt.addBoth(self._ended, attempt)

    def _ended(self, outcome: T | Failure | None, attempt: Deferred[T | None]) -> None:
        self._under_way.pop(attempt, None)
        if self._over:
            return
        if outcome is None:
            self._next()
        else:
            self._end(outcome)

    def _end(self, outcome: T | Failure | None) -> None:
        self._stop()
        self.result.callback(outcome)

    def _stop(self) -> None:
        self._over = True
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        for attempt in list(self._under_way):
            attempt.cancel()
