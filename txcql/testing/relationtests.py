"""One relation of a WHERE, bound to its columns: what tells whether a row is meant."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from txcql.errors import InvalidRequest
from txcql.testing import cqlstatements as cql
from txcql.testing.execution import Execution
from txcql.testing.expressions import Expression, Receiver, Scope, compile_term, need_value, type_text
from txcql.testing.faketopology import LOWEST_TOKEN
from txcql.testing.ordering import sort_key
from txcql.testing.refusals import unsupported
from txcql.testing.storedrows import Row
from txcql.testing.storedtables import Partition
from txcql.testing.tabledefinitions import CLUSTERING, PARTITION_KEY, ColumnDefinition, TableDefinition
from txcql.wire.collectiontypes import ListType, MapType, SetType, cut_cells, unwrap
from txcql.wire.fieldtypes import TupleType, UDTType
from txcql.wire.primitives import write_bytes
from txcql.wire.scalars import BIGINT
from txcql.wire.values import Singleton

__all__ = ["Restriction", "RowTest", "read_column"]

RowTest = Callable[[Partition, Row], bool]
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "=": lambda one, other: bool(one == other),
    "<": lambda one, other: bool(one < other),
    ">": lambda one, other: bool(other < one),
    "<=": lambda one, other: not other < one,
    ">=": lambda one, other: not one < other,
}


def read_column(column: ColumnDefinition, partition: Partition, row: Row | None, now: int) -> bytes | None:
    """The encoded value of a column in a row.

    :param row: ``None`` where there are only static columns.
    """
    if column.kind == PARTITION_KEY:
        return partition.components[column.position]
    if column.kind == CLUSTERING:
        return None if row is None else row.clustering[column.position]
    if column.kind == "static":
        return partition.static.value(column, now)
    return None if row is None else row.value(column, now)


class Restriction:
    """A relation, bound to its columns.

    :ivar operator: IN of one value counts as =.
    :ivar expressions: what gives its values.
    :ivar whole: whether the only value of an IN is a list of all of them.
    """

    def __init__(self, relation: cql.Relation, table: TableDefinition, scope: Scope) -> None:
        self.columns = [table.column(name) for name in relation.columns]
        self.form = relation.form
        self.operator = relation.operator
        self.whole = relation.whole
        self.key: Expression | None = None
        if self.operator == "!=":
            raise InvalidRequest(f'Unsupported "!=" relation: {relation.text}')
        if self.operator == "IS NOT":
            raise InvalidRequest(f"Unsupported restriction: {relation.text}")
        receiver = self._receiver(relation, table, scope)
        if self.whole:
            names = ",".join(column.name for column in self.columns)
            receiver = Receiver(f"in({names})", ListType(receiver.type))
        elif self.form == "tuple":
            self._check_tuples(relation)
        if self.operator == "IN" and not self.whole and len(relation.terms) == 1:
            self.operator = "="
        self.expressions = [self._compile(term, receiver, scope) for term in relation.terms]

    @property
    def column(self) -> ColumnDefinition:
        """The first of its columns."""
        return self.columns[0]

    @property
    def is_slice(self) -> bool:
        return self.operator in ("<", ">", "<=", ">=")

    @property
    def is_contains(self) -> bool:
        return self.operator.startswith("CONTAINS") or self.form == "element"

    def _compile(self, term: cql.Term, receiver: Receiver, scope: Scope) -> Expression:
        if self.form != "tuple" or isinstance(term, cql.Marker) or self.whole:
            return compile_term(term, receiver, scope)
        assert isinstance(term, cql.TupleLiteral)
        parts = [
            compile_term(item, Receiver(column.name, column.declared), scope)
            for item, column in zip(term.items, self.columns, strict=True)
        ]
        return _TupleOf(parts, self.columns)

    def _check_tuples(self, relation: cql.Relation) -> None:
        for term in relation.terms:
            if isinstance(term, cql.Marker):
                continue
            if not isinstance(term, cql.TupleLiteral):
                raise unsupported(f"the relation {relation.text}")
            if len(term.items) != len(self.columns):
                names = ", ".join(column.name for column in self.columns)
                raise InvalidRequest(
                    f"Expected {len(self.columns)} elements in value tuple, but got {len(term.items)}: "
                    f"{relation.text.partition(relation.operator)[2].strip() or names}"
                )

    def _receiver(self, relation: cql.Relation, table: TableDefinition, scope: Scope) -> Receiver:
        if self.form == "token":
            self._check_token(table)
            if self.operator == "IN":
                raise InvalidRequest(f"IN cannot be used with the token function: {relation.text}")
            return Receiver("partition key token", BIGINT)
        if self.form == "tuple":
            return self._tuple_receiver(relation)
        return self._column_receiver(relation, scope)

    def _check_token(self, table: TableDefinition) -> None:
        names = [column.name for column in self.columns]
        keys = [column.name for column in table.partition_key]
        if sorted(names) != sorted(keys):
            raise InvalidRequest(
                "The token() function must be applied to all partition key components or none of them"
            )
        if names != keys:
            raise InvalidRequest(
                f"The token function arguments must be in the partition key order: {', '.join(keys)}"
            )

    def _tuple_receiver(self, relation: cql.Relation) -> Receiver:
        last = -1
        for column in self.columns:
            if column.kind != CLUSTERING:
                raise InvalidRequest(
                    "Multi-column relations can only be applied to clustering columns but was applied to: "
                    f"{column.name}"
                )
            if last >= 0 and column.position != last + 1:
                if column.position == last:
                    raise InvalidRequest(
                        f'Column "{column.name}" appeared twice in a relation: {relation.text}'
                    )
                raise InvalidRequest(
                    "Clustering columns must appear in the PRIMARY KEY order in multi-column relations: "
                    f"{relation.text}"
                )
            last = column.position
        names = ",".join(column.name for column in self.columns)
        return Receiver(f"({names})", TupleType([column.declared for column in self.columns]))

    def _column_receiver(self, relation: cql.Relation, scope: Scope) -> Receiver:
        column = self.column
        kind = unwrap(column.type)
        name = column.name
        # What orders rows from the end is no collection to real nodes.
        collection = isinstance(kind, (ListType, SetType, MapType)) and not column.descending
        if self.operator == "CONTAINS KEY" and not (isinstance(kind, MapType) and collection):
            raise InvalidRequest(f"Cannot use CONTAINS KEY on non-map column {name}")
        if self.operator == "CONTAINS" and not collection:
            raise InvalidRequest(f"Cannot use CONTAINS on non-collection column {name}")
        if self.form == "element":
            if isinstance(kind, ListType) and collection:
                raise InvalidRequest(
                    f"Indexes on list entries ({name}[index] = value) are not currently supported."
                )
            if not (isinstance(kind, MapType) and collection):
                raise InvalidRequest(f"Column {name} cannot be used as a map")
            if not column.multicell:
                raise InvalidRequest(
                    f"Map-entry equality predicates on frozen map column {name} are not supported"
                )
            if self.operator != "=":
                raise InvalidRequest("Only EQ relations are supported on map entries")
            assert relation.key is not None
            self.key = compile_term(relation.key, Receiver(f"key({name})", kind.key), scope)
            return Receiver(f"value({name})", kind.value)
        if isinstance(kind, UDTType) and column.multicell:
            raise InvalidRequest(
                f"Non-frozen UDT column '{name}' ({type_text(column.type)}) cannot be restricted by "
                f"any relation"
            )
        if self.operator == "CONTAINS KEY":
            assert isinstance(kind, MapType)
            return Receiver(f"key({name})", kind.key)
        if self.operator == "CONTAINS":
            element = kind.value if isinstance(kind, MapType) else kind.element
            return Receiver(f"value({name})", element)
        if column.multicell:
            raise InvalidRequest(
                f"Collection column '{name}' ({type_text(column.type)}) cannot be restricted by a "
                f"'{self.operator}' relation"
            )
        if self.is_slice and "duration" in type_text(column.type):
            if kind.name == "duration":
                raise InvalidRequest("Slice restrictions are not supported on duration columns")
            what = "collections" if collection else "tuples" if isinstance(kind, TupleType) else "UDTs"
            raise InvalidRequest(f"Slice restrictions are not supported on {what} containing durations")
        return Receiver(name, column.declared)

    # At run time.

    def values(self, execution: Execution) -> list[bytes]:
        """The encoded values.

        :raises InvalidRequest: one of them is null or unset.
        """
        if not self.whole:
            if self.form == "tuple":
                names = ", ".join(column.name for column in self.columns)
            else:
                names = self.column.name
            if not self.column.is_key and any(one.value(execution) is None for one in self.expressions):
                raise InvalidRequest(f"Unsupported null value for column {names}")
            return [need_value(one, execution, names) for one in self.expressions]
        data = self.expressions[0].value(execution)
        if data is None:
            raise InvalidRequest(f"Invalid null value in condition for column {self.column.name}")
        if isinstance(data, Singleton):
            raise InvalidRequest(f"Invalid unset value for column {self.column.name}")
        cells, _ = cut_cells(data, 4, int.from_bytes(data[:4], "big"))
        return [cell or b"" for cell in cells]

    def orders(self, execution: Execution) -> list[tuple[Any, ...]]:
        """What orders the values of its columns."""
        keys = [sort_key(column.type) for column in self.columns]
        values = self.values(execution)
        if self.form == "tuple":
            return [_tuple_order(value, keys) for value in values]
        return [(keys[0](value),) for value in values]

    def test(self, execution: Execution) -> RowTest | None:
        """What tells whether a row is meant; ``None`` where nothing is restricted after all."""
        if self.form == "token":
            return self._token_test(execution)
        if self.form == "tuple":
            return self._tuple_test(execution)
        if self.is_contains:
            return self._contains_test(execution)
        column, now = self.column, execution.now
        order = sort_key(column.type) if column.type.name != "duration" else bytes
        if self.is_slice and self.expressions[0].value(execution) is None and column.kind == CLUSTERING:
            # A slice of the clustering that begins or ends at null has no such bound.
            return None
        wanted = [order(value) for value in self.values(execution)]
        compare = _COMPARE["=" if self.operator == "IN" else self.operator]

        def test(partition: Partition, row: Row) -> bool:
            data = read_column(column, partition, row, now)
            if data is None:
                return False
            found = order(data)
            return any(compare(found, one) for one in wanted)

        return test

    def token_limit(self, execution: Execution) -> int:
        """The token with which others are compared."""
        return int.from_bytes(self.values(execution)[0], "big", signed=True)

    def compares(self, token: int, limit: int) -> bool:
        """Whether a token is on the side of a limit that is meant."""
        return _COMPARE[self.operator](token, limit)

    def _token_test(self, execution: Execution) -> RowTest:
        limit = self.token_limit(execution)
        if limit == LOWEST_TOKEN:
            # No partition has it: it stands for both ends of the ring.
            return lambda partition, row: True
        return lambda partition, row: self.compares(partition.order[0], limit)

    def _tuple_test(self, execution: Execution) -> RowTest:
        positions = [column.position for column in self.columns]
        keys = [sort_key(column.type) for column in self.columns]
        wanted = self.orders(execution)
        compare = _COMPARE["=" if self.operator == "IN" else self.operator]

        def test(partition: Partition, row: Row) -> bool:
            found = tuple(key(row.clustering[place]) for key, place in zip(keys, positions, strict=True))
            return any(compare(found[: len(one)], one) for one in wanted)

        return test

    def _contains_test(self, execution: Execution) -> RowTest:
        column, now = self.column, execution.now
        kind = unwrap(column.type)
        wanted = self.values(execution)[0]
        width = 2 if isinstance(kind, MapType) else 1
        first = 1 if isinstance(kind, MapType) and self.operator != "CONTAINS KEY" else 0
        entry = None if self.key is None else need_value(self.key, execution, column.name)

        def test(partition: Partition, row: Row) -> bool:
            data = read_column(column, partition, row, now)
            if data is None:
                return False
            cells, _ = cut_cells(data, 4, width * int.from_bytes(data[:4], "big"))
            if entry is not None:
                return (entry, wanted) in zip(cells[::2], cells[1::2], strict=True)
            return wanted in cells[first::width]

        return test


class _TupleOf(Expression):
    """Values of several columns as one tuple."""

    def __init__(self, parts: Sequence[Expression], columns: Sequence[ColumnDefinition]) -> None:
        self._parts = parts
        self._columns = columns

    def value(self, execution: Execution) -> bytes:
        return b"".join(
            write_bytes(need_value(part, execution, column.name))
            for part, column in zip(self._parts, self._columns, strict=True)
        )


def _tuple_order(data: bytes, keys: Sequence[Callable[[bytes], Any]]) -> tuple[Any, ...]:
    cells, _ = cut_cells(data, 0, len(keys), short=True)
    if None in cells:
        raise InvalidRequest("Invalid null value in condition for columns of a tuple")
    return tuple(key(cell or b"") for key, cell in zip(keys, cells, strict=False))
