"""Tests for :mod:`txcql.session.clusterview`."""

from __future__ import annotations

import ipaddress
import uuid
from typing import Any

from zope.interface import implementer

from txcql.errors import ConnectionLost, NoNodeAvailable
from txcql.interfaces import ILoadBalancingPolicy
from txcql.policies.loadbalancing import RoundRobinPolicy
from txcql.test.scriptednode import ScriptedTestCase, columns

LIST = "SELECT k, v FROM t"


@implementer(ILoadBalancingPolicy)
class Diary(RoundRobinPolicy):
    """Writes down what it is told."""

    def __init__(self) -> None:
        RoundRobinPolicy.__init__(self)
        self.told: list[str] = []

    def node_up(self, node: Any) -> None:
        self.told.append(f"up {node.name}")
        RoundRobinPolicy.node_up(self, node)

    def node_down(self, node: Any) -> None:
        self.told.append(f"down {node.name}")
        RoundRobinPolicy.node_down(self, node)


class ViewTestCase(ScriptedTestCase):
    """Two nodes."""

    def setUp(self) -> None:
        ScriptedTestCase.setUp(self)
        self.one, self.two = self.node("10.0.0.1"), self.node("10.0.0.2")
        self.policy = Diary()

    def connect(self, *points: Any, **settings: Any) -> Any:
        settings.setdefault("load_balancing", self.policy)
        return ScriptedTestCase.connect(self, *points, **settings)

    def nodes(self) -> dict[str, str]:
        assert self.session is not None
        nodes = self.session.snapshot()["nodes"]
        return {name: node["state"] for name, node in nodes.items()}


class TopologyTests(ViewTestCase):
    """Which nodes there are."""

    def test_partial_rows(self) -> None:
        """A row of a node that is coming or going lacks something: it is left out."""
        complete = {
            "peer": ipaddress.ip_address("10.0.0.9"),
            "native_address": ipaddress.ip_address("10.0.0.9"),
            "native_port": 9042,
            "host_id": uuid.UUID(int=9),
            "data_center": "dc1",
            "rack": "r1",
            "tokens": {"1"},
        }
        for name in ("host_id", "data_center", "rack", "tokens"):
            self.one.odd_peers.append({**complete, name: None})
        self.one.odd_peers.append({**complete, "native_address": None, "peer": None})
        self.connect()
        self.assertEqual(list(self.nodes()), ["10.0.0.1:9042", "10.0.0.2:9042"])

    def test_unspecified_address(self) -> None:
        """0.0.0.0 is no address to connect to: its peer address is."""
        self.one.odd_peers.append(
            {
                "peer": ipaddress.ip_address("10.0.0.3"),
                "native_address": ipaddress.ip_address("0.0.0.0"),
                "native_port": 9043,
                "host_id": uuid.UUID(int=9),
                "data_center": "dc1",
                "rack": "r1",
                "tokens": {"1"},
            }
        )
        self.connect()
        self.assertIn("10.0.0.3:9043", self.nodes())

    def test_before_4_0(self) -> None:
        """Without peers_v2 there is system.peers; the port is that of the contact points."""
        for node in (self.one, self.two):
            node.old = True
        self.reactor.nodes = {(address, 9999): node for (address, _), node in self.reactor.nodes.items()}
        self.connect("10.0.0.1:9999", protocol_version=4)
        self.assertEqual(self.nodes(), {"10.0.0.1:9999": "up", "10.0.0.2:9999": "up"})

    def test_ipv6(self) -> None:
        """An IPv6 address has brackets in its name."""
        self.node("::5")
        self.connect()
        self.assertEqual(self.nodes()["[::5]:9042"], "up")
        self.assertIn("::5:9042", self.reactor.dialled)

    def test_node_that_left(self) -> None:
        """When another node no longer lists it, its links are closed and the policy is told."""
        session = self.connect()
        three = self.node("10.0.0.3")
        self.two.peers.remove(self.one)
        self.policy.told.clear()
        self.one.links[0].drop()
        self.reactor.settle()
        self.assertEqual(self.nodes(), {"10.0.0.2:9042": "up", "10.0.0.3:9042": "up"})
        self.assertEqual(self.policy.told, ["down 10.0.0.1:9042", "up 10.0.0.3:9042"])
        self.assertEqual((self.one.links, len(three.links)), ([], 1))
        self.assertEqual(repr(session), "<Session v5 nodes=2 keyspace=None requests=0>")

    def test_close_waits_for_it(self) -> None:
        """close() waits for the links of a node that has left, too."""
        session = self.connect()
        self.two.peers.remove(self.one)
        self.one.never_closes = True
        self.one.links[0].drop()
        self.reactor.settle()
        self.assertEqual(len(self.one.links), 1)
        closing = session.close()
        self.reactor.settle()
        self.assertNoResult(closing)
        self.reactor.advance(2.0)
        self.answer(closing)
        self.assert_nothing_left()


