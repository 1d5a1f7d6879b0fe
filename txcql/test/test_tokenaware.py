"""Tests for :mod:`txcql.policies.tokenaware`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from txcql.interfaces import ILoadBalancingPolicy
from txcql.policies.dcaware import DCAwarePolicy
from txcql.policies.rackaware import RackAwarePolicy
from txcql.policies.tokenaware import TokenAwarePolicy
from txcql.test.policynodes import PolicyNode, PolicyRequest, begin, names, nodes_of


class TokenAwarePolicyTests(SynchronousTestCase):
    """Five local nodes in two racks, one remote."""

    def setUp(self) -> None:
        self.nodes = nodes_of(a="dc1/r1", b="dc1/r1", c="dc1/r2", d="dc1/r2", e="dc1/r2", f="dc2/r1")

    def request(self, owners: str, **about: Any) -> PolicyRequest:
        return PolicyRequest([node for node in self.nodes if node.name in owners], **about)

    def plans(self, policy: TokenAwarePolicy, owners: str, count: int = 100) -> list[str]:
        return [names(policy.plan(self.request(owners, consistency="ONE"))) for _ in range(count)]

    def test_replicas_first(self) -> None:
        """In each order about as often as in any other; then the others, each once."""
        policy = begin(TokenAwarePolicy(), self.nodes)
        verifyObject(ILoadBalancingPolicy, policy)
        plans = self.plans(policy, "acd", 600)
        orders = Counter(plan[:3] for plan in plans)
        self.assertEqual(set(orders), {"acd", "adc", "cad", "cda", "dac", "dca"})
        self.assertTrue(all(count > 50 for count in orders.values()), orders)
        self.assertEqual({plan[3:] for plan in plans}, {"be", "eb"})

    def test_local_rack_first(self) -> None:
        """Replicas of the local rack, the other replicas, the rack, the rest."""
        policy = begin(TokenAwarePolicy(RackAwarePolicy(DCAwarePolicy(remote_nodes=1))), self.nodes, "r2")
        plans = self.plans(policy, "acd")
        self.assertEqual({plan[:2] for plan in plans}, {"cd", "dc"})
        self.assertEqual({plan[2:] for plan in plans}, {"aebf"})

    def test_remote_replicas(self) -> None:
        """They do not come before local nodes."""
        policy = begin(TokenAwarePolicy(DCAwarePolicy(remote_nodes=1)), self.nodes)
        for plan in self.plans(policy, "af"):
            self.assertEqual((plan[0], plan[-1], sorted(plan)), ("a", "f", list("abcdef")))

    def test_in_ring_order(self) -> None:
        """Without shuffling."""
        policy = begin(TokenAwarePolicy(shuffle=False), self.nodes)
        self.assertEqual({plan[:3] for plan in self.plans(policy, "acd")}, {"acd"})

    def test_unknown_partition(self) -> None:
        """The other policy decides."""
        policy = begin(TokenAwarePolicy(), self.nodes)
        self.assertEqual({plan[0] for plan in self.plans(policy, "")}, set("abcde"))

    def test_down(self) -> None:
        """A replica that is down is left out; if all are, the other policy decides."""
        policy = begin(TokenAwarePolicy(), self.nodes)
        policy.node_down(self.nodes[0])
        self.assertEqual({plan[0] for plan in self.plans(policy, "ac")}, {"c"})
        self.assertEqual({plan[0] for plan in self.plans(policy, "a")}, set("bcde"))

    def test_one_node(self) -> None:
        """Where there is no choice, nobody asks for replicas."""
        policy = begin(TokenAwarePolicy(), self.nodes[:1])
        request = self.request("a")
        self.assertEqual(names(policy.plan(request)), "a")
        self.assertEqual(request.asked, 0)

    def test_one_node_of_several(self) -> None:
        """What is left when others are down, or there is none; a remote node still comes behind it."""
        policy = begin(TokenAwarePolicy(), self.nodes[:2])
        policy.node_down(self.nodes[1])
        self.assertEqual(self.plans(policy, "ab", 2), ["a", "a"])
        policy.node_down(self.nodes[0])
        policy.node_removed(self.nodes[0])
        self.assertEqual(self.plans(policy, "ab", 2), ["", ""])
        policy.node_up(self.nodes[1])
        policy.node_up(self.nodes[2])
        self.assertEqual({plan[0] for plan in self.plans(policy, "")}, {"b", "c"})
        reserve = TokenAwarePolicy(RackAwarePolicy(DCAwarePolicy(remote_nodes=1)))
        self.assertEqual(self.plans(begin(reserve, [self.nodes[0], self.nodes[5]]), "a", 2), ["af", "af"])
        reserve.node_down(self.nodes[5])
        self.assertEqual(self.plans(reserve, "a", 2), ["a", "a"])

    def test_one_node_and_a_policy_of_its_own(self) -> None:
        """Nothing is assumed of a policy that is not known: it is asked for each plan."""

        class Twice(DCAwarePolicy):
            def plan(self, request: Any) -> Iterator[Any]:
                return iter([*DCAwarePolicy.plan(self, request)] * 2)

        for child in (Twice(), RackAwarePolicy(Twice())):
            policy = begin(TokenAwarePolicy(child), self.nodes[:1])
            self.assertEqual(self.plans(policy, "a", 2), ["aa", "aa"])

    def test_lazy(self) -> None:
        """Replicas are asked for with the first node, and no more nodes are looked at than are taken."""
        nodes = [PolicyNode(f"n{number}") for number in range(1000)]
        policy = begin(TokenAwarePolicy(), nodes)
        request = PolicyRequest(nodes[5:8])
        plan = policy.plan(request)
        self.assertEqual(request.asked, 0)
        self.assertIn(next(plan), nodes[5:8])
        self.assertEqual(request.asked, 1)
        self.assertEqual(len({next(plan) for _ in range(500)}), 500)

    def test_bad_arguments(self) -> None:
        """They are refused at once."""
        self.assertRaisesRegex(TypeError, "rack must be a str, got 5", TokenAwarePolicy, rack=5)
        self.assertRaisesRegex(TypeError, "builds on an ILoadBalancingPolicy", TokenAwarePolicy, "dc1")

    def test_repr(self) -> None:
        """With what it builds on."""
        policy = begin(TokenAwarePolicy(DCAwarePolicy()), self.nodes)
        self.assertEqual(repr(policy), "<TokenAwarePolicy up=5 <DCAwarePolicy dc1 up=5>>")
