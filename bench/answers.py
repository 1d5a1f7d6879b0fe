"""The answers of the canned server, and the check sums that a client which decodes them must come to.

Everything is packed here with ``struct`` alone, from contents that are the same in every run, so that what is
expected of a driver is not computed by a driver. ``write_answers`` makes the file that ``server.c`` reads;
its records:

* ``S`` body: the SUPPORTED message;
* ``P`` version, text, id, metadata id, number of values, Prepared body, and three answers (rows without
  metadata, with metadata, with a changed metadata id), each as offset of the echoed value (or ``NOWHERE``)
  and body;
* ``T`` name, columns (name, specification), rows of cells: a table that plain queries select columns of.

Variable fields have a four-byte length before them; all numbers are big-endian.
"""

from __future__ import annotations

import datetime
import decimal
import functools
import hashlib
import struct
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from clients.checks import FIRST_KEY, TOUCHES, Row, fingerprint

KEYSPACE = "bench"
PAGE_ROWS = 5000
NOWHERE = 0xFFFFFFFF
VERSIONS = (4, 5)
EPOCH = datetime.datetime(1970, 1, 1)
MILLISECOND = datetime.timedelta(milliseconds=1)

# ---- notations of the protocol ----


def string(text: str) -> bytes:
    """A [string]."""
    data = text.encode()
    return struct.pack(">H", len(data)) + data


def sized(data: bytes | None) -> bytes:
    """A [bytes]: four bytes of length (-1 for null) and the data; also a field of the file of answers."""
    return struct.pack(">i", -1) if data is None else struct.pack(">i", len(data)) + data


def short_sized(data: bytes) -> bytes:
    """A [short bytes]."""
    return struct.pack(">H", len(data)) + data


def string_multimap(mapping: dict[str, list[str]]) -> bytes:
    """A [string multimap]."""
    body = struct.pack(">H", len(mapping))
    for name, values in mapping.items():
        body += string(name) + struct.pack(">H", len(values)) + b"".join(map(string, values))
    return body


# ---- types ----


