"""Tests for :mod:`txcql.cluster.replication`."""

from __future__ import annotations

import random
import uuid
from typing import Any, cast

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from txcql.cluster.nodes import Node
from txcql.cluster.partitioners import Murmur3Partitioner
from txcql.cluster.replication import (
    EverywhereStrategy,
    NetworkTopologyStrategy,
    SimpleStrategy,
    replication_strategy,
)
from txcql.cluster.tokenmap import TokenMap, build_token_map

PACKAGE = "org.apache.cassandra.locator."


def make_node(number: int, datacenter: str = "dc1", rack: str = "r1") -> Node:
    """A node that nothing connects to."""
    return Node(f"n{number}", uuid.UUID(int=number), datacenter, rack, "5.0.5", cast(Any, None))


def make_ring(*nodes: tuple[Node, list[int]]) -> TokenMap:
    """The ring of a few nodes with their tokens."""
    clock = Clock()
    built = Deferred.fromCoroutine(
        build_token_map(
            clock, Murmur3Partitioner(), [(node, [str(token) for token in tokens]) for node, tokens in nodes]
        )
    )
    clock.advance(0)
    found: list[TokenMap] = []
    built.addCallback(found.append)
    return found[0]


def slow_replicas(ring: TokenMap, place: int, factors: dict[str, int]) -> list[str]:
    """One walk round the whole ring, as the server goes: to compare with."""
    found: list[Node] = []
    racks: set[tuple[str, str]] = set()
    left, repeats = {}, {}
    for name, factor in factors.items():
        members = {node for node in ring.owners if node.datacenter == name}
        left[name] = min(factor, len(members))
        repeats[name] = factor - len({node.rack for node in members})
    for step in range(len(ring.owners)):
        node = ring.owners[(place + step) % len(ring.owners)]
        name = node.datacenter
        if left.get(name, 0) <= 0 or node in found:
            continue
        if (name, node.rack) in racks:
            if repeats[name] <= 0:
                continue
            repeats[name] -= 1
        racks.add((name, node.rack))
        found.append(node)
        left[name] -= 1
    return [node.name for node in found]


class SimpleTests(SynchronousTestCase):
    """SimpleStrategy."""

    def setUp(self) -> None:
        self.nodes = [make_node(number) for number in (1, 2, 3)]
        one, two, three = self.nodes
        self.ring = make_ring((one, [0, 40]), (two, [10, 20]), (three, [30]))

    def names(self, factor: int, place: int) -> list[str]:
        return [node.name for node in SimpleStrategy(factor).replicas(self.ring, place)]

    def test_next_on_the_ring(self) -> None:
        """The owner, then the next ones; each node once, round the end of the ring."""
        self.assertEqual(self.names(1, 0), ["n1"])
        self.assertEqual(self.names(2, 1), ["n2", "n3"])
        self.assertEqual(self.names(2, 4), ["n1", "n2"])
        self.assertEqual(self.names(3, 1), ["n2", "n3", "n1"])

    def test_more_than_there_are(self) -> None:
        """No more than there are nodes; none is none."""
        self.assertEqual(self.names(9, 3), ["n3", "n1", "n2"])
        self.assertEqual(self.names(0, 3), [])


