"""Keyspaces, tables and columns as they are defined."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field

from txcql.testing.ordering import Descending, SortKey, sort_key
from txcql.testing.valuechecks import Check, value_check
from txcql.wire.cqltypes import CQLType
from txcql.wire.metadata import Column

__all__ = ["ColumnDefinition", "KeyspaceDefinition", "TableDefinition"]

PARTITION_KEY = "partition_key"
CLUSTERING = "clustering"
REGULAR = "regular"


@dataclass(slots=True)
class ColumnDefinition:
    """A column of a table.

    :ivar kind: ``"partition_key"``, ``"clustering"`` or ``"regular"``.
    :ivar position: its place in the partition key or among the clustering columns, -1 for others.
    :ivar descending: whether rows are ordered by it from the end.
    :ivar check: takes the encoded values of the column.
    """

    name: str
    type: CQLType
    kind: str = REGULAR
    position: int = -1
    descending: bool = False
    check: Check = field(init=False)

    def __post_init__(self) -> None:
        self.check = value_check(self.type)

    def order(self) -> SortKey:
        """The sort key of the column's values.

        :raises InvalidRequest: the fake cannot order the type.
        """
        key = sort_key(self.type)
        if self.descending:
            return lambda data: Descending(key(data))
        return key


class TableDefinition:
    """A table.

    :param columns: all of its columns, in any order.
    :ivar partition_key: the columns of the partition key.
    :ivar clustering: the clustering columns.
    :ivar columns: all columns by name, in the order of ``SELECT *``.
    :ivar places: where each column stands in that order.
    :ivar orders: the sort keys of the clustering columns.
    """

    def __init__(
        self, keyspace: str, name: str, columns: list[ColumnDefinition], id: uuid.UUID | None = None
    ) -> None:
        self.keyspace = keyspace
        self.name = name
        self.id = uuid.uuid4() if id is None else id

        def of_kind(kind: str) -> list[ColumnDefinition]:
            return sorted((c for c in columns if c.kind == kind), key=lambda column: column.position)

        self.partition_key = tuple(of_kind(PARTITION_KEY))
        self.clustering = tuple(of_kind(CLUSTERING))
        regular = sorted(of_kind(REGULAR), key=lambda column: column.name.encode())
        ordered = [*self.partition_key, *self.clustering, *regular]
        self.columns = {column.name: column for column in ordered}
        self.places = {column.name: place for place, column in enumerate(ordered)}
        self.orders = tuple(column.order() for column in self.clustering)

    def wire_column(self, name: str) -> Column:
        """A column as the metadata of results and parameters has it."""
        return Column(self.keyspace, self.name, name, self.columns[name].type)


@dataclass(slots=True)
class KeyspaceDefinition:
    """A keyspace.

    :ivar replication: its replication options, as ``system_schema.keyspaces`` has them.
    """

    name: str
    replication: Mapping[str, str]
    durable_writes: bool = True
