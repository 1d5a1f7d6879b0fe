"""Schema statements; the expectations were measured on a real node."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from txcql import errors
from txcql.test.fakeclient import FakeClient, fake_node, with_keyspace
from txcql.wire import responses
from txcql.wire.events import SchemaChange

SIMPLE = "{'class': 'SimpleStrategy', 'replication_factor': 1}"


class DatabaseTestCase(SynchronousTestCase):
    """A connection and its keyspace."""

    def setUp(self) -> None:
        self.node = fake_node()
        self.client = with_keyspace(FakeClient(self.node))

    def assert_refused(
        self, text: str, sentence: str, kind: type[errors.ServerError] = errors.InvalidRequest
    ) -> None:
        error = self.assertRaises(kind, self.client.query, text)
        self.assertIn(sentence, str(error), text)


class KeyspaceTests(DatabaseTestCase):
    """Keyspaces."""

    def test_create_and_drop(self) -> None:
        """The answers tell of the changes; where nothing changes, Void."""
        answer = self.client.query(f"CREATE KEYSPACE a WITH replication = {SIMPLE}")
        self.assertEqual(answer, responses.SchemaChanged(SchemaChange("CREATED", "KEYSPACE", "a")))
        answer = self.client.query(f"CREATE KEYSPACE IF NOT EXISTS a WITH replication = {SIMPLE}")
        self.assertIsInstance(answer, responses.Void)
        answer = self.client.query("DROP KEYSPACE a")
        self.assertEqual(answer, responses.SchemaChanged(SchemaChange("DROPPED", "KEYSPACE", "a")))
        self.assertIsInstance(self.client.query("DROP KEYSPACE IF EXISTS a"), responses.Void)

    def test_exists(self) -> None:
        """A keyspace that is there already."""
        text = f"CREATE KEYSPACE ks WITH replication = {SIMPLE}"
        error = self.assertRaises(errors.AlreadyExists, self.client.query, text)
        self.assertEqual((error.keyspace, error.table), ("ks", ""))
        self.assertEqual(str(error), 'Cannot add existing keyspace "ks"')

    def test_replication(self) -> None:
        """Options are stored in full; those that make no sense are refused."""
        for given, stored in (
            ("{'class': 'SimpleStrategy'}", {"class": "SimpleStrategy", "replication_factor": "1"}),
            ("{'class': 'NetworkTopologyStrategy'}", {"class": "NetworkTopologyStrategy", "dc1": "1"}),
            (
                "{'class': 'NetworkTopologyStrategy', 'replication_factor': 3}",
                {"class": "NetworkTopologyStrategy", "dc1": "3"},
            ),
            (
                "{'class': 'org.apache.cassandra.locator.NetworkTopologyStrategy', 'dc1': 2}",
                {"class": "NetworkTopologyStrategy", "dc1": "2"},
            ),
        ):
            self.client.query(f"CREATE KEYSPACE a WITH replication = {given} AND durable_writes = false")
            where = "WHERE keyspace_name = 'a'"
            rows = self.client.rows(
                f"SELECT durable_writes, replication FROM system_schema.keyspaces {where}"
            )
            stored["class"] = f"org.apache.cassandra.locator.{stored['class']}"
            self.assertEqual(rows, [(False, stored)])
            self.client.query("DROP KEYSPACE a")
        for given, sentence in (
            ("{'replication_factor': 1}", "Missing replication strategy class"),
            ("{'class': 'SimpleStrategy', 'replication_factor': 'x'}", 'For input string: "x"'),
            ("{'class': 'SimpleStrategy', 'dc1': 1}", "Unrecognized strategy option {dc1}"),
            ("{'class': 'NetworkTopologyStrategy', 'dc9': 1}", "Unrecognized strategy option {dc9}"),
            ("{'class': 'Nonsense'}", "Unable to find replication strategy class"),
        ):
            text = f"CREATE KEYSPACE a WITH replication = {given}"
            self.assert_refused(text, sentence, errors.ConfigurationError)
        for options, sentence in (
            ("replication = {'class': 'LocalStrategy'}", "LocalStrategy is reserved for internal use."),
            ("durable_writes = true", "Missing mandatory option 'replication'"),
            ("replication = {'class': 'com.example.Own'}", "not supported by txcql.testing"),
            ("replication = 'x'", "not supported by txcql.testing"),
            ("replication = {'class': 'NetworkTopologyStrategy', 'dc1': '3/1'}", "not supported"),
        ):
            self.assert_refused(f"CREATE KEYSPACE a WITH {options}", sentence)

    def test_use(self) -> None:
        """The keyspace belongs to the connection; v5 may name another one with a request."""
        answer = self.client.query("USE ks")
        self.assertEqual(answer, responses.SetKeyspace("ks"))
        self.assert_refused("USE nope", "Keyspace 'nope' does not exist")
        self.client.query("CREATE TABLE t (k int PRIMARY KEY)")
        other = FakeClient(self.node)
        error = self.assertRaises(errors.InvalidRequest, other.query, "SELECT * FROM t")
        self.assertIn("No keyspace has been specified.", str(error))
        self.assertEqual(other.rows("SELECT * FROM t", keyspace="ks"), [])

    def test_missing(self) -> None:
        """Keyspaces and tables that do not exist."""
        for text, sentence in (
            ("DROP KEYSPACE nope", "Keyspace 'nope' doesn't exist"),
            ("CREATE TABLE nope.t (k int PRIMARY KEY)", "Keyspace 'nope' doesn't exist"),
            ("DROP TABLE nope", "Table 'ks.nope' doesn't exist"),
            ("DROP TABLE nope.t", "Table 'nope.t' doesn't exist"),
            ("TRUNCATE nope", "table nope does not exist"),
            ("SELECT * FROM nope", "table nope does not exist"),
            ("SELECT * FROM nope.t", "keyspace nope does not exist"),
            ("INSERT INTO nope (k) VALUES (1)", "table nope does not exist"),
        ):
            self.assert_refused(text, sentence)
        self.assertIsInstance(self.client.query("DROP TABLE IF EXISTS nope.t"), responses.Void)

    def test_system(self) -> None:
        """The server's own keyspaces are not written to."""
        for text in (
            "DROP KEYSPACE system",
            "DROP TABLE system.local",
            "TRUNCATE system.local",
            "CREATE TABLE system.t (k int PRIMARY KEY)",
            "INSERT INTO system.local (key) VALUES ('x')",
        ):
            self.assert_refused(text, "not supported by txcql.testing")


