"""The messages of the server, as a server writes them (protocol specification, section 4.2).

The other half of :mod:`txcql.wire.responses`. A RESULT Rows comes in parts, so
that a server which answers the same statement again makes its metadata once:
:func:`column_specs`, then :func:`rows_header`, then the rows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from txcql import errors
from txcql.consistency import consistency_code
from txcql.wire import constants
from txcql.wire.events import SchemaChange, StatusChange, TopologyChange
from txcql.wire.metadata import Column
from txcql.wire.primitives import (
    INT,
    SHORT,
    write_bytes,
    write_bytes_map,
    write_inet,
    write_inetaddr,
    write_short_bytes,
    write_string,
    write_string_list,
    write_string_multimap,
)
from txcql.wire.responses import Prefixes, Prepared
from txcql.wire.typeoptions import write_option

__all__ = [
    "READY_BODY",
    "VOID",
    "authenticate",
    "column_specs",
    "error",
    "event",
    "prefixes",
    "prepared",
    "rows",
    "rows_header",
    "schema_change",
    "set_keyspace",
    "supported",
    "token",
]

READY_BODY = b""
"""READY has no body."""

VOID = INT.pack(constants.RESULT_VOID)
"""RESULT Void."""

ColumnSpecs = tuple[int, int, bytes]
"""Flags, number of columns and bytes, as :func:`column_specs` gives them."""


def authenticate(authenticator: str) -> bytes:
    """AUTHENTICATE: the class name of the server's authenticator."""
    return write_string(authenticator)


def supported(options: Mapping[str, Sequence[str]]) -> bytes:
    """SUPPORTED: a [string multimap]."""
    return write_string_multimap(options)


def token(value: bytes | None) -> bytes:
    """AUTH_CHALLENGE and AUTH_SUCCESS: a [bytes]."""
    return write_bytes(value)


def prefixes(parts: Prefixes) -> tuple[int, bytes]:
    """The flags of the frame, and what stands before the message in its body."""
    flags = 0
    pieces = []
    if parts.tracing_id is not None:
        flags |= constants.FLAG_TRACING
        pieces.append(parts.tracing_id.bytes)
    if parts.warnings:
        flags |= constants.FLAG_WARNING
        pieces.append(write_string_list(parts.warnings))
    if parts.payload is not None:
        flags |= constants.FLAG_PAYLOAD
        pieces.append(write_bytes_map(parts.payload))
    return flags, b"".join(pieces)


def set_keyspace(keyspace: str) -> bytes:
    """RESULT Set_keyspace."""
    return INT.pack(constants.RESULT_SET_KEYSPACE) + write_string(keyspace)


def schema_change(change: SchemaChange, version: int) -> bytes:
    """RESULT Schema_change."""
    return INT.pack(constants.RESULT_SCHEMA_CHANGE) + _schema_change(change, version)


def prepared(message: Prepared, version: int) -> bytes:
    """RESULT Prepared."""
    flags, count, specs = column_specs(message.parameters, version)
    pieces = [INT.pack(constants.RESULT_PREPARED), write_short_bytes(message.statement_id)]
    if version >= 5:
        pieces.append(write_short_bytes(message.result_metadata_id or b""))
    pieces += (INT.pack(flags), INT.pack(count))
    if version >= 4:
        pieces.append(INT.pack(len(message.partition_key)))
        pieces += [SHORT.pack(position) for position in message.partition_key]
    pieces.append(specs)
    if message.columns:
        flags, count, specs = column_specs(message.columns, version)
    else:
        flags, count, specs = constants.ROWS_NO_METADATA, 0, b""
    pieces += (INT.pack(flags), INT.pack(count), specs)
    return b"".join(pieces)


def column_specs(columns: Sequence[Column], version: int) -> ColumnSpecs:
    """The columns of a metadata, with their table named once if it is the same for all."""
    tables = {(column.keyspace, column.table) for column in columns}
    pieces = []
    if len(tables) == 1:
        pieces += [write_string(part) for table in tables for part in table]
    for column in columns:
        if len(tables) > 1:
            pieces += (write_string(column.keyspace), write_string(column.table))
        pieces += (write_string(column.name), write_option(column.type, version))
    flags = constants.ROWS_GLOBAL_TABLE if len(tables) == 1 else 0
    return flags, len(columns), b"".join(pieces)


def rows_header(
    specs: ColumnSpecs,
    skip_metadata: bool = False,
    paging_state: bytes | None = None,
    new_metadata_id: bytes | None = None,
) -> bytes:
    """What stands before the number of rows in a RESULT Rows.

    :param skip_metadata: leave the columns out, save their number.
    :param paging_state: where the next page begins, if there is one.
    :param new_metadata_id: the id of changed metadata (v5); it is never left out then.
    """
    flags, count, columns = specs
    if paging_state is not None:
        flags |= constants.ROWS_MORE_PAGES
    if new_metadata_id is not None:
        flags |= constants.ROWS_METADATA_CHANGED
    elif skip_metadata:
        flags |= constants.ROWS_NO_METADATA
        columns = b""
    pieces = [INT.pack(constants.RESULT_ROWS), INT.pack(flags), INT.pack(count)]
    if paging_state is not None:
        pieces.append(write_bytes(paging_state))
    if new_metadata_id is not None:
        pieces.append(write_short_bytes(new_metadata_id))
    pieces.append(columns)
    return b"".join(pieces)


def rows(header: bytes, found: Sequence[Sequence[bytes | None]]) -> bytes:
    """RESULT Rows.

    :param header: from :func:`rows_header`.
    :param found: the encoded cells of each row.
    """
    pieces = [header, INT.pack(len(found))]
    pieces += [write_bytes(cell) for row in found for cell in row]
    return b"".join(pieces)


