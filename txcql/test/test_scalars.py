"""Tests for :mod:`txcql.wire.scalars`."""

from __future__ import annotations

import array
import contextlib
import ctypes
import enum
import ipaddress
import math
import struct
import uuid
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any

from hypothesis import given, strategies as st
from twisted.trial.unittest import SynchronousTestCase

from txcql.errors import DecodeError, EncodeError
from txcql.test.examples import SCALAR_VALUES, examples, prefixes, same
from txcql.wire.scalars import SCALARS, CustomType, FixedType, is_fused
from txcql.wire.values import EMPTY, UNSET, Date, Duration, Time, Timestamp

UTC = timezone.utc
NEW_YEAR = datetime(2020, 1, 1, tzinfo=UTC)

CAPTURED: list[tuple[str, Any, str]] = [
    ("bigint", -2, "fffffffffffffffe"),
    ("boolean", True, "01"),
    ("date", date(1969, 12, 31), "7fffffff"),
    ("decimal", Decimal("-1.23"), "0000000285"),
    ("decimal", Decimal("5E2"), "fffffffe05"),
    ("double", 1.5, "3ff8000000000000"),
    ("float", -1.5, "bfc00000"),
    ("duration", Duration(1, 2, 3), "020406"),
    ("duration", Duration(0, 0, -45_000_000_000_000), "0000fc51dac2079fff"),
    ("duration", Duration(0, 0, 64), "00008080"),
    ("duration", Duration(0, 128, 0), "00810000"),
    ("duration", Duration(0, 0, (1 << 63) - 1), "0000fffffffffffffffffe"),
    ("inet", ipaddress.ip_address("::1"), "00" * 15 + "01"),
    ("inet", ipaddress.ip_address("127.0.0.1"), "7f000001"),
    ("inet", ipaddress.ip_address("::ffff:1.2.3.4"), "00" * 10 + "ffff01020304"),
    ("time", Time(3_723_000_000_004), "00000362d417ae04"),
    ("time", time(1, 2, 3), "00000362d417ae00"),
    ("timestamp", NEW_YEAR.replace(microsecond=123_000), "0000016f5e66e87b"),
    ("varint", -129, "ff7f"),
    ("varint", 128, "0080"),
    ("varint", 0, "00"),
    ("varint", -128, "80"),
    ("smallint", -2, "fffe"),
    ("tinyint", -2, "fe"),
    ("text", "é", "c3a9"),
    ("ascii", "a", "61"),
    ("blob", b"\x00\xff", "00ff"),
    ("counter", 5, "0000000000000005"),
    ("uuid", uuid.UUID(int=5), "00" * 15 + "05"),
]


