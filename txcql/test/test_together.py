"""Tests for :mod:`txcql.cluster.together`."""

from __future__ import annotations

from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from txcql.cluster.together import together


class TogetherTests(SynchronousTestCase):
    """Two Deferreds."""

    def setUp(self) -> None:
        self.cancelled: list[Deferred[int]] = []
        self.one: Deferred[int] = Deferred(self.cancelled.append)
        self.two: Deferred[int] = Deferred(self.cancelled.append)
        self.all = Deferred.fromCoroutine(together([self.one, self.two]))

    def test_results(self) -> None:
        """In their order, not in that of their coming."""
        self.two.callback(2)
        self.assertNoResult(self.all)
        self.one.callback(1)
        self.assertEqual(self.successResultOf(self.all), [1, 2])

    def test_error(self) -> None:
        """The first error is that of all; nobody waits for the others."""
        self.two.errback(ZeroDivisionError())
        self.failureResultOf(self.all, ZeroDivisionError)
        self.assertEqual(self.cancelled, [self.one])

    def test_cancelled(self) -> None:
        """With the one who waits."""
        self.all.cancel()
        self.failureResultOf(self.all, CancelledError)
        self.assertEqual(self.cancelled, [self.one, self.two])

    def test_none(self) -> None:
        """There is nothing to wait for."""
        self.assertEqual(self.successResultOf(Deferred.fromCoroutine(together([]))), [])
