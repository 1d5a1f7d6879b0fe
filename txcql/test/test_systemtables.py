"""The server's own tables, as drivers read them."""

from __future__ import annotations

import ipaddress

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from txcql.test.fakeclient import FakeClient, fake_node, with_keyspace
from txcql.testing import FakeCluster

HOME = ipaddress.ip_address("127.0.0.1")


class SystemTests(SynchronousTestCase):
    """``system``: each node tells of itself and of the others."""

    def setUp(self) -> None:
        cluster = FakeCluster(Clock(), datacenters={"dc1": 2, "dc2": 1})
        self.nodes = cluster.nodes
        for number, node in enumerate(self.nodes):
            node.info.port = 9042 + number
        self.clients = [FakeClient(node) for node in self.nodes]

    def rows(self, client: FakeClient, text: str) -> list[dict[str, object]]:
        answer = client.query(text)
        names = [column.name for column in answer.columns]
        return [dict(zip(names, row, strict=True)) for row in answer.rows]

    def test_local(self) -> None:
        """The node that is asked."""
        for client, node, datacenter in zip(self.clients, self.nodes, ("dc1", "dc1", "dc2"), strict=True):
            (row,) = self.rows(client, "SELECT * FROM system.local WHERE key = 'local'")
            self.assertEqual(row["host_id"], node.info.host_id)
            self.assertEqual(row["data_center"], datacenter)
            self.assertEqual((row["rpc_address"], row["rpc_port"]), (HOME, node.info.port))
            self.assertEqual(row["tokens"], set(node.info.tokens))
            self.assertEqual(row["schema_version"], node.database.schema.version)
            self.assertEqual(row["cluster_name"], "txcql.testing")
            self.assertEqual(row["release_version"], "5.0.5")
            self.assertEqual(row["bootstrapped"], "COMPLETED")

    def test_peers(self) -> None:
        """The other nodes, with their ports in ``peers_v2`` only."""
        for client, node in zip(self.clients, self.nodes, strict=True):
            rows = self.rows(client, "SELECT * FROM system.peers_v2")
            others = [other.info for other in self.nodes if other is not node]
            self.assertEqual({row["host_id"] for row in rows}, {info.host_id for info in others})
            self.assertEqual({row["native_port"] for row in rows}, {info.port for info in others})
            self.assertEqual({row["native_address"] for row in rows}, {HOME})
            self.assertNotIn("native_port", self.rows(client, "SELECT * FROM system.peers")[0])

    def test_tokens(self) -> None:
        """One for each node, spread over the ring."""
        tokens = [token for node in self.nodes for token in node.info.tokens]
        self.assertEqual(tokens, ["-9223372036854775808", "-3074457345618258603", "3074457345618258602"])

    def test_host_ids(self) -> None:
        """The same in every run."""
        again = FakeCluster(Clock(), datacenters={"dc1": 2, "dc2": 1})
        self.assertEqual([n.info.host_id for n in again.nodes], [n.info.host_id for n in self.nodes])


class SystemSchemaTests(SynchronousTestCase):
    """``system_schema``: what there is, the server's own tables included."""

    def setUp(self) -> None:
        self.client = with_keyspace(
            FakeClient(fake_node()),
            "CREATE TABLE t (k int, d text, v map<text, int>, u tuple<int, text>, PRIMARY KEY (k, d)) "
            "WITH CLUSTERING ORDER BY (d DESC)",
        )

    def test_keyspaces(self) -> None:
        """All of them."""
        rows = self.client.rows("SELECT keyspace_name FROM system_schema.keyspaces")
        self.assertEqual(
            {row[0] for row in rows},
            {"ks", "system", "system_auth", "system_distributed", "system_schema", "system_traces"},
        )

    def test_tables(self) -> None:
        """Those of a keyspace, with the options that a new table has."""
        where = "WHERE keyspace_name = 'ks'"
        rows = self.client.rows(
            f"SELECT table_name, flags, gc_grace_seconds, read_repair FROM system_schema.tables {where}"
        )
        self.assertEqual(rows, [("t", {"compound"}, 864000, "BLOCKING")])
        where = "WHERE keyspace_name = 'system'"
        rows = self.client.rows(f"SELECT table_name FROM system_schema.tables {where}")
        self.assertEqual(len(rows), 23)
        self.assertLessEqual({("local",), ("peers",), ("peers_v2",)}, set(rows))

    def test_columns(self) -> None:
        """Kinds, positions, orders, types."""
        names = "column_name, kind, position, clustering_order, type"
        where = "WHERE keyspace_name = 'ks' AND table_name = 't'"
        self.assertEqual(
            self.client.rows(f"SELECT {names} FROM system_schema.columns {where}"),
            [
                ("d", "clustering", 0, "desc", "text"),
                ("k", "partition_key", 0, "none", "int"),
                ("u", "regular", -1, "none", "frozen<tuple<int, text>>"),
                ("v", "regular", -1, "none", "map<text, int>"),
            ],
        )

    def test_empty(self) -> None:
        """The tables of what the fake does not know are there, and empty."""
        for table in ("types", "functions", "aggregates", "indexes", "views", "triggers", "dropped_columns"):
            self.assertEqual(self.client.rows(f"SELECT * FROM system_schema.{table}"), [])

    def test_columns_of_all(self) -> None:
        """Every column of every table is listed once."""
        rows = self.client.rows("SELECT keyspace_name, table_name, column_name FROM system_schema.columns")
        self.assertEqual(len(rows), len(set(rows)))
        self.assertIn(("system", "local", "truncated_at"), rows)
        self.assertIn(("system_schema", "columns", "column_name_bytes"), rows)
