"""Many requests at a time, with a bound on how many."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

__all__ = ["Pump"]


class Pump:
    """Keeps so many requests in flight, and counts how often each of their Deferreds fires.

    :param requests: Each makes one request.
    :param limit: How many may be unanswered at a time.
    :param until_failure: True to make no further request once one has failed.
    :ivar fired: For each request made, in order, how often its Deferred has fired.
    :ivar results: What each has fired with, by its place; a Failure where it failed.
    :ivar in_flight: Requests that are unanswered.
    :ivar peak: The most that have been so.
    :ivar done: Fires with the pump when every request has been answered, in whatever way.
    """

    def __init__(
        self, requests: Iterable[Callable[[], Deferred[Any]]], limit: int, until_failure: bool = False
    ) -> None:
        self.fired: list[int] = []
        self.results: dict[int, Any] = {}
        self.in_flight = 0
        self.peak = 0
        self.done: Deferred[Pump] = Deferred()
        self._requests: Iterator[Callable[[], Deferred[Any]]] = iter(requests)
        self._limit = limit
        self._until_failure = until_failure
        self._filling = False
        self._exhausted = False
        self._fill()

    @property
    def failures(self) -> list[Failure]:
        """The failures among the results."""
        return [result for result in self.results.values() if isinstance(result, Failure)]

    def stop(self) -> None:
        """Make no further request."""
        self._exhausted = True
        self._end()

    def _fill(self) -> None:
        if self._filling:
            return
        self._filling = True
        while not self._exhausted and self.in_flight < self._limit:
            request = next(self._requests, None)
            if request is None:
                self._exhausted = True
                break
            place = len(self.fired)
            self.fired.append(0)
            self.in_flight += 1
            self.peak = max(self.peak, self.in_flight)
            request().addBoth(self._answered, place)
        self._filling = False
        self._end()

    def _answered(self, result: Any, place: int) -> None:
        self.fired[place] += 1
        self.results[place] = result
        self.in_flight -= 1
        if self._until_failure and isinstance(result, Failure):
            self._exhausted = True
        self._fill()

    def _end(self) -> None:
        if self._exhausted and not self.in_flight and not self.done.called:
            self.done.callback(self)
