"""The scalar types: one value, no elements.

Nothing is lost on the way: a value that the type cannot hold as it is is refused
before anything is sent, and what Python's own classes cannot hold is read as one
of txcql's (:mod:`txcql.wire.values`). The one exception is inherent: a ``float``
holds 32 bits, so a Python float is rounded to the nearest one.

The serialization formats are those of the native protocol v5, section 6.
"""

from __future__ import annotations

import decimal
import operator
import struct
from contextlib import suppress
from datetime import date, datetime, time, timedelta
from ipaddress import IPv4Address, IPv6Address
from typing import Any
from uuid import UUID

from txcql.errors import DecodeError, EncodeError
from txcql.wire.conversions import (
    EXACT,
    exact_int,
    make_date,
    make_decimal,
    make_time,
    make_timestamp,
    make_uuid,
    make_varint,
)
from txcql.wire.cqltypes import Codec, CQLType, describe
from txcql.wire.values import Date, Duration, Time, Timestamp, count_milliseconds
from txcql.wire.vints import decode_vint, encode_vint

__all__ = [
    "ASCII",
    "BIGINT",
    "BLOB",
    "BOOLEAN",
    "COUNTER",
    "DATE",
    "DECIMAL",
    "DOUBLE",
    "DURATION",
    "EMPTY_TYPE",
    "FLOAT",
    "INET",
    "INT",
    "SCALARS",
    "SMALLINT",
    "TEXT",
    "TIME",
    "TIMESTAMP",
    "TIMEUUID",
    "TINYINT",
    "UUID_TYPE",
    "VARINT",
    "AsciiType",
    "BlobType",
    "BooleanType",
    "CustomType",
    "DateType",
    "DecimalType",
    "DoubleType",
    "DurationType",
    "EmptyType",
    "FixedType",
    "FloatType",
    "InetType",
    "IntegerType",
    "TextType",
    "TimeType",
    "TimestampType",
    "TimeuuidType",
    "UUIDType",
    "VarintType",
    "is_fused",
]

_DATE_ZERO = 1 << 31
_DAY_NANOSECONDS = 86_400_000_000_000


def _index(kind: CQLType, value: Any) -> int:
    """Give the int of an int or of what is one by ``__index__``, such as numpy's; bool is none."""
    # Before numpy 2.3 its bool has an __index__ too.
    if isinstance(value, bool) or (not isinstance(value, int) and _buffered(value, "?") is not None):
        kind.refuse(value)
    try:
        return operator.index(value)
    except TypeError:
        kind.refuse(value)


def _buffered(value: Any, formats: str) -> Any:
    """Give the one number of a scalar with a buffer, such as numpy's, of one of these formats."""
    try:
        view = memoryview(value)
    except TypeError:
        return None
    if view.ndim or view.format.lstrip("@=<>!") not in {*formats}:
        return None
    return struct.unpack(view.format, view.tobytes())[0]


class FixedType(CQLType):
    """A scalar whose size never varies: one :mod:`struct` code."""

    __slots__ = ("_pack", "_unpack", "bare", "format", "name", "size")

    def __init__(self, name: str, code: str, *, bare: bool = True) -> None:
        codec = struct.Struct(f">{code}")
        self.name = name
        self.format = code
        self.size = codec.size
        self.bare = bare
        self._pack = codec.pack
        self._unpack = codec.unpack

    def read(self, data: bytes) -> Any:
        if len(data) != self.size:
            self.wrong_size(data)
        value = self._unpack(data)[0]
        return value if self.convert is None else self.convert(value)


class IntegerType(FixedType):
    """bigint, counter, int, smallint, tinyint."""

    __slots__ = ()

    def write(self, value: Any) -> bytes:
        number = _index(self, value)
        try:
            return self._pack(number)
        except struct.error:
            limit = 1 << 8 * len(self._pack(0)) - 1
            shown = describe(number).removeprefix("int ")
            raise EncodeError(f"expected {self.name} in {-limit}..{limit - 1}, got {shown}") from None


class BooleanType(FixedType):
    """boolean: any byte but zero is true."""

    __slots__ = ()

    def write(self, value: Any) -> bytes:
        held = value if isinstance(value, bool) else _buffered(value, "?")
        if held is None:
            self.refuse(value)
        return b"\x01" if held else b"\x00"


class DoubleType(FixedType):
    """double: also ints and numpy's floats, if they are held exactly."""

    __slots__ = ()

    def write(self, value: Any) -> bytes:
        if not isinstance(value, float):
            found = None if isinstance(value, int) else _buffered(value, "efd")
            value = self._exact(value) if found is None else found
        return self._pack(value)

    def _exact(self, value: Any) -> float:
        number = _index(self, value)
        with suppress(OverflowError, struct.error):
            held: float = self._unpack(self._pack(number))[0]
            if held == number:
                return held
        raise EncodeError(
            f"expected {self.name}, got {describe(number)}, which a {self.name} cannot hold exactly"
        )


