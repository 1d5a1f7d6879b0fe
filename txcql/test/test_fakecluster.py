"""The fake cluster: ports, timestamps, the end."""

from __future__ import annotations

from twisted.internet.error import ConnectionAborted
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from txcql import errors
from txcql.test.fakeclient import FakeClient, with_keyspace
from txcql.testing import FakeCluster


class FakeClusterTests(SynchronousTestCase):
    """:class:`FakeCluster`."""

    def test_listen(self) -> None:
        """Each node has a port of its own on the loopback address."""
        reactor = MemoryReactorClock()
        cluster = FakeCluster(reactor, 3)
        ports = self.successResultOf(cluster.listen())
        self.assertEqual(len(ports), 3)
        self.assertEqual([server[3] for server in reactor.tcpServers], ["127.0.0.1"] * 3)
        self.assertEqual([server[0] for server in reactor.tcpServers], [0] * 3)
        self.assertEqual([server[1] for server in reactor.tcpServers], [n.factory for n in cluster.nodes])
        self.assertEqual(cluster.contact_points, [f"{host}:{port}" for host, port in ports])
        self.assertEqual(repr(cluster), f"<FakeCluster {' '.join(cluster.contact_points)}>")

    def test_close(self) -> None:
        """The ports go first, then every connection; it is over when the last one is gone."""
        cluster = FakeCluster(MemoryReactorClock())
        self.successResultOf(cluster.listen())
        client = FakeClient(cluster.nodes[0])
        done = cluster.close()
        self.assertNoResult(done)
        self.assertTrue(client.transport.disconnecting)
        client.protocol.connectionLost(Failure(ConnectionAborted()))
        self.successResultOf(done)
        self.successResultOf(cluster.close())

    def test_shared_tables(self) -> None:
        """All nodes have the same tables, and tell of changes; prepared statements are their own."""
        cluster = FakeCluster(Clock(), 2)
        first, second = (FakeClient(node) for node in cluster.nodes)
        with_keyspace(first, "CREATE TABLE t (k int PRIMARY KEY)", "INSERT INTO t (k) VALUES (1)")
        self.assertEqual(second.rows("SELECT * FROM ks.t"), [(1,)])
        prepared = first.prepare("SELECT * FROM ks.t")
        self.assertRaises(errors.Unprepared, second.execute, prepared)

    def test_timestamps(self) -> None:
        """The clock's, and always later than the one before."""
        clock = Clock()
        cluster = FakeCluster(clock)
        node = cluster.nodes[0]
        clock.advance(5)
        self.assertEqual([node.timestamp(), node.timestamp()], [5_000_000, 5_000_001])
        clock.advance(1)
        self.assertEqual(node.timestamp(), 6_000_000)

    def test_versions(self) -> None:
        """A cluster that speaks less."""
        node = FakeCluster(Clock(), versions=(3, 4), compressions=("lz4",)).nodes[0]
        self.assertEqual(
            node.supported(),
            {"PROTOCOL_VERSIONS": ["3/v3", "4/v4"], "COMPRESSION": ("lz4",), "CQL_VERSION": ["3.4.7"]},
        )
        for wrong in ((), (2,), (3, 6)):
            self.assertRaises(ValueError, FakeCluster, Clock(), versions=wrong)

    def test_repr(self) -> None:
        """A node names itself and counts what it holds."""
        node = FakeCluster(Clock()).nodes[0]
        client = FakeClient(node)
        client.prepare("SELECT * FROM system.local")
        self.assertEqual(repr(node), "<FakeNode 127.0.0.1:0 dc1 connections=1 prepared=1>")
