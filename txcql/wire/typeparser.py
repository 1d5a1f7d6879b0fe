"""Three spellings of a type, two of them here: CQL notation and Java class names.

CQL notation is what ``CREATE TABLE`` and ``system_schema`` say; class names are
what the protocol sends for vectors and for types that its version has no id for.
The third spelling, the protocol's [option], is in :mod:`txcql.wire.typeoptions`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import NoReturn

from txcql.errors import DecodeError
from txcql.wire.collectiontypes import FrozenType, ListType, MapType, ReversedType, SetType, VectorType
from txcql.wire.cqltypes import MAX_DEPTH, Codec, CQLType
from txcql.wire.fieldtypes import TupleType, UDTType, quote_name
from txcql.wire.scalars import SCALARS, TEXT, TIMESTAMP, CustomType

__all__ = ["MARSHAL", "class_name", "parse_class_name", "parse_type"]

MARSHAL = "org.apache.cassandra.db.marshal."
"""The package of the server's own types."""

_CLASSES = {
    "AsciiType": "ascii",
    "BooleanType": "boolean",
    "ByteType": "tinyint",
    "BytesType": "blob",
    "CounterColumnType": "counter",
    "DecimalType": "decimal",
    "DoubleType": "double",
    "DurationType": "duration",
    "EmptyType": "empty",
    "FloatType": "float",
    "InetAddressType": "inet",
    "Int32Type": "int",
    "IntegerType": "varint",
    "LongType": "bigint",
    "ShortType": "smallint",
    "SimpleDateType": "date",
    "TimeType": "time",
    "TimeUUIDType": "timeuuid",
    "TimestampType": "timestamp",
    "UTF8Type": "text",
    "UUIDType": "uuid",
}
_CLASS_OF = {name: short for short, name in _CLASSES.items()}
_BY_CLASS: dict[str, CQLType] = {short: SCALARS[name] for short, name in _CLASSES.items()}
# Tables made before Cassandra 2.0 still have the old class of timestamps.
_BY_CLASS["DateType"] = TIMESTAMP
_BY_NAME: dict[str, CQLType] = {**SCALARS, "varchar": TEXT}

_ONE: dict[str, Callable[[Codec], CQLType]] = {"list": ListType, "set": SetType, "frozen": FrozenType}
_ONE_CLASS: dict[str, Callable[[Codec], CQLType]] = {
    "ListType": ListType,
    "SetType": SetType,
    "FrozenType": FrozenType,
    "ReversedType": ReversedType,
}

_TOKEN = re.compile(
    r"""\s*(?:(?P<word>[A-Za-z_]\w*)|(?P<number>\d+)|"(?P<quoted>(?:[^"]|"")+)"|'(?P<literal>(?:[^']|'')+)'"""
    r"""|(?P<mark>[<>,.])|(?P<end>\Z))""",
    re.ASCII,
)
_JAVA_NAME = re.compile(r"\s*([^\s(),:]+)\s*")


def parse_type(text: str, udts: Mapping[str, CQLType] | None = None) -> CQLType:
    """Read a type in CQL notation, such as ``map<text, frozen<list<int>>>``.

    :param udts: the user-defined types by their names, as the server has them; those
        of another keyspace as ``keyspace.name``.
    :raises DecodeError: if it is no type, or nested deeper than 64.
    """
    return _Notation(text, udts or {}).whole()


