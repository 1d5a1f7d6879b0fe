"""Statements bound to the tables that they are about: made once, run for every request."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from txcql.errors import InvalidRequest
from txcql.testing.cqlstatements import Delete, Insert, Marker, Relation, Term
from txcql.testing.literals import literal_bytes
from txcql.testing.refusals import unsupported
from txcql.testing.storedtables import StoredTable
from txcql.testing.tabledefinitions import ColumnDefinition, TableDefinition
from txcql.wire.cqltypes import CQLType
from txcql.wire.events import SchemaChange
from txcql.wire.metadata import Column
from txcql.wire.requestreader import RawValue
from txcql.wire.requests import QueryOptions
from txcql.wire.values import Singleton

__all__ = [
    "Answer",
    "Coordinator",
    "DeletePlan",
    "InsertPlan",
    "Plan",
    "RowsAnswer",
    "SchemaAnswer",
    "SetKeyspaceAnswer",
    "Slot",
    "WritePlan",
    "make_slot",
    "partition_key_markers",
    "relation_slots",
]


class RowsAnswer(NamedTuple):
    """Rows, encoded.

    :ivar paging_state: where the next page begins, ``None`` if this is the last.
    :ivar warnings: what the server warns of.
    """

    rows: Sequence[bytes]
    paging_state: bytes | None = None
    warnings: tuple[str, ...] = ()


class SetKeyspaceAnswer(NamedTuple):
    """The keyspace of the connection is another one now."""

    keyspace: str


class SchemaAnswer(NamedTuple):
    """The schema was changed; the last change is the answer, and all of them are events."""

    changes: tuple[SchemaChange, ...]


Answer = RowsAnswer | SetKeyspaceAnswer | SchemaAnswer | None
"""What a statement gives; ``None`` is Void."""


class Coordinator(Protocol):
    """What statements need of the node that runs them."""

    def check_consistency(self, keyspace: str, level: int, write: bool) -> None:
        """Refuse a level that cannot be met."""

    def timestamp(self) -> int:
        """A timestamp for a write that has none, in microseconds; each is later than the one before."""


class Plan:
    """A statement, ready to run.

    :ivar keyspace: the keyspace of its table, ``None`` if it has none.
    :ivar table: its table, ``None`` if it has none.
    :ivar parameters: its bind markers.
    :ivar partition_key: the positions of the partition key among them; empty if not all of it is there.
    :ivar columns: the columns of its rows; empty if it gives none.
    """

    keyspace: str | None = None
    table: StoredTable | None = None
    parameters: tuple[Column, ...] = ()
    partition_key: tuple[int, ...] = ()
    columns: tuple[Column, ...] = ()

    def run(
        self, values: Sequence[RawValue], options: QueryOptions, node: Coordinator, version: int
    ) -> Answer:
        """Run it.

        :param values: one for each of its parameters.
        :param version: the protocol version of the connection.
        :raises ServerError: it cannot be carried out.
        """
        raise NotImplementedError


class SchemaPlan(Plan):
    """A statement that is carried out by calling a function, without parameters.

    :param carry_out: does it.
    """

    def __init__(self, carry_out: Callable[[], Answer]) -> None:
        self._carry_out = carry_out

    def run(
        self, values: Sequence[RawValue], options: QueryOptions, node: Coordinator, version: int
    ) -> Answer:
        return self._carry_out()


class Slot(NamedTuple):
    """Where the value of a column comes from.

    :ivar marker: the position of the bind marker, -1 for a constant.
    :ivar constant: its encoded value.
    """

    column: ColumnDefinition
    marker: int
    constant: bytes | None

    def value(self, values: Sequence[RawValue]) -> RawValue:
        """The checked value."""
        if self.marker < 0:
            return self.constant
        value = values[self.marker]
        if value is None or isinstance(value, Singleton):
            return value
        return self.column.check(value)

    def key_value(self, values: Sequence[RawValue]) -> bytes:
        """The checked value of a column that must have one.

        :raises InvalidRequest: it is null or unset.
        """
        value = self.value(values)
        if value is None:
            raise InvalidRequest(f"Invalid null value in condition for column {self.column.name}")
        if isinstance(value, Singleton):
            raise InvalidRequest(f"Invalid unset value for column {self.column.name}")
        return value


def make_slot(term: Term, column: ColumnDefinition) -> Slot:
    """The slot of a term.

    :raises InvalidRequest: a constant that the column does not take.
    """
    if isinstance(term, Marker):
        return Slot(column, term.index, None)
    constant = literal_bytes(term, column.type, column.name)
    return Slot(column, -1, None if constant is None else column.check(constant))


def parameter(table: TableDefinition, marker: Marker, column: str) -> Column:
    """A bind marker as the metadata has it: a named one by its own name."""
    found = table.wire_column(column)
    return found if marker.name is None else found._replace(name=marker.name)


def special_parameter(table: TableDefinition, marker: Marker, name: str, cqltype: CQLType) -> Column:
    """A bind marker that is for no column, such as that of a LIMIT."""
    return Column(table.keyspace, table.name, marker.name or name, cqltype)


def partition_key_markers(slots: Sequence[Slot]) -> tuple[int, ...]:
    """The markers of the partition key's slots; empty if one of them is a constant."""
    indexes = tuple(slot.marker for slot in slots)
    return () if -1 in indexes else indexes


