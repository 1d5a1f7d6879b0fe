"""The messages of the server (protocol specification, section 4.2).

:func:`decode_response` turns any of them into an object. :func:`read_rows` is
its part for RESULT Rows, which a caller that already holds the columns uses
alone.
"""

from __future__ import annotations

import struct
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from txcql.errors import DecodeError, ProtocolError, ServerError
from txcql.wire import constants
from txcql.wire.errorbodies import read_error
from txcql.wire.events import SchemaChange, StatusChange, TopologyChange, read_event, read_schema_change
from txcql.wire.metadata import Column
from txcql.wire.primitives import Reader
from txcql.wire.rows import RowDecoder
from txcql.wire.typeoptions import OptionReader

__all__ = [
    "AuthChallenge",
    "AuthSuccess",
    "Authenticate",
    "Event",
    "KnownMetadata",
    "Message",
    "Prefixes",
    "Prepared",
    "Ready",
    "Rows",
    "RowsHeader",
    "SchemaChanged",
    "SetKeyspace",
    "Supported",
    "Void",
    "decode_response",
    "read_prefixes",
    "read_rows",
]


class Prefixes(NamedTuple):
    """What may stand before the message in a response's body.

    :ivar tracing_id: the tracing session of the request.
    :ivar warnings: the server's warnings.
    :ivar payload: the custom payload.
    """

    tracing_id: uuid.UUID | None = None
    warnings: Sequence[str] = ()
    payload: Mapping[str, bytes | None] | None = None


NO_PREFIXES = Prefixes()

MAX_COLUMNS = 65_535
"""Columns of a result, and parameters of a statement, at most: as many as a request can have values."""

MAX_METADATA = 1 << 20
"""Bytes that the names and types of all columns may take; those of real tables take a few thousand."""

MAX_PAGING_STATE = 1 << 20
"""Bytes of a paging state at most: it goes back to the server with the request for the next page."""


@dataclass(slots=True, kw_only=True)
class Message:
    """A message of the server.

    :ivar prefixes: what stood before it in the body.
    """

    prefixes: Prefixes = NO_PREFIXES


@dataclass(slots=True)
class Ready(Message):
    """READY."""


@dataclass(slots=True)
class Authenticate(Message):
    """AUTHENTICATE: the node asks for a login.

    :ivar authenticator: the server's class name.
    """

    authenticator: str


@dataclass(slots=True)
class Supported(Message):
    """SUPPORTED: the options of a STARTUP and their values."""

    options: dict[str, list[str]]


@dataclass(slots=True)
class AuthChallenge(Message):
    """AUTH_CHALLENGE."""

    token: bytes | None = field(repr=False)


@dataclass(slots=True)
class AuthSuccess(Message):
    """AUTH_SUCCESS."""

    token: bytes | None = field(repr=False)


@dataclass(slots=True)
class Event(Message):
    """EVENT."""

    change: TopologyChange | StatusChange | SchemaChange


@dataclass(slots=True)
class Void(Message):
    """RESULT Void."""


@dataclass(slots=True)
class SetKeyspace(Message):
    """RESULT Set_keyspace."""

    keyspace: str


@dataclass(slots=True)
class SchemaChanged(Message):
    """RESULT Schema_change."""

    change: SchemaChange


@dataclass(slots=True)
class Prepared(Message):
    """RESULT Prepared.

    :ivar statement_id: what EXECUTE sends.
    :ivar result_metadata_id: what EXECUTE sends in v5, ``None`` below.
    :ivar parameters: the bind markers.
    :ivar partition_key: positions of the partition key's components among the markers; empty if
        they are not all bound, or not known (v3).
    :ivar columns: the columns of the rows; empty if there are none.
    """

    statement_id: bytes
    result_metadata_id: bytes | None
    parameters: tuple[Column, ...]
    partition_key: tuple[int, ...]
    columns: tuple[Column, ...]


class KnownMetadata(NamedTuple):
    """Column metadata as it was on the wire, and what it says.

    Where an answer repeats it, byte by byte, it need not be read again.

    :ivar raw: its bytes.
    :ivar global_table: whether table and keyspace stand once in front of them.
    :ivar columns: what they say.
    """

    raw: bytes
    global_table: bool
    columns: tuple[Column, ...]


class RowsHeader(NamedTuple):
    """What stands before the rows of a RESULT Rows.

    :ivar column_count: columns of each row.
    :ivar metadata: their names and types, ``None`` if the answer leaves them out.
    :ivar paging_state: where the next page begins, ``None`` if this is the last.
    :ivar new_metadata_id: the id of changed metadata (v5).
    :ivar row_count: rows of this page.
    :ivar offset: where the first row begins in the body.
    """

    column_count: int
    metadata: KnownMetadata | None
    paging_state: bytes | None
    new_metadata_id: bytes | None
    row_count: int
    offset: int


