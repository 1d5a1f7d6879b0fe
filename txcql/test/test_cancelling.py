"""Cancelling at any moment: a paged, retried, speculative read leaves nothing behind."""

from __future__ import annotations

import gc
import os
import random
from typing import Any

from twisted.internet.defer import CancelledError, Deferred

import txcql
from txcql.errors import Overloaded
from txcql.policies.speculation import ConstantSpeculativeExecutionPolicy
from txcql.test.scriptedsession import LIST, SessionTestCase

MOMENTS = 200 if os.environ.get("TXCQL_FULL") else 20
PAGES = 4


def pages() -> int:
    """How many results there are that the test has made."""
    gc.collect()
    return sum(type(found) is txcql.Result for found in gc.get_objects())


class CancellingTests(SessionTestCase):
    """Three nodes, all of them slow: two are overloaded at times, so that the third is asked."""

    def setUp(self) -> None:
        SessionTestCase.setUp(self)
        # What is there already is not searched each time.
        gc.collect()
        gc.freeze()
        self.addCleanup(gc.unfreeze)
        self.random = random.Random(8)
        self.overloaded = self.most_held = 0
        for address in ("10.0.0.2", "10.0.0.3"):
            self.teach(self.node(address))
        for node in self.reactor.nodes.values():
            node.statements[LIST].reply = self.reply
            node.holds = lambda asked: asked.opcode == 7 and asked.text == LIST
        self.session = self.connect(speculative=ConstantSpeculativeExecutionPolicy(0.05, executions=2))

    def reply(self, asked: Any) -> None:
        number = int(asked.options.paging_state or b"0")
        if asked.node.address != "10.0.0.3" and self.random.random() < 0.4:
            self.overloaded += 1
            asked.error(Overloaded("busy"))
            return
        statement = asked.node.statements[LIST]
        statement.rows = [[number * 10 + place, "v"] for place in range(10)]
        asked.statement_rows(statement, str(number + 1).encode() if number + 1 < PAGES else None)

    def begin(self) -> Deferred[int]:
        """Read all pages, one ahead."""
        session = self.session
        assert session is not None

        async def read() -> int:
            count = 0
            async with session.stream(LIST, page_size=10) as stream:
                async for _ in stream:
                    count += 1
            return count

        return Deferred.fromCoroutine(read())

    def step(self) -> None:
        """Time passes, and some of what the nodes hold is answered."""
        self.reactor.advance(0.01)
        self.most_held = max(self.most_held, sum(len(node.held) for node in self.reactor.nodes.values()))
        for node in self.reactor.nodes.values():
            if node.held and self.random.random() < 0.2:
                node.release(1)
                self.reactor.settle()

    def run_to(self, steps: int) -> Deferred[int]:
        """Read for some steps, or to the end."""
        reading = self.begin()
        for _ in range(steps):
            if reading.called:
                break
            self.step()
        return reading

    def assert_clean(self, idle: list[str]) -> None:
        """Nothing is left but orphans; and when they are answered, no busy stream."""
        session = self.session
        assert session is not None
        self.assertEqual((len(session.deadlines), len(session.speculation)), (0, 0))
        for node in session.snapshot()["nodes"].values():
            self.assertEqual(node["queued"], 0)
            for link in node["connections"]:
                self.assertEqual(link["sent"], link["orphans"])
        self.assertEqual(pages(), 0)
        # What is in a Write Buffer still goes out.
        self.reactor.settle()
        for node in self.reactor.nodes.values():
            node.release()
        self.reactor.settle()
        self.assertEqual(sum(pool.sent for pool in session.pools.values()), 0)
        self.assertEqual(self.calls(), idle)

    def calls(self) -> list[str]:
        """What the reactor will do later, once the sweeps have looked a last time and ended."""
        self.reactor.pump([11] * 4)
        calls: Any = self.reactor.getDelayedCalls()
        return sorted(call.func.__qualname__ for call in calls)

    def test_any_moment(self) -> None:
        """Whatever it waits for: a page, a retry, a further execution, the next row."""
        idle = self.calls()
        reading = self.run_to(10_000)
        self.assertEqual(self.successResultOf(reading), PAGES * 10)
        self.assert_clean(idle)
        cancelled = ended = 0
        while cancelled < MOMENTS:
            reading = self.run_to(self.random.randrange(40))
            if reading.called:
                self.successResultOf(reading)
                ended += 1
            else:
                reading.cancel()
                self.failureResultOf(reading, CancelledError)
                cancelled += 1
            del reading
            self.assert_clean(idle)
        # The moments reach to the end of the read, and they were all three: paged, retried, and executed
        # at a second node meanwhile.
        self.assertGreater(ended, 0)
        self.assertGreater(self.overloaded, 0)
        self.assertGreater(self.most_held, 1)
