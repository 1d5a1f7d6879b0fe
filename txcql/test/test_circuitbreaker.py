"""Tests for :mod:`txcql.policies.circuitbreaker`."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, gatherResults
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from txcql import errors
from txcql.interfaces import IAttemptListener, ILoadBalancingPolicy
from txcql.policies import (
    AdaptiveLimitPolicy,
    CircuitBreakerPolicy,
    FallthroughRetryPolicy,
    PowerOfTwoPolicy,
    RoundRobinPolicy,
    SlowNodesLastPolicy,
)
from txcql.test.learningsession import READ, LearningSessionTestCase
from txcql.test.policynodes import PolicyNode, PolicyRequest, begin, names
from txcql.testing import Delay

LOST = errors.ConnectionLost("lost")


class CircuitBreakerTests(SynchronousTestCase):
    """By itself, with two nodes; four attempts are looked at, and half of them are too many."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.nodes = [PolicyNode("a"), PolicyNode("b")]

    def policy(self, **about: Any) -> CircuitBreakerPolicy:
        about = {"attempts": 4, "cooldown": 1.0, "longest": 3.0, **about}
        policy = CircuitBreakerPolicy(self.clock, RoundRobinPolicy(), **about)
        begin(policy, self.nodes)
        return policy

    def tell(self, policy: CircuitBreakerPolicy, node: str, *ends: Any) -> None:
        for error in ends:
            policy.attempt_begun(node)
            policy.attempt_ended(node, 0.1, error)

    def plan(self, policy: CircuitBreakerPolicy) -> str:
        return "".join(sorted(names(policy.plan(PolicyRequest()))))

    def test_opens(self) -> None:
        """When half of four attempts have failed, whichever they are; until then nothing happens."""
        policy = self.policy()
        verifyObject(ILoadBalancingPolicy, policy)
        verifyObject(IAttemptListener, policy)
        self.tell(policy, "a", LOST, LOST, None)
        self.assertEqual(self.plan(policy), "ab")
        self.tell(policy, "a", None)
        self.assertEqual(policy.open, ["a"])
        self.assertEqual(self.plan(policy), "b")
        self.tell(policy, "b", None, None, None, LOST, None, None, None, LOST)
        self.assertEqual(policy.open, ["a"])

    def test_harmless(self) -> None:
        """Errors that are not the node's, and what was given up, count for nothing."""
        policy = self.policy()
        self.tell(policy, "a", *[errors.InvalidRequest("no such table"), CancelledError()] * 10)
        self.tell(policy, "a", errors.Unavailable("few", consistency="ONE", required=1, alive=0))
        self.assertEqual(policy.open, [])

    def test_each_failure(self) -> None:
        """What counts."""
        for error in (
            LOST,
            errors.InternalServerError("defect"),
            errors.IsBootstrapping("starting"),
            errors.Overloaded("too much"),
            errors.RequestTimeout("late"),
        ):
            policy = self.policy()
            self.tell(policy, "a", *[error] * 4)
            self.assertEqual(policy.open, ["a"], error)

    def test_closes(self) -> None:
        """One request is a trial; if it is answered, the node is used again."""
        policy = self.policy()
        self.tell(policy, "a", *[LOST] * 4)
        self.clock.advance(0.9)
        self.tell(policy, "a", None)
        self.assertEqual(self.plan(policy), "b", "what was under way proves nothing")
        self.clock.advance(0.2)
        self.assertEqual(self.plan(policy), "ab")
        self.assertEqual(self.plan(policy), "b")
        self.tell(policy, "a", errors.InvalidRequest("no such table"))
        self.assertEqual(policy.open, ["a"])
        self.tell(policy, "a", None)
        self.assertEqual(self.plan(policy), "ab")
        self.assertEqual(self.plan(policy), "ab")

    def test_failed_trial(self) -> None:
        """The next comes after twice the time, up to the longest; one that is lost, after the same."""
        policy = self.policy()
        self.tell(policy, "a", *[LOST] * 4)
        for wait in (1.0, 2.0, 3.0, 3.0):
            self.clock.advance(wait - 0.01)
            self.assertEqual(self.plan(policy), "b")
            self.clock.advance(0.02)
            self.assertEqual(self.plan(policy), "ab")
            self.tell(policy, "a", LOST)
        self.clock.advance(3.0)
        self.assertEqual(self.plan(policy), "ab")
        self.clock.advance(2.9)
        self.assertEqual(self.plan(policy), "b")
        self.clock.advance(0.2)
        self.assertEqual(self.plan(policy), "ab")

    def test_all_open(self) -> None:
        """The plan says when which node is tried again."""
        policy = self.policy()
        self.tell(policy, "a", *[LOST] * 4)
        self.clock.advance(0.5)
        self.tell(policy, "b", *[LOST] * 4)
        error = self.assertRaises(errors.NoNodeAvailable, list, policy.plan(PolicyRequest()))
        self.assertRegex(str(error), "the circuit of every node is open: .*a \\(tried again in 0.5 s\\)")
        self.assertEqual(error.delivery, "not sent")

    def test_down(self) -> None:
        """A node that comes back begins anew."""
        policy = self.policy()
        self.tell(policy, "a", *[LOST] * 4)
        policy.node_down(self.nodes[0])
        self.tell(policy, "a", *[LOST] * 4)
        policy.node_up(self.nodes[0])
        self.assertEqual(policy.open, [])
        self.assertEqual(self.plan(policy), "ab")

    def test_bad_arguments(self) -> None:
        """They are refused at once."""
        for text, about in (
            ("attempts must be", {"attempts": 0}),
            ("share must be", {"share": 0}),
            ("0 < cooldown <= longest", {"cooldown": 5.0}),
        ):
            self.assertRaisesRegex(ValueError, text, self.policy, **about)

    def test_repr(self) -> None:
        """How many are open."""
        policy = self.policy()
        self.tell(policy, "b", *[LOST] * 4)
        self.assertEqual(repr(policy), "<CircuitBreakerPolicy open=1 <RoundRobinPolicy up=2>>")


