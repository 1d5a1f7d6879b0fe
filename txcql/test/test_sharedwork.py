"""Tests for :mod:`txcql.session.sharedwork`."""

from __future__ import annotations

from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from txcql.session.sharedwork import SharedWork


class SharedWorkTests(SynchronousTestCase):
    """Done once, for all."""

    def setUp(self) -> None:
        self.work: SharedWork[str, int] = SharedWork()
        self.begun: list[Deferred[int]] = []

    def begin(self) -> Deferred[int]:
        self.begun.append(Deferred())
        return self.begun[-1]

    def join(self, key: str = "key") -> Deferred[int]:
        return self.work.join(key, self.begin)

    def test_once(self) -> None:
        """All who ask meanwhile are told in their order; who asks later begins anew."""
        order: list[str] = []
        first, second = self.join(), self.join()
        first.addCallback(lambda _: order.append("first"))
        second.addCallback(lambda _: order.append("second"))
        self.assertEqual((len(self.begun), len(self.work)), (1, 1))
        self.begun[0].callback(7)
        self.assertEqual((order, len(self.work)), (["first", "second"], 0))
        third = self.join()
        self.assertEqual(len(self.begun), 2)
        self.begun[1].callback(8)
        self.assertEqual(self.successResultOf(third), 8)

    def test_keys(self) -> None:
        """Other work is other work."""
        one, two = self.join("one"), self.join("two")
        self.begun[1].callback(2)
        self.assertNoResult(one)
        self.assertEqual(self.successResultOf(two), 2)

    def test_failure(self) -> None:
        """All of them fail."""
        waiting = [self.join(), self.join()]
        self.begun[0].errback(LookupError())
        for deferred in waiting:
            self.failureResultOf(deferred, LookupError)

    def test_at_once(self) -> None:
        """Work that is done as soon as it is begun."""
        deferred = self.work.join("key", lambda: self.begin_and_end())
        self.assertEqual(self.successResultOf(deferred), 1)
        self.assertEqual(len(self.work), 0)

    def begin_and_end(self) -> Deferred[int]:
        deferred = self.begin()
        deferred.callback(1)
        return deferred

    def test_cannot_begin(self) -> None:
        """What beginning raises is the waiter's failure; the next one may try."""

        def begin() -> Deferred[int]:
            raise LookupError

        self.failureResultOf(self.work.join("key", begin), LookupError)
        self.join()
        self.assertEqual(len(self.begun), 1)

    def test_cancelled(self) -> None:
        """One that is cancelled leaves the others and the work alone; so does the last."""
        first, second = self.join(), self.join()
        first.cancel()
        self.failureResultOf(first, CancelledError)
        self.assertNoResult(second)
        second.cancel()
        self.failureResultOf(second, CancelledError)
        third = self.join()
        self.assertEqual(len(self.begun), 1)
        self.begun[0].callback(7)
        self.assertEqual(self.successResultOf(third), 7)

    def test_one_cancels_the_next(self) -> None:
        """While they are told, the first may cancel the others."""
        first, second, third = self.join(), self.join(), self.join()
        first.addCallback(lambda _: second.cancel())
        self.begun[0].callback(7)
        self.failureResultOf(second, CancelledError)
        self.assertEqual(self.successResultOf(third), 7)

    def test_one_asks_again(self) -> None:
        """Who asks while they are told begins new work."""
        again: list[Deferred[int]] = []
        first = self.join()
        first.addCallback(lambda _: again.append(self.join()))
        second = self.join()
        self.begun[0].callback(7)
        self.assertEqual(self.successResultOf(second), 7)
        self.assertNoResult(again[0])
        self.assertEqual(len(self.begun), 2)
