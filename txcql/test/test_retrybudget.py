"""Tests for :mod:`txcql.policies.retrybudget`."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import gatherResults
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from txcql import errors
from txcql.interfaces import IAttemptListener, IGuardedSpeculativeExecutionPolicy, IRetryPolicy
from txcql.policies import (
    NEXT_NODE,
    RAISE,
    ConstantSpeculativeExecutionPolicy,
    FallthroughRetryPolicy,
    RetryBudgetPolicy,
)
from txcql.test.learningsession import READ, LearningSessionTestCase
from txcql.test.policynodes import PolicyRequest
from txcql.testing import Drop

LOST = errors.ConnectionLost("lost")


class RetryBudgetTests(SynchronousTestCase):
    """By itself, on a clock that is moved by hand."""

    def setUp(self) -> None:
        self.clock = Clock()

    def policy(self, *policies: Any, **about: Any) -> RetryBudgetPolicy:
        return RetryBudgetPolicy(
            self.clock, *policies, **{"share": 0.5, "per_second": 0.0, "burst": 2, **about}
        )

    def decisions(self, policy: RetryBudgetPolicy, count: int) -> list[str]:
        return [policy.decide(PolicyRequest(), LOST, 1).action for _ in range(count)]

    def test_spent(self) -> None:
        """Each retry costs one; when none is left, the error is raised."""
        policy = self.policy()
        for interface in (IRetryPolicy, IGuardedSpeculativeExecutionPolicy, IAttemptListener):
            verifyObject(interface, policy)
        self.assertEqual(self.decisions(policy, 3), ["next", "next", "raise"])
        self.assertEqual(policy.left, 0.0)

    def test_earned(self) -> None:
        """Answers earn their share, and no more than the burst is saved; failures earn nothing."""
        policy = self.policy()
        self.decisions(policy, 2)
        policy.attempt_ended("a", 0.1, LOST)
        self.assertEqual(policy.left, 0.0)
        policy.attempt_ended("a", 0.1, None)
        self.assertEqual(self.decisions(policy, 1), ["raise"])
        policy.attempt_ended("a", 0.1, None)
        self.assertEqual(self.decisions(policy, 2), ["next", "raise"])
        for _ in range(100):
            policy.attempt_ended("a", 0.1, None)
        self.assertEqual(policy.left, 2.0)

    def test_earned_by_time(self) -> None:
        """A program with few requests has retries, too."""
        policy = self.policy(per_second=0.25)
        self.decisions(policy, 2)
        self.clock.advance(3)
        self.assertEqual(self.decisions(policy, 1), ["raise"])
        self.clock.advance(1)
        self.assertEqual(self.decisions(policy, 2), ["next", "raise"])

    def test_raised_anyway(self) -> None:
        """What the other policy does not repeat costs nothing."""
        policy = self.policy(FallthroughRetryPolicy())
        self.assertEqual(policy.decide(PolicyRequest(), LOST, 1), RAISE)
        self.assertEqual(policy.left, 2.0)
        self.assertEqual(self.policy().decide(PolicyRequest(), LOST, 1), NEXT_NODE)

    def test_speculative(self) -> None:
        """A further execution costs one when it begins, not when it is thought of."""
        policy = self.policy(None, ConstantSpeculativeExecutionPolicy(0.1))
        request = PolicyRequest()
        self.assertEqual(policy.delay(request, 1), 0.1)
        self.assertEqual(policy.left, 2.0)
        self.assertEqual([policy.begins(request, 1) for _ in range(3)], [True, True, False])
        self.assertEqual(self.decisions(policy, 1), ["raise"])
        self.assertIsNone(self.policy().delay(request, 1))

    def test_budget_of_a_budget(self) -> None:
        """Both have to have something left."""
        inner = self.policy(None, ConstantSpeculativeExecutionPolicy(0.1), burst=1)
        policy = self.policy(None, inner)
        self.assertEqual([policy.begins(PolicyRequest(), 1) for _ in range(2)], [True, False])
        self.assertEqual(policy.left, 1.0)

    def test_bad_arguments(self) -> None:
        """They are refused at once."""
        self.assertRaisesRegex(TypeError, "retry must provide IRetryPolicy, got 5", self.policy, 5)
        self.assertRaisesRegex(TypeError, "speculative must provide", self.policy, None, 5)
        for name, value in (("share", -0.1), ("per_second", float("nan")), ("burst", 0)):
            self.assertRaisesRegex(ValueError, f"{name} must", self.policy, **{name: value})

    def test_repr(self) -> None:
        """What is left."""
        self.assertEqual(repr(self.policy()), "<RetryBudgetPolicy left=2.0 <DefaultRetryPolicy> None>")


class RetryBudgetSessionTests(LearningSessionTestCase):
    """Through a session, with two nodes."""

    def test_retries_are_few(self) -> None:
        """In an outage, they are no more than the burst allows; the other requests are sent once."""
        budget = RetryBudgetPolicy(self.reactor, burst=5, per_second=0.0)
        self.open(retry=budget)
        self.cluster.inject(errors.Overloaded("too much"), match=READ)
        outcomes = [self.read() for _ in range(20)]
        self.assertTrue(all(isinstance(outcome, errors.CQLError) for outcome in outcomes))
        # A retry that finds no further node is paid for, too.
        self.assertEqual(len(self.cluster.requests.matching(READ)), 23)
        self.assertLess(budget.left, 1.0)

    def test_retries_are_a_share(self) -> None:
        """Those that are answered pay for the others."""
        budget = RetryBudgetPolicy(self.reactor, burst=2, per_second=0.0, share=0.1)
        self.open(retry=budget)
        self.cluster.inject(errors.Overloaded("too much"), match=READ, probability=0.5, seed=3)
        answered = sum(not isinstance(self.read(), errors.CQLError) for _ in range(300))
        retries = len(self.cluster.requests.matching(READ)) - 300
        self.assertGreater(retries, 10)
        self.assertLessEqual(retries, 2 + answered * 0.1)

    def test_speculative_executions(self) -> None:
        """They spend the same budget."""
        budget = RetryBudgetPolicy(
            self.reactor, None, ConstantSpeculativeExecutionPolicy(0.1), burst=3, per_second=0.0
        )
        self.open(retry=budget, speculative=budget)
        self.cluster.inject(Drop(), match=READ, node=self.cluster.nodes[0])
        self.cluster.inject(Drop(), match=READ, node=self.cluster.nodes[1])
        waiting = [self.session.execute(READ, [1], timeout=1.0) for _ in range(10)]
        ended = self.run_(gatherResults([one.addErrback(lambda failure: failure.value) for one in waiting]))
        self.assertEqual({type(error) for error in ended}, {errors.RequestTimeout})
        self.assertEqual(len(self.cluster.requests.matching(READ)), 13)
