"""The protocol's own spelling of a type: the [option] (native protocol v5, section 4.2.5.2).

What a version has no id for is sent as a custom class: date, time, smallint and
tinyint below v4, duration below v5, vectors always. All of it is understood in
every version.
"""

from __future__ import annotations

import builtins
import struct

from txcql.errors import DecodeError, ProtocolError
from txcql.wire.collectiontypes import ListType, MapType, SetType, unwrap
from txcql.wire.cqltypes import MAX_DEPTH, Codec, CQLType
from txcql.wire.fieldtypes import TupleType, UDTType
from txcql.wire.primitives import Reader, write_string
from txcql.wire.scalars import SCALARS
from txcql.wire.typeparser import class_name, parse_class_name

__all__ = ["MAX_TYPES", "OptionReader", "read_option", "read_type", "write_option"]

MAX_TYPES = 65_535
"""Types that the metadata of one message may hold, those inside others counted too."""

_CUSTOM, _LIST, _MAP, _SET, _UDT, _TUPLE = 0x0000, 0x0020, 0x0021, 0x0022, 0x0030, 0x0031
_IDS = {
    "ascii": 0x0001,
    "bigint": 0x0002,
    "blob": 0x0003,
    "boolean": 0x0004,
    "counter": 0x0005,
    "decimal": 0x0006,
    "double": 0x0007,
    "float": 0x0008,
    "int": 0x0009,
    "timestamp": 0x000B,
    "uuid": 0x000C,
    "text": 0x000D,
    "varint": 0x000E,
    "timeuuid": 0x000F,
    "inet": 0x0010,
    "date": 0x0011,
    "time": 0x0012,
    "smallint": 0x0013,
    "tinyint": 0x0014,
    "duration": 0x0015,
}
_SINCE = {"date": 4, "time": 4, "smallint": 4, "tinyint": 4, "duration": 5}
_SCALAR_OF = {number: SCALARS[name] for name, number in _IDS.items()}
_SHORT = struct.Struct(">H")


def read_option(data: bytes, offset: int, version: int) -> tuple[CQLType, int]:
    """Read one [option].

    :param version: the protocol version of the message.
    :returns: the type and the offset behind it.
    :raises DecodeError: if it is no type, is nested deeper than 64, holds more than 65,535 others, or
        the data end before it does.
    """
    reader = OptionReader(data, offset)
    return reader.option(), reader.offset


class OptionReader(Reader):
    """Reads any number of [option]s, which together hold at most :data:`MAX_TYPES` types."""

    __slots__ = ("_left",)

    def __init__(self, data: builtins.bytes, offset: builtins.int = 0) -> None:
        super().__init__(data, offset)
        self._left = MAX_TYPES

    def option(self) -> CQLType:
        """The next [option].

        :raises DecodeError: as in :func:`read_option`.
        """
        try:
            return _read(self, 1)
        except ProtocolError as error:
            raise DecodeError(f"a type is cut off: {error}") from None

    def spend(self, types: builtins.int) -> None:
        """Count types.

        :raises DecodeError: there are too many.
        """
        self._left -= types
        if self._left < 0:
            raise DecodeError(f"metadata of more than {MAX_TYPES} types")


def read_type(option_bytes: bytes, version: int) -> CQLType:
    """Read an [option] and nothing behind it.

    :raises DecodeError: as in :func:`read_option`, and if bytes are left.
    """
    found, offset = read_option(option_bytes, 0, version)
    if offset != len(option_bytes):
        raise DecodeError(f"expected a type of {offset} bytes, got {len(option_bytes)}")
    return found


def _read(reader: OptionReader, depth: int) -> CQLType:
    if depth > MAX_DEPTH:
        raise DecodeError(f"a type is nested deeper than {MAX_DEPTH}")
    reader.spend(1)
    number = reader.short()
    scalar = _SCALAR_OF.get(number)
    if scalar is not None:
        return scalar
    if number == _CUSTOM:
        name = reader.string()
        # As many as it can hold at most.
        reader.spend(name.count(",") + name.count("("))
        return parse_class_name(name, depth)
    if number == _LIST:
        return ListType(_read(reader, depth + 1))
    if number == _SET:
        return SetType(_read(reader, depth + 1))
    if number == _MAP:
        return MapType(_read(reader, depth + 1), _read(reader, depth + 1))
    if number == _TUPLE:
        return TupleType([_read(reader, depth + 1) for _ in range(reader.short())])
    if number == _UDT:
        keyspace, name = reader.string(), reader.string()
        return UDTType(
            keyspace, name, [(reader.string(), _read(reader, depth + 1)) for _ in range(reader.short())]
        )
    raise DecodeError(f"0x{number:04x} is the id of no type")


def write_option(cqltype: Codec, version: int) -> bytes:
    """Write one [option]; ``frozen`` and ``reversed`` are not visible in it.

    :param version: the protocol version, which decides what goes out as a custom class.
    :raises ValueError: if the protocol cannot name the type.
    """
    kind = unwrap(cqltype)
    if isinstance(kind, ListType):
        return _SHORT.pack(_LIST) + write_option(kind.element, version)
    if isinstance(kind, SetType):
        return _SHORT.pack(_SET) + write_option(kind.element, version)
    if isinstance(kind, MapType):
        return _SHORT.pack(_MAP) + write_option(kind.key, version) + write_option(kind.value, version)
    if isinstance(kind, TupleType):
        return _SHORT.pack(_TUPLE) + _fields([write_option(field, version) for field in kind.types])
    if isinstance(kind, UDTType):
        fields = zip(kind.field_names, kind.types, strict=True)
        options = [write_string(name) + write_option(field, version) for name, field in fields]
        return (
            _SHORT.pack(_UDT) + write_string(kind.keyspace) + write_string(kind.type_name) + _fields(options)
        )
    number = _IDS.get(kind.name)
    if number is None or _SINCE.get(kind.name, 0) > version:
        return _SHORT.pack(_CUSTOM) + write_string(class_name(kind))
    return _SHORT.pack(number)


def _fields(options: list[bytes]) -> bytes:
    return _SHORT.pack(len(options)) + b"".join(options)