class _Notation:
    """One text in CQL notation, read from left to right."""

    def __init__(self, text: str, udts: Mapping[str, CQLType]) -> None:
        self.text = text
        self.udts = udts
        self.offset = 0
        self.kind = self.value = ""
        self.advance()

    def fail(self, expected: str) -> NoReturn:
        found = f'"{self.value}"' if self.kind != "end" else "its end"
        raise DecodeError(f"{self.text!r} is no CQL type: expected {expected} instead of {found}")

    def advance(self) -> None:
        """Go on to the next token."""
        match = _TOKEN.match(self.text, self.offset)
        if match is None:
            self.kind, self.value = "unknown", self.text[self.offset :].strip()[:1]
            return
        self.kind = match.lastgroup or ""
        self.value = match[self.kind]
        self.offset = match.end()

    def take(self, mark: str) -> bool:
        """Take a mark if it is the next token."""
        if self.kind != "mark" or self.value != mark:
            return False
        self.advance()
        return True

    def need(self, mark: str) -> None:
        if not self.take(mark):
            self.fail(f'"{mark}"')

    def whole(self) -> CQLType:
        found = self.type(1)
        if self.kind != "end":
            self.fail("its end")
        return found

    def type(self, depth: int) -> CQLType:
        if depth > MAX_DEPTH:
            raise DecodeError(f"a type is nested deeper than {MAX_DEPTH}")
        kind, value = self.kind, self.value
        if kind not in ("word", "quoted", "literal"):
            self.fail("a type")
        self.advance()
        if kind == "literal":
            return parse_class_name(value.replace("''", "'"), depth)
        name = value.replace('""', '"') if kind == "quoted" else value.lower()
        if self.take("."):
            return self.qualified(name)
        if kind == "quoted":
            return self.udt(name)
        if self.take("<"):
            found = self.parameters(name, depth + 1)
            self.need(">")
            return found
        return _BY_NAME.get(name) or self.udt(name)

    def parameters(self, name: str, depth: int) -> CQLType:
        if name in _ONE:
            return _ONE[name](self.type(depth))
        if name == "map":
            key = self.type(depth)
            self.need(",")
            return MapType(key, self.type(depth))
        if name == "tuple":
            types = [self.type(depth)]
            while self.take(","):
                types.append(self.type(depth))
            return TupleType(types)
        if name == "vector":
            element = self.type(depth)
            self.need(",")
            if self.kind != "number":
                self.fail("the number of elements")
            dimension = self.value
            self.advance()
            return _vector(element, dimension, self.text)
        raise DecodeError(f'{self.text!r} is no CQL type: "{name}" has no parameters')

    def qualified(self, keyspace: str) -> CQLType:
        if self.kind not in ("word", "quoted"):
            self.fail("the name of a type")
        name = self.value.replace('""', '"') if self.kind == "quoted" else self.value.lower()
        self.advance()
        found = self.udts.get(f"{keyspace}.{name}")
        return self.udt(name) if found is None else found

    def udt(self, name: str) -> CQLType:
        try:
            return self.udts[name]
        except KeyError:
            raise DecodeError(
                f"{self.text!r} is no CQL type: {quote_name(name)} is neither one of CQL's nor a known UDT"
            ) from None


def _vector(element: Codec, dimension: str, text: str) -> CQLType:
    # 2**31-1 has ten digits, and Python refuses to read a number of thousands.
    number = int(dimension) if dimension.isascii() and dimension.isdigit() and len(dimension) <= 10 else 0
    try:
        return VectorType(element, number)
    except ValueError:
        raise DecodeError(f"{text!r} is no type: {dimension!r} is no number of elements") from None


def parse_class_name(text: str, depth: int = 1) -> CQLType:
    """Read a Java class name; one that is not the server's own is a custom type.

    :param depth: how deep it is nested in another type.
    :raises DecodeError: if its parameters make no sense, or it is nested deeper than 64.
    """
    found, offset = _class(text, 0, depth)
    if text[offset:].strip():
        raise DecodeError(f"{text!r} is no class name: expected its end at {offset}")
    return found


def _java_name(text: str, offset: int) -> tuple[str, int]:
    match = _JAVA_NAME.match(text, offset)
    if match is None:
        raise DecodeError(f"{text!r} is no class name: expected a name at {offset}")
    return match[1], match.end()


def _java_mark(text: str, offset: int, mark: str) -> int:
    if text[offset : offset + 1] != mark:
        raise DecodeError(f'{text!r} is no class name: expected "{mark}" at {offset}')
    return offset + 1


