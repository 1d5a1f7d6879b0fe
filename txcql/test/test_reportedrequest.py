"""Tests for :mod:`txcql.session.reportedrequest`."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, gatherResults
from zope.interface import implementer

from txcql import Profile, errors
from txcql.interfaces import IAttemptListener
from txcql.policies import (
    ConstantSpeculativeExecutionPolicy,
    DefaultRetryPolicy,
    RackAwarePolicy,
    RetryBudgetPolicy,
    TokenAwarePolicy,
)
from txcql.session.requestloggers import SlowQueryLogger
from txcql.session.statementrequest import StatementRequest
from txcql.test.learningsession import READ, WRITE, LearningSessionTestCase
from txcql.testing import Close, Delay, Drop


@implementer(IAttemptListener)
class Diary(DefaultRetryPolicy):
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.ended: list[tuple[str, float, Any]] = []

    def attempt_begun(self, node: str) -> None:
        self.begun.append(node)

    def attempt_ended(self, node: str, seconds: float, error: Any) -> None:
        self.ended.append((node, round(seconds, 3), type(error).__name__ if error is not None else "ok"))


class Broken(Diary):
    """Fails at whatever it is told."""

    def attempt_begun(self, node: str) -> None:
        raise ZeroDivisionError

    def attempt_ended(self, node: str, seconds: float, error: Any) -> None:
        raise ZeroDivisionError


class ReportedRequestTests(LearningSessionTestCase):
    """One node; what a policy hears of each attempt."""

    nodes = 1

    def setUp(self) -> None:
        LearningSessionTestCase.setUp(self)
        self.diary = Diary()

    def open(self, **settings: Any) -> Any:
        settings.setdefault("retry", self.diary)
        session = LearningSessionTestCase.open(self, **settings)
        self.diary.begun.clear()
        self.diary.ended.clear()
        return session

    def outcomes(self) -> list[tuple[float, str]]:
        """How each attempt ended, which has begun once."""
        self.assertEqual(sorted(self.diary.begun), sorted(node for node, _, _ in self.diary.ended))
        return [(seconds, outcome) for _, seconds, outcome in self.diary.ended]

    def test_answered(self) -> None:
        """With a result, at that node; before the application is told."""
        self.open()
        self.cluster.inject(Delay(0.25), match=READ)
        told = self.session.execute(READ, [1]).addCallback(lambda result: list(self.diary.ended))
        self.assertEqual(self.run_(told), [(self.name(self.cluster.nodes[0]), 0.25, "ok")])
        self.assertEqual(self.outcomes(), [(0.25, "ok")])

    def test_failures(self) -> None:
        """Errors of the server, lost links, read timeouts: each attempt once."""
        self.open()
        for fault, outcome in (
            (errors.InvalidRequest("wrong"), (0.0, "InvalidRequest")),
            (errors.Overloaded("too much"), (0.0, "Overloaded")),
            (Close(), (0.0, "ConnectionLost")),
            (Drop(), (5.0, "RequestTimeout")),
        ):
            self.diary.begun.clear()
            self.diary.ended.clear()
            self.cluster.inject(fault, match=READ, times=1)
            self.assertIsInstance(self.read(idempotent=False), errors.CQLError)
            # Behind a lost link the statements are prepared again.
            self.assertEqual(self.outcomes()[0], outcome)
            self.reactor.advance(1)

    def test_given_up(self) -> None:
        """The deadline is a timeout; what is cancelled, or cut off by the end of the session, is given up."""
        session = self.open()
        self.cluster.inject(Drop(), match=READ)
        self.assertIsInstance(self.read(timeout=0.5), errors.RequestTimeout)
        waiting = session.execute(READ, [1])
        self.reactor.settle()
        self.reactor.advance(0.25)
        waiting.cancel()
        self.failureResultOf(waiting, CancelledError)
        last = session.execute(READ, [1])
        self.reactor.settle()
        self.reactor.advance(0.125)
        self.run_(session.close())
        self.failureResultOf(last, errors.SessionClosed)
        self.assertEqual(
            self.outcomes(), [(0.55, "RequestTimeout"), (0.25, "CancelledError"), (0.125, "CancelledError")]
        )

    def test_queued(self) -> None:
        """What waits in the queue is under way; its time is that at the node."""
        self.open(max_requests_per_connection=2, max_connections_local=1)
        self.cluster.inject(Delay(0.5), match=READ)
        waiting = [self.session.execute(READ, [1]) for _ in range(2)]
        self.assertEqual(len(self.diary.begun), 2)
        self.run_(gatherResults(waiting))
        self.assertEqual(self.outcomes(), [(0.5, "ok")] * 2)

    def test_prepared_again(self) -> None:
        """The attempt, the PREPARE and the next attempt."""
        self.open()
        self.cluster.nodes[0].forget_prepared()
        self.read()
        self.assertEqual(self.outcomes(), [(0.0, "Unprepared"), (0.0, "ok"), (0.0, "ok")])

    def test_batches_and_bulk(self) -> None:
        """They are told of as well."""
        session = self.open()
        self.run_(session.execute_many(WRITE, [(number, "x") for number in range(5)]))
        self.assertEqual(self.outcomes(), [(0.0, "ok")] * 5)

    def test_defects(self) -> None:
        """What a policy raises is logged, and harms nothing."""
        self.open(retry=Broken())
        self.assertEqual(self.read().one().v, "one")
        self.assertTrue(self.flushLoggedErrors(ZeroDivisionError))

    def test_with_observers(self) -> None:
        """Both are told."""
        self.open(observers=[SlowQueryLogger(0.1)])
        self.assertEqual(self.read().one().v, "one")
        self.assertEqual(self.outcomes(), [(0.0, "ok")])

    def test_where_policies_are_found(self) -> None:
        """In profiles, and below other policies; each is told once."""

        @implementer(IAttemptListener)
        class Listening(RackAwarePolicy):
            attempt_begun = attempt_ended = None

        diary, listening = self.diary, Listening()
        budget = RetryBudgetPolicy(self.reactor, diary, ConstantSpeculativeExecutionPolicy(1.0))
        session = self.open(
            retry=budget,
            speculative=budget,
            profiles={"other": Profile(load_balancing=TokenAwarePolicy(listening), retry=diary)},
        )
        self.assertEqual(set(session.attempt_listeners), {budget, diary, listening})
        self.flushLoggedErrors()

    def test_unused(self) -> None:
        """Without such a policy requests are what they always were."""
        session = self.open(retry=None)
        self.assertIs(session._statement_request, StatementRequest)
        self.read()
        self.assertEqual(self.diary.begun, [])
