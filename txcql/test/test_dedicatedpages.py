"""Tests for :mod:`txcql.session.dedicatedpages`: streams that have a connection of their own."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred

from txcql.errors import ConnectionLost, InvalidRequest, NoNodeAvailable, RequestTimeout, SessionClosed
from txcql.session.rowstream import RowStream
from txcql.test.scriptednode import ScriptedNode, columns
from txcql.test.scriptedrequests import InOrder
from txcql.test.test_rowstream import SCAN, Consumer, StreamTestCase

BY_KEY = "SELECT k FROM t WHERE p = ?"


class DedicatedTestCase(StreamTestCase):
    """Two nodes that have the same table, of which the first is asked first."""

    def setUp(self) -> None:
        StreamTestCase.setUp(self)
        self.two = self.node("10.0.0.2")
        self.two.teach(SCAN, reply=self.page)
        for node in (self.one, self.two):
            node.teach(BY_KEY, parameters=columns(p="int"), columns=columns(k="int"), reply=self.page)

    def begin(self, **settings: Any) -> None:
        self.connect(load_balancing=InOrder(), **settings)
        self.shared = {node: list(node.links) for node in (self.one, self.two)}

    def own(self, node: ScriptedNode) -> list[Any]:
        """The links to a node that the session has opened for streams."""
        return [link for link in node.links if link not in self.shared[node]]

    def scan(self, consumer: Consumer, **options: Any) -> Any:
        delivered = self.stream(dedicated=True, **options).deliver_to(consumer)
        self.reactor.settle()
        return delivered


class LinkTests(DedicatedTestCase):
    """Where the pages come from."""

    def test_a_link_of_its_own(self) -> None:
        """It is opened for the first page and closed behind the last; no shared link carries a page."""
        self.begin()
        consumer = Consumer()
        stream: RowStream = self.stream(dedicated=True)
        self.reactor.settle()
        self.assertEqual(self.own(self.one), [])
        delivered = stream.deliver_to(consumer)
        self.reactor.settle()
        self.assertEqual(self.successResultOf(delivered), 10)
        self.assertEqual(consumer.rows, list(range(1, 11)))
        links = {asked.link for asked in self.one.requests}
        self.assertEqual(len(links), 1)
        self.assertFalse(links & set(self.shared[self.one]))
        self.assertTrue(links.pop().closed)
        self.assertEqual(self.own(self.one), [])

    def test_seen_in_the_snapshot(self) -> None:
        """And in the budget; it is no room for others."""
        self.begin()
        assert self.session is not None
        before = self.session.memory_budget()
        consumer = Consumer(on_write=lambda k: consumer.producer.pauseProducing())
        self.scan(consumer, prefetch_pages=0)
        (link,) = self.session.snapshot()["dedicated"]
        self.assertEqual((link["node"], link["sent"], link["state"]), ("10.0.0.1:9042", 0, "open"))
        self.assertEqual(self.session.memory_budget(), before + 128 * 1024)
        consumer.producer.stopProducing()
        self.reactor.settle()
        self.assertEqual(self.session.snapshot()["dedicated"], [])
        self.assertEqual(self.session.memory_budget(), before)

    def test_in_an_async_for(self) -> None:
        """Left half-way, its connection is closed."""
        self.begin()

        async def some() -> list[int]:
            rows = []
            async with self.stream(dedicated=True) as stream:
                async for row in stream:
                    rows.append(row.k)
                    if len(rows) == 5:
                        break
            return rows

        rows = Deferred.fromCoroutine(some())
        self.assertEqual(self.answer(rows), [1, 2, 3, 4, 5])
        self.reactor.settle()
        self.assertEqual(self.own(self.one), [])

    def test_prepared(self) -> None:
        """Text with parameters is prepared as for any other request; so is a bound statement."""
        self.begin()
        assert self.session is not None
        for stream in (
            self.session.stream(BY_KEY, [1], dedicated=True),
            self.session.stream(self.answer(self.session.prepare(BY_KEY)), [1], dedicated=True),
            self.session.stream(self.answer(self.session.prepare(BY_KEY))(1), dedicated=True),
        ):
            consumer = Consumer()
            self.assertEqual(self.answer(stream.deliver_to(consumer)), 10)

    def test_in_the_keyspace(self) -> None:
        """A link of its own begins in the session's keyspace."""
        self.begin(keyspace="ks")
        self.assertEqual(self.answer(self.scan(Consumer())), 10)
        self.assertEqual({asked.link.keyspace for asked in self.one.requests}, {"ks"})

    def test_mistakes(self) -> None:
        """What is wrong with a request is told as ever, and its connection is closed."""
        self.begin()
        assert self.session is not None
        bound = self.answer(self.session.prepare(BY_KEY))(1)
        for statement, parameters, kind in (
            ("SELECT nothing", None, InvalidRequest),
            (7, None, TypeError),
            (bound, [1], TypeError),
        ):
            stream = self.session.stream(statement, parameters, dedicated=True)  # type: ignore[arg-type]
            self.error(stream.deliver_to(Consumer()), kind)
            self.reactor.settle()
            self.assertEqual(self.own(self.one), [])


