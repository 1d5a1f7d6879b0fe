"""Values of a statement that is not prepared: of the CQL types that their classes stand for.

Of a statement that is not prepared nobody has told the driver what its parameters are, and the server
takes the bytes as they come: 8 bytes are a valid bigint, double, timestamp and text. So only such
values are written whose class stands for one CQL type; of all others the application has to say it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address
from typing import Any
from uuid import UUID

from txcql.errors import EncodeError
from txcql.session.statements import Parameters
from txcql.wire.binding import ParameterEncoder
from txcql.wire.bindmarkers import bind_markers
from txcql.wire.collectiontypes import ListType, MapType, SetType
from txcql.wire.cqltypes import Codec, CQLType, describe
from txcql.wire.fieldtypes import TupleType
from txcql.wire.metadata import Column
from txcql.wire.scalars import SCALARS
from txcql.wire.typeparser import parse_type
from txcql.wire.usercodecs import CodecRegistry
from txcql.wire.values import EMPTY, Date, Duration, Time, Timestamp

__all__ = ["Typed", "encode_guessed", "guess_type"]

_MOST_DEEP = 32
# In this order: a bool is an int, and a datetime is a date.
_CLASSES: tuple[tuple[type, str], ...] = (
    (bool, "boolean"),
    (str, "text"),
    (bytes, "blob"),
    (bytearray, "blob"),
    (memoryview, "blob"),
    (float, "double"),
    (Decimal, "decimal"),
    (UUID, "uuid"),
    (datetime, "timestamp"),
    (date, "date"),
    (time, "time"),
    (Timestamp, "timestamp"),
    (Date, "date"),
    (Time, "time"),
    (Duration, "duration"),
    (IPv4Address, "inet"),
    (IPv6Address, "inet"),
)


class Typed:
    """A value and its CQL type, for a statement that is not prepared (``prepare=False``).

    :param type: in CQL, such as ``"bigint"`` or ``"list<int>"``.
    :param value: a value of that type.
    :ivar type: the same.
    :ivar value: the same.
    :raises ValueError: there is no such type.
    """

    __slots__ = ("_codec", "type", "value")

    def __init__(self, type: str, value: Any) -> None:
        self._codec = parse_type(type)
        self.type = type
        self.value = value

    @property
    def codec(self) -> Codec:
        """What writes the value."""
        return self._codec

    def __repr__(self) -> str:
        return f"Typed({self.type!r}, {self.value!r})"


def guess_type(value: Any, depth: int = 0) -> CQLType | None:
    """The CQL type that a value's class stands for; ``None`` if it is null and may be of any.

    :raises EncodeError: it may be of several, or of none.
    """
    if value is None or value is EMPTY:
        return None
    for kind, name in _CLASSES:
        if isinstance(value, kind):
            return SCALARS[name]
    if depth >= _MOST_DEEP:
        raise EncodeError(f"collections nested deeper than {_MOST_DEEP} need to be typed")
    if isinstance(value, int):
        raise EncodeError(
            f"{describe(value)} may be a tinyint, smallint, int, bigint, varint or counter: "
            f'say which, as in txcql.Typed("bigint", {describe(value).removeprefix("int ")}), '
            "or let the statement be prepared"
        )
    if isinstance(value, tuple):
        return TupleType([guess_type(part, depth + 1) or _ANY for part in value])
    if isinstance(value, list):
        return ListType(_common(value, depth))
    if isinstance(value, set | frozenset):
        return SetType(_common(value, depth))
    if isinstance(value, Mapping):
        return MapType(_common(value.keys(), depth), _common(value.values(), depth))
    raise EncodeError(
        f"{describe(value)} stands for no CQL type: "
        'say which, as in txcql.Typed("text", value), or let the statement be prepared'
    )


# Of a collection without elements, or a null, the type does not show.
_ANY = SCALARS["blob"]


def _common(values: Any, depth: int) -> CQLType:
    found: CQLType | None = None
    for value in values:
        kind = guess_type(value, depth + 1)
        if kind is not None and found is not None and kind != found:
            raise EncodeError(f"a collection of {found.name} and {kind.name} needs to be typed")
        found = kind or found
    return found or _ANY


class _GuessedType:
    """Stands in the place of a parameter's type.

    :param registered: puts the user's codecs into a type.
    """

    name = "not prepared"

    def __init__(self, registered: Callable[[Codec], Codec]) -> None:
        self._registered = registered

    def encode(self, value: Any) -> bytes | None:
        if isinstance(value, Typed):
            data: bytes | None = self._registered(value.codec).encode(value.value)
            return data
        if value is None or value is EMPTY:
            return None if value is None else b""
        data = self._registered(guess_type(value)).encode(value)
        return data


@lru_cache(maxsize=256)
def _markers(text: str) -> Sequence[str]:
    return bind_markers(text)


def encode_guessed(text: str, parameters: Parameters, version: int, codecs: CodecRegistry) -> bytes:
    """Encode the values of a text, by position or by name.

    :param codecs: the user's, for CQL types.
    :raises EncodeError: a value whose type does not show, or values that are too many or too few.
    """

    def registered(kind: Codec) -> Codec:
        return codecs.columns((Column("", "", "", kind),))[0].type

    kind = _GuessedType(registered)
    columns = [Column("", "", name, kind) for name in _markers(text)]
    return ParameterEncoder(columns).encode(parameters, version)
