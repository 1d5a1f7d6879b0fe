"""Tests for :mod:`txcql.policies.rackaware`."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from txcql.interfaces import ILoadBalancingPolicy
from txcql.policies.dcaware import DCAwarePolicy
from txcql.policies.rackaware import RackAwarePolicy
from txcql.test.policynodes import PolicyRequest, begin, names, nodes_of


class RackAwarePolicyTests(SynchronousTestCase):
    """Two racks here, and a rack of the same name elsewhere."""

    def setUp(self) -> None:
        self.nodes = nodes_of(a="dc1/r1", b="dc1/r1", c="dc1/r2", d="dc1/r2", e="dc2/r1")

    def plans(self, policy: RackAwarePolicy, count: int = 4) -> list[str]:
        return [names(policy.plan(PolicyRequest(consistency="ONE"))) for _ in range(count)]

    def test_local_rack_first(self) -> None:
        """Its nodes in turn, then the others in turn, each once."""
        policy = begin(RackAwarePolicy(), self.nodes, rack="r1")
        verifyObject(ILoadBalancingPolicy, policy)
        plans = self.plans(policy)
        self.assertEqual({plan[:2] for plan in plans}, {"ab", "ba"})
        self.assertEqual({plan[2:] for plan in plans}, {"cd", "dc"})

    def test_remote_nodes(self) -> None:
        """A rack of that name in another data center is another rack."""
        policy = begin(RackAwarePolicy(DCAwarePolicy(remote_nodes=1)), self.nodes, rack="r1")
        self.assertEqual({plan[4:] for plan in self.plans(policy)}, {"e"})

    def test_given_rack(self) -> None:
        """One that is given wins over the session's."""
        policy = begin(RackAwarePolicy(rack="r2"), self.nodes, rack="r1")
        self.assertEqual({plan[:2] for plan in self.plans(policy)}, {"cd", "dc"})

    def test_no_rack(self) -> None:
        """Without one none comes first."""
        policy = begin(RackAwarePolicy(), self.nodes)
        self.assertEqual({plan[0] for plan in self.plans(policy)}, set("abcd"))

    def test_down(self) -> None:
        """Nodes that are down are left out; a rack without any is no rack."""
        policy = begin(RackAwarePolicy(), self.nodes, rack="r1")
        policy.node_down(self.nodes[0])
        self.assertEqual({plan[0] for plan in self.plans(policy)}, {"b"})
        self.assertEqual(repr(policy), "<RackAwarePolicy r1 up=1 <DCAwarePolicy dc1 up=3>>")
        policy.node_down(self.nodes[1])
        self.assertEqual(set(self.plans(policy)), {"cd", "dc"})

    def test_bad_arguments(self) -> None:
        """They are refused at once."""
        self.assertRaisesRegex(TypeError, "rack must be a str, got 5", RackAwarePolicy, rack=5)