class PolicyTests(ViewTestCase):
    """What the policy is told."""

    def test_up_and_down(self) -> None:
        """Each change once."""
        self.connect(core_connections=2)
        self.assertEqual(sorted(self.policy.told), ["up 10.0.0.1:9042", "up 10.0.0.2:9042"])
        self.policy.told.clear()
        self.two.stop()
        self.reactor.pump([1.0] * 4)
        self.assertEqual(self.policy.told, ["down 10.0.0.2:9042"])
        self.two.refusing = False
        self.reactor.pump([1.0] * 4)
        self.assertEqual(self.policy.told, ["down 10.0.0.2:9042", "up 10.0.0.2:9042"])

    def test_one_link_of_two(self) -> None:
        """A node is up as long as it has a ready link."""
        self.connect(core_connections=2)
        self.policy.told.clear()
        self.two.links[0].drop()
        self.reactor.settle()
        self.assertEqual(self.policy.told, [])

    def test_defects(self) -> None:
        """A policy that raises is logged, and harms nothing."""

        class Broken(Diary):
            def node_up(self, node: Any) -> None:
                Diary.node_up(self, node)
                raise RuntimeError("up")

            def node_down(self, node: Any) -> None:
                Diary.node_down(self, node)
                raise RuntimeError("down")

        session = self.connect(load_balancing=Broken())
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 2)
        self.two.stop()
        self.reactor.settle()
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        self.two.refusing = False
        self.reactor.advance(1.0)
        self.reactor.settle()
        self.assertEqual(self.nodes(), {"10.0.0.1:9042": "up", "10.0.0.2:9042": "up"})
        self.answer(session.close())
        self.flushLoggedErrors(RuntimeError)


class ReasonTests(ViewTestCase):
    """Why there is no node."""

    def test_why_down(self) -> None:
        """Each node's last error, with its name once."""
        self.one.teach(LIST, columns=columns(k="int"))
        session = self.connect()
        for node in (self.one, self.two):
            node.stop()
        self.reactor.settle()
        self.reactor.settle()
        self.assertEqual(
            session.why_down(), "10.0.0.1:9042 refused the connection; 10.0.0.2:9042 refused the connection"
        )
        error = self.error(session.execute(LIST), NoNodeAvailable)
        self.assertEqual(str(error), "no node is up: " + session.why_down())

    def test_reasons_without_a_name(self) -> None:
        """A server's own sentence gets the node's name in front."""
        session = self.connect(keyspace="ks")
        for node in (self.one, self.two):
            node.stop()
            node.refusing = False
            node.keyspaces = ()
        self.reactor.advance(1.0)
        self.reactor.settle()
        self.assertEqual(
            session.why_down(),
            '10.0.0.1:9042: keyspace "ks" does not exist; 10.0.0.2:9042: keyspace "ks" does not exist',
        )

    def test_connection_lost(self) -> None:
        """The errors of the pools say what happened."""
        session = self.connect()
        pools = list(session.pools.values())
        for node in (self.one, self.two):
            for link in list(node.links):
                link.drop()
        self.reactor.advance(0)
        self.assertEqual([pool.up for pool in pools], [True, True])
        self.assertIsNone(pools[0].error)
        self.one.stop()
        self.reactor.settle()
        self.assertIsInstance(pools[0].error, ConnectionLost)
