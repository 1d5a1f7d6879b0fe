"""Tests for :mod:`txcql.policies.nodestates`."""

from __future__ import annotations

from twisted.internet.defer import CancelledError
from twisted.trial.unittest import SynchronousTestCase

from txcql.policies.nodestates import NodeLatency, NodeStates
from txcql.test.policynodes import PolicyNode


class NodeStatesTests(SynchronousTestCase):
    """A state for each node that is up."""

    def test_up_and_down(self) -> None:
        """Found by node and by name; a new one each time."""
        states = NodeStates(NodeLatency)
        node = PolicyNode("a")
        states.node_up(node)
        first = states.by_node[node]
        self.assertIs(states.by_name["a"], first)
        states.node_up(node)
        self.assertIsNot(states.by_node[node], first)
        states.node_down(node)
        states.node_down(node)
        self.assertEqual((states.by_node, states.by_name), ({}, {}))

    def test_moved(self) -> None:
        """A node that has another name by now is forgotten under its old one."""
        states = NodeStates(NodeLatency)
        one, two = PolicyNode("a"), PolicyNode("b")
        states.node_up(one)
        states.node_up(two)
        one.name, two.name = "b", "a"
        states.node_down(one)
        states.node_up(one)
        states.node_down(two)
        self.assertEqual(states.by_name, {"b": states.by_node[one]})


class NodeLatencyTests(SynchronousTestCase):
    """How fast a node answers."""

    def test_mean(self) -> None:
        """It follows what it hears."""
        latency = NodeLatency()
        latency.ended(0.1, None, 1.0)
        self.assertEqual((latency.mean, latency.count, latency.at), (0.1, 1, 1.0))
        for _ in range(100):
            latency.ended(0.3, None, 2.0)
        self.assertAlmostEqual(latency.mean, 0.3, 2)

    def test_given_up(self) -> None:
        """It would have taken longer: how much, nobody knows."""
        latency = NodeLatency()
        latency.ended(0.1, None, 1.0)
        latency.ended(0.05, CancelledError(), 2.0)
        self.assertEqual((latency.mean, latency.count, latency.at), (0.1, 1, 1.0))
        latency.ended(1.7, CancelledError(), 3.0)
        self.assertAlmostEqual(latency.mean, 0.2)
