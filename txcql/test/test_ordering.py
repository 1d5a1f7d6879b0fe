"""The order of values, as Cassandra has it."""

from __future__ import annotations

import struct
import uuid
from decimal import Decimal
from typing import Any

from hypothesis import given, settings, strategies as st
from twisted.trial.unittest import SynchronousTestCase

from txcql.errors import InvalidRequest
from txcql.testing.ordering import Descending, sort_key
from txcql.wire.scalars import DECIMAL, DURATION, VARINT
from txcql.wire.typeparser import parse_type


def time_uuid(time: int, rest: int) -> bytes:
    return uuid.UUID(
        fields=(time & 0xFFFFFFFF, time >> 32 & 0xFFFF, time >> 48 | 0x1000, 0x80, 0, rest)
    ).bytes


class SortKeyTests(SynchronousTestCase):
    """:func:`sort_key`."""

    def check(self, name: str, ascending: list[bytes]) -> None:
        key = sort_key(parse_type(name))
        keys = [key(data) for data in ascending]
        self.assertEqual(sorted(keys), keys)
        self.assertEqual(len(set(keys)), len(keys))

    def test_integers(self) -> None:
        """Signed; no bytes at all come first."""
        for name, size in (("tinyint", 1), ("smallint", 2), ("int", 4), ("bigint", 8), ("timestamp", 8)):
            numbers = [-(1 << 8 * size - 1), -1, 0, 1, (1 << 8 * size - 1) - 1]
            self.check(name, [b"", *(number.to_bytes(size, "big", signed=True) for number in numbers)])

    def test_bytes(self) -> None:
        """Unsigned, the shorter first."""
        for name in ("text", "ascii", "blob", "inet", "date"):
            self.check(name, [b"", b"\0", b"a", b"aa", b"b", b"\xff"])

    def test_booleans(self) -> None:
        """False before true; every byte but zero is true."""
        self.check("boolean", [b"", b"\0", b"\1"])
        key = sort_key(parse_type("boolean"))
        self.assertEqual(key(b"\1"), key(b"\x7f"))

    def test_floats(self) -> None:
        """-0.0 before 0.0, and NaN behind all."""
        values = [float("-inf"), -1.5, -1e-300, -0.0, 0.0, 1e-300, 1.5, float("inf"), float("nan")]
        self.check("double", [b"", *(struct.pack(">d", value) for value in values)])
        values = [float("-inf"), -1.5, -0.0, 0.0, 1.5, float("inf"), float("nan")]
        self.check("float", [b"", *(struct.pack(">f", value) for value in values)])

    def test_uuids(self) -> None:
        """By version first; those of version 1 by their time."""
        early, late = time_uuid(1 << 33, 9), time_uuid(1 << 34, 0)
        random = uuid.UUID("00000000-0000-4000-8000-000000000000").bytes
        self.check("uuid", [b"", early, late, random])
        self.assertGreater(early[:4] + early[8:], late[:4] + late[8:])

    def test_timeuuids(self) -> None:
        """By time, then by the other bytes, which are signed."""
        first, second = bytearray(time_uuid(5, 0)), bytearray(time_uuid(5, 0))
        first[15], second[15] = 0x80, 0x7F
        self.check("timeuuid", [b"", bytes(first), bytes(second), time_uuid(6, 0)])

    def test_elements(self) -> None:
        """Frozen collections element by element."""
        one, two = b"\0\0\0\4\0\0\0\1", b"\0\0\0\4\0\0\0\2"
        for name in ("frozen<list<int>>", "frozen<set<int>>"):
            self.check(name, [b"\0\0\0\0", b"\0\0\0\1" + one, b"\0\0\0\2" + one + two, b"\0\0\0\1" + two])

    @settings(deadline=None)
    @given(values=st.lists(st.decimals(allow_nan=False, allow_infinity=False), min_size=2))
    def test_decimals(self, values: list[Decimal]) -> None:
        """By value, whatever the scale."""
        key = sort_key(DECIMAL)
        ordered = sorted(values, key=lambda value: key(DECIMAL.write(value)))
        self.assertEqual(ordered, sorted(values))

    def test_equal_decimals(self) -> None:
        """1.0 and 1.00 are the same key."""
        key = sort_key(DECIMAL)
        self.assertEqual(key(DECIMAL.write(Decimal("1.0"))), key(DECIMAL.write(Decimal("1.00"))))

    @settings(deadline=None)
    @given(values=st.lists(st.integers()))
    def test_varints(self, values: list[int]) -> None:
        """By value."""
        key = sort_key(VARINT)
        self.assertEqual(sorted(values, key=lambda value: key(VARINT.write(value))), sorted(values))

    def test_refused(self) -> None:
        """Types that the fake cannot order."""
        for cqltype in (DURATION, parse_type("list<duration>"), parse_type("vector<text, 2>")):
            self.assertRaises(InvalidRequest, sort_key, cqltype)


class DescendingTests(SynchronousTestCase):
    """:class:`Descending`."""

    @settings(deadline=None)
    @given(values=st.lists(st.integers()))
    def test_order(self, values: list[Any]) -> None:
        """From the end; equal keys stay equal."""
        self.assertEqual(sorted(values, key=Descending), sorted(values, reverse=True))
        for value in values:
            self.assertEqual(Descending(value), Descending(value))
            self.assertEqual(hash(Descending(value)), hash(Descending(value)))
        self.assertNotEqual(Descending(1), Descending(2))
        self.assertNotEqual(Descending(1), 1)
