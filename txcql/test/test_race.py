"""Tests for :mod:`txcql.cluster.race`."""

from __future__ import annotations

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from txcql.cluster.race import Race


class RaceTests(SynchronousTestCase):
    """Three attempts, which end when the test says so."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.begun: list[Deferred[str | None]] = []
        self.cancelled: list[Deferred[str | None]] = []

    def begin(self) -> Deferred[str | None]:
        attempt: Deferred[str | None] = Deferred(self.cancelled.append)
        attempt.addErrback(lambda failure: failure.trap(CancelledError) and None)
        self.begun.append(attempt)
        return attempt

    def race(self, attempts: int = 3) -> Deferred[str | None]:
        return Race(self.clock, [self.begin] * attempts).result

    def test_first(self) -> None:
        """The first succeeds: no other begins."""
        result = self.race()
        self.begun[0].callback("here")
        self.assertEqual(self.successResultOf(result), "here")
        self.clock.advance(10)
        self.assertEqual((len(self.begun), self.clock.getDelayedCalls()), (1, []))

    def test_failed(self) -> None:
        """When one has failed, the next begins at once."""
        result = self.race()
        self.begun[0].callback(None)
        self.assertEqual(len(self.begun), 2)
        self.begun[1].callback("there")
        self.assertEqual(self.successResultOf(result), "there")

    def test_slow(self) -> None:
        """One that is slow is given company, and may win all the same; the others are cancelled."""
        result = self.race()
        self.clock.advance(0.9)
        self.assertEqual(len(self.begun), 1)
        self.clock.advance(0.1)
        self.clock.advance(1.0)
        self.assertEqual(len(self.begun), 3)
        self.begun[1].callback("second")
        self.assertEqual(self.successResultOf(result), "second")
        self.assertEqual(self.cancelled, [self.begun[0], self.begun[2]])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_none(self) -> None:
        """All fail, or there are none."""
        result = self.race()
        self.clock.advance(1.0)
        for attempt in (0, 1, 2):
            self.assertNoResult(result)
            self.begun[attempt].callback(None)
        self.assertIsNone(self.successResultOf(result))
        self.assertIsNone(self.successResultOf(self.race(0)))

    def test_slow_and_failed(self) -> None:
        """The last one has no time limit of the race's."""
        result = self.race(1)
        self.clock.advance(100)
        self.assertNoResult(result)
        self.begun[0].callback("late")
        self.assertEqual(self.successResultOf(result), "late")

    def test_defect(self) -> None:
        """What is no failure to connect ends it."""
        result = self.race()
        self.clock.advance(1.0)
        self.begun[0].errback(ZeroDivisionError())
        self.flushLoggedErrors()
        self.failureResultOf(result)
        self.assertEqual(self.cancelled, [self.begun[1]])

    def test_cancelled(self) -> None:
        """It can be given up."""
        result = self.race()
        self.clock.advance(1.0)
        result.cancel()
        self.failureResultOf(result, CancelledError)
        self.assertEqual((len(self.cancelled), self.clock.getDelayedCalls()), (2, []))
