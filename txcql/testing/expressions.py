"""Terms bound to the types that they are for: what gives a value when a statement runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

from txcql.errors import DecodeError, InvalidRequest
from txcql.testing import cqlstatements as cql
from txcql.testing.execution import Execution
from txcql.testing.literals import constant_bytes, takes_constant
from txcql.testing.nativefunctions import NativeFunction, find_function
from txcql.testing.refusals import unsupported
from txcql.testing.valuechecks import value_check
from txcql.wire.collectiontypes import FrozenType, ListType, MapType, SetType, VectorType, unwrap
from txcql.wire.cqltypes import CQLType
from txcql.wire.fieldtypes import TupleType, UDTType, quote_name
from txcql.wire.metadata import Column
from txcql.wire.primitives import INT, write_bytes
from txcql.wire.requestreader import RawValue
from txcql.wire.typeparser import parse_type
from txcql.wire.values import Singleton

__all__ = [
    "Expression",
    "Fixed",
    "Receiver",
    "Scope",
    "assignable",
    "compile_term",
    "need_value",
    "shown",
    "type_text",
]


class Receiver(NamedTuple):
    """What takes a value: its name and its type."""

    name: str
    type: CQLType


class Scope:
    """What a statement's terms are in.

    :ivar types: the user-defined types of its keyspace.
    :ivar parameters: what its bind markers are for, by their positions.
    """

    def __init__(
        self, keyspace: str, table: str, types: Mapping[str, CQLType], key_columns: Sequence[CQLType] = ()
    ) -> None:
        self.keyspace = keyspace
        self.table = table
        self.types = types
        self.key_columns = key_columns
        self.parameters: dict[int, Column] = {}

    def bind(self, marker: cql.Marker, receiver: Receiver) -> None:
        """Note what a marker is for."""
        name = marker.name or receiver.name
        self.parameters[marker.index] = Column(self.keyspace, self.table, name, receiver.type)

    def parse_type(self, text: str) -> CQLType:
        """A type of a text.

        :raises InvalidRequest: it is none.
        """
        try:
            return parse_type(text, self.types)
        except DecodeError:
            raise InvalidRequest(f"Unknown type {self.keyspace}.{text}") from None


class Expression:
    """Gives a value.

    :ivar marker: the position of the bind marker that it is, -1 if it is none.
    """

    marker = -1

    def value(self, execution: Execution) -> RawValue:
        """The encoded value; ``None`` for null, or ``UNSET``."""
        raise NotImplementedError


class Fixed(Expression):
    """Always the same value."""

    def __init__(self, data: bytes | None) -> None:
        self._data = data

    def value(self, execution: Execution) -> RawValue:
        return self._data


class _Bound(Expression):
    def __init__(self, marker: int, cqltype: CQLType) -> None:
        self.marker = marker
        self._check = value_check(cqltype)

    def value(self, execution: Execution) -> RawValue:
        value = execution.values[self.marker]
        if value is None or isinstance(value, Singleton):
            return value
        return self._check(value)


class _Made(Expression):
    """Made of parts."""

    def __init__(
        self, parts: Sequence[Expression], make: Callable[[list[bytes | None]], bytes | None]
    ) -> None:
        self._parts = parts
        self._make = make

    def value(self, execution: Execution) -> RawValue:
        values: list[bytes | None] = []
        for part in self._parts:
            value = part.value(execution)
            if isinstance(value, Singleton):
                raise InvalidRequest("Invalid unset value inside of another value")
            values.append(value)
        return self._make(values)


class _Call(Expression):
    def __init__(self, function: NativeFunction, arguments: Sequence[Expression]) -> None:
        self._function = function
        self._arguments = arguments

    def value(self, execution: Execution) -> RawValue:
        values: list[bytes | None] = []
        for argument in self._arguments:
            value = argument.value(execution)
            if isinstance(value, Singleton):
                raise InvalidRequest(
                    f"Invalid unset value for argument in call to function {self._function.name}"
                )
            values.append(value)
        return self._function.run(values, execution)


def compile_term(term: cql.Term, receiver: Receiver, scope: Scope) -> Expression:
    """Bind a term to what takes its value.

    :raises InvalidRequest: they do not go together.
    """
    name, cqltype = receiver
    kind = unwrap(cqltype)
    if isinstance(term, cql.Marker):
        scope.bind(term, receiver)
        return _Bound(term.index, cqltype)
    if isinstance(term, cql.Null):
        return Fixed(None)
    if isinstance(term, cql.Constant):
        if isinstance(kind, (ListType, SetType, MapType, TupleType, UDTType, VectorType)):
            raise InvalidRequest(
                f'Invalid {term.kind} constant ({term.text}) for "{name}" of type {type_text(cqltype)}'
            )
        return Fixed(value_check(cqltype)(constant_bytes(term, cqltype, name)))
    if isinstance(term, cql.TypeCast):
        return _cast(term, receiver, scope)
    if isinstance(term, cql.FunctionCall):
        return _call(term, receiver, scope)
    if isinstance(term, cql.ListLiteral):
        return _list(term, name, cqltype, scope)
    if isinstance(term, (cql.SetLiteral, cql.MapLiteral)):
        return _set_or_map(term, name, cqltype, scope)
    if isinstance(term, cql.FieldsLiteral):
        return _fields(term, name, cqltype, scope)
    return _tuple(term, name, cqltype, scope)


def _cast(term: cql.TypeCast, receiver: Receiver, scope: Scope) -> Expression:
    made = scope.parse_type(term.type)
    if not fits(made, receiver.type):
        raise InvalidRequest(
            f"Cannot assign value {shown(term)} to {receiver.name} of type {type_text(receiver.type)}"
        )
    return compile_term(term.term, Receiver(receiver.name, made), scope)


def _takes(term: cql.Term, scope: Scope, cqltype: CQLType) -> bool:
    return assignable(term, cqltype, scope)


def _call(term: cql.FunctionCall, receiver: Receiver, scope: Scope) -> Expression:
    tests = [partial(_takes, one, scope) for one in term.arguments]
    function = find_function(term.name, tests, receiver.type, True, scope.key_columns)
    if not fits(function.result, receiver.type):
        raise InvalidRequest(
            f"Type error: cannot assign result of function system.{term.name} (type {function.result.name}) "
            f"to {receiver.name} (type {type_text(receiver.type)})"
        )
    arguments = [
        compile_term(one, Receiver(f"arg{place}(system.{term.name})", kind), scope)
        for place, (one, kind) in enumerate(zip(term.arguments, function.arguments, strict=True))
    ]
    return _Call(function, arguments)


def _parts(
    terms: Sequence[cql.Term], kind: CQLType, name: str, what: str, part: str, scope: Scope
) -> list[Expression]:
    found = []
    for term in terms:
        if isinstance(term, cql.Marker) and what != "vector":
            raise InvalidRequest(
                f"Invalid {what} literal for {name}: bind variables are not supported inside "
                f"collection literals"
            )
        if isinstance(term, cql.Null):
            raise InvalidRequest("null is not supported inside collections")
        if not assignable(term, kind, scope):
            raise InvalidRequest(
                f"Invalid {what} literal for {name}: {part} {shown(term)} is not of type {type_text(kind)}"
            )
        found.append(compile_term(term, Receiver(f"{part}({name})", kind), scope))
    return found


def _list(term: cql.ListLiteral, name: str, cqltype: CQLType, scope: Scope) -> Expression:
    kind = unwrap(cqltype)
    if isinstance(kind, VectorType):
        if len(term.items) != kind.dimension:
            raise InvalidRequest(
                f"Invalid vector literal for {name} of type {kind.name}; expected {kind.dimension} elements, "
                f"but given {len(term.items)}"
            )
        parts = _parts(term.items, kind.element, name, "vector", "value", scope)
        vector = kind
        return _Made(parts, lambda cells: vector.encode([vector.element.decode(cell) for cell in cells]))
    if not isinstance(kind, ListType):
        raise InvalidRequest(
            f"Unexpected receiver type '{type_text(cqltype)}'; only list and vector are expected"
        )
    parts = _parts(term.items, kind.element, name, "list", "value", scope)
    return _Made(parts, _collector(cqltype, 1))


def _collector(cqltype: CQLType, width: int) -> Callable[[list[bytes | None]], bytes | None]:
    check = value_check(cqltype)

    def make(cells: list[bytes | None]) -> bytes | None:
        return check(INT.pack(len(cells) // width) + b"".join(map(write_bytes, cells)))

    return make


def _map_collector(cqltype: CQLType) -> Callable[[list[bytes | None]], bytes | None]:
    collect = _collector(cqltype, 2)

    def make(cells: list[bytes | None]) -> bytes | None:
        keys = cells[::2]
        if len(set(keys)) < len(keys):
            # Which of the values is kept, real nodes decide now so and now so.
            raise unsupported("a map literal with the same key twice")
        return collect(cells)

    return make


def _set_or_map(
    term: cql.SetLiteral | cql.MapLiteral, name: str, cqltype: CQLType, scope: Scope
) -> Expression:
    kind = unwrap(cqltype)
    if isinstance(term, cql.SetLiteral) and isinstance(kind, SetType):
        return _Made(_parts(term.items, kind.element, name, "set", "value", scope), _collector(cqltype, 1))
    if isinstance(kind, MapType) and not term.items:
        return _Made([], _collector(cqltype, 2))
    if isinstance(term, cql.MapLiteral) and isinstance(kind, MapType):
        parts = []
        for key, value in term.items:
            parts += _parts([key], kind.key, name, "map", "key", scope)
            parts += _parts([value], kind.value, name, "map", "value", scope)
        return _Made(parts, _map_collector(cqltype))
    word = "set" if isinstance(term, cql.SetLiteral) else "map"
    raise InvalidRequest(f"Invalid {word} literal for {name} of type {type_text(cqltype)}")


def _fields(term: cql.FieldsLiteral, name: str, cqltype: CQLType, scope: Scope) -> Expression:
    kind = unwrap(cqltype)
    if not isinstance(kind, UDTType):
        raise InvalidRequest(f"Invalid user type literal for {name} of type {type_text(cqltype)}")
    given = dict(term.items)
    for field in given:
        if field not in kind.field_names:
            raise InvalidRequest(f"Unknown field '{field}' in value of user defined type {kind.type_name}")
    parts = []
    for field, part in kind.fields():
        value = given.get(field, cql.Null())
        if not assignable(value, part, scope):
            raise InvalidRequest(
                f"Invalid user type literal for {name}: field {field} is not of type {type_text(part)}"
            )
        parts.append(compile_term(value, Receiver(f"{name}.{field}", part), scope))
    return _Made(parts, lambda cells: b"".join(map(write_bytes, cells)))


def _tuple(term: cql.TupleLiteral, name: str, cqltype: CQLType, scope: Scope) -> Expression:
    kind = unwrap(cqltype)
    if not isinstance(kind, TupleType):
        if len(term.items) == 1:
            return compile_term(term.items[0], Receiver(name, cqltype), scope)
        raise InvalidRequest(f"Invalid tuple type literal for {name} of type {type_text(cqltype)}")
    if len(term.items) > len(kind.types):
        raise InvalidRequest(
            f"Invalid tuple literal for {name}: too many elements. Type {type_text(cqltype)} expects "
            f"{len(kind.types)} but got {len(term.items)}"
        )
    parts = []
    for place, (item, part) in enumerate(zip(term.items, kind.types, strict=False)):
        if not assignable(item, part, scope):
            raise InvalidRequest(
                f"Invalid tuple literal for {name}: component {place} is not of type {type_text(part)}"
            )
        parts.append(compile_term(item, Receiver(f"{name}[{place}]", part), scope))
    return _Made(parts, lambda cells: b"".join(map(write_bytes, cells)))


def assignable(term: cql.Term, cqltype: CQLType, scope: Scope) -> bool:
    """Whether a type takes a term."""
    kind = unwrap(cqltype)
    if isinstance(term, (cql.Marker, cql.Null)):
        return True
    if isinstance(term, cql.Constant):
        return takes_constant(kind, term.kind)
    if isinstance(term, cql.TypeCast):
        return fits(scope.parse_type(term.type), cqltype)
    if isinstance(term, cql.FunctionCall):
        try:
            compile_term(term, Receiver("", cqltype), Scope("", "", scope.types, scope.key_columns))
        except InvalidRequest:
            return False
        return True
    if isinstance(term, cql.ListLiteral):
        if not isinstance(kind, (ListType, VectorType)):
            raise InvalidRequest(
                f"Unexpected receiver type '{type_text(cqltype)}'; only list and vector are expected"
            )
        return all(assignable(item, kind.element, scope) for item in term.items)
    if isinstance(term, cql.SetLiteral):
        if not term.items:
            return isinstance(kind, (SetType, MapType))
        return isinstance(kind, SetType) and all(assignable(item, kind.element, scope) for item in term.items)
    if isinstance(term, cql.MapLiteral):
        return isinstance(kind, MapType) and all(
            assignable(key, kind.key, scope) and assignable(value, kind.value, scope)
            for key, value in term.items
        )
    if isinstance(term, cql.FieldsLiteral):
        return isinstance(kind, UDTType)
    return isinstance(kind, TupleType) or len(term.items) == 1


_WIDER = {
    "blob": None,
    "text": ("ascii",),
    "varint": ("int", "bigint"),
    "uuid": ("timeuuid",),
    "bigint": ("timestamp",),
    "timestamp": ("bigint",),
}
"""Which types' values others take as they are; ``None`` is all of them."""


