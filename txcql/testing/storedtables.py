"""Tables in memory: partitions in the order of their tokens, rows in that of their clustering columns."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from operator import attrgetter
from typing import Any

from txcql.errors import InvalidRequest
from txcql.testing.storedrows import NEVER, Row
from txcql.testing.tabledefinitions import TableDefinition
from txcql.wire.murmur3 import composite_key, token

__all__ = ["Partition", "StoredTable"]

_LONGEST_KEY = 0xFFFF
_order_of = attrgetter("order")


class Partition:
    """The rows of one partition key.

    :ivar order: token and key: partitions are read in this order.
    :ivar components: its columns, encoded.
    :ivar static: its static columns.
    """

    __slots__ = ("_deleted", "_ranges", "_sorted", "components", "order", "rows", "static")

    def __init__(self, key: bytes, components: Sequence[bytes]) -> None:
        self.order = (token(key), key)
        self.components = tuple(components)
        self.rows: dict[Any, Row] = {}
        self.static = Row(None, ())
        self._deleted = NEVER
        self._ranges: list[tuple[Callable[[Any], bool], int]] = []
        self._sorted: list[Row] | None = None

    def row(self, order: Any, clustering: Sequence[bytes]) -> Row:
        """The row of a clustering key, made if there is none."""
        row = self.rows.get(order)
        if row is None:
            row = self.rows[order] = Row(order, clustering)
            ranges = [when for covers, when in self._ranges if when > self._deleted and covers(row)]
            row.deleted = max(ranges, default=self._deleted)
            self._sorted = None
        return row

    def after(self, order: Any, reverse: bool = False) -> Iterator[Row]:
        """The rows in their order, or from the end, behind a sort key; ``None`` for all."""
        if self._sorted is None:
            self._sorted = sorted(self.rows.values(), key=_order_of)
        rows = self._sorted
        if reverse:
            end = len(rows) if order is None else bisect_left(rows, order, key=_order_of)
            return (rows[at] for at in range(end - 1, -1, -1))
        start = 0 if order is None else bisect_right(rows, order, key=_order_of)
        return (rows[at] for at in range(start, len(rows)))

    def delete(self, timestamp: int) -> None:
        """Delete all of it that was written up to now."""
        if timestamp > self._deleted:
            self._deleted = timestamp
            self._ranges = [found for found in self._ranges if found[1] > timestamp]
        for row in (self.static, *self.rows.values()):
            row.delete(timestamp)

    def delete_range(self, covers: Callable[[Row], bool], timestamp: int) -> None:
        """Delete some of its rows, those too that are written later with an older timestamp."""
        self._ranges.append((covers, timestamp))
        for row in self.rows.values():
            if covers(row):
                row.delete(timestamp)


class StoredTable:
    """A table and its rows.

    :ivar definition: what it is.
    :ivar partitions: by serialized key.
    """

    def __init__(self, definition: TableDefinition) -> None:
        self.definition = definition
        self.partitions: dict[bytes, Partition] = {}
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

    def partition(self, key: bytes, components: Sequence[bytes]) -> Partition:
        """The partition of a serialized key, made if there is none."""
        partition = self.partitions.get(key)
        if partition is None:
            partition = self.partitions[key] = Partition(key, components)
            self._sorted = None
        return partition

    def row(self, key: bytes, components: Sequence[bytes], clustering: Sequence[bytes]) -> Row:
        """A row, made if there is none."""
        return self.partition(key, components).row(self.order(clustering), clustering)

    def forget_column(self, name: str) -> None:
        """Drop what a column has."""
        for partition in self.partitions.values():
            for row in (partition.static, *partition.rows.values()):
                row.forget(name)

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
            start = bisect_left(partitions, (token(key), key), key=_order_of)
        return (partitions[at] for at in range(start, len(partitions)))
