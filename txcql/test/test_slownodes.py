"""Tests for :mod:`txcql.policies.slownodes`."""

from __future__ import annotations

from collections import Counter
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from txcql.interfaces import IAttemptListener, ILoadBalancingPolicy
from txcql.policies import RoundRobinPolicy, SlowNodesLastPolicy
from txcql.test.learningsession import READ, LearningSessionTestCase
from txcql.test.policynodes import PolicyNode, PolicyRequest, begin, names
from txcql.testing import Delay


class SlowNodesLastTests(SynchronousTestCase):
    """By itself, with three nodes."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.nodes = [PolicyNode("a"), PolicyNode("b"), PolicyNode("c")]

    def policy(self, **about: Any) -> SlowNodesLastPolicy:
        about = {"minimum": 10, "retry_period": 5.0, **about}
        policy = SlowNodesLastPolicy(self.clock, RoundRobinPolicy(), **about)
        begin(policy, self.nodes)
        return policy

    def tell(self, policy: SlowNodesLastPolicy, count: int, **seconds: float) -> None:
        for _ in range(count):
            self.clock.advance(0.01)
            for node, took in seconds.items():
                policy.attempt_begun(node)
                policy.attempt_ended(node, took, None)

    def plans(self, policy: SlowNodesLastPolicy) -> set[str]:
        return {names(policy.plan(PolicyRequest())) for _ in range(3)}

    def test_slow_last(self) -> None:
        """Three times slower than the fastest; as fast again, it is among the others."""
        policy = self.policy()
        verifyObject(ILoadBalancingPolicy, policy)
        verifyObject(IAttemptListener, policy)
        self.tell(policy, 30, a=0.01, b=0.031, c=0.029)
        self.assertEqual(policy.slow, ["b"])
        self.assertEqual({plan[-1] for plan in self.plans(policy)}, {"b"})
        self.tell(policy, 60, a=0.01, b=0.01, c=0.01)
        self.assertEqual(policy.slow, [])
        self.assertEqual(self.plans(policy), {"abc", "bca", "cab"})

    def test_too_few_answers(self) -> None:
        """A node is judged when it has given some."""
        policy = self.policy()
        self.tell(policy, 30, a=0.01, c=0.01)
        self.tell(policy, 9, b=1.0)
        self.tell(policy, 20, a=0.01)
        self.assertEqual(policy.slow, [])

    def test_all_fast(self) -> None:
        """Below a limit nobody is slow."""
        policy = self.policy()
        self.tell(policy, 30, a=0.0001, b=0.001, c=0.0001)
        self.assertEqual(policy.slow, [])

    def test_another_chance(self) -> None:
        """One request, each time that it has not been heard of for a while."""
        policy = self.policy()
        self.tell(policy, 30, a=0.01, b=0.5, c=0.01)
        for _ in range(3):
            self.assertEqual({plan[-1] for plan in self.plans(policy)}, {"b"})
            self.clock.advance(5.1)
            self.assertEqual(len([plan for plan in self.plans(policy) if plan[-1] != "b"]), 1)

    def test_down(self) -> None:
        """It begins anew."""
        policy = self.policy()
        self.tell(policy, 30, a=0.01, b=0.5, c=0.01)
        policy.node_down(self.nodes[1])
        self.tell(policy, 1, b=0.5)
        policy.node_up(self.nodes[1])
        self.assertEqual(policy.slow, [])

    def test_bad_arguments(self) -> None:
        """They are refused at once."""
        for name, value in (("threshold", 1), ("least", -1), ("minimum", 0), ("retry_period", 0)):
            self.assertRaisesRegex(ValueError, f"{name} must", self.policy, **{name: value})
        self.assertRaisesRegex(TypeError, "builds on", SlowNodesLastPolicy, self.clock, 5)

    def test_repr(self) -> None:
        """How many are slow."""
        policy = self.policy()
        self.tell(policy, 30, a=0.01, b=0.5, c=0.01)
        self.assertEqual(repr(policy), "<SlowNodesLastPolicy slow=1 <RoundRobinPolicy up=3>>")


class SlowNodesLastSessionTests(LearningSessionTestCase):
    """Through a session, with three replicas, one of which is slow."""

    nodes = 3

    def test_slow_replica(self) -> None:
        """When that is known, it is asked once in ten seconds."""
        policy = SlowNodesLastPolicy(self.reactor, minimum=10)
        self.open(load_balancing=policy)
        slow = self.cluster.nodes[1]
        for node in self.cluster.nodes:
            self.cluster.inject(Delay(0.2 if node is slow else 0.005), match=READ, node=node)
        self.read_often(100)
        self.assertEqual(policy.slow, [self.name(slow)])
        answered = Counter(self.read_often(1000))
        self.assertEqual(answered[self.name(slow)], 0)
        self.reactor.advance(10)
        self.assertEqual(Counter(self.read_often(100))[self.name(slow)], 1)
