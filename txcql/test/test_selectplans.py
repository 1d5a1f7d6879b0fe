"""SELECT: rows, order, pages; the expectations were measured on a real node."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from txcql import errors
from txcql.test.fakeclient import FakeClient, fake_node, int_, with_keyspace
from txcql.testing.pagingstates import PagingState, read_paging_state, write_paging_state

TABLE = "CREATE TABLE t (k int, c int, v text, PRIMARY KEY (k, c)) WITH CLUSTERING ORDER BY (c DESC)"
FILTERING = "Cannot execute this query as it might involve data filtering"


class SelectTests(SynchronousTestCase):
    """SELECT over a few partitions."""

    def setUp(self) -> None:
        self.client = with_keyspace(FakeClient(fake_node()), TABLE)
        for k, c in ((1, 1), (1, 2), (1, 3), (2, 1), (-1, 1), (3, 1)):
            self.client.query(f"INSERT INTO t (k, c, v) VALUES ({k}, {c}, 'v{c}')")

    def test_order(self) -> None:
        """Partitions by token, rows in clustering order."""
        rows = self.client.rows("SELECT k, c FROM t")
        self.assertEqual(rows, [(1, 3), (1, 2), (1, 1), (2, 1), (-1, 1), (3, 1)])

    def test_where(self) -> None:
        """By partition key, and by the beginning of the clustering columns."""
        self.assertEqual(self.client.rows("SELECT c FROM t WHERE k = 1"), [(3,), (2,), (1,)])
        self.assertEqual(
            self.client.rows("SELECT v FROM t WHERE k = ? AND c = ?", [int_(1), int_(2)]), [("v2",)]
        )
        self.assertEqual(self.client.rows("SELECT v FROM t WHERE c = 2 AND k = 1"), [("v2",)])
        self.assertEqual(self.client.rows("SELECT v FROM t WHERE k = 99"), [])
        self.assertEqual(self.client.rows("SELECT v FROM t WHERE k = 1 AND c = 99"), [])

    def test_clustering_prefix(self) -> None:
        """Of several clustering columns, the first ones may be given."""
        self.client.query("CREATE TABLE u (k int, a int, b int, PRIMARY KEY (k, a, b))")
        for a, b in ((1, 1), (1, 2), (2, 1)):
            self.client.query(f"INSERT INTO u (k, a, b) VALUES (1, {a}, {b})")
        self.assertEqual(self.client.rows("SELECT a, b FROM u WHERE k = 1 AND a = 1"), [(1, 1), (1, 2)])
        error = self.assertRaises(
            errors.InvalidRequest, self.client.query, "SELECT * FROM u WHERE k = 1 AND b = 1"
        )
        self.assertEqual(
            str(error),
            'PRIMARY KEY column "b" cannot be restricted as preceding column "a" is not restricted',
        )

    def test_columns(self) -> None:
        """Any order, any number of times; all of them as the server orders them."""
        self.assertEqual(self.client.rows("SELECT v, k, v FROM t WHERE k = 2"), [("v1", 2, "v1")])
        self.client.query('CREATE TABLE u (z int, a int, "B" int, k int, c int, PRIMARY KEY (k, c))')
        answer = self.client.query("SELECT * FROM u")
        self.assertEqual([column.name for column in answer.columns], ["k", "c", "B", "a", "z"])

    def test_count(self) -> None:
        """All rows, whatever the page size; without a partition key the server warns."""
        answer = self.client.query("SELECT count(*) FROM t", page_size=2)
        self.assertEqual([tuple(row) for row in answer.rows], [(6,)])
        self.assertEqual([(c.name, c.type.name) for c in answer.columns], [("count", "bigint")])
        self.assertEqual(list(answer.prefixes.warnings), ["Aggregation query used without partition key"])
        answer = self.client.query("SELECT count(*) FROM t WHERE k = 1")
        self.assertEqual([tuple(row) for row in answer.rows], [(3,)])
        self.assertEqual(list(answer.prefixes.warnings), [])

    def test_limit(self) -> None:
        """Literal or bound; positive."""
        self.assertEqual(len(self.client.rows("SELECT * FROM t LIMIT 2")), 2)
        self.assertEqual(len(self.client.rows("SELECT * FROM t LIMIT ?", [int_(4)])), 4)
        for text, values in (("LIMIT 0", None), ("LIMIT -1", None), ("LIMIT ?", [int_(0)])):
            error = self.assertRaises(
                errors.InvalidRequest, self.client.query, f"SELECT * FROM t {text}", values
            )
            self.assertEqual(str(error), "LIMIT must be strictly positive")
        for value in (None, b"1"):
            self.assertRaises(errors.InvalidRequest, self.client.query, "SELECT * FROM t LIMIT ?", [value])

    def test_refused(self) -> None:
        """Conditions that Cassandra refuses."""
        for where, sentence in (
            ("c = 1", FILTERING),
            ("k = 1 AND v = 'x'", FILTERING),
            ("k = 1 AND k = 2", "k cannot be restricted by more than one relation if it includes an Equal"),
            ("k = null", "Invalid null value in condition for column k"),
            ("k = 'x'", 'Invalid STRING constant (x) for "k" of type int'),
            ("nope = 1", "Undefined column name nope in table ks.t"),
        ):
            error = self.assertRaises(
                errors.InvalidRequest, self.client.query, f"SELECT * FROM t WHERE {where}"
            )
            self.assertIn(sentence, str(error))
        error = self.assertRaises(errors.InvalidRequest, self.client.query, "SELECT nope FROM t")
        self.assertEqual(str(error), "Undefined column name nope in table ks.t")
        self.client.query("CREATE TABLE p (a int, b int, PRIMARY KEY ((a, b)))")
        error = self.assertRaises(errors.InvalidRequest, self.client.query, "SELECT * FROM p WHERE a = 1")
        self.assertIn(FILTERING, str(error))


class PagingTests(SynchronousTestCase):
    """Pages."""

    def setUp(self) -> None:
        self.node = fake_node()
        self.client = with_keyspace(FakeClient(self.node), TABLE)
        for c in range(7):
            self.client.query(f"INSERT INTO t (k, c) VALUES (1, {c})")

    def pages(self, text: str, page_size: int, client: FakeClient | None = None) -> list[list[Any]]:
        found: list[list[Any]] = []
        state = None
        while not found or state is not None:
            answer = (client or self.client).query(text, page_size=page_size, paging_state=state)
            found.append([row[0] for row in answer.rows])
            state = answer.paging_state
        return found

    def test_sizes(self) -> None:
        """A full page has a successor, which may be empty."""
        text = "SELECT c FROM t WHERE k = 1"
        self.assertEqual(self.pages(text, 3), [[6, 5, 4], [3, 2, 1], [0]])
        self.assertEqual(self.pages(text, 7), [[6, 5, 4, 3, 2, 1, 0], []])
        self.assertEqual(self.pages(text, 8), [[6, 5, 4, 3, 2, 1, 0]])
        self.assertEqual(self.pages(text, -1), [[6, 5, 4, 3, 2, 1, 0]])
        self.assertEqual(self.pages("SELECT c FROM t WHERE k = 1 AND c = 3", 1), [[3], []])

    def test_limit(self) -> None:
        """The LIMIT counts over all pages."""
        for text in ("SELECT c FROM t LIMIT 5", "SELECT c FROM t WHERE k = 1 LIMIT 5"):
            self.assertEqual(self.pages(text, 2), [[6, 5], [4, 3], [2]])
            self.assertEqual(self.pages(text, 5), [[6, 5, 4, 3, 2]])

    def test_over_partitions(self) -> None:
        """Pages end inside partitions and between them, in every version."""
        for k in range(2, 12):
            for c in range(k % 4):
                self.client.query(f"INSERT INTO t (k, c) VALUES ({k}, {c})")
        for version in (3, 4, 5):
            client = FakeClient(self.node, version)
            text = "SELECT v FROM ks.t" if version == 3 else "SELECT c FROM ks.t"
            whole = [row[0] for row in client.rows(text)]
            for page_size in range(1, 9):
                joined = [value for page in self.pages(text, page_size, client) for value in page]
                self.assertEqual(joined, whole)

    def test_changes_between_pages(self) -> None:
        """Reading goes on behind the last row, whatever has happened since."""
        first = self.client.query("SELECT c FROM t", page_size=2)
        self.client.query("DELETE FROM t WHERE k = 1 AND c = 5")
        self.client.query("DELETE FROM t WHERE k = 1 AND c = 4")
        self.client.query("INSERT INTO t (k, c) VALUES (1, 100)")
        second = self.client.query("SELECT c FROM t", page_size=2, paging_state=first.paging_state)
        self.assertEqual([row[0] for row in second.rows], [3, 2])

    def test_garbage(self) -> None:
        """A state that is none, and one of another version."""
        state = self.client.query("SELECT c FROM t", page_size=2).paging_state
        for wrong in (b"", b"garbage", state[:-1], state + b"x"):
            error = self.assertRaises(
                errors.ServerProtocolError,
                self.client.query,
                "SELECT c FROM t",
                page_size=2,
                paging_state=wrong,
            )
            self.assertEqual(str(error), "Invalid value for the paging state")
        older = FakeClient(self.node, 3)
        self.assertRaises(
            errors.ServerProtocolError, older.query, "SELECT c FROM ks.t", page_size=2, paging_state=state
        )


class PagingStateTests(SynchronousTestCase):
    """:mod:`txcql.testing.pagingstates`."""

    def test_round_trip(self) -> None:
        """v4 and v5 share a format, v3 has its own."""
        state = PagingState(b"key", (b"", b"a"), 7)
        self.assertEqual(read_paging_state(write_paging_state(state, 4), 5), state)
        self.assertEqual(read_paging_state(write_paging_state(state, 3), 3), state)
        self.assertRaises(errors.ServerProtocolError, read_paging_state, write_paging_state(state, 3), 4)