class TableTests(DatabaseTestCase):
    """Tables."""

    def test_create_and_drop(self) -> None:
        """The answers tell of the changes; where nothing changes, Void."""
        answer = self.client.query("CREATE TABLE t (k int PRIMARY KEY)")
        self.assertEqual(answer, responses.SchemaChanged(SchemaChange("CREATED", "TABLE", "ks", "t")))
        text = "CREATE TABLE IF NOT EXISTS t (k int PRIMARY KEY)"
        self.assertIsInstance(self.client.query(text), responses.Void)
        text = "CREATE TABLE t (k int PRIMARY KEY)"
        error = self.assertRaises(errors.AlreadyExists, self.client.query, text)
        self.assertEqual((error.keyspace, error.table), ("ks", "t"))
        answer = self.client.query("DROP TABLE t")
        self.assertEqual(answer, responses.SchemaChanged(SchemaChange("DROPPED", "TABLE", "ks", "t")))

    def test_truncate(self) -> None:
        """The rows go, the table stays."""
        self.client.query("CREATE TABLE t (k int PRIMARY KEY)")
        self.client.query("INSERT INTO t (k) VALUES (1)")
        self.assertIsInstance(self.client.query("TRUNCATE t"), responses.Void)
        self.assertEqual(self.client.rows("SELECT * FROM t"), [])

    def test_refused(self) -> None:
        """Definitions that make no sense, and types that the fake does not know."""
        for columns, sentence in (
            ("k int", "No PRIMARY KEY specifed for table 't' (exactly one required)"),
            ("k int PRIMARY KEY, PRIMARY KEY (k)", "Multiple PRIMARY KEY specified for table 't'"),
            ("k int PRIMARY KEY, k int", "Duplicate column 'k' declaration for table 't'"),
            ("k int, PRIMARY KEY (x)", "Unknown column 'x' referenced in PRIMARY KEY for table 't'"),
            ("k int, PRIMARY KEY (k, k)", "Duplicate column 'k' in PRIMARY KEY clause for table 't'"),
            (
                "k list<int> PRIMARY KEY",
                "Invalid non-frozen collection type list<int> for PRIMARY KEY column 'k'",
            ),
            ("k duration PRIMARY KEY", "duration type is not supported for PRIMARY KEY column 'k'"),
            ("k int PRIMARY KEY, c counter, d int", "Cannot mix counter and non counter columns"),
            ("k int PRIMARY KEY, c nope", "Unknown type ks.nope"),
            ("k int PRIMARY KEY, c 'org.Custom'", "not supported by txcql.testing"),
        ):
            self.assert_refused(f"CREATE TABLE t ({columns})", sentence)

    def test_clustering_order(self) -> None:
        """The directive names clustering columns, in their order, from the first."""
        table = "CREATE TABLE t (k int, c int, d int, PRIMARY KEY (k, c, d)) WITH CLUSTERING ORDER BY"
        for order, sentence in (
            ("(d DESC, c ASC)", "columns (c must appear before d)"),
            ("(d DESC)", "Missing CLUSTERING ORDER for column c"),
            ("(c DESC, x ASC)", "directive: [x] are not clustering columns"),
        ):
            self.assert_refused(f"{table} {order}", sentence)
        self.client.query(f"{table} (c DESC)")
        where = "WHERE keyspace_name = 'ks' AND table_name = 't'"
        rows = self.client.rows(f"SELECT column_name, clustering_order FROM system_schema.columns {where}")
        self.assertEqual(rows, [("c", "desc"), ("d", "asc"), ("k", "none")])

    def test_schema_version(self) -> None:
        """It changes with every change, and only then."""
        before = self.node.database.schema.version
        self.client.query("CREATE KEYSPACE IF NOT EXISTS ks WITH replication = " + SIMPLE)
        self.assertEqual(self.node.database.schema.version, before)
        self.client.query("CREATE TABLE t (k int PRIMARY KEY)")
        self.assertNotEqual(self.node.database.schema.version, before)

    def test_plans_are_kept(self) -> None:
        """A text is planned once, and again when the schema has changed."""
        self.client.query("CREATE TABLE t (k int PRIMARY KEY)")
        database = self.node.database
        first = database.plan("SELECT * FROM t", "ks")
        self.assertIs(database.plan("SELECT * FROM t", "ks"), first)
        self.client.query("CREATE TABLE u (k int PRIMARY KEY)")
        self.assertIsNot(database.plan("SELECT * FROM t", "ks"), first)
        for number in range(2000):
            database.plan(f"SELECT * FROM t WHERE k = {number}", "ks")
        self.assertLessEqual(len(database._plans), 1000)
