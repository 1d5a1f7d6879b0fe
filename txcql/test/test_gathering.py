"""Tests for :mod:`txcql.session.gathering`."""

from __future__ import annotations

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from txcql.session.gathering import Gathering


class GatheringTests(SynchronousTestCase):
    """Three that come one by one."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.there = 0
        self.gathering = Gathering(self.clock, lambda: self.there == 3, lambda: self.there > 0)
        self.waiting = Deferred.fromCoroutine(self.gathering.wait())

    def come(self) -> None:
        self.there += 1
        self.gathering.look()

    def test_all(self) -> None:
        """All are there: it ends."""
        for _ in range(3):
            self.assertNoResult(self.waiting)
            self.come()
        self.successResultOf(self.waiting)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_late(self) -> None:
        """Two seconds after the first it ends in any case; before that it may take any time."""
        self.clock.advance(60)
        self.gathering.look()
        self.come()
        self.clock.advance(1.9)
        self.come()
        self.assertNoResult(self.waiting)
        self.clock.advance(0.1)
        self.successResultOf(self.waiting)
        self.come()

    def test_given_up(self) -> None:
        """Cancelled, it leaves no timer."""
        self.come()
        self.waiting.cancel()
        self.failureResultOf(self.waiting, CancelledError)
        self.assertEqual(self.clock.getDelayedCalls(), [])
