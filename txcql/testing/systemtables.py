"""The tables of the server's own, with the columns that Cassandra 5.0 has.

Their rows are made when they are read, from what the cluster is at that time
and, in ``system``, from the point of view of the node that is asked.
"""

from __future__ import annotations

import ipaddress
import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

from txcql.testing import cqlstatements as cql
from txcql.testing.cqlparser import parse
from txcql.testing.database import Database, make_table
from txcql.testing.faketopology import NodeInfo
from txcql.testing.storedtables import StoredTable
from txcql.testing.tabledefinitions import ColumnDefinition, TableDefinition
from txcql.wire.collectiontypes import unwrap
from txcql.wire.fieldtypes import TupleType

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


class SystemTable(StoredTable):
    """A table whose rows are made when it is read.

    :param rows: makes them, from the point of view of a node.
    """

    def __init__(self, definition: TableDefinition, rows: Callable[[SystemNode], Iterator[_Row]]) -> None:
        super().__init__(definition)
        self._rows_of = rows

    def current(self, node: SystemNode) -> StoredTable:
        """The table as a node sees it now."""
        table = StoredTable(self.definition)
        for row in self._rows_of(node):
            _insert(table, row)
        return table


def add_system_keyspaces(database: Database) -> None:
    """Give a database its ``system`` and ``system_schema``."""
    for keyspace, tables in (("system", _SYSTEM), ("system_schema", _SCHEMA)):
        database.add_system_keyspace(
            keyspace, [_system_table(keyspace, name, text) for name, text in tables.items()]
        )


def _system_table(keyspace: str, name: str, columns: str) -> SystemTable:
    statement = parse(f"CREATE TABLE {name} ({columns})").statement
    assert isinstance(statement, cql.CreateTable)
    definition = make_table(statement, keyspace)
    definition.id = uuid.uuid3(uuid.NAMESPACE_OID, f"{keyspace}.{name}")
    return SystemTable(definition, _ROWS.get((keyspace, name), _no_rows))


def _insert(table: StoredTable, row: _Row) -> None:
    definition = table.definition

    def encoded(columns: tuple[ColumnDefinition, ...]) -> list[bytes]:
        return [column.type.encode(row[column.name]) or b"" for column in columns]

    cells = []
    for column in definition.columns.values():
        data = column.type.encode(row.get(column.name)) if column.position < 0 else None
        if data is not None:
            cells.append((definition.places[column.name], column.check(data)))
    components = encoded(definition.partition_key)
    table.insert(table.partition_key(components), components, encoded(definition.clustering), cells, 0)


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
        "schema_version": node.database.schema_version,
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
        yield {
            "keyspace_name": name,
            "durable_writes": definition.durable_writes,
            "replication": dict(definition.replication),
        }


def _definitions(node: SystemNode) -> Iterator[TableDefinition]:
    for keyspace in node.database.keyspaces.values():
        for table in keyspace.tables.values():
            yield table.definition


def _tables(node: SystemNode) -> Iterator[_Row]:
    for definition in _definitions(node):
        yield {
            **_TABLE_OPTIONS,
            "keyspace_name": definition.keyspace,
            "table_name": definition.name,
            "id": definition.id,
        }


def _columns(node: SystemNode) -> Iterator[_Row]:
    for definition in _definitions(node):
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
                "type": _type_text(column),
            }


def _type_text(column: ColumnDefinition) -> str:
    """The type as the server shows it: tuples are frozen, whether it was written or not."""
    name = column.type.name
    if isinstance(unwrap(column.type), TupleType) and not name.startswith("frozen<"):
        return f"frozen<{name}>"
    return name


_TABLE_OPTIONS: _Row = {
    "additional_write_policy": "99p",
    "bloom_filter_fp_chance": 0.01,
    "caching": {"keys": "ALL", "rows_per_partition": "NONE"},
    "comment": "",
    "compaction": {
        "class": "org.apache.cassandra.db.compaction.SizeTieredCompactionStrategy",
        "max_threshold": "32",
        "min_threshold": "4",
    },
    "compression": {
        "chunk_length_in_kb": "16",
        "class": "org.apache.cassandra.io.compress.LZ4Compressor",
    },
    "crc_check_chance": 1.0,
    "dclocal_read_repair_chance": 0.0,
    "default_time_to_live": 0,
    "extensions": {},
    "flags": ["compound"],
    "gc_grace_seconds": 864000,
    "max_index_interval": 2048,
    "memtable_flush_period_in_ms": 0,
    "min_index_interval": 128,
    "read_repair": "BLOCKING",
    "read_repair_chance": 0.0,
    "speculative_retry": "99p",
}

