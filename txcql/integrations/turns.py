"""So many at a time, the others in their order."""

from __future__ import annotations

from collections import OrderedDict

from twisted.internet.defer import Deferred, succeed

__all__ = ["Turns"]


class Turns:
    """A semaphore. However many wait, handing on a turn that is given back at once needs no deep stack.

    :param number: how many may have a turn at the same time.
    """

    def __init__(self, number: int) -> None:
        self._free = number
        self._waiting: OrderedDict[Deferred[None], None] = OrderedDict()
        self._handing_on = False

    def take(self) -> Deferred[None]:
        """Wait for a turn, which is given back by :meth:`give_back`.

        :returns: fires when it has come; cancelling it gives it up.
        """
        if self._free and not self._waiting:
            self._free -= 1
            return succeed(None)
        waiter: Deferred[None] = Deferred(self._waiting.pop)
        self._waiting[waiter] = None
        return waiter

    def give_back(self) -> None:
        """The turn is over."""
        self._free += 1
        if self._handing_on:
            return
        self._handing_on = True
        try:
            while self._free and self._waiting:
                waiter, _ = self._waiting.popitem(last=False)
                self._free -= 1
                waiter.callback(None)
        finally:
            self._handing_on = False

    def __len__(self) -> int:
        """Those who wait."""
        return len(self._waiting)

    def __repr__(self) -> str:
        return f"<Turns free={self._free} waiting={len(self._waiting)}>"
