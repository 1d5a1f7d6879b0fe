"""Request deadlines: one timer for all requests of a session."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeVar

from twisted.internet.interfaces import IDelayedCall, IReactorTime

__all__ = ["PRECISION", "Deadlines"]

PRECISION = 0.05
"""Seconds by which a request may outlive its deadline."""

T = TypeVar("T")


class Deadlines:
    """Knows every unfinished request and when its time is up.

    Requests of the same timeout expire in the order in which they came, so each distinct timeout
    has a queue of its own, and only their heads are compared. A finished request is forgotten at
    once: nothing here keeps its answer alive.

    :param clock: tells the time and waits.
    :param expire: called with each request whose time is up; it is forgotten by then.
    """

    __slots__ = ("_call", "_clock", "_expire", "_queues", "_seconds", "_wakes")

    def __init__(self, clock: IReactorTime, expire: Callable[[T], None]) -> None:
        self._clock = clock
        self._seconds = clock.seconds
        self._expire = expire
        self._queues: dict[float, dict[T, float]] = {}
        self._call: IDelayedCall | None = None
        self._wakes = math.inf

    def __len__(self) -> int:
        return sum(map(len, self._queues.values()))

    def add(self, request: T, timeout: float) -> None:
        """Begin to watch a request.

        :param timeout: seconds from now.
        """
        queue = self._queues.get(timeout)
        if queue is None:
            queue = self._queues[timeout] = {}
        queue[request] = due = self._seconds() + timeout
        if due + PRECISION < self._wakes:
            self._wake_at(due + PRECISION)

    def remove(self, request: T, timeout: float) -> None:
        """Forget a request, because it is finished."""
        del self._queues[timeout][request]

    def requests(self) -> list[T]:
        """Every unfinished request."""
        return [request for queue in self._queues.values() for request in queue]

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
        expired: list[T] = []
        for timeout, queue in list(self._queues.items()):
            late = []
            for request, due in queue.items():
                if due > now:
                    break
                late.append(request)
            for request in late:
                del queue[request]
            if not queue:
                del self._queues[timeout]
            expired += late
        if self._queues:
            self._wake_at(min(next(iter(queue.values())) for queue in self._queues.values()) + PRECISION)
        for request in expired:
            self._expire(request)
