"""Tests for :mod:`txcql.policies.timestamps`."""

from __future__ import annotations

import time
from typing import cast

from twisted.logger import ILogObserver, LogEvent, LogLevel, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from txcql.interfaces import ITimestampGenerator
from txcql.policies.timestamps import MonotonicTimestampGenerator, ServerSideTimestampGenerator


class MonotonicTests(SynchronousTestCase):
    """A clock that a test sets."""

    def setUp(self) -> None:
        self.now = 1000.0
        self.generator = MonotonicTimestampGenerator(lambda: self.now)
        self.warnings: list[float] = []
        globalLogPublisher.addObserver(cast(ILogObserver, self.logged))
        self.addCleanup(globalLogPublisher.removeObserver, cast(ILogObserver, self.logged))

    def logged(self, event: LogEvent) -> None:
        if event["log_namespace"] == "txcql.policies" and event["log_level"] is LogLevel.warn:
            self.warnings.append(event["seconds"])

    def test_clock(self) -> None:
        """Microseconds since 1970."""
        verifyObject(ITimestampGenerator, self.generator)
        self.assertEqual(self.generator.next(), 1_000_000_000)
        self.now += 1.5
        self.assertEqual(self.generator.next(), 1_001_500_000)
        ahead = (MonotonicTimestampGenerator().next() or 0) / 1_000_000 - time.time()
        self.assertTrue(-60 < ahead <= 0, ahead)

    def test_within_a_microsecond(self) -> None:
        """One later than the one before."""
        self.assertEqual([self.generator.next() for _ in range(3)], [10**9, 10**9 + 1, 10**9 + 2])
        self.now += 0.000001
        self.assertEqual(self.generator.next(), 10**9 + 3)

    def test_clock_that_goes_back(self) -> None:
        """Timestamps do not; the log says so, once a minute."""
        self.generator.next()
        self.now -= 0.5
        self.assertEqual(self.generator.next(), 10**9 + 1)
        self.assertEqual(self.warnings, [])
        self.now -= 599.5
        self.assertEqual([self.generator.next() for _ in range(3)], [10**9 + 2, 10**9 + 3, 10**9 + 4])
        self.assertEqual([round(seconds) for seconds in self.warnings], [600])
        self.now += 61
        self.generator.next()
        self.assertEqual([round(seconds) for seconds in self.warnings], [600, 539])

    def test_repr(self) -> None:
        """The last one."""
        self.generator.next()
        self.assertEqual(repr(self.generator), "<MonotonicTimestampGenerator last=1000000000>")


class ServerSideTests(SynchronousTestCase):
    """The server's."""

    def test_none(self) -> None:
        """The driver gives none."""
        generator = ServerSideTimestampGenerator()
        verifyObject(ITimestampGenerator, generator)
        self.assertIsNone(generator.next())
        self.assertEqual(repr(generator), "<ServerSideTimestampGenerator>")
