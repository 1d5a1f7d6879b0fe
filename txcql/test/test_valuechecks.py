"""Encoded values as the server takes them; the expectations were measured on a real node."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from txcql.errors import InternalServerError, InvalidRequest, ServerError
from txcql.testing.refusals import NOT_SUPPORTED
from txcql.testing.valuechecks import value_check
from txcql.wire.primitives import write_bytes
from txcql.wire.typeparser import parse_type


def cells(*parts: bytes | None, width: int = 1) -> bytes:
    count = len(parts) // width
    return count.to_bytes(4, "big") + b"".join(write_bytes(part) for part in parts)


def number(value: int) -> bytes:
    return value.to_bytes(4, "big", signed=True)


class ValueCheckTests(SynchronousTestCase):
    """:func:`value_check`."""

    def assert_stored(self, name: str, data: bytes, stored: bytes | None) -> None:
        self.assertEqual(value_check(parse_type(name))(data), stored)

    def assert_refused(
        self, name: str, data: bytes, sentence: str, kind: type[ServerError] = InvalidRequest
    ) -> None:
        error = self.assertRaises(kind, value_check(parse_type(name)), data)
        self.assertIn(sentence, str(error))

    def test_sizes(self) -> None:
        """Values of fixed size; some types have an empty value."""
        for name, size, sentence in (
            ("bigint", 8, "Expected 8 or 0 byte long (3)"),
            ("boolean", 1, "Expected 1 or 0 byte value (3)"),
            ("double", 8, "Expected 8 or 0 byte value for a double (3)"),
            ("float", 4, "Expected 4 or 0 byte value for a float (3)"),
            ("int", 4, "Expected 4 or 0 byte int (3)"),
            ("timestamp", 8, "Expected 8 or 0 byte long for date (3)"),
            ("uuid", 16, "UUID should be 16 or 0 bytes (3)"),
        ):
            self.assert_stored(name, b"\1" * size, b"\1" * size)
            self.assert_stored(name, b"", b"")
            self.assert_refused(name, b"\1" * 3, sentence)
        for name, size, sentence in (
            ("date", 4, "Expected 4 byte long for date (0)"),
            ("smallint", 2, "Expected 2 bytes for a smallint (0)"),
            ("time", 8, "Expected 8 byte long for time (0)"),
            ("tinyint", 1, "Expected 1 byte for a tinyint (0)"),
        ):
            self.assert_stored(name, b"\1" * size, b"\1" * size)
            self.assert_refused(name, b"", sentence)

    def test_texts(self) -> None:
        """UTF-8, and ASCII."""
        self.assert_stored("text", "é".encode(), "é".encode())
        self.assert_stored("text", b"", b"")
        self.assert_refused("text", b"\xff\xfe", "String didn't validate.")
        self.assert_refused("ascii", "é".encode(), "String didn't validate.")
        self.assert_stored("blob", b"\xff", b"\xff")

    def test_others(self) -> None:
        """Types of other sizes."""
        self.assert_stored("inet", b"\x7f\0\0\1", b"\x7f\0\0\1")
        self.assert_refused("inet", b"123", "inet")
        self.assert_stored("varint", b"\0\1", b"\0\1")
        self.assert_stored("decimal", b"\0\0\0\1\5", b"\0\0\0\1\5")
        self.assert_refused("decimal", b"\0", "decimal")
        self.assert_stored("duration", b"\2\4\6", b"\2\4\6")
        self.assert_refused("duration", b"", "duration")
        self.assert_stored("timeuuid", b"", b"")
        self.assert_refused("timeuuid", b"1" * 16, "Invalid version for TimeUUID type: 0x3")
        self.assert_refused("timeuuid", b"1", "UUID should be 16 or 0 bytes (1)")

    def test_sets(self) -> None:
        """Sorted, without doubles; empty is null unless frozen."""
        self.assert_stored("set<text>", cells(b"b", b"a", b"b"), cells(b"a", b"b"))
        self.assert_stored("frozen<set<int>>", cells(number(5), number(-1)), cells(number(-1), number(5)))
        self.assert_stored("set<int>", cells(), None)
        self.assert_stored("frozen<set<int>>", cells(), cells())
        self.assert_refused("set<int>", cells(None), "Null value read when not allowed")
        self.assert_refused("set<int>", cells(b"x"), "Expected 4 or 0 byte int (1)")
        self.assert_refused("set<int>", b"", "Not enough bytes to read a set")
        self.assert_refused("set<int>", b"\0\0", "Not enough bytes to read a set")
        self.assert_refused("set<text>", b"\0\0\0\2\0\0\0\1a", "Not enough bytes to read a set")
        self.assert_refused("set<text>", cells(b"a") + b"x", "Unexpected extraneous bytes after set value")

    def test_maps(self) -> None:
        """Sorted by key; of one key, the last value stays."""
        self.assert_stored(
            "map<int, text>",
            cells(number(2), b"b", number(1), b"a", number(2), b"c", width=2),
            cells(number(1), b"a", number(2), b"c", width=2),
        )
        self.assert_refused("map<int, text>", cells(number(1), None, width=2), "Null value read")
        self.assert_refused("map<int, text>", cells(None, b"a", width=2), "Null value read")
        self.assert_refused("map<int, text>", b"\0\0\0\1", "Not enough bytes to read a map")

    def test_lists(self) -> None:
        """As they are; null elements in frozen ones only."""
        self.assert_stored("list<int>", cells(number(3), number(1)), cells(number(3), number(1)))
        self.assert_stored("list<int>", cells(), None)
        self.assert_stored("frozen<list<int>>", cells(None), cells(None))
        self.assert_refused("list<int>", cells(None), "NullPointerException", InternalServerError)

    def test_tuples_and_vectors(self) -> None:
        """Of scalars."""
        self.assert_stored("tuple<int, text>", write_bytes(number(1)), write_bytes(number(1)))
        self.assert_refused("tuple<int, text>", b"\0\0", "element 1")
        self.assert_stored("vector<float, 2>", bytes(8), bytes(8))
        self.assert_refused("vector<float, 2>", bytes(4), "vector")
        self.assert_refused("vector<float, 2>", b"", "vector")

    def test_nested(self) -> None:
        """What is inside a collection is brought into its own form too."""
        check = value_check(parse_type("list<frozen<set<int>>>"))
        two_one = bytes.fromhex("0000000200000004000000020000000400000001")
        one_two = bytes.fromhex("0000000200000004000000010000000400000002")
        self.assertEqual(
            check(b"\0\0\0\1" + len(two_one).to_bytes(4, "big") + two_one),
            b"\0\0\0\1" + len(one_two).to_bytes(4, "big") + one_two,
        )

    def test_refused_types(self) -> None:
        """Types of classes that the fake does not know."""
        error = self.assertRaises(InvalidRequest, value_check, parse_type("'org.example.Custom'"))
        self.assertIn(NOT_SUPPORTED, str(error))
