"""Tests for :mod:`txcql.cluster.refreshes`."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from txcql.cluster.refreshes import Refreshes, Wanted
from txcql.errors import ConnectionLost, CQLError, SessionClosed


class WantedTests(SynchronousTestCase):
    """What is to be read."""

    def test_add(self) -> None:
        """One after the other."""
        wanted = Wanted()
        self.assertFalse(wanted)
        wanted.add(Wanted(topology=True))
        wanted.add(Wanted(keyspaces={"a"}))
        wanted.add(Wanted(keyspaces={"b"}))
        self.assertEqual(wanted, Wanted(topology=True, keyspaces={"a", "b"}))
        wanted.add(Wanted(schema=True))
        self.assertEqual(wanted, Wanted(topology=True, schema=True))

    def test_bounded(self) -> None:
        """Many keyspaces are the whole schema."""
        wanted = Wanted()
        for number in range(65):
            wanted.add(Wanted(keyspaces={f"ks{number}"}))
        self.assertEqual(wanted, Wanted(schema=True))


class RefreshesTests(SynchronousTestCase):
    """Readings that end when the test says so."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.read: list[tuple[float, Wanted]] = []
        self.readings: list[Deferred[None]] = []
        self.refreshes = Refreshes(self.clock, self.begin)

    def begin(self, wanted: Wanted) -> Deferred[None]:
        self.read.append((self.clock.seconds(), wanted))
        reading: Deferred[None] = Deferred()
        self.readings.append(reading)
        return reading

    def want(self, *keyspaces: str) -> None:
        self.refreshes.want(Wanted(keyspaces=set(keyspaces)))

    def test_a_storm_makes_no_timers(self) -> None:
        """What waits for its turn is left alone by all that comes until then, while time goes on."""
        made = []
        call_later = self.clock.callLater

        def ticking(delay: float, function: Callable[[], object]) -> IDelayedCall:
            made.append(delay)
            self.clock.rightNow += 0.0001
            return call_later(delay, function)

        self.patch(self.clock, "callLater", ticking)
        self.want("a")
        self.clock.advance(0)
        self.readings[0].callback(None)
        for _ in range(1000):
            self.want("b")
            self.clock.advance(0.0005)
        self.assertEqual(len(made), 2)
        self.clock.advance(0.6)
        self.assertEqual(self.read[1][1], Wanted(keyspaces={"b"}))

    def test_at_once_and_then_once_in_a_window(self) -> None:
        """The first is read at once; what comes meanwhile is read together, a second later."""
        self.want("a")
        self.clock.advance(0)
        self.assertEqual(self.read, [(0, Wanted(keyspaces={"a"}))])
        self.readings[0].callback(None)
        self.want("b")
        self.clock.advance(0.5)
        self.want("c")
        self.want("b")
        self.clock.advance(0.5)
        self.assertEqual(self.read[1:], [(1, Wanted(keyspaces={"b", "c"}))])
        self.readings[1].callback(None)
        self.clock.advance(10)
        self.want("d")
        self.clock.advance(0)
        self.assertEqual(self.read[2:], [(11, Wanted(keyspaces={"d"}))])

    def test_one_at_a_time(self) -> None:
        """A reading that takes longer than a window is not joined by another."""
        self.want("a")
        self.clock.advance(0)
        self.want("b")
        self.clock.advance(7)
        self.assertEqual(len(self.read), 1)
        self.readings[0].callback(None)
        self.clock.advance(0)
        self.assertEqual(self.read[1:], [(7, Wanted(keyspaces={"b"}))])

    def test_nothing(self) -> None:
        """To want nothing is to read nothing."""
        self.want()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_later(self) -> None:
        """One timer for all that is wanted later."""
        self.refreshes.want_later(Wanted(topology=True), 5.0)
        self.clock.advance(3)
        self.refreshes.want_later(Wanted(schema=True), 5.0)
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        self.clock.advance(2)
        self.clock.advance(0)
        self.assertEqual(self.read, [(5, Wanted(topology=True, schema=True))])

    def test_now(self) -> None:
        """Who wants it now waits for no window, but for the reading under way."""
        self.want("a")
        self.clock.advance(0)
        waiting = self.refreshes.now(Wanted(topology=True))
        self.clock.advance(0)
        self.assertEqual(len(self.read), 1)
        self.readings[0].callback(None)
        self.clock.advance(0)
        self.assertEqual(self.read[1:], [(0, Wanted(topology=True))])
        self.assertNoResult(waiting)
        self.readings[1].callback(None)
        self.successResultOf(waiting)

    def test_now_before_what_waits(self) -> None:
        """What waits for its window is read with it."""
        self.want("a")
        self.clock.advance(0)
        self.readings[0].callback(None)
        self.want("b")
        self.refreshes.now(Wanted(topology=True))
        self.clock.advance(0)
        self.assertEqual(self.read[1:], [(0, Wanted(topology=True, keyspaces={"b"}))])

    def test_not_any_more(self) -> None:
        """A waiter that is cancelled stops nothing."""
        waiting = self.refreshes.now(Wanted(topology=True))
        other = self.refreshes.now(Wanted(topology=True))
        waiting.cancel()
        self.failureResultOf(waiting, CancelledError)
        self.clock.advance(0)
        self.readings[0].callback(None)
        self.successResultOf(other)

    def test_not_answered(self) -> None:
        """It is tried again after a while, with what has come meanwhile."""
        waiting = self.refreshes.now(Wanted(topology=True))
        self.clock.advance(0)
        self.readings[0].errback(CQLError("no answer"))
        self.failureResultOf(waiting, CQLError)
        self.want("a")
        self.clock.advance(4.9)
        self.assertEqual(len(self.read), 1)
        self.clock.advance(0.1)
        self.assertEqual(self.read[1:], [(5, Wanted(topology=True, keyspaces={"a"}))])

    def test_lost(self) -> None:
        """If the link is lost, the next one reads everything anyway."""
        self.want("a")
        self.clock.advance(0)
        self.readings[0].errback(ConnectionLost("gone"))
        self.clock.advance(100)
        self.assertEqual(len(self.read), 1)

    def test_defect(self) -> None:
        """A defect is logged, told to who waits, and does not end all refreshes."""
        waiting = self.refreshes.now(Wanted(topology=True))
        self.clock.advance(0)
        self.readings[0].errback(ZeroDivisionError())
        self.failureResultOf(waiting, ZeroDivisionError)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.want("a")
        self.clock.advance(1)
        self.assertEqual(len(self.read), 2)

    def test_close(self) -> None:
        """Nothing is read any more, and who waits is told."""
        self.refreshes.now(Wanted(topology=True)).addErrback(lambda failure: failure.trap(SessionClosed))
        self.clock.advance(0)
        waiting = self.refreshes.now(Wanted(topology=True))
        self.refreshes.want_later(Wanted(topology=True), 5.0)
        self.refreshes.close()
        self.failureResultOf(waiting, SessionClosed)
        self.failureResultOf(self.refreshes.now(Wanted(topology=True)), SessionClosed)
        self.want("a")
        self.refreshes.want_later(Wanted(topology=True), 5.0)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(len(self.read), 1)
