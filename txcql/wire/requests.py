"""The bodies of requests (protocol specification, section 4.1).

QUERY, EXECUTE and BATCH come in parts: what stands before the values and what
stands behind them. The parts depend on the statement and its options alone, so
a caller that repeats a statement makes them once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from txcql.wire.constants import (
    BATCH_KINDS,
    PREPARE_KEYSPACE,
    QUERY_KEYSPACE,
    QUERY_NOW,
    QUERY_PAGE_SIZE,
    QUERY_PAGING_STATE,
    QUERY_SERIAL_CONSISTENCY,
    QUERY_SKIP_METADATA,
    QUERY_TIMESTAMP,
    QUERY_VALUES,
)
from txcql.wire.primitives import (
    INT,
    LONG,
    SHORT,
    write_bytes,
    write_long_string,
    write_short_bytes,
    write_string,
    write_string_list,
    write_string_map,
)

__all__ = [
    "BatchItem",
    "QueryOptions",
    "auth_response",
    "batch",
    "consistency_offset",
    "execute_parts",
    "prepare",
    "query_parts",
    "register",
    "startup",
]


class QueryOptions(NamedTuple):
    """What a QUERY, EXECUTE or BATCH says besides its statement and values.

    :ivar consistency: the level's number.
    :ivar serial_consistency: the serial level's number.
    :ivar page_size: rows a page.
    :ivar paging_state: where the page begins, as the server gave it.
    :ivar timestamp: the default timestamp of the mutation, in microseconds since 1970.
    :ivar keyspace: the keyspace of unqualified names (v5).
    :ivar now_in_seconds: the server's "now", in seconds since 1970 (v5).
    :ivar skip_metadata: whether the answer may leave its metadata out.
    """

    consistency: int
    serial_consistency: int | None = None
    page_size: int | None = None
    paging_state: bytes | None = None
    timestamp: int | None = None
    keyspace: str | None = None
    now_in_seconds: int | None = None
    skip_metadata: bool = False


class BatchItem(NamedTuple):
    """One statement of a batch.

    :ivar statement: a prepared statement's id, or text.
    :ivar values: its encoded values, their [short] count first.
    """

    statement: bytes | str
    values: bytes = b"\0\0"


def startup(options: Mapping[str, str]) -> bytes:
    """STARTUP: a [string map]."""
    return write_string_map(options)


def register(event_types: Sequence[str]) -> bytes:
    """REGISTER: a [string list]."""
    return write_string_list(event_types)


def auth_response(token: bytes | None) -> bytes:
    """AUTH_RESPONSE: a [bytes]."""
    return write_bytes(token)


def prepare(version: int, text: str, keyspace: str | None = None) -> bytes:
    """PREPARE.

    :param keyspace: the keyspace of unqualified names.
    :raises ValueError: a keyspace below v5.
    """
    if version < 5:
        _need_v5(version, keyspace=keyspace)
        return write_long_string(text)
    if keyspace is None:
        return write_long_string(text) + INT.pack(0)
    return write_long_string(text) + INT.pack(PREPARE_KEYSPACE) + write_string(keyspace)


def query_parts(version: int, text: str, options: QueryOptions, has_values: bool) -> tuple[bytes, bytes]:
    """QUERY: what stands before the values, and behind them.

    :param has_values: whether encoded values, their [short] count first, go between.
    :raises ValueError: an option that the version does not have.
    """
    head, tail = _options(version, options, has_values)
    return write_long_string(text) + head, tail


def execute_parts(
    version: int,
    statement_id: bytes,
    result_metadata_id: bytes | None,
    options: QueryOptions,
    has_values: bool,
) -> tuple[bytes, bytes]:
    """EXECUTE: what stands before the values, and behind them.

    :param result_metadata_id: the id that v5 gave with the prepared statement.
    :param has_values: as in :func:`query_parts`.
    :raises ValueError: an option that the version does not have.
    """
    head, tail = _options(version, options, has_values)
    ids = write_short_bytes(statement_id)
    if version >= 5:
        ids += write_short_bytes(result_metadata_id or b"")
    return ids + head, tail


def batch(version: int, kind: str, items: Sequence[BatchItem], options: QueryOptions) -> bytes:
    """BATCH.

    :param kind: ``"logged"``, ``"unlogged"`` or ``"counter"``.
    :raises ValueError: an unknown kind, more than 65,535 statements, or an option that the
        version, or a batch, does not have.
    """
    if kind not in BATCH_KINDS:
        raise ValueError(f"a batch is logged, unlogged or counter, got {kind!r}")
    if len(items) > 0xFFFF:
        raise ValueError(f"a batch holds at most 65535 statements, got {len(items)}")
    if options.page_size is not None or options.paging_state is not None:
        raise ValueError("a batch has no pages")
    pieces = [bytes((BATCH_KINDS[kind],)), SHORT.pack(len(items))]
    for item in items:
        if isinstance(item.statement, str):
            pieces += (b"\0", write_long_string(item.statement), item.values)
        else:
            pieces += (b"\1", write_short_bytes(item.statement), item.values)
    head, tail = _options(version, options._replace(skip_metadata=False), False)
    return b"".join((*pieces, head, tail))


def consistency_offset(version: int, head: int) -> int:
    """Where the consistency level stands in the body of a QUERY or EXECUTE: before the flags, which end
    what stands before the values.

    :param head: the size of that.
    """
    return head - (3 if version < 5 else 6)


def _options(version: int, options: QueryOptions, has_values: bool) -> tuple[bytes, bytes]:
    flags = QUERY_VALUES if has_values else 0
    if options.skip_metadata:
        flags |= QUERY_SKIP_METADATA
    tail: list[bytes] = []
    if options.page_size is not None:
        flags |= QUERY_PAGE_SIZE
        tail.append(INT.pack(options.page_size))
    if options.paging_state is not None:
        flags |= QUERY_PAGING_STATE
        tail.append(write_bytes(options.paging_state))
    if options.serial_consistency is not None:
        flags |= QUERY_SERIAL_CONSISTENCY
        tail.append(SHORT.pack(options.serial_consistency))
    if options.timestamp is not None:
        flags |= QUERY_TIMESTAMP
        tail.append(LONG.pack(options.timestamp))
    if version < 5:
        _need_v5(version, keyspace=options.keyspace, now_in_seconds=options.now_in_seconds)
    if options.keyspace is not None:
        flags |= QUERY_KEYSPACE
        tail.append(write_string(options.keyspace))
    if options.now_in_seconds is not None:
        flags |= QUERY_NOW
        tail.append(INT.pack(options.now_in_seconds))
    packed_flags = bytes((flags,)) if version < 5 else INT.pack(flags)
    return SHORT.pack(options.consistency) + packed_flags, b"".join(tail)


def _need_v5(version: int, **options: object) -> None:
    for name, value in options.items():
        if value is not None:
            raise ValueError(f"{name} needs protocol v5; this link speaks v{version}")
