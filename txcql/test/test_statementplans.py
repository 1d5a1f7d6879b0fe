"""Statements run by the fake, through a connection; the expectations were measured on a real node."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from txcql import errors
from txcql.test.fakeclient import FakeClient, fake_node, int_, with_keyspace
from txcql.wire import responses
from txcql.wire.values import UNSET

TABLE = "CREATE TABLE t (k int, c int, v text, PRIMARY KEY (k, c)) WITH CLUSTERING ORDER BY (c DESC)"


class PlanTestCase(SynchronousTestCase):
    """A table of two key columns."""

    def setUp(self) -> None:
        self.node = fake_node()
        self.client = with_keyspace(FakeClient(self.node), TABLE)

    def assert_refused(self, sentence: str, text: str, values: Any = None, **options: Any) -> None:
        error = self.assertRaises(errors.InvalidRequest, self.client.query, text, values, **options)
        self.assertIn(sentence, str(error), text)


class InsertTests(PlanTestCase):
    """INSERT."""

    def test_literals_and_markers(self) -> None:
        """Values of the text and bound ones."""
        self.client.query("INSERT INTO t (k, c, v) VALUES (1, 2, 'a')")
        self.client.query("INSERT INTO ks.t (v, c, k) VALUES (?, 3, ?)", [b"b", int_(1)])
        self.client.named_query("INSERT INTO t (k, c, v) VALUES (:k, :k, :v)", {"v": b"c", "k": int_(4)})
        self.assertEqual(self.client.rows("SELECT * FROM t"), [(1, 3, "b"), (1, 2, "a"), (4, 4, "c")])

    def test_null_and_unset(self) -> None:
        """Null deletes a cell, unset leaves it; neither goes into a key."""
        insert = self.client.prepare("INSERT INTO t (k, c, v) VALUES (?, ?, ?)")
        for value, expected in ((b"a", "a"), (UNSET, "a"), (None, None), (UNSET, None)):
            self.client.execute(insert, [int_(1), int_(1), value])
            self.assertEqual(self.client.rows("SELECT v FROM t"), [(expected,)])
        for values, sentence in (
            ([None, int_(1), b""], "Invalid null value in condition for column k"),
            ([int_(1), None, b""], "Invalid null value in condition for column c"),
            ([UNSET, int_(1), b""], "Invalid unset value for column k"),
            ([int_(1), UNSET, b""], "Invalid unset value for column c"),
            ([b"", int_(1), b""], "Key may not be empty"),
            ([b"123", int_(1), b""], "Expected 4 or 0 byte int (3)"),
            ([int_(1), int_(1), b"\xff"], "String didn't validate."),
        ):
            error = self.assertRaises(errors.InvalidRequest, self.client.execute, insert, values)
            self.assertEqual(str(error), sentence)

    def test_unset_in_v3(self) -> None:
        """Before v4, unset is null."""
        client = FakeClient(self.node, 3)
        client.query("USE ks")
        insert = client.prepare("INSERT INTO t (k, c, v) VALUES (?, ?, ?)")
        client.execute(insert, [int_(1), int_(1), b"a"])
        client.execute(insert, [int_(1), int_(1), UNSET])
        self.assertEqual(client.rows("SELECT v FROM t"), [(None,)])

    def test_timestamps(self) -> None:
        """A later timestamp wins, whatever arrives later."""
        insert = self.client.prepare("INSERT INTO t (k, c, v) VALUES (?, ?, ?)")
        for timestamp, value in ((5, b"x"), (4, b"z"), (5, b"w"), (-7, b"q")):
            self.client.execute(insert, [int_(1), int_(1), value], timestamp=timestamp)
        self.assertEqual(self.client.rows("SELECT v FROM t"), [("x",)])

    def test_refused(self) -> None:
        """Columns that are wrong."""
        for columns, values, sentence in (
            ("k, c", "1", "Unmatched column names/values"),
            ("k, c, c", "1, 1, 1", "The column names contains duplicates"),
            ("k, c, nope", "1, 1, 1", "Undefined column name nope in table ks.t"),
            ("c", "1", "Some partition key parts are missing: k"),
            ("k", "1", "Some clustering keys are missing: c"),
            ("k, c", "'x', 1", 'Invalid STRING constant (x) for "k" of type int'),
            ("k, c", "null, 1", "Invalid null value in condition for column k"),
        ):
            self.assert_refused(sentence, f"INSERT INTO t ({columns}) VALUES ({values})")

    def test_number_of_values(self) -> None:
        """As many as there are markers, in QUERY and in EXECUTE."""
        text = "INSERT INTO t (k, c) VALUES (?, ?)"
        self.assert_refused("Invalid amount of bind variables", text)
        self.assert_refused("Invalid amount of bind variables", text, [int_(1)])
        insert = self.client.prepare(text)
        error = self.assertRaises(errors.InvalidRequest, self.client.execute, insert, [int_(1)])
        self.assertEqual(str(error), "there were 2 markers(?) in CQL but 1 bound variables")
        named = self.assertRaises(errors.InvalidRequest, self.client.named_query, text, {"k": int_(1)})
        self.assertEqual(str(named), "Invalid amount of bind variables")

    def test_collections(self) -> None:
        """As the server stores them."""
        self.client.query("CREATE TABLE u (k int PRIMARY KEY, s set<int>, m map<text, int>, l list<text>)")
        self.client.query("INSERT INTO u (k, s, m, l) VALUES (1, {3, 1, 3}, {'b': 1, 'a': 2}, ['x', 'x'])")
        self.client.query("INSERT INTO u (k, s, m, l) VALUES (2, {}, {}, [])")
        self.assertEqual(
            self.client.rows("SELECT * FROM u"),
            [(1, ["x", "x"], {"a": 2, "b": 1}, {1, 3}), (2, None, None, None)],
        )


class DeleteTests(PlanTestCase):
    """DELETE."""

    def test_rows_and_partitions(self) -> None:
        """By the whole key, or by the partition key."""
        for k, c in ((1, 1), (1, 2), (2, 1), (2, 2)):
            self.client.query(f"INSERT INTO t (k, c) VALUES ({k}, {c})")
        self.client.query("DELETE FROM t WHERE k = 1 AND c = 2")
        self.client.query("DELETE FROM t WHERE k = ?", [int_(2)])
        self.assertEqual(self.client.rows("SELECT k, c FROM t"), [(1, 1)])
        self.client.query("INSERT INTO t (k, c) VALUES (2, 2)")
        self.assertEqual(self.client.rows("SELECT k, c FROM t"), [(1, 1), (2, 2)])

    def test_refused(self) -> None:
        """Other conditions."""
        self.assert_refused("Some partition key parts are missing: k", "DELETE FROM t WHERE c = 1")
        self.assert_refused(
            "Non PRIMARY KEY columns found in where clause: v ",
            "DELETE FROM t WHERE k = 1 AND c = 1 AND v = 'x'",
        )
        self.client.query("CREATE TABLE u (a int, b int, c int, PRIMARY KEY (a, b, c))")
        self.client.query("INSERT INTO u (a, b, c) VALUES (1, 1, 1)")
        self.client.query("DELETE FROM u WHERE a = 1 AND b = 1")
        self.assertEqual(self.client.rows("SELECT * FROM u"), [])


class BatchTests(PlanTestCase):
    """BATCH."""

    def test_mixed(self) -> None:
        """Texts and prepared statements."""
        insert = self.client.prepare("INSERT INTO t (k, c, v) VALUES (?, ?, ?)")
        for kind in ("logged", "unlogged"):
            answer = self.client.batch(
                (insert.statement_id, [int_(1), int_(1), b"a"]),
                ("INSERT INTO t (k, c, v) VALUES (1, 2, ?)", [b"b"]),
                ("DELETE FROM t WHERE k = 5", []),
                kind=kind,
            )
            self.assertIsInstance(answer, responses.Void)
            self.assertEqual(self.client.rows("SELECT c, v FROM t"), [(2, "b"), (1, "a")])
            self.client.query("TRUNCATE t")
        self.assertIsInstance(self.client.batch(), responses.Void)

    def test_one_timestamp(self) -> None:
        """All of it is written at the same time: a deletion hides an insertion."""
        self.client.batch(("DELETE FROM t WHERE k = 1", []), ("INSERT INTO t (k, c) VALUES (1, 9)", []))
        self.assertEqual(self.client.rows("SELECT * FROM t"), [])

    def test_all_or_nothing(self) -> None:
        """A value that is wrong keeps the others out."""
        insert = self.client.prepare("INSERT INTO t (k, c) VALUES (?, ?)")
        items: Any = (("INSERT INTO t (k, c) VALUES (1, 1)", []), (insert.statement_id, [None, int_(1)]))
        self.assertRaises(errors.InvalidRequest, self.client.batch, *items)
        self.assertEqual(self.client.rows("SELECT * FROM t"), [])

    def test_refused(self) -> None:
        """Other statements, unknown ids, wrong numbers of values, counters."""
        for item, kind, sentence in (
            (("SELECT * FROM t", []), errors.InvalidRequest, "Invalid statement in batch"),
            (("USE ks", []), errors.InvalidRequest, "Invalid statement in batch"),
            ((b"unknown", []), errors.Unprepared, "not found"),
            (
                ("INSERT INTO t (k, c) VALUES (?, 1)", []),
                errors.InvalidRequest,
                "There were 1 markers(?) in CQL but 0 bound variables",
            ),
        ):
            self.assertIn(sentence, str(self.assertRaises(kind, self.client.batch, item)))
        item = ("INSERT INTO t (k, c) VALUES (1, 1)", [])
        self.assertRaises(errors.InvalidRequest, self.client.batch, item, kind="counter")


class ConsistencyTests(PlanTestCase):
    """Levels that cannot be met, and levels for other requests."""

    def test_unavailable(self) -> None:
        """More replicas than there are."""
        error = self.assertRaises(errors.Unavailable, self.client.query, "SELECT * FROM t", consistency=3)
        self.assertEqual((error.consistency, error.required, error.alive), ("THREE", 3, 1))
        self.assertEqual(str(error), "Cannot achieve consistency level THREE")
        insert = "INSERT INTO t (k, c) VALUES (1, 1)"
        self.assertRaises(errors.Unavailable, self.client.query, insert, consistency=2)

    def test_possible(self) -> None:
        """One replica is enough for all of these."""
        for level in (1, 4, 5, 6, 7, 8, 9, 10):
            self.client.query("SELECT * FROM t", consistency=level)
        for level in (0, 1, 4, 5, 6, 7, 10):
            self.client.query("INSERT INTO t (k, c) VALUES (1, 1)", consistency=level)

    def test_wrong_kind(self) -> None:
        """ANY is for writes, SERIAL for conditional ones."""
        self.assert_refused(
            "ANY ConsistencyLevel is only supported for writes", "SELECT * FROM t", consistency=0
        )
        for level in (8, 9):
            self.assert_refused(
                "You must use conditional updates for serializable writes",
                "INSERT INTO t (k, c) VALUES (1, 1)",
                consistency=level,
            )
