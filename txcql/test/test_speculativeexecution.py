"""Tests for :mod:`txcql.session.speculativeexecution`."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from twisted.internet.defer import CancelledError
from twisted.internet.task import Clock

from txcql import Profile
from txcql.errors import InvalidRequest, Overloaded, RequestTimeout, SessionClosed
from txcql.policies.speculation import ConstantSpeculativeExecutionPolicy, NoSpeculativeExecutionPolicy
from txcql.session.deadlines import Deadlines
from txcql.test.scriptednode import Asked
from txcql.test.scriptedrequests import DELETE, INSERT, LIST, SELECT, InOrder, RequestTestCase


class SpeculativeExecutionTests(RequestTestCase):
    """Two nodes; after 0.1 s the second is asked, too."""

    def connect(self, *points: Any, **settings: Any) -> Any:
        settings.setdefault("speculative", ConstantSpeculativeExecutionPolicy(0.1))
        return RequestTestCase.connect(self, *points, **settings)

    def wait(self, seconds: float = 0.11) -> None:
        self.reactor.advance(seconds)
        self.reactor.settle()

    def test_in_time(self) -> None:
        """One that is answered before is asked once."""
        session = self.connect()
        self.assertEqual(self.answer(session.execute(LIST)).coordinator, "10.0.0.1:9042")
        self.wait()
        self.assertEqual(self.asked(), ["query 1"])
        self.assertEqual(len(session.speculation), 0)

    def test_second_is_first(self) -> None:
        """The first answer is the answer; the other execution is cancelled."""
        session = self.connect()
        self.hold(self.one)
        deferred = session.execute(LIST)
        self.reactor.settle()
        self.wait(0.09)
        self.assertNoResult(deferred)
        self.assertEqual(self.asked(), ["query 1"])
        self.wait(0.02)
        self.assertEqual(self.successResultOf(deferred).coordinator, "10.0.0.2:9042")
        self.assert_idle(orphans=1)
        self.one.release()
        self.reactor.settle()
        self.assert_idle()

    def test_first_is_first(self) -> None:
        """The same when the node that was asked first is the faster one."""
        session = self.connect()
        self.hold()
        deferred = session.execute(LIST)
        self.reactor.settle()
        self.wait()
        self.one.release()
        self.assertEqual(self.answer(deferred).coordinator, "10.0.0.1:9042")
        self.assert_idle(orphans=1)
        self.assertEqual(self.asked(), ["query 1", "query 2"])

    def test_same_bytes(self) -> None:
        """Timestamps included."""
        session = self.connect()
        insert = self.answer(session.prepare(INSERT))
        self.two.prepared.update(self.one.prepared)
        self.hold(self.one)
        deferred = session.execute(insert, [1, "x"], idempotent=True)
        self.reactor.settle()
        self.wait()
        self.successResultOf(deferred)
        self.assertEqual(self.one.requests[-1].request, self.two.requests[-1].request)
        self.assertIsNotNone(self.one.requests[-1].options.timestamp)

    def test_not_idempotent(self) -> None:
        """It is at one node only."""
        session = self.connect()
        self.hold(self.one)
        waiting = [session.execute(DELETE), session.execute(LIST, idempotent=False)]
        self.reactor.settle()
        self.wait()
        self.assertEqual(self.two.requests, [])
        self.one.release()
        for deferred in waiting:
            self.answer(deferred)

    def test_no_further_node(self) -> None:
        """It goes on where it is."""
        session = self.connect(speculative=ConstantSpeculativeExecutionPolicy(0.1, executions=5))
        self.hold()
        deferred = session.execute(LIST)
        self.reactor.settle()
        for _ in range(5):
            self.wait()
        self.assertEqual(self.asked(), ["query 1", "query 2"])
        self.two.release()
        self.assertEqual(self.answer(deferred).coordinator, "10.0.0.2:9042")

    def test_failure_of_one(self) -> None:
        """The others may still answer."""
        session = self.connect()
        self.hold()
        deferred = session.execute(LIST)
        self.reactor.settle()
        self.wait()
        self.two.held.pop().error(InvalidRequest("no"))
        self.reactor.settle()
        self.assertNoResult(deferred)
        self.one.release()
        self.assertEqual(self.answer(deferred).coordinator, "10.0.0.1:9042")

    def test_failure_of_all(self) -> None:
        """The last failure is the request's; before the second has begun, the first is the last."""
        session = self.connect()
        for node in (self.one, self.two):
            node.teach(LIST, partial(Asked.error, error=InvalidRequest(node.address)))
        self.assertEqual(str(self.error(session.execute(LIST), InvalidRequest)), "10.0.0.1")
        self.hold()
        deferred = session.execute(LIST)
        self.reactor.settle()
        self.wait()
        self.one.release()
        self.two.release()
        self.assertEqual(str(self.error(deferred, InvalidRequest)), "10.0.0.2")
        self.assert_idle()

    def test_retry_and_speculation(self) -> None:
        """An execution that goes on to its next node takes that away from the others."""
        session = self.connect()
        self.one.teach(LIST, lambda asked: asked.error(Overloaded("no")))
        self.hold(self.two)
        deferred = session.execute(LIST)
        self.reactor.settle()
        self.wait()
        self.assertEqual(self.asked(), ["query 1", "query 2"])
        self.two.release()
        self.answer(deferred)

    def test_cancelled(self) -> None:
        """All executions are, and none begins."""
        session = self.connect()
        self.hold()
        early, late = session.execute(LIST), session.execute(LIST)
        early.cancel()
        self.failureResultOf(early, CancelledError)
        self.reactor.settle()
        self.wait()
        late.cancel()
        self.failureResultOf(late, CancelledError)
        self.reactor.settle()
        self.assert_idle(orphans=3)
        self.assertEqual(len(session.speculation), 0)
        self.assertEqual(len(self.two.requests), 1)

    def test_deadline(self) -> None:
        """That of the first counts for all."""
        session = self.connect(request_timeout=1.0)
        self.hold()
        deferred = session.execute(LIST)
        self.reactor.settle()
        for _ in range(11):
            self.wait(0.1)
        self.assertTrue(self.failureResultOf(deferred, RequestTimeout).value.deadline)
        self.assert_idle(orphans=2)

    def test_session_closed(self) -> None:
        """It fails once."""
        session = self.connect()
        self.hold()
        deferred = session.execute(LIST)
        self.reactor.settle()
        self.wait()
        self.answer(session.close())
        self.failureResultOf(deferred, SessionClosed)

    def test_next_page(self) -> None:
        """Belongs to the execution that has answered."""
        session = self.connect()
        select = self.two.statements[LIST]
        self.two.teach(LIST, lambda asked: asked.statement_rows(select, b"more"), columns=select.columns)
        self.hold(self.one)
        deferred = session.execute(LIST, page_size=1)
        self.reactor.settle()
        self.wait()
        page = self.successResultOf(deferred).next_page()
        self.reactor.settle()
        self.wait()
        self.successResultOf(page)
        self.assertEqual(self.two.requests[-1].options.paging_state, b"more")

    def test_defects_of_the_plan(self) -> None:
        """Before the first node it fails; before the second there is none."""

        def none(request: Any) -> Iterator[Any]:
            raise LookupError("no plan")

        def one(request: Any) -> Iterator[Any]:
            yield policy.nodes["10.0.0.1:9042"]
            raise LookupError("no more")

        policy = InOrder()
        session = self.connect(load_balancing=policy)
        policy.plan = none  # type: ignore[method-assign]
        self.error(session.execute(LIST), LookupError)
        policy.plan = one  # type: ignore[method-assign]
        self.hold(self.one)
        deferred = session.execute(LIST)
        self.reactor.settle()
        self.wait()
        self.one.release()
        self.answer(deferred)
        self.assert_idle()

    def test_by_profile(self) -> None:
        """One of the profiles has it, another has not."""
        session = self.connect(
            speculative=None,
            profiles={
                "quick": Profile(speculative=ConstantSpeculativeExecutionPolicy(0.1)),
                "plain": Profile(speculative=NoSpeculativeExecutionPolicy()),
            },
        )
        self.hold(self.one)
        waiting = [session.execute(LIST), session.execute(LIST, profile="plain")]
        quick = session.execute(LIST, profile="quick")
        self.reactor.settle()
        self.wait()
        self.assertEqual(self.successResultOf(quick).coordinator, "10.0.0.2:9042")
        self.one.release()
        for deferred in waiting:
            self.answer(deferred)

    def test_text_with_parameters(self) -> None:
        """Once it is prepared."""
        session = self.connect()
        self.answer(session.execute(SELECT, [1]))
        self.two.prepared.update(self.one.prepared)
        self.hold(self.one)
        deferred = session.execute(SELECT, [1])
        self.reactor.settle()
        self.wait()
        self.assertEqual(self.successResultOf(deferred).coordinator, "10.0.0.2:9042")


class PrecisionTests(RequestTestCase):
    """One timer for all of them."""

    def test_together(self) -> None:
        """What is due within the precision is done at once."""
        clock, done = Clock(), list[str]()
        waiting: Deadlines[str] = Deadlines(clock, done.append, 0.002)
        waiting.add("a", 0.1)
        clock.advance(0.001)
        waiting.add("b", 0.1)
        self.assertEqual(len(clock.getDelayedCalls()), 1)
        clock.advance(0.1011)
        self.assertEqual(done, ["a", "b"])
        self.assertEqual(clock.getDelayedCalls(), [])
