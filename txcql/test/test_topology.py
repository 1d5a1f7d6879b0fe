"""Tests for :mod:`txcql.cluster.topology`."""

from __future__ import annotations

import ipaddress
import uuid
from typing import Any

from twisted.internet.defer import Deferred

from txcql.cluster.topology import Topology, read_schema_versions, read_topology
from txcql.connection.protocol import CQLProtocol
from txcql.errors import ProtocolError
from txcql.test.scriptednode import ScriptedTestCase

HOST_ID = uuid.UUID(int=9)


class TopologyTests(ScriptedTestCase):
    """Over the control link of a session."""

    def setUp(self) -> None:
        ScriptedTestCase.setUp(self)
        self.one = self.node()
        self.two = self.node("10.0.0.2", rack="r2", port=9043)
        self.connect()

    @property
    def link(self) -> CQLProtocol:
        assert self.session is not None
        link = self.session._view._watch.control.link
        assert link is not None
        return link

    def read(self) -> Topology:
        topology: Topology = self.answer(Deferred.fromCoroutine(read_topology(self.link)))
        return topology

    def peer(self, **changes: Any) -> list[Any]:
        """What is made of one row of peers_v2."""
        row = {
            "peer": ipaddress.ip_address("10.0.0.9"),
            "native_address": ipaddress.ip_address("10.1.0.9"),
            "native_port": 9044,
            "host_id": HOST_ID,
            "data_center": "dc1",
            "rack": "r1",
            "release_version": "4.1.9",
            "tokens": {"1"},
        }
        self.one.odd_peers = [{**row, **changes}]
        return [peer for peer in self.read().peers if peer.host_id == HOST_ID]

    def test_all(self) -> None:
        """The node asked, and the others."""
        topology = self.read()
        self.assertEqual(topology.cluster_name, "scripted")
        self.assertEqual((topology.local.host_id, topology.local.datacenter), (self.one.host_id, "dc1"))
        (peer,) = topology.peers
        self.assertEqual(
            (peer.host_id, peer.host, peer.port, peer.rack, peer.release_version),
            (self.two.host_id, "10.0.0.2", 9043, "r2", "5.0.5"),
        )

    def test_peer(self) -> None:
        """The native address and port; 0.0.0.0 and null give way to the peer's address."""
        (peer,) = self.peer()
        self.assertEqual((peer.host, peer.port, peer.release_version), ("10.1.0.9", 9044, "4.1.9"))
        for address in ("0.0.0.0", "::"):
            (peer,) = self.peer(native_address=ipaddress.ip_address(address))
            self.assertEqual(peer.host, "10.0.0.9")
        (peer,) = self.peer(native_address=None, native_port=None)
        self.assertEqual((peer.host, peer.port), ("10.0.0.9", None))

    def test_half_gone(self) -> None:
        """Without what a node needs there is none."""
        for name in ("host_id", "data_center", "rack", "tokens"):
            self.assertEqual(self.peer(**{name: None}), [])
        self.assertEqual(self.peer(tokens=set()), [])
        self.assertEqual(self.peer(native_address=None, peer=None), [])

    def test_lists_itself(self) -> None:
        """A node that is its own peer is one node."""
        self.peer(host_id=self.one.host_id)
        self.assertEqual(len(self.read().peers), 1)

    def test_old(self) -> None:
        """Before 4.0 there is another table, without ports."""
        self.one.old = True
        (peer,) = self.read().peers
        self.assertEqual((peer.host, peer.port), ("10.0.0.2", None))

    def test_does_not_know_itself(self) -> None:
        """Such a node cannot be used."""
        self.one._system = lambda asked, text: asked.rows((), [])  # type: ignore[method-assign]
        error = self.error(Deferred.fromCoroutine(read_topology(self.link)), ProtocolError)
        self.assertEqual(str(error), "10.0.0.1:9042 does not describe itself in system.local")

    def test_no_rows(self) -> None:
        """Nor one that answers with something else."""
        self.one._system = lambda asked, text: asked.void()  # type: ignore[method-assign]
        error = self.error(Deferred.fromCoroutine(read_topology(self.link)), ProtocolError)
        self.assertRegex(str(error), "10.0.0.1:9042 answered .SELECT .* without rows")

    def test_schema_versions(self) -> None:
        """Those of all nodes, save those that are down; null is none."""
        self.two.schema_version = other = uuid.UUID(int=2)
        self.one.odd_peers = [{"schema_version": None, "host_id": HOST_ID}]

        def versions(*down: uuid.UUID) -> set[uuid.UUID]:
            found: set[uuid.UUID] = self.answer(Deferred.fromCoroutine(read_schema_versions(self.link, down)))
            return found

        self.assertEqual(versions(), {self.one.schema_version, other})
        self.assertEqual(versions(self.two.host_id), {self.one.schema_version})
