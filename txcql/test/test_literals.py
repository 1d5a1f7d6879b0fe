"""Constants of CQL texts as values; the sentences are those of a real node."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from txcql.errors import InvalidRequest
from txcql.test.fakeclient import fake_node
from txcql.testing import cqlstatements as cql
from txcql.testing.cqlparser import parse
from txcql.testing.execution import Execution
from txcql.testing.expressions import Receiver, Scope, compile_term
from txcql.testing.refusals import NOT_SUPPORTED
from txcql.wire.requests import QueryOptions
from txcql.wire.typeparser import parse_type

NOTHING = Execution((), QueryOptions(1), fake_node(), 5)


class LiteralTests(SynchronousTestCase):
    """Terms without bind markers."""

    def encode(self, text: str, name: str) -> bytes | None:
        statement = parse(f"INSERT INTO t (v) VALUES ({text})").statement
        assert isinstance(statement, cql.Insert)
        expression = compile_term(statement.terms[0], Receiver("v", parse_type(name)), Scope("ks", "t", {}))
        value = expression.value(NOTHING)
        assert value is None or isinstance(value, bytes)
        return value

    def assert_refused(self, text: str, name: str, sentence: str) -> None:
        error = self.assertRaises(InvalidRequest, self.encode, text, name)
        self.assertIn(sentence, str(error))

    def test_scalars(self) -> None:
        """Every kind of constant in the types that take it."""
        for text, name, expected in (
            ("1", "int", "00000001"),
            ("-1", "bigint", "ff" * 8),
            ("127", "tinyint", "7f"),
            ("300", "smallint", "012c"),
            ("300", "varint", "012c"),
            ("1", "double", "3ff0000000000000"),
            ("1.5", "float", "3fc00000"),
            ("1.50", "decimal", "000000020096"),
            ("'é'", "text", "c3a9"),
            ("'a'", "ascii", "61"),
            ("0x00ff", "blob", "00ff"),
            ("true", "boolean", "01"),
            ("'::1'", "inet", "00" * 15 + "01"),
            ("'1970-01-02'", "date", "80000001"),
            ("5", "timestamp", "0000000000000005"),
            ("'1970-01-01 01:00+01:00'", "timestamp", "0000000000000000"),
            ("'00:00:01.5'", "time", "0000000059682f00"),
            ("-1mo2d3ns", "duration", "010305"),
            ("[1, 2]", "vector<float, 2>", "3f80000040000000"),
            ("(1, 'a')", "tuple<int, text>", "00000004000000010000000161"),
            ("5", "time", "0000000000000005"),
            ("550e8400-e29b-41d4-a716-446655440000", "uuid", "550e8400e29b41d4a716446655440000"),
            ("550e8400-e29b-11d4-a716-446655440000", "timeuuid", "550e8400e29b11d4a716446655440000"),
        ):
            found = self.encode(text, name)
            assert found is not None
            self.assertEqual(found.hex(), expected, (text, name))
        self.assertIsNone(self.encode("null", "int"))

    def test_wrong_kind(self) -> None:
        """A constant of another kind."""
        self.assert_refused("'x'", "int", 'Invalid STRING constant (x) for "v" of type int')
        self.assert_refused("1.5", "int", 'Invalid FLOAT constant (1.5) for "v" of type int')
        self.assert_refused("true", "double", 'Invalid BOOLEAN constant (true) for "v" of type double')
        self.assert_refused("'abc'", "blob", 'Invalid STRING constant (abc) for "v" of type blob')

    def test_out_of_range(self) -> None:
        """Numbers that do not fit."""
        self.assert_refused("99999999999", "int", "Unable to make int from '99999999999'")
        self.assert_refused("128", "tinyint", "Unable to make byte from '128'")
        self.assert_refused("0x123", "blob", "cannot parse '123' as hex bytes")
        self.assert_refused("'nope'", "inet", "Unable to make inet address from 'nope'")
        self.assert_refused("'é'", "ascii", "Invalid ASCII character in string literal")
        self.assert_refused("550e8400-e29b-41d4-a716-446655440000", "timeuuid", "supports only version 1")

    def test_collections(self) -> None:
        """Their elements are constants."""
        for text, name, expected in (
            ("[1, 1]", "list<int>", "00000002" + "0000000400000001" * 2),
            ("{'b'}", "set<text>", "00000001" + "0000000162"),
            ("{1: 'a'}", "map<int, text>", "00000001" + "0000000400000001" + "0000000161"),
            ("{}", "frozen<map<int, text>>", "00000000"),
            ("[1, 2]", "vector<float, 2>", "3f80000040000000"),
            ("[1]", "frozen<list<int>>", "000000010000000400000001"),
        ):
            found = self.encode(text, name)
            assert found is not None
            self.assertEqual(found.hex(), expected, (text, name))

    def test_wrong_collections(self) -> None:
        """Other collections, other elements, null."""
        for text, name, sentence in (
            ("{1}", "list<text>", "Invalid set literal for v of type list<text>"),
            ("[1]", "set<int>", "Unexpected receiver type 'set<int>'; only list and vector are expected"),
            ("{'x'}", "set<int>", "Invalid set literal for v: value 'x' is not of type int"),
            ("[1]", "list<text>", "Invalid list literal for v: value 1 is not of type text"),
            ("{1: 1}", "map<text, int>", "Invalid map literal for v: key 1 is not of type text"),
            ("[null]", "list<int>", "null is not supported inside collections"),
            ("{'a': null}", "map<text, int>", "null is not supported inside collections"),
        ):
            self.assert_refused(text, name, sentence)

    def test_not_supported(self) -> None:
        """Forms that the fake does not read."""
        for text, name in (
            ("'2020-01-01 00:00:00.1234567'", "timestamp"),
            ("'10000-01-01'", "date"),
            ("'2020-13-01 00:00'", "timestamp"),
            ("1e400", "double"),
        ):
            self.assert_refused(text, name, NOT_SUPPORTED)
