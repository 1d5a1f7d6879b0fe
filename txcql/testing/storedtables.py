"""Tables in memory: partitions in the order of their tokens, rows in that of their clustering columns.

Cells are kept as they go out, with their length before them. Each has the
timestamp of its write, and deletions leave theirs behind, so that writes which
arrive in another order than they were made in give what Cassandra gives.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from operator import attrgetter
from typing import Any

from txcql.errors import InvalidRequest
from txcql.testing.tabledefinitions import TableDefinition
from txcql.wire.murmur3 import composite_key, token
from txcql.wire.primitives import write_bytes

__all__ = ["NEVER", "Partition", "Row", "StoredTable"]

NEVER = -(1 << 63)
"""Before every timestamp."""

NULL = write_bytes(None)
_LONGEST_KEY = 0xFFFF


class Row:
    """One row.

    :ivar order: its sort key among the rows of its partition.
    :ivar clustering: the encoded clustering columns.
    :ivar cells: the cells in the order of ``SELECT *``.
    :ivar stamps: the timestamps of their writes.
    :ivar inserted: when the row itself was inserted, :data:`NEVER` if it was deleted since.
    :ivar deleted: when it was deleted.
    """

    __slots__ = ("cells", "clustering", "deleted", "inserted", "order", "stamps")

    def __init__(self, order: Any, key: Sequence[bytes], clustering: Sequence[bytes], width: int) -> None:
        self.order = order
        self.clustering = tuple(clustering)
        given = [write_bytes(part) for part in (*key, *clustering)]
        self.cells = given + [NULL] * (width - len(given))
        self.stamps = [NEVER] * width
        self.inserted = NEVER
        self.deleted = NEVER

    @property
    def live(self) -> bool:
        """Whether reads see it."""
        return self.inserted != NEVER

    def insert(self, cells: Sequence[tuple[int, bytes | None]], timestamp: int) -> None:
        """Write the row and some of its cells, unless it was deleted later."""
        if timestamp <= self.deleted:
            return
        if timestamp > self.inserted:
            self.inserted = timestamp
        for place, value in cells:
            cell = NULL if value is None else write_bytes(value)
            stamp = self.stamps[place]
            # At the same microsecond null wins, and else the greater value.
            if timestamp > stamp or (timestamp == stamp and _wins(cell, self.cells[place])):
                self.cells[place] = cell
                self.stamps[place] = timestamp

    def delete(self, timestamp: int, first: int) -> None:
        """Delete what was written up to now.

        :param first: the place of the first cell that is no part of the key.
        """
        if timestamp <= self.deleted:
            return
        self.deleted = timestamp
        if self.inserted <= timestamp:
            self.inserted = NEVER
        for place in range(first, len(self.cells)):
            if self.stamps[place] <= timestamp:
                self.cells[place] = NULL
                self.stamps[place] = NEVER


def _wins(cell: bytes, present: bytes) -> bool:
    return present != NULL and (cell == NULL or cell[4:] > present[4:])


class Partition:
    """The rows of one partition key.

    :ivar order: token and key: partitions are read in this order.
    :ivar deleted: when all of it was deleted.
    """

    __slots__ = ("_sorted", "components", "deleted", "order", "rows")

    def __init__(self, key: bytes, components: Sequence[bytes]) -> None:
        self.order = (token(key), key)
        self.components = tuple(components)
        self.deleted = NEVER
        self.rows: dict[Any, Row] = {}
        self._sorted: list[Row] | None = None

    def row(self, order: Any, clustering: Sequence[bytes], width: int) -> Row:
        """The row of a clustering key, made if there is none."""
        row = self.rows.get(order)
        if row is None:
            row = self.rows[order] = Row(order, self.components, clustering, width)
            row.deleted = self.deleted
            self._sorted = None
        return row

    def after(self, order: Any) -> Iterator[Row]:
        """The rows that reads see, in their order, behind a sort key; ``None`` for all."""
        if self._sorted is None:
            self._sorted = sorted(self.rows.values(), key=_order_of)
        rows = self._sorted
        start = 0 if order is None else bisect_right(rows, order, key=_order_of)
        return (rows[at] for at in range(start, len(rows)) if rows[at].live)


_order_of = attrgetter("order")


class StoredTable:
    """A table and its rows.

    :ivar definition: what it is.
    """

    def __init__(self, definition: TableDefinition) -> None:
        self.definition = definition
        self.partitions: dict[bytes, Partition] = {}
        self._width = len(definition.columns)
        self._key_width = len(definition.partition_key) + len(definition.clustering)
        self._sorted: list[Partition] | None = None

    def current(self, node: Any) -> StoredTable:
        """The table as a node sees it: this one."""
        return self

    def partition_key(self, components: Sequence[bytes]) -> bytes:
        """The serialized partition key.

        :raises InvalidRequest: it is empty, or too long.
        """
        if len(components) == 1:
            key = components[0]
            if not key:
                raise InvalidRequest("Key may not be empty")
            size = len(key)
        else:
            size = sum(map(len, components)) + 3 * len(components)
            key = composite_key(components) if size <= _LONGEST_KEY else b""
        if size > _LONGEST_KEY:
            raise InvalidRequest(f"Key length of {size} is longer than maximum of {_LONGEST_KEY}")
        return key

    def order(self, clustering: Sequence[bytes]) -> Any:
        """The sort key of clustering columns."""
        return tuple(key(part) for key, part in zip(self.definition.orders, clustering, strict=True))

    def insert(
        self,
        key: bytes,
        components: Sequence[bytes],
        clustering: Sequence[bytes],
        cells: Sequence[tuple[int, bytes | None]],
        timestamp: int,
    ) -> None:
        """INSERT.

        :param key: the serialized partition key.
        :param components: its columns, encoded.
        :param clustering: the clustering columns, encoded.
        :param cells: places and encoded values of the other columns.
        """
        row = self._partition(key, components).row(self.order(clustering), clustering, self._width)
        row.insert(cells, timestamp)

    def delete_row(
        self, key: bytes, components: Sequence[bytes], clustering: Sequence[bytes], timestamp: int
    ) -> None:
        """DELETE of one row."""
        row = self._partition(key, components).row(self.order(clustering), clustering, self._width)
        row.delete(timestamp, self._key_width)

    def delete_partition(self, key: bytes, components: Sequence[bytes], timestamp: int) -> None:
        """DELETE of all rows of a partition key."""
        partition = self._partition(key, components)
        partition.deleted = max(partition.deleted, timestamp)
        for row in partition.rows.values():
            row.delete(timestamp, self._key_width)

    def truncate(self) -> None:
        """TRUNCATE."""
        self.partitions.clear()
        self._sorted = None

    def after(self, key: bytes | None) -> Iterator[Partition]:
        """The partitions in their order, from a partition key on, that one included; ``None`` for all."""
        if self._sorted is None:
            self._sorted = sorted(self.partitions.values(), key=_order_of)
        partitions = self._sorted
        start = 0
        if key is not None:
            position = (token(key), key)
            start = bisect_right(partitions, position, key=_order_of)
            if start and partitions[start - 1].order == position:
                start -= 1
        return (partitions[at] for at in range(start, len(partitions)))

    def _partition(self, key: bytes, components: Sequence[bytes]) -> Partition:
        partition = self.partitions.get(key)
        if partition is None:
            partition = self.partitions[key] = Partition(key, components)
            self._sorted = None
        return partition
