"""Tests for :mod:`txcql.pool.nodepool`: how many requests a node is given, and when."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred

from txcql.errors import NOT_SENT, BusyConnectionError
from txcql.pool.nodepool import NodePool
from txcql.test.scriptednode import ScriptedTestCase, columns
from txcql.wire import constants

LIST = "SELECT k, v FROM t"
SELECT = "SELECT v FROM t WHERE k = ?"


class PoolTestCase(ScriptedTestCase):
    """One node, which answers when it is told to."""

    def setUp(self) -> None:
        ScriptedTestCase.setUp(self)
        self.one = self.node()
        self.one.teach(LIST, columns=columns(k="int", v="text"), rows=[[1, "one"]])
        self.one.teach(SELECT, parameters=columns(k="int"), columns=columns(v="text"))
        self.one.holds = lambda asked: True

    def connect(self, *points: Any, **settings: Any) -> Any:
        session = ScriptedTestCase.connect(self, *points, **settings)
        (self.pool,) = session.pools.values()
        return session

    def pool_repr(self, sent: int, queued: int, connections: str = "1/1") -> None:
        self.assertEqual(
            repr(self.pool),
            f"<NodePool 10.0.0.1:9042 connections={connections} sent={sent} queued={queued}>",
        )

    def ask(self, count: int, **options: Any) -> list[Deferred[Any]]:
        """Requests of one turn; what has become of them is in ``order``."""
        assert self.session is not None
        waiting = [self.session.execute(LIST, **options) for _ in range(count)]
        self.reactor.settle()
        return waiting

    def let_go(self, waiting: list[Deferred[Any]]) -> None:
        """Answer everything; nothing is left."""
        self.one.holds = lambda asked: False
        self.one.release()
        self.reactor.settle()
        for deferred in waiting:
            if not deferred.called:
                self.fail(f"{deferred} is not answered")
        for link in self.pool.links:
            self.assertEqual((link.sent, link.request_bytes), (0, 0))
        self.pool_repr(0, 0, f"{len(self.pool.links)}/{len(self.pool.snapshot())}")


class FlowTests(PoolTestCase):
    """The marks and the limit."""

    def test_defaults(self) -> None:
        """Of 1,025 at once 819 are sent, 205 are queued, and one is refused."""
        self.connect()
        waiting = self.ask(1025)
        self.pool_repr(sent=819, queued=205)
        self.assertEqual(len(self.one.held), 819)
        error = self.failureResultOf(waiting.pop(), BusyConnectionError).value
        self.assertEqual(
            str(error),
            "10.0.0.1:9042 is busy: 819 requests in flight, 205 queued, limit 1024 requests; not sent: "
            "use execute_many() or sink(), or wait for when_ready()",
        )
        self.assertEqual(
            (error.node, error.in_flight, error.queued, error.limit, error.reason, error.delivery),
            ("10.0.0.1:9042", 819, 205, 1024, "requests", NOT_SENT),
        )
        (link,) = self.pool.snapshot()
        self.assertEqual((link["state"], link["sent"]), ("draining", 819))
        self.let_go(waiting)
        self.assertEqual(len(self.one.requests), 1024)

    def test_low_mark(self) -> None:
        """The queue moves when fewer than 512 are sent, and not before: all of it, in its order."""
        self.connect()
        waiting = self.ask(1024)
        order: list[int] = []
        for number, deferred in enumerate(waiting):
            deferred.addCallback(lambda result, number: order.append(number), number)
        self.one.release(819 - 512)
        self.reactor.settle()
        self.pool_repr(sent=512, queued=205)
        self.one.release(1)
        self.reactor.settle()
        self.pool_repr(sent=716, queued=0)
        self.assertEqual(self.pool.snapshot()[0]["state"], "open")
        self.let_go(waiting)
        self.assertEqual(order, list(range(1024)))

    def test_joins_the_tail(self) -> None:
        """While something is queued, nobody overtakes it."""
        session = self.connect(max_requests_per_connection=10)
        waiting = self.ask(9)
        self.pool_repr(sent=8, queued=1)
        self.one.release(1)
        self.reactor.settle()
        waiting.append(session.execute(LIST))
        self.reactor.settle()
        self.pool_repr(sent=7, queued=2)
        self.let_go(waiting)

    def test_open_again(self) -> None:
        """A link that has fallen below its low mark is given work at once."""
        session = self.connect(max_requests_per_connection=10)
        waiting = self.ask(8)
        self.assertEqual(self.pool.snapshot()[0]["state"], "draining")
        self.one.release(4)
        self.reactor.settle()
        self.assertEqual(self.pool.snapshot()[0]["state"], "open")
        waiting.append(session.execute(LIST))
        self.reactor.settle()
        self.pool_repr(sent=5, queued=0)
        self.let_go(waiting)

    def test_one_at_a_time(self) -> None:
        """The smallest limit there is."""
        self.connect(max_requests_per_connection=1)
        waiting = self.ask(3)
        self.pool_repr(sent=1, queued=0)
        for refused in waiting[1:]:
            self.failureResultOf(refused, BusyConnectionError)
        self.let_go(waiting)

    def test_orphans_count(self) -> None:
        """A cancelled request counts as sent until its answer is there."""
        self.connect(max_requests_per_connection=10)
        waiting = self.ask(8)
        for deferred in waiting:
            deferred.cancel()
            self.failureResultOf(deferred, CancelledError)
        more = self.ask(3)
        self.pool_repr(sent=8, queued=2)
        self.failureResultOf(more[2], BusyConnectionError)
        self.let_go(more)

    def test_paused_transport(self) -> None:
        """A link whose transport takes no more is given nothing."""
        self.connect()
        (link,) = self.pool.links
        self.one.links[1].producer.pauseProducing()
        waiting = self.ask(3)
        self.pool_repr(sent=0, queued=3)
        self.assertTrue(self.pool.snapshot()[0]["paused"])
        self.one.links[1].producer.resumeProducing()
        self.reactor.settle()
        self.pool_repr(sent=3, queued=0)
        self.assertTrue(link.open)
        self.let_go(waiting)

    def test_prepare_passes_the_queue(self) -> None:
        """PREPARE does not wait behind what it may be needed for; it counts as sent."""
        session = self.connect(max_requests_per_connection=10)
        waiting = self.ask(10)
        waiting.append(session.prepare(SELECT))
        self.reactor.settle()
        self.assertEqual(self.one.held[-1].opcode, constants.PREPARE)
        self.pool_repr(sent=9, queued=2)
        self.let_go(waiting)


class ManyLinksTests(PoolTestCase):
    """A pool of several links."""

    def test_least_loaded(self) -> None:
        """The link with the fewest requests has the next one, the oldest of equals first."""
        self.connect(core_connections=3)
        waiting = self.ask(7)
        self.assertEqual([link.sent for link in self.pool.links], [3, 2, 2])
        self.pool_repr(sent=7, queued=0, connections="3/3")
        self.let_go(waiting)

    def test_limit_of_all(self) -> None:
        """The limits of all ready links add up."""
        self.connect(core_connections=2, max_requests_per_connection=10)
        waiting = self.ask(21)
        self.pool_repr(sent=16, queued=4, connections="2/2")
        self.assertEqual(self.failureResultOf(waiting.pop(), BusyConnectionError).value.limit, 20)
        self.let_go(waiting)

    def test_one_is_lost(self) -> None:
        """Nothing that is queued is thrown out; the limit is that of the others."""
        self.connect(core_connections=2, max_requests_per_connection=10)
        waiting = self.ask(20, idempotent=False)
        self.one.refusing = True
        self.one.links[1].drop()
        self.reactor.settle()
        self.pool_repr(sent=8, queued=4, connections="1/2")
        self.assertTrue(self.pool.up)
        for deferred in [deferred for deferred in waiting if deferred.called]:
            self.failureResultOf(deferred)
            waiting.remove(deferred)
        self.assertEqual(len(waiting), 12)
        assert self.session is not None
        self.failureResultOf(self.session.execute(LIST), BusyConnectionError)
        self.one.held = [asked for asked in self.one.held if not asked.link.closed]
        self.let_go(waiting)

    def test_idempotent_requests_of_a_lost_link(self) -> None:
        """They have their next node; the queue of this one is not overtaken by them."""
        self.connect(core_connections=2, max_requests_per_connection=10)
        waiting = self.ask(16)
        self.one.links[1].drop()
        self.reactor.settle()
        self.assertEqual(len([deferred for deferred in waiting if deferred.called]), 8)
        for deferred in waiting[:]:
            if deferred.called:
                self.failureResultOf(deferred)
                waiting.remove(deferred)
        self.one.held = [asked for asked in self.one.held if not asked.link.closed]
        self.let_go(waiting)

    def test_a_new_link_takes_the_queue(self) -> None:
        """A link that becomes ready is given what is queued."""
        self.connect(core_connections=2, max_requests_per_connection=10)
        self.one.refusing = True
        self.one.links[2].drop()
        self.reactor.settle()
        waiting = self.ask(10)
        self.pool_repr(sent=8, queued=2, connections="1/2")
        self.one.refusing = False
        self.reactor.advance(1.0)
        self.reactor.settle()
        self.pool_repr(sent=10, queued=0, connections="2/2")
        self.let_go(waiting)


class BytesTests(PoolTestCase):
    """max_request_bytes: bodies accepted and unanswered."""

    TEXT = "SELECT k, v FROM t WHERE " + "x" * 1000

    def setUp(self) -> None:
        PoolTestCase.setUp(self)
        self.one.teach(self.TEXT, columns=columns(k="int"), rows=[])

    def test_limit(self) -> None:
        """Beyond it, requests are refused, whatever their number."""
        session = self.connect(max_request_bytes=10_000)
        waiting = [session.execute(self.TEXT) for _ in range(10)]
        error = self.failureResultOf(waiting.pop(), BusyConnectionError).value
        self.assertEqual((error.reason, error.limit, error.in_flight), ("bytes", 10_000, 9))
        self.assertRegex(str(error), "9 requests in flight, 0 queued, limit 10000 bytes; not sent")
        self.reactor.settle()
        self.one.release(1)
        self.reactor.settle()
        waiting.append(session.execute(self.TEXT))
        self.reactor.settle()
        self.let_go(waiting)

    def test_queued_bytes(self) -> None:
        """What is queued counts."""
        session = self.connect(max_request_bytes=10_000, max_requests_per_connection=20)
        (link,) = self.pool.links
        self.one.links[1].producer.pauseProducing()
        waiting = [session.execute(self.TEXT) for _ in range(10)]
        self.pool_repr(sent=0, queued=9)
        self.assertEqual(repr(self.pool.queue)[:22], "<RequestQueue queued=9")
        self.failureResultOf(waiting.pop(), BusyConnectionError)
        self.one.links[1].producer.resumeProducing()
        self.reactor.settle()
        self.assertEqual(self.pool.queue.request_bytes, 0)
        self.assertGreater(link.request_bytes, 9000)
        self.let_go(waiting)

    def test_one_larger_request(self) -> None:
        """It is let through when there is no other."""
        session = self.connect(max_request_bytes=500)
        waiting = [session.execute(self.TEXT)]
        self.failureResultOf(session.execute(LIST), BusyConnectionError)
        self.reactor.settle()
        self.let_go(waiting)
        waiting = [session.execute(LIST)]
        self.failureResultOf(session.execute(self.TEXT), BusyConnectionError)
        self.reactor.settle()
        self.let_go(waiting)

    def test_many_links(self) -> None:
        """The limit is the pool's, not the link's."""
        session = self.connect(max_request_bytes=10_000, core_connections=3)
        waiting = [session.execute(self.TEXT) for _ in range(10)]
        self.failureResultOf(waiting.pop(), BusyConnectionError)
        self.reactor.settle()
        self.assertEqual([link.sent for link in self.pool.links], [3, 3, 3])
        self.let_go(waiting)


class LifeTests(PoolTestCase):
    """Links come and go."""

    def test_schedule(self) -> None:
        """A lost link comes back at once, then after 1, 2, 4 … s."""
        self.connect()
        self.one.stop()
        self.reactor.settle()
        del self.reactor.dialled[:]
        dialled = []
        for _ in range(64):
            self.reactor.advance(0.125)
            dialled.append(len(self.reactor.dialled))
        # Two attempts of each round: the slot's and the control connection's.
        self.assertEqual([dialled.index(count) + 1 for count in (2, 4, 6)], [8, 24, 56])

    def test_up_again(self) -> None:
        """When it is back, its error is forgotten."""
        self.connect()
        self.one.stop()
        self.reactor.settle()
        self.assertFalse(self.pool.up)
        self.assertIn("refused the connection", str(self.pool.error))
        self.one.refusing = False
        self.reactor.advance(1.0)
        self.reactor.settle()
        self.assertTrue(self.pool.up)
        self.assertIsNone(self.pool.error)

    def test_type(self) -> None:
        """The session's pools are these."""
        self.connect()
        self.assertIsInstance(self.pool, NodePool)
