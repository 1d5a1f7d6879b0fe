"""Tests for :mod:`txcql.policies.loadbalancing`."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from txcql.interfaces import ILoadBalancingPolicy
from txcql.policies.loadbalancing import RoundRobinPolicy


class RoundRobinPolicyTests(SynchronousTestCase):
    """Nodes are names here: the policy asks nothing of them."""

    def setUp(self) -> None:
        self.policy = RoundRobinPolicy()
        for node in "abc":
            self.policy.node_up(node)

    def plans(self, count: int) -> list[str]:
        return ["".join(self.policy.plan()) for _ in range(count)]

    def test_interface(self) -> None:
        """It is what applications may implement, too."""
        verifyObject(ILoadBalancingPolicy, self.policy)

    def test_turns(self) -> None:
        """Each plan begins one node further, and has all of them once."""
        self.assertEqual(self.plans(4), ["bca", "cab", "abc", "bca"])

    def test_up_and_down(self) -> None:
        """Only nodes that are up are in it, however often that is told."""
        self.policy.node_up("a")
        self.policy.node_down("b")
        self.policy.node_down("b")
        self.policy.node_down("d")
        self.assertEqual(sorted(self.plans(2)), ["ac", "ca"])
        self.policy.node_down("c")
        self.assertEqual(self.plans(2), ["a", "a"])
        self.policy.node_down("a")
        self.assertEqual(self.plans(2), ["", ""])
        self.policy.node_up("b")
        self.assertEqual(self.plans(1), ["b"])

    def test_begun_plans(self) -> None:
        """A plan that has begun is not changed by what comes and goes."""
        plan = self.policy.plan()
        first = next(plan)
        self.policy.node_down("c")
        self.policy.node_up("d")
        self.assertEqual([first, *plan], ["b", "c", "a"])

    def test_repr(self) -> None:
        """How many."""
        self.assertEqual(repr(self.policy), "<RoundRobinPolicy up=3>")