class LossTests(DedicatedTestCase):
    """Links and nodes that are lost."""

    def half_way(self, **settings: Any) -> tuple[Consumer, Any]:
        """A scan of which the second page is not answered."""
        self.begin(**settings)
        self.one.holds = lambda asked: asked.options.paging_state == b"1"
        consumer = Consumer()
        delivered = self.scan(consumer)
        self.assertEqual(consumer.rows, [1, 2, 3])
        return consumer, delivered

    def test_goes_on_at_the_next_node(self) -> None:
        """From its page; each row comes once."""
        consumer, delivered = self.half_way()
        (link,) = self.own(self.one)
        link.drop()
        self.reactor.settle()
        self.assertEqual(self.successResultOf(delivered), 10)
        self.assertEqual(consumer.rows, list(range(1, 11)))
        self.assertEqual([asked.options.paging_state for asked in self.two.requests], [b"1", b"2", b"3"])
        self.assertEqual(self.own(self.one) + self.own(self.two), [])

    def test_what_must_not_be_repeated(self) -> None:
        """It ends with the error of the link."""
        self.begin()
        self.one.holds = lambda asked: True
        delivered = self.scan(Consumer(), idempotent=False)
        self.own(self.one)[0].drop()
        self.error(delivered, ConnectionLost)
        self.assertEqual(self.own(self.one), [])

    def test_no_node_is_left(self) -> None:
        """Each says why."""
        _, delivered = self.half_way()
        (link,) = self.own(self.one)
        self.one.refusing = self.two.refusing = True
        link.drop()
        error = self.error(delivered, NoNodeAvailable)
        self.assertIn("10.0.0.2:9042 refused the connection", str(error))
        self.assertEqual(set(error.errors), {"10.0.0.1:9042", "10.0.0.2:9042"})

    def test_first_node_refuses(self) -> None:
        """The next one is taken."""
        self.begin()
        self.one.refusing = True
        self.assertEqual(self.answer(self.scan(Consumer())), 10)

    def test_deadline(self) -> None:
        """A page that is not answered in time ends the stream: deadlines are not retried."""
        _, delivered = self.half_way(read_timeout=100.0, request_timeout=3.0)
        self.reactor.advance(3.5)
        self.error(delivered, RequestTimeout)
        self.assertEqual(self.own(self.one) + self.own(self.two), [])

    def test_read_timeout(self) -> None:
        """A node that is silent for too long is left for the next one."""
        consumer, delivered = self.half_way(read_timeout=1.0)
        self.reactor.advance(1.5)
        self.reactor.settle()
        self.assertEqual(self.successResultOf(delivered), 10)
        self.assertEqual(consumer.rows, list(range(1, 11)))

    def test_session_closed(self) -> None:
        """Its link is closed with the others, whether a page is on its way or not."""
        _, delivered = self.half_way()
        assert self.session is not None
        closed = self.session.close()
        self.reactor.settle()
        self.successResultOf(closed)
        self.error(delivered, SessionClosed)

    def test_session_closed_between_pages(self) -> None:
        self.begin()
        consumer = Consumer(on_write=lambda k: consumer.producer.pauseProducing())
        delivered = self.scan(consumer, prefetch_pages=0)
        assert self.session is not None
        closed = self.session.close()
        self.reactor.settle()
        self.successResultOf(closed)
        consumer.on_write = lambda k: None
        consumer.producer.resumeProducing()
        self.error(delivered, SessionClosed)
        self.assertEqual(consumer.rows, [1, 2, 3])

    def test_cancelled_while_it_connects(self) -> None:
        self.begin()
        self.one.silent = True
        delivered = self.scan(Consumer())
        delivered.cancel()
        self.reactor.settle()
        self.failureResultOf(delivered, CancelledError)
        self.assertEqual(self.own(self.one) + self.own(self.two), [])


class PauseTests(DedicatedTestCase):
    """A paused stream stops its own link, and no other."""

    def paused(self, **settings: Any) -> Any:
        """A scan that was paused at its first row, the second page being on its way."""
        self.begin(**settings)
        self.one.holds = lambda asked: asked.options.paging_state == b"1"
        self.consumer = Consumer(on_write=lambda k: self.consumer.producer.pauseProducing())
        delivered = self.scan(self.consumer)
        self.assertEqual(self.consumer.rows, [1])
        self.consumer.on_write = lambda k: None
        self.one.holds = lambda asked: False
        return delivered

    def test_not_read(self) -> None:
        """Answers are held back; beyond the response budget the transport is paused."""
        delivered = self.paused(response_budget=10)
        (link,) = self.own(self.one)
        self.one.release()
        self.reactor.settle()
        self.assertTrue(link._paused)
        assert self.session is not None
        (state,) = self.session.snapshot()["dedicated"]
        self.assertTrue(state["paused"])
        self.assertEqual(len(self.answer(self.session.execute(SCAN, page_size=3)).all()), 3)
        self.consumer.producer.resumeProducing()
        self.reactor.settle()
        self.assertEqual(self.successResultOf(delivered), 10)
        self.assertEqual(self.consumer.rows, list(range(1, 11)))

    def test_for_long(self) -> None:
        """Whatever ends meanwhile because nothing is read, is asked for again afterwards."""
        for seconds in (11.0, 40.0, 400.0):
            delivered = self.paused(response_budget=10)
            self.one.release()
            for _ in range(10):
                self.reactor.advance(seconds / 10)
                self.reactor.settle()
            self.assertEqual(self.consumer.rows, [1])
            self.consumer.producer.resumeProducing()
            self.reactor.settle()
            self.assertEqual(self.successResultOf(delivered), 10)
            self.assertEqual(self.consumer.rows, list(range(1, 11)))
            StreamTestCase.tearDown(self)
            self.setUp()

    def test_stopped_while_paused(self) -> None:
        delivered = self.paused()
        self.consumer.producer.stopProducing()
        self.reactor.settle()
        self.assertEqual(self.successResultOf(delivered), 1)
        self.assertEqual(self.own(self.one), [])

    def test_paused_while_it_connects(self) -> None:
        """The link is held from its first answer on."""
        self.begin()
        consumer = Consumer()
        consumer.on_register = lambda: consumer.producer.pauseProducing()
        delivered = self.scan(consumer)
        self.assertEqual(consumer.rows, [])
        consumer.producer.resumeProducing()
        self.assertEqual(self.answer(delivered), 10)
