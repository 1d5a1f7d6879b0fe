"""Tests for :mod:`txcql.cluster.poolmanager`."""

from __future__ import annotations

import uuid
from ipaddress import ip_address
from typing import Any

from zope.interface import implementer

from txcql.interfaces import ILoadBalancingPolicy
from txcql.policies.loadbalancing import RoundRobinPolicy
from txcql.test.scriptednode import ScriptedTestCase, columns
from txcql.wire.events import StatusChange, TopologyChange

LIST = "SELECT k FROM t"


@implementer(ILoadBalancingPolicy)
class Moody(RoundRobinPolicy):
    """Says of each node what the test says."""

    def __init__(self) -> None:
        RoundRobinPolicy.__init__(self)
        self.moods: dict[str, Any] = {}
        self.asked: list[str] = []

    def distance(self, node: Any) -> Any:
        self.asked.append(node.name)
        mood = self.moods.get(node.name, "local")
        if mood == "broken":
            raise RuntimeError(mood)
        return mood


class DistanceTests(ScriptedTestCase):
    """Three nodes, and a policy that changes its mind."""

    def setUp(self) -> None:
        ScriptedTestCase.setUp(self)
        self.cluster = [self.node(f"10.0.0.{digit}") for digit in (1, 2, 3)]
        self.one, self.two, self.three = self.cluster
        self.policy = Moody()

    def connect(self, *points: Any, **settings: Any) -> Any:
        return ScriptedTestCase.connect(self, *points, load_balancing=self.policy, **settings)

    def think_again(self) -> None:
        """Something happens for which the policy is asked anew."""
        self.reactor.advance(1.5)
        self.one.tell(TopologyChange("NEW_NODE", ip_address("10.0.0.9"), 9042))
        self.one.odd_peers = [
            {
                "peer": ip_address("10.0.0.9"),
                "native_address": ip_address("10.0.0.9"),
                "native_port": 9042,
                "host_id": uuid.uuid4(),
                "data_center": "dc9",
                "rack": "r1",
                "tokens": {"9"},
            }
        ]
        self.policy.moods["10.0.0.9:9042"] = "ignored"
        self.reactor.settle()

    def distances(self) -> list[tuple[str, int]]:
        assert self.session is not None
        nodes = self.session.snapshot()["nodes"]
        return [(nodes[node.name]["distance"], len(node.links)) for node in self.cluster]

    def test_changes(self) -> None:
        """A node that is ignored from now on has no links; one that is not any more has."""
        self.policy.moods["10.0.0.3:9042"] = "ignored"
        self.connect()
        self.assertEqual(self.distances(), [("local", 2), ("local", 1), ("ignored", 0)])
        self.policy.moods = {"10.0.0.2:9042": "ignored", "10.0.0.3:9042": "remote"}
        self.think_again()
        self.assertEqual(self.distances(), [("local", 2), ("ignored", 0), ("remote", 1)])

    def test_what_is_under_way(self) -> None:
        """Requests of a node that is ignored from now on are answered all the same."""
        for node in self.cluster:
            node.teach(LIST, columns=columns(k="int"))
        session = self.connect()
        self.two.holds = lambda asked: True
        waiting = [session.execute(LIST) for _ in range(3)]
        self.reactor.settle()
        self.policy.moods["10.0.0.2:9042"] = "ignored"
        self.think_again()
        self.assertEqual(self.distances()[1], ("ignored", 1))
        self.two.release()
        for deferred in waiting:
            self.answer(deferred)
        self.assertEqual(self.distances()[1], ("ignored", 0))

    def test_broken(self) -> None:
        """A policy that raises is logged; the node stays as it was."""
        self.connect()
        self.policy.moods["10.0.0.2:9042"] = "broken"
        self.think_again()
        self.assertEqual(self.distances()[1], ("local", 1))
        self.assertGreaterEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        del self.policy.moods["10.0.0.2:9042"]

    def test_asked_together(self) -> None:
        """When many nodes go down in one turn, the policy is asked once for each."""
        self.connect()
        self.policy.asked.clear()
        for node in (self.two, self.three):
            node.stop()
        self.reactor.settle()
        self.assertEqual(sorted(self.policy.asked), [node.name for node in self.cluster])

    def test_agreement_without_those_that_are_down(self) -> None:
        """The schema of a node without links that others call down is waited for by nobody."""
        self.policy.moods["10.0.0.3:9042"] = "ignored"
        ddl = "CREATE TABLE t (k int PRIMARY KEY)"
        for node in self.cluster:
            node.teach(ddl, lambda asked: asked.schema_changed())
        session = self.connect()
        self.three.schema_version = uuid.uuid4()
        changed = session.execute(ddl)
        self.reactor.settle()
        self.assertNoResult(changed)
        self.one.tell(StatusChange("DOWN", ip_address("10.0.0.3"), 9042))
        self.reactor.advance(0.2)
        self.assertTrue(self.answer(changed).schema_agreement)
        self.one.tell(StatusChange("UP", ip_address("10.0.0.3"), 9042))
        self.reactor.settle()
        self.assertEqual(session._view._manager.told_down, set())
