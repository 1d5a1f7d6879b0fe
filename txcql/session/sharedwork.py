"""Work that several wait for."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.python.failure import Failure

__all__ = ["SharedWork"]

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")


class SharedWork(Generic[K, T]):
    """Does a thing once for all who ask for it while it is being done."""

    __slots__ = ("_waiting",)

    def __init__(self) -> None:
        self._waiting: dict[K, deque[Deferred[T]]] = {}

    def join(self, key: K, begin: Callable[[], Deferred[T]]) -> Deferred[T]:
        """Wait for the work.

        :param key: what is to be done.
        :param begin: begins to do it; called if nobody has done so yet.
        :returns: a Deferred of the caller's own: cancelling it takes away this waiter only.
        """
        waiting = self._waiting.get(key)
        if waiting is not None:
            waiter: Deferred[T] = Deferred(waiting.remove)
            waiting.append(waiter)
            return waiter
        waiting = self._waiting[key] = deque()
        waiter = Deferred(waiting.remove)
        waiting.append(waiter)
        maybeDeferred(begin).addBoth(self._done, key)
        return waiter

    def _done(self, outcome: T | Failure, key: K) -> None:
        waiting = self._waiting.pop(key)
        # One by one: the first may cancel the others.
        while waiting:
            waiter = waiting.popleft()
            if isinstance(outcome, Failure):
                waiter.errback(outcome)
            else:
                waiter.callback(outcome)

    def __len__(self) -> int:
        """Works under way."""
        return len(self._waiting)
