"""Tests for :mod:`txcql.session.request`: it does as its retry policy decides."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import cycle
from typing import Any

from zope.interface import implementer

from txcql.errors import (
    SENT,
    UNKNOWN,
    BusyConnectionError,
    ConnectionLost,
    CQLError,
    InternalServerError,
    InvalidRequest,
    IsBootstrapping,
    NoNodeAvailable,
    Overloaded,
    ReadTimeout,
    RequestTimeout,
    ServerError,
    Unavailable,
    WriteTimeout,
)
from txcql.interfaces import IRetryPolicy
from txcql.policies.retry import (
    IGNORE,
    NEXT_NODE,
    RAISE,
    SAME_NODE,
    DowngradingRetryPolicy,
    FallthroughRetryPolicy,
    RetryDecision,
)
from txcql.session.request import MOST_ATTEMPTS
from txcql.test.scriptednode import Asked
from txcql.test.scriptedrequests import DELETE, INSERT, LIST, SELECT, InOrder, RequestTestCase
from txcql.wire import constants

FAILURE = InternalServerError("oops")


@implementer(IRetryPolicy)
class Script:
    """Decides as it is told, and notes what it was asked."""

    def __init__(self, *decisions: Any) -> None:
        self._decisions = list(decisions)
        self.asked: list[tuple[str, int, str | None, str, bool]] = []

    def decide(self, request: Any, error: CQLError, attempt: int) -> Any:
        about = (type(error).__name__, attempt, error.delivery, request.consistency, request.idempotent)
        self.asked.append(about)
        decision = self._decisions.pop(0) if len(self._decisions) > 1 else self._decisions[0]
        if isinstance(decision, Exception):
            raise decision
        return decision


class DecisionTests(RequestTestCase):
    """What is done with a request whose node has failed it."""

    def fail(self, *nodes: Any, error: ServerError = FAILURE) -> None:  # type: ignore[override]
        """Let nodes answer everything with an error."""
        for node in nodes or (self.one, self.two):
            for text in (LIST, DELETE, INSERT, SELECT):
                node.statements[text].reply = partial(Asked.error, error=error)

    def test_same_node(self) -> None:
        """The same bytes to the same node."""
        policy = Script(SAME_NODE)
        session = self.connect(retry=policy)
        self.fail(self.one)
        self.one.holds = lambda asked: len(self.one.requests) == 3
        deferred = session.execute(DELETE)
        self.reactor.settle()
        self.one.statements[DELETE].reply = None
        self.one.release()
        self.assertEqual(self.answer(deferred).coordinator, "10.0.0.1:9042")
        bodies = {repr(asked.request) for asked in self.one.requests}
        self.assertEqual((len(self.one.requests), len(bodies)), (3, 1))
        self.assertEqual(
            policy.asked,
            [("InternalServerError", attempt, SENT, "LOCAL_QUORUM", False) for attempt in (1, 2)],
        )
        self.assert_idle()

    def test_next_node(self) -> None:
        """Its errors are those of all nodes, if none has taken it."""
        session = self.connect(retry=Script(NEXT_NODE))
        self.fail()
        error = self.error(session.execute(DELETE), NoNodeAvailable)
        self.assertEqual(list(error.errors), ["10.0.0.1:9042", "10.0.0.2:9042"])
        self.assertEqual(error.delivery, SENT)

    def test_raise(self) -> None:
        """The error itself."""
        session = self.connect(retry=FallthroughRetryPolicy())
        for failure in (FAILURE, Overloaded("no"), Unavailable("no", consistency="ONE", required=1, alive=0)):
            self.fail(error=failure)
            self.assertEqual(str(self.error(session.execute(LIST), type(failure))), str(failure))
        self.assertEqual(self.two.requests, [])

    def test_ignore(self) -> None:
        """The request succeeds, with nothing."""
        session = self.connect(retry=Script(IGNORE))
        self.fail(self.one)
        result = self.answer(session.execute(LIST))
        self.assertEqual((result.all(), result.coordinator), ([], "10.0.0.1:9042"))
        self.assert_idle()

    def test_other_consistency(self) -> None:
        """All else is as it was: of text and of a prepared statement, in each version."""
        for version in (3, 4, 5):
            self.setUp()
            policy = Script(RetryDecision("next", "ONE"), RetryDecision("same", "TWO"), RAISE)
            session = self.connect(retry=policy, protocol_version=version, keyspace="ks")
            insert = self.answer(session.prepare(INSERT))
            for node in (self.one, self.two):
                node.prepared.update(self.one.prepared)
            self.fail()
            self.error(session.execute(insert, [1, "x"], serial_consistency="SERIAL"), InternalServerError)
            asked = [*self.one.asked_for(constants.EXECUTE), *self.two.asked_for(constants.EXECUTE)]
            self.assertEqual([request.options.consistency for request in asked], [6, 1, 2])
            for request in asked:
                self.assertEqual(
                    request.options._replace(consistency=0), asked[0].options._replace(consistency=0)
                )
                self.assertEqual(request.request.values, asked[0].request.values)
            self.assertEqual([about[3] for about in policy.asked], ["LOCAL_QUORUM", "ONE", "TWO"])
            self.error(session.execute(LIST, payload={"a": b"b"} if version > 3 else None))
            self.assert_idle()
            self.tearDown()
            self.session = None

    def test_downgraded(self) -> None:
        """One replica of three is alive: ONE it is."""
        session = self.connect(retry=DowngradingRetryPolicy())
        levels = []

        def reply(asked: Asked) -> None:
            levels.append(asked.options.consistency)
            if asked.options.consistency == 1:
                asked.void()
            else:
                asked.error(Unavailable("no", consistency="LOCAL_QUORUM", required=2, alive=1))

        self.one.teach(DELETE, reply)
        self.answer(session.execute(DELETE))
        self.assertEqual(levels, [6, 1])

    def test_no_end(self) -> None:
        """A policy that never gives up, and a plan that never ends: there is an end."""

        def plan(request: Any) -> Iterator[Any]:
            return cycle(policy.nodes.values())

        for decision in (SAME_NODE, NEXT_NODE):
            self.setUp()
            policy = InOrder()
            policy.plan = plan  # type: ignore[method-assign]
            session = self.connect(retry=Script(decision), load_balancing=policy)
            self.fail()
            self.error(session.execute(LIST), InternalServerError)
            self.assertEqual(len(self.one.requests) + len(self.two.requests), MOST_ATTEMPTS)
            self.tearDown()
            self.session = None

    def test_defect(self) -> None:
        """What the policy raises, or answers amiss, fails the request."""
        session = self.connect(retry=Script(LookupError("no idea"), 5, RetryDecision("same", "FOUR")))
        self.fail()
        self.error(session.execute(LIST), LookupError)
        self.error(session.execute(LIST), TypeError)
        self.assertIn("got 'FOUR'", str(self.error(session.execute(LIST), ValueError)))
        self.assert_idle()

    def test_no_longer_there(self) -> None:
        """The node is gone when it is to be asked again: its last word is what it said to the request."""
        session = self.connect(retry=Script(SAME_NODE), max_requests_per_connection=1)
        self.hold(self.one)
        deferred = session.execute(DELETE)
        self.reactor.settle()
        self.two.stop()
        self.one.stop()
        error = self.error(deferred, NoNodeAvailable)
        self.assertEqual(error.errors["10.0.0.1:9042"].delivery, UNKNOWN)
        self.assertEqual(error.delivery, UNKNOWN)

    def test_raised_after_all(self) -> None:
        """The error says how far the request has come at any node."""
        session = self.connect(retry=Script(NEXT_NODE, RAISE))
        self.hold(self.one)
        self.fail(self.two, error=Overloaded("no"))
        deferred = session.execute(LIST)
        self.reactor.settle()
        self.one.stop()
        self.assertEqual(self.error(deferred, Overloaded).delivery, UNKNOWN)

    def test_not_asked(self) -> None:
        """About what never left, what a starting node refused, deadlines, cancelling, PREPARE."""
        policy = Script(RAISE)
        session = self.connect(retry=policy, request_timeout=1.0)
        self.fail(self.one, error=IsBootstrapping("not yet"))
        self.answer(session.execute(DELETE))
        (link,) = next(iter(session.pools.values())).links
        waiting = session.execute(DELETE)
        link.close()
        self.answer(waiting)
        self.one.statements[SELECT].reply = None
        self.hold()
        late, cancelled = session.execute(LIST), session.execute(LIST)
        preparing = session.prepare(SELECT)
        self.reactor.settle()
        cancelled.cancel()
        self.failureResultOf(cancelled)
        self.one.stop()
        self.reactor.settle()
        self.two.release()
        self.answer(preparing)
        self.reactor.advance(1.1)
        self.assertEqual([about[0] for about in policy.asked], ["ConnectionLost"])
        self.failureResultOf(late)


class DefaultTests(RequestTestCase):
    """The default policy at work."""

    def refuse_once(self, error: Callable[[], ServerError]) -> None:
        def reply(asked: Asked) -> None:
            if len(self.one.requests) % 2:
                asked.error(error())
            else:
                asked.statement_rows(self.one.statements[LIST])

        self.one.teach(LIST, reply, columns=self.two.statements[LIST].columns, rows=[[1, "one"]])

    def test_read_without_data(self) -> None:
        """Once more at the same node."""
        session = self.connect()
        self.refuse_once(
            lambda: ReadTimeout("late", consistency="ONE", received=1, required=1, data_present=False)
        )
        self.assertEqual(self.answer(session.execute(LIST)).one().v, "one")
        self.assertEqual(self.asked(), ["query 1", "query 1"])

    def test_batch_log(self) -> None:
        """The same, if it is idempotent."""
        session = self.connect()
        self.refuse_once(
            lambda: WriteTimeout(
                "late",
                consistency="ONE",
                received=0,
                required=1,
                write_type="BATCH_LOG",
                contentions=None,
            )
        )
        self.answer(session.execute(LIST))
        self.one.requests.clear()
        self.error(session.execute(LIST, idempotent=False), WriteTimeout)

    def test_deadline(self) -> None:
        """It is told apart from a read timeout."""
        session = self.connect(read_timeout=0.5)
        self.hold()
        early, late = session.execute(DELETE), session.execute(LIST, timeout=0.75)
        self.reactor.settle()
        for _ in range(10):
            self.reactor.advance(0.1)
        self.assertFalse(self.failureResultOf(early, RequestTimeout).value.deadline)
        error = self.failureResultOf(late, RequestTimeout).value
        self.assertTrue(error.deadline)
        self.assertEqual((error.node, error.delivery), ("10.0.0.2:9042", SENT))


class ManyLinksTests(RequestTestCase):
    """A node has two links, and loses one."""

    def test_other_link(self) -> None:
        """If no other node takes it, an idempotent request goes to the other link."""
        session = self.connect(core_connections=2)
        self.two.stop()
        self.reactor.settle()
        self.hold(self.one)
        repeated, once = session.execute(LIST), session.execute(DELETE)
        self.reactor.settle()
        for link in {asked.link for asked in self.one.held}:
            self.assertEqual(len({asked.link for asked in self.one.held}), 2)
            if any(asked.text == LIST for asked in self.one.held if asked.link is link):
                lost = link
        self.one.holds = lambda asked: False
        self.one.refusing = True
        lost.drop()
        self.assertEqual(self.answer(repeated).coordinator, "10.0.0.1:9042")
        self.assertNoResult(once)
        self.one.held = [asked for asked in self.one.held if asked.link is not lost]
        self.one.release()
        self.answer(once)
        self.assert_idle()

    def test_next_node_first(self) -> None:
        """Another node is better than this one."""
        session = self.connect(core_connections=2)
        self.hold(self.one)
        deferred = session.execute(LIST)
        self.reactor.settle()
        self.one.held[0].link.drop()
        self.assertEqual(self.answer(deferred).coordinator, "10.0.0.2:9042")

    def test_other_link_is_full(self) -> None:
        """Then the request fails with what it has met, which is not that it was refused."""
        session = self.connect(core_connections=2, max_requests_per_connection=1)
        self.two.stop()
        self.reactor.settle()
        self.hold(self.one)
        waiting = [session.execute(LIST) for _ in range(2)]
        self.reactor.settle()
        self.one.refusing = True
        self.one.held[0].link.drop()
        self.reactor.settle()
        error = self.error(waiting[0], NoNodeAvailable)
        self.assertIsInstance(error.errors["10.0.0.1:9042"], ConnectionLost)
        self.assertNotIsInstance(error.errors["10.0.0.1:9042"], BusyConnectionError)
        self.assertEqual(error.delivery, UNKNOWN)
        self.error(session.execute("nonsense", idempotent=True), BusyConnectionError, NoNodeAvailable)
        self.one.release()
        self.answer(waiting[1])


class SuspectTests(RequestTestCase):
    """A node that is silent while requests time out."""

    def suspect(self, session: Any, *names: str) -> None:
        for node in session.nodes:
            node.suspect = node.name in names

    def test_last(self) -> None:
        """It goes last in any plan; if all are suspect, they are asked in the plan's order."""
        session = self.connect()
        self.suspect(session, "10.0.0.1:9042")
        self.assertEqual(self.answer(session.execute(LIST)).coordinator, "10.0.0.2:9042")
        self.two.teach(LIST, lambda asked: asked.error(Overloaded("no")))
        self.assertEqual(self.answer(session.execute(LIST)).coordinator, "10.0.0.1:9042")
        self.suspect(session, "10.0.0.1:9042", "10.0.0.2:9042")
        self.assertEqual(self.answer(session.execute(LIST)).coordinator, "10.0.0.1:9042")
        self.one.teach(LIST, lambda asked: asked.error(InvalidRequest("no")))
        self.error(session.execute(LIST), InvalidRequest)

    def test_bulk_work(self) -> None:
        """The same."""
        session = self.connect()
        self.suspect(session, "10.0.0.1:9042")
        insert = self.answer(session.prepare(INSERT))
        self.answer(session.execute_many(insert, [[1, "x"], [2, "y"]]))
        self.assertEqual({text[-1] for text in self.asked() if "execute" in text}, {"2"})
        self.suspect(session, "10.0.0.1:9042", "10.0.0.2:9042")
        self.answer(session.execute_many(insert, [[1, "x"]]))
