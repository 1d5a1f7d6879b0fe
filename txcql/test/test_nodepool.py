"""Tests for :mod:`txcql.pool.nodepool`: how many requests a node is given, and when."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred

from txcql.errors import NOT_SENT, UNKNOWN, BusyConnectionError, ConnectionLost, SessionClosed
from txcql.pool.connectlimit import ConnectLimit
from txcql.pool.nodepool import NodePool
from txcql.session.results import Result
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
        self.assertIn(" sent=0 queued=0>", repr(self.pool))


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
        """There is no other node: they join the queue of this one, as many as there is room for."""
        self.connect(core_connections=2, max_requests_per_connection=10)
        waiting = self.ask(16)
        self.one.refusing = True
        self.one.links[1].drop()
        self.reactor.settle()
        self.pool_repr(sent=8, queued=2, connections="1/2")
        self.assertEqual(len([deferred for deferred in waiting if deferred.called]), 6)
        for deferred in waiting[:]:
            if deferred.called:
                self.assertEqual(self.failureResultOf(deferred, ConnectionLost).value.delivery, UNKNOWN)
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


class RoomTests(PoolTestCase):
    """What the pool says of its room, to those who wait for it."""

    def waiting(self, size: int = 0) -> Deferred[None]:
        return self.pool.when_bulk_room(size)

    def test_single(self) -> None:
        """As many as are missing to the high mark; none while it drains or has a queue."""
        self.connect(max_requests_per_connection=10)
        self.assertEqual(self.pool.room(), 8)
        waiting = self.ask(5)
        self.assertEqual(self.pool.room(), 3)
        waiting += self.ask(4)
        self.assertEqual(self.pool.room(), 0)
        self.one.release(3)
        self.reactor.settle()
        self.assertEqual(self.pool.room(), 0)
        self.one.release(1)
        self.reactor.settle()
        self.pool_repr(sent=5, queued=0)
        self.assertEqual(self.pool.room(), 3)
        self.let_go(waiting)

    def test_bulk(self) -> None:
        """A tenth of the high mark less."""
        self.connect(max_requests_per_connection=100)
        self.assertEqual(self.pool.bulk_room(0), 72)
        waiting = self.ask(72)
        self.assertEqual((self.pool.bulk_room(0), self.pool.room()), (0, 8))
        self.let_go(waiting)

    def test_bulk_of_many_links(self) -> None:
        """What each link has; chosen in turn, a link without any makes the others wait."""
        self.connect(core_connections=2, max_requests_per_connection=10)
        (first, _) = self.pool.links
        first.query("SELECT k, v FROM t")
        self.assertEqual(self.pool.bulk_room(0), 13)
        self.let_go([])
        self.tearDown()
        self.connect(core_connections=2, max_requests_per_connection=10, connection_selection="round-robin")
        (first, _) = self.pool.links
        for _ in range(7):
            first.query("SELECT k, v FROM t")
        self.assertEqual(self.pool.bulk_room(0), 0)
        self.reactor.settle()
        self.let_go([])

    def test_woken_below_the_bulk_mark(self) -> None:
        """Though no link has opened: after the read that made the room."""
        self.connect(max_requests_per_connection=100)
        waiting = self.ask(75)
        waiter = self.waiting()
        self.one.release(3)
        self.reactor.settle()
        self.assertNoResult(waiter)
        self.one.release(1)
        self.reactor.settle()
        self.successResultOf(waiter)
        (link,) = self.pool.links
        self.reactor.settle()
        self.assertIsNone(link.on_read)
        self.let_go(waiting)

    def test_woken_when_the_node_is_lost(self) -> None:
        """To look for another."""
        self.connect(max_requests_per_connection=10)
        waiting = self.ask(10, idempotent=False)
        waiter = self.waiting()
        self.one.stop()
        self.reactor.settle()
        self.successResultOf(waiter)
        for deferred in waiting:
            self.failureResultOf(deferred)

    def test_woken_when_closed(self) -> None:
        """There is nothing to wait for."""
        session = self.connect(max_requests_per_connection=10)
        waiting = self.ask(10)
        waiter = self.waiting()
        session.close()
        self.successResultOf(waiter)
        for deferred in waiting:
            self.failureResultOf(deferred)

    def test_cancelled(self) -> None:
        """Nobody looks for room in vain."""
        self.connect(max_requests_per_connection=10)
        waiting = self.ask(10)
        waiter = self.waiting()
        self.assertTrue(self.pool.bulk_waits)
        waiter.cancel()
        self.failureResultOf(waiter, CancelledError)
        self.assertFalse(self.pool.bulk_waits)
        self.let_go(waiting)
        self.assertIsNone(self.pool.links[0].on_read)


class GrowthTests(PoolTestCase):
    """A pool that opens links and closes them."""

    def test_grows(self) -> None:
        """When every link drains, one more is opened, and takes what is queued."""
        self.connect(max_connections_local=3, max_requests_per_connection=10)
        waiting = self.ask(8)
        self.pool_repr(sent=8, queued=0, connections="2/3")
        waiting += self.ask(8)
        self.pool_repr(sent=16, queued=0, connections="3/3")
        waiting += self.ask(14)
        self.pool_repr(sent=24, queued=6, connections="3/3")
        self.failureResultOf(self.session.execute(LIST), BusyConnectionError)  # type: ignore[union-attr]
        self.let_go(waiting)

    def test_one_at_a_time(self) -> None:
        """However many requests come: while one link is being opened, there is no other."""
        self.connect(max_connections_local=8, max_requests_per_connection=10)
        self.one.silent = True
        dialled = len(self.reactor.dialled)
        waiting = self.ask(10)
        self.assertEqual(len(self.reactor.dialled), dialled + 1)
        self.let_go(waiting)
        self.assertEqual(self.pool.size, 2)

    def test_at_max(self) -> None:
        """With grow_at="max" not before the pool can accept no more."""
        self.connect(max_connections_local=2, max_requests_per_connection=10, grow_at="max")
        waiting = self.ask(9)
        self.pool_repr(sent=8, queued=1, connections="1/2")
        waiting += self.ask(1)
        self.pool_repr(sent=10, queued=0, connections="2/2")
        self.let_go(waiting)

    def test_smallest_pool_at_max(self) -> None:
        """Where nothing can be queued, a refusal makes it grow."""
        self.connect(max_connections_local=2, max_requests_per_connection=1, grow_at="max")
        waiting = self.ask(2)
        self.failureResultOf(waiting.pop(), BusyConnectionError)
        waiting += self.ask(1)
        self.pool_repr(sent=2, queued=0, connections="2/2")
        self.let_go(waiting)

    def test_frozen_node(self) -> None:
        """A node that has said nothing within the read timeout is given no further link."""
        self.connect(max_connections_local=8, max_requests_per_connection=10, read_timeout=5.0)
        self.reactor.advance(5.5)
        waiting = self.ask(10)
        self.pool_repr(sent=8, queued=2, connections="1/8")
        self.one.release(1)
        self.reactor.settle()
        waiting += self.ask(1)
        self.assertEqual(self.pool.size, 2)
        self.let_go(waiting)

    def test_failing_growth(self) -> None:
        """The links that there are go on; the slot tries again by its schedule."""
        self.connect(max_connections_local=2, max_requests_per_connection=10)
        self.one.refusing = True
        waiting = self.ask(9)
        self.pool_repr(sent=8, queued=1, connections="1/2")
        self.assertTrue(self.pool.up)
        self.one.refusing = False
        self.reactor.advance(1.0)
        self.reactor.settle()
        self.pool_repr(sent=9, queued=0, connections="2/2")
        self.let_go(waiting)

    def test_shrinks(self) -> None:
        """The newest goes, when one less would have sufficed for the idle timeout."""
        self.connect(max_connections_local=3, max_requests_per_connection=10)
        waiting = self.ask(8)
        waiting += self.ask(8)
        oldest = self.pool.links[0]
        self.let_go_of_grown(waiting)
        self.reactor.advance(119)
        self.assertEqual(self.pool.size, 3)
        self.reactor.advance(1)
        self.reactor.settle()
        self.pool_repr(sent=0, queued=0, connections="2/3")
        self.assertEqual(len(self.one.links), 3)
        self.reactor.advance(120)
        self.reactor.settle()
        self.pool_repr(sent=0, queued=0, connections="1/3")
        self.assertEqual(self.pool.links, [oldest])
        self.reactor.advance(500)
        self.assertEqual(self.pool.size, 1)

    def let_go_of_grown(self, waiting: list[Deferred[Any]]) -> None:
        self.one.holds = lambda asked: False
        self.one.release()
        self.reactor.settle()
        for deferred in waiting:
            self.successResultOf(deferred)

    def test_drains_before_it_closes(self) -> None:
        """What is on the newest link is answered there; it is given nothing more."""
        session = self.connect(
            max_connections_local=2,
            max_requests_per_connection=10,
            connection_selection="round-robin",
            read_timeout=1000.0,
        )
        self.let_go_of_grown(self.ask(8))
        self.one.holds = lambda asked: True
        # 5 are the low mark of one link: 4 have fitted below.
        last = [session.execute(LIST, timeout=1000.0) for _ in range(4)]
        self.reactor.settle()
        newest = self.pool.links[1]
        self.assertEqual(newest.sent, 2)
        self.reactor.advance(120)
        self.reactor.settle()
        self.pool_repr(sent=2, queued=0, connections="1/2")
        self.assertEqual(len(self.pool.snapshot()), 2)
        more = self.ask(2)
        self.assertEqual((newest.sent, newest.closed), (2, False))
        self.let_go_of_grown(last + more)
        self.assertTrue(newest.closed)
        self.assertEqual(len(self.pool.snapshot()), 1)
        self.assertIsNone(self.pool.error)

    def test_closed_while_it_drains(self) -> None:
        """A link that is being given up is closed with the others."""
        session = self.connect(
            max_connections_local=2,
            max_requests_per_connection=10,
            connection_selection="round-robin",
            read_timeout=1000.0,
        )
        self.let_go_of_grown(self.ask(8))
        self.one.holds = lambda asked: True
        last = [session.execute(LIST, timeout=1000.0) for _ in range(2)]
        self.reactor.advance(120)
        self.reactor.settle()
        closing = session.close()
        self.reactor.settle()
        self.successResultOf(closing)
        for deferred in last:
            self.failureResultOf(deferred)

    def test_a_lost_link_goes_first(self) -> None:
        """Of two links, of which one is lost, the other is kept."""
        session = self.connect(max_connections_local=2, max_requests_per_connection=10)
        self.let_go_of_grown(self.ask(8))
        new = self.pool.links[1]
        self.one.refusing = True
        self.one.links[1].drop()
        self.reactor.advance(1)
        self.assertEqual((self.pool.links, self.pool.size), ([new], 2))
        self.reactor.advance(119)
        self.reactor.settle()
        self.assertEqual((self.pool.links, self.pool.size), ([new], 1))
        self.assertTrue(self.pool.up)
        self.answer(session.execute(LIST))

    def test_ramp(self) -> None:
        """From 1 link to 8 under a load that grows, and back to 1: no request fails."""
        session = self.connect(max_requests_per_connection=20, max_connections_local=8)
        in_flight = 0
        outcomes: list[Any] = []

        def answered(outcome: Any) -> None:
            nonlocal in_flight
            in_flight -= 1
            outcomes.append(outcome)

        sizes = [1]
        for tick in range(300):
            # Each request takes a tenth of a second; so many are in flight: up to 150, and down again.
            self.one.release(len(self.one.held))
            while in_flight < min(tick, 300 - tick):
                in_flight += 1
                session.execute(LIST).addBoth(answered)
            self.reactor.advance(0.1)
            self.reactor.settle()
            if sizes[-1] != len(self.pool.links):
                sizes.append(len(self.pool.links))
        self.assertEqual(sizes, [1, 2, 3, 4, 5, 6, 7, 8])
        self.one.holds = lambda asked: False
        self.one.release()
        for _ in range(20):
            self.reactor.advance(60)
            session.execute(LIST).addBoth(answered)
            self.reactor.settle()
        self.pool_repr(sent=0, queued=0, connections="1/8")
        self.assertEqual([outcome for outcome in outcomes if not isinstance(outcome, Result)], [])


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


class RetireTests(PoolTestCase):
    """A node that is not to be used any more, or that is somewhere else."""

    def test_idle(self) -> None:
        """Links on which nothing waits are closed at once; those that are being opened are given up."""
        self.connect(core_connections=3)
        self.one.links[2].drop()
        gone = self.pool.retire()
        self.reactor.settle()
        self.successResultOf(gone)
        # That of the control connection is left.
        self.assertEqual((len(self.one.links), self.pool.up, self.pool.size), (1, False, 0))

    def test_what_is_sent(self) -> None:
        """It is answered before its link is closed."""
        self.connect()
        waiting = self.ask(3)
        gone = self.pool.retire()
        self.reactor.settle()
        self.assertNoResult(gone)
        self.assertEqual(len(self.one.links), 2)
        self.one.release()
        self.reactor.settle()
        for deferred in waiting:
            self.successResultOf(deferred)
        self.successResultOf(gone)
        self.assertEqual(len(self.one.links), 1)

    def test_what_is_queued(self) -> None:
        """It goes on to the next node, not sent."""
        self.connect(max_requests_per_connection=10)
        waiting = self.ask(9)
        self.pool_repr(sent=8, queued=1)
        self.pool.retire()
        error = self.failureResultOf(waiting[8], ConnectionLost).value
        self.assertEqual(error.delivery, NOT_SENT)
        self.one.release()
        self.reactor.settle()

    def test_closed_meanwhile(self) -> None:
        """close() waits for no answers."""
        self.connect()
        waiting = self.ask(1)
        self.pool.retire()
        closed = self.pool.close()
        self.reactor.settle()
        self.successResultOf(closed)
        self.failureResultOf(waiting[0], ConnectionLost)


class HintTests(PoolTestCase):
    """What others say of the node."""

    def test_back(self) -> None:
        """Lost links are opened without waiting for their schedule."""
        self.connect(core_connections=2)
        self.one.stop()
        self.reactor.pump([1.0] * 20)
        self.one.refusing = False
        self.pool.retry_now()
        self.reactor.settle()
        self.pool_repr(sent=0, queued=0, connections="2/2")

    def test_probe(self) -> None:
        """Each link asks; one without an answer is closed."""
        self.connect(core_connections=2)
        self.reactor.advance(1.0)
        links = list(self.one.links)[-2:]
        self.one.frozen = True
        self.pool.probe()
        self.reactor.settle()
        self.reactor.advance(4.9)
        self.assertEqual([link.closed for link in links], [False, False])
        self.reactor.advance(0.2)
        self.assertEqual([link.closed for link in links], [True, True])
        self.one.frozen = False
        self.reactor.pump([1.0] * 3)


class ReplacementTests(PoolTestCase):
    """A link with too many orphans is replaced, and nobody notices."""

    def begin(self, **settings: Any) -> None:
        self.connect(
            **{
                "max_orphans_per_connection": 3,
                "max_connections_local": 1,
                "request_timeout": 100.0,
                "read_timeout": 100.0,
                **settings,
            }
        )

    def orphan(self, count: int) -> None:
        for deferred in self.ask(count):
            deferred.addErrback(lambda failure: failure.trap(CancelledError))
            deferred.cancel()
        self.reactor.settle()

    def test_opened_first(self) -> None:
        """The pool has one link more than its maximum, until nothing waits on the old one."""
        self.begin()
        waiting = self.ask(1)
        self.orphan(3)
        self.assertEqual(repr(self.pool), "<NodePool 10.0.0.1:9042 connections=2/1 sent=4 queued=0>")
        old, new = self.pool.links
        self.assertTrue(old.retiring and new.open)
        more = self.ask(2)
        self.assertEqual((old.sent, new.sent), (4, 2))
        self.one.release(1)
        self.reactor.settle()
        self.successResultOf(waiting[0])
        self.assertEqual(self.pool.links, [new])
        self.pool_repr(sent=2, queued=0)
        self.let_go(more)

    def test_queued_meanwhile(self) -> None:
        """Until the new link is ready, requests wait for it."""
        self.begin()
        waiting = self.ask(1)
        self.one.silent = True
        self.orphan(3)
        waiting += self.ask(1)
        self.assertEqual(len(self.pool.queue), 1)
        self.assertTrue(self.pool.up)
        for deferred in waiting:
            deferred.addErrback(lambda failure: failure.trap(SessionClosed))

    def test_cannot_be_replaced(self) -> None:
        """Requests go on to their next node as not sent, as if the old link were gone."""
        self.begin()
        (waiting,) = self.ask(1)
        self.one.refusing = True
        self.orphan(3)
        (queued,) = self.ask(1)
        self.assertFalse(self.pool.up)
        self.assertEqual(self.failureResultOf(queued).value.delivery, NOT_SENT)
        self.one.refusing = False
        self.reactor.advance(10.0)
        self.reactor.settle()
        self.assertTrue(self.pool.up)
        self.let_go([waiting])

    def test_closed_by_shrinking(self) -> None:
        """A slot that is given up closes both its links."""
        self.begin(max_connections_local=2, idle_timeout=50.0, max_requests_per_connection=10)
        waiting = self.ask(9)
        self.assertEqual(len(self.pool.links), 2)
        self.let_go(waiting)
        self.one.holds = lambda asked: True
        newest = self.pool.links[-1]
        for _ in range(2):
            self.orphan(2)
        self.reactor.advance(60.0)
        self.reactor.settle()
        self.reactor.advance(60.0)
        self.reactor.settle()
        self.assertNotIn(newest, self.pool.links)
        self.assertEqual(self.pool.size, 1)


class SuspectTests(PoolTestCase):
    """A node that says nothing while requests time out."""

    def test_until_it_answers(self) -> None:
        self.connect(read_timeout=1.0, request_timeout=100.0, heartbeat_timeout=20.0)
        assert self.session is not None
        (node,) = self.session.nodes
        self.one.holds = lambda asked: True
        for deferred in self.ask(3, idempotent=False):
            deferred.addErrback(lambda failure: None)
        self.one.frozen = True
        self.reactor.advance(1.5)
        self.reactor.settle()
        self.assertTrue(self.pool.suspect and node.suspect)
        self.one.frozen = False
        self.one.release(1)
        self.reactor.settle()
        self.assertFalse(self.pool.suspect or node.suspect)


class RemoteTests(PoolTestCase):
    """A pool of another data center is smaller."""

    def test_links(self) -> None:
        self.connect(core_connections=4, max_connections_remote=2)
        endpoint, settings = self.pool._endpoint, self.pool._settings
        self.assertEqual(settings.core_connections, 4)
        self.assertEqual(repr(self.pool), "<NodePool 10.0.0.1:9042 connections=4/4 sent=0 queued=0>")
        limit = ConnectLimit(self.reactor, 32, 5.0)
        remote = NodePool(
            "10.0.0.1:9042",
            endpoint,
            settings,
            self.reactor,
            5,
            lambda: iter([0.0]),
            lambda: None,
            self.session._view._manager,  # type: ignore[union-attr]
            limit,
            remote=True,
        )
        remote.connect()
        self.reactor.settle()
        self.assertEqual(repr(remote), "<NodePool 10.0.0.1:9042 connections=2/2 sent=0 queued=0>")
        closed = remote.close()
        self.reactor.settle()
        self.successResultOf(closed)
