"""Tests for :mod:`txcql.session.attempts`: what results and errors tell of how they came about."""

from __future__ import annotations

import gc
import weakref

from txcql.errors import (
    CQLError,
    InvalidRequest,
    NoNodeAvailable,
    Overloaded,
    RequestTimeout,
    Unprepared,
    WriteTimeout,
)
from txcql.policies.retry import RetryDecision
from txcql.test.scriptedrequests import DELETE, INSERT, LIST, SELECT, RequestTestCase


class AttemptTests(RequestTestCase):
    """The nodes that a request was tried at."""

    def test_at_once(self) -> None:
        """One node, and how long it took."""
        session = self.connect()
        self.hold()
        waiting = session.execute(LIST)
        self.reactor.settle()
        self.reactor.advance(0.25)
        self.let_go()
        result = self.answer(waiting)
        self.assertEqual(list(result.attempts), [("10.0.0.1:9042", None, 0.25)])
        self.assertIsNone(result.past)

    def test_at_the_second_node(self) -> None:
        """What the first one said, and how long that took; then the answer."""
        session = self.connect()
        self.one.teach(LIST, lambda asked: asked.error(Overloaded("too much")))
        self.hold()
        waiting = session.execute(LIST)
        self.reactor.settle()
        self.reactor.advance(0.5)
        self.let_go(self.one)
        self.reactor.settle()
        self.reactor.advance(0.25)
        self.let_go(self.two)
        first, second = self.answer(waiting).attempts
        self.assertEqual((first.node, str(first.error), first.duration), ("10.0.0.1:9042", "too much", 0.5))
        self.assertEqual(second, ("10.0.0.2:9042", None, 0.25))

    def test_a_node_that_could_not_be_asked(self) -> None:
        """It took no time."""
        session = self.connect(max_requests_per_connection=1)
        self.hold(self.one)
        waiting = session.execute(LIST)
        self.reactor.settle()
        result = self.answer(session.execute(LIST))
        self.assertEqual([attempt.node[:8] for attempt in result.attempts], ["10.0.0.1", "10.0.0.2"])
        self.assertEqual(result.attempts[0].duration, 0.0)
        self.assertIn("is busy", str(result.attempts[0].error))
        self.let_go()
        self.answer(waiting)

    def test_a_statement_that_was_forgotten(self) -> None:
        """The node was asked twice."""
        session = self.connect()
        select = self.answer(session.prepare(SELECT))
        self.one.prepared.clear()
        first, second = self.answer(session.execute(select, [1])).attempts
        self.assertIsInstance(first.error, Unprepared)
        self.assertEqual((first.node, second.node, second.error), (self.one.name, self.one.name, None))

    def test_errors(self) -> None:
        """They tell what was tried before."""
        session = self.connect()
        self.one.teach(LIST, lambda asked: asked.error(Overloaded("too much")))
        self.two.teach(LIST, lambda asked: asked.error(InvalidRequest("no")))
        error = self.error(session.execute(LIST), InvalidRequest)
        self.assertEqual(
            [(each.node, str(each.error)) for each in error.attempts], [(self.one.name, "too much")]
        )
        self.two.teach(LIST, lambda asked: asked.error(Overloaded("here too")))
        error = self.error(session.execute(LIST), NoNodeAvailable)
        self.assertEqual([str(each.error) for each in error.attempts], ["too much", "here too"])
        error = self.error(session.execute("never"), InvalidRequest)
        self.assertEqual(error.attempts, ())

    def test_deadline(self) -> None:
        """What was tried before it, too."""
        session = self.connect()
        self.one.teach(LIST, lambda asked: asked.error(Overloaded("too much")))
        self.hold(self.two)
        waiting = session.execute(LIST, timeout=1.0)
        self.reactor.settle()
        self.reactor.advance(1.1)
        error = self.error(waiting, RequestTimeout)
        self.assertEqual([each.node for each in error.attempts], [self.one.name])
        self.let_go()

    def test_an_error_that_is_ignored(self) -> None:
        """Nobody has answered."""

        class Ignoring:
            def decide(self, request: object, error: CQLError, attempt: int) -> RetryDecision:
                return RetryDecision("ignore")

        session = self.connect()
        late = WriteTimeout(
            "late", consistency="ONE", received=0, required=1, write_type="SIMPLE", contentions=None
        )
        self.one.teach(DELETE, lambda asked: asked.error(late))
        session._default = session._default._replace(
            policies=session._default.policies._replace(retry=Ignoring())
        )
        [attempt] = self.answer(session.execute(DELETE)).attempts
        self.assertIsInstance(attempt.error, WriteTimeout)

    def test_nothing_is_kept(self) -> None:
        """A result that took two attempts does not keep its request alive."""
        session = self.connect()
        self.one.teach(LIST, lambda asked: asked.error(Overloaded("too much")))
        made = []
        kind = session._statement_request

        def make(*about: object) -> object:
            request = kind(*about)
            made.append(weakref.ref(request.deferred))
            return request

        session._statement_request = make
        result = self.answer(session.execute(LIST))
        self.assertEqual(len(result.attempts), 2)
        gc.disable()
        try:
            self.reactor.settle()
            self.assertIsNone(made[0]())
        finally:
            gc.enable()


class SizeTests(RequestTestCase):
    """Bytes on the wire."""

    def test_sizes(self) -> None:
        """Header and body, of request and answer."""
        session = self.connect(protocol_version=4)
        result = self.answer(session.execute(DELETE))
        self.assertEqual(result.response_size, 9 + 4)
        self.assertGreater(result.request_size, 9 + 4 + len(DELETE))
        short, long = (self.answer(session.execute(INSERT, [1, text])) for text in ("", "x" * 1000))
        self.assertEqual(long.request_size - short.request_size, 1000)
        rows = self.answer(session.execute(LIST))
        self.assertEqual(rows.response_size, 9 + rows.body_size)
