"""Tests for :mod:`txcql.policies.loadbalancing`."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from txcql.interfaces import ILoadBalancingPolicy
from txcql.policies.loadbalancing import RoundRobinPolicy, WrappingPolicy
from txcql.test.policynodes import PolicyRequest, begin, names, nodes_of


class RoundRobinPolicyTests(SynchronousTestCase):
    """All nodes in turn."""

    def setUp(self) -> None:
        self.a, self.b, self.c = self.nodes = nodes_of(a="dc1", b="dc1", c="dc2")
        self.policy = begin(RoundRobinPolicy(), self.nodes)

    def plans(self, count: int) -> list[str]:
        return [names(self.policy.plan(PolicyRequest())) for _ in range(count)]

    def test_interface(self) -> None:
        """It is what applications may implement, too."""
        verifyObject(ILoadBalancingPolicy, self.policy)

    def test_distance(self) -> None:
        """Every node is local, whatever its data center."""
        self.assertEqual({self.policy.distance(node) for node in self.nodes}, {"local"})

    def test_turns(self) -> None:
        """Each plan begins one node further, and has all of them once."""
        self.assertEqual(self.plans(4), ["bca", "cab", "abc", "bca"])

    def test_up_and_down(self) -> None:
        """Only nodes that are up are in it, however often that is told."""
        self.policy.node_up(self.a)
        self.policy.node_down(self.b)
        self.policy.node_down(self.b)
        self.assertEqual(sorted(self.plans(2)), ["ac", "ca"])
        self.policy.node_down(self.c)
        self.policy.node_removed(self.c)
        self.assertEqual(self.plans(2), ["a", "a"])
        self.policy.node_down(self.a)
        self.assertEqual(self.plans(2), ["", ""])
        self.policy.node_up(self.b)
        self.assertEqual(self.plans(1), ["b"])

    def test_begun_plans(self) -> None:
        """A plan that has begun is not changed by what comes and goes."""
        plan = self.policy.plan(PolicyRequest())
        first = next(plan)
        self.policy.node_down(self.c)
        self.assertEqual(names([first, *plan]), "bca")

    def test_repr(self) -> None:
        """How many."""
        self.assertEqual(repr(self.policy), "<RoundRobinPolicy up=3>")


class WrappingPolicyTests(SynchronousTestCase):
    """A policy over another one."""

    def test_changes_nothing(self) -> None:
        """By itself it says what the other one says."""
        nodes = nodes_of(a="dc1", b="dc1")
        policy = begin(WrappingPolicy(RoundRobinPolicy()), nodes)
        verifyObject(ILoadBalancingPolicy, policy)
        self.assertEqual(names(policy.plan(PolicyRequest())), "ba")
        policy.node_down(nodes[0])
        policy.node_removed(nodes[0])
        self.assertEqual(names(policy.plan(PolicyRequest())), "b")
        self.assertEqual(repr(policy), "<WrappingPolicy <RoundRobinPolicy up=1>>")

    def test_what_it_builds_on(self) -> None:
        """Must be a policy."""
        with self.assertRaisesRegex(TypeError, "WrappingPolicy builds on an ILoadBalancingPolicy, got 5"):
            WrappingPolicy(5)
