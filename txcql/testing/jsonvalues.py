"""Values as JSON, in Cassandra's way of writing and reading them."""

from __future__ import annotations

import json
import math
import struct
import uuid
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any

from txcql.errors import EncodeError, InvalidRequest
from txcql.testing.cqlstatements import Constant
from txcql.testing.literals import constant_bytes
from txcql.testing.refusals import unsupported
from txcql.testing.valuechecks import value_check
from txcql.wire.collectiontypes import ListType, MapType, SetType, VectorType, cut_cells, unwrap
from txcql.wire.cqltypes import CQLType
from txcql.wire.fieldtypes import TupleType, UDTType
from txcql.wire.primitives import INT, write_bytes
from txcql.wire.values import Date, Time

__all__ = ["from_json_object", "from_json_text", "java_number", "plain_text", "read_json", "to_json_text"]


def java_number(value: float, size: int = 8) -> str:
    """A number with a fraction as Java writes it.

    :param size: 4 for a float, 8 for a double.
    """
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    digits = repr(value) if size == 8 else _shortest_float(value)
    sign, numbers, exponent = Decimal(digits).as_tuple()
    assert isinstance(exponent, int)
    text = "".join(map(str, numbers)).rstrip("0") or "0"
    if text == "0":
        return "-0.0" if math.copysign(1, value) < 0 else "0.0"
    point = len(numbers) + exponent
    minus = "-" if sign else ""
    if -3 < point <= 7:
        if point <= 0:
            return f"{minus}0.{'0' * -point}{text}"
        whole, rest = text[:point].ljust(point, "0"), text[point:] or "0"
        return f"{minus}{whole}.{rest}"
    return f"{minus}{text[0]}.{text[1:] or '0'}E{point - 1}"


def _shortest_float(value: float) -> str:
    for precision in range(1, 10):
        text = f"{value:.{precision}g}"
        if struct.pack(">f", float(text)) == struct.pack(">f", value):
            return text
    return repr(value)


def plain_text(cqltype: CQLType, data: bytes) -> str:
    """A value as text, without quotes, as casts to text and map keys have it.

    :raises InvalidRequest: a type that the fake does not know to write.
    """
    kind = unwrap(cqltype)
    value = kind.decode(data)
    if kind.name in ("double", "float"):
        return java_number(value, 4 if kind.name == "float" else 8)
    if kind.name == "decimal":
        return str(value)
    if kind.name == "boolean":
        return "true" if value else "false"
    if kind.name == "blob":
        return "0x" + data.hex()
    if kind.name == "timestamp":
        if not isinstance(value, datetime):
            raise unsupported("a timestamp outside the years 1 to 9999, as text,")
        return value.strftime("%Y-%m-%d %H:%M:%S.") + f"{value.microsecond // 1000:03d}Z"
    if kind.name == "time":
        nanoseconds = value.nanoseconds if isinstance(value, Time) else Time.from_time(value).nanoseconds
        seconds, rest = divmod(nanoseconds, 1_000_000_000)
        return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}.{rest:09d}"
    if kind.name == "date" and isinstance(value, Date):
        raise unsupported("a date outside the years 1 to 9999, as text,")
    return str(value)


