"""Tests for :mod:`txcql.session.request`: deadlines, and requests that are cancelled."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred

from txcql.errors import (
    NOT_SENT,
    SENT,
    ConnectionLost,
    Overloaded,
    RequestTimeout,
)
from txcql.test.scriptedrequests import DELETE, INSERT, LIST, SELECT, RequestTestCase
from txcql.wire import constants


class DeadlineTests(RequestTestCase):
    """A deadline covers all that a request goes through."""

    def expire(self, deferred: Deferred[Any], text: str, delivery: str) -> None:
        """After 2 s, and no later than 50 ms after."""
        self.reactor.advance(1.9)
        self.assertNoResult(deferred)
        self.reactor.advance(0.15)
        error = self.failureResultOf(deferred, RequestTimeout).value
        self.assertEqual(str(error), text)
        self.assertEqual(error.delivery, delivery)

    def test_sent(self) -> None:
        """It may have been carried out; its stream stays busy until the late answer."""
        session = self.connect()
        self.hold()
        deferred = session.execute(LIST, timeout=2.0)
        self.reactor.settle()
        self.expire(deferred, "not answered by 10.0.0.1:9042 within 2 s (the request: sent)", SENT)
        self.assert_idle(orphans=1)
        self.let_go()
        self.reactor.settle()
        self.assert_idle()

    def test_queued(self) -> None:
        """It was never sent, and never will be."""
        session = self.connect(max_requests_per_connection=4)
        self.hold()
        sent = [session.execute(LIST) for _ in range(3)]
        queued = session.execute(LIST, timeout=2.0)
        self.reactor.settle()
        self.expire(queued, "not answered by 10.0.0.1:9042 within 2 s (the request: not sent)", NOT_SENT)
        self.let_go()
        self.reactor.settle()
        for deferred in sent:
            self.successResultOf(deferred)
        self.assertEqual(len(self.one.requests), 3)
        self.assert_idle()

    def test_preparing(self) -> None:
        """Preparing takes of its time, and its statement was not sent."""
        session = self.connect()
        self.hold()
        deferred = session.execute(SELECT, [1], timeout=2.0)
        self.reactor.settle()
        self.expire(deferred, "not answered within 2 s (the request: not sent)", NOT_SENT)
        self.let_go()
        self.reactor.settle()
        self.assertEqual(self.asked(), ["prepare 1"])
        self.assert_idle()

    def test_preparing_and_sent(self) -> None:
        """What preparing took is taken from the rest."""
        session = self.connect()
        self.hold()
        deferred = session.execute(SELECT, [1], timeout=2.0)
        self.reactor.advance(1.5)
        self.one.release()
        self.reactor.advance(0.4)
        self.assertNoResult(deferred)
        self.reactor.advance(0.15)
        error = self.failureResultOf(deferred, RequestTimeout).value
        self.assertEqual(str(error), "not answered by 10.0.0.1:9042 within 2 s (the request: sent)")

    def test_preparing_again(self) -> None:
        """The node refused the statement: it was not carried out."""
        session = self.connect()
        insert = self.answer(session.prepare(INSERT))
        self.one.prepared.clear()
        self.one.holds = lambda asked: asked.opcode == constants.PREPARE
        deferred = session.execute(insert, [1, "x"], timeout=2.0)
        self.reactor.settle()
        self.expire(deferred, "not answered by 10.0.0.1:9042 within 2 s (the request: not sent)", NOT_SENT)
        self.let_go()
        self.reactor.settle()
        self.assertEqual(self.asked()[1:], ["execute 1", "prepare 1"])
        self.assert_idle()

    def test_retried(self) -> None:
        """It counts from the first attempt, and what that one did is not forgotten."""
        session = self.connect(read_timeout=1.5)
        self.hold()
        deferred = session.execute(LIST, timeout=2.0)
        self.reactor.settle()
        self.reactor.advance(1.5)
        self.reactor.settle()
        self.assertEqual(self.asked(), ["query 1", "query 2"])
        self.reactor.advance(0.4)
        self.assertNoResult(deferred)
        self.reactor.advance(0.15)
        error = self.failureResultOf(deferred, RequestTimeout).value
        self.assertEqual(str(error), "not answered by 10.0.0.2:9042 within 2 s (the request: sent)")
        self.let_go()
        self.reactor.settle()
        self.assert_idle()

    def test_ddl(self) -> None:
        """A schema change is given ddl_timeout, and the read timeout leaves it alone."""
        session = self.connect(ddl_timeout=30.0)
        self.hold()
        deferred = session.execute("CREATE TABLE t (k int PRIMARY KEY)")
        self.reactor.pump([1.0] * 29)
        self.assertNoResult(deferred)
        self.reactor.advance(1.1)
        self.failureResultOf(deferred, RequestTimeout)

    def test_longer_than_the_read_timeout(self) -> None:
        """Who asks for a minute gets a minute, on one node."""
        session = self.connect()
        self.hold()
        deferred = session.execute(LIST, timeout=60.0)
        self.reactor.pump([1.0] * 59)
        self.assertNoResult(deferred)
        self.assertEqual(self.asked(), ["query 1"])
        self.let_go()
        self.answer(deferred)

    def test_one_ends_the_next(self) -> None:
        """Requests that expire together may cancel each other: each fires once."""
        session = self.connect()
        self.hold()
        waiting = [session.execute(LIST, timeout=2.0) for _ in range(5)]
        waiting[0].addErrback(lambda _: [deferred.cancel() for deferred in waiting[1:]])
        self.reactor.advance(2.05)
        self.successResultOf(waiting[0])
        for deferred in waiting[1:]:
            self.failureResultOf(deferred, CancelledError)
        self.assert_idle(orphans=5)

    def test_read_timeouts_that_end_the_next(self) -> None:
        """The same where the read timeout of a link passes for all of them."""
        session = self.connect()
        self.hold()
        waiting = [session.execute(DELETE) for _ in range(5)]
        waiting[0].addErrback(lambda _: [deferred.cancel() for deferred in waiting[1:]])
        self.reactor.settle()
        self.reactor.advance(5.0)
        self.successResultOf(waiting[0])
        for deferred in waiting[1:]:
            self.failureResultOf(deferred, CancelledError)
        self.assert_idle(orphans=5)


class CancelTests(RequestTestCase):
    """A cancelled request leaves nothing behind, wherever it was."""

    def cancel(self, deferred: Deferred[Any]) -> None:
        deferred.cancel()
        self.failureResultOf(deferred, CancelledError)

    def test_sent(self) -> None:
        """Its stream is an orphan until the answer."""
        session = self.connect()
        self.hold()
        deferred = session.execute(LIST)
        self.reactor.settle()
        self.cancel(deferred)
        self.assert_idle(orphans=1)
        self.let_go()
        self.reactor.settle()
        self.assert_idle()

    def test_in_the_write_buffer(self) -> None:
        """In the turn in which it was made."""
        session = self.connect()
        self.cancel(session.execute(LIST))
        self.reactor.settle()
        self.assert_idle()

    def test_queued(self) -> None:
        """It is never sent; those behind it keep their order."""
        session = self.connect(max_requests_per_connection=6)
        self.hold()
        waiting = [session.execute(LIST) for _ in range(6)]
        self.reactor.settle()
        self.assertEqual(len(self.one.requests), 4)
        self.cancel(waiting[4])
        self.let_go()
        self.reactor.settle()
        self.assertEqual(len(self.one.requests), 5)
        self.successResultOf(waiting[5])
        self.assert_idle()

    def test_preparing(self) -> None:
        """The PREPARE goes on, for whoever comes next."""
        session = self.connect()
        self.hold()
        deferred = session.execute(SELECT, [1])
        self.reactor.settle()
        self.cancel(deferred)
        self.let_go()
        self.reactor.settle()
        self.assertEqual(self.asked(), ["prepare 1"])
        self.assertEqual(session.snapshot()["prepared"], 1)
        self.assert_idle()

    def test_preparing_again(self) -> None:
        """The others that wait for the same statement are served."""
        session = self.connect()
        select = self.answer(session.prepare(SELECT))
        self.one.prepared.clear()
        self.one.holds = lambda asked: asked.opcode == constants.PREPARE
        first, second = session.execute(select, [1]), session.execute(select, [2])
        self.reactor.settle()
        self.cancel(first)
        self.let_go()
        self.answer(second)
        self.assertEqual(self.asked()[1:], ["execute 1", "execute 1", "prepare 1", "execute 1"])
        self.assert_idle()

    def test_retried(self) -> None:
        """At the second node."""
        session = self.connect()
        self.one.teach(LIST, lambda asked: asked.error(Overloaded("too much")))
        self.hold(self.two)
        deferred = session.execute(LIST)
        self.reactor.settle()
        self.assertEqual(self.asked(), ["query 1", "query 2"])
        self.cancel(deferred)
        self.let_go()
        self.reactor.settle()
        self.assert_idle()

    def test_while_the_link_is_lost(self) -> None:
        """Of several that fail together, the first cancels the others."""
        session = self.connect()
        self.hold()
        waiting = [session.execute(DELETE) for _ in range(5)]
        waiting[0].addErrback(lambda _: [deferred.cancel() for deferred in waiting[1:]])
        self.reactor.settle()
        self.one.stop()
        self.reactor.settle()
        self.successResultOf(waiting[0])
        for deferred in waiting[1:]:
            self.failureResultOf(deferred, CancelledError)
        self.assert_idle()

    def test_while_the_queue_is_emptied(self) -> None:
        """The same for those that were queued."""
        session = self.connect("10.0.0.1", max_requests_per_connection=10)
        self.two.stop()
        self.hold()
        waiting = [session.execute(DELETE) for _ in range(10)]
        waiting[8].addErrback(lambda _: [deferred.cancel() for deferred in waiting[9:]])
        self.reactor.settle()
        self.one.stop()
        self.reactor.settle()
        self.successResultOf(waiting[8])
        self.failureResultOf(waiting[9], CancelledError)
        for deferred in waiting[:8]:
            self.failureResultOf(deferred, ConnectionLost)
        self.assert_idle()