def event(change: TopologyChange | StatusChange | SchemaChange, version: int) -> bytes:
    """EVENT."""
    if isinstance(change, SchemaChange):
        return write_string("SCHEMA_CHANGE") + _schema_change(change, version)
    kind = "TOPOLOGY_CHANGE" if isinstance(change, TopologyChange) else "STATUS_CHANGE"
    return write_string(kind) + write_string(change.change) + write_inet(change.address, change.port)


def _schema_change(change: SchemaChange, version: int) -> bytes:
    if change.target in ("FUNCTION", "AGGREGATE") and version < 4:
        # v3 has no functions: their keyspace was updated, says the server, and adds an empty string.
        texts = ["UPDATED", "KEYSPACE", change.keyspace, ""]
    else:
        texts = [change.change, change.target, change.keyspace]
        if change.name is not None:
            texts.append(change.name)
    body = b"".join(map(write_string, texts))
    if change.target in ("FUNCTION", "AGGREGATE") and version >= 4:
        body += write_string_list(change.arguments)
    return body


def error(failure: errors.ServerError, version: int) -> bytes:
    """ERROR.

    Codes that the version does not have go out as those that the server sends in their place.
    """
    failure = _downgraded(failure, version)
    code = failure.unknown_code if isinstance(failure, errors.UnknownServerError) else failure.code
    write = _BODIES.get(code)
    body = write(failure, version) if write is not None else b""
    return INT.pack(code) + write_string(failure.message) + body


def _downgraded(failure: errors.ServerError, version: int) -> errors.ServerError:
    if version < 5 and isinstance(failure, errors.CASWriteUnknown):
        return _write_timeout(failure, "CAS")
    if version >= 4:
        return failure
    if isinstance(failure, errors.ReadFailure):
        return errors.ReadTimeout(
            failure.message,
            consistency=failure.consistency,
            received=failure.received,
            required=failure.required,
            data_present=failure.data_present,
        )
    if isinstance(failure, errors.WriteFailure):
        return _write_timeout(failure, failure.write_type)
    if isinstance(failure, errors.FunctionFailure):
        return errors.InvalidRequest(f"ERROR FUNCTION_FAILURE: {failure.message}")
    if isinstance(failure, errors.CDCWriteFailure):
        return errors.InvalidRequest(f"ERROR CDC_WRITE_FAILURE: {failure.message}")
    return failure


def _write_timeout(
    failure: errors.WriteFailure | errors.CASWriteUnknown, write_type: str
) -> errors.WriteTimeout:
    return errors.WriteTimeout(
        failure.message,
        consistency=failure.consistency,
        received=failure.received,
        required=failure.required,
        write_type=write_type,
        contentions=None,
    )


def _unavailable_body(failure: errors.Unavailable, version: int) -> bytes:
    return _level(failure.consistency) + INT.pack(failure.required) + INT.pack(failure.alive)


Counted = (
    errors.WriteTimeout
    | errors.ReadTimeout
    | errors.ReadFailure
    | errors.WriteFailure
    | errors.CASWriteUnknown
)


def _counts_body(failure: Counted, version: int) -> bytes:
    return _level(failure.consistency) + INT.pack(failure.received) + INT.pack(failure.required)


def _write_timeout_body(failure: errors.WriteTimeout, version: int) -> bytes:
    body = _counts_body(failure, version) + write_string(failure.write_type)
    if version >= 5 and failure.write_type == "CAS":
        body += SHORT.pack(failure.contentions or 0)
    return body


def _read_timeout_body(failure: errors.ReadTimeout, version: int) -> bytes:
    return _counts_body(failure, version) + bytes((failure.data_present,))


def _failures(failure: errors.ReadFailure | errors.WriteFailure, version: int) -> bytes:
    if version < 5:
        return INT.pack(failure.failures)
    reasons = [write_inetaddr(address) + SHORT.pack(code) for address, code in failure.reasons.items()]
    return INT.pack(len(reasons)) + b"".join(reasons)


def _read_failure_body(failure: errors.ReadFailure, version: int) -> bytes:
    return _counts_body(failure, version) + _failures(failure, version) + bytes((failure.data_present,))


def _write_failure_body(failure: errors.WriteFailure, version: int) -> bytes:
    return _counts_body(failure, version) + _failures(failure, version) + write_string(failure.write_type)


def _function_failure_body(failure: errors.FunctionFailure, version: int) -> bytes:
    names = write_string(failure.keyspace) + write_string(failure.function)
    return names + write_string_list(failure.argument_types)


def _already_exists_body(failure: errors.AlreadyExists, version: int) -> bytes:
    return write_string(failure.keyspace) + write_string(failure.table)


def _unprepared_body(failure: errors.Unprepared, version: int) -> bytes:
    return write_short_bytes(failure.statement_id)


def _level(name: str) -> bytes:
    return SHORT.pack(consistency_code(name))


_BODIES: dict[int, Callable[..., bytes]] = {
    errors.Unavailable.code: _unavailable_body,
    errors.WriteTimeout.code: _write_timeout_body,
    errors.ReadTimeout.code: _read_timeout_body,
    errors.ReadFailure.code: _read_failure_body,
    errors.FunctionFailure.code: _function_failure_body,
    errors.WriteFailure.code: _write_failure_body,
    errors.CASWriteUnknown.code: _counts_body,
    errors.AlreadyExists.code: _already_exists_body,
    errors.Unprepared.code: _unprepared_body,
}
