"""Rows in memory: their cells, each with the timestamp of its write and the time at which it expires.

Deletions leave their timestamps behind, so that writes which arrive in another order than they were made
in give what Cassandra gives.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from operator import itemgetter
from typing import Any

from txcql.testing.ordering import sort_key
from txcql.testing.tabledefinitions import ColumnDefinition
from txcql.wire.collectiontypes import ListType, MapType, SetType, cut_cells, unwrap
from txcql.wire.fieldtypes import UDTType
from txcql.wire.primitives import INT, LONG, write_bytes

__all__ = ["NEVER", "Cell", "Elements", "Row"]

NEVER = -(1 << 63)
"""Before every timestamp."""


class Cell:
    """A value and when it was written.

    :ivar value: ``None`` if it was deleted.
    :ivar ttl: for how many seconds it was written, 0 for ever.
    :ivar expires: when it goes, in seconds since 1970.
    """

    __slots__ = ("expires", "timestamp", "ttl", "value")

    def __init__(self, value: bytes | None, timestamp: int, ttl: int = 0, expires: int | None = None) -> None:
        self.value = value
        self.timestamp = timestamp
        self.ttl = ttl
        self.expires = expires

    def live(self, now: int) -> bool:
        """Whether it has a value at a time, in seconds since 1970."""
        return self.value is not None and (self.expires is None or self.expires > now)

    def wins(self, other: Cell) -> bool:
        """Whether it stays, if both are written to the same place.

        At the same microsecond a deletion wins over a value, what expires over what does not, and else
        the greater value.
        """
        if self.timestamp != other.timestamp:
            return self.timestamp > other.timestamp
        if (self.value is None) != (other.value is None):
            return self.value is None
        if self.expires != other.expires:
            return (self.expires or 0) > (other.expires or 0)
        return (self.value or b"") > (other.value or b"")


class Elements:
    """The elements of a collection, or the fields of a user-defined type, that are written one by one.

    :ivar deleted: when all of them were deleted.
    :ivar cells: their places as encoded values, and their cells, by what orders them.
    """

    __slots__ = ("cells", "deleted")

    def __init__(self) -> None:
        self.deleted = NEVER
        self.cells: dict[Any, tuple[bytes, Cell]] = {}

    def live(self, now: int) -> list[tuple[Any, bytes, Cell]]:
        """What is there at a time, in order."""
        found = [(order, path, cell) for order, (path, cell) in self.cells.items() if cell.live(now)]
        found.sort(key=itemgetter(0))
        return found

    def write(self, order: Any, path: bytes, cell: Cell) -> None:
        """Write one element."""
        if cell.timestamp <= self.deleted:
            return
        present = self.cells.get(order)
        if present is None or cell.wins(present[1]):
            self.cells[order] = (path if present is None else present[0], cell)

    def delete(self, timestamp: int) -> None:
        """Delete what was written up to now."""
        if timestamp <= self.deleted:
            return
        self.deleted = timestamp
        self.cells = {order: found for order, found in self.cells.items() if found[1].timestamp > timestamp}


class Row:
    """One row, or the static columns of a partition.

    :ivar order: its sort key among the rows of its partition.
    :ivar clustering: the encoded clustering columns.
    :ivar inserted: marks that the row itself was inserted; ``None`` if it was not.
    :ivar deleted: when it was deleted.
    """

    __slots__ = ("cells", "clustering", "deleted", "elements", "inserted", "order")

    def __init__(self, order: Any, clustering: Sequence[bytes]) -> None:
        self.order = order
        self.clustering = tuple(clustering)
        self.cells: dict[str, Cell] = {}
        self.elements: dict[str, Elements] = {}
        self.inserted: Cell | None = None
        self.deleted = NEVER

    def live(self, now: int) -> bool:
        """Whether reads see it at a time, in seconds since 1970."""
        if self.inserted is not None and self.inserted.live(now):
            return True
        return self.has_values(now)

    def has_values(self, now: int) -> bool:
        """Whether one of its cells has a value."""
        return any(cell.live(now) for cell in self.cells.values()) or any(
            cell.live(now) for found in self.elements.values() for _, cell in found.cells.values()
        )

    def insert(self, timestamp: int, ttl: int = 0, expires: int | None = None) -> None:
        """Note that the row itself was inserted, unless it was deleted later."""
        if timestamp <= self.deleted:
            return
        cell = Cell(b"", timestamp, ttl, expires)
        if self.inserted is None or cell.wins(self.inserted):
            self.inserted = cell

    def write(self, name: str, cell: Cell) -> None:
        """Write one cell."""
        if cell.timestamp <= self.deleted:
            return
        present = self.cells.get(name)
        if present is None or cell.wins(present):
            self.cells[name] = cell

    def write_element(self, name: str, order: Any, path: bytes, cell: Cell) -> None:
        """Write one element of a column."""
        if cell.timestamp > self.deleted:
            self.elements.setdefault(name, Elements()).write(order, path, cell)

    def delete_elements(self, name: str, timestamp: int) -> None:
        """Delete all elements of a column."""
        self.elements.setdefault(name, Elements()).delete(timestamp)

    def add(self, name: str, amount: int, timestamp: int) -> None:
        """Add to a counter."""
        present = self.cells.get(name)
        value = 0
        if present is not None and present.value is not None:
            value = int.from_bytes(present.value, "big", signed=True)
        value = (value + amount + (1 << 63)) % (1 << 64) - (1 << 63)
        self.cells[name] = Cell(LONG.pack(value), timestamp)

    def delete(self, timestamp: int) -> None:
        """Delete what was written up to now."""
        if timestamp <= self.deleted:
            return
        self.deleted = timestamp
        if self.inserted is not None and self.inserted.timestamp <= timestamp:
            self.inserted = None
        self.cells = {name: cell for name, cell in self.cells.items() if cell.timestamp > timestamp}
        for found in self.elements.values():
            found.delete(timestamp)

    def forget(self, name: str) -> None:
        """Drop what a column has."""
        self.cells.pop(name, None)
        self.elements.pop(name, None)

    def value(self, column: ColumnDefinition, now: int) -> bytes | None:
        """The encoded value of a column that is no part of the key."""
        if column.multicell:
            found = self.elements.get(column.name)
            return None if found is None else joined(column, found.live(now))
        cell = self.cells.get(column.name)
        return cell.value if cell is not None and cell.live(now) else None


def joined(column: ColumnDefinition, found: Sequence[tuple[Any, bytes, Cell]]) -> bytes | None:
    """The elements of a column as one value; ``None`` if there are none."""
    if not found:
        return None
    kind = unwrap(column.type)
    if isinstance(kind, UDTType):
        fields = {order: cell.value for order, _, cell in found}
        return b"".join(write_bytes(fields.get(place)) for place in range(len(kind.types)))
    if isinstance(kind, MapType):
        parts = [write_bytes(path) + write_bytes(cell.value) for _, path, cell in found]
    elif isinstance(kind, SetType):
        parts = [write_bytes(path) for _, path, _ in found]
    else:
        parts = [write_bytes(cell.value) for _, _, cell in found]
    return INT.pack(len(parts)) + b"".join(parts)


def split(column: ColumnDefinition, data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The elements of a value: places and values; those of a list have no places."""
    kind = unwrap(column.type)
    if isinstance(kind, UDTType):
        cells, _ = cut_cells(data, 0, len(kind.types), short=True)
        for place, cell in enumerate(cells):
            if cell is not None:
                yield place.to_bytes(2, "big"), cell
        return
    width = 2 if isinstance(kind, MapType) else 1
    cells, _ = cut_cells(data, 4, width * int.from_bytes(data[:4], "big"))
    if isinstance(kind, MapType):
        for key, value in zip(cells[::2], cells[1::2], strict=True):
            yield key or b"", value or b""
    else:
        for cell in cells:
            yield (b"", cell or b"") if isinstance(kind, ListType) else (cell or b"", b"")


def element_order(column: ColumnDefinition, path: bytes) -> Any:
    """What orders an element of a set, a map or a user-defined type."""
    kind = unwrap(column.type)
    if isinstance(kind, MapType):
        return sort_key(kind.key)(path)
    if isinstance(kind, SetType):
        return sort_key(kind.element)(path)
    return int.from_bytes(path, "big")