@dataclass(slots=True)
class Rows(Message):
    """RESULT Rows: one page.

    :ivar header: see :class:`RowsHeader`.
    :ivar body: the body that holds the rows.
    :ivar rows: the decoded rows, as named tuples.
    """

    header: RowsHeader
    body: bytes = field(repr=False)

    @property
    def columns(self) -> tuple[Column, ...] | None:
        return self.header.metadata.columns if self.header.metadata is not None else None

    @property
    def paging_state(self) -> bytes | None:
        return self.header.paging_state

    @property
    def rows(self) -> list[Any]:
        """:raises DecodeError: a value is wrong, or the metadata was left out."""
        if self.columns is None:
            raise DecodeError("these rows came without their metadata")
        decoder = RowDecoder(self.columns)
        return list(decoder.rows(self.body, self.header.offset, self.header.row_count))


def decode_response(opcode: int, body: bytes, version: int, flags: int = 0) -> Message | ServerError:
    """The message of a response; an ERROR comes as the exception it stands for, not raised.

    :param body: the body of the frame, decompressed.
    :param version: 3, 4 or 5, with or without the response bit.
    :param flags: the flags of the frame, which say what stands before the message.
    :raises ProtocolError: an opcode that no server sends, or a body that breaks the protocol.
    """
    read = _READERS.get(opcode)
    if read is None:
        raise ProtocolError(f"a response with the opcode 0x{opcode:02X}")
    reader = Reader(body)
    prefixes = read_prefixes(reader, flags)
    try:
        message = read(reader, version & 0x7F)
    except DecodeError as error:
        raise ProtocolError(str(error)) from error
    if isinstance(message, Message):
        message.prefixes = prefixes
    else:
        message.tracing_id, message.warnings, message.payload = prefixes
    return message


def read_prefixes(reader: Reader, flags: int) -> Prefixes:
    """Tracing id, warnings and custom payload, as far as the flags announce them."""
    if not flags & (constants.FLAG_TRACING | constants.FLAG_WARNING | constants.FLAG_PAYLOAD):
        return NO_PREFIXES
    return Prefixes(
        reader.uuid() if flags & constants.FLAG_TRACING else None,
        reader.string_list() if flags & constants.FLAG_WARNING else (),
        reader.bytes_map() if flags & constants.FLAG_PAYLOAD else None,
    )


_unpack_rows_start = struct.Struct(">iiii").unpack_from
_pack_rows_start = struct.Struct(">iii").pack

ROWS_START_SIZE = 16
"""Bytes before the first row of an answer without metadata."""


def rows_starts(columns: int) -> tuple[bytes, bytes]:
    """How a RESULT Rows of so many columns begins that comes without metadata, up to the number of rows."""
    flags = constants.ROWS_NO_METADATA
    return (
        _pack_rows_start(constants.RESULT_ROWS, flags, columns),
        _pack_rows_start(constants.RESULT_ROWS, flags | constants.ROWS_GLOBAL_TABLE, columns),
    )


def read_rows(body: bytes, offset: int, version: int, known: KnownMetadata | None = None) -> RowsHeader:
    """The header of a RESULT Rows.

    :param offset: where the message begins in the body, behind any prefixes.
    :param known: metadata that is likely to be repeated.
    :raises ProtocolError: the body is cut short, or its counts are impossible.
    """
    try:
        _, flags, columns, rows = _unpack_rows_start(body, offset)
    except struct.error:
        raise ProtocolError(f"a rows result of {len(body) - offset} bytes") from None
    if flags & ~constants.ROWS_GLOBAL_TABLE == constants.ROWS_NO_METADATA:
        header = RowsHeader(columns, None, None, None, rows, offset + 16)
    else:
        header = _read_full_header(Reader(body, offset + 4), known)
    # Each value has a length of 4 bytes, and no row is without a value.
    if header[0] < 0 or header[4] < 0 or header[4] * (header[0] or 1) * 4 > len(body) - header[5]:
        raise ProtocolError(
            f"a rows result of {len(body)} bytes cannot hold {header[4]} rows of {header[0]} columns"
        )
    return header


def _read_full_header(reader: Reader, known: KnownMetadata | None) -> RowsHeader:
    flags = reader.int()
    count = reader.int()
    paging_state = reader.bytes() if flags & constants.ROWS_MORE_PAGES else None
    if paging_state is not None and len(paging_state) > MAX_PAGING_STATE:
        raise ProtocolError(
            f"a paging state of {len(paging_state)} bytes is over the limit of {MAX_PAGING_STATE}"
        )
    new_id = reader.short_bytes() if flags & constants.ROWS_METADATA_CHANGED else None
    metadata = None
    if not flags & constants.ROWS_NO_METADATA:
        metadata = _read_metadata(reader, count, flags, known)
    return RowsHeader(count, metadata, paging_state, new_id, reader.int(), reader.offset)


