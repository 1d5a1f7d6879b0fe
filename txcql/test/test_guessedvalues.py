"""Tests for :mod:`txcql.session.guessedvalues`."""

from __future__ import annotations

import enum
from datetime import date, datetime, time, timezone
from decimal import Decimal
from ipaddress import ip_address
from typing import Any
from uuid import UUID

from twisted.trial.unittest import SynchronousTestCase

import txcql
from txcql.errors import EncodeError
from txcql.session.guessedvalues import Typed, encode_guessed, guess_type
from txcql.test.scriptedrequests import RequestTestCase
from txcql.wire import constants
from txcql.wire.typeparser import parse_type
from txcql.wire.usercodecs import CodecRegistry
from txcql.wire.values import EMPTY, UNSET

SELECT = "SELECT * FROM t WHERE a = ?"


def encode(value: Any, version: int = 5, codecs: Any = None) -> bytes:
    """One value, behind its count and length."""
    return encode_guessed(SELECT, [value], version, CodecRegistry(codecs))[6:]


class Colour(enum.IntEnum):
    """A whole number by another name."""

    RED = 1


class GuessTests(SynchronousTestCase):
    """Which type a class stands for."""

    def test_classes(self) -> None:
        """The only one that there is."""
        for value, name in (
            (True, "boolean"),
            ("x", "text"),
            (b"x", "blob"),
            (bytearray(b"x"), "blob"),
            (1.5, "double"),
            (Decimal("1.5"), "decimal"),
            (UUID(int=1), "uuid"),
            (datetime(2024, 1, 2, tzinfo=timezone.utc), "timestamp"),
            (date(2024, 1, 2), "date"),
            (time(1, 2, 3), "time"),
            (txcql.Timestamp(5), "timestamp"),
            (txcql.Date(5), "date"),
            (txcql.Time(5), "time"),
            (txcql.Duration(1, 2, 3), "duration"),
            (ip_address("::1"), "inet"),
            (ip_address("127.0.0.1"), "inet"),
            (["a", None, "b"], "list<text>"),
            ({1.5}, "set<double>"),
            (frozenset({"a"}), "set<text>"),
            ({"a": [True]}, "map<text, list<boolean>>"),
            (("a", 1.5), "tuple<text, double>"),
        ):
            found = guess_type(value)
            assert found is not None
            self.assertEqual(found.name, name)
            self.assertEqual(encode(value), parse_type(name).encode(value), name)

    def test_of_any_type(self) -> None:
        """Null, empty, unset, and collections of nothing."""
        whole = encode_guessed("SELECT ?, ?, ?, ?", [None, EMPTY, UNSET, []], 5, CodecRegistry())
        self.assertEqual(whole.hex(), "0004ffffffff00000000fffffffe0000000400000000")
        self.assertRaisesRegex(EncodeError, "UNSET needs protocol version 4", encode, UNSET, 3)
        self.assertEqual(encode(("a", None)), parse_type("tuple<text, int>").encode(("a", None)))

    def test_numbers(self) -> None:
        """A whole number may be of six types, and is written as none of them."""
        for value in (5, [5], {"a": 5}, ("a", 5), Colour.RED):
            self.assertRaisesRegex(
                EncodeError, r'^parameter 1 "\?" .*may be a tinyint, smallint, int, bigint', encode, value
            )
        self.assertRaisesRegex(EncodeError, r'txcql\.Typed\("bigint", 5\)', encode, 5)

    def test_what_stands_for_none(self) -> None:
        """Any other class; elements of several; what is nested without end."""
        self.assertRaisesRegex(EncodeError, "stands for no CQL type", encode, object())
        self.assertRaisesRegex(
            EncodeError, "a collection of text and double needs to be typed", encode, ["a", 1.5]
        )
        nested: Any = []
        for _ in range(40):
            nested = [nested]
        self.assertRaisesRegex(EncodeError, "nested deeper than 32", encode, nested)

    def test_typed(self) -> None:
        """Of the type that is said, or an error that says why not."""
        self.assertEqual(encode(Typed("bigint", 5)), bytes(7) + b"\5")
        self.assertEqual(encode(Typed("list<int>", [5])).hex(), "000000010000000400000005")
        self.assertRaisesRegex(EncodeError, r"expected int, got str \"x\"", encode, Typed("int", "x"))
        self.assertRaises(ValueError, Typed, "nonsense", 5)
        self.assertEqual(repr(Typed("int", 5)), "Typed('int', 5)")

    def test_codecs(self) -> None:
        """A codec for a CQL type is used for what is written as that type."""

        class Shouting:
            def encode(self, value: Any) -> bytes:
                return str(value).upper().encode()

            def decode(self, data: Any) -> Any:
                return data

        self.assertEqual(encode("x", codecs={"text": Shouting()}), b"X")
        self.assertEqual(encode(Typed("text", "x"), codecs={"text": Shouting()}), b"X")

    def test_names(self) -> None:
        """Values by name are sent in the order of the markers; none too many, none too few."""
        text = "SELECT :b, :A FROM t"
        named = encode_guessed(text, {"a": "1", "b": "2"}, 5, CodecRegistry())
        self.assertEqual(named, encode_guessed(text, ["2", "1"], 5, CodecRegistry()))
        for values, error in (
            ({"a": "1"}, 'expected 2 parameters, got 1: missing "b"'),
            ({"a": "1", "b": "2", "c": "3"}, 'unknown parameter str "c": the statement has "b", "a"'),
            (["1"], 'expected 2 parameters, got 1: missing "a"'),
            (None, "expected 2 parameters, got 0"),
        ):
            self.assertRaisesRegex(EncodeError, error, encode_guessed, text, values, 5, CodecRegistry())


