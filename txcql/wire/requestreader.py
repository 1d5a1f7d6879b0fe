"""The bodies of requests, as a server reads them (protocol specification, section 4.1).

The other half of :mod:`txcql.wire.requests`: :func:`read_request` turns a body
into an object. The sentences of the errors are Cassandra's, where they are known.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from txcql.consistency import CONSISTENCY_NAMES
from txcql.errors import ProtocolError
from txcql.wire import constants
from txcql.wire.events import EVENT_TYPES
from txcql.wire.primitives import Reader
from txcql.wire.requests import QueryOptions
from txcql.wire.values import UNSET, Singleton

__all__ = [
    "AuthResponse",
    "BatchEntry",
    "BatchRequest",
    "Execute",
    "Options",
    "Prepare",
    "Query",
    "RawValue",
    "Register",
    "Request",
    "Startup",
    "Values",
    "read_request",
]

RawValue = bytes | None | Singleton
"""An encoded value: its bytes, ``None`` for null, or :data:`~txcql.wire.values.UNSET`."""

Values = Sequence[RawValue] | Mapping[str, RawValue]
"""Bound values: by position, or by name."""


class Startup(NamedTuple):
    """STARTUP.

    :ivar options: its options, as they were sent.
    """

    options: Mapping[str, str]


class Options(NamedTuple):
    """OPTIONS."""


class Register(NamedTuple):
    """REGISTER.

    :ivar types: the event types asked for, in upper case.
    """

    types: tuple[str, ...]


class AuthResponse(NamedTuple):
    """AUTH_RESPONSE."""

    token: bytes | None


class Query(NamedTuple):
    """QUERY."""

    text: str
    values: Values
    options: QueryOptions


class Prepare(NamedTuple):
    """PREPARE.

    :ivar keyspace: the keyspace of unqualified names (v5), ``None`` for that of the connection.
    """

    text: str
    keyspace: str | None


class Execute(NamedTuple):
    """EXECUTE.

    :ivar result_metadata_id: the id of the metadata that the client holds, ``None`` below v5.
    """

    statement_id: bytes
    result_metadata_id: bytes | None
    values: Values
    options: QueryOptions


class BatchEntry(NamedTuple):
    """One statement of a batch.

    :ivar statement: a prepared statement's id, or text.
    """

    statement: bytes | str
    values: Values


class BatchRequest(NamedTuple):
    """BATCH.

    :ivar kind: ``"logged"``, ``"unlogged"`` or ``"counter"``.
    """

    kind: str
    items: tuple[BatchEntry, ...]
    options: QueryOptions


Request = Startup | Options | Register | AuthResponse | Query | Prepare | Execute | BatchRequest


def read_request(opcode: int, body: bytes, version: int, flags: int = 0) -> Request:
    """The request that a body stands for. Bytes behind it are ignored.

    :param body: the body of the frame, decompressed.
    :param version: 3, 4 or 5.
    :param flags: the flags of the frame; a custom payload that they announce is skipped.
    :raises ProtocolError: an opcode that no client sends, or a body that breaks the protocol.
    """
    read = _READERS.get(opcode)
    if read is None:
        raise ProtocolError(f"a request with the opcode 0x{opcode:02X}")
    reader = Reader(body)
    if flags & constants.FLAG_PAYLOAD:
        if version < 4:
            raise ProtocolError(
                "Must not send frame with CUSTOM_PAYLOAD flag for native protocol version < 4"
            )
        reader.bytes_map()
    return read(reader, version)


def _register(reader: Reader, version: int) -> Register:
    types = []
    for name in reader.string_list():
        if name.upper() not in EVENT_TYPES:
            raise ProtocolError(f"Invalid value '{name}' for Type")
        types.append(name.upper())
    return Register(tuple(types))


def _query(reader: Reader, version: int) -> Query:
    text = reader.long_string()
    values, options = _parameters(reader, version)
    return Query(text, values, options)


def _prepare(reader: Reader, version: int) -> Prepare:
    text = reader.long_string()
    if version >= 5 and reader.int() & constants.PREPARE_KEYSPACE:
        return Prepare(text, reader.string())
    return Prepare(text, None)


def _execute(reader: Reader, version: int) -> Execute:
    statement_id = reader.short_bytes()
    result_metadata_id = reader.short_bytes() if version >= 5 else None
    values, options = _parameters(reader, version)
    return Execute(statement_id, result_metadata_id, values, options)


def _batch(reader: Reader, version: int) -> BatchRequest:
    kind = reader.byte()
    if kind >= len(_BATCH_KINDS):
        raise ProtocolError(f"Invalid BATCH message type {kind}")
    items = tuple(_batch_entry(reader, version) for _ in range(reader.short()))
    consistency = _consistency(reader)
    flags = reader.int() if version >= 5 else reader.byte()
    if flags & constants.QUERY_NAMES:
        raise ProtocolError("the values of a batch cannot have names")
    return BatchRequest(_BATCH_KINDS[kind], items, _tail(reader, consistency, flags & ~_NOT_IN_BATCHES))


def _batch_entry(reader: Reader, version: int) -> BatchEntry:
    kind = reader.byte()
    if kind > 1:
        raise ProtocolError(f"Invalid query kind in BATCH messages. Must be 0 or 1 but got {kind}")
    statement = reader.short_bytes() if kind else reader.long_string()
    return BatchEntry(statement, _values(reader, version))


def _parameters(reader: Reader, version: int) -> tuple[Values, QueryOptions]:
    consistency = _consistency(reader)
    flags = reader.int() if version >= 5 else reader.byte()
    values: Values = ()
    if flags & constants.QUERY_VALUES:
        values = _named_values(reader, version) if flags & constants.QUERY_NAMES else _values(reader, version)
    return values, _tail(reader, consistency, flags)


def _tail(reader: Reader, consistency: int, flags: int) -> QueryOptions:
    if not flags & ~constants.QUERY_VALUES:
        return QueryOptions(consistency)
    page_size = paging_state = serial = timestamp = keyspace = now = None
    if flags & constants.QUERY_PAGE_SIZE:
        page_size = reader.int()
        if page_size == 0:
            raise ProtocolError("The page size cannot be 0")
    if flags & constants.QUERY_PAGING_STATE:
        paging_state = reader.bytes()
    if flags & constants.QUERY_SERIAL_CONSISTENCY:
        serial = _consistency(reader)
    if flags & constants.QUERY_TIMESTAMP:
        timestamp = _timestamp(reader)
    if flags & constants.QUERY_KEYSPACE:
        keyspace = reader.string()
    if flags & constants.QUERY_NOW:
        now = reader.int()
    skip_metadata = bool(flags & constants.QUERY_SKIP_METADATA)
    return QueryOptions(consistency, serial, page_size, paging_state, timestamp, keyspace, now, skip_metadata)


def _consistency(reader: Reader) -> int:
    code = reader.short()
    if code >= len(CONSISTENCY_NAMES):
        raise ProtocolError(f"Unknown code {code} for a consistency level")
    return code


def _timestamp(reader: Reader) -> int:
    timestamp = reader.long()
    if timestamp == _LOWEST_LONG:
        raise ProtocolError(
            f"Out of bound timestamp, must be in [{_LOWEST_LONG + 1}, {-_LOWEST_LONG - 1}] (got {timestamp})"
        )
    return timestamp


def _values(reader: Reader, version: int) -> list[RawValue]:
    count = reader.short()
    data = reader.data
    offset = reader.offset
    values: list[RawValue] = []
    for _ in range(count):
        if offset + 4 > len(data):
            raise ProtocolError(f"a body of {len(data)} bytes ends before its {count} values")
        (size,) = _unpack_int(data, offset)
        offset += 4
        if size < 0:
            values.append(_no_value(size, version))
            continue
        end = offset + size
        if end > len(data):
            raise ProtocolError(f"a value of {size} bytes at {offset} in a body of {len(data)} bytes")
        values.append(data[offset:end])
        offset = end
    reader.offset = offset
    return values


def _named_values(reader: Reader, version: int) -> dict[str, RawValue]:
    values: dict[str, RawValue] = {}
    for _ in range(reader.short()):
        name = reader.string()
        size = reader.int()
        # Of two values with one name, the server takes the first.
        values.setdefault(name, _no_value(size, version) if size < 0 else reader.raw(size))
    return values


def _no_value(size: int, version: int) -> RawValue:
    if size == -1 or version < 4:
        return None
    if size == -2:
        return UNSET
    raise ProtocolError(f"Invalid ByteBuf length {size}")


_unpack_int = struct.Struct(">i").unpack_from
_LOWEST_LONG = -(1 << 63)
_NOT_IN_BATCHES = (
    constants.QUERY_VALUES
    | constants.QUERY_SKIP_METADATA
    | constants.QUERY_PAGE_SIZE
    | constants.QUERY_PAGING_STATE
)
_BATCH_KINDS = ("logged", "unlogged", "counter")

_READERS: dict[int, Callable[[Reader, int], Request]] = {
    constants.STARTUP: lambda reader, version: Startup(reader.string_map()),
    constants.OPTIONS: lambda reader, version: Options(),
    constants.REGISTER: _register,
    constants.AUTH_RESPONSE: lambda reader, version: AuthResponse(reader.bytes()),
    constants.QUERY: _query,
    constants.PREPARE: _prepare,
    constants.EXECUTE: _execute,
    constants.BATCH: _batch,
}