def pack_varint(value: int) -> bytes:
    """The shortest two's complement."""
    return value.to_bytes((value + (value < 0)).bit_length() // 8 + 1, "big", signed=True)


def pack_decimal(value: decimal.Decimal) -> bytes:
    """Scale and unscaled value."""
    exponent = value.as_tuple().exponent
    assert isinstance(exponent, int)
    return struct.pack(">i", -exponent) + pack_varint(int(value.scaleb(-exponent)))


def pack_inet(value: str) -> bytes:
    """An IPv4 address."""
    return bytes(map(int, value.split(".")))


SCALARS: dict[str, tuple[int, Callable[[Any], bytes]]] = {
    "bigint": (0x02, struct.Struct(">q").pack),
    "blob": (0x03, bytes),
    "boolean": (0x04, struct.Struct(">?").pack),
    "decimal": (0x06, pack_decimal),
    "double": (0x07, struct.Struct(">d").pack),
    "int": (0x09, struct.Struct(">i").pack),
    "timestamp": (0x0B, lambda value: struct.pack(">q", (value - EPOCH) // MILLISECOND)),
    "uuid": (0x0C, lambda value: value.bytes),
    "text": (0x0D, str.encode),
    "inet": (0x10, pack_inet),
}
COLLECTIONS = {"list": 0x20, "map": 0x21, "set": 0x22}


def split_type(name: str) -> tuple[str, list[str]]:
    """``map<text,text>`` is ``map`` of ``text`` and ``text``; nothing here nests any deeper."""
    outer, _, inner = name.partition("<")
    return outer, inner.rstrip(">").split(",") if inner else []


def type_option(name: str) -> bytes:
    """The [option] that names a type."""
    outer, inner = split_type(name)
    if not inner:
        return struct.pack(">H", SCALARS[outer][0])
    return struct.pack(">H", COLLECTIONS[outer]) + b"".join(map(type_option, inner))


def pack_value(name: str, value: Any) -> bytes | None:
    """The bytes of one value of a type."""
    outer, inner = split_type(name)
    if value is None:
        return None
    if not inner:
        return SCALARS[outer][1](value)
    body = struct.pack(">i", len(value))
    for entry in value.items() if outer == "map" else ((item,) for item in value):
        body += b"".join(sized(pack_value(kind, part)) for kind, part in zip(inner, entry, strict=True))
    return body


# ---- tables ----


@dataclass(frozen=True)
class Table:
    """A table: its columns as ``name type, name type``, and its rows."""

    name: str
    columns: str
    rows: list[dict[str, Any]] = field(default_factory=list)

    @property
    def types(self) -> dict[str, str]:
        """Column name -> type."""
        return dict(column.split(maxsplit=1) for column in self.columns.replace("\n", " ").split(", "))

    def record(self) -> bytes:
        """The table as the file of answers has it."""
        types = self.types
        parts = [b"T", sized(self.name.encode()), struct.pack(">I", len(types))]
        for name, kind in types.items():
            parts += [sized(name.encode()), sized(string(name) + type_option(kind))]
        parts.append(struct.pack(">I", len(self.rows)))
        for row in self.rows:
            assert not row.keys() - types.keys(), row.keys() - types.keys()
            parts += [sized(sized(pack_value(kind, row.get(name)))) for name, kind in types.items()]
        return b"".join(parts)


def stable_uuid(text: str) -> uuid.UUID:
    """A random-looking UUID which is the same in every run."""
    return uuid.UUID(bytes=hashlib.md5(text.encode()).digest(), version=4)


PEER = (
    "data_center text, host_id uuid, rack text, release_version text, schema_version uuid, tokens set<text>"
)
OPTIONS = """additional_write_policy text, allow_auto_snapshot boolean, bloom_filter_fp_chance double,
    caching map<text,text>, cdc boolean, comment text, compaction map<text,text>, compression map<text,text>,
    crc_check_chance double, dclocal_read_repair_chance double, default_time_to_live int,
    extensions map<text,blob>, gc_grace_seconds int, id uuid, incremental_backups boolean,
    max_index_interval int, memtable text, memtable_flush_period_in_ms int, min_index_interval int,
    read_repair text, read_repair_chance double, speculative_retry text"""
OF_TABLE = "keyspace_name text, table_name text"
COLUMN = "column_name text, clustering_order text, column_name_bytes blob, kind text, position int, type text"


def cluster_tables() -> list[Table]:
    """A cluster of one node. The server itself puts its port into ``rpc_port`` of ``system.local``."""
    local = {
        "key": "local", "bootstrapped": "COMPLETED", "cluster_name": "bench", "cql_version": "3.4.7",
        "data_center": "dc1", "rack": "r1", "release_version": "5.0.5", "native_protocol_version": "5",
        "partitioner": "org.apache.cassandra.dht.Murmur3Partitioner", "host_id": stable_uuid("host"),
        "schema_version": stable_uuid("schema"), "tokens": [str(-(2**63))], "rpc_address": "127.0.0.1",
        "rpc_port": 0, "broadcast_address": "127.0.0.1", "broadcast_port": 7000,
        "listen_address": "127.0.0.1", "listen_port": 7000,
    }  # fmt: skip
    return [
        Table(
            "system.local",
            f"{PEER}, key text, bootstrapped text, cluster_name text, cql_version text, "
            "native_protocol_version text, partitioner text, rpc_address inet, rpc_port int, "
            "broadcast_address inet, broadcast_port int, listen_address inet, listen_port int",
            [local],
        ),
        Table(
            "system.peers_v2",
            f"{PEER}, peer inet, peer_port int, native_address inet, native_port int, preferred_ip inet, "
            "preferred_port int",
        ),
        Table("system.peers", f"{PEER}, peer inet, preferred_ip inet, rpc_address inet"),
    ]


def server_table() -> Table:
    """What the server says of itself: the connections that are ready, and the requests that it holds."""
    return Table("bench.server", "connections int, held int", [{"connections": 0, "held": 0}])


def schema_tables(tables: Iterable[Table]) -> list[Table]:
    """The schema of one keyspace with the given tables, the first column of each its partition key."""
    replication = {"class": "org.apache.cassandra.locator.SimpleStrategy", "replication_factor": "1"}
    keyspaces = [{"keyspace_name": KEYSPACE, "durable_writes": True, "replication": replication}]
    options, columns = [], []
    for table in tables:
        place = {"keyspace_name": KEYSPACE, "table_name": table.name.partition(".")[2]}
        options.append(
            {**place, "id": stable_uuid(table.name), "comment": "", "flags": ["compound"], "extensions": {}}
        )
        for index, (name, kind) in enumerate(table.types.items()):
            key = {"kind": "regular", "position": -1} if index else {"kind": "partition_key", "position": 0}
            columns.append({**place, **key, "column_name": name, "clustering_order": "none", "type": kind})
    return [
        Table(
            "system_schema.keyspaces",
            "keyspace_name text, durable_writes boolean, replication map<text,text>",
            keyspaces,
        ),
        Table("system_schema.tables", f"{OF_TABLE}, flags set<text>, {OPTIONS}", options),
        Table("system_schema.columns", f"{OF_TABLE}, {COLUMN}", columns),
        Table(
            "system_schema.views",
            f"keyspace_name text, view_name text, base_table_id uuid, base_table_name text, "
            f"include_all_columns boolean, where_clause text, {OPTIONS}",
        ),
        Table(
            "system_schema.types",
            "keyspace_name text, type_name text, field_names list<text>, field_types list<text>",
        ),
        Table(
            "system_schema.functions",
            "keyspace_name text, function_name text, argument_types list<text>, argument_names list<text>, "
            "body text, called_on_null_input boolean, language text, return_type text",
        ),
        Table(
            "system_schema.aggregates",
            "keyspace_name text, aggregate_name text, argument_types list<text>, final_func text, "
            "initcond text, return_type text, state_func text, state_type text",
        ),
        Table("system_schema.indexes", f"{OF_TABLE}, index_name text, kind text, options map<text,text>"),
        Table("system_schema.triggers", f"{OF_TABLE}, trigger_name text, options map<text,text>"),
        Table(
            "system_schema.dropped_columns",
            f"{OF_TABLE}, column_name text, dropped_time timestamp, kind text, type text",
        ),
        Table("system_virtual_schema.keyspaces", "keyspace_name text"),
        Table("system_virtual_schema.tables", f"{OF_TABLE}, comment text"),
        Table("system_virtual_schema.columns", f"{OF_TABLE}, {COLUMN}"),
    ]


# ---- statements ----


@dataclass(frozen=True)
class Statement:
    """A prepared SELECT by one bound value, or an INSERT; the rows in answer, and what they add up to."""

    kind: str
    """Which of ``checks.TOUCHES`` goes over the rows."""
    table: Table
    text: str
    markers: dict[str, str]
    """Names and types of the bound values; the first is the key."""
    columns: dict[str, str]
    rows: list[Row]
    echo: bool
    """The first value of the first row is the bound value, put in by the server."""

    def specification(self, columns: dict[str, str]) -> bytes:
        """[table][columns] of a metadata, as it is with the flag for one table."""
        space, _, name = self.table.name.partition(".")
        columns_part = b"".join(string(column) + type_option(kind) for column, kind in columns.items())
        return string(space) + string(name) + columns_part

    @property
    def id(self) -> bytes:
        """The prepared id."""
        return hashlib.md5(self.text.encode()).digest()

    @property
    def metadata_id(self) -> bytes:
        """The v5 id of the result metadata."""
        return hashlib.md5(repr(self.columns).encode()).digest()

    def prepared(self, version: int) -> bytes:
        """The body of the answer to PREPARE."""
        body = struct.pack(">i", 4) + short_sized(self.id)
        if version >= 5:
            body += short_sized(self.metadata_id)
        body += struct.pack(">iiiH", 1, len(self.markers), 1, 0) + self.specification(self.markers)
        if not self.columns:
            return body + struct.pack(">ii", 4, 0)
        return body + struct.pack(">ii", 1, len(self.columns)) + self.specification(self.columns)

    @functools.cached_property
    def answers(self) -> list[bytes]:
        """The three bodies that answer EXECUTE: without metadata, with it, with its changed id.

        Of an INSERT all three are the same.
        """
        if not self.columns:
            return [struct.pack(">i", 1)] * 3
        width = struct.pack(">i", len(self.columns))
        specification = self.specification(self.columns)
        cells = [struct.pack(">i", len(self.rows))]
        for row in self.rows:
            cells += [
                sized(pack_value(kind, value)) for kind, value in zip(self.columns.values(), row, strict=True)
            ]
        rows = b"".join(cells)
        return [
            struct.pack(">ii", 2, 0x05) + width + rows,
            struct.pack(">ii", 2, 0x01) + width + specification + rows,
            struct.pack(">ii", 2, 0x09) + width + short_sized(self.metadata_id) + specification + rows,
        ]

    def record(self, version: int) -> bytes:
        """The statement as the file of answers has it."""
        parts = [b"P", struct.pack(">B", version), sized(self.text.encode()), sized(self.id)]
        parts += [sized(self.metadata_id)]
        parts += [struct.pack(">H", len(self.markers)), sized(self.prepared(version))]
        for body in self.answers:
            echo = NOWHERE
            if self.echo:
                first = pack_value(next(iter(self.columns.values())), self.rows[0][0])
                echo = body.index(sized(first)) + 4
            parts += [struct.pack(">I", echo), sized(body)]
        return b"".join(parts)

    def answer_size(self) -> int:
        """Bytes of the body of an answer without metadata."""
        return len(self.answers[0])

    def expected_total(self, requests: int) -> int:
        """What the touched values of so many answers add up to, the keys counting up from ``FIRST_KEY``."""
        touch = TOUCHES[self.kind]
        if not self.echo:
            return requests * touch(self.rows, FIRST_KEY)
        return sum(touch([(key, *self.rows[0][1:])], key) for key in range(FIRST_KEY, FIRST_KEY + requests))

    def expected_fingerprint(self) -> int:
        """The check sum over each value of the answer for ``FIRST_KEY``."""
        return fingerprint(self.rows, FIRST_KEY)


CITIES = ("Amsterdam", "Zürich", "København", "Nairobi", "São Paulo", "Wellington", "Reykjavík")


def page_row(index: int) -> Row:
    """One row of the page: ten values that differ from row to row."""
    seed = int.from_bytes(hashlib.md5(f"row {index}".encode()).digest()[:8], "big")
    return (
        stable_uuid(f"row {index}"),
        f"visitor {index}",
        CITIES[index % len(CITIES)],
        seed % 2_000_001 - 1_000_000,
        seed % 2**62 - 2**61,
        seed % 10_000_019 / 8,
        seed % 3 == 0,
        EPOCH + MILLISECOND * (1_500_000_000_000 + seed % 250_000_000_000),
        decimal.Decimal(seed % 200_000 - 100_000).scaleb(-2),
        [index, -index, seed % 1000],
    )


def point_statement() -> Statement:
    """The point read: one row of six columns by its key."""
    table = Table(
        f"{KEYSPACE}.users", "id bigint, name text, email text, age int, score double, active boolean"
    )
    row = (FIRST_KEY, "Ada Lovelace", "ada.lovelace@example.org", 36, 98.5, True)
    text = f"SELECT {', '.join(table.types)} FROM {table.name} WHERE id = ?"
    return Statement("point", table, text, {"id": "bigint"}, table.types, [row], echo=True)


def insert_statement() -> Statement:
    """The insert: six values, which ``checks.values_of`` gives."""
    point = point_statement()
    names = point.table.types
    text = f"INSERT INTO {point.table.name} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})"
    return Statement("insert", point.table, text, names, {}, [], echo=False)


def page_statement() -> Statement:
    """The page: 5,000 rows of ten columns."""
    table = Table(
        f"{KEYSPACE}.visits",
        "bucket bigint, id uuid, name text, city text, visits int, amount bigint, score double, "
        "active boolean, created timestamp, price decimal, marks list<int>",
    )
    columns = {name: kind for name, kind in table.types.items() if name != "bucket"}
    text = f"SELECT {', '.join(columns)} FROM {table.name} WHERE bucket = ?"
    rows = [page_row(index) for index in range(PAGE_ROWS)]
    return Statement("page", table, text, {"bucket": "bigint"}, columns, rows, echo=False)


def write_answers(path: Path, statements: Iterable[Statement]) -> None:
    """Write the file that the server reads."""
    statements = list(statements)
    supported = {
        "PROTOCOL_VERSIONS": [f"{version}/v{version}" for version in VERSIONS],
        "COMPRESSION": [],
        "CQL_VERSION": ["3.4.7"],
    }
    records = [b"S" + sized(string_multimap(supported))]
    records += [statement.record(version) for statement in statements for version in VERSIONS]
    records += [table.record() for table in (server_table(), *cluster_tables())]
    records += [table.record() for table in schema_tables(statement.table for statement in statements)]
    path.write_bytes(b"".join(records))