_ROWS: dict[tuple[str, str], Callable[[SystemNode], Iterator[_Row]]] = {
    ("system", "local"): _local,
    ("system", "peers"): _peers,
    ("system", "peers_v2"): _peers_v2,
    ("system_schema", "columns"): _columns,
    ("system_schema", "keyspaces"): _keyspaces,
    ("system_schema", "tables"): _tables,
}
"""What has rows; all other tables are empty, as they are in a cluster that uses none of what they list."""

_SYSTEM = {
    "local": """
        key text PRIMARY KEY, bootstrapped text, broadcast_address inet, broadcast_port int,
        cluster_name text, cql_version text, data_center text, gossip_generation int, host_id uuid,
        listen_address inet, listen_port int, native_protocol_version text, partitioner text, rack text,
        release_version text, rpc_address inet, rpc_port int, schema_version uuid, tokens set<text>,
        truncated_at map<uuid, blob>""",
    "peers": """
        peer inet PRIMARY KEY, data_center text, host_id uuid, preferred_ip inet, rack text,
        release_version text, rpc_address inet, schema_version uuid, tokens set<text>""",
    "peers_v2": """
        peer inet, peer_port int, data_center text, host_id uuid, native_address inet, native_port int,
        preferred_ip inet, preferred_port int, rack text, release_version text, schema_version uuid,
        tokens set<text>, PRIMARY KEY ((peer), peer_port)""",
}

_TABLE_COLUMNS = """
        allow_auto_snapshot boolean, bloom_filter_fp_chance double, caching frozen<map<text, text>>,
        comment text, compaction frozen<map<text, text>>, compression frozen<map<text, text>>,
        memtable text, crc_check_chance double, dclocal_read_repair_chance double,
        default_time_to_live int, extensions frozen<map<text, blob>>, gc_grace_seconds int,
        incremental_backups boolean, id uuid, max_index_interval int, memtable_flush_period_in_ms int,
        min_index_interval int, read_repair_chance double, speculative_retry text,
        additional_write_policy text, cdc boolean, read_repair text"""

_SCHEMA = {
    "keyspaces": """
        keyspace_name text PRIMARY KEY, durable_writes boolean, replication frozen<map<text, text>>""",
    "tables": f"""
        keyspace_name text, table_name text, {_TABLE_COLUMNS}, flags frozen<set<text>>,
        PRIMARY KEY ((keyspace_name), table_name)""",
    "columns": """
        keyspace_name text, table_name text, column_name text, clustering_order text,
        column_name_bytes blob, kind text, position int, type text,
        PRIMARY KEY ((keyspace_name), table_name, column_name)""",
    "column_masks": """
        keyspace_name text, table_name text, column_name text, function_keyspace text,
        function_name text, function_argument_types frozen<list<text>>,
        function_argument_values frozen<list<text>>, function_argument_nulls frozen<list<boolean>>,
        PRIMARY KEY ((keyspace_name), table_name, column_name)""",
    "dropped_columns": """
        keyspace_name text, table_name text, column_name text, dropped_time timestamp, kind text,
        type text, PRIMARY KEY ((keyspace_name), table_name, column_name)""",
    "triggers": """
        keyspace_name text, table_name text, trigger_name text, options frozen<map<text, text>>,
        PRIMARY KEY ((keyspace_name), table_name, trigger_name)""",
    "views": f"""
        keyspace_name text, view_name text, base_table_id uuid, base_table_name text,
        where_clause text, include_all_columns boolean, {_TABLE_COLUMNS},
        PRIMARY KEY ((keyspace_name), view_name)""",
    "types": """
        keyspace_name text, type_name text, field_names frozen<list<text>>,
        field_types frozen<list<text>>, PRIMARY KEY ((keyspace_name), type_name)""",
    "functions": """
        keyspace_name text, function_name text, argument_types frozen<list<text>>,
        argument_names frozen<list<text>>, body text, language text, return_type text,
        called_on_null_input boolean, PRIMARY KEY ((keyspace_name), function_name, argument_types)""",
    "aggregates": """
        keyspace_name text, aggregate_name text, argument_types frozen<list<text>>, final_func text,
        initcond text, return_type text, state_func text, state_type text,
        PRIMARY KEY ((keyspace_name), aggregate_name, argument_types)""",
    "indexes": """
        keyspace_name text, table_name text, index_name text, kind text,
        options frozen<map<text, text>>, PRIMARY KEY ((keyspace_name), table_name, index_name)""",
}
"""The columns of each table, from Cassandra 5.0.5."""
