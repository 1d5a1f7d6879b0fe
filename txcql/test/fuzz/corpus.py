"""What mutations begin with: messages of real nodes, captured, and one of each kind that there is."""

from __future__ import annotations

import ipaddress
import uuid
from datetime import date, datetime, time, timezone
from decimal import Decimal
from functools import lru_cache
from typing import Any, NamedTuple

from txcql import errors
from txcql.wire import constants, responsewriter
from txcql.wire.events import SchemaChange, StatusChange, TopologyChange
from txcql.wire.metadata import Column
from txcql.wire.responses import Prefixes, Prepared
from txcql.wire.typeparser import parse_type
from txcql.wire.values import Duration

__all__ = ["Envelope", "envelopes"]


class Envelope(NamedTuple):
    """One message of a server, without its header."""

    opcode: int
    flags: int
    body: bytes


# Cassandra 5.0.5, with v5: opcode, flags, body.
_CAPTURED = (
    (
        0x08,
        0,
        "000000020000000100000001000673797374656d00056c6f63616c00036b6579000d00000001000000056c6f63616c",
    ),
    (
        0x08,
        0,
        "000000040010329c5f00373447de42b7dd4a58678b1f001037a03ddd2d116ac86e4d90b0ee45acd1"
        "00000001000000010000000100000003726566 00026d63 00016b 0009"
        "0000000100000001 0003726566 00026d63 000176 0009",
    ),
    (0x08, 0, "0000000200000005000000010000000100000004 00000002"),
    (
        0x08,
        0,
        "00000002000000090000000300 10276d4bbf07833310e12cb44949ce2760 0003726566 00026d63"
        "00016b 0009 000176 0009 000177 000d 00000001 00000004 00000001 00000004 00000002 ffffffff",
    ),
    (
        0x00,
        0,
        "00000100003950726f766964656420757365726e616d652063617373616e64726120616e642f6f722070617373776f7264"
        "2061726520696e636f7272656374",
    ),
    (0x10, 0, "ffffffff"),
    (0x08, 0, "00000001"),
    (0x0C, 0, "000d534348454d415f4348414e474500074352454154454400084b45595350414345000472656632"),
    (0x0C, 0, "000d5354415455535f4348414e47450004444f574e047f00010200002352"),
    (
        0x00,
        8,
        "00010007776172 6e696e67 00001300 0004 6f6f7073 0001 00000000 00000001 00000001 04 7f000107 0001 00",
    ),
    (0x08, 2, "e3f4b0a0e75011f18f1d039114ab298f 00000001"),
)

_VALUES: dict[str, Any] = {
    "ascii": "ascii",
    "bigint": -(2**40),
    "blob": b"\x00\xff blob",
    "boolean": True,
    "date": date(2020, 2, 29),
    "decimal": Decimal("-1.23"),
    "double": 1.5,
    "duration": Duration(1, 2, 3),
    "float": -1.5,
    "inet": ipaddress.ip_address("10.0.0.1"),
    "int": 7,
    "smallint": -7,
    "text": "text \u20ac",
    "time": time(1, 2, 3, 4),
    "timestamp": datetime(2020, 1, 1, tzinfo=timezone.utc),
    "timeuuid": uuid.UUID("e3f4b0a0-e750-11f1-8f1d-039114ab298f"),
    "tinyint": 1,
    "uuid": uuid.UUID(int=5),
    "varint": 2**70,
    "list<int>": [1, 2, 3],
    "set<text>": {"a", "b"},
    "map<text, frozen<list<int>>>": {"a": [1], "b": []},
    "tuple<int, text, uuid>": (1, None, uuid.UUID(int=6)),
    "vector<float, 3>": [1.0, 2.0, 3.0],
    "vector<text, 2>": ["a", "b"],
    "frozen<map<set<int>, tuple<date, varint>>>": {frozenset({1}): (date(2020, 1, 1), 5)},
}


