"""What is known of the cluster: its nodes, its schema, and who owns what."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Any
from uuid import UUID

from twisted.internet.defer import Deferred, succeed

from txcql.cluster.listeners import Listeners
from txcql.cluster.nodes import Node
from txcql.cluster.replication import ReplicationStrategy, replication_strategy
from txcql.cluster.schema import KeyspaceMetadata
from txcql.cluster.schemachanges import tell_changes
from txcql.cluster.tokenmap import ReplicaTable, TokenMap

__all__ = ["ClusterMetadata"]


class ClusterMetadata:
    """The cluster as the control connection sees it; it changes as the cluster does.

    :ivar name: the name of the cluster.
    :ivar nodes: every node that is known, by its host id.
    :ivar keyspaces: the schema, by keyspace.
    :ivar token_map: who owns which token.
    """

    def __init__(self) -> None:
        self.name = ""
        self.token_map = TokenMap()
        self._nodes: dict[UUID, Node] = {}
        self._keyspaces: dict[str, KeyspaceMetadata] = {}
        self.nodes: Mapping[UUID, Node] = MappingProxyType(self._nodes)
        self.keyspaces: Mapping[str, KeyspaceMetadata] = MappingProxyType(self._keyspaces)
        self.listeners = Listeners()
        self.on_refresh: Callable[[], Deferred[None]] = lambda: succeed(None)
        self._strategies: dict[str, ReplicationStrategy] = {}
        self._tables: dict[str, ReplicaTable] = {}

    def replicas(self, keyspace: str | None, routing_key: bytes) -> Sequence[Node]:
        """The nodes that have a copy of a partition, in the order of the ring.

        :param keyspace: the keyspace that it is in.
        :param routing_key: its serialized partition key.
        :returns: nodes that are down too; empty if they are not known.
        """
        table = self._tables.get(keyspace)  # type: ignore[arg-type]
        return () if table is None else table.replicas(routing_key)

    def partition_key_of(self, keyspace: str, table: str) -> tuple[str, ...]:
        """The names of the columns of a table's partition key, in their order; empty if not known."""
        found = self._keyspaces.get(keyspace)
        if found is None:
            return ()
        definition = found.tables.get(table) or found.views.get(table)
        return () if definition is None else tuple(column.name for column in definition.partition_key)

    def add_listener(self, listener: Any) -> None:
        """Tell a listener of changes from now on.

        :param listener: an :class:`~txcql.interfaces.INodeListener`, an
            :class:`~txcql.interfaces.ISchemaListener`, or both.
        :raises TypeError: it provides neither.
        """
        self.listeners.add(listener)

    def remove_listener(self, listener: Any) -> None:
        """Tell a listener no more.

        :raises ValueError: it was not added.
        """
        self.listeners.remove(listener)

    def refresh(self) -> Deferred[None]:
        """Read nodes and schema now. Events do the same within a second or two.

        :returns: fires when they are read; fails with a :class:`~txcql.errors.CQLError` if they
            cannot be.
        """
        return self.on_refresh()

    def __str__(self) -> str:
        up = sum(node.up for node in self._nodes.values())
        datacenters = Counter(node.datacenter for node in self._nodes.values())
        places = ", ".join(f"{count} in {name}" for name, count in sorted(datacenters.items()))
        keyspaces = len(self._keyspaces)
        return f"cluster {self.name}: {len(self._nodes)} nodes, {up} up ({places}), {keyspaces} keyspaces"

    def __repr__(self) -> str:
        return f"<ClusterMetadata {self}>"

    # What the driver learns.

    def node_added(self, node: Node) -> None:
        """A node has come."""
        self._nodes[node.host_id] = node
        self.listeners.tell("node_added", node)

    def node_removed(self, node: Node) -> None:
        """A node has left."""
        del self._nodes[node.host_id]
        self.listeners.tell("node_removed", node)

    def ring_changed(self, token_map: TokenMap) -> None:
        """Tokens have other owners."""
        self.token_map = token_map
        self._find_tables()

    def keyspaces_read(self, found: Mapping[str, KeyspaceMetadata], names: Collection[str] | None) -> None:
        """Keyspaces were read.

        :param names: those that were asked for, which are gone if they were not found; ``None`` for
            all.
        """
        before = self._keyspaces
        gone = [name for name in (before if names is None else names) if name in before and name not in found]
        after = {**{name: keyspace for name, keyspace in before.items() if name not in gone}, **found}
        changed = {name: (before.get(name), after.get(name)) for name in (*gone, *found)}
        self._keyspaces.clear()
        self._keyspaces.update(sorted(after.items()))
        self._strategies = {
            name: strategy
            for name, keyspace in after.items()
            if (strategy := replication_strategy(keyspace.replication)) is not None
        }
        self._find_tables()
        for old, new in changed.values():
            tell_changes(self.listeners, old, new)

    # Inside.

    def _find_tables(self) -> None:
        self._tables = self.token_map.tables(self._strategies)
