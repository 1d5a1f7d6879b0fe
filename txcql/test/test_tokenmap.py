"""Tests for :mod:`txcql.cluster.tokenmap`."""

from __future__ import annotations

import random
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from txcql.cluster.partitioners import ByteOrderedPartitioner, Murmur3Partitioner
from txcql.cluster.replication import SimpleStrategy
from txcql.cluster.tokenmap import TokenMap, build_token_map
from txcql.test.test_replication import make_node, make_ring


class CountingClock(Clock):
    """Counts how often somebody waits for the next turn."""

    turns = 0

    def callLater(self, delay: float, callable: Any, *args: object, **kw: object) -> Any:
        self.turns += 1
        return Clock.callLater(self, delay, callable, *args, **kw)


class OwnerTests(SynchronousTestCase):
    """Who owns a token."""

    def setUp(self) -> None:
        self.one, self.two = make_node(1), make_node(2)
        self.ring = make_ring((self.one, [-10, 20]), (self.two, [5]))

    def test_owner(self) -> None:
        """The node with the smallest token that is not less, or with the smallest of all."""
        owners = {-11: self.one, -10: self.one, -9: self.two, 5: self.two, 6: self.one, 21: self.one}
        for token, owner in owners.items():
            self.assertIs(self.ring.owner(token), owner, token)

    def test_nobody(self) -> None:
        """A ring without tokens has no owners and no replicas."""
        for ring in (TokenMap(), TokenMap(Murmur3Partitioner())):
            self.assertIsNone(ring.owner(0))
            self.assertEqual(ring.tables({"ks": SimpleStrategy(1)})["ks"].replicas(b"key"), ())

    def test_replicas(self) -> None:
        """By key; they are found once."""
        tables = self.ring.tables({"ks": SimpleStrategy(2), "other": SimpleStrategy(2)})
        table = tables["ks"]
        self.assertIs(tables["other"], table)
        found = table.replicas(b"hello")
        self.assertEqual(self.ring.token(b"hello"), -3758069500696749310)
        self.assertEqual(found, (self.one, self.two))
        self.assertIs(table.replicas(b"hello"), found)
        # What is not used any more is forgotten, what is stays.
        self.assertIs(self.ring.tables({"ks": SimpleStrategy(2)})["ks"], table)
        self.assertEqual(self.ring.tables({}), {})
        self.assertIsNot(self.ring.tables({"ks": SimpleStrategy(2)})["ks"], table)

    def test_tokens_of(self) -> None:
        """In order; a node that has none has none."""
        self.assertEqual(self.ring.tokens_of(self.one), [-10, 20])
        self.assertEqual(self.ring.tokens_of(make_node(3)), [])

    def test_str(self) -> None:
        """What is on it."""
        self.assertEqual(str(self.ring), "3 tokens of 2 nodes (Murmur3Partitioner)")
        self.assertEqual(repr(TokenMap()), "<TokenMap 0 tokens of 0 nodes (no partitioner)>")


class BuildTests(SynchronousTestCase):
    """From system tables to the ring."""

    def test_many(self) -> None:
        """Many tokens are put on it in many turns of the reactor, and all of them are, in order."""
        draw = random.Random(3)
        nodes = [make_node(number) for number in range(60)]
        tokens = {node: [draw.randint(-(2**63), 2**63 - 1) for _ in range(256)] for node in nodes}
        clock = CountingClock()
        building = Deferred.fromCoroutine(
            build_token_map(
                clock, Murmur3Partitioner(), [(node, [*map(str, tokens[node])]) for node in nodes]
            )
        )
        clock.advance(0)
        self.assertGreater(clock.turns, 10)
        ring = self.successResultOf(building)
        expected = sorted((token, node.name) for node in nodes for token in tokens[node])
        found = [(token, node.name) for token, node in zip(ring.tokens, ring.owners, strict=True)]
        self.assertEqual(found, expected)
        self.assertEqual(ring.datacenters["dc1"].places, list(range(60 * 256)))

    def test_cancelled(self) -> None:
        """It can be given up in the middle."""
        clock = Clock()
        tokens = [[str(2 * token + number) for token in range(4096)] for number in range(2)]
        nodes = [(make_node(number), tokens[number]) for number in range(2)]
        building = Deferred.fromCoroutine(build_token_map(clock, Murmur3Partitioner(), nodes))
        self.assertNoResult(building)
        building.cancel()
        self.failureResultOf(building, CancelledError)
        self.assertEqual(clock.getDelayedCalls(), [])

    def test_bad_token(self) -> None:
        """A node whose tokens make no sense has none; the others do."""
        good, bad = make_node(1), make_node(2)
        building = Deferred.fromCoroutine(
            build_token_map(Clock(), Murmur3Partitioner(), [(bad, ["1", "x"]), (good, ["2"])])
        )
        ring = self.successResultOf(building)
        self.assertEqual((ring.nodes, ring.owners), ((good,), [good]))

    def test_bytes(self) -> None:
        """Tokens may be bytes."""
        one, two = make_node(1), make_node(2)
        building = Deferred.fromCoroutine(
            build_token_map(Clock(), ByteOrderedPartitioner(), [(one, ["6d"]), (two, ["74"])])
        )
        ring = self.successResultOf(building)
        self.assertEqual([ring.owner(key) for key in (b"apple", b"no", b"zoo")], [one, two, one])
