"""Keyspaces, tables and columns as they are defined."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from txcql.errors import InvalidRequest
from txcql.testing.ordering import Descending, SortKey, sort_key
from txcql.testing.valuechecks import Check, value_check
from txcql.wire.collectiontypes import FrozenType, ListType, MapType, ReversedType, SetType
from txcql.wire.cqltypes import CQLType
from txcql.wire.fieldtypes import UDTType
from txcql.wire.metadata import Column

__all__ = ["ColumnDefinition", "IndexDefinition", "KeyspaceDefinition", "TableDefinition"]

PARTITION_KEY = "partition_key"
CLUSTERING = "clustering"
STATIC = "static"
REGULAR = "regular"


@dataclass(slots=True)
class ColumnDefinition:
    """A column of a table.

    :ivar kind: ``"partition_key"``, ``"clustering"``, ``"static"`` or ``"regular"``.
    :ivar position: its place in the partition key or among the clustering columns, -1 for others.
    :ivar descending: whether rows are ordered by it from the end.
    :ivar check: takes the encoded values of the column.
    :ivar multicell: whether its elements are written one by one: a collection that is not frozen, or
        such a user-defined type.
    """

    name: str
    type: CQLType
    kind: str = REGULAR
    position: int = -1
    descending: bool = False
    check: Check = field(init=False)
    multicell: bool = field(init=False)

    def __post_init__(self) -> None:
        self.check = value_check(self.type)
        self.multicell = isinstance(self.type, (ListType, SetType, MapType, UDTType))

    @property
    def is_key(self) -> bool:
        """Whether it is a part of the primary key."""
        return self.position >= 0

    @property
    def is_counter(self) -> bool:
        return self.type.name == "counter"

    @property
    def declared(self) -> CQLType:
        """The type as it was declared, without the order."""
        return self.type.inner if isinstance(self.type, ReversedType) else self.type

    def order(self) -> SortKey:
        """The sort key of the column's values.

        :raises InvalidRequest: the fake cannot order the type.
        """
        key = sort_key(self.type)
        if self.descending:
            return lambda data: Descending(key(data))
        return key


@dataclass(frozen=True, slots=True)
class IndexDefinition:
    """A secondary index.

    :ivar kind: ``"values"``, ``"keys"``, ``"entries"``, ``"full"``, or ``""`` for a column that is no
        collection.
    """

    name: str
    column: str
    kind: str

    @property
    def target(self) -> str:
        """What it is on, as ``system_schema.indexes`` has it."""
        return f"{self.kind}({self.column})" if self.kind else self.column


class TableDefinition:
    """A table.

    :param columns: all of its columns, in any order.
    :param options: its options, as ``system_schema.tables`` has them.
    :ivar partition_key: the columns of the partition key.
    :ivar clustering: the clustering columns.
    :ivar statics: the static columns.
    :ivar columns: all columns by name, in the order of ``SELECT *``.
    :ivar orders: the sort keys of the clustering columns.
    :ivar dropped: the columns that were dropped: kind and type of each.
    :ivar indexes: its indexes, by name.
    """

    def __init__(
        self,
        keyspace: str,
        name: str,
        columns: Iterable[ColumnDefinition],
        id: uuid.UUID | None = None,
        options: Mapping[str, object] | None = None,
    ) -> None:
        self.keyspace = keyspace
        self.name = name
        self.id = uuid.uuid4() if id is None else id
        self.options = dict(options or {})
        self.dropped: dict[str, tuple[str, str]] = {}
        self.indexes: dict[str, IndexDefinition] = {}
        found = list(columns)

        def of_kind(kind: str) -> list[ColumnDefinition]:
            return sorted((c for c in found if c.kind == kind), key=lambda column: column.position)

        def named(kind: str) -> list[ColumnDefinition]:
            return sorted(of_kind(kind), key=lambda column: column.name.encode())

        self.partition_key = tuple(of_kind(PARTITION_KEY))
        self.clustering = tuple(of_kind(CLUSTERING))
        self.statics = tuple(named(STATIC))
        ordered = [*self.partition_key, *self.clustering, *self.statics, *named(REGULAR)]
        self.columns = {column.name: column for column in ordered}
        self.orders = tuple(column.order() for column in self.clustering)

    @property
    def is_counter(self) -> bool:
        """Whether it is a table of counters."""
        return any(column.is_counter for column in self.columns.values())

    @property
    def key_types(self) -> list[CQLType]:
        """The types of the partition key."""
        return [column.type for column in self.partition_key]

    def changed(self, columns: Iterable[ColumnDefinition]) -> TableDefinition:
        """The same table with other columns."""
        made = TableDefinition(self.keyspace, self.name, columns, self.id, self.options)
        made.dropped = dict(self.dropped)
        made.indexes = dict(self.indexes)
        return made

    def column(self, name: str) -> ColumnDefinition:
        """A column.

        :raises InvalidRequest: there is none of this name.
        """
        found = self.columns.get(name)
        if found is None:
            raise InvalidRequest(f"Undefined column name {name} in table {self.keyspace}.{self.name}")
        return found

    def wire_column(self, name: str) -> Column:
        """A column as the metadata of results and parameters has it."""
        return Column(self.keyspace, self.name, name, self.columns[name].declared)


@dataclass(slots=True)
class KeyspaceDefinition:
    """A keyspace.

    :ivar replication: its replication options, as ``system_schema.keyspaces`` has them.
    """

    name: str
    replication: Mapping[str, str]
    durable_writes: bool = True


def is_frozen(cqltype: CQLType) -> bool:
    """Whether a type was declared frozen."""
    return isinstance(cqltype, FrozenType)
