"""Many requests, a fixed number of them in flight."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

__all__ = ["RequestPump"]


class RequestPump:
    """Keeps requests in flight: the callback of each answer sends the next one.

    :param clock: measures the latencies.
    :param send: sends one request; given its number.
    :ivar latencies: seconds from each request to its answer.
    :ivar in_flight: requests without an answer.
    :ivar peak: the most of them at any time.
    """

    def __init__(self, clock: IReactorTime, send: Callable[[int], Deferred[Any]]) -> None:
        self.latencies: list[float] = []
        self.in_flight = 0
        self.peak = 0
        self._clock = clock
        self._send = send
        self._numbers: Iterator[int] = iter(())
        self._done: Deferred[None] | None = None

    def run(self, count: int, concurrency: int) -> Deferred[None]:
        """Send requests numbered from 0.

        :returns: fires when the last answer is there; fails with the first that failed, and sends
            no further request then.
        """
        done: Deferred[None] = Deferred()
        self._done = done
        self._numbers = iter(range(count))
        for _ in range(min(concurrency, count)):
            self._next()
        return done

    def _next(self) -> None:
        number = next(self._numbers, None)
        if number is None:
            if not self.in_flight:
                self._finish(None)
            return
        self.in_flight += 1
        self.peak = max(self.peak, self.in_flight)
        self._send(number).addCallbacks(self._answered, self._failed, callbackArgs=(self._clock.seconds(),))

    def _answered(self, result: object, sent: float) -> None:
        self.latencies.append(self._clock.seconds() - sent)
        self.in_flight -= 1
        if self._done is not None:
            self._next()

    def _failed(self, failure: Failure) -> None:
        self.in_flight -= 1
        self._finish(failure)

    def _finish(self, failure: Failure | None) -> None:
        done, self._done = self._done, None
        if done is not None:
            done.callback(None) if failure is None else done.errback(failure)