class CircuitBreakerSessionTests(LearningSessionTestCase):
    """Through a session, with two nodes."""

    def test_left_alone(self) -> None:
        """A node that fails inside is asked no more, until a trial finds it well."""
        policy = CircuitBreakerPolicy(self.reactor, attempts=4, cooldown=2.0)
        self.open(load_balancing=policy)
        bad, good = self.cluster.nodes
        rule = self.cluster.inject(errors.InternalServerError("defect"), match=READ, node=bad)
        self.assertEqual(set(self.read_often(100)), {self.name(good)})
        self.assertEqual(policy.open, [self.name(bad)])
        failed = len(rule.requests)
        self.assertLess(failed, 20)
        self.read_often(50)
        self.assertEqual(len(rule.requests), failed)
        self.reactor.advance(2.1)
        self.read_often(50)
        self.assertEqual(len(rule.requests), failed + 1)
        self.cluster.clear()
        self.reactor.advance(4.1)
        self.assertEqual(set(self.read_often(100)), {self.name(bad), self.name(good)})
        self.assertEqual(policy.open, [])

    def test_nothing_left(self) -> None:
        """With every circuit open, requests fail without a wait."""
        policy = CircuitBreakerPolicy(self.reactor, attempts=4, cooldown=2.0)
        self.open(load_balancing=policy)
        self.cluster.inject(errors.InternalServerError("defect"), match=READ)
        for _ in range(40):
            self.read()
        self.cluster.requests.clear()
        self.assertIn("the circuit of every node is open", str(self.read()))
        self.assertEqual(self.cluster.requests.matching(READ), [])

    def test_over_others(self) -> None:
        """Policies that learn go on top of each other; each hears of every attempt, and all obey."""
        slow = SlowNodesLastPolicy(self.reactor, minimum=10)
        policy = CircuitBreakerPolicy(self.reactor, PowerOfTwoPolicy(self.reactor, slow), attempts=4)
        limit = AdaptiveLimitPolicy(self.reactor, policy, initial=8, least=2)
        self.open(load_balancing=limit, retry=FallthroughRetryPolicy())
        bad, good = self.cluster.nodes
        self.cluster.inject(errors.Overloaded("too much"), match=READ, node=bad)
        self.cluster.inject(Delay(0.1), match=READ, node=good)
        for _ in range(40):
            self.read()
        self.assertEqual(policy.open, [self.name(bad)])
        self.assertLess(limit.limits[self.name(bad)], 8)
        waiting = [self.session.execute(READ, [1]) for _ in range(limit.limits[self.name(good)])]
        self.failureResultOf(self.session.execute(READ, [1]), errors.BusyConnectionError)
        answered = self.run_(gatherResults(waiting))
        self.assertEqual({result.coordinator for result in answered}, {self.name(good)})
