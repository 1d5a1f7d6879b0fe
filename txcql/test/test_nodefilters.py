"""Tests for :mod:`txcql.policies.nodefilters`."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from txcql.interfaces import ILoadBalancingPolicy
from txcql.policies.loadbalancing import RoundRobinPolicy
from txcql.policies.nodefilters import AllowListPolicy, DenyListPolicy, FilterPolicy
from txcql.test.policynodes import PolicyNode, PolicyRequest, begin


class NodeFilterTests(SynchronousTestCase):
    """Three nodes, one of which has an IPv6 address."""

    def setUp(self) -> None:
        self.nodes = [
            PolicyNode(name, rack=rack)
            for name, rack in (("10.0.0.1:9042", "r1"), ("10.0.0.1:9043", "r2"), ("[::1]:9042", "r2"))
        ]

    def used(self, policy: Any) -> list[str]:
        begin(policy, self.nodes)
        verifyObject(ILoadBalancingPolicy, policy)
        used = {node.name for node in policy.plan(PolicyRequest())}
        self.assertEqual(
            used, {node.name for node in self.nodes if policy.distance(node) == "local"}, "links to these"
        )
        self.assertEqual({policy.distance(node) for node in self.nodes} - {"local", "ignored"}, set())
        for node in self.nodes:
            policy.node_down(node)
            policy.node_removed(node)
        self.assertEqual(list(policy.plan(PolicyRequest())), [])
        return sorted(used)

    def test_by_function(self) -> None:
        """Whatever it says of a node."""
        policy = FilterPolicy(lambda node: node.rack == "r2", RoundRobinPolicy())
        self.assertEqual(self.used(policy), ["10.0.0.1:9043", "[::1]:9042"])
        self.assertEqual(self.used(FilterPolicy(lambda node: node.rack == "r1")), ["10.0.0.1:9042"])

    def test_allow_list(self) -> None:
        """By host and port, or by host alone."""
        self.assertEqual(self.used(AllowListPolicy(["10.0.0.1:9043"])), ["10.0.0.1:9043"])
        self.assertEqual(self.used(AllowListPolicy(["10.0.0.1"])), ["10.0.0.1:9042", "10.0.0.1:9043"])
        for name in ("::1", "[::1]", "[::1]:9042"):
            self.assertEqual(self.used(AllowListPolicy([name])), ["[::1]:9042"])
        self.assertEqual(self.used(AllowListPolicy([])), [])

    def test_deny_list(self) -> None:
        """All but these."""
        self.assertEqual(self.used(DenyListPolicy(["10.0.0.1"])), ["[::1]:9042"])
        self.assertEqual(self.used(DenyListPolicy({"10.0.0.1:9042", "::1"})), ["10.0.0.1:9043"])

    def test_bad_arguments(self) -> None:
        """They are refused at once."""
        self.assertRaisesRegex(TypeError, "accepts must be callable, got 5", FilterPolicy, 5)
        self.assertRaisesRegex(TypeError, "got the str '10.0.0.1'", AllowListPolicy, "10.0.0.1")
        self.assertRaisesRegex(TypeError, "a node is named by a str, got 5", DenyListPolicy, [5])
