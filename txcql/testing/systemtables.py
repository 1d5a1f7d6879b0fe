"""The tables of the server's own, with the columns that Cassandra 5.0 has.

Their rows are made when they are read, from what the cluster is at that time
and, in ``system``, from the point of view of the node that is asked.
"""

from __future__ import annotations

import ipaddress
import uuid
from collections.abc import Callable, Iterator, Mapping
from functools import cache, partial
from typing import Any, Protocol

from txcql.testing import cqlstatements as cql
from txcql.testing.cqlparser import parse
from txcql.testing.database import Database
from txcql.testing.expressions import type_text
from txcql.testing.faketopology import NodeInfo
from txcql.testing.keyspaces import Keyspace
from txcql.testing.operations import Stamp, write_value
from txcql.testing.refusals import unsupported
from txcql.testing.storedtables import StoredTable
from txcql.testing.systemcatalog import SYSTEM_REPLICATIONS, system_tables
from txcql.testing.tabledefinitions import ColumnDefinition, KeyspaceDefinition, TableDefinition
from txcql.testing.tablemaker import make_table
from txcql.wire.values import Timestamp

__all__ = ["RELEASE_VERSION", "SystemNode", "add_system_keyspaces"]

RELEASE_VERSION = "5.0.5"
CQL_VERSION = "3.4.7"

_Row = Mapping[str, Any]


class SystemNode(Protocol):
    """What the tables of ``system`` know of the node that is asked.

    :ivar info: the node.
    :ivar peers: the other nodes.
    """

    info: NodeInfo
    peers: list[NodeInfo]
    cluster_name: str
    database: Database

    def seconds(self) -> float:
        """The time, in seconds since 1970."""


class SystemTable(StoredTable):
    """A table whose rows are made when it is read.

    :param rows: makes them, from the point of view of a node.
    """

    def __init__(self, definition: TableDefinition, rows: Callable[[SystemNode], Iterator[_Row]]) -> None:
        super().__init__(definition)
        self._rows_of = rows

    def current(self, node: SystemNode) -> StoredTable:
        """The table as a node sees it now.

        :raises InvalidRequest: the fake does not know what a real node has there.
        """
        table = StoredTable(self.definition)
        for row in self._rows_of(node):
            _insert(table, row)
        return table


def add_system_keyspaces(database: Database) -> None:
    """Give a database the keyspaces of the server's own."""
    for name, replication in SYSTEM_REPLICATIONS.items():
        keyspace = Keyspace(KeyspaceDefinition(name, replication), system=True)
        database.keyspaces[name] = keyspace.made_by(partial(_tables_of, name))


def _tables_of(keyspace: str) -> dict[str, StoredTable]:
    return {
        definition.name: SystemTable(definition, _rows_of(keyspace, definition.name))
        for definition in _definitions_of(keyspace)
    }


@cache
def _definitions_of(keyspace: str) -> list[TableDefinition]:
    """Made once: they are the same in all clusters, and nothing changes them."""
    found = []
    for _, identity, text in system_tables(keyspace):
        statement = parse(text).statement
        assert isinstance(statement, cql.CreateTable)
        definition = make_table(statement, keyspace)
        if identity != "-":
            definition.id = uuid.UUID(identity)
        found.append(definition)
    return found


def _rows_of(keyspace: str, table: str) -> Callable[[SystemNode], Iterator[_Row]]:
    found = _ROWS.get((keyspace, table))
    if found is not None:
        return found
    if keyspace == "system_schema" or table in _EMPTY:
        return _no_rows

    def refuse(node: SystemNode) -> Iterator[_Row]:
        raise unsupported(f"reading {keyspace}.{table}")

    return refuse


def _insert(table: StoredTable, row: _Row) -> None:
    definition = table.definition

    def encoded(columns: tuple[ColumnDefinition, ...]) -> list[bytes]:
        return [column.type.encode(row[column.name]) or b"" for column in columns]

    components = encoded(definition.partition_key)
    made = table.row(table.partition_key(components), components, encoded(definition.clustering))
    stamp = Stamp(0)
    made.insert(*stamp)
    for column in definition.columns.values():
        value = row.get(column.name)
        data = None if column.is_key or value is None else column.type.encode(value)
        if data is not None:
            write_value(column, column.check(data), made, stamp)


def _no_rows(node: SystemNode) -> Iterator[_Row]:
    return iter(())


def _local(node: SystemNode) -> Iterator[_Row]:
    info = node.info
    address = ipaddress.ip_address(info.address)
    yield {
        **_common(node, info),
        "key": "local",
        "bootstrapped": "COMPLETED",
        "broadcast_address": address,
        "broadcast_port": info.storage_port,
        "cluster_name": node.cluster_name,
        "cql_version": CQL_VERSION,
        "gossip_generation": 1,
        "listen_address": address,
        "listen_port": info.storage_port,
        "native_protocol_version": "5",
        "partitioner": "org.apache.cassandra.dht.Murmur3Partitioner",
        "rpc_address": address,
        "rpc_port": info.port,
    }


def _common(node: SystemNode, info: NodeInfo) -> dict[str, Any]:
    return {
        "data_center": info.datacenter,
        "host_id": info.host_id,
        "rack": info.rack,
        "release_version": RELEASE_VERSION,
        "schema_version": node.database.schema.version,
        "tokens": list(info.tokens),
    }


