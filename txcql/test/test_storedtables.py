"""Tables in memory: order, timestamps, deletions."""

from __future__ import annotations

from itertools import permutations

from twisted.trial.unittest import SynchronousTestCase

from txcql.errors import InvalidRequest
from txcql.testing import cqlstatements as cql
from txcql.testing.cqlparser import parse
from txcql.testing.storedrows import Cell
from txcql.testing.storedtables import StoredTable
from txcql.testing.tablemaker import make_table
from txcql.wire.murmur3 import token


def table(text: str) -> StoredTable:
    statement = parse(f"CREATE TABLE t ({text})").statement
    assert isinstance(statement, cql.CreateTable)
    return StoredTable(make_table(statement, "ks"))


class StoredTableTests(SynchronousTestCase):
    """:class:`StoredTable`."""

    def setUp(self) -> None:
        self.table = table("k text, c text, a text, b text, PRIMARY KEY (k, c)")

    def insert(self, k: bytes, c: bytes, timestamp: int, **cells: bytes | None) -> None:
        row = self.table.row(k, [k], [c])
        row.insert(timestamp)
        for name, value in cells.items():
            row.write(name, Cell(value, timestamp))

    def delete_row(self, k: bytes, c: bytes, timestamp: int) -> None:
        self.table.row(k, [k], [c]).delete(timestamp)

    def delete_partition(self, k: bytes, timestamp: int) -> None:
        self.table.partition(k, [k]).delete(timestamp)

    def rows(self) -> list[tuple[bytes, ...]]:
        """The cells of all rows, without their lengths."""
        columns = [c for c in self.table.definition.columns.values() if not c.is_key]
        return [
            (*partition.components, *row.clustering, *((row.value(column, 0) or b"-") for column in columns))
            for partition in self.table.after(None)
            for row in partition.after(None)
            if row.live(0)
        ]

    def test_order(self) -> None:
        """Partitions by token, rows by their clustering columns."""
        keys = [b"a", b"b", b"c", b"d", b"e"]
        for key in keys:
            for c in (b"2", b"1"):
                self.insert(key, c, 1)
        expected = [(key, c) for key in sorted(keys, key=token) for c in (b"1", b"2")]
        self.assertEqual([row[:2] for row in self.rows()], expected)

    def test_after(self) -> None:
        """Reading goes on at a partition, also at one that has gone."""
        keys = sorted([b"a", b"b", b"c", b"d"], key=token)
        for key in keys[:1] + keys[2:]:
            self.insert(key, b"1", 1)
        self.assertEqual([p.order[1] for p in self.table.after(keys[1])], keys[2:])
        self.assertEqual([p.order[1] for p in self.table.after(keys[2])], keys[2:])

    def test_any_order_of_writes(self) -> None:
        """Writes and deletions give the same rows, whatever order they arrive in."""
        writes = [
            lambda: self.insert(b"k", b"1", 10, a=b"x", b=b"x"),
            lambda: self.insert(b"k", b"1", 20, a=b"y"),
            lambda: self.insert(b"k", b"2", 5, a=b"z"),
            lambda: self.delete_row(b"k", b"1", 15),
            lambda: self.delete_partition(b"k", 7),
        ]
        for order in permutations(writes):
            self.setUp()
            for write in order:
                write()
            self.assertEqual(self.rows(), [(b"k", b"1", b"y", b"-")])

    def test_same_timestamp(self) -> None:
        """Null wins, and else the greater value."""
        for order in permutations([b"x", b"w"]):
            self.setUp()
            for value in order:
                self.insert(b"k", b"1", 5, a=value)
            self.assertEqual(self.rows(), [(b"k", b"1", b"x", b"-")])
            self.insert(b"k", b"1", 5, a=None)
            self.insert(b"k", b"1", 5, a=b"z")
            self.assertEqual(self.rows(), [(b"k", b"1", b"-", b"-")])

    def test_deletion_wins(self) -> None:
        """A deletion of the same timestamp hides a write."""
        self.insert(b"k", b"1", 5, a=b"x")
        self.delete_row(b"k", b"1", 5)
        self.insert(b"k", b"1", 5, a=b"x")
        self.assertEqual(self.rows(), [])

    def test_truncate(self) -> None:
        """Everything goes, deletions too."""
        self.delete_partition(b"k", 100)
        self.insert(b"x", b"1", 1)
        self.table.truncate()
        self.assertEqual(self.rows(), [])
        self.insert(b"k", b"1", 1)
        self.assertEqual(len(self.rows()), 1)

    def test_partition_keys(self) -> None:
        """One component bare, several with their lengths; neither empty nor too long."""
        self.assertEqual(self.table.partition_key([b"ab"]), b"ab")
        self.assertRaises(InvalidRequest, self.table.partition_key, [b""])
        self.assertRaises(InvalidRequest, self.table.partition_key, [bytes(65536)])
        self.assertEqual(self.table.partition_key([b"", b"x"]), b"\0\0\0\0\1x\0")
        self.assertRaises(InvalidRequest, self.table.partition_key, [bytes(65536), b"x"])

    def test_equal_keys(self) -> None:
        """Clustering values that are equal and not the same bytes are one row."""
        self.table = table("k text, c decimal, a text, PRIMARY KEY (k, c)")
        self.insert(b"k", b"\0\0\0\1\x0a", 1, a=b"x")
        self.insert(b"k", b"\0\0\0\2\x64", 2, a=b"y")
        self.assertEqual(self.rows(), [(b"k", b"\0\0\0\1\x0a", b"y")])
