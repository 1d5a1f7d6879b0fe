"""Parameters: a function generated for the markers of a statement encodes them.

The generated code serves values of exactly the usual types, neighbouring ones of
fixed size packed by one ``struct``. Anything else (a null, an int for a double, a
subclass, a mistake) makes it give up, and plain code encodes the values one by one
and names what is wrong.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

from txcql.errors import EncodeError
from txcql.wire.aliases import clean_name
from txcql.wire.collectiontypes import unwrap
from txcql.wire.conversions import EPOCH
from txcql.wire.cqltypes import Codec, describe
from txcql.wire.metadata import Column
from txcql.wire.records import field_values
from txcql.wire.scalars import (
    AsciiType,
    BlobType,
    BooleanType,
    CustomType,
    DateType,
    DoubleType,
    FloatType,
    IntegerType,
    TextType,
    TimestampType,
    TimeuuidType,
    UUIDType,
)
from txcql.wire.values import UNSET

__all__ = ["ParameterEncoder"]

_pack_int = struct.Struct(">i").pack
_pack_short = struct.Struct(">H").pack
_NULL = b"\xff\xff\xff\xff"
_UNSET = b"\xff\xff\xff\xfe"
_MISSING = object()

# How a type's exact Python class becomes what its struct code packs: the class, the guard, the expression.
_FUSED: dict[type, tuple[type, str, str]] = {
    BooleanType: (bool, "", "{v}"),
    DateType: (date, "", f"{{v}}.toordinal() + {(1 << 31) - 719163}"),
    DoubleType: (float, "", "{v}"),
    FloatType: (float, "", "{v}"),
    IntegerType: (int, "", "{v}"),
    TimestampType: (
        datetime,
        " and not ({v} := {v} - EPOCH).microseconds % 1000",
        "({v}.days * 86400 + {v}.seconds) * 1000 + {v}.microseconds // 1000",
    ),
    TimeuuidType: (UUID, " and {v}.int >> 76 & 15 == 1", '{v}.int.to_bytes(16, "big")'),
    UUIDType: (UUID, "", '{v}.int.to_bytes(16, "big")'),
}
_VARIABLE: dict[type, tuple[type, str]] = {
    AsciiType: (str, '{v}.encode("ascii")'),
    BlobType: (bytes, "{v}"),
    CustomType: (bytes, "{v}"),
    TextType: (str, "{v}.encode()"),
}

Encode = Callable[[Sequence[Any]], "bytes | None"]


@lru_cache(maxsize=512)
def _factory(source: str) -> Callable[..., Encode]:
    """Compile a source; statements of the same shape share it."""
    namespace: dict[str, Any] = {}
    exec(source, namespace)
    made: Callable[..., Encode] = namespace["make"]
    return made


def _generate(codecs: Sequence[Codec]) -> Encode:
    """Make the function for the usual values; it gives ``None`` or raises for all others."""
    objects: dict[str, Any] = {"EPOCH": EPOCH, "join": b"".join}
    guards, lines, parts = [], [], []
    code, packed = ">H", [str(len(codecs))]
    for place, codec in enumerate(codecs):
        kind, value = unwrap(codec), f"v{place}"
        if type(kind) in _FUSED:
            exact, guard, expression = _FUSED[type(kind)]
            guards.append(f"type({value}) is {exact.__name__}{guard.format(v=value)}")
            objects[exact.__name__] = exact
            code += f"i{kind.format}"
            packed += [str(kind.size), expression.format(v=value)]
            continue
        if type(kind) in _VARIABLE:
            exact, expression = _VARIABLE[type(kind)]
            guards.append(f"type({value}) is {exact.__name__}")
            objects[exact.__name__] = exact
            expression = expression.format(v=value)
        else:
            # A codec of the user's need not know UNSET.
            guards.append(f"{value} is not UNSET")
            objects |= {f"encode_{place}": codec.encode, "UNSET": UNSET}
            expression = f"encode_{place}({value})"
        if expression != value:
            lines.append(f"{value} = {expression}")
        objects[f"pack_{place}"] = struct.Struct(code + "i").pack
        parts += [f"pack_{place}({', '.join([*packed, f'len({value})'])})", value]
        code, packed = ">", []
    if packed:
        objects["pack_end"] = struct.Struct(code).pack
        parts.append(f"pack_end({', '.join(packed)})")
    names = "".join(f"v{place}, " for place in range(len(codecs)))
    whole = parts[0] if len(parts) == 1 else f"join(({', '.join(parts)}))"
    source = "\n".join(
        [
            f"def make({', '.join(sorted(objects))}):",
            "    def encode(values):",
            f"        [{names}] = values",
            f"        if {' and '.join(guards) or 'True'}:",
            *(f"            {line}" for line in lines),
            f"            return {whole}",
            "    return encode",
        ]
    )
    return _factory(source)(**objects)


class ParameterEncoder:
    """Encodes the parameters of one statement; make it once, and keep it.

    :param columns: the statement's bind markers; in place of a column's type may stand
        any object with ``encode(value)``, which gives bytes, or ``None`` for null.
    """

    __slots__ = ("_fast", "_places", "columns")

    def __init__(self, columns: Sequence[Column]) -> None:
        self.columns = tuple(columns)
        self._fast: Encode | None = None
        self._places: dict[object, list[int]] = {}
        for place, column in enumerate(self.columns):
            self._places.setdefault(column.name, []).append(place)
        # A marker like [ttl] may be given as ttl, so that a dataclass or a keyword can name it.
        for name, places in [*self._places.items()]:
            self._places.setdefault(clean_name(str(name)), places)

    def __repr__(self) -> str:
        return f"<ParameterEncoder {self._listed(range(len(self.columns)))}>"

    def encode(self, values: object, version: int) -> bytes:
        """Encode the parameters as ``[short n][value]*``.

        :param values: a sequence in the order of the markers, a mapping by their names (of
            two markers with one name it fills both), or an instance of a dataclass or
            attrs class, whose further fields are left alone; ``None`` for no values.
        :param version: the protocol version; below 4 there is no UNSET.
        :raises EncodeError: naming the parameter, its type and the value; values that are
            too many, too few or of unknown names.
        """
        if type(values) is not list and type(values) is not tuple:
            values = self._in_order(values)
        fast = self._fast
        if fast is None:
            fast = self._fast = _generate([column.type for column in self.columns])
        try:
            encoded = fast(values)
        except Exception:
            encoded = None
        return self._checked(values, version) if encoded is None else encoded

    def _checked(self, values: Sequence[Any], version: int) -> bytes:
        """Encode one value after the other, and say what is wrong with it."""
        count = len(self.columns)
        if len(values) != count:
            few = len(values) < count
            what = "missing" if few else "the statement has"
            raise self._miscounted(len(values), what, range(len(values) if few else 0, count))
        parts = [_pack_short(count)]
        for place, column in enumerate(self.columns):
            value = values[place]
            if value is UNSET:
                if version < 4:
                    raise EncodeError(
                        f"{self._label(place)}: UNSET needs protocol version 4; "
                        f"version {version} would write null"
                    )
                parts.append(_UNSET)
                continue
            try:
                data = column.type.encode(value)
                parts.append(_NULL if data is None else _pack_int(len(data)) + data)
            except Exception as error:
                cause = None if isinstance(error, EncodeError) else error
                raise EncodeError(f"{self._label(place)}: {error}") from cause
        return b"".join(parts)

    def _in_order(self, values: object) -> Sequence[Any]:
        """Put values of any kind in the order of the markers."""
        if values is None:
            return ()
        if isinstance(values, Mapping):
            return self._by_name(values)
        if isinstance(values, Sequence) and not isinstance(values, (str, bytes, bytearray, memoryview)):
            return values
        named = field_values(values)
        if named is None:
            raise EncodeError(
                f"expected parameters as a sequence or a mapping by name, got {describe(values)}"
            )
        return self._by_name({name: value for name, value in named.items() if name in self._places})

    def _by_name(self, named: Mapping[Any, Any]) -> Sequence[Any]:
        values: list[Any] = [_MISSING] * len(self.columns)
        for name, value in named.items():
            places = self._places.get(name)
            if places is None:
                known = ", ".join(dict.fromkeys(f'"{column.name}"' for column in self.columns))
                raise EncodeError(f"unknown parameter {describe(name)}: the statement has {known or 'none'}")
            for place in places:
                if values[place] is not _MISSING:
                    raise EncodeError(
                        f"{self._label(place)}: given twice, the second time as {describe(name)}"
                    )
                values[place] = value
        missing = [place for place, value in enumerate(values) if value is _MISSING]
        if missing:
            raise self._miscounted(len(values) - len(missing), "missing", missing)
        return values

    def _miscounted(self, got: int, what: str, places: Sequence[int]) -> EncodeError:
        return EncodeError(
            f"expected {len(self.columns)} parameters, got {got}: {what} {self._listed(places) or 'none'}"
        )

    def _listed(self, places: Sequence[int]) -> str:
        return ", ".join(map(self._named, places))

    def _label(self, place: int) -> str:
        return f"parameter {place + 1} {self._named(place)}"

    def _named(self, place: int) -> str:
        column = self.columns[place]
        return f'"{column.name}" ({getattr(column.type, "name", type(column.type).__name__)})'
