"""The columns of a SELECT, bound to its table: what gives their values for each row, or for all rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from txcql.errors import CQLSyntaxError, InvalidRequest
from txcql.testing import cqlstatements as cql
from txcql.testing.aggregates import AGGREGATES, Aggregate, find_aggregate
from txcql.testing.casts import Cast, find_cast
from txcql.testing.execution import Execution
from txcql.testing.expressions import (
    Expression,
    Receiver,
    Scope,
    assignable,
    compile_term,
    fits,
    need_value,
    shown,
    type_text,
)
from txcql.testing.nativefunctions import NativeFunction, find_function
from txcql.testing.refusals import unsupported
from txcql.testing.relationtests import read_column
from txcql.testing.storedrows import Row
from txcql.testing.storedtables import Partition
from txcql.testing.tabledefinitions import ColumnDefinition, TableDefinition
from txcql.wire.collectiontypes import ListType, MapType, SetType, cut_cells, unwrap
from txcql.wire.cqltypes import CQLType
from txcql.wire.fieldtypes import UDTType
from txcql.wire.scalars import BIGINT, INT, SCALARS

__all__ = ["BoundSelector", "View", "bind_selector", "has_aggregate"]

_WRITE_TIMES = ("writetime", "maxwritetime", "ttl")


class View(NamedTuple):
    """A row as it is read.

    :ivar row: ``None`` where a partition has only static columns.
    """

    partition: Partition
    row: Row | None


class BoundSelector:
    """Gives the values of one column of a result.

    :ivar name: as the server names it.
    :ivar type: of its values.
    :ivar columns: the columns of the table that it reads.
    """

    def __init__(
        self,
        name: str,
        type: CQLType,
        columns: Sequence[ColumnDefinition] = (),
        parts: Sequence[BoundSelector] = (),
    ) -> None:
        self.name = name
        self.type = type
        self.parts = tuple(parts)
        self.columns: list[ColumnDefinition] = [*columns]
        for part in parts:
            self.columns += part.columns

    @property
    def is_aggregate(self) -> bool:
        """Whether it, or a part of it, is about all rows."""
        return any(part.is_aggregate for part in self.parts)

    def value(self, view: View, execution: Execution) -> bytes | None:
        """Its value in one row."""
        raise NotImplementedError

    def over(self, views: Sequence[View], execution: Execution) -> bytes | None:
        """Its value over all rows: what is no aggregate takes the first."""
        return self.value(views[0], execution) if views else None


class _ColumnSelector(BoundSelector):
    def __init__(self, column: ColumnDefinition) -> None:
        super().__init__(column.name, column.declared, [column])
        self.column = column

    def value(self, view: View, execution: Execution) -> bytes | None:
        return read_column(self.column, view.partition, view.row, execution.now)


class _FieldSelector(BoundSelector):
    def __init__(self, inner: BoundSelector, field: str) -> None:
        kind = unwrap(inner.type)
        if not isinstance(kind, UDTType):
            raise InvalidRequest(
                f"Invalid field selection: {inner.name} of type {type_text(inner.type)} is not a user type"
            )
        if field not in kind.field_names:
            raise InvalidRequest(f"{inner.name} of type {type_text(inner.type)} has no field {field}")
        self._place = list(kind.field_names).index(field)
        self._width = len(kind.types)
        super().__init__(f"{inner.name}.{field}", kind.types[self._place], parts=[inner])

    def _of(self, data: bytes | None) -> bytes | None:
        if data is None:
            return None
        cells, _ = cut_cells(data, 0, self._width, short=True)
        return cells[self._place] if self._place < len(cells) else None

    def value(self, view: View, execution: Execution) -> bytes | None:
        return self._of(self.parts[0].value(view, execution))

    def over(self, views: Sequence[View], execution: Execution) -> bytes | None:
        return self._of(self.parts[0].over(views, execution))


class _ElementSelector(BoundSelector):
    def __init__(self, inner: BoundSelector, selector: cql.Selector, scope: Scope) -> None:
        kind = unwrap(inner.type)
        if isinstance(kind, ListType):
            raise InvalidRequest(
                f"Element selection is only allowed on sets and maps, but {inner.name} is a list"
            )
        if not isinstance(kind, (SetType, MapType)):
            raise InvalidRequest(
                f"Invalid element selection: {inner.name} is of type {type_text(inner.type)} is not a "
                f"collection"
            )
        assert selector.term is not None
        key_type = kind.key if isinstance(kind, MapType) else kind.element
        self._key = compile_term(selector.term, Receiver(f"key({inner.name})", key_type), scope)
        self._width = 2 if isinstance(kind, MapType) else 1
        result = kind.value if isinstance(kind, MapType) else kind.element
        super().__init__(f"{inner.name}[{shown(selector.term)}]", result, parts=[inner])

    def value(self, view: View, execution: Execution) -> bytes | None:
        data = self.parts[0].value(view, execution)
        if data is None:
            return None
        wanted = need_value(self._key, execution, self.name)
        cells, _ = cut_cells(data, 4, self._width * int.from_bytes(data[:4], "big"))
        for at in range(0, len(cells), self._width):
            if cells[at] == wanted:
                return cells[at + self._width - 1]
        return None


class _TermSelector(BoundSelector):
    def __init__(self, name: str, cqltype: CQLType, expression: Expression) -> None:
        super().__init__(name, cqltype)
        self._expression = expression

    def value(self, view: View, execution: Execution) -> bytes | None:
        found = self._expression.value(execution)
        return found if isinstance(found, bytes) else None

    def over(self, views: Sequence[View], execution: Execution) -> bytes | None:
        found = self._expression.value(execution)
        return found if isinstance(found, bytes) else None


class _FunctionSelector(BoundSelector):
    def __init__(self, name: str, function: NativeFunction, parts: Sequence[BoundSelector]) -> None:
        shown_parts = ", ".join(part.name for part in parts)
        super().__init__(f"system.{name}({shown_parts})", function.result, parts=parts)
        self._function = function

    def value(self, view: View, execution: Execution) -> bytes | None:
        return self._function.run([part.value(view, execution) for part in self.parts], execution)

    def over(self, views: Sequence[View], execution: Execution) -> bytes | None:
        return self._function.run([part.over(views, execution) for part in self.parts], execution)


class _CastSelector(BoundSelector):
    def __init__(self, inner: BoundSelector, target: CQLType, cast: Cast) -> None:
        super().__init__(f"cast({inner.name} as {target.name})", target, parts=[inner])
        self._cast = cast

    def value(self, view: View, execution: Execution) -> bytes | None:
        data = self.parts[0].value(view, execution)
        return self._cast(data) if data else None

    def over(self, views: Sequence[View], execution: Execution) -> bytes | None:
        data = self.parts[0].over(views, execution)
        return self._cast(data) if data else None


class _AggregateSelector(BoundSelector):
    def __init__(self, name: str, part: BoundSelector, result: CQLType, aggregate: Aggregate) -> None:
        super().__init__(f"system.{name}({part.name})", result, parts=[part])
        self._aggregate = aggregate

    @property
    def is_aggregate(self) -> bool:
        return True

    def over(self, views: Sequence[View], execution: Execution) -> bytes | None:
        part = self.parts[0]
        return self._aggregate(part.value(view, execution) for view in views)


class _CountSelector(BoundSelector):
    @property
    def is_aggregate(self) -> bool:
        return True

    def over(self, views: Sequence[View], execution: Execution) -> bytes | None:
        return len(views).to_bytes(8, "big")


class _WriteTimeSelector(BoundSelector):
    def __init__(self, function: str, column: ColumnDefinition) -> None:
        if column.is_key:
            raise InvalidRequest(
                f"Cannot use selection function {function} on PRIMARY KEY part {column.name}"
            )
        if column.multicell:
            raise unsupported(f"{function} of a collection or a user-defined type that is not frozen")
        super().__init__(f"{function}({column.name})", INT if function == "ttl" else BIGINT, [column])
        self._column = column
        self._is_ttl = function == "ttl"

    def value(self, view: View, execution: Execution) -> bytes | None:
        row = view.partition.static if self._column.kind == "static" else view.row
        cell = None if row is None else row.cells.get(self._column.name)
        if cell is None or not cell.live(execution.now):
            return None
        if not self._is_ttl:
            return cell.timestamp.to_bytes(8, "big", signed=True)
        return None if cell.expires is None else (cell.expires - execution.now).to_bytes(4, "big")


def bind_selector(selector: cql.Selector, table: TableDefinition, scope: Scope) -> BoundSelector:
    """Bind a selector to its table.

    :raises InvalidRequest: they do not go together.
    """
    if selector.kind == "column":
        return _ColumnSelector(table.column(selector.name))
    if selector.kind == "count":
        return _CountSelector("count", BIGINT)
    if selector.kind == "field":
        return _FieldSelector(bind_selector(selector.parts[0], table, scope), selector.name)
    if selector.kind == "element":
        return _ElementSelector(bind_selector(selector.parts[0], table, scope), selector, scope)
    if selector.kind == "cast":
        inner = bind_selector(selector.parts[0], table, scope)
        target = _native_type(selector.name)
        if fits(inner.type, target) and fits(target, inner.type):
            return inner
        return _CastSelector(inner, target, find_cast(inner.type, target))
    if selector.kind == "term":
        return _bind_term(selector, scope)
    return _bind_call(selector, table, scope)


def _native_type(name: str) -> CQLType:
    """The target of a cast: the grammar knows no others.

    :raises CQLSyntaxError: it is none.
    """
    found = SCALARS.get({"varchar": "text"}.get(name.lower(), name.lower()))
    if found is None:
        raise CQLSyntaxError(f"no viable alternative at input '{name}'")
    return found


def _bind_term(selector: cql.Selector, scope: Scope) -> BoundSelector:
    term = selector.term
    if not isinstance(term, cql.TypeCast):
        if isinstance(term, cql.Marker):
            raise unsupported("a bind marker among the selected columns")
        raise InvalidRequest(
            f"Cannot infer type for term {shown(term)} in selection clause (try using a cast to force a type)"
        )
    cqltype = scope.parse_type(term.type)
    expression = compile_term(term.term, Receiver("[selection]", cqltype), scope)
    return _TermSelector(shown(term), cqltype, expression)


def _bind_call(selector: cql.Selector, table: TableDefinition, scope: Scope) -> BoundSelector:
    name = selector.name
    if name in _WRITE_TIMES:
        if len(selector.parts) != 1 or selector.parts[0].kind != "column":
            raise unsupported(f"{name} of something other than a column")
        return _WriteTimeSelector(name, table.column(selector.parts[0].name))
    if name in AGGREGATES and len(selector.parts) == 1 and selector.parts[0].kind != "term":
        part = bind_selector(selector.parts[0], table, scope)
        if part.is_aggregate:
            raise InvalidRequest("aggregate functions cannot be used as arguments of aggregate functions")
        return _AggregateSelector(name, part, *find_aggregate(name, part.type))
    if name in AGGREGATES:
        if len(selector.parts) == 1:
            raise unsupported(f"{name}() of a constant")
        raise InvalidRequest(f"Invalid number of arguments for function system.{name}(any)")
    parts: list[BoundSelector | cql.Term] = []
    for one in selector.parts:
        literal = one.kind == "term" and not isinstance(one.term, cql.TypeCast)
        assert one.term is not None or not literal
        parts.append(one.term if literal and one.term is not None else bind_selector(one, table, scope))

    def test(part: BoundSelector | cql.Term) -> Callable[[CQLType], bool]:
        if isinstance(part, BoundSelector):
            return lambda kind: fits(part.type, kind)
        return lambda kind: assignable(part, kind, scope)

    known = [part.type if isinstance(part, BoundSelector) else None for part in parts]
    function = find_function(
        name,
        [test(part) for part in parts],
        None,
        False,
        table.key_types,
        known,
    )
    bound = [
        part
        if isinstance(part, BoundSelector)
        else _TermSelector(
            shown(part), kind, compile_term(part, Receiver(f"arg(system.{name})", kind), scope)
        )
        for part, kind in zip(parts, function.arguments, strict=True)
    ]
    return _FunctionSelector(name, function, bound)


def has_aggregate(selectors: Sequence[BoundSelector]) -> bool:
    """Whether a SELECT gives one row for all."""
    return any(selector.is_aggregate for selector in selectors)