class FloatType(DoubleType):
    """float: a Python float is rounded to 32 bits; what is out of range is refused."""

    __slots__ = ()

    def write(self, value: Any) -> bytes:
        try:
            return super().write(value)
        except OverflowError:
            raise EncodeError(f"expected {self.name} in ±3.4028235e+38, got {value}") from None


class TimestampType(FixedType):
    """timestamp: aware datetimes of whole milliseconds, and :class:`Timestamp`."""

    __slots__ = ()
    convert = staticmethod(make_timestamp)

    def write(self, value: Any) -> bytes:
        if isinstance(value, Timestamp):
            return self._pack(value.milliseconds)
        if not isinstance(value, datetime):
            self.refuse(value)
        try:
            return self._pack(count_milliseconds(value))
        except ValueError as error:
            raise EncodeError(f"expected {self.name}: {error}") from None


class DateType(FixedType):
    """date: Python dates (no datetime, whose time would be lost), and :class:`Date`."""

    __slots__ = ()
    convert = staticmethod(make_date)

    def write(self, value: Any) -> bytes:
        if isinstance(value, date) and not isinstance(value, datetime):
            value = Date.from_date(value)
        elif not isinstance(value, Date):
            self.refuse(value)
        return self._pack(value.days + _DATE_ZERO)


class TimeType(FixedType):
    """time: Python times without tzinfo, and :class:`Time` within a day.

    The server does not check the range of a bound value, so it is checked here.
    """

    __slots__ = ()
    convert = staticmethod(make_time)

    def write(self, value: Any) -> bytes:
        if isinstance(value, time):
            try:
                value = Time.from_time(value)
            except ValueError as error:
                raise EncodeError(f"expected {self.name}: {error}") from None
        elif not isinstance(value, Time):
            self.refuse(value)
        if not 0 <= value.nanoseconds < _DAY_NANOSECONDS:
            raise EncodeError(
                f"expected {self.name} in 0..{_DAY_NANOSECONDS - 1} nanoseconds, got {value.nanoseconds}"
            )
        return self._pack(value.nanoseconds)


class UUIDType(FixedType):
    """uuid, of any version."""

    __slots__ = ()
    convert = staticmethod(make_uuid)

    def write(self, value: Any) -> bytes:
        if not isinstance(value, UUID):
            self.refuse(value)
        return value.bytes


class TimeuuidType(UUIDType):
    """timeuuid: the server refuses every version but 1, so it is refused here."""

    __slots__ = ()

    def write(self, value: Any) -> bytes:
        # UUID.version would be None for maxTimeuuid(), whose variant bits are not those of RFC 4122.
        if isinstance(value, UUID) and value.int >> 76 & 15 != 1:
            raise EncodeError(f"expected {self.name}, got UUID {value}, which is not of version 1")
        return super().write(value)


class _VariableType(CQLType):
    """A scalar whose size varies with its value."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name


class TextType(_VariableType):
    """text, which is varchar: str, also members of a str enumeration."""

    __slots__ = ()
    encoding = "utf-8"

    def write(self, value: Any) -> bytes:
        if not isinstance(value, str):
            self.refuse(value)
        try:
            return str.encode(value, self.encoding)
        except UnicodeEncodeError as error:
            raise EncodeError(
                f"expected {self.name}, got a str with U+{ord(error.object[error.start]):04X} "
                f"at position {error.start}, which {self.encoding} cannot encode"
            ) from None

    def decode(self, data: bytes | None) -> Any:
        return None if data is None else self.read(data)

    def read(self, data: bytes) -> Any:
        try:
            return data.decode(self.encoding)
        except UnicodeDecodeError as error:
            raise DecodeError(
                f"expected {self.name}, got byte 0x{data[error.start]:02x} at {error.start}"
            ) from None


class AsciiType(TextType):
    """ascii: str of the first 128 characters."""

    __slots__ = ()
    encoding = "ascii"


class BlobType(_VariableType):
    """blob: bytes, and whatever has a buffer."""

    __slots__ = ()

    def write(self, value: Any) -> bytes:
        if isinstance(value, bytes):
            return bytes(value)
        try:
            view = memoryview(value)
        except TypeError:
            self.refuse(value)
        # One number of numpy's has a buffer too.
        return view.tobytes() if view.ndim else self.refuse(value)

    def decode(self, data: bytes | None) -> Any:
        return data

    def read(self, data: bytes) -> Any:
        return data


class CustomType(BlobType):
    """A class of the server that txcql does not know: its bytes as they are.

    :ivar class_name: the Java class, with its parameters.
    """

    __slots__ = ("class_name",)

    def __init__(self, class_name: str) -> None:
        super().__init__("'" + class_name.replace("'", "''") + "'")
        self.class_name = class_name


class EmptyType(_VariableType):
    """The type of dense tables' missing value: it has no bytes at all."""

    __slots__ = ()

    def write(self, value: Any) -> bytes:
        self.refuse(value)

    def read(self, data: bytes) -> Any:
        raise DecodeError(f"expected no bytes for {self.name}, got {len(data)}")


