"""The constants and collections of a CQL text, as the bytes of a column's type."""

from __future__ import annotations

import ipaddress
import math
import uuid
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

from txcql.errors import EncodeError, InvalidRequest
from txcql.testing.cqlstatements import Constant, ListLiteral, MapLiteral, Marker, Null, SetLiteral, Term
from txcql.testing.refusals import unsupported
from txcql.wire.collectiontypes import ListType, MapType, SetType, VectorType, unwrap
from txcql.wire.cqltypes import CQLType
from txcql.wire.values import Time, Timestamp

__all__ = ["literal_bytes"]


def literal_bytes(term: Term, cqltype: CQLType, name: str) -> bytes | None:
    """The encoded value of a literal.

    :param cqltype: the type of the column, or of whatever takes the value.
    :param name: its name, for the error.
    :raises InvalidRequest: a literal that the type does not take.
    """
    value = _value(term, cqltype, name)
    try:
        return cqltype.encode(value)
    except EncodeError as error:
        raise InvalidRequest(str(error)) from None


def _value(term: Term, cqltype: CQLType, name: str) -> Any:
    kind = unwrap(cqltype)
    if isinstance(term, Null):
        return None
    if isinstance(term, Marker):
        raise unsupported("a bind marker inside a collection")
    if isinstance(term, Constant):
        return _constant(term, kind, name)
    if isinstance(term, ListLiteral) and not isinstance(kind, (ListType, VectorType)):
        raise InvalidRequest(f"Unexpected receiver type '{cqltype.name}'; only list and vector are expected")
    if isinstance(term, ListLiteral):
        return [
            _element(item, kind.element, f"Invalid list literal for {name}: value") for item in term.items
        ]
    if isinstance(term, SetLiteral) and isinstance(kind, SetType):
        return [_element(item, kind.element, f"Invalid set literal for {name}: value") for item in term.items]
    if isinstance(term, MapLiteral) and isinstance(kind, MapType):
        beginning = f"Invalid map literal for {name}:"
        return [
            (_element(key, kind.key, f"{beginning} key"), _element(value, kind.value, f"{beginning} value"))
            for key, value in term.items
        ]
    if isinstance(term, SetLiteral) and isinstance(kind, MapType) and not term.items:
        return []
    word = "set" if isinstance(term, SetLiteral) else "map"
    raise InvalidRequest(f"Invalid {word} literal for {name} of type {cqltype.name}")


def _element(term: Term, cqltype: CQLType, beginning: str) -> Any:
    """A constant inside a collection.

    :param beginning: of the sentence that refuses it.
    """
    if isinstance(term, Null):
        raise InvalidRequest("null is not supported inside collections")
    if not isinstance(term, Constant):
        return _value(term, cqltype, beginning)
    kind = unwrap(cqltype)
    if term.kind not in _READERS.get(kind.name, {}):
        shown = f"'{term.text}'" if term.kind == "STRING" else term.text
        raise InvalidRequest(f"{beginning} {shown} is not of type {cqltype.name}")
    return _constant(term, kind, beginning)


def _constant(term: Constant, kind: CQLType, name: str) -> Any:
    readers = _READERS.get(kind.name, {})
    if term.kind not in readers:
        raise InvalidRequest(f'Invalid {term.kind} constant ({term.text}) for "{name}" of type {kind.name}')
    return readers[term.kind](term.text)


def _whole(word: str, bits: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        number = int(text)
        if not -(1 << bits - 1) <= number < 1 << bits - 1:
            raise InvalidRequest(f"Unable to make {word} from '{text}'")
        return number

    return read


def _ascii(text: str) -> str:
    if not text.isascii():
        raise InvalidRequest("String didn't validate.")
    return text


def _float(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise unsupported(f"the number {text}")
    return value


def _inet(text: str) -> Any:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        raise InvalidRequest(f"Unable to make inet address from '{text}'") from None


def _date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise unsupported(f"the date '{text}'") from None


def _timeuuid(text: str) -> uuid.UUID:
    value = uuid.UUID(text)
    if value.version != 1:
        raise InvalidRequest("TimeUUID supports only version 1 UUIDs")
    return value


def _hex(text: str) -> bytes:
    if len(text) % 2:
        raise InvalidRequest(f"cannot parse '{text[2:]}' as hex bytes")
    return bytes.fromhex(text[2:])


def _refused(what: str) -> Callable[[str], Any]:
    def read(text: str) -> Any:
        raise unsupported(f"the {what} '{text}' as a constant")

    return read


def _timestamp(text: str) -> Timestamp:
    return Timestamp(_LONG(text))


def _time(text: str) -> Time:
    return Time(_LONG(text))


_LONG = _whole("long", 64)
_NUMBERS: dict[str, Callable[[str], Any]] = {"INTEGER": _float, "FLOAT": _float}

_READERS: dict[str, dict[str, Callable[[str], Any]]] = {
    "ascii": {"STRING": _ascii},
    "bigint": {"INTEGER": _LONG},
    "blob": {"HEX": _hex},
    "boolean": {"BOOLEAN": lambda text: text == "true"},
    "date": {"STRING": _date, "INTEGER": _refused("date")},
    "decimal": {"INTEGER": Decimal, "FLOAT": Decimal},
    "double": _NUMBERS,
    "float": _NUMBERS,
    "inet": {"STRING": _inet},
    "int": {"INTEGER": _whole("int", 32)},
    "smallint": {"INTEGER": _whole("short", 16)},
    "text": {"STRING": str},
    "time": {"STRING": _refused("time"), "INTEGER": _time},
    "timestamp": {"STRING": _refused("timestamp"), "INTEGER": _timestamp},
    "timeuuid": {"UUID": _timeuuid},
    "tinyint": {"INTEGER": _whole("byte", 8)},
    "uuid": {"UUID": uuid.UUID},
    "varint": {"INTEGER": int},
}
"""Which kinds of constants a type takes, and what reads them."""
