"""IF, bound to its table: conditions on the row as it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from txcql.errors import InvalidRequest
from txcql.testing import cqlstatements as cql
from txcql.testing.execution import Execution
from txcql.testing.expressions import Expression, Receiver, Scope, compile_term
from txcql.testing.ordering import sort_key
from txcql.testing.refusals import unsupported
from txcql.testing.relationtests import read_column
from txcql.testing.storedrows import Row
from txcql.testing.storedtables import Partition
from txcql.testing.tabledefinitions import ColumnDefinition, TableDefinition
from txcql.wire.collectiontypes import ListType, MapType, SetType, cut_cells, unwrap
from txcql.wire.cqltypes import CQLType
from txcql.wire.fieldtypes import UDTType
from txcql.wire.scalars import INT
from txcql.wire.values import Singleton

__all__ = ["BoundCondition"]

_NO_ELEMENTS = b"\0\0\0\0"
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "<": lambda one, other: bool(one < other),
    ">": lambda one, other: bool(other < one),
    "<=": lambda one, other: not other < one,
    ">=": lambda one, other: not one < other,
}


class BoundCondition:
    """One condition.

    :ivar column: the column that it is about.
    :raises InvalidRequest: the condition and the table do not go together.
    """

    def __init__(self, condition: cql.Condition, table: TableDefinition, scope: Scope) -> None:
        self.column: ColumnDefinition = table.column(condition.target.column)
        name = self.column.name
        if self.column.is_key:
            raise InvalidRequest(f"PRIMARY KEY column '{name}' cannot have IF conditions")
        if self.column.is_counter:
            raise InvalidRequest("Conditions on counters are not supported")
        self._operator = condition.operator
        self._key: Expression | None = None
        self._place: int | None = None
        self._type: CQLType = self.column.type
        value_name = name
        kind = unwrap(self.column.type)
        target = condition.target
        if target.key is not None:
            value_name = f"value({name})"
            self._key = self._bind_key(target.key, kind, scope)
        elif target.field is not None:
            if not isinstance(kind, UDTType) or target.field not in kind.field_names:
                raise InvalidRequest(f"Unknown field {target.field} for column {name}")
            self._place = list(kind.field_names).index(target.field)
            self._type = kind.types[self._place]
            value_name = f"{name}.{target.field}"
        elif self._operator.startswith("CONTAINS"):
            raise unsupported(f"the condition {self._operator}")
        if "duration" in self._type.name and self._operator in _COMPARE:
            raise InvalidRequest(f"Slice conditions ( {self._operator} ) are not supported on durations")
        self._whole = condition.whole
        self._given_null = isinstance(condition.terms[0], cql.Null) if condition.terms else False
        receiver = Receiver(value_name, self._type)
        if condition.whole:
            receiver = Receiver(f"in({value_name})", ListType(self._type))
        self._expressions = [compile_term(term, receiver, scope) for term in condition.terms]

    def _bind_key(self, key: cql.Term, kind: CQLType, scope: Scope) -> Expression:
        name = self.column.name
        if isinstance(kind, ListType):
            self._type = kind.element
            return compile_term(key, Receiver(f"idx({name})", INT), scope)
        if isinstance(kind, MapType):
            self._type = kind.value
            return compile_term(key, Receiver(f"key({name})", kind.key), scope)
        if isinstance(kind, SetType):
            raise InvalidRequest(f"Invalid element access syntax for set column {name}")
        raise InvalidRequest(f"Invalid element access syntax for non-collection column {name}")

    def holds(self, partition: Partition, row: Row | None, execution: Execution) -> bool:
        """Whether it is met.

        :raises InvalidRequest: one of its values is wrong.
        """
        found = self._found(partition, row, execution)
        values = self._values(execution)
        if self._operator == "IN":
            return any(self._equal(found, value) for value in values)
        value = values[0]
        if self._operator == "=":
            return self._equal(found, value)
        if self._operator == "!=":
            return not self._equal(found, value)
        if value is None:
            what = "null"
            if not self._is_null(execution):
                what = f"an empty {self._type.name.partition('<')[0]}"
            raise InvalidRequest(f'Invalid comparison with {what} for operator "{self._operator}"')
        order = sort_key(self._type)
        return found is not None and _COMPARE[self._operator](order(found), order(value))

    def _is_null(self, execution: Execution) -> bool:
        """Whether the value is null, and no collection that has nothing in it, which becomes null too."""
        marker = self._expressions[0].marker
        return self._given_null if marker < 0 else execution.values[marker] is None

    @property
    def _is_whole_collection(self) -> bool:
        return self.column.multicell and self._key is None and self._place is None

    def _equal(self, found: bytes | None, value: bytes | None) -> bool:
        if self._is_whole_collection and value == _NO_ELEMENTS:
            # A collection that has nothing in it is null.
            value = None
        if found is None or value is None:
            return found is value
        if "duration" in self._type.name:
            return found == value
        order = sort_key(self._type)
        return bool(order(found) == order(value))

    def _values(self, execution: Execution) -> list[bytes | None]:
        values: list[bytes | None] = []
        for expression in self._expressions:
            value = expression.value(execution)
            if isinstance(value, Singleton):
                raise InvalidRequest("Invalid 'unset' value in condition")
            values.append(value)
        if not self._whole:
            return values
        data = values[0]
        if data is None:
            raise InvalidRequest("Invalid null list in IN condition")
        return cut_cells(data, 4, int.from_bytes(data[:4], "big"))[0]

    def _found(self, partition: Partition, row: Row | None, execution: Execution) -> bytes | None:
        data = read_column(self.column, partition, row, execution.now)
        kind = unwrap(self.column.type)
        if self._place is not None:
            assert isinstance(kind, UDTType)
            cells = [] if data is None else cut_cells(data, 0, len(kind.types), short=True)[0]
            return cells[self._place] if self._place < len(cells) else None
        if self._key is None:
            return data
        key = self._key.value(execution)
        if not isinstance(key, bytes):
            what = "map" if isinstance(kind, MapType) else "list"
            raise InvalidRequest(f"Invalid null value for {what} element access")
        if isinstance(kind, ListType):
            index = int.from_bytes(key, "big", signed=True)
            if index < 0:
                raise InvalidRequest(f"Invalid negative list index {index}")
            cells = [] if data is None else cut_cells(data, 4, int.from_bytes(data[:4], "big"))[0]
            return cells[index] if index < len(cells) else None
        cells = [] if data is None else cut_cells(data, 4, 2 * int.from_bytes(data[:4], "big"))[0]
        pairs = zip(cells[::2], cells[1::2], strict=True)
        return next((value for path, value in pairs if path == key), None)
