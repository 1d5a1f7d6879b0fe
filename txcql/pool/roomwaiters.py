"""Who waits for room, in order."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from twisted.internet.defer import Deferred

__all__ = ["RoomWaiters"]


class RoomWaiters:
    """Wakes waiters first come, first served, as many as there is room for."""

    __slots__ = ("_waiting",)

    def __init__(self) -> None:
        self._waiting: OrderedDict[Deferred[None], Callable[[], int]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, room: Callable[[], int]) -> Deferred[None]:
        """Wait behind all others.

        :param room: for how many such as this waiter there is room just now.
        :returns: fires with ``None``; may be cancelled.
        """
        waiter: Deferred[None] = Deferred(self._leave)
        self._waiting[waiter] = room
        return waiter

    def wake(self, most: int | None = None) -> None:
        """Room may have come: wake whom it suffices for, until the first whom it does not.

        :param most: how many to wake at most, if they may use it later; ``None`` if all of them use
            it as soon as they are woken.
        """
        waiting = self._waiting
        while waiting and most != 0:
            waiter, room = next(iter(waiting.items()))
            if room() <= 0:
                return
            del waiting[waiter]
            if most is not None:
                most -= 1
            waiter.callback(None)

    def take_all(self) -> list[Deferred[None]]:
        """Forget all waiters: things have changed so that each must be told.

        :returns: them, in order. Telling the first may cancel another, which is ``called`` then.
        """
        waiting = list(self._waiting)
        self._waiting.clear()
        return waiting

    def wake_all(self) -> None:
        """Things have changed so that each must look for itself."""
        for waiter in self.take_all():
            if not waiter.called:
                waiter.callback(None)

    def _leave(self, waiter: Deferred[None]) -> None:
        self._waiting.pop(waiter, None)

    def __repr__(self) -> str:
        return f"<RoomWaiters waiting={len(self)}>"