def fits(made: CQLType, wanted: CQLType) -> bool:
    """Whether values of a type are values of another."""
    one, other = unwrap(made), unwrap(wanted)
    if type_text(one, False) == type_text(other, False):
        return True
    wider = _WIDER.get(other.name, ())
    return wider is None or one.name in wider


def type_text(cqltype: CQLType, frozen: bool = True) -> str:
    """A type as the server writes it: tuples are frozen, whether that was written or not."""
    kind = unwrap(cqltype)
    is_frozen = isinstance(cqltype, FrozenType)
    if isinstance(kind, VectorType):
        return f"vector<{type_text(kind.element)}, {kind.dimension}>"
    if isinstance(kind, TupleType):
        inner = f"tuple<{', '.join(type_text(part) for part in kind.types)}>"
        is_frozen = True
    elif isinstance(kind, ListType):
        inner = f"list<{type_text(kind.element)}>"
    elif isinstance(kind, SetType):
        inner = f"set<{type_text(kind.element)}>"
    elif isinstance(kind, MapType):
        inner = f"map<{type_text(kind.key)}, {type_text(kind.value)}>"
    elif isinstance(kind, UDTType):
        inner = quote_name(kind.type_name)
    else:
        return str(kind.name)
    return f"frozen<{inner}>" if is_frozen and frozen else inner


