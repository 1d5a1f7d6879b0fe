"""Tests for :mod:`txcql.policies.dcaware`."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from txcql.interfaces import ILoadBalancingPolicy
from txcql.policies.dcaware import DCAwarePolicy
from txcql.test.policynodes import PolicyRequest, begin, names, nodes_of


class DCAwarePolicyTests(SynchronousTestCase):
    """Two local nodes; two and one in two other data centers."""

    def setUp(self) -> None:
        self.nodes = nodes_of(a="dc1", b="dc1", c="dc2", d="dc2", e="dc3")
        self.a, self.b, self.c, self.d, self.e = self.nodes

    def begin(self, *arguments: Any, **options: Any) -> DCAwarePolicy:
        policy: DCAwarePolicy = begin(DCAwarePolicy(*arguments, **options), self.nodes)
        verifyObject(ILoadBalancingPolicy, policy)
        return policy

    def plan(self, policy: DCAwarePolicy, consistency: str = "ONE") -> str:
        return names(policy.plan(PolicyRequest(consistency=consistency)))

    def distances(self, policy: DCAwarePolicy) -> list[str]:
        return [f"{node.name} {policy.distance(node)}" for node in self.nodes]

    def test_local_only(self) -> None:
        """Without more being said, other data centers are ignored."""
        policy = self.begin()
        self.assertEqual([self.plan(policy) for _ in range(2)], ["ba", "ab"])
        self.assertEqual(
            self.distances(policy), ["a local", "b local", "c ignored", "d ignored", "e ignored"]
        )
        self.assertEqual(repr(policy), "<DCAwarePolicy dc1 up=2>")

    def test_given_datacenter(self) -> None:
        """One that is given wins over the session's."""
        self.assertEqual(sorted(self.plan(self.begin("dc2"))), ["c", "d"])

    def test_failover(self) -> None:
        """So many nodes of each other data center come last."""
        policy = self.begin(remote_nodes=1)
        self.assertEqual([self.plan(policy)[:2] for _ in range(2)], ["ba", "ab"])
        self.assertEqual(sorted(self.plan(policy)[2:]), ["c", "e"])
        self.assertEqual(self.distances(policy), ["a local", "b local", "c remote", "d ignored", "e remote"])
        for node in (self.a, self.b):
            policy.node_down(node)
        self.assertEqual([self.plan(policy) for _ in range(2)], ["ce", "ec"])
        self.assertEqual(repr(policy), "<DCAwarePolicy dc1 up=0 remote=2>")

    def test_local_consistency(self) -> None:
        """LOCAL_QUORUM in another data center is something else: only if that is allowed."""
        strict, lax = self.begin(remote_nodes=2), self.begin(remote_nodes=2, local_consistency=True)
        for level in ("LOCAL_ONE", "LOCAL_QUORUM", "LOCAL_SERIAL"):
            self.assertEqual(len(self.plan(strict, level)), 2)
            self.assertEqual(len(self.plan(lax, level)), 5)
        self.assertEqual(len(self.plan(strict, "QUORUM")), 5)

    def test_remote_node_that_goes_down(self) -> None:
        """Another one takes its place, and keeps it; if there is none it may come back."""
        policy = self.begin(remote_nodes=1)
        policy.node_down(self.c)
        policy.node_down(self.e)
        self.assertEqual(self.distances(policy)[2:], ["c ignored", "d remote", "e remote"])
        self.assertEqual(self.plan(policy)[2:], "d")
        policy.node_up(self.c)
        policy.node_up(self.e)
        self.assertEqual(sorted(self.plan(policy)[2:]), ["d", "e"])

    def test_remote_node_that_leaves(self) -> None:
        """It takes up no place any more."""
        policy = self.begin(remote_nodes=1)
        for node in (self.c, self.a):
            policy.node_down(node)
            policy.node_removed(node)
        self.assertEqual(policy.distance(self.d), "remote")
        self.assertEqual(self.plan(policy)[0], "b")
        self.assertEqual(sorted(self.plan(policy)[1:]), ["d", "e"])

    def test_bad_arguments(self) -> None:
        """They are refused at once."""
        self.assertRaisesRegex(TypeError, "datacenter must be a str, got 5", DCAwarePolicy, 5)
        for wrong in ("1", True):
            self.assertRaisesRegex(
                TypeError, "remote_nodes must be an int", DCAwarePolicy, remote_nodes=wrong
            )
        self.assertRaisesRegex(ValueError, "must not be negative, got -1", DCAwarePolicy, remote_nodes=-1)
