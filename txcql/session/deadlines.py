"""Request deadlines: one timer for all requests of a session."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Generic, TypeVar

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime

__all__ = ["PRECISION", "Deadlines"]

PRECISION = 0.05
"""Seconds by which a request may outlive its deadline."""

T = TypeVar("T")


_FEW = 64


class Deadlines(Generic[T]):
    """Knows every unfinished request and when its time is up.

    Requests of the same timeout expire in the order in which they came, so each distinct timeout
    has a queue of its own, and only their heads are compared. A finished request is forgotten at
    once: nothing here keeps its answer alive.

    :param clock: tells the time and waits.
    :param expire: called with each request whose time is up; it is forgotten by then.
    :param precision: seconds by which that may be late: what is due within them is done at once.
    """

    __slots__ = (
        "_call",
        "_clock",
        "_expire",
        "_many",
        "_precision",
        "_queues",
        "_seconds",
        "_waiter",
        "_wakes",
    )

    def __init__(
        self, clock: IReactorTime, expire: Callable[[T], None], precision: float = PRECISION
    ) -> None:
        self._precision = precision
        self._clock = clock
        self._seconds = clock.seconds
        self._expire = expire
        self._queues: dict[float, dict[T, float]] = {}
        self._many = _FEW
        self._call: IDelayedCall | None = None
        self._wakes = math.inf
        self._waiter: tuple[Deferred[None], IDelayedCall] | None = None

    def __len__(self) -> int:
        return sum(map(len, self._queues.values()))

    def add(self, request: T, timeout: float) -> None:
        """Begin to watch a request.

        :param timeout: seconds from now.
        """
        queue = self._queues.get(timeout)
        if queue is None:
            if len(self._queues) >= self._many:
                self._drop_empty()
            queue = self._queues[timeout] = {}
        queue[request] = due = self._seconds() + timeout
        if due + self._precision < self._wakes:
            self._wake_at(due + self._precision)

    def remove(self, request: T, timeout: float) -> None:
        """Forget a request, because it is finished."""
        queue = self._queues[timeout]
        del queue[request]
        if not queue and self._waiter is not None and not len(self):
            self._end_wait()

    def requests(self) -> list[T]:
        """Every unfinished request."""
        return [request for queue in self._queues.values() for request in queue]

    def when_empty(self, within: float) -> Deferred[None]:
        """Wait until every request is finished or expired. One at a time may wait.

        :param within: seconds to wait at most.
        """
        if not len(self):
            return succeed(None)
        waiter: Deferred[None] = Deferred(self._forget_waiter)
        self._waiter = waiter, self._clock.callLater(within, self._end_wait)
        return waiter

    def stop(self) -> None:
        """End the watch."""
        if self._call is not None:
            self._call.cancel()
            self._call = None
        self._wakes = math.inf

    def _wake_at(self, time: float) -> None:
        self.stop()
        self._wakes = time
        self._call = self._clock.callLater(max(0.0, time - self._seconds()), self._sweep)

    def _sweep(self) -> None:
        self._call = None
        self._wakes = math.inf
        now = self._seconds()
        for queue in list(self._queues.values()):
            late = []
            for request, due in queue.items():
                if due > now:
                    break
                late.append(request)
            for request in late:
                # The end of one request may be the end of the next: an application cancels them all.
                if queue.pop(request, None) is not None:
                    self._expire(request)
        if self._waiter is not None and not len(self):
            self._end_wait()
        self._drop_empty()
        if self._queues:
            earliest = min(next(iter(queue.values())) for queue in self._queues.values())
            if earliest + self._precision < self._wakes:
                self._wake_at(earliest + self._precision)

    def _end_wait(self) -> None:
        if self._waiter is not None:
            waiter, _ = self._waiter
            self._forget_waiter(waiter)
            waiter.callback(None)

    def _forget_waiter(self, waiter: Deferred[None]) -> None:
        if self._waiter is not None:
            _, call = self._waiter
            self._waiter = None
            if call.active():
                call.cancel()

    def _drop_empty(self) -> None:
        """Forget the timeouts that no request has; a caller may give another one each time."""
        self._queues = {timeout: queue for timeout, queue in self._queues.items() if queue}
        self._many = max(_FEW, 2 * len(self._queues))