def to_json_text(cqltype: CQLType, data: bytes | None) -> str:
    """A value as JSON."""
    kind = unwrap(cqltype)
    if data is None:
        return "null"
    if isinstance(kind, (ListType, SetType)):
        cells, _ = cut_cells(data, 4, int.from_bytes(data[:4], "big"))
        return f"[{', '.join(to_json_text(kind.element, cell) for cell in cells)}]"
    if isinstance(kind, MapType):
        cells, _ = cut_cells(data, 4, 2 * int.from_bytes(data[:4], "big"))
        pairs = zip(cells[::2], cells[1::2], strict=True)
        return (
            "{"
            + ", ".join(f"{_key(kind.key, key)}: {to_json_text(kind.value, value)}" for key, value in pairs)
            + "}"
        )
    if isinstance(kind, VectorType):
        parts = [kind.element.encode(part) for part in kind.decode(data)]
        return f"[{', '.join(to_json_text(kind.element, part) for part in parts)}]"
    if isinstance(kind, TupleType):
        cells, _ = cut_cells(data, 0, len(kind.types), short=True)
        return f"[{', '.join(map(to_json_text, kind.types, cells))}]"
    if isinstance(kind, UDTType):
        cells, _ = cut_cells(data, 0, len(kind.types), short=True)
        cells += [None] * (len(kind.types) - len(cells))
        fields = zip(kind.fields(), cells, strict=True)
        return (
            "{"
            + ", ".join(f"{json_name(name)}: {to_json_text(part, cell)}" for (name, part), cell in fields)
            + "}"
        )
    if not data and kind.name not in ("text", "ascii", "blob"):
        return '""'
    if kind.name in _BARE:
        text = plain_text(kind, data)
        return "null" if text in ("NaN", "Infinity", "-Infinity") else text
    return _string(plain_text(kind, data))


