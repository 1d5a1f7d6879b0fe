"""The types with a fixed number of fields, each of its own type: tuples and user-defined types.

A value may be shorter than its type, in both directions: the missing fields are
null (native protocol v5, section 6.23 and 6.24; a field may be added to a UDT). More
than 256 of them may be missing only where the value has as many bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from itertools import repeat
from typing import Any

from txcql.errors import DecodeError, EncodeError
from txcql.wire.aliases import clean_name, clean_names, row_class
from txcql.wire.collectiontypes import cut_cells
from txcql.wire.cqltypes import Codec, CQLType, hashable
from txcql.wire.records import field_values

__all__ = ["TupleType", "UDTType", "quote_name"]

_LENGTH = struct.Struct(">i")
_NULL = b"\xff\xff\xff\xff"
_FREE_PADDING = 256
_PLAIN_NAME = frozenset("abcdefghijklmnopqrstuvwxyz0123456789_")


def quote_name(name: str) -> str:
    """Write an identifier as CQL needs it, quoted where it is not plain lower case."""
    if name and not name[0].isdigit() and _PLAIN_NAME.issuperset(name):
        return name
    return '"' + name.replace('"', '""') + '"'


class _FieldsType(CQLType):
    """tuple and UDT: a fixed number of fields, each of its own type.

    :ivar types: the types of the fields.
    """

    __slots__ = ("_codecs", "types")

    def __init__(self, types: Sequence[Codec], codecs: Sequence[Codec]) -> None:
        self.types = tuple(types)
        self._codecs = tuple(codecs)

    def _label(self, index: int) -> str:
        return f"field {index + 1}"

    def _write_fields(self, values: Sequence[Any]) -> bytes:
        cells = []
        for index, (codec, value) in enumerate(zip(self.types, values, strict=True)):
            try:
                data = codec.encode(value)
            except EncodeError as error:
                raise EncodeError(f"{self._label(index)}: {error}") from None
            cells.append(_NULL if data is None else _LENGTH.pack(len(data)) + data)
        return b"".join(cells)

    def _read_fields(self, data: bytes) -> list[Any]:
        """Read the fields; those that are missing at the end are null (a field was added to the type)."""
        parts, offset = cut_cells(data, 0, len(self._codecs), short=True)
        if offset != len(data):
            raise DecodeError(f"expected {self.name} of {offset} bytes, got {len(data)}")
        values = []
        for index, (codec, part) in enumerate(zip(self._codecs, parts, strict=False)):
            try:
                values.append(codec.decode(part))
            except DecodeError as error:
                raise DecodeError(f"{self._label(index)}: {error}") from None
        missing = len(self._codecs) - len(values)
        if missing > _FREE_PADDING + len(data):
            # A few bytes for each of many elements must not become thousands of fields for each.
            raise DecodeError(f"expected {self.name[:99]} of {len(self._codecs)} fields, got {len(values)}")
        values.extend(repeat(None, missing))
        return values


class TupleType(_FieldsType):
    """tuple: a tuple or list with all its fields; a shorter one is read with ``None`` at its end."""

    __slots__ = ()

    def __init__(self, types: Sequence[Codec], *, hashed: bool = False) -> None:
        super().__init__(types, [hashable(codec) for codec in types] if hashed else types)

    @property
    def name(self) -> str:  # type: ignore[override]
        return f"tuple<{', '.join(codec.name for codec in self.types)}>"

    def hashable(self) -> CQLType:
        return TupleType(self.types, hashed=True)

    def with_types(self, types: Sequence[Codec]) -> TupleType:
        """Give a tuple with fields of other types."""
        return TupleType(types)

    def identity(self) -> tuple[object, ...]:
        return self.types

    def write(self, value: Any) -> bytes:
        if not isinstance(value, (tuple, list)):
            self.refuse(value)
        if len(value) != len(self.types):
            raise EncodeError(f"expected {self.name} of {len(self.types)} fields, got {len(value)}")
        return self._write_fields(value)

    def read(self, data: bytes) -> Any:
        return tuple(self._read_fields(data))


class UDTType(_FieldsType):
    """A user-defined type.

    It takes a mapping, a named tuple, or an instance of a dataclass or attrs class, by
    field names (missing ones are null, unknown ones refused), and a tuple with all fields
    in their order; it is read as a named tuple.

    :ivar keyspace: its keyspace.
    :ivar type_name: its name, as the server has it.
    :ivar field_names: the names of the fields.
    :ivar row: the named tuple class.
    """

    __slots__ = ("_places", "_row", "field_names", "keyspace", "type_name")

    def __init__(
        self, keyspace: str, type_name: str, fields: Sequence[tuple[str, Codec]], *, hashed: bool = False
    ) -> None:
        types = [codec for _, codec in fields]
        codecs = [hashable(codec) for codec in types] if hashed else types
        super().__init__(types, codecs)
        self.keyspace = keyspace
        self.type_name = type_name
        self.field_names = tuple(name for name, _ in fields)
        self._places: dict[str, int] | None = None
        self._row: Any = None

    @property
    def name(self) -> str:  # type: ignore[override]
        return quote_name(self.type_name)

    @property
    def row(self) -> Any:
        # Made for the first value: a class costs more than a thousand bytes of metadata.
        if self._row is None:
            self._row = row_class(clean_name(self.type_name), clean_names(self.field_names))
        return self._row

    def hashable(self) -> CQLType:
        return UDTType(self.keyspace, self.type_name, self.fields(), hashed=True)

    def with_types(self, types: Sequence[Codec]) -> UDTType:
        """Give the type with fields of the same names and other types."""
        return UDTType(self.keyspace, self.type_name, [*zip(self.field_names, types, strict=True)])

    def identity(self) -> tuple[object, ...]:
        return self.keyspace, self.type_name, tuple(self.fields())

    def fields(self) -> list[tuple[str, Codec]]:
        """Give the names and types of the fields."""
        return list(zip(self.field_names, self.types, strict=True))

    def _label(self, index: int) -> str:
        return f'field "{self.field_names[index]}"'

    def write(self, value: Any) -> bytes:
        if isinstance(value, tuple) and hasattr(value, "_fields"):
            if value._fields != self.row._fields:
                value = dict(zip(value._fields, value, strict=True))
        elif not isinstance(value, (tuple, Mapping)):
            value = field_values(value) or self.refuse(value)
        if isinstance(value, Mapping):
            value = self._in_order(value)
        if len(value) != len(self.types):
            raise EncodeError(f"expected {self.name} of {len(self.types)} fields, got {len(value)}")
        return self._write_fields(value)

    def _in_order(self, named: Mapping[Any, Any]) -> list[Any]:
        values: list[Any] = [None] * len(self.types)
        if self._places is None:
            aliases = zip(clean_names(self.field_names), range(len(values)), strict=True)
            self._places = dict([*aliases, *zip(self.field_names, range(len(values)), strict=True)])
        for name, value in named.items():
            place = self._places.get(name)
            if place is None:
                names = ", ".join(f'"{known}"' for known in self.field_names)
                raise EncodeError(f"expected {self.name} with the fields {names}, got unknown field {name!r}")
            values[place] = value
        return values

    def read(self, data: bytes) -> Any:
        return (self._row or self.row)._make(self._read_fields(data))