def _peers(node: SystemNode) -> Iterator[_Row]:
    for info in node.peers:
        address = ipaddress.ip_address(info.address)
        yield {**_common(node, info), "peer": address, "rpc_address": address}


def _peers_v2(node: SystemNode) -> Iterator[_Row]:
    for info in node.peers:
        address = ipaddress.ip_address(info.address)
        yield {
            **_common(node, info),
            "peer": address,
            "peer_port": info.storage_port,
            "native_address": address,
            "native_port": info.port,
        }


def _keyspaces(node: SystemNode) -> Iterator[_Row]:
    for name, keyspace in node.database.keyspaces.items():
        definition = keyspace.definition
        if name in VIRTUAL:
            continue
        yield {
            "keyspace_name": name,
            "durable_writes": definition.durable_writes,
            "replication": dict(definition.replication),
        }


def _definitions(node: SystemNode, virtual: bool = False) -> Iterator[TableDefinition]:
    for name, keyspace in node.database.keyspaces.items():
        if (name in VIRTUAL) == virtual:
            for table in keyspace.tables.values():
                yield table.definition


def _tables(node: SystemNode) -> Iterator[_Row]:
    for definition in _definitions(node):
        shown = {name: value for name, value in definition.options.items() if name not in _HIDDEN}
        yield {
            "dclocal_read_repair_chance": 0.0,
            "read_repair_chance": 0.0,
            **shown,
            "flags": ["compound", "counter"] if definition.is_counter else ["compound"],
            "keyspace_name": definition.keyspace,
            "table_name": definition.name,
            "id": definition.id,
        }


def _columns(node: SystemNode, virtual: bool = False) -> Iterator[_Row]:
    for definition in _definitions(node, virtual):
        for column in definition.columns.values():
            order = "none"
            if column.kind == "clustering":
                order = "desc" if column.descending else "asc"
            yield {
                "keyspace_name": definition.keyspace,
                "table_name": definition.name,
                "column_name": column.name,
                "clustering_order": order,
                "column_name_bytes": column.name.encode(),
                "kind": column.kind,
                "position": column.position,
                "type": type_text(column.declared),
            }


def _dropped_columns(node: SystemNode) -> Iterator[_Row]:
    for definition in _definitions(node):
        for name, (kind, text) in definition.dropped.items():
            yield {
                "keyspace_name": definition.keyspace,
                "table_name": definition.name,
                "column_name": name,
                "dropped_time": Timestamp(int(node.seconds() * 1000)),
                "kind": kind,
                "type": text,
            }


def _types(node: SystemNode) -> Iterator[_Row]:
    for name, keyspace in node.database.keyspaces.items():
        for kind in keyspace.types.values():
            yield {
                "keyspace_name": name,
                "type_name": kind.type_name,
                "field_names": list(kind.field_names),
                "field_types": [type_text(part) for part in kind.types],
            }


def _indexes(node: SystemNode) -> Iterator[_Row]:
    for definition in _definitions(node):
        for index in definition.indexes.values():
            yield {
                "keyspace_name": definition.keyspace,
                "table_name": definition.name,
                "index_name": index.name,
                "kind": "COMPOSITES",
                "options": {"target": index.target},
            }


def _virtual_keyspaces(node: SystemNode) -> Iterator[_Row]:
    for name in VIRTUAL:
        yield {"keyspace_name": name}


def _virtual_tables(node: SystemNode) -> Iterator[_Row]:
    for definition in _definitions(node, virtual=True):
        yield {
            "keyspace_name": definition.keyspace,
            "table_name": definition.name,
            "comment": definition.options["comment"],
        }


def _virtual_columns(node: SystemNode) -> Iterator[_Row]:
    return _columns(node, virtual=True)


VIRTUAL = ("system_virtual_schema",)
"""The keyspaces of virtual tables."""

_HIDDEN = ("allow_auto_snapshot", "cdc", "incremental_backups", "memtable")
"""Options that have no value in ``system_schema.tables`` unless the node is configured for them."""

_EMPTY = frozenset(
    (
        "IndexInfo", "available_ranges", "available_ranges_v2", "batches", "built_views", "peer_events",
        "peer_events_v2", "paxos", "repairs", "sessions", "events", "transferred_ranges",
        "transferred_ranges_v2",
        "view_builds_in_progress", "parent_repair_history", "repair_history", "partition_denylist",
        "view_build_status",
    )
)  # fmt: skip
"""What is empty in a cluster that uses none of what these tables list; the rest cannot be read."""

_ROWS: dict[tuple[str, str], Callable[[SystemNode], Iterator[_Row]]] = {
    ("system", "local"): _local,
    ("system", "peers"): _peers,
    ("system", "peers_v2"): _peers_v2,
    ("system_schema", "columns"): _columns,
    ("system_schema", "dropped_columns"): _dropped_columns,
    ("system_schema", "indexes"): _indexes,
    ("system_schema", "keyspaces"): _keyspaces,
    ("system_schema", "tables"): _tables,
    ("system_schema", "types"): _types,
    ("system_virtual_schema", "columns"): _virtual_columns,
    ("system_virtual_schema", "keyspaces"): _virtual_keyspaces,
    ("system_virtual_schema", "tables"): _virtual_tables,
}
