"""Tests for :mod:`txcql.policies.poweroftwo`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from txcql.interfaces import IAttemptListener, ILoadBalancingPolicy
from txcql.policies import PowerOfTwoPolicy, RoundRobinPolicy
from txcql.test.learningsession import READ, LearningSessionTestCase
from txcql.test.policynodes import PolicyRequest, begin, names, nodes_of
from txcql.testing import Delay


@implementer(ILoadBalancingPolicy)
class AsTold(RoundRobinPolicy):
    """Each plan is the same."""

    def plan(self, request: Any) -> Iterator[Any]:
        return iter(self._up)


class PowerOfTwoTests(SynchronousTestCase):
    """By itself; each plan of the other policy begins with a and b."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.nodes = nodes_of(a="dc1/r1", b="dc1/r1", c="dc1/r1")
        self.policy = begin(PowerOfTwoPolicy(self.clock, AsTold()), self.nodes)

    def tell(self, node: str, seconds: float) -> None:
        self.policy.attempt_begun(node)
        self.policy.attempt_ended(node, seconds, None)

    def plan(self, owners: str = "abc") -> str:
        request = PolicyRequest([node for node in self.nodes if node.name in owners])
        return names(self.policy.plan(request))

    def test_faster_first(self) -> None:
        """By latency, times what is in flight."""
        verifyObject(ILoadBalancingPolicy, self.policy)
        verifyObject(IAttemptListener, self.policy)
        self.assertEqual(self.plan(), "abc")
        self.tell("a", 0.02)
        self.tell("b", 0.01)
        self.assertEqual(self.plan(), "bac")
        self.policy.attempt_begun("b")
        self.assertEqual(self.plan(), "abc")
        self.policy.attempt_begun("a")
        self.assertEqual(self.plan(), "bac")

    def test_not_heard_of(self) -> None:
        """A node has its turn again after a second, one request at a time."""
        self.tell("a", 5.0)
        self.tell("b", 0.01)
        self.assertEqual(self.plan(), "bac")
        self.clock.advance(1.1)
        self.tell("b", 0.01)
        self.assertEqual(self.plan(), "abc")
        self.policy.attempt_begun("a")
        self.assertEqual(self.plan(), "bac")

    def test_unlike(self) -> None:
        """Other racks, data centers, and nodes that are no replicas, are not chosen for being fast."""
        self.tell("a", 0.02)
        self.tell("b", 0.01)
        self.assertEqual(self.plan("a"), "abc")
        self.assertEqual(self.plan("c"), "bac")
        self.nodes[1].rack = "r2"
        self.assertEqual(self.plan(), "bac")
        self.policy.start("dc1", "r1")
        self.assertEqual(self.plan(), "abc")
        self.nodes[1].rack = "r1"
        self.nodes[1].datacenter = "dc2"
        self.assertEqual(self.plan(), "abc")

    def test_few_nodes(self) -> None:
        """One, and none."""
        self.policy.node_down(self.nodes[2])
        self.policy.node_down(self.nodes[1])
        self.tell("b", 1.0)
        self.assertEqual(self.plan(), "a")
        self.policy.node_down(self.nodes[0])
        self.assertEqual(self.plan(), "")

    def test_bad_arguments(self) -> None:
        """They are refused at once."""
        self.assertRaisesRegex(
            ValueError, "retry_period must be", PowerOfTwoPolicy, self.clock, retry_period=0
        )
        self.assertRaisesRegex(TypeError, "builds on", PowerOfTwoPolicy, self.clock, 5)

    def test_repr(self) -> None:
        """With what it builds on."""
        policy = PowerOfTwoPolicy(self.clock, RoundRobinPolicy())
        self.assertEqual(repr(policy), "<PowerOfTwoPolicy <RoundRobinPolicy up=0>>")


class PowerOfTwoSessionTests(LearningSessionTestCase):
    """Through a session, with three replicas, one of which is slow."""

    nodes = 3

    def test_slow_replica(self) -> None:
        """It is asked now and then."""
        self.open(load_balancing=PowerOfTwoPolicy(self.reactor))
        slow = self.cluster.nodes[1]
        for node in self.cluster.nodes:
            self.cluster.inject(Delay(0.2 if node is slow else 0.005), match=READ, node=node)
        self.read_often(10)
        answered = Counter(self.read_often(300))
        self.assertLess(answered[self.name(slow)], 15)
        self.assertEqual(len(answered), 3)
