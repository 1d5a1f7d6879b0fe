"""Nodes that go down, hang, come and go, as a session sees them; TLS and logins."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from twisted.internet.task import deferLater
from twisted.trial.unittest import SynchronousTestCase

import txcql
from txcql import errors
from txcql.test.certificates import Authority, ServerConnections, server_context
from txcql.testing import FakeCluster, MemoryReactor

NETWORK = "{'class': 'NetworkTopologyStrategy', 'dc1': %d, 'dc2': 1}"


class NodeTestCase(SynchronousTestCase):
    """Two data centers, and a session in the first."""

    def setUp(self) -> None:
        self.reactor = MemoryReactor()
        self.cluster = FakeCluster(self.reactor, datacenters={"dc1": 3, "dc2": 1})
        self.run_(self.cluster.listen())
        self.session = self.run_(
            txcql.connect(self.reactor, self.cluster.contact_points[:1], local_datacenter="dc1")
        )
        self.addCleanup(lambda: self.run_(self.session.close()))
        for name, factor in (("one", 1), ("three", 3)):
            self.run_(self.session.execute(f"CREATE KEYSPACE {name} WITH replication = {NETWORK % factor}"))
            self.run_(self.session.execute(f"CREATE TABLE {name}.t (k int PRIMARY KEY, v int)"))

    def run_(self, result: Any) -> Any:
        return self.reactor.run(result)

    def wait(self, seconds: float) -> None:
        self.run_(deferLater(self.reactor, seconds))

    def states(self) -> dict[str, str]:
        return {name: node["state"] for name, node in self.session.snapshot()["nodes"].items()}


class OutageTests(NodeTestCase):
    """Nodes that are not there."""

    def test_down_and_up(self) -> None:
        """The session hears of both, and goes on in between."""
        node = self.cluster.nodes[1]
        self.run_(node.stop())
        self.wait(2)
        self.assertEqual(self.states()[node.contact_point], "down")
        self.assertIn("down", repr(node))
        self.run_(self.session.execute("INSERT INTO three.t (k, v) VALUES (1, 1)"))
        node.start()
        self.wait(2)
        self.assertEqual(self.states()[node.contact_point], "up")

    def test_levels_that_cannot_be_met(self) -> None:
        """As many replicas as are up, of those that hold the key."""
        for node in self.cluster.nodes[1:3]:
            self.run_(node.stop())
        self.wait(2)
        error = self.assertRaises(
            errors.Unavailable, self.run_, self.session.execute("INSERT INTO three.t (k, v) VALUES (1, 1)")
        )
        self.assertEqual((error.consistency, error.required, error.alive), ("LOCAL_QUORUM", 2, 1))
        outcomes = set()
        for k in range(20):
            write = self.session.execute(f"INSERT INTO one.t (k, v) VALUES ({k}, 1)")
            try:
                self.run_(write)
                outcomes.add("written")
            except errors.Unavailable:
                outcomes.add("unavailable")
        self.assertEqual(outcomes, {"written", "unavailable"})

    def test_a_node_that_hangs(self) -> None:
        """Silence, until it reads again."""
        for node in self.cluster.nodes:
            node.pause_reading()
        self.assertRaises(
            errors.CQLError, self.run_, self.session.execute("SELECT * FROM three.t", timeout=1.0)
        )
        for node in self.cluster.nodes:
            node.resume_reading()
        self.assertEqual(self.run_(self.session.execute("SELECT * FROM three.t")).all(), [])

    def test_refused_connections(self) -> None:
        """Those that are there stay."""
        [node, *_] = self.cluster.nodes
        self.run_(node.refuse_connections())
        self.assertRaises(
            errors.NoNodeAvailable, self.run_, txcql.connect(self.reactor, [node.contact_point])
        )
        self.assertEqual(self.run_(self.session.execute("SELECT * FROM three.t")).all(), [])
        node.accept_connections()
        self.run_(self.run_(txcql.connect(self.reactor, [node.contact_point])).close())

    def test_nodes_come_and_go(self) -> None:
        """Clients are told, and find them in the tables."""
        node = self.cluster.add_node("dc1")
        self.wait(5)
        self.assertEqual(self.states()[node.contact_point], "up")
        self.run_(self.cluster.remove_node(node))
        self.wait(5)
        self.assertNotIn(node.contact_point, self.states())

    def test_prepared_statements_are_forgotten(self) -> None:
        """The driver prepares them again."""
        text = "SELECT v FROM three.t WHERE k = ?"
        self.run_(self.session.execute(text, [1]))
        for node in self.cluster.nodes:
            node.forget_prepared()
        self.assertEqual(self.run_(self.session.execute(text, [1])).all(), [])


class DoorTests(SynchronousTestCase):
    """Logins, TLS, time."""

    def test_login(self) -> None:
        """The right password, a wrong one, and none."""
        reactor = MemoryReactor()
        cluster = FakeCluster(reactor, credentials={"ada": "secret"})
        reactor.run(cluster.listen())
        points = cluster.contact_points
        session = reactor.run(txcql.connect(reactor, points, username="ada", password="secret"))
        reactor.run(session.close())
        logins: list[dict[str, Any]] = [{"username": "ada", "password": "wrong"}, {}]
        for login in logins:
            refused = txcql.connect(reactor, points, **login)
            self.assertRaises(errors.AuthenticationFailed, reactor.run, refused)

    def test_tls(self) -> None:
        """A server's context is passed through."""
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        authority = Authority(Path(folder.name))
        context = server_context(*authority.sign("node", "127.0.0.1"))
        reactor = MemoryReactor()
        cluster = FakeCluster(reactor, tls=ServerConnections(context))
        reactor.run(cluster.listen())
        tls = txcql.TLS(authority.certificate)
        session = reactor.run(txcql.connect(reactor, cluster.contact_points, tls=tls))
        row = reactor.run(session.execute("SELECT release_version FROM system.local")).one()
        self.assertEqual(row.release_version, "5.0.5")
        reactor.run(session.close())

    def test_every_version_and_compression(self) -> None:
        """v3 to v5, with LZ4 and without."""
        for version in (3, 4, 5):
            for compression in (None, "lz4"):
                reactor = MemoryReactor()
                cluster = FakeCluster(reactor)
                reactor.run(cluster.listen())
                session = reactor.run(
                    txcql.connect(
                        reactor, cluster.contact_points, protocol_version=version, compression=compression
                    )
                )
                rows = reactor.run(session.execute("SELECT keyspace_name FROM system_schema.keyspaces")).all()
                self.assertEqual(len(rows), 5)
                reactor.run(session.close())

    def test_time_to_live_on_the_clock(self) -> None:
        """What expires goes when the clock says so."""
        reactor = MemoryReactor()
        cluster = FakeCluster(reactor)
        reactor.run(cluster.listen())
        session = reactor.run(txcql.connect(reactor, cluster.contact_points))
        replication = "{'class': 'SimpleStrategy', 'replication_factor': 1}"
        reactor.run(session.execute(f"CREATE KEYSPACE ks WITH replication = {replication}"))
        reactor.run(session.execute("CREATE TABLE ks.t (k int PRIMARY KEY, v int)"))
        reactor.run(session.execute("INSERT INTO ks.t (k, v) VALUES (1, 1) USING TTL 100"))
        reactor.advance(60)
        self.assertEqual(reactor.run(session.execute("SELECT ttl(v) FROM ks.t")).one()[0], 40)
        reactor.advance(41)
        self.assertEqual(reactor.run(session.execute("SELECT * FROM ks.t")).all(), [])
        reactor.run(session.close())