def relation_slots(table: TableDefinition, relations: Sequence[Relation]) -> dict[str, Slot]:
    """The slots of a WHERE, by column.

    :raises InvalidRequest: a column that does not exist, or is named twice.
    """
    slots: dict[str, Slot] = {}
    for relation in relations:
        column = find_column(table, relation.column)
        if column.name in slots:
            raise InvalidRequest(
                f"{column.name} cannot be restricted by more than one relation if it includes an Equal"
            )
        slots[column.name] = make_slot(relation.term, column)
    return slots


def find_column(table: TableDefinition, name: str) -> ColumnDefinition:
    """A column of a table.

    :raises InvalidRequest: there is none of this name.
    """
    column = table.columns.get(name)
    if column is None:
        raise InvalidRequest(f"Undefined column name {name} in table {table.keyspace}.{table.name}")
    return column


def relation_parameters(table: TableDefinition, relations: Sequence[Relation]) -> tuple[Column, ...]:
    """The bind markers of a WHERE."""
    return tuple(
        parameter(table, relation.term, relation.column)
        for relation in relations
        if isinstance(relation.term, Marker)
    )


class WritePlan(Plan):
    """A statement that writes to a table, alone or in a batch.

    :param table: the table.
    :param slots: where the values come from, by column; the partition key is among them.
    """

    table: StoredTable
    keyspace: str

    def __init__(self, table: StoredTable, slots: dict[str, Slot]) -> None:
        definition = table.definition
        missing = [c.name for c in definition.partition_key if c.name not in slots]
        if missing:
            raise InvalidRequest(f"Some partition key parts are missing: {', '.join(missing)}")
        self.table = table
        self.keyspace = definition.keyspace
        self._key = [slots[column.name] for column in definition.partition_key]
        self._clustering = [slots[c.name] for c in definition.clustering if c.name in slots]
        self.partition_key = partition_key_markers(self._key)

    def run(
        self, values: Sequence[RawValue], options: QueryOptions, node: Coordinator, version: int
    ) -> Answer:
        node.check_consistency(self.keyspace, options.consistency, True)
        write = self.bind(values)
        write(node.timestamp() if options.timestamp is None else options.timestamp)
        return None

    def bind(self, values: Sequence[RawValue]) -> Callable[[int], None]:
        """Check the values.

        :returns: writes them, with the timestamp that it is given.
        :raises ServerError: one of them is wrong.
        """
        components = [slot.key_value(values) for slot in self._key]
        key = self.table.partition_key(components)
        clustering = [slot.key_value(values) for slot in self._clustering]
        return self._write(key, components, clustering, values)

    def _write(
        self, key: bytes, components: list[bytes], clustering: list[bytes], values: Sequence[RawValue]
    ) -> Callable[[int], None]:
        raise NotImplementedError


class InsertPlan(WritePlan):
    """INSERT."""

    def __init__(self, table: StoredTable, statement: Insert) -> None:
        definition = table.definition
        if len(statement.columns) != len(statement.terms):
            raise InvalidRequest("Unmatched column names/values")
        slots: dict[str, Slot] = {}
        for name, term in zip(statement.columns, statement.terms, strict=True):
            if name in slots:
                raise InvalidRequest("The column names contains duplicates")
            slots[name] = make_slot(term, find_column(definition, name))
        super().__init__(table, slots)
        missing = [column.name for column in definition.clustering if column.name not in slots]
        if missing:
            raise InvalidRequest(f"Some clustering keys are missing: {', '.join(missing)}")
        keys = {slot.column.name for slot in (*self._key, *self._clustering)}
        self._cells = [(definition.places[name], slot) for name, slot in slots.items() if name not in keys]
        self.parameters = tuple(
            parameter(definition, term, name)
            for name, term in zip(statement.columns, statement.terms, strict=True)
            if isinstance(term, Marker)
        )

    def _write(
        self, key: bytes, components: list[bytes], clustering: list[bytes], values: Sequence[RawValue]
    ) -> Callable[[int], None]:
        cells: list[tuple[int, bytes | None]] = []
        for place, slot in self._cells:
            value = slot.value(values)
            if not isinstance(value, Singleton):
                cells.append((place, value))
        return lambda timestamp: self.table.insert(key, components, clustering, cells, timestamp)


class DeletePlan(WritePlan):
    """DELETE of one row, or of a partition."""

    def __init__(self, table: StoredTable, statement: Delete) -> None:
        definition = table.definition
        slots = relation_slots(definition, statement.relations)
        super().__init__(table, slots)
        if len(self._clustering) not in (0, len(definition.clustering)):
            raise unsupported("a DELETE by a part of the clustering columns")
        if len(slots) > len(self._key) + len(self._clustering):
            keys = {slot.column.name for slot in (*self._key, *self._clustering)}
            others = ", ".join(name for name in slots if name not in keys)
            raise InvalidRequest(f"Non PRIMARY KEY columns found in where clause: {others} ")
        self._one_row = len(self._clustering) == len(definition.clustering)
        self.parameters = relation_parameters(definition, statement.relations)

    def _write(
        self, key: bytes, components: list[bytes], clustering: list[bytes], values: Sequence[RawValue]
    ) -> Callable[[int], None]:
        if self._one_row:
            return lambda timestamp: self.table.delete_row(key, components, clustering, timestamp)
        return lambda timestamp: self.table.delete_partition(key, components, timestamp)
