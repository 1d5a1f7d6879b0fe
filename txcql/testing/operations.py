"""The parts of INSERT, UPDATE and DELETE that write cells, bound to their columns."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import NamedTuple

from txcql.errors import InvalidRequest
from txcql.testing import cqlstatements as cql
from txcql.testing.execution import Execution
from txcql.testing.expressions import Expression, Receiver, Scope, assignable, compile_term, shown
from txcql.testing.refusals import unsupported
from txcql.testing.storedrows import Cell, Row, element_order, split
from txcql.testing.tabledefinitions import ColumnDefinition, TableDefinition
from txcql.wire.collectiontypes import ListType, MapType, SetType, unwrap
from txcql.wire.fieldtypes import TupleType, UDTType
from txcql.wire.scalars import INT
from txcql.wire.values import Singleton

__all__ = ["CellOperation", "Stamp", "bind_deletion", "bind_operation", "set_operation", "write_value"]

_places = count(1)
"""The places of list elements: each that is appended comes after all that were written before."""


class Stamp(NamedTuple):
    """When something is written, and when it expires."""

    timestamp: int
    ttl: int = 0
    expires: int | None = None

    def cell(self, value: bytes | None) -> Cell:
        """A cell of this moment."""
        return (
            Cell(value, self.timestamp)
            if value is None
            else Cell(value, self.timestamp, self.ttl, self.expires)
        )


Apply = Callable[[Row, Stamp], None]


class CellOperation:
    """Writes to one column of a row.

    :ivar column: the column.
    """

    def __init__(self, column: ColumnDefinition) -> None:
        self.column = column

    @property
    def reads(self) -> bool:
        """Whether what it writes depends on what is there."""
        return False

    def prepare(self, execution: Execution, row: Row | None) -> Apply | None:
        """Check the values.

        :param row: as it is, ``None`` if there is none.
        :returns: what writes them; ``None`` where they are unset.
        :raises InvalidRequest: one of them is wrong.
        """
        raise NotImplementedError


class _Set(CellOperation):
    """``c = value``."""

    def __init__(self, column: ColumnDefinition, expression: Expression) -> None:
        super().__init__(column)
        self._expression = expression

    def prepare(self, execution: Execution, row: Row | None) -> Apply | None:
        value = self._expression.value(execution)
        if isinstance(value, Singleton):
            return None
        column = self.column
        return lambda row, stamp: write_value(column, value, row, stamp)


def write_value(column: ColumnDefinition, value: bytes | None, row: Row, stamp: Stamp) -> None:
    """Write a whole value to a column of a row."""
    if not column.multicell:
        row.write(column.name, stamp.cell(value))
        return
    row.delete_elements(column.name, stamp.timestamp - 1)
    if value is not None:
        _add(column, value, row, stamp)


def _add(column: ColumnDefinition, value: bytes, row: Row, stamp: Stamp) -> None:
    is_list = isinstance(unwrap(column.type), ListType)
    for path, data in split(column, value):
        order = next(_places) if is_list else element_order(column, path)
        row.write_element(column.name, order, path, stamp.cell(data))


class _Add(CellOperation):
    """``c = c + value``, of a collection."""

    def __init__(self, column: ColumnDefinition, expression: Expression) -> None:
        super().__init__(column)
        self._expression = expression

    def prepare(self, execution: Execution, row: Row | None) -> Apply | None:
        value = self._expression.value(execution)
        if not isinstance(value, bytes):
            return None
        return lambda row, stamp: _add(self.column, value, row, stamp)


class _Prepend(_Add):
    """``l = value + l``."""

    def prepare(self, execution: Execution, row: Row | None) -> Apply | None:
        value = self._expression.value(execution)
        if not isinstance(value, bytes):
            return None
        elements = list(split(self.column, value))

        def apply(row: Row, stamp: Stamp) -> None:
            for path, data in reversed(elements):
                row.write_element(self.column.name, -next(_places), path, stamp.cell(data))

        return apply


class _Discard(_Add):
    """``c = c - value``: the keys of a map, and the values of a set or a list."""

    @property
    def reads(self) -> bool:
        return isinstance(unwrap(self.column.type), ListType)

    def prepare(self, execution: Execution, row: Row | None) -> Apply | None:
        value = self._expression.value(execution)
        if not isinstance(value, bytes):
            return None
        column = self.column
        kind = unwrap(column.type)
        if isinstance(kind, ListType):
            gone = {data for _, data in split(column, value)}
            found = (
                []
                if row is None or column.name not in row.elements
                else row.elements[column.name].live(execution.now)
            )
            orders = [(order, path) for order, path, cell in found if cell.value in gone]
        else:
            keys = ColumnDefinition(column.name, SetType(kind.key)) if isinstance(kind, MapType) else column
            orders = [(element_order(column, path), path) for path, _ in split(keys, value)]

        def apply(row: Row, stamp: Stamp) -> None:
            for order, path in orders:
                row.write_element(column.name, order, path, stamp.cell(None))

        return apply


class _Count(_Add):
    """``n = n + value``, of a counter."""

    def __init__(self, column: ColumnDefinition, expression: Expression, sign: int) -> None:
        super().__init__(column, expression)
        self._sign = sign

    def prepare(self, execution: Execution, row: Row | None) -> Apply | None:
        value = self._expression.value(execution)
        if value is None:
            raise InvalidRequest("Invalid null value for counter increment")
        if isinstance(value, Singleton):
            return None
        amount = self._sign * int.from_bytes(value, "big", signed=True)
        return lambda row, stamp: row.add(self.column.name, amount, stamp.timestamp)


class _SetElement(CellOperation):
    """``m[key] = value``; of a list, the element at an index."""

    def __init__(self, column: ColumnDefinition, key: Expression, expression: Expression | None) -> None:
        super().__init__(column)
        self._key = key
        self._expression = expression

    @property
    def reads(self) -> bool:
        return isinstance(unwrap(self.column.type), ListType)

    def prepare(self, execution: Execution, row: Row | None) -> Apply | None:
        column = self.column
        is_list = isinstance(unwrap(column.type), ListType)
        value = None if self._expression is None else self._expression.value(execution)
        key = self._key.value(execution)
        if isinstance(value, Singleton):
            return None
        if not isinstance(key, bytes):
            what = "unset" if isinstance(key, Singleton) else "null"
            if is_list:
                raise InvalidRequest(f"Invalid {what} value for list index")
            raise InvalidRequest(f"Invalid {'unset map key' if what == 'unset' else 'null map key'}")
        if not is_list:
            order, path = element_order(column, key), key
        else:
            order, path = self._at(int.from_bytes(key, "big", signed=True), execution, row)
        return lambda row, stamp: row.write_element(column.name, order, path, stamp.cell(value))

    def _at(self, index: int, execution: Execution, row: Row | None) -> tuple[int, bytes]:
        elements = None if row is None else row.elements.get(self.column.name)
        found = [] if elements is None else elements.live(execution.now)
        if not found:
            verb = "set" if self._expression is not None else "delete"
            raise InvalidRequest(
                f"Attempted to {verb} an element on a list which is null"
                if verb == "set"
                else "Attempted to delete an element from a list which is null"
            )
        if not 0 <= index < len(found):
            raise InvalidRequest(f"List index {index} out of bound, list has size {len(found)}")
        return found[index][0], found[index][1]


class _SetField(CellOperation):
    """``u.field = value``."""

    def __init__(self, column: ColumnDefinition, place: int, expression: Expression | None) -> None:
        super().__init__(column)
        self._place = place
        self._expression = expression

    def prepare(self, execution: Execution, row: Row | None) -> Apply | None:
        value = None if self._expression is None else self._expression.value(execution)
        if isinstance(value, Singleton):
            return None
        path = self._place.to_bytes(2, "big")
        return lambda row, stamp: row.write_element(self.column.name, self._place, path, stamp.cell(value))


class _Delete(CellOperation):
    """Deletes a column of a row."""

    def prepare(self, execution: Execution, row: Row | None) -> Apply:
        column = self.column
        if column.multicell:
            return lambda row, stamp: row.delete_elements(column.name, stamp.timestamp)
        return lambda row, stamp: row.write(column.name, stamp.cell(None))


def set_operation(column: ColumnDefinition, expression: Expression) -> CellOperation:
    """``column = value``, as INSERT writes it."""
    return _Set(column, expression)


def bind_operation(operation: cql.Operation, table: TableDefinition, scope: Scope) -> CellOperation:
    """Bind a part of a SET to its column.

    :raises InvalidRequest: they do not go together.
    """
    target, term = operation.target, operation.term
    column = table.column(target.column)
    if column.is_key:
        raise InvalidRequest(f"PRIMARY KEY part {column.name} found in SET part")
    if target.key is not None:
        return _bind_element(operation, column, scope)
    if target.field is not None:
        return _bind_field(operation, column, scope)
    if operation.operator == "=":
        if column.is_counter:
            raise InvalidRequest(
                f"Cannot set the value of counter column {column.name} (counters can only be "
                "incremented/decremented, not set)"
            )
        return _Set(column, compile_term(term, Receiver(column.name, column.type), scope))
    return _bind_change(operation, column, scope)


def _shown(operation: cql.Operation) -> str:
    target, term = operation.target, shown(operation.term)
    name = target.column
    if target.key is not None:
        return f"{name}[{shown(target.key)}] = {term}"
    if target.field is not None:
        return f"{name}.{target.field} = {term}"
    if operation.operator == "prepend":
        return f"{name} = {term} + {name}"
    return f"{name} = {name} {operation.operator} {term}"


def _bind_element(operation: cql.Operation, column: ColumnDefinition, scope: Scope) -> CellOperation:
    target, name = operation.target, column.name
    kind = unwrap(column.type)
    if operation.operator != "=":
        raise unsupported(f"the operation {operation.text}")
    if not isinstance(kind, (ListType, MapType, SetType)):
        raise InvalidRequest(f"Invalid operation ({_shown(operation)}) for non collection column {name}")
    if not column.multicell:
        raise InvalidRequest(f"Invalid operation ({_shown(operation)}) for frozen collection column {name}")
    if isinstance(kind, SetType):
        raise InvalidRequest(f"Invalid operation ({_shown(operation)}) for set column {name}")
    assert target.key is not None
    if isinstance(kind, ListType):
        key = compile_term(target.key, Receiver(f"idx({name})", INT), scope)
        value = compile_term(operation.term, Receiver(f"value({name})", kind.element), scope)
    else:
        key = compile_term(target.key, Receiver(f"key({name})", kind.key), scope)
        value = compile_term(operation.term, Receiver(f"value({name})", kind.value), scope)
    return _SetElement(column, key, value)


def _bind_field(operation: cql.Operation, column: ColumnDefinition, scope: Scope) -> CellOperation:
    field, name = operation.target.field, column.name
    kind = unwrap(column.type)
    if operation.operator != "=":
        raise unsupported(f"the operation {operation.text}")
    if not isinstance(kind, UDTType):
        raise InvalidRequest(f"Invalid operation ({_shown(operation)}) for non-UDT column {name}")
    if not column.multicell:
        raise InvalidRequest(f"Invalid operation ({_shown(operation)}) for frozen UDT column {name}")
    place = _field_place(kind, field or "", name)
    value = compile_term(operation.term, Receiver(f"{name}.{field}", kind.types[place]), scope)
    return _SetField(column, place, value)


def _field_place(kind: UDTType, field: str, name: str) -> int:
    if field not in kind.field_names:
        raise InvalidRequest(f"UDT column {name} does not have a field named {field}")
    return list(kind.field_names).index(field)


def _bind_change(operation: cql.Operation, column: ColumnDefinition, scope: Scope) -> CellOperation:
    """``c = c + value`` and the like."""
    operator, term, name = operation.operator, operation.term, column.name
    kind = unwrap(column.type)
    receiver = Receiver(name, column.type)
    if operator == "prepend":
        if not isinstance(kind, ListType):
            raise InvalidRequest(f"Invalid operation ({_shown(operation)}) for non list column {name}")
        if not column.multicell:
            raise InvalidRequest(f"Invalid operation ({_shown(operation)}) for frozen list column {name}")
        return _Prepend(column, compile_term(term, receiver, scope))
    if not isinstance(kind, (ListType, SetType, MapType)):
        if isinstance(kind, TupleType):
            raise InvalidRequest(f"Invalid operation ({_shown(operation)}) for tuple column {name}")
        if not column.is_counter:
            raise InvalidRequest(f"Invalid operation ({_shown(operation)}) for non counter column {name}")
        return _Count(column, compile_term(term, receiver, scope), 1 if operator == "+" else -1)
    if not column.multicell:
        raise InvalidRequest(f"Invalid operation ({_shown(operation)}) for frozen collection column {name}")
    if operator == "+":
        return _Add(column, compile_term(term, receiver, scope))
    if isinstance(kind, MapType):
        keys = SetType(kind.key)
        if not assignable(term, keys, scope):
            raise InvalidRequest(f"Value for a map substraction has to be a set, but was: '{shown(term)}'")
        receiver = Receiver(name, keys)
    return _Discard(column, compile_term(term, receiver, scope))


def bind_deletion(target: cql.Target, table: TableDefinition, scope: Scope) -> CellOperation:
    """Bind what a DELETE names to its column.

    :raises InvalidRequest: they do not go together.
    """
    column = table.column(target.column)
    name = column.name
    if column.is_key:
        raise InvalidRequest(f"Invalid identifier {name} for deletion (should not be a PRIMARY KEY part)")
    kind = unwrap(column.type)
    if target.key is not None:
        if not isinstance(kind, (ListType, SetType, MapType)):
            raise InvalidRequest(f"Invalid deletion operation for non collection column {name}")
        if not column.multicell:
            raise InvalidRequest(f"Invalid deletion operation for frozen collection column {name}")
        if isinstance(kind, ListType):
            receiver = Receiver(f"idx({name})", INT)
        elif isinstance(kind, SetType):
            receiver = Receiver(f"value({name})", kind.element)
        else:
            receiver = Receiver(f"key({name})", kind.key)
        return _SetElement(column, compile_term(target.key, receiver, scope), None)
    if target.field is not None:
        if not isinstance(kind, UDTType):
            raise InvalidRequest(f"Invalid field deletion operation for non-UDT column {name}")
        if not column.multicell:
            raise InvalidRequest(f"Frozen UDT column {name} does not support field deletions")
        return _SetField(column, _field_place(kind, target.field, name), None)
    return _Delete(column)
