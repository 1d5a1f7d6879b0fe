"""Tests for :mod:`txcql.cluster.partitioners`."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from txcql.cluster.partitioners import partitioner
from txcql.test.test_murmur3 import TOKENS

PACKAGE = "org.apache.cassandra.dht."


class PartitionerTests(SynchronousTestCase):
    """Keys and their tokens."""

    def test_murmur3(self) -> None:
        """The default."""
        found = partitioner(PACKAGE + "Murmur3Partitioner")
        assert found is not None
        for key, token in TOKENS.items():
            self.assertEqual(found.token(bytes.fromhex(key)), token)
        self.assertEqual(found.parse("-9223372036854775808"), -(2**63))

    def test_random(self) -> None:
        """The absolute value of the MD5 sum, read as a signed number."""
        found = partitioner("RandomPartitioner")
        assert found is not None
        # MD5 of "a" is 0cc175b9…, that of "b" 92eb5ffe…, which is negative.
        self.assertEqual(found.token(b"a"), 0x0CC175B9C0F1B6A831C399E269772661)
        self.assertEqual(found.token(b"b"), 2**128 - 0x92EB5FFEE6AE2FEC3AD71C777531578F)
        self.assertEqual(found.parse("85070591730234615865843651857942052864"), 2**126)

    def test_byte_ordered(self) -> None:
        """The key itself."""
        found = partitioner(PACKAGE + "ByteOrderedPartitioner")
        assert found is not None
        self.assertEqual(found.token(b"key"), b"key")
        self.assertEqual(found.parse("6b6579"), b"key")

    def test_others(self) -> None:
        """Who knows how they do it."""
        for name in ("", "LocalPartitioner", "org.example.OwnPartitioner"):
            self.assertIsNone(partitioner(name))

    def test_repr(self) -> None:
        self.assertEqual(repr(partitioner("Murmur3Partitioner")), "<Murmur3Partitioner>")