def _columns() -> tuple[Column, ...]:
    udt = parse_type(
        "'org.apache.cassandra.db.marshal.UserType(ks,75647431,61:org.apache.cassandra.db.marshal.Int32Type,"
        "62:org.apache.cassandra.db.marshal.UTF8Type)'"
    )
    kinds = [Column("ks", "t", f"c{number}", parse_type(name)) for number, name in enumerate(_VALUES)]
    return (*kinds, Column("ks", "t", "class", udt))


def _failures() -> list[errors.ServerError]:
    address = ipaddress.ip_address("10.0.0.7")
    counts = {"consistency": "QUORUM", "received": 1, "required": 2}
    failed = {**counts, "failures": 1, "reasons": {address: 1}}
    return [
        errors.InternalServerError("oops"),
        errors.ServerProtocolError("what?"),
        errors.BadCredentials("no"),
        errors.Unavailable("too few", consistency="ONE", required=1, alive=0),
        errors.Overloaded("busy"),
        errors.WriteTimeout("late", **counts, write_type="CAS", contentions=3),
        errors.ReadTimeout("late", **counts, data_present=True),
        errors.ReadFailure("failed", **failed, data_present=False),
        errors.WriteFailure("failed", **failed, write_type="SIMPLE"),
        errors.FunctionFailure("failed", keyspace="ks", function="f", argument_types=["int"]),
        errors.CQLSyntaxError("line 1"),
        errors.AlreadyExists("there", keyspace="ks", table="t"),
        errors.Unprepared("unknown", statement_id=b"0123456789abcdef"),
    ]


@lru_cache
def envelopes(version: int) -> tuple[Envelope, ...]:
    """Every message, as it is in a protocol version."""
    columns = _columns()
    values = [*_VALUES.values(), (1, "x")]
    row = [column.type.encode(value) for column, value in zip(columns, values, strict=True)]
    nulls: list[bytes | None] = [None] * len(row)
    specs = responsewriter.column_specs(columns, version)
    header = responsewriter.rows_header(specs, False, b"paging state", None)
    bare = responsewriter.rows_header(specs, True, None, b"metadata id" if version >= 5 else None)
    prepared = Prepared(b"0123456789abcdef", b"fedcba9876543210", columns[:5], (0, 2), columns)
    change = SchemaChange("UPDATED", "FUNCTION", "ks", "f", ("int", "text"))
    address = ipaddress.ip_address("10.0.0.7")
    flags, prefix = responsewriter.prefixes(
        Prefixes(uuid.UUID(int=9), ("warning",), {"key": b"value", "null": None})
    )
    result = constants.RESULT
    made = [
        (constants.READY, 0, responsewriter.READY_BODY),
        (constants.AUTHENTICATE, 0, responsewriter.authenticate("org.apache.Authenticator")),
        (
            constants.SUPPORTED,
            0,
            responsewriter.supported({"COMPRESSION": ["lz4"], "CQL_VERSION": ["3.4.7"]}),
        ),
        (constants.AUTH_CHALLENGE, 0, responsewriter.token(b"challenge")),
        (constants.AUTH_SUCCESS, 0, responsewriter.token(None)),
        (result, 0, responsewriter.set_keyspace("ks")),
        (result, 0, responsewriter.schema_change(change, version)),
        (result, 0, responsewriter.prepared(prepared, version)),
        (result, 0, responsewriter.rows(header, [row, nulls, row])),
        (result, 0, responsewriter.rows(bare, [row])),
        (result, flags, prefix + responsewriter.rows(header, [nulls])),
        (constants.EVENT, 0, responsewriter.event(TopologyChange("NEW_NODE", address, 9042), version)),
        (constants.EVENT, 0, responsewriter.event(StatusChange("UP", address, 9042), version)),
        (constants.EVENT, 0, responsewriter.event(change, version)),
        *((constants.ERROR, 0, responsewriter.error(failure, version)) for failure in _failures()),
    ]
    captured = [(opcode, flags, bytes.fromhex(body)) for opcode, flags, body in _CAPTURED]
    return tuple(Envelope(*parts) for parts in (*made, *captured))
