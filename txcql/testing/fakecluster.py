"""A Cassandra cluster in the process of a test."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from typing import Any

from twisted.internet.defer import Deferred, execute, gatherResults, maybeDeferred
from twisted.internet.interfaces import IListeningPort

from txcql.testing.database import Database
from txcql.testing.fakenode import FakeNode, NodeOptions
from txcql.testing.faketopology import make_nodes
from txcql.testing.systemtables import add_system_keyspaces
from txcql.wire.constants import NATIVE_VERSIONS
from txcql.wire.events import SchemaChange

__all__ = ["FakeCluster"]


class FakeCluster:
    """Nodes that answer as Cassandra 5.0 does, with tables in memory.

    They know a part of CQL; what is beyond it they refuse with an ``InvalidRequest`` that says
    "not supported by txcql.testing". All nodes share their tables.

    :param reactor: listens, and tells the time.
    :param nodes: the number of nodes, in one datacenter.
    :param datacenters: the number of nodes of each datacenter, instead of ``nodes``.
    :param credentials: user names and passwords; without them nobody has to log in.
    :param versions: the protocol versions that the nodes speak.
    :param compressions: the compressions that they offer; those that are installed if not given.
    :ivar nodes: the nodes.
    """

    def __init__(
        self,
        reactor: Any,
        nodes: int = 1,
        *,
        datacenters: Mapping[str, int] | None = None,
        credentials: Mapping[str, str] | None = None,
        versions: Sequence[int] = NATIVE_VERSIONS,
        compressions: Sequence[str] | None = None,
        cluster_name: str = "txcql.testing",
    ) -> None:
        self._reactor = reactor
        self._ports: list[IListeningPort] = []
        self._last_timestamp = 0
        infos = make_nodes({"dc1": nodes} if datacenters is None else datacenters)
        database = Database(infos)
        add_system_keyspaces(database)
        options = NodeOptions(
            cluster_name,
            credentials,
            _checked_versions(versions),
            _installed_compressions() if compressions is None else compressions,
        )
        self.nodes = [
            FakeNode(info, infos, database, options, self._timestamp, self._broadcast) for info in infos
        ]

    def __repr__(self) -> str:
        return f"<FakeCluster {' '.join(self.contact_points)}>"

    @property
    def contact_points(self) -> list[str]:
        """``host:port`` of every node."""
        return [f"{node.info.address}:{node.info.port}" for node in self.nodes]

    def listen(self) -> Deferred[list[tuple[str, int]]]:
        """Listen on loopback TCP ports of the system's choosing.

        :returns: fires with the host and port of every node.
        """
        return execute(self._listen)

    def _listen(self) -> list[tuple[str, int]]:
        for node in self.nodes:
            port = self._reactor.listenTCP(0, node.factory, interface=node.info.address)
            self._ports.append(port)
            node.info.port = port.getHost().port
        return [(node.info.address, node.info.port) for node in self.nodes]

    def close(self) -> Deferred[None]:
        """Stop listening and reset all connections; fires when they are gone."""
        return Deferred.fromCoroutine(self._close())

    async def _close(self) -> None:
        ports, self._ports = self._ports, []
        for port in ports:
            await maybeDeferred(port.stopListening)
        await gatherResults([node.close_connections() for node in self.nodes])

    def _timestamp(self) -> int:
        now = max(int(self._reactor.seconds() * 1_000_000), self._last_timestamp + 1)
        self._last_timestamp = now
        return now

    def _broadcast(self, changes: Sequence[SchemaChange]) -> None:
        for change in changes:
            for node in self.nodes:
                node.send_event(change)


def _checked_versions(versions: Sequence[int]) -> Sequence[int]:
    unknown = set(versions) - set(NATIVE_VERSIONS)
    if unknown or not versions:
        raise ValueError(f"versions must be some of {NATIVE_VERSIONS}, got {tuple(versions)}")
    return versions


def _installed_compressions() -> Sequence[str]:
    return ("snappy", "lz4") if importlib.util.find_spec("cramjam") is not None else ("lz4",)
