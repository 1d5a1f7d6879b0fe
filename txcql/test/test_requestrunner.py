"""Prepared statements of the fake: ids, metadata, and what becomes of them."""

from __future__ import annotations

import hashlib

from twisted.trial.unittest import SynchronousTestCase

from txcql import errors
from txcql.test.fakeclient import FakeClient, fake_node, int_, with_keyspace
from txcql.wire import responses


def md5(text: str) -> bytes:
    return hashlib.md5(text.encode(), usedforsecurity=False).digest()


class PreparedTests(SynchronousTestCase):
    """PREPARE and EXECUTE."""

    def setUp(self) -> None:
        self.node = fake_node()
        self.client = with_keyspace(
            FakeClient(self.node), "CREATE TABLE t (k int, c int, v text, PRIMARY KEY ((k, c)))"
        )

    def test_ids(self) -> None:
        """The hash of the text, and of the keyspace before it where the text leaves it open."""
        for text, expected in (
            ("SELECT * FROM t", "ksSELECT * FROM t"),
            ("SELECT * FROM ks.t", "SELECT * FROM ks.t"),
            ("TRUNCATE ks.t", "TRUNCATE ks.t"),
            ("USE ks", "ksUSE ks"),
            ("DROP TABLE IF EXISTS ks.x", "ksDROP TABLE IF EXISTS ks.x"),
        ):
            self.assertEqual(self.client.prepare(text).statement_id, md5(expected))
        other = FakeClient(self.node)
        self.assertEqual(other.prepare("SELECT * FROM t", "ks").statement_id, md5("ksSELECT * FROM t"))
        self.assertEqual(FakeClient(self.node, 3).prepare("USE ks").statement_id, md5("USE ks"))

    def test_metadata_ids(self) -> None:
        """As a real node computes them: these two were captured."""
        self.client.query("CREATE KEYSPACE ref WITH replication = {'class': 'SimpleStrategy'}")
        self.client.query("CREATE TABLE ref.mc (k int PRIMARY KEY, v int, w text)")
        for text, expected in (
            ("SELECT v FROM ref.mc WHERE k = ?", "37a03ddd2d116ac86e4d90b0ee45acd1"),
            ("SELECT * FROM ref.mc", "276d4bbf07833310e12cb44949ce2760"),
            ("INSERT INTO ref.mc (k) VALUES (?)", "d41d8cd98f00b204e9800998ecf8427e"),
        ):
            found = self.client.prepare(text).result_metadata_id
            assert found is not None
            self.assertEqual(found.hex(), expected)
        self.assertEqual(
            self.client.prepare("SELECT v FROM ref.mc WHERE k = ?").statement_id.hex(),
            "329c5f00373447de42b7dd4a58678b1f",
        )

    def test_markers(self) -> None:
        """Names and types, and where the partition key is among them."""
        for text, names, key in (
            ("INSERT INTO t (v, c, k) VALUES (?, ?, ?)", ["v", "c", "k"], (2, 1)),
            ("INSERT INTO t (k, c) VALUES (1, ?)", ["c"], ()),
            ("SELECT * FROM t WHERE k = :Kk AND c = ? LIMIT ?", ["kk", "c", "[limit]"], (0, 1)),
            ("SELECT * FROM t LIMIT :rows", ["rows"], ()),
            ("DELETE FROM t WHERE c = ? AND k = ?", ["c", "k"], (1, 0)),
            ("SELECT * FROM t", [], ()),
        ):
            found = self.client.prepare(text)
            self.assertEqual([column.name for column in found.parameters], names)
            self.assertEqual(found.partition_key, key)
        older = with_other_keyspace(FakeClient(self.node, 3))
        self.assertEqual(older.prepare("DELETE FROM t WHERE c = ? AND k = ?").partition_key, ())

    def test_columns(self) -> None:
        """Those of the rows, none for other statements."""
        found = self.client.prepare("SELECT * FROM t")
        self.assertEqual(
            [(c.keyspace, c.table, c.name, c.type.name) for c in found.columns],
            [("ks", "t", "k", "int"), ("ks", "t", "c", "int"), ("ks", "t", "v", "text")],
        )
        self.assertEqual(self.client.prepare("TRUNCATE t").columns, ())

    def test_skip_metadata(self) -> None:
        """The metadata is left out on demand, unless the client's is out of date (v5)."""
        for version in (3, 4, 5):
            client = with_other_keyspace(FakeClient(self.node, version))
            select = client.prepare("SELECT * FROM t WHERE k = ? AND c = ?")
            values = [int_(1), int_(1)]
            self.assertIsNone(client.execute(select, values, skip_metadata=True).columns)
            self.assertEqual(client.execute(select, values).columns, select.columns)
            self.assertIsNone(client.query("SELECT * FROM t", skip_metadata=True).columns)
            answer = client.execute(select, values, skip_metadata=True, metadata_id=b"old")
            if version == 5:
                self.assertEqual(answer.header.new_metadata_id, select.result_metadata_id)
                self.assertEqual(answer.columns, select.columns)
            else:
                self.assertIsNone(answer.columns)

    def test_unprepared(self) -> None:
        """Unknown ids; and statements whose table was dropped, also if there is a new one."""
        select = self.client.prepare("SELECT * FROM t")
        unknown = responses.Prepared(b"unknown", b"", (), (), ())
        error = self.assertRaises(errors.Unprepared, self.client.execute, unknown)
        self.assertEqual(error.statement_id, b"unknown")
        other = self.client.prepare("SELECT * FROM system.local")
        self.client.query("DROP TABLE t")
        self.assertRaises(errors.Unprepared, self.client.execute, select)
        self.client.query("CREATE TABLE t (k int PRIMARY KEY)")
        self.assertRaises(errors.Unprepared, self.client.execute, select)
        self.client.execute(other)
        again = self.client.prepare("SELECT * FROM t")
        self.assertEqual(again.statement_id, select.statement_id)
        self.assertNotEqual(again.result_metadata_id, select.result_metadata_id)
        self.client.query("DROP KEYSPACE ks")
        self.assertRaises(errors.Unprepared, self.client.execute, again)

    def test_per_node(self) -> None:
        """Another node does not know it."""
        select = self.client.prepare("SELECT * FROM system.local")
        self.assertRaises(errors.Unprepared, FakeClient(fake_node()).execute, select)

    def test_schema_statements(self) -> None:
        """They can be prepared as well; USE changes the connection that executes it."""
        create = self.client.prepare("CREATE TABLE u (k int PRIMARY KEY)")
        self.assertIsInstance(self.client.execute(create), responses.SchemaChanged)
        other = FakeClient(self.node)
        other.execute(other.prepare("USE ks"))
        self.assertEqual(other.rows("SELECT * FROM u"), [])

    def test_keyspace_of_prepared(self) -> None:
        """A statement stays in the keyspace that it was prepared in."""
        select = self.client.prepare("SELECT * FROM t")
        self.client.query("CREATE KEYSPACE b WITH replication = {'class': 'SimpleStrategy'}")
        self.client.query("USE b")
        self.assertEqual(list(self.client.execute(select).rows), [])

    def test_refused_markers(self) -> None:
        """Markers where the fake knows none."""
        text = "CREATE KEYSPACE b WITH replication = ?"
        self.assertRaises(errors.CQLSyntaxError, self.client.prepare, text)


def with_other_keyspace(client: FakeClient) -> FakeClient:
    client.query("USE ks")
    return client
