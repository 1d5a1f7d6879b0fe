"""A request leaves nothing behind: no cycle for the collector, nothing that a timer or a table keeps."""

from __future__ import annotations

import gc
import os
import weakref
from typing import Any

from twisted.internet.defer import Deferred

from txcql.test.scriptedsession import INSERT, LIST, SELECT, SessionTestCase

REQUESTS = 100_000 if os.environ.get("TXCQL_FULL") else 5000


class GarbageTests(SessionTestCase):
    """What is left when requests have been answered, while their session goes on."""

    def setUp(self) -> None:
        super().setUp()
        gc.disable()
        self.addCleanup(gc.enable)

    def found_after(self, execute: Any, requests: int = REQUESTS) -> int:
        """What the cyclic collector finds after so many requests, beyond the first few."""
        for _ in range(10):
            self.answer(execute())
        gc.collect()
        for _ in range(requests):
            self.answer(execute())
            self.one.requests.clear()
        return gc.collect()

    def test_no_cycles(self) -> None:
        """Reads, writes and text: the collector finds nothing, however many there were."""
        session = self.connect()
        select = self.answer(session.prepare(SELECT))
        insert = self.answer(session.prepare(INSERT))
        for execute in (
            lambda: session.execute(select, [1]).addCallback(lambda result: result.one()),
            lambda: session.execute(insert, [1, "x"]),
            lambda: session.execute(LIST).addCallback(lambda result: result.all()),
        ):
            self.assertEqual(self.found_after(execute), 0)

    def test_a_planted_cycle_is_found(self) -> None:
        """The same count sees one that an application makes."""
        session = self.connect()

        def execute() -> Deferred[Any]:
            cycle: list[Any] = []
            cycle.append(cycle)
            return session.execute(LIST)

        self.assertEqual(self.found_after(execute, 100), 100)

    def test_nothing_is_kept(self) -> None:
        """The Deferred and the page go when the application lets go of them, though timers run on."""
        session = self.connect()
        select = self.answer(session.prepare(SELECT))
        deferred = session.execute(select, [1])
        gone = weakref.ref(deferred)
        result = self.answer(deferred)
        del deferred
        self.assertIsNone(gone())
        self.assertEqual(gc.get_referrers(result._body), [result])
        self.assertEqual(len(session.deadlines), 0)
        self.assertTrue(self.reactor.getDelayedCalls())