class NetworkTopologyTests(SynchronousTestCase):
    """NetworkTopologyStrategy."""

    def names(self, ring: TokenMap, place: int, **factors: int) -> list[str]:
        return [node.name for node in NetworkTopologyStrategy(factors).replicas(ring, place)]

    def test_each_datacenter(self) -> None:
        """So many of each, in the order of the whole ring."""
        ring = make_ring(
            (make_node(1), [0]),
            (make_node(2, "dc2"), [10]),
            (make_node(3), [20]),
            (make_node(4, "dc2"), [30]),
            (make_node(5), [40]),
        )
        self.assertEqual(self.names(ring, 1, dc1=2, dc2=1), ["n2", "n3", "n5"])
        self.assertEqual(self.names(ring, 4, dc1=2, dc2=2), ["n5", "n1", "n2", "n4"])
        self.assertEqual(self.names(ring, 0, dc1=1, dc2=0, elsewhere=3), ["n1"])

    def test_racks(self) -> None:
        """Other racks first; a rack twice only if there are too few."""
        ring = make_ring(
            (make_node(1, rack="a"), [0]),
            (make_node(2, rack="a"), [10]),
            (make_node(3, rack="b"), [20]),
            (make_node(4, rack="b"), [30]),
        )
        self.assertEqual(self.names(ring, 0, dc1=2), ["n1", "n3"])
        self.assertEqual(self.names(ring, 0, dc1=3), ["n1", "n2", "n3"])
        self.assertEqual(self.names(ring, 1, dc1=4), ["n2", "n3", "n4", "n1"])

    def test_as_the_server_walks(self) -> None:
        """A walk round the whole ring finds the same, whatever the racks, tokens and factors."""
        draw = random.Random(7)
        for _ in range(40):
            nodes = [
                make_node(number, draw.choice(["dc1", "dc2"]), draw.choice("abc"))
                for number in range(draw.randint(1, 9))
            ]
            tokens = draw.sample(range(-500, 500), 4 * len(nodes))
            ring = make_ring(
                *((node, tokens[4 * number : 4 * number + 4]) for number, node in enumerate(nodes))
            )
            factors = {name: draw.randint(0, 5) for name in ("dc1", "dc2")}
            for place in range(len(ring.tokens)):
                expected = slow_replicas(ring, place, factors)
                self.assertEqual(self.names(ring, place, **factors), expected)


class StrategyTests(SynchronousTestCase):
    """From the replication of a keyspace to its strategy."""

    def test_known(self) -> None:
        """Each by its name, with its package or without."""
        for package in (PACKAGE, ""):
            found = replication_strategy({"class": package + "SimpleStrategy", "replication_factor": "3"})
            self.assertEqual(found, SimpleStrategy(3))
            found = replication_strategy({"class": package + "NetworkTopologyStrategy", "a": "3", "b": "1"})
            self.assertEqual(found, NetworkTopologyStrategy({"b": 1, "a": 3}))
            found = replication_strategy({"class": package + "EverywhereStrategy"})
            self.assertEqual(found, EverywhereStrategy())

    def test_transient(self) -> None:
        """Transient replicas are replicas."""
        found = replication_strategy({"class": "NetworkTopologyStrategy", "dc1": "3/1"})
        self.assertEqual(found, NetworkTopologyStrategy({"dc1": 3}))

    def test_none(self) -> None:
        """What each node has for itself, what is not known, and what makes no sense."""
        for options in (
            {"class": PACKAGE + "LocalStrategy"},
            {"class": "org.example.OwnStrategy", "replication_factor": "3"},
            {"class": PACKAGE + "SimpleStrategy"},
            {"class": PACKAGE + "NetworkTopologyStrategy", "dc1": "many"},
            {},
        ):
            self.assertIsNone(replication_strategy(options), options)

    def test_equal(self) -> None:
        """Equal ones are one key."""
        self.assertEqual(len({SimpleStrategy(1), SimpleStrategy(1), SimpleStrategy(2)}), 2)
        topologies = {NetworkTopologyStrategy({"a": 1}), NetworkTopologyStrategy({"a": 1})}
        self.assertEqual(len(topologies | {EverywhereStrategy(), EverywhereStrategy()}), 2)
        self.assertNotEqual(SimpleStrategy(1), NetworkTopologyStrategy({}))

    def test_everywhere(self) -> None:
        """Every node that has a token."""
        nodes = [make_node(number) for number in range(3)]
        ring = make_ring(*((node, [number]) for number, node in enumerate(nodes)))
        self.assertEqual(EverywhereStrategy().replicas(ring, 1), tuple(nodes))
