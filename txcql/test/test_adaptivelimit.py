"""Tests for :mod:`txcql.policies.adaptivelimit`."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import gatherResults
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from txcql import errors
from txcql.interfaces import IAttemptListener, ILoadBalancingPolicy
from txcql.policies import AdaptiveLimitPolicy, RoundRobinPolicy
from txcql.test.learningsession import READ, LearningSessionTestCase
from txcql.test.policynodes import PolicyNode, PolicyRequest, begin, names
from txcql.testing import Delay

OVERLOADED = errors.Overloaded("too much")


class AdaptiveLimitTests(SynchronousTestCase):
    """By itself, with two nodes."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.nodes = [PolicyNode("a"), PolicyNode("b")]

    def policy(self, **about: Any) -> AdaptiveLimitPolicy:
        about = {"initial": 10, "least": 2, "most": 12, "backoff": 0.5, **about}
        policy = AdaptiveLimitPolicy(self.clock, RoundRobinPolicy(), **about)
        begin(policy, self.nodes)
        return policy

    def use(self, policy: AdaptiveLimitPolicy, node: str, count: int) -> None:
        for _ in range(count):
            policy.attempt_begun(node)

    def round(self, policy: AdaptiveLimitPolicy, count: int, seconds: float, error: Any = None) -> None:
        self.use(policy, "a", count)
        for _ in range(count):
            policy.attempt_ended("a", seconds, error)

    def test_full(self) -> None:
        """A node with no room is left out; if none has any, the plan says how much is in flight."""
        policy = self.policy()
        verifyObject(ILoadBalancingPolicy, policy)
        verifyObject(IAttemptListener, policy)
        self.use(policy, "a", 9)
        self.assertEqual(sorted(names(policy.plan(PolicyRequest()))), ["a", "b"])
        self.use(policy, "a", 1)
        self.assertEqual(names(policy.plan(PolicyRequest())), "b")
        self.use(policy, "b", 10)
        error = self.assertRaises(errors.BusyConnectionError, list, policy.plan(PolicyRequest()))
        self.assertEqual((error.in_flight, error.limit, error.reason), (10, 10, "adaptive"))
        policy.attempt_ended("a", 0.1, None)
        self.assertEqual(names(policy.plan(PolicyRequest())), "a")

    def test_no_node(self) -> None:
        """A plan without nodes is no plan of busy ones."""
        policy = begin(AdaptiveLimitPolicy(self.clock, RoundRobinPolicy()), [])
        self.assertEqual(names(policy.plan(PolicyRequest())), "")

    def test_grows(self) -> None:
        """By one a round, if it is made use of, up to the most."""
        policy = self.policy()
        self.round(policy, 3, 0.1)
        self.assertEqual(policy.limits, {"a": 10, "b": 10})
        self.round(policy, 10, 0.1)
        self.assertEqual(policy.limits["a"], 10)
        for _ in range(10):
            self.round(policy, 12, 0.1)
        self.assertEqual(policy.limits["a"], 12)

    def test_overloaded(self) -> None:
        """Half of it, once for all that was sent before; never below the least."""
        policy = self.policy()
        self.round(policy, 10, 0.001, OVERLOADED)
        self.assertEqual(policy.limits, {"a": 5, "b": 10})
        for _ in range(5):
            self.clock.advance(1)
            self.round(policy, 1, 5.0, errors.RequestTimeout("late"))
        self.assertEqual(policy.limits["a"], 2)

    def test_other_errors(self) -> None:
        """They say nothing of what the node can take."""
        policy = self.policy()
        self.round(policy, 10, 0.001, errors.InvalidRequest("no such table"))
        self.assertEqual(policy.limits["a"], 10)

    def test_slower(self) -> None:
        """Three times slower than it was is too much; always as slow is not."""
        policy = self.policy()
        self.round(policy, 400, 0.01)
        self.assertEqual(policy.limits["a"], 12)
        for _ in range(20):
            self.round(policy, 3, 0.011)
        self.assertEqual(policy.limits["a"], 12)
        self.round(policy, 40, 0.1)
        self.assertEqual(policy.limits["a"], 6)

    def test_down(self) -> None:
        """It is forgotten; what was under way then counts for nothing."""
        policy = self.policy()
        self.use(policy, "a", 10)
        policy.node_down(self.nodes[0])
        self.assertEqual(policy.limits, {"b": 10})
        policy.attempt_ended("a", 0.1, OVERLOADED)
        policy.node_up(self.nodes[0])
        policy.attempt_ended("a", 0.1, OVERLOADED)
        self.assertEqual(policy.limits, {"b": 10, "a": 10})
        self.use(policy, "a", 10)
        self.assertEqual(names(policy.plan(PolicyRequest())), "b")

    def test_bad_arguments(self) -> None:
        """They are refused at once."""
        for text, about in (
            ("least <= initial", {"initial": 1}),
            ("backoff must be", {"backoff": 1}),
            ("tolerance must be", {"tolerance": 1}),
        ):
            self.assertRaisesRegex(ValueError, text, self.policy, **about)
        self.assertRaisesRegex(TypeError, "builds on", AdaptiveLimitPolicy, self.clock, 5)

    def test_repr(self) -> None:
        """What is in flight, of how much."""
        policy = self.policy()
        self.use(policy, "b", 3)
        self.assertEqual(repr(policy), "<AdaptiveLimitPolicy a=0/10 b=3/10 <RoundRobinPolicy up=2>>")


