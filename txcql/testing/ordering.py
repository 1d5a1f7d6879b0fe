"""How Cassandra orders the values of a type, for clustering columns, sets and map keys.

A sort key stands for a value in its encoded form. Values that the server takes
for equal have equal keys, such as the decimals 1.0 and 1.00.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from typing import Any

from txcql.testing.refusals import unsupported
from txcql.wire.collectiontypes import ListType, MapType, SetType, VectorType, cut_cells, unwrap
from txcql.wire.cqltypes import CQLType
from txcql.wire.fieldtypes import TupleType, UDTType
from txcql.wire.scalars import DECIMAL

__all__ = ["Descending", "SortKey", "sort_key"]

SortKey = Callable[[bytes], Any]


class Descending:
    """Turns the order of a sort key round."""

    __slots__ = ("key",)

    def __init__(self, key: Any) -> None:
        self.key = key

    def __lt__(self, other: Descending) -> bool:
        return bool(other.key < self.key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Descending) and bool(self.key == other.key)

    def __hash__(self) -> int:
        return hash(self.key)


def sort_key(cqltype: CQLType) -> SortKey:
    """The function that makes the sort key of an encoded value.

    :raises InvalidRequest: the fake cannot order the type.
    """
    kind = unwrap(cqltype)
    if isinstance(kind, (ListType, SetType)):
        return _elements(sort_key(kind.element))
    if isinstance(kind, MapType):
        return _pairs(sort_key(kind.key), sort_key(kind.value))
    if isinstance(kind, (TupleType, UDTType)):
        return _fields([sort_key(part) for part in kind.types])
    if isinstance(kind, VectorType) and kind.element.bare and kind.element.size is not None:
        return _vector(sort_key(kind.element), kind.element.size)
    found = _KEYS.get(kind.name)
    if found is None:
        raise unsupported(f"the order of {cqltype.name}")
    return found


def _elements(element: SortKey) -> SortKey:
    """Element by element; of a list and its beginning, the beginning comes first."""

    def key(data: bytes) -> Any:
        if not data:
            return ()
        cells, _ = cut_cells(data, 4, int.from_bytes(data[:4], "big"))
        return tuple((0, 0) if cell is None else (1, element(cell)) for cell in cells)

    return key


def _pairs(key: SortKey, value: SortKey) -> SortKey:
    def order(data: bytes) -> Any:
        if not data:
            return ()
        cells, _ = cut_cells(data, 4, 2 * int.from_bytes(data[:4], "big"))
        pairs = zip(cells[::2], cells[1::2], strict=True)
        return tuple((key(one or b""), value(other or b"")) for one, other in pairs)

    return order


def _fields(parts: list[SortKey]) -> SortKey:
    """Field by field; a missing one is null, and null comes first."""

    def order(data: bytes) -> Any:
        cells, _ = cut_cells(data, 0, len(parts), short=True)
        keys = [(0, 0) if cell is None else (1, part(cell)) for cell, part in zip(cells, parts, strict=False)]
        return (*keys, *[(0, 0)] * (len(parts) - len(keys)))

    return order


def _vector(element: SortKey, size: int) -> SortKey:
    return lambda data: tuple(element(data[at : at + size]) for at in range(0, len(data), size))


def _bytes(data: bytes) -> bytes:
    return data


def _integer(data: bytes) -> Any:
    return int.from_bytes(data, "big", signed=True) if data else -math.inf


def _boolean(data: bytes) -> int:
    return -1 if not data else int(data != b"\0")


def _floating(layout: struct.Struct) -> SortKey:
    bits = layout.size * 8

    def key(data: bytes) -> Any:
        if not data:
            return -math.inf
        if math.isnan(layout.unpack(data)[0]):
            return math.inf
        # Below zero the bits count downwards; so -0.0 comes before 0.0.
        number = int.from_bytes(data, "big")
        return number if number < 1 << bits - 1 else (1 << bits - 1) - 1 - number

    return key


def _decimal(data: bytes) -> Any:
    return (1, DECIMAL.read(data)) if data else (0, 0)


def _time_of(data: bytes) -> int:
    return (int.from_bytes(data[6:8], "big") & 0xFFF) << 48 | int.from_bytes(data[4:6] + data[:4], "big")


def _uuid(data: bytes) -> Any:
    if not data:
        return ()
    version = data[6] >> 4
    return version, _time_of(data) if version == 1 else 0, data


def _timeuuid(data: bytes) -> Any:
    # The bytes behind the time are compared as signed ones.
    return (_time_of(data), bytes(byte ^ 0x80 for byte in data[8:])) if data else ()


_KEYS: dict[str, SortKey] = {
    **dict.fromkeys(("ascii", "blob", "date", "inet", "text", "time"), _bytes),
    **dict.fromkeys(("bigint", "counter", "int", "smallint", "timestamp", "tinyint", "varint"), _integer),
    "boolean": _boolean,
    "decimal": _decimal,
    "double": _floating(struct.Struct(">d")),
    "float": _floating(struct.Struct(">f")),
    "timeuuid": _timeuuid,
    "uuid": _uuid,
}