class VarintType(_VariableType):
    """varint: an int of any size."""

    __slots__ = ()

    def write(self, value: Any) -> bytes:
        return make_varint(_index(self, value))

    def read(self, data: bytes) -> Any:
        return int.from_bytes(data, "big", signed=True)


class DecimalType(_VariableType):
    """decimal: finite Decimals and ints, their scale kept; no floats, whose decimal digits are a guess."""

    __slots__ = ()

    def write(self, value: Any) -> bytes:
        if not isinstance(value, decimal.Decimal):
            value = decimal.Decimal(_index(self, value))
        exponent = value.as_tuple().exponent
        if not isinstance(exponent, int):
            raise EncodeError(f"expected {self.name}, got {value}, which is not finite")
        if not -_DATE_ZERO < exponent <= _DATE_ZERO:
            raise EncodeError(f"expected {self.name} with a scale of 32 bits, got an exponent of {exponent}")
        return struct.pack(">i", -exponent) + make_varint(exact_int(EXACT.scaleb(value, -exponent)))

    def read(self, data: bytes) -> Any:
        if len(data) < 5:
            raise DecodeError(f"expected {self.name} of at least 5 bytes, got {len(data)}")
        return make_decimal(data)


class DurationType(_VariableType):
    """duration: :class:`Duration`, and timedeltas, whose days are 24 hours."""

    __slots__ = ()

    def write(self, value: Any) -> bytes:
        if isinstance(value, timedelta):
            try:
                value = Duration.from_timedelta(value)
            except ValueError as error:
                raise EncodeError(f"expected {self.name}: {error}") from None
        elif not isinstance(value, Duration):
            self.refuse(value)
        return encode_vint(value.months) + encode_vint(value.days) + encode_vint(value.nanoseconds)

    def read(self, data: bytes) -> Any:
        months, offset = decode_vint(data, 0)
        days, offset = decode_vint(data, offset)
        nanoseconds, offset = decode_vint(data, offset)
        if offset != len(data):
            raise DecodeError(f"expected {self.name} of {offset} bytes, got {len(data)}")
        try:
            return Duration(months, days, nanoseconds)
        except ValueError as error:
            raise DecodeError(f"expected {self.name}: {error}") from None


class InetType(_VariableType):
    """inet: IPv4Address and IPv6Address; a mapped IPv4 address stays an IPv6Address."""

    __slots__ = ()

    def write(self, value: Any) -> bytes:
        if not isinstance(value, (IPv4Address, IPv6Address)):
            self.refuse(value)
        if getattr(value, "scope_id", None) is not None:
            raise EncodeError(f"expected {self.name}, got {value}, whose zone cannot be stored")
        return value.packed

    def read(self, data: bytes) -> Any:
        if len(data) == 4:
            return IPv4Address(data)
        if len(data) == 16:
            return IPv6Address(data)
        raise DecodeError(f"expected {self.name} of 4 or 16 bytes, got {len(data)}")


ASCII = AsciiType("ascii")
BIGINT = IntegerType("bigint", "q")
BLOB = BlobType("blob")
BOOLEAN = BooleanType("boolean", "?")
COUNTER = IntegerType("counter", "q", bare=False)
DATE = DateType("date", "I", bare=False)
DECIMAL = DecimalType("decimal")
DOUBLE = DoubleType("double", "d")
DURATION = DurationType("duration")
EMPTY_TYPE = EmptyType("empty")
FLOAT = FloatType("float", "f")
INET = InetType("inet")
INT = IntegerType("int", "i")
SMALLINT = IntegerType("smallint", "h", bare=False)
TEXT = TextType("text")
TIME = TimeType("time", "q", bare=False)
TIMESTAMP = TimestampType("timestamp", "q")
TIMEUUID = TimeuuidType("timeuuid", "16s")
TINYINT = IntegerType("tinyint", "b", bare=False)
UUID_TYPE = UUIDType("uuid", "16s")
VARINT = VarintType("varint")

_FUSED = frozenset(
    (
        BooleanType,
        DateType,
        DoubleType,
        FloatType,
        IntegerType,
        TimeType,
        TimestampType,
        TimeuuidType,
        UUIDType,
    )
)


def is_fused(codec: Codec) -> bool:
    """Tell whether generated code may read a value by its ``format``, ``size`` and ``convert`` alone.

    Subclasses and codecs of the user's decode in their own way.
    """
    return type(codec) in _FUSED


SCALARS: dict[str, CQLType] = {
    kind.name: kind for kind in list(globals().values()) if isinstance(kind, CQLType)
}
"""The scalar types by their CQL names."""