def shown(term: cql.Term | None) -> str:
    """A term as the server writes it."""
    if term is None or isinstance(term, cql.Null):
        return "null"
    if isinstance(term, cql.Marker):
        return "?" if term.name is None else f":{term.name}"
    if isinstance(term, cql.Constant):
        return "'" + term.text.replace("'", "''") + "'" if term.kind == "STRING" else term.text
    if isinstance(term, cql.TypeCast):
        return f"({term.type}){shown(term.term)}"
    if isinstance(term, cql.FunctionCall):
        return f"{term.name}({', '.join(map(shown, term.arguments))})"
    if isinstance(term, cql.ListLiteral):
        return f"[{', '.join(map(shown, term.items))}]"
    if isinstance(term, cql.SetLiteral):
        return f"{{{', '.join(map(shown, term.items))}}}"
    if isinstance(term, cql.MapLiteral):
        return "{" + ", ".join(f"{shown(key)}: {shown(value)}" for key, value in term.items) + "}"
    if isinstance(term, cql.FieldsLiteral):
        return "{" + ", ".join(f"{name}: {shown(value)}" for name, value in term.items) + "}"
    return f"({', '.join(map(shown, term.items))})"


def need_value(expression: Expression, execution: Execution, name: str) -> bytes:
    """The value of an expression that may be neither null nor unset.

    :raises InvalidRequest: it is.
    """
    value = expression.value(execution)
    if value is None:
        raise InvalidRequest(f"Invalid null value in condition for column {name}")
    if isinstance(value, Singleton):
        raise InvalidRequest(f"Invalid unset value for column {name}")
    return value
