"""Tests for :mod:`txcql.cluster.membership`."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from ipaddress import ip_address
from typing import Any

from twisted.internet.defer import Deferred, fail
from zope.interface import implementer

from txcql.cluster.membership import Membership
from txcql.interfaces import IAddressTranslator
from txcql.policies.addresstranslation import FixedAddressTranslator, SubnetAddressTranslator
from txcql.test.scriptednode import ScriptedNode, ScriptedTestCase
from txcql.wire.events import StatusChange, TopologyChange


@implementer(IAddressTranslator)
class Translator:
    """Translates as a test says; notes what it was asked."""

    def __init__(self, translate: Callable[[str, int], Any]) -> None:
        self.asked: list[str] = []
        self._translate = translate

    def translate(self, host: str, port: int) -> Any:
        self.asked.append(host)
        return self._translate(host, port)


class MembershipTestCase(ScriptedTestCase):
    """Nodes that say they are in 10.0.0.0/24, and are reached at 192.0.2.0/24."""

    def setUp(self) -> None:
        ScriptedTestCase.setUp(self)
        self.nodes = [self.hidden_node(f"10.0.0.{digit}") for digit in (1, 2, 3)]
        self.one, self.two, self.three = self.nodes

    def hidden_node(self, address: str) -> ScriptedNode:
        node = self.node(address)
        del self.reactor.nodes[address, 9042]
        self.reactor.nodes[address.replace("10.0.0", "192.0.2"), 9042] = node
        return node

    def known(self) -> dict[str, bool]:
        assert self.session is not None
        return {node.name: node.up for node in self.session.nodes}

    @property
    def membership(self) -> Membership:
        assert self.session is not None
        return self.session._view._watch.membership


def outside(host: str, port: int) -> tuple[str, int]:
    return host.replace("10.0.0", "192.0.2"), port


EVERYWHERE = {f"192.0.2.{digit}:9042": True for digit in (1, 2, 3)}


class TranslationTests(MembershipTestCase):
    """Where nodes are, if that is not where they say they are."""

    def test_at_once(self) -> None:
        """A table is asked for each peer; the node that answered is where it answered."""
        translator = Translator(outside)
        self.connect("192.0.2.1", address_translator=translator)
        self.assertEqual(self.known(), EVERYWHERE)
        self.assertEqual(translator.asked, ["10.0.0.2", "10.0.0.3"])

    def test_later(self) -> None:
        """One that has to ask somebody is waited for."""
        waiting: list[tuple[Deferred[Any], str, int]] = []

        def translate(host: str, port: int) -> Deferred[Any]:
            deferred: Deferred[Any] = Deferred()
            waiting.append((deferred, host, port))
            return deferred

        connecting = self.connecting("192.0.2.1", address_translator=Translator(translate))
        self.assertNoResult(connecting)
        self.assertEqual(len(waiting), 2)
        for deferred, host, port in waiting:
            deferred.callback(outside(host, port))
        self.session = self.answer(connecting)
        self.assertEqual(self.known(), EVERYWHERE)

    def test_never(self) -> None:
        """One that does not answer holds up connect() for two seconds; the node then keeps its address."""
        connecting = self.connecting("192.0.2.1", address_translator=Translator(lambda *_: Deferred()))
        self.reactor.advance(1.9)
        self.assertNoResult(connecting)
        self.reactor.advance(0.1)
        self.session = self.answer(connecting)
        self.assertEqual(self.known(), {"192.0.2.1:9042": True})
        self.reactor.advance(3.0)
        self.reactor.settle()
        self.assertEqual(list(self.known()), ["192.0.2.1:9042", "10.0.0.2:9042", "10.0.0.3:9042"])

    def test_fails(self) -> None:
        """The node keeps the address that it says; which is logged."""

        def translate(host: str, port: int) -> Any:
            if host == "10.0.0.2":
                return fail(LookupError("nobody knows"))
            if host == "10.0.0.3":
                raise ZeroDivisionError
            return host, port

        self.connect("192.0.2.1", address_translator=Translator(translate))
        self.assertEqual(list(self.known()), ["192.0.2.1:9042", "10.0.0.2:9042", "10.0.0.3:9042"])

    def test_asked_again(self) -> None:
        """While a node cannot be reached, the translation may change; its pool goes along."""
        self.connect("192.0.2.1", address_translator=Translator(outside))
        session = self.session
        assert session is not None
        self.two.stop()
        self.reactor.settle()
        del self.reactor.nodes["192.0.2.2", 9042]
        self.reactor.nodes["192.0.2.99", 9042] = self.two
        self.two.refusing = False
        translator = Translator(lambda host, port: ("192.0.2.99", port))
        self.membership._translator = translator
        self.answer(session.cluster.refresh())
        self.assertEqual(translator.asked, ["10.0.0.2"])
        self.reactor.advance(1.0)
        self.reactor.settle()
        self.assertEqual(
            self.known(), {"192.0.2.1:9042": True, "192.0.2.99:9042": True, "192.0.2.3:9042": True}
        )

    def test_events(self) -> None:
        """Events name nodes by the addresses that they say."""
        self.connect("192.0.2.1", address_translator=Translator(outside))
        self.two.stop()
        self.reactor.pump([1.0] * 20)
        self.two.refusing = False
        self.one.tell(StatusChange("UP", ip_address("10.0.0.2"), 9042))
        self.reactor.settle()
        self.assertEqual(self.known(), EVERYWHERE)

    def test_fixed(self) -> None:
        """The translators that come with the driver."""
        table = FixedAddressTranslator({"10.0.0.2": "192.0.2.2", "10.0.0.3": "192.0.2.3"})
        self.connect("192.0.2.1", address_translator=table)
        self.assertEqual(self.known(), EVERYWHERE)

    def test_behind_one_address(self) -> None:
        """Several nodes may be behind one address: each is a node, and has links there."""
        self.reactor.nodes["192.0.2.9", 9042] = self.two
        subnets = SubnetAddressTranslator({"10.0.0.0/24": "192.0.2.9"})
        session = self.connect("192.0.2.1", address_translator=subnets)
        self.assertEqual(
            list(session.snapshot()["nodes"]),
            ["192.0.2.1:9042", "192.0.2.9:9042", f"192.0.2.9:9042 {self.three.host_id}"],
        )
        self.assertEqual([node.up for node in session.nodes], [True] * 3)
        self.assertEqual(len(self.two.links), 2)

    def test_no_translator(self) -> None:
        """What is none is refused by the settings."""
        error = self.assertRaises(TypeError, self.connecting, address_translator=outside)
        self.assertIn("address_translator must provide IAddressTranslator", str(error))

    def test_closed_meanwhile(self) -> None:
        """Nothing is left of translations under way."""
        cancelled: list[Deferred[Any]] = []
        translator = Translator(lambda *_: Deferred(cancelled.append))
        connecting = self.connecting("192.0.2.1", address_translator=translator)
        connecting.cancel()
        self.failureResultOf(connecting)
        self.reactor.settle()
        self.assertEqual(len(cancelled), 2)
        self.assert_nothing_left()


class ManyTests(ScriptedTestCase):
    """A thousand nodes, of which one can be reached."""

    def setUp(self) -> None:
        ScriptedTestCase.setUp(self)
        self.one = self.node("10.0.0.1", token="0")
        self.one.odd_peers = [
            {
                "peer": ip_address(0x0A010000 + number),
                "native_address": ip_address(0x0A010000 + number),
                "native_port": 9042,
                "host_id": uuid.UUID(int=number + 1),
                "data_center": "dc1",
                "rack": "r1",
                "tokens": {str(number), str(-number)},
            }
            for number in range(1, 1000)
        ]

    def test_unreachable(self) -> None:
        """They do not hold up connect() for more than two seconds; then attempts go on, a few at a time."""
        silent = ScriptedNode(self.reactor, "10.1.0.0", silent=True)
        for number in range(1, 1000):
            self.reactor.nodes[str(ip_address(0x0A010000 + number)), 9042] = silent
        connecting = self.connecting("10.0.0.1")
        self.reactor.advance(1.99)
        self.assertNoResult(connecting)
        self.reactor.advance(0.02)
        self.session = self.answer(connecting)
        self.assertEqual(len(self.session.nodes), 1000)
        self.assertEqual(len(self.reactor.dialled), 2 + 32)
        self.assertEqual(len(self.session.cluster.token_map.tokens), 1 + 2 * 999)
        up = [node.name for node in self.session.nodes if node.up]
        self.assertEqual(up, ["10.0.0.1:9042"])

    def test_control_connection(self) -> None:
        """When the one is lost, a round tries the contact points and some of the others."""
        self.session = self.answer(self.connecting("10.0.0.1"))
        self.one.stop()
        for pool in self.session.pools.values():
            pool.close()
        self.reactor.settle()
        self.reactor.dialled.clear()
        self.reactor.advance(1.0)
        self.reactor.settle()
        self.assertEqual(len(self.reactor.dialled), 17)
        self.assertEqual(self.reactor.dialled[0], "10.0.0.1:9042")
        tried = set(self.reactor.dialled)
        self.reactor.advance(2.0)
        self.reactor.settle()
        self.assertEqual(len(tried | set(self.reactor.dialled)), 33)


class TellTests(ScriptedTestCase):
    """Nodes as the metadata shows them."""

    def test_str(self) -> None:
        """What there is, and how it is."""
        one, two = self.node("10.0.0.1"), self.node("10.0.0.2", datacenter="dc2")
        session = self.connect()
        cluster = session.cluster
        self.assertEqual(str(cluster), "cluster scripted: 2 nodes, 1 up (1 in dc1, 1 in dc2), 0 keyspaces")
        self.assertEqual(repr(cluster), f"<ClusterMetadata {cluster}>")
        self.assertEqual(str(cluster.nodes[one.host_id]), "10.0.0.1:9042 (dc1/r1, up)")
        self.assertEqual(str(cluster.token_map), "2 tokens of 2 nodes (Murmur3Partitioner)")
        self.assertEqual(cluster.nodes[two.host_id].distance, "ignored")

    def test_replaced(self) -> None:
        """Another node at the same address is another node."""
        one, two = self.node("10.0.0.1"), self.node("10.0.0.2")
        session = self.connect()
        before = session.nodes[1]
        two.stop()
        self.reactor.settle()
        two.identity = uuid.UUID(int=77)
        two.refusing = False
        one.tell(TopologyChange("NEW_NODE", ip_address("10.0.0.2"), 9042))
        self.reactor.pump([1.0] * 2)
        self.assertIsNot(session.nodes[1], before)
        self.assertEqual((session.nodes[1].host_id.int, session.nodes[1].up), (77, True))
        self.assertNotIn(before, session.pools)