def _string(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def json_name(name: str) -> str:
    """The name of a column as a key of JSON: in quotes of its own, if it is not all in lower case."""
    return _string(name if name == name.lower() else f'"{name}"')


def _key(cqltype: CQLType, data: bytes | None) -> str:
    text = to_json_text(cqltype, data)
    return text if text.startswith('"') else _string(text)


_BARE = frozenset(
    ("bigint", "boolean", "counter", "decimal", "double", "float", "int", "smallint", "tinyint", "varint")
)


def read_json(text: str) -> Any:
    """The objects of a JSON text; numbers with a fraction are decimals."""
    return json.loads(text, parse_float=Decimal, strict=False)


def from_json_text(cqltype: CQLType, text: str) -> bytes | None:
    """The encoded value of a JSON text.

    :raises InvalidRequest: it is none of the type's.
    """
    try:
        found = read_json(text)
    except ValueError:
        raise InvalidRequest(f"Could not decode JSON string '{text}'") from None
    return from_json_object(cqltype, found)


def from_json_object(cqltype: CQLType, value: Any) -> bytes | None:
    """The encoded value of an object of JSON.

    :raises InvalidRequest: it is none of the type's.
    """
    if value is None:
        return None
    kind = unwrap(cqltype)
    check = value_check(cqltype)
    if isinstance(kind, (ListType, SetType)):
        cells = [_inner(kind.element, item) for item in _of(list, value, "list")]
        return check(INT.pack(len(cells)) + b"".join(map(write_bytes, cells)))
    if isinstance(kind, MapType):
        pairs = [
            (_map_key(kind.key, key), _inner(kind.value, item))
            for key, item in _of(dict, value, "map").items()
        ]
        return check(INT.pack(len(pairs)) + b"".join(write_bytes(cell) for pair in pairs for cell in pair))
    if isinstance(kind, VectorType):
        items = [_inner(kind.element, item) for item in _of(list, value, "list")]
        try:
            return kind.encode([kind.element.decode(item) for item in items])
        except EncodeError as error:
            raise InvalidRequest(str(error)) from None
    if isinstance(kind, TupleType):
        parts = _of(list, value, "list")
        if len(parts) > len(kind.types):
            raise InvalidRequest(f"Tuple contains extra items (expected {len(kind.types)}): {value}")
        return b"".join(
            write_bytes(from_json_object(part, item)) for part, item in zip(kind.types, parts, strict=False)
        )
    if isinstance(kind, UDTType):
        given = {_column(name): item for name, item in _of(dict, value, "map").items()}
        for name in given:
            if name not in kind.field_names:
                raise InvalidRequest(
                    f"Unknown fields in value of user defined type {kind.type_name}: [{name}]"
                )
        return b"".join(write_bytes(from_json_object(part, given.get(name))) for name, part in kind.fields())
    return check(_scalar(kind, value))


def _of(wanted: type, value: Any, word: str) -> Any:
    if isinstance(value, str):
        try:
            value = read_json(value)
        except ValueError:
            raise InvalidRequest(f"Could not decode JSON string as a {word}: {value}") from None
    if not isinstance(value, wanted):
        raise InvalidRequest(f"Expected a {word}, but got a {_java_class(value)}: {value}")
    return value


def _column(name: str) -> str:
    return name[1:-1] if name.startswith('"') and name.endswith('"') else name.lower()


def _inner(cqltype: CQLType, value: Any) -> bytes | None:
    if value is None:
        raise InvalidRequest("Invalid null element in a collection")
    return from_json_object(cqltype, value)


def _map_key(cqltype: CQLType, key: str) -> bytes | None:
    return from_json_object(cqltype, key)


def _java_class(value: Any) -> str:
    for found, name in ((bool, "Boolean"), (int, "Integer"), (Decimal, "Double"), (str, "String")):
        if isinstance(value, found):
            return name
    return "ArrayList" if isinstance(value, list) else "LinkedHashMap"


def _scalar(kind: CQLType, value: Any) -> bytes:
    """A scalar, by the reader of the constant that it looks like."""
    if isinstance(value, str):
        constant = Constant(_STRINGS.get(kind.name, "STRING"), value)
        if kind.name in _PATTERNS and not _PATTERNS[kind.name](value):
            raise InvalidRequest(
                _UNREADABLE.get(kind.name, "Unable to make {} from '{}'").format(_WORDS[kind.name], value)
            )
        return constant_bytes(constant, kind, "")
    if isinstance(value, bool):
        if kind.name != "boolean":
            raise InvalidRequest(f"Expected a {kind.name} value, but got a Boolean: {str(value).lower()}")
        return constant_bytes(Constant("BOOLEAN", str(value).lower()), kind, "")
    if isinstance(value, int) and kind.name in (*_BARE, "timestamp") and kind.name != "boolean":
        return constant_bytes(Constant("INTEGER", str(value)), kind, "")
    if isinstance(value, Decimal) and kind.name in ("decimal", "double", "float"):
        return constant_bytes(Constant("FLOAT", str(value)), kind, "")
    if kind.name in ("int", "bigint", "smallint", "tinyint", "varint", "counter") and isinstance(
        value, Decimal
    ):
        raise InvalidRequest(
            f"Expected {_ARTICLES.get(kind.name, 'a')} {kind.name} value, but got a Double: {value}"
        )
    what = "UTF-8 string" if kind.name == "text" else kind.name
    raise InvalidRequest(f"Expected a {what}, but got a {_java_class(value)}: {value}")


def _is_int(text: str) -> bool:
    return text.lstrip("-").isdigit()


def _is_number(text: str) -> bool:
    try:
        Decimal(text)
    except ArithmeticError:
        return False
    return True


def _is_uuid(text: str) -> bool:
    try:
        uuid.UUID(text)
    except ValueError:
        return False
    return len(text) == 36


_WORDS = {
    "int": "int", "bigint": "long", "smallint": "short", "tinyint": "byte", "varint": "varint",
    "counter": "long",
    "double": "double", "float": "float", "decimal": "BigDecimal", "boolean": "boolean", "uuid": "UUID",
    "timeuuid": "UUID", "blob": "blob", "duration": "duration",
}  # fmt: skip
_ARTICLES = {"int": "an"}
_UNREADABLE: dict[str, str] = {}
_STRINGS = {
    **dict.fromkeys(("int", "bigint", "smallint", "tinyint", "varint", "counter"), "INTEGER"),
    **dict.fromkeys(("double", "float", "decimal"), "FLOAT"),
    "boolean": "BOOLEAN",
    "uuid": "UUID",
    "timeuuid": "UUID",
    "blob": "HEX",
    "duration": "DURATION",
}
_PATTERNS: dict[str, Callable[[str], bool]] = {
    **dict.fromkeys(("int", "bigint", "smallint", "tinyint", "varint", "counter"), _is_int),
    **dict.fromkeys(("double", "float", "decimal"), _is_number),
    "boolean": lambda text: text in ("true", "false"),
    "uuid": _is_uuid,
    "timeuuid": _is_uuid,
    "blob": lambda text: text.startswith("0x"),
}