def _class(text: str, start: int, depth: int) -> tuple[CQLType, int]:
    """Read one class name and what is in its parentheses; give it and the offset behind it."""
    if depth > MAX_DEPTH:
        raise DecodeError(f"a type is nested deeper than {MAX_DEPTH}")
    name, offset = _java_name(text, start)
    short = name.removeprefix(MARSHAL)
    if text[offset : offset + 1] != "(":
        return _BY_CLASS.get(short) or CustomType(name), offset
    if short == "UserType":
        found, offset = _user_class(text, offset + 1, depth + 1)
    elif short == "VectorType":
        element, offset = _class(text, offset + 1, depth + 1)
        dimension, offset = _java_name(text, _java_mark(text, offset, ","))
        found = _vector(element, dimension, text)
    elif short in _ONE_CLASS:
        element, offset = _class(text, offset + 1, depth + 1)
        found = _ONE_CLASS[short](element)
    elif short in ("MapType", "TupleType"):
        types, offset = _classes(text, offset + 1, depth + 1)
        if short == "MapType" and len(types) != 2:
            raise DecodeError(f"{text!r} is no class name: MapType has 2 parameters, not {len(types)}")
        found = MapType(*types) if short == "MapType" else TupleType(types)
    else:
        offset = _closing(text, offset)
        return CustomType(text[start:offset].strip()), _blank(text, offset)
    return found, _blank(text, _java_mark(text, offset, ")"))


def _classes(text: str, offset: int, depth: int) -> tuple[list[CQLType], int]:
    first, offset = _class(text, offset, depth)
    types = [first]
    while text[offset : offset + 1] == ",":
        following, offset = _class(text, offset + 1, depth)
        types.append(following)
    return types, offset


def _user_class(text: str, offset: int, depth: int) -> tuple[CQLType, int]:
    """Read ``keyspace,hexname,hexfield:Type,…``: names are the hex of their UTF-8."""
    keyspace, offset = _java_name(text, offset)
    name, offset = _java_name(text, _java_mark(text, offset, ","))
    fields: list[tuple[str, CQLType]] = []
    while text[offset : offset + 1] == ",":
        field, offset = _java_name(text, offset + 1)
        found, offset = _class(text, _java_mark(text, offset, ":"), depth)
        fields.append((_from_hex(field), found))
    return UDTType(keyspace, _from_hex(name), fields), offset


def _from_hex(text: str) -> str:
    try:
        return bytes.fromhex(text).decode()
    except ValueError:
        raise DecodeError(f"{text!r} is no name of a UDT in hexadecimal") from None


def _closing(text: str, offset: int) -> int:
    """Find the end of the parentheses that open here."""
    open_ = 0
    for place in range(offset, len(text)):
        open_ += (text[place] == "(") - (text[place] == ")")
        if not open_:
            return place + 1
    raise DecodeError(f'{text!r} is no class name: expected ")" at its end')


def _blank(text: str, offset: int) -> int:
    while text[offset : offset + 1].isspace():
        offset += 1
    return offset


def class_name(codec: Codec) -> str:
    """Write a type as the server's Java class name; the reverse of :func:`parse_class_name`.

    :raises ValueError: if the server has no class for it.
    """
    if isinstance(codec, CustomType):
        return codec.class_name
    if isinstance(codec, VectorType):
        return f"{MARSHAL}VectorType({class_name(codec.element)} , {codec.dimension})"
    if isinstance(codec, (ListType, SetType)):
        return _with(type(codec).__name__, [codec.element])
    if isinstance(codec, (FrozenType, ReversedType)):
        return _with(type(codec).__name__, [codec.inner])
    if isinstance(codec, MapType):
        return _with("MapType", [codec.key, codec.value])
    if isinstance(codec, TupleType):
        return _with("TupleType", codec.types)
    if isinstance(codec, UDTType):
        fields = zip(codec.field_names, codec.types, strict=True)
        parts = [codec.keyspace, codec.type_name.encode().hex()]
        parts += [f"{name.encode().hex()}:{class_name(field)}" for name, field in fields]
        return f"{MARSHAL}UserType({','.join(parts)})"
    short = _CLASS_OF.get(codec.name)
    if short is None:
        raise ValueError(f"{codec.name} is no class of the server")
    return MARSHAL + short


def _with(short: str, types: Sequence[Codec]) -> str:
    return f"{MARSHAL}{short}({','.join(map(class_name, types))})"
