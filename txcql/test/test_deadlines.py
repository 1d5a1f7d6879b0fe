"""Tests for :mod:`txcql.session.deadlines`."""

from __future__ import annotations

import gc
import weakref

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from txcql.session.deadlines import PRECISION, Deadlines


class Work:
    """Something with a deadline."""

    def __init__(self, timeout: float = 1.0) -> None:
        self.timeout = timeout


class DeadlinesTestCase(SynchronousTestCase):
    """What happens when, by a clock that the test moves on."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.expired: list[tuple[Work, float]] = []
        self.deadlines: Deadlines[Work] = Deadlines(self.clock, self.expire)

    def expire(self, work: Work) -> None:
        self.expired.append((work, self.clock.seconds()))

    def add(self, timeout: float) -> Work:
        work = Work(timeout)
        self.deadlines.add(work, timeout)
        return work


class DeadlinesTests(DeadlinesTestCase):
    """Many deadlines, one timer."""

    def test_precision(self) -> None:
        """Never too early, and at most 50 ms too late."""
        work = [self.add(timeout) for timeout in (0.3, 0.1, 2.0, 0.2)]
        for _ in range(2100):
            self.clock.advance(0.001)
        self.assertEqual([each for each, _ in self.expired], [work[1], work[3], work[0], work[2]])
        for each, time in self.expired:
            self.assertTrue(each.timeout <= time <= each.timeout + PRECISION + 0.002, (each.timeout, time))

    def test_one_timer(self) -> None:
        """However many there are, and whatever their timeouts."""
        for number in range(100):
            self.add(1.0 + number % 7)
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        self.clock.advance(1.05)
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        self.assertEqual(len(self.deadlines), 85)

    def test_a_shorter_one(self) -> None:
        """One that comes later and expires earlier is not late for it."""
        self.add(10.0)
        self.clock.advance(1.0)
        work = self.add(0.5)
        self.clock.advance(0.55)
        self.assertEqual([each for each, _ in self.expired], [work])

    def test_no_timer_without_need(self) -> None:
        """When the last one has expired, nothing is waited for."""
        self.add(1.0)
        self.clock.advance(1.05)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_finished(self) -> None:
        """What is finished does not expire, and is not kept."""
        work = self.add(1.0)
        gone = weakref.ref(work)
        self.assertEqual(self.deadlines.requests(), [work])
        self.deadlines.remove(work, 1.0)
        gc.disable()
        self.addCleanup(gc.enable)
        del work
        self.assertIsNone(gone())
        self.clock.advance(2.0)
        self.assertEqual(self.expired, [])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_many_timeouts(self) -> None:
        """A caller may give another timeout each time: those of finished requests are forgotten."""
        for number in range(10_000):
            timeout = 5.0 + number / 1000
            self.deadlines.remove(self.add(timeout), timeout)
        self.assertLess(len(self.deadlines._queues), 200)
        kept = [self.add(5.0 + number / 1000) for number in range(1000)]
        self.assertEqual(len(self.deadlines), 1000)
        self.clock.pump([0.05] * 130)
        self.assertEqual([work for work, _ in self.expired], kept)
        for work, time in self.expired:
            self.assertTrue(work.timeout <= time <= work.timeout + 2 * PRECISION)

    def test_one_ends_others(self) -> None:
        """What expires may finish others that expire with it, and begin new ones."""
        other = self.add(0.99)
        work = [self.add(1.0) for _ in range(3)]
        begun: list[Work] = []

        def expire(each: Work) -> None:
            self.expire(each)
            self.assertNotIn(each, self.deadlines.requests())
            for victim in work:
                if victim in self.deadlines.requests():
                    self.deadlines.remove(victim, 1.0)
            begun.append(self.add(1.0))

        self.deadlines._expire = expire
        self.clock.advance(1.06)
        self.assertEqual([each for each, _ in self.expired], [other])
        self.assertEqual(self.deadlines.requests(), begun)
        self.clock.advance(1.0)
        self.assertEqual(len(self.expired), 1)
        self.clock.advance(PRECISION)
        self.assertEqual(len(self.expired), 2)
        self.deadlines.stop()

    def test_stop(self) -> None:
        """The watch ends; it can be begun again."""
        self.add(1.0)
        self.deadlines.stop()
        self.deadlines.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.add(2.0)
        self.clock.advance(2.05)
        self.assertEqual(len(self.expired), 2)


class WhenEmptyTests(DeadlinesTestCase):
    """Waiting until nothing is left."""

    def test_nothing_there(self) -> None:
        """It is so at once."""
        self.assertIsNone(self.successResultOf(self.deadlines.when_empty(1.0)))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_the_last_one(self) -> None:
        """It waits for the last of all timeouts, and not a moment longer."""
        one, two = self.add(1.0), self.add(2.0)
        empty = self.deadlines.when_empty(5.0)
        self.deadlines.remove(one, 1.0)
        self.assertNoResult(empty)
        self.deadlines.remove(two, 2.0)
        self.successResultOf(empty)

    def test_expired(self) -> None:
        """The end of their time is an end, too."""
        self.add(1.0)
        empty = self.deadlines.when_empty(5.0)
        self.clock.advance(1.0 + PRECISION)
        self.successResultOf(empty)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_within(self) -> None:
        """It waits no longer than it is told to."""
        work = self.add(9.0)
        empty = self.deadlines.when_empty(0.5)
        self.clock.advance(0.5)
        self.successResultOf(empty)
        self.deadlines.remove(work, 9.0)
        self.deadlines.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_cancel(self) -> None:
        """Nobody waits any more."""
        work = self.add(9.0)
        empty = self.deadlines.when_empty(0.5)
        empty.cancel()
        self.failureResultOf(empty)
        self.deadlines.remove(work, 9.0)
        self.deadlines.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])