def _read_metadata(reader: Reader, count: int, flags: int, known: KnownMetadata | None) -> KnownMetadata:
    global_table = bool(flags & constants.ROWS_GLOBAL_TABLE)
    start = reader.offset
    if (
        known is not None
        and count == len(known.columns)
        and global_table is known.global_table
        and reader.data.startswith(known.raw, start)
    ):
        reader.offset += len(known.raw)
        return known
    columns = _read_columns(reader, count, flags)
    return KnownMetadata(reader.data[start : reader.offset], global_table, columns)


def _read_columns(reader: Reader, count: int, flags: int) -> tuple[Column, ...]:
    # A column takes at least a name's length and a type's id.
    if not 0 <= count * 4 <= len(reader.data) - reader.offset:
        raise ProtocolError(f"{count} columns in a body of {len(reader.data)} bytes")
    if count > MAX_COLUMNS:
        raise ProtocolError(f"{count} columns are over the limit of {MAX_COLUMNS}")
    start = reader.offset
    options = OptionReader(reader.data, start)
    columns = _read_specs(options, count, flags, start + MAX_METADATA)
    reader.offset = options.offset
    return columns


def _read_specs(reader: OptionReader, count: int, flags: int, end: int) -> tuple[Column, ...]:
    keyspace = table = ""
    if flags & constants.ROWS_GLOBAL_TABLE and count:
        keyspace, table = reader.string(), reader.string()
    columns = []
    for _ in range(count):
        if not flags & constants.ROWS_GLOBAL_TABLE:
            keyspace, table = reader.string(), reader.string()
        name = reader.string()
        columns.append(Column(keyspace, table, name, reader.option()))
        if reader.offset > end:
            raise ProtocolError(f"metadata of more than {MAX_METADATA} bytes")
    return tuple(columns)


def _prepared(reader: Reader, version: int) -> Prepared:
    statement_id = reader.short_bytes()
    result_metadata_id = reader.short_bytes() if version >= 5 else None
    flags = reader.int()
    count = reader.int()
    partition_key: tuple[int, ...] = ()
    if version >= 4:
        key_count = reader.int()
        if not 0 <= key_count <= count:
            raise ProtocolError(f"{key_count} partition key positions among {count} bind markers")
        partition_key = tuple(reader.short() for _ in range(key_count))
        if any(position >= count for position in partition_key):
            raise ProtocolError(f"partition key positions {partition_key} among {count} bind markers")
    parameters = _read_columns(reader, count, flags)
    flags = reader.int()
    count = reader.int()
    columns: tuple[Column, ...] = ()
    if not flags & constants.ROWS_NO_METADATA:
        columns = _read_columns(reader, count, flags)
    return Prepared(statement_id, result_metadata_id, parameters, partition_key, columns)


def _rows(reader: Reader, version: int) -> Rows:
    return Rows(read_rows(reader.data, reader.offset, version), reader.data)


def _result(reader: Reader, version: int) -> Message:
    start = reader.offset
    kind = reader.int()
    if kind == constants.RESULT_ROWS:
        reader.offset = start
    read = _RESULTS.get(kind)
    if read is None:
        raise ProtocolError(f"a result of the unknown kind {kind}")
    return read(reader, version)


_RESULTS: dict[int, Callable[[Reader, int], Message]] = {
    constants.RESULT_VOID: lambda reader, version: Void(),
    constants.RESULT_ROWS: _rows,
    constants.RESULT_SET_KEYSPACE: lambda reader, version: SetKeyspace(reader.string()),
    constants.RESULT_PREPARED: _prepared,
    constants.RESULT_SCHEMA_CHANGE: lambda reader, version: SchemaChanged(read_schema_change(reader)),
}

_READERS: dict[int, Callable[[Reader, int], Message | ServerError]] = {
    constants.ERROR: read_error,
    constants.READY: lambda reader, version: Ready(),
    constants.AUTHENTICATE: lambda reader, version: Authenticate(reader.string()),
    constants.SUPPORTED: lambda reader, version: Supported(reader.string_multimap()),
    constants.RESULT: _result,
    constants.EVENT: lambda reader, version: Event(read_event(reader)),
    constants.AUTH_CHALLENGE: lambda reader, version: AuthChallenge(reader.bytes()),
    constants.AUTH_SUCCESS: lambda reader, version: AuthSuccess(reader.bytes()),
}
