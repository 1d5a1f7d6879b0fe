"""Encoded values as the server takes them: checked, and brought into its own form.

The sentences are those of Cassandra's serializers. Sets and maps come out
sorted and without doubles, as the server stores them.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import itemgetter

from txcql.errors import DecodeError, InternalServerError, InvalidRequest
from txcql.testing.ordering import SortKey, sort_key
from txcql.testing.refusals import unsupported
from txcql.wire.collectiontypes import (
    FrozenType,
    ListType,
    MapType,
    ReversedType,
    SetType,
    VectorType,
    cut_cells,
    unwrap,
)
from txcql.wire.cqltypes import CQLType
from txcql.wire.fieldtypes import TupleType, UDTType
from txcql.wire.primitives import INT, write_bytes

__all__ = ["Check", "value_check"]

Check = Callable[[bytes], bytes | None]
"""Takes the bytes of a value; gives those that are stored, ``None`` for null."""


def value_check(cqltype: CQLType) -> Check:
    """The check for a type.

    :raises InvalidRequest: a type that the fake does not know to check.
    """
    kind = unwrap(cqltype)
    if isinstance(kind, (ListType, SetType, MapType)):
        # What rows are ordered by is frozen.
        return _collection_check(kind, isinstance(cqltype, (FrozenType, ReversedType)))
    if isinstance(kind, (TupleType, UDTType)):
        return _fields_check(kind, [value_check(_frozen(part)) for part in kind.types])
    if isinstance(kind, VectorType):
        value_check(kind.element)
        return _decoded_check(kind, may_be_empty=False)
    return _scalar_check(kind)


def _frozen(cqltype: CQLType) -> CQLType:
    """What lies inside another value is one value."""
    return cqltype if isinstance(cqltype, FrozenType) else FrozenType(cqltype)


def _fields_check(kind: TupleType | UDTType, checks: list[Check]) -> Check:
    def check(data: bytes) -> bytes:
        try:
            kind.decode(data)
            cells, _ = cut_cells(data, 0, len(checks), short=True)
        except DecodeError as error:
            raise InvalidRequest(str(error)) from None
        checked = [None if cell is None else one(cell) for cell, one in zip(cells, checks, strict=False)]
        return b"".join(map(write_bytes, checked))

    return check


def _scalar_check(cqltype: CQLType) -> Check:
    kind = unwrap(cqltype)
    fixed = _FIXED.get(kind.name)
    if fixed is not None:
        return _fixed_check(*fixed)
    if kind.name == "blob":
        return lambda data: data
    if kind.name == "timeuuid":
        return _timeuuid_check
    if kind.name in ("ascii", "text"):
        return _decoded_check(kind, "String didn't validate.")
    if kind.name in ("decimal", "duration", "inet", "varint"):
        return _decoded_check(kind, may_be_empty=kind.name != "duration")
    raise unsupported(f"the type {cqltype.name} here")


def _fixed_check(size: int, may_be_empty: bool, sentence: str) -> Check:
    def check(data: bytes) -> bytes:
        if len(data) != size and (data or not may_be_empty):
            raise InvalidRequest(sentence % len(data))
        return data

    return check


def _timeuuid_check(data: bytes) -> bytes:
    if data:
        if len(data) != 16:
            raise InvalidRequest(f"UUID should be 16 or 0 bytes ({len(data)})")
        if data[6] >> 4 != 1:
            raise InvalidRequest(f"Invalid version for TimeUUID type: {data[6] >> 4:#x}")
    return data


def _decoded_check(kind: CQLType, sentence: str | None = None, may_be_empty: bool = True) -> Check:
    """What the codec can read is right; where Cassandra's sentence is not known, the codec's is told."""

    def check(data: bytes) -> bytes:
        if not data and not may_be_empty:
            raise InvalidRequest(f"a value of no bytes for the type {kind.name}")
        try:
            kind.decode(data)
        except DecodeError as error:
            raise InvalidRequest(sentence if sentence is not None else str(error)) from None
        return data

    return check


def _collection_check(kind: ListType | SetType | MapType, frozen: bool) -> Check:
    if isinstance(kind, ListType):
        word, checks, order = "list", [value_check(_frozen(kind.element))], None
    elif isinstance(kind, SetType):
        word, checks, order = "set", [value_check(_frozen(kind.element))], sort_key(kind.element)
    else:
        word, checks = "map", [value_check(_frozen(kind.key)), value_check(_frozen(kind.value))]
        order = sort_key(kind.key)

    def check(data: bytes) -> bytes | None:
        cells = [
            _element(cell, checks[number % len(checks)], word, frozen)
            for number, cell in enumerate(_cells(data, word, len(checks)))
        ]
        groups = [cells[start : start + len(checks)] for start in range(0, len(cells), len(checks))]
        if order is not None:
            groups = _sorted(groups, order)
        if not groups and not frozen:
            return None
        return INT.pack(len(groups)) + b"".join(write_bytes(cell) for group in groups for cell in group)

    return check


def _sorted(groups: list[list[bytes | None]], order: SortKey) -> list[list[bytes | None]]:
    """In the server's order; of equal keys the first stays, and of their values the last."""
    found: dict[object, list[bytes | None]] = {}
    for group in groups:
        key = order(group[0] or b"")
        found[key] = [found[key][0], *group[1:]] if key in found else group
    return [group for _, group in sorted(found.items(), key=itemgetter(0))]


def _cells(data: bytes, word: str, width: int) -> list[bytes | None]:
    count = int.from_bytes(data[:4], "big", signed=True)
    try:
        cells, end = cut_cells(data, 4, count * width)
    except DecodeError:
        raise InvalidRequest(f"Not enough bytes to read a {word}") from None
    if end != len(data):
        raise InvalidRequest(f"Unexpected extraneous bytes after {word} value")
    return cells


def _element(cell: bytes | None, check: Check, word: str, frozen: bool) -> bytes | None:
    if cell is not None:
        return check(cell)
    if word != "list":
        raise InvalidRequest("Null value read when not allowed")
    if not frozen:
        raise InternalServerError(_NULL_POINTER)
    return None


_NULL_POINTER = (
    'java.lang.NullPointerException: Cannot invoke "java.nio.ByteBuffer.remaining()" because "value" is null'
)

_FIXED = {
    "counter": (8, True, "Expected 8 or 0 byte long (%d)"),
    "bigint": (8, True, "Expected 8 or 0 byte long (%d)"),
    "boolean": (1, True, "Expected 1 or 0 byte value (%d)"),
    "date": (4, False, "Expected 4 byte long for date (%d)"),
    "double": (8, True, "Expected 8 or 0 byte value for a double (%d)"),
    "float": (4, True, "Expected 4 or 0 byte value for a float (%d)"),
    "int": (4, True, "Expected 4 or 0 byte int (%d)"),
    "smallint": (2, False, "Expected 2 bytes for a smallint (%d)"),
    "time": (8, False, "Expected 8 byte long for time (%d)"),
    "timestamp": (8, True, "Expected 8 or 0 byte long for date (%d)"),
    "tinyint": (1, False, "Expected 1 byte for a tinyint (%d)"),
    "uuid": (16, True, "UUID should be 16 or 0 bytes (%d)"),
}
"""Size in bytes, whether none at all are a value, and what is said of another number."""
