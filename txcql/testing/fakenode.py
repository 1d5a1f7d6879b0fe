"""One node of a fake cluster."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Factory

from txcql.testing.database import Database
from txcql.testing.faketopology import NodeInfo, check_consistency
from txcql.testing.nodeprotocol import NodeProtocol
from txcql.testing.requestrunner import PreparedPlan
from txcql.testing.systemtables import CQL_VERSION
from txcql.wire.events import SchemaChange

__all__ = ["FakeNode", "NodeFactory", "NodeOptions"]


class NodeOptions:
    """What all nodes of a cluster have in common.

    :param credentials: user names and passwords; ``None`` if nobody has to log in.
    :param versions: the protocol versions that they speak.
    :param compressions: the compressions that they offer.
    """

    def __init__(
        self,
        cluster_name: str,
        credentials: Mapping[str, str] | None,
        versions: Sequence[int],
        compressions: Sequence[str],
    ) -> None:
        self.cluster_name = cluster_name
        self.credentials = credentials
        self.versions = tuple(versions)
        self.compressions = tuple(compressions)


class FakeNode:
    """A node: its connections, its prepared statements, and its view of the cluster.

    :class:`~txcql.testing.FakeCluster` makes them.

    :param info: what it tells of itself.
    :param all_nodes: what all nodes tell of themselves, this one included.
    :param database: what all nodes share.
    :param timestamp: gives the timestamps of writes that have none.
    :param broadcast: tells all nodes of a change of the schema.
    :ivar connections: the connections that are open.
    :ivar prepared: its prepared statements, by their ids.
    :ivar factory: makes the protocol of a new connection; a port, or a test in memory, uses it.
    """

    def __init__(
        self,
        info: NodeInfo,
        all_nodes: Sequence[NodeInfo],
        database: Database,
        options: NodeOptions,
        timestamp: Callable[[], int],
        broadcast: Callable[[Sequence[SchemaChange]], None],
    ) -> None:
        self.info = info
        self.peers = [other for other in all_nodes if other is not info]
        self.database = database
        self.cluster_name = options.cluster_name
        self.credentials = options.credentials
        self.versions: Sequence[int] = options.versions
        self.compressions: Sequence[str] = options.compressions
        self.connections: set[NodeProtocol] = set()
        self.prepared: dict[bytes, PreparedPlan] = {}
        self.factory = NodeFactory(self)
        self.timestamp = timestamp
        self.schema_changed = broadcast
        self._all_nodes = all_nodes
        database.dropped.append(self._forget)

    def __repr__(self) -> str:
        return (
            f"<FakeNode {self.info.address}:{self.info.port} {self.info.datacenter} "
            f"connections={len(self.connections)} prepared={len(self.prepared)}>"
        )

    def supported(self) -> Mapping[str, Sequence[str]]:
        """What OPTIONS is answered with."""
        versions = [f"{version}/v{version}" for version in self.versions]
        if 5 in self.versions:
            versions.append("6/v6-beta")
        return {
            "PROTOCOL_VERSIONS": versions,
            "COMPRESSION": self.compressions,
            "CQL_VERSION": [CQL_VERSION],
        }

    def check_consistency(self, keyspace: str, level: int, write: bool) -> None:
        """Refuse a consistency level that the nodes cannot meet.

        :raises Unavailable: there are too few replicas.
        """
        replication = self.database.keyspaces[keyspace].definition.replication
        check_consistency(replication, level, self._all_nodes, self.info.datacenter, write)

    def send_event(self, change: SchemaChange) -> None:
        """Tell those who have registered for schema changes."""
        for connection in list(self.connections):
            if "SCHEMA_CHANGE" in connection.events:
                connection.send_event(change)

    def close_connections(self) -> Deferred[None]:
        """Reset all connections; fires when the last one is gone."""
        gone = [connection.lost for connection in self.connections]
        for connection in list(self.connections):
            connection.abort()
        return gatherResults(gone).addCallback(lambda _: None)

    def _forget(self, keyspace: str, table: str | None) -> None:
        """Forget the prepared statements of what was dropped."""
        for statement_id, prepared in list(self.prepared.items()):
            found = prepared.plan.table
            if found is None or found.definition.keyspace != keyspace:
                continue
            if table is None or found.definition.name == table:
                del self.prepared[statement_id]


class NodeFactory(Factory):
    """Makes the protocols of a node's connections."""

    noisy = False

    def __init__(self, node: FakeNode) -> None:
        self.node = node

    def buildProtocol(self, addr: IAddress | None) -> NodeProtocol:
        return NodeProtocol(self.node)