class Color(str, enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


class Index:
    """An int by ``__index__`` alone, like numpy's."""

    def __index__(self) -> int:
        return 7


class NanosecondTime(datetime):
    """A datetime with a finer part, like pandas'."""

    def __sub__(self, other: Any) -> Any:
        return super().__sub__(other) + timedelta(microseconds=1)


class ScalarTests(SynchronousTestCase):
    """Every scalar type."""

    def refused(self, name: str, value: Any, *said: str) -> None:
        error = self.assertRaises(EncodeError, SCALARS[name].encode, value)
        for text in said:
            self.assertIn(text, str(error))

    def test_captured(self) -> None:
        """What a real node stores, in both directions, the class of the value included."""
        for name, value, written in CAPTURED:
            self.assertEqual(SCALARS[name].encode(value), bytes.fromhex(written), (name, value))
            read = SCALARS[name].decode(bytes.fromhex(written))
            self.assertEqual(read, value)
            self.assertIs(type(read), type(value), name)

    @examples
    @given(st.data())
    def test_round_trip(self, data: st.DataObject) -> None:
        """Every value comes back, and no beginning of its bytes does harm."""
        for name, values in SCALAR_VALUES.items():
            kind = SCALARS[name]
            value = data.draw(values, label=name)
            written = kind.encode(value)
            assert written is not None
            read = kind.decode(written)
            self.assertTrue(same(read, value), (name, value, read))
            self.assertEqual(kind.encode(read), written)
            for cut in prefixes(written)[1:]:
                if kind.size is not None:
                    self.assertRaises(DecodeError, kind.decode, cut)
                else:
                    self.decoded(kind, cut)

    def decoded(self, kind: Any, data: bytes) -> None:
        """Decode bytes that may be no value of a type."""
        with contextlib.suppress(DecodeError):
            kind.decode(data)

    @examples
    @given(st.binary(max_size=24))
    def test_any_bytes(self, data: bytes) -> None:
        """Bytes are a value or a DecodeError, and nothing else; over-long ones are an error."""
        for kind in SCALARS.values():
            self.decoded(kind, data)
            if kind.size is not None and len(data) not in (0, kind.size):
                self.assertRaises(DecodeError, kind.decode, data)

    def test_null_empty_unset(self) -> None:
        """Three different things, of every type."""
        for name, kind in SCALARS.items():
            self.assertIsNone(kind.encode(None))
            self.assertIsNone(kind.decode(None))
            self.assertEqual(kind.encode(EMPTY), b"")
            empty = {"text": "", "ascii": "", "blob": b""}.get(name, EMPTY)
            self.assertEqual(kind.decode(b""), empty)
            self.refused(name, UNSET, f"expected {name}, got")

    def test_wrong_classes(self) -> None:
        """A value of another type is refused with both types named."""
        wrong: dict[str, list[Any]] = {
            "ascii": [1, b"x", None.__class__],
            "bigint": ["1", 1.0, True, Decimal(1), b"1"],
            "blob": ["x", 5, [1]],
            "boolean": [1, 0, "true", 1.0],
            "date": [NEW_YEAR, "2020-01-01", 5, Timestamp(5)],
            "decimal": [1.5, "1.5", True],
            "double": ["1.5", Decimal("1.5"), True, b"x" * 8],
            "duration": [5, "1mo", Time(5)],
            "float": ["1.5", Decimal("1.5"), True],
            "inet": ["127.0.0.1", b"\x7f\0\0\1", 5],
            "int": ["x", 1.0, True, False, None.__class__],
            "smallint": ["x", 1.0, True],
            "text": [1, b"x", ["x"]],
            "time": ["1:00", 5, timedelta(1), NEW_YEAR],
            "timestamp": [5, 5.0, "2020-01-01", date(2020, 1, 1)],
            "timeuuid": ["x", b"x" * 16],
            "tinyint": ["x", 1.0, True],
            "uuid": ["00000000-0000-0000-0000-000000000005", b"x" * 16, 5],
            "varint": ["1", 1.0, True],
            "empty": [b"", "", 5],
        }
        for name, values in wrong.items():
            for value in values:
                self.refused(name, value, f"expected {name}, got", type(value).__name__)

    def test_message(self) -> None:
        """The very words of the error table."""
        self.assertEqual(
            str(self.assertRaises(EncodeError, SCALARS["int"].encode, "x")), 'expected int, got str "x"'
        )

    def test_integer_ranges(self) -> None:
        """Each integer type names its range."""
        for name, bits in (("bigint", 64), ("counter", 64), ("int", 32), ("smallint", 16), ("tinyint", 8)):
            low, high = -(1 << bits - 1), (1 << bits - 1) - 1
            for value in (low, high):
                self.assertEqual(SCALARS[name].decode(SCALARS[name].encode(value)), value)
            for value in (low - 1, high + 1):
                self.refused(name, value, f"expected {name} in {low}..{high}, got {value}")
            self.refused(name, 10**5000, f"{low}..{high}")

    def test_integers_of_other_classes(self) -> None:
        """What is an int by ``__index__`` is taken."""
        for name in ("bigint", "int", "tinyint", "varint"):
            for value, number in ((Level.HIGH, 3), (Index(), 7)):
                self.assertEqual(SCALARS[name].decode(SCALARS[name].encode(value)), number)
        self.assertEqual(SCALARS["decimal"].decode(SCALARS["decimal"].encode(Index())), Decimal(7))

    def test_padded_varint(self) -> None:
        """Padding is read as the server stores it."""
        self.assertEqual(SCALARS["varint"].decode(b"\0\0\0\x05"), 5)
        self.assertEqual(SCALARS["varint"].decode(b"\xff\xff\xff"), -1)
        self.assertEqual(SCALARS["decimal"].decode(b"\0\0\0\1\0\0\x0f"), Decimal("1.5"))

    def test_text(self) -> None:
        """Str enumerations are taken; what cannot be encoded or decoded is named."""
        self.assertEqual(SCALARS["text"].encode(Color.RED), b"red")
        self.refused("text", "a\ud800", "U+D800", "position 1")
        self.refused("ascii", "aé", "U+00E9", "position 1")
        self.assertIn("0xff at 1", str(self.assertRaises(DecodeError, SCALARS["text"].decode, b"a\xff")))
        self.assertRaises(DecodeError, SCALARS["ascii"].decode, b"\x80")

    def test_blob(self) -> None:
        """Whatever has a buffer is taken."""
        for value in (bytearray(b"ab"), memoryview(b"ab"), memoryview(b"a.b.")[::2], array.array("B", b"ab")):
            self.assertEqual(SCALARS["blob"].encode(value), b"ab")
        self.refused("blob", ctypes.c_int(5), "expected blob, got")

    def test_boolean(self) -> None:
        """Any byte but zero is true; a boolean scalar of a buffer, like numpy's, is taken."""
        self.assertIs(SCALARS["boolean"].decode(b"\x7f"), True)
        self.assertIs(SCALARS["boolean"].decode(b"\0"), False)
        self.assertEqual(SCALARS["boolean"].encode(ctypes.c_bool(True)), b"\x01")

    def test_double(self) -> None:
        """Ints only if they are exact; floats bit by bit."""
        double = SCALARS["double"]
        self.assertEqual(double.decode(double.encode(1 << 53)), float(1 << 53))
        self.refused("double", (1 << 53) + 1, "cannot hold exactly")
        self.refused("double", 10**400, "cannot hold exactly")
        self.assertEqual(double.decode(double.encode(ctypes.c_float(1.5))), 1.5)
        self.assertEqual(double.decode(double.encode(ctypes.c_double(0.1))), 0.1)
        for name in ("double", "float"):
            kind = SCALARS[name]
            self.assertEqual(math.copysign(1, kind.decode(kind.encode(-0.0))), -1)
            self.assertTrue(math.isnan(kind.decode(kind.encode(math.nan))))
            self.assertEqual(kind.decode(kind.encode(-math.inf)), -math.inf)
            self.assertEqual(kind.decode(kind.encode(Index())), 7.0)

    def test_float(self) -> None:
        """A float is rounded to 32 bits, an int is not; what is too large is refused."""
        kind = SCALARS["float"]
        self.assertEqual(kind.encode(0.1), struct.pack(">f", 0.1))
        self.assertEqual(kind.decode(kind.encode(1 << 24)), float(1 << 24))
        self.refused("float", (1 << 24) + 1, "cannot hold exactly")
        self.refused("float", 1e300, "3.4028235e+38", "1e+300")
        self.refused("float", 10**400, "cannot hold exactly")

    def test_decimal(self) -> None:
        """Scales of 32 bits, finite numbers only."""
        kind = SCALARS["decimal"]
        for text in ("1E+2147483648", "1E-2147483647", "0.000", "-1E5", "123456789012345678901234567890.5"):
            read = kind.decode(kind.encode(Decimal(text)))
            self.assertEqual(read.as_tuple(), Decimal(text).as_tuple())
        for text in ("1E+2147483649", "1E-2147483648"):
            self.refused("decimal", Decimal(text), "scale of 32 bits")
        for text in ("NaN", "-Infinity", "sNaN"):
            self.refused("decimal", Decimal(text), "not finite")
        for cut in prefixes(b"\0\0\0\x02\x05")[1:]:
            self.assertRaises(DecodeError, kind.decode, cut)

    def test_timestamp(self) -> None:
        """Whole milliseconds of aware datetimes; far years come as Timestamp."""
        kind = SCALARS["timestamp"]
        paris = timezone(timedelta(hours=2))
        self.assertEqual(kind.encode(NEW_YEAR.astimezone(paris)), kind.encode(NEW_YEAR))
        read = kind.decode(kind.encode(NEW_YEAR.astimezone(paris)))
        self.assertIs(read.tzinfo, UTC)
        self.refused("timestamp", datetime(2020, 1, 1), "naive", "give it a tzinfo")
        self.refused("timestamp", NEW_YEAR.replace(microsecond=1), "finer than a millisecond")
        self.refused("timestamp", NanosecondTime(2020, 1, 1, tzinfo=UTC), "finer than a millisecond")
        far = kind.decode(struct.pack(">q", 600_000_000_000_000))
        self.assertIs(type(far), Timestamp)
        for edge in (datetime.min, datetime.max.replace(microsecond=999_000)):
            self.assertEqual(kind.decode(kind.encode(edge.replace(tzinfo=UTC))), edge.replace(tzinfo=UTC))
        self.assertEqual(kind.encode(Timestamp(5)), bytes(7) + b"\x05")

    def test_date(self) -> None:
        """Years that Python does not know come as Date."""
        kind = SCALARS["date"]
        for edge in (date.min, date.max, date(1582, 10, 10)):
            self.assertEqual(kind.decode(kind.encode(edge)), edge)
            self.assertIs(type(kind.decode(kind.encode(edge))), date)
        for days in (-(1 << 31), (1 << 31) - 1):
            self.assertIs(type(kind.decode(kind.encode(Date(days)))), Date)

    def test_time(self) -> None:
        """Nanoseconds come as Time; what is not within a day can be read, not written."""
        kind = SCALARS["time"]
        self.assertEqual(kind.decode(kind.encode(time(1, 2, 3, 4))), time(1, 2, 3, 4))
        self.assertIs(type(kind.decode(kind.encode(Time(1)))), Time)
        self.assertEqual(kind.decode(struct.pack(">q", 86_400_000_000_000)), Time(86_400_000_000_000))
        self.refused("time", Time(86_400_000_000_000), "0..86399999999999", "got 86400000000000")
        self.refused("time", Time(-1), "got -1")
        self.refused("time", time(1, tzinfo=UTC), "tzinfo")

    def test_duration(self) -> None:
        """A timedelta becomes nanoseconds; mixed signs and surplus bytes are errors."""
        kind = SCALARS["duration"]
        self.assertEqual(kind.decode(kind.encode(timedelta(1, 5))), Duration(0, 0, 86_405_000_000_000))
        self.refused("duration", timedelta.max, "nanoseconds")
        self.assertRaises(DecodeError, kind.decode, bytes.fromhex("020300"))
        self.assertRaises(DecodeError, kind.decode, bytes.fromhex("02040600"))
        self.assertRaises(DecodeError, kind.decode, bytes.fromhex("f1ffffffff0000"))

    def test_uuids(self) -> None:
        """A timeuuid is of version 1, also where its variant is not that of RFC 4122."""
        kind = SCALARS["timeuuid"]
        biggest = uuid.UUID("e23f1e07-7e20-11ec-7f7f-7f7f7f7f7f7f")
        biggest = uuid.UUID(int=biggest.int & ~(0xF << 76) | 1 << 76)
        self.assertEqual(kind.decode(kind.encode(biggest)), biggest)
        self.refused("timeuuid", uuid.uuid4(), "expected timeuuid", "not of version 1")

    def test_inet(self) -> None:
        """Other sizes and zones are errors."""
        for size in (1, 3, 5, 15, 17):
            self.assertRaises(DecodeError, SCALARS["inet"].decode, bytes(size))
        self.refused("inet", ipaddress.ip_address("fe80::1%eth0"), "zone")

    def test_custom(self) -> None:
        """An unknown class is bytes, and keeps its name."""
        kind = CustomType("org.example.Strange")
        self.assertEqual((kind.name, kind.class_name), ("'org.example.Strange'", "org.example.Strange"))
        self.assertEqual(kind.decode(b"ab"), b"ab")
        self.assertEqual(kind.encode(b"ab"), b"ab")

    def test_empty(self) -> None:
        """The empty type has no bytes."""
        self.assertRaises(DecodeError, SCALARS["empty"].decode, b"x")

    def test_fused(self) -> None:
        """Generated code may read the server's fixed types by struct, but no subclass of them."""
        for kind in SCALARS.values():
            self.assertEqual(is_fused(kind), isinstance(kind, FixedType))
            if kind.format is not None:
                self.assertEqual(struct.calcsize(f">{kind.format}"), kind.size)

        class Own(FixedType):
            """A user's own."""

        self.assertFalse(is_fused(Own("own", "i")))
