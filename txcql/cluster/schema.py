"""The schema: keyspaces, and what is in them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from txcql.cluster import schemacql
from txcql.wire.cqltypes import CQLType
from txcql.wire.fieldtypes import UDTType
from txcql.wire.typeparser import parse_type

__all__ = [
    "AggregateMetadata",
    "ColumnMetadata",
    "FunctionMetadata",
    "IndexMetadata",
    "KeyspaceMetadata",
    "TableMetadata",
    "TypeMetadata",
    "UserTypes",
    "ViewMetadata",
]


class UserTypes(Mapping[str, CQLType]):
    """The user-defined types of a keyspace, made when they are first asked for.

    :param types: their definitions, by name.
    """

    def __init__(self, types: Mapping[str, TypeMetadata]) -> None:
        self._types = types
        self._made: dict[str, CQLType] = {}

    def __getitem__(self, name: str) -> CQLType:
        made = self._made.get(name)
        if made is None:
            definition = self._types[name]
            fields = [(field, parse_type(text, self)) for field, text in definition.fields.items()]
            made = self._made[name] = UDTType(definition.keyspace, name, fields)
        return made

    def __iter__(self) -> Iterator[str]:
        return iter(self._types)

    def __len__(self) -> int:
        return len(self._types)


@dataclass(frozen=True, slots=True)
class ColumnMetadata:
    """A column of a table or view.

    :ivar name: its name.
    :ivar cql_type: its type, as CQL has it.
    :ivar kind: ``"partition_key"``, ``"clustering"``, ``"static"`` or ``"regular"``.
    :ivar position: its place in the partition key, or among the clustering columns; else -1.
    :ivar descending: whether it is a clustering column in descending order.
    :ivar mask: the function that masks it, as CQL has it; ``None`` if none does.
    """

    name: str
    cql_type: str
    kind: str
    position: int = -1
    descending: bool = False
    mask: str | None = None
    _types: Mapping[str, CQLType] = field(default_factory=dict, repr=False, compare=False)

    @property
    def type(self) -> CQLType:
        """What writes and reads its values.

        :raises DecodeError: its type is not known.
        """
        return parse_type(self.cql_type, self._types)

    def __str__(self) -> str:
        return f"{self.name} {self.cql_type} ({self.kind.replace('_', ' ')})"


@dataclass(frozen=True, slots=True)
class IndexMetadata:
    """An index of a table.

    :ivar kind: ``"COMPOSITES"``, ``"KEYS"`` or ``"CUSTOM"``.
    :ivar options: its options; ``target`` is what it is on.
    """

    keyspace: str
    table: str
    name: str
    kind: str
    options: Mapping[str, str]

    @property
    def target(self) -> str:
        """What it is on: a column, or such as ``keys(column)``."""
        return self.options.get("target", "")

    def as_cql(self) -> str:
        """The statement that makes it."""
        return schemacql.create_index(self)

    def __str__(self) -> str:
        return f"index {self.keyspace}.{self.name} on {self.table} ({self.target})"


@dataclass(frozen=True, slots=True)
class TableMetadata:
    """A table.

    :ivar id: its identity.
    :ivar columns: by name: the partition key, the clustering columns, then the others by name.
    :ivar options: what stands behind WITH, as ``system_schema.tables`` has it.
    :ivar flags: what kind of table it is: ``"compound"``, ``"counter"``, ``"dense"``, ``"super"``.
    :ivar indexes: by name.
    """

    keyspace: str
    name: str
    id: Any
    columns: Mapping[str, ColumnMetadata]
    options: Mapping[str, Any]
    flags: frozenset[str] = frozenset()
    indexes: Mapping[str, IndexMetadata] = field(default_factory=dict)

    @property
    def partition_key(self) -> tuple[ColumnMetadata, ...]:
        """The columns of the partition key, in their order."""
        return tuple(column for column in self.columns.values() if column.kind == "partition_key")

    @property
    def clustering_key(self) -> tuple[ColumnMetadata, ...]:
        """The clustering columns, in their order."""
        return tuple(column for column in self.columns.values() if column.kind == "clustering")

    @property
    def is_compact(self) -> bool:
        """Whether it has the storage of tables from before CQL."""
        return bool(self.flags) and ("compound" not in self.flags or "dense" in self.flags)

    @property
    def primary_key(self) -> tuple[ColumnMetadata, ...]:
        """The partition key, and the clustering columns behind it."""
        return self.partition_key + self.clustering_key

    def as_cql(self) -> str:
        """The statement that makes it."""
        return schemacql.create_table(self)

    def __str__(self) -> str:
        return f"table {self.keyspace}.{self.name} ({len(self.columns)} columns)"


@dataclass(frozen=True, slots=True)
class ViewMetadata(TableMetadata):
    """A materialized view.

    :ivar base_table: the name of the table that it is of.
    :ivar where_clause: which rows it has.
    :ivar include_all_columns: whether it has every column of its table.
    """

    base_table: str = ""
    where_clause: str = ""
    include_all_columns: bool = False

    def as_cql(self) -> str:
        """The statement that makes it."""
        return schemacql.create_view(self)

    def __str__(self) -> str:
        return f"view {self.keyspace}.{self.name} of {self.base_table} ({len(self.columns)} columns)"


@dataclass(frozen=True, slots=True)
class TypeMetadata:
    """A user-defined type.

    :ivar fields: name -> type, as CQL has it, in order.
    """

    keyspace: str
    name: str
    fields: Mapping[str, str]

    def as_cql(self) -> str:
        """The statement that makes it."""
        return schemacql.create_type(self)

    def __str__(self) -> str:
        return f"type {self.keyspace}.{self.name} ({len(self.fields)} fields)"


@dataclass(frozen=True, slots=True)
class FunctionMetadata:
    """A user-defined function.

    :ivar arguments: name -> type, in order.
    :ivar called_on_null_input: whether it is called when an argument is null; else the result is null.
    """

    keyspace: str
    name: str
    arguments: Mapping[str, str]
    return_type: str
    language: str
    body: str
    called_on_null_input: bool

    @property
    def signature(self) -> str:
        """Its name and the types of its arguments."""
        return f"{self.name}({', '.join(self.arguments.values())})"

    def as_cql(self) -> str:
        """The statement that makes it."""
        return schemacql.create_function(self)

    def __str__(self) -> str:
        return f"function {self.keyspace}.{self.signature}"


@dataclass(frozen=True, slots=True)
class AggregateMetadata:
    """A user-defined aggregate.

    :ivar argument_types: the types of its arguments, in order.
    :ivar state_function: the name of the function that takes in one row.
    :ivar final_function: the name of the function that makes the result; ``None`` without one.
    :ivar initial_condition: the state to begin with, as CQL has it; ``None`` for null.
    """

    keyspace: str
    name: str
    argument_types: tuple[str, ...]
    return_type: str
    state_type: str
    state_function: str
    final_function: str | None
    initial_condition: str | None

    @property
    def signature(self) -> str:
        """Its name and the types of its arguments."""
        return f"{self.name}({', '.join(self.argument_types)})"

    def as_cql(self) -> str:
        """The statement that makes it."""
        return schemacql.create_aggregate(self)

    def __str__(self) -> str:
        return f"aggregate {self.keyspace}.{self.signature}"


@dataclass(frozen=True, slots=True)
class KeyspaceMetadata:
    """A keyspace.

    :ivar replication: its replication strategy and the options of that.
    :ivar complete: whether what is in it has been read: ``schema_metadata`` may leave it out.
    :ivar tables: by name; and so are the views and types.
    :ivar functions: by signature, such as ``"total(int, text)"``; and so are the aggregates.
    """

    name: str
    replication: Mapping[str, str]
    durable_writes: bool = True
    complete: bool = False
    tables: Mapping[str, TableMetadata] = field(default_factory=dict)
    views: Mapping[str, ViewMetadata] = field(default_factory=dict)
    types: Mapping[str, TypeMetadata] = field(default_factory=dict)
    functions: Mapping[str, FunctionMetadata] = field(default_factory=dict)
    aggregates: Mapping[str, AggregateMetadata] = field(default_factory=dict)

    def as_cql(self) -> str:
        """The statement that makes it, without what is in it."""
        return schemacql.create_keyspace(self)

    def statements(self) -> list[str]:
        """The statements that make it and all that is in it, in an order in which they can be executed."""
        made: list[Any] = [*schemacql.in_order(self.types), *self.functions.values()]
        made += self.aggregates.values()
        for table in self.tables.values():
            made += (table, *table.indexes.values())
        return [item.as_cql() for item in (self, *made, *self.views.values())]

    def __str__(self) -> str:
        if not self.complete:
            return f"keyspace {self.name} (not read)"
        counts = (
            f"{len(getattr(self, what))} {what}"
            for what in ("tables", "views", "types", "functions", "aggregates")
            if what == "tables" or getattr(self, what)
        )
        return f"keyspace {self.name} ({', '.join(counts)})"