class RequestTests(RequestTestCase):
    """Text that is not prepared."""

    def test_values_go_with_the_text(self) -> None:
        """As one QUERY, whose pages are read as of any other."""
        text = "SELECT v FROM t WHERE k = ? AND v = ?"
        self.one.teach(
            text, lambda asked: asked.rows((), [], b"more" if not asked.options.paging_state else None)
        )
        session = self.connect()
        statement = txcql.SimpleStatement(text, [Typed("int", 5), "x"], prepare=False, page_size=3)
        result = self.answer(session.execute(statement))
        self.answer(result.next_page())
        self.assertEqual(self.asked(), ["query 1", "query 1"])
        first, second = (asked.request for asked in self.one.requests)
        self.assertEqual(list(first.values), [b"\0\0\0\5", b"x"])
        self.assertEqual(first.values, second.values)
        self.assertEqual(second.options.paging_state, b"more")
        self.assertEqual(session.snapshot()["prepared"], 0)

    def test_it_is_encoded_at_once(self) -> None:
        """Or fails, and nothing is sent."""
        session = self.connect()
        self.error(session.execute(SELECT, [5], prepare=False), EncodeError)
        self.error(session.execute(SELECT, prepare=False), EncodeError)
        self.assertEqual(self.asked(), [])

    def test_prepare_all(self) -> None:
        """With ``prepare=True`` text without parameters is prepared, too."""
        self.one.teach("SELECT v FROM t WHERE k = 1", columns=())
        session = self.connect()
        self.answer(session.execute("SELECT v FROM t WHERE k = 1", prepare=True))
        self.assertEqual(self.asked(), ["prepare 1", "execute 1"])

    def test_bulk(self) -> None:
        """Bulk work leaves it unprepared, too."""
        text = "INSERT INTO t (k, v) VALUES (?, 'x')"
        self.one.teach(text)
        session = self.connect()
        rows = [[Typed("int", number)] for number in range(3)]
        self.answer(session.execute_many(text, rows, prepare=False))
        sink = session.sink(prepare=False)
        sink.write(text, rows[0])
        sink.finish()
        self.answer(sink.finished)
        self.assertEqual([asked.opcode for asked in self.one.requests], [constants.QUERY] * 4)
