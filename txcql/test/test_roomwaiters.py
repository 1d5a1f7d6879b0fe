"""Tests for :mod:`txcql.pool.roomwaiters`."""

from __future__ import annotations

from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from txcql.pool.roomwaiters import RoomWaiters


class RoomWaitersTests(SynchronousTestCase):
    """First come, first served."""

    def setUp(self) -> None:
        self.waiters = RoomWaiters()
        self.room = 0
        self.woken: list[int] = []

    def wait(self, count: int, uses: bool = True) -> list[Deferred[None]]:
        """Waiters that note their number, and use the room at once or later."""

        def woken(_: None, number: int) -> None:
            self.woken.append(number)
            self.room -= uses

        waiting = [self.waiters.add(lambda: self.room) for _ in range(count)]
        for number, waiter in enumerate(waiting):
            waiter.addCallback(woken, number)
        return waiting

    def wake(self, room: int) -> list[int]:
        self.room = room
        self.woken = []
        self.waiters.wake()
        return self.woken

    def test_no_room(self) -> None:
        """Nobody is woken."""
        self.wait(2)
        self.assertEqual(self.wake(0), [])
        self.assertEqual(len(self.waiters), 2)
        self.assertEqual(repr(self.waiters), "<RoomWaiters waiting=2>")

    def test_as_many_as_there_is_room_for(self) -> None:
        """In their order."""
        self.wait(5)
        self.assertEqual(self.wake(3), [0, 1, 2])
        self.assertEqual(self.wake(1), [3])
        self.assertEqual(self.wake(9), [4])
        self.assertFalse(self.waiters)

    def test_who_uses_it_later(self) -> None:
        """No more are woken than there is room for, though it is still there."""
        self.wait(5, uses=False)
        self.room = 3
        self.waiters.wake(3)
        self.assertEqual(self.woken, [0, 1, 2])

    def test_who_needs_more(self) -> None:
        """The first for whom it does not suffice holds up the others."""
        first = self.waiters.add(lambda: self.room - 2)
        self.wait(1)
        self.assertEqual(self.wake(2), [])
        self.assertEqual(self.wake(3), [0])
        self.successResultOf(first)

    def test_cancel(self) -> None:
        """One that is cancelled is passed over."""
        waiting = self.wait(3)
        waiting[0].cancel()
        self.failureResultOf(waiting[0], CancelledError)
        self.assertEqual(self.wake(1), [1])

    def test_cancel_while_waking(self) -> None:
        """The first takes the second back."""
        first, second, third = (self.waiters.add(lambda: 3) for _ in range(3))
        first.addCallback(lambda _: second.cancel())
        self.waiters.wake()
        self.failureResultOf(second, CancelledError)
        self.successResultOf(third)

    def test_wait_again_while_waking(self) -> None:
        """Whoever waits again, does so behind the others."""
        again: list[Deferred[None]] = []
        first = self.waiters.add(lambda: self.room)
        first.addCallback(lambda _: again.append(self.waiters.add(lambda: self.room)))
        self.wait(2)
        self.assertEqual(self.wake(2), [0, 1])
        self.assertNoResult(again[0])
        self.assertEqual(len(self.waiters), 1)

    def test_wake_all(self) -> None:
        """Every one, room or not; those who wait again meanwhile, and those cancelled, aside."""
        again: list[Deferred[None]] = []
        first, second = self.waiters.add(lambda: 0), self.waiters.add(lambda: 0)
        first.addCallback(lambda _: again.append(self.waiters.add(lambda: 0)))
        first.addCallback(lambda _: second.cancel())
        third = self.waiters.add(lambda: 0)
        self.waiters.wake_all()
        self.failureResultOf(second, CancelledError)
        self.successResultOf(third)
        self.assertNoResult(again[0])
