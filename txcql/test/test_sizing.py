"""Tests for :mod:`txcql.pool.sizing`: the decisions; what they come to is in test_nodepool."""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from txcql.pool.sizing import PoolSizing
from txcql.settings import Settings


class Pool:
    """Links in number only."""

    def __init__(self) -> None:
        self.size = 1
        self.connecting = False
        self.heard_at = 0.0

    def open_link(self) -> None:
        self.size += 1
        self.connecting = True

    def retire_newest(self) -> None:
        self.size -= 1


class SizingTestCase(SynchronousTestCase):
    """A pool of one link, which may have three."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.pool = Pool()
        self.begin()

    def begin(self, core: int = 1, maximum: int = 3, **settings: Any) -> None:
        self.sizing = PoolSizing(self.pool, Settings(**settings), self.clock, core, maximum)

    def grow(self, to: int) -> None:
        while self.pool.size < to:
            self.pool.heard_at = self.clock.seconds()
            self.pool.connecting = False
            self.sizing.grow()
        self.pool.connecting = False


class GrowTests(SizingTestCase):
    """When there are too few."""

    def test_one_at_a_time(self) -> None:
        """While one is being opened there is no other."""
        self.sizing.grow()
        self.sizing.grow()
        self.assertEqual(self.pool.size, 2)
        self.pool.connecting = False
        self.sizing.grow()
        self.assertEqual(self.pool.size, 3)

    def test_maximum(self) -> None:
        """No more than there may be."""
        self.grow(3)
        self.sizing.grow()
        self.assertEqual(self.pool.size, 3)
        self.sizing.stop()

    def test_silence(self) -> None:
        """A node that has said nothing within the read timeout is given no further link."""
        self.clock.advance(5.5)
        self.sizing.grow()
        self.assertEqual(self.pool.size, 1)
        self.pool.heard_at = 0.5
        self.sizing.grow()
        self.assertEqual(self.pool.size, 2)

    def test_stopped(self) -> None:
        """A pool that is closed does not grow, and waits for nothing."""
        self.grow(2)
        self.sizing.stop()
        self.sizing.grow()
        self.assertEqual(self.pool.size, 2)
        self.assertEqual(self.clock.getDelayedCalls(), [])


class ShrinkTests(SizingTestCase):
    """When there are too many."""

    def test_idle(self) -> None:
        """One link less each idle timeout, down to the core."""
        self.grow(3)
        sizes = []
        for _ in range(4):
            self.clock.advance(119.9)
            sizes.append(self.pool.size)
            self.clock.advance(0.1)
        self.assertEqual(sizes, [3, 2, 1, 1])
        self.assertFalse(self.sizing.grown)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_peak(self) -> None:
        """What would not have fitted below the low marks of one link less begins the time anew."""
        self.grow(2)
        self.clock.advance(100)
        self.sizing.sent(511)
        self.clock.advance(20)
        self.assertEqual(self.pool.size, 1)

        self.grow(2)
        self.clock.advance(100)
        self.sizing.sent(512)
        self.clock.advance(119)
        self.assertEqual(self.pool.size, 2)
        self.clock.advance(1)
        self.assertEqual(self.pool.size, 1)

    def test_more_links(self) -> None:
        """The marks of all the others count."""
        self.grow(3)
        self.clock.advance(100)
        self.sizing.sent(1023)
        self.clock.advance(20)
        self.assertEqual(self.pool.size, 2)
        self.sizing.stop()

    def test_core(self) -> None:
        """The core stays."""
        self.begin(core=2)
        self.pool.size = 2
        self.grow(3)
        self.clock.advance(1000)
        self.assertEqual(self.pool.size, 2)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_again(self) -> None:
        """What has shrunk may grow."""
        self.grow(2)
        self.clock.advance(120)
        self.grow(2)
        self.assertTrue(self.sizing.grown)
        self.clock.advance(120)
        self.assertEqual(self.pool.size, 1)
