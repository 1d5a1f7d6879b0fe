"""A load of reads and writes that goes on, and keeps a record of every request."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

__all__ = ["Failed", "SteadyLoad"]


@dataclass(frozen=True)
class Failed:
    """A request that has failed.

    :ivar begun: When it was made.
    :ivar ended: When it failed.
    :ivar idempotent: Whether it was idempotent.
    :ivar error: The error.
    """

    begun: float
    ended: float
    idempotent: bool
    error: Any


class SteadyLoad:
    """Keeps so many requests in flight until it is stopped.

    :param clock: Tells the time.
    :param make: Makes the request of a number; gives its Deferred, and whether it is idempotent.
    :param in_flight: How many are unanswered at a time.
    :ivar failures: Those that failed.
    :ivar answered: How many were answered, by coordinator.
    :ivar last: When each coordinator last answered.
    :ivar longest: The longest that one took, in seconds.
    :ivar twice: How many Deferreds have fired more than once.
    :ivar done: Fires when it was stopped and nothing is in flight any more.
    """

    def __init__(self, clock: Any, make: Callable[[int], tuple[Deferred[Any], bool]], in_flight: int) -> None:
        self.failures: list[Failed] = []
        self.answered: Counter[str] = Counter()
        self.last: dict[str, float] = {}
        self.longest = 0.0
        self.twice = 0
        self.done: Deferred[None] = Deferred()
        self._clock = clock
        self._make = make
        self._number = 0
        self._missing = 0
        self._unanswered: set[int] = set()
        self._stopped = False
        for _ in range(in_flight):
            self._begin()

    @property
    def in_flight(self) -> int:
        """Requests that are unanswered."""
        return len(self._unanswered)

    def stop(self) -> Deferred[None]:
        """Make no further request.

        :returns: Fires when none is in flight any more.
        """
        self._stopped = True
        if not self._unanswered and not self.done.called:
            self.done.callback(None)
        return self.done

    def failed_between(self, begin: float, end: float) -> list[Failed]:
        """The idempotent requests that failed in a while."""
        return [failed for failed in self.failures if failed.idempotent and begin <= failed.ended < end]

    def summary(self) -> str:
        """How it went, in one line."""
        kinds = Counter(
            f"{type(failed.error).__name__} ({'' if failed.idempotent else 'not '}idempotent, "
            f"{failed.error.delivery})"
            for failed in self.failures
        )
        answered = sum(self.answered.values())
        return f"{answered} answered, longest {self.longest:.2f} s, failed: {dict(kinds) or 'none'}"

    # Inside.

    def _refill(self) -> None:
        missing, self._missing = self._missing, 0
        for _ in range(missing):
            self._begin()

    def _begin(self) -> None:
        if self._stopped:
            # Its turn has come too late.
            return
        number = self._number
        self._number += 1
        begun = self._clock.seconds()
        self._unanswered.add(number)
        deferred, idempotent = self._make(number)
        deferred.addBoth(self._ended, number, begun, idempotent)

    def _ended(self, outcome: Any, number: int, begun: float, idempotent: bool) -> None:
        now = self._clock.seconds()
        self.longest = max(self.longest, now - begun)
        if number not in self._unanswered:
            self.twice += 1
            return
        self._unanswered.remove(number)
        if isinstance(outcome, Failure):
            self.failures.append(Failed(begun, now, idempotent, outcome.value))
        else:
            self.answered[outcome.coordinator] += 1
            self.last[outcome.coordinator] = now
        if not self._stopped:
            # In a turn of its own: what fails at once must not end in recursion.
            if not self._missing:
                self._clock.callLater(0, self._refill)
            self._missing += 1
        elif not self._unanswered and not self.done.called:
            self.done.callback(None)