class AdaptiveLimitSessionTests(LearningSessionTestCase):
    """Through a session, with one node."""

    nodes = 1

    def adaptive(self, **about: Any) -> AdaptiveLimitPolicy:
        policy = AdaptiveLimitPolicy(self.reactor, initial=8, least=2, **about)
        self.open(load_balancing=policy, throw_on_overload=True)
        return policy

    def test_limit(self) -> None:
        """The ninth of eight fails at once; answers make room, and everything that ends is counted out."""
        policy = self.adaptive()
        self.cluster.inject(Delay(0.5), match=READ)
        waiting = [self.session.execute(READ, [1]) for _ in range(8)]
        error = self.failureResultOf(self.session.execute(READ, [1]), errors.BusyConnectionError).value
        self.assertEqual((error.reason, error.in_flight, error.delivery), ("adaptive", 8, "not sent"))
        waiting.pop().addErrback(lambda failure: None).cancel()
        late = self.session.execute(READ, [1], timeout=0.2)
        self.run_(gatherResults(waiting))
        self.failureResultOf(late, errors.RequestTimeout)
        self.assertIn("=0/", repr(policy))

    def test_overloaded(self) -> None:
        """The limit is cut by what the node answers."""
        policy = self.adaptive()
        before = policy.limits
        self.cluster.inject(errors.Overloaded("too much"), match=READ, times=1)
        self.read()
        [(name, limit)] = policy.limits.items()
        self.assertLess(limit, before[name])

    def test_bulk(self) -> None:
        """It waits for room, and leaves no row out."""
        policy = self.adaptive()
        self.cluster.inject(Delay(0.01), match="INSERT INTO ks.t (k, v) VALUES (?, ?)")
        rows = [(number, "x") for number in range(200)]
        many = self.session.execute_many("INSERT INTO ks.t (k, v) VALUES (?, ?)", rows)
        self.assertEqual(len(self.run_(many)), 200)
        self.assertIn("=0/", repr(policy))

    def test_bulk_without_a_place(self) -> None:
        """While others have all the room, it looks again and again; it can be given up."""
        self.adaptive()
        self.cluster.inject(Delay(1.0), match=READ)
        waiting = [self.session.execute(READ, [1]) for _ in range(8)]
        rows = [(number, "x") for number in range(20)]
        many = self.session.execute_many("INSERT INTO ks.t (k, v) VALUES (?, ?)", rows)
        given_up = self.session.execute_many("INSERT INTO ks.t (k, v) VALUES (?, ?)", rows)
        self.reactor.advance(0.5)
        self.assertNoResult(many)
        given_up.addErrback(lambda failure: None).cancel()
        self.run_(gatherResults(waiting))
        self.assertEqual(len(self.run_(many)), 20)
