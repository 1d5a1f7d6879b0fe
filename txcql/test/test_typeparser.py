"""Tests for :mod:`txcql.wire.typeparser`."""

from __future__ import annotations

import contextlib

from hypothesis import given, strategies as st
from twisted.trial.unittest import SynchronousTestCase

from txcql.errors import DecodeError
from txcql.test.examples import examples, types
from txcql.wire.collectiontypes import FrozenType, ListType, MapType, ReversedType, SetType, VectorType
from txcql.wire.cqltypes import CQLType
from txcql.wire.fieldtypes import TupleType, UDTType
from txcql.wire.scalars import FLOAT, INT, SCALARS, TEXT, TIMESTAMP, CustomType
from txcql.wire.typeparser import MARSHAL, class_name, parse_class_name, parse_type

ADDRESS = UDTType("ref", "addr", [("street", TEXT), ("zip", INT)])
KIND = UDTType("ks", "kind", [("f0", INT)])


class NotationTests(SynchronousTestCase):
    """CQL notation."""

    def test_names(self) -> None:
        """A type's name gives the type."""
        for kind in [
            *SCALARS.values(),
            FrozenType(ListType(INT)),
            MapType(TEXT, FrozenType(SetType(INT))),
            TupleType([INT, TEXT]),
            VectorType(FLOAT, 3),
            CustomType("org.example.Strange"),
            CustomType("it's"),
        ]:
            self.assertEqual(parse_type(kind.name), kind)

    def test_spellings(self) -> None:
        """Case and blanks do not matter; varchar is text."""
        self.assertEqual(parse_type(" MAP < Text,frozen<LIST<int>> > ").name, "map<text, frozen<list<int>>>")
        self.assertIs(parse_type("varchar"), TEXT)
        self.assertEqual(parse_type("vector<float,3>").name, "vector<float, 3>")
        self.assertIs(parse_type(f"'{MARSHAL}Int32Type'"), INT)

    def test_udts(self) -> None:
        """User-defined types are looked up, those of other keyspaces with their keyspace."""
        udts: dict[str, CQLType] = {"addr": ADDRESS, "My Type": KIND, "other.addr": KIND, "int": KIND}
        for text, kind in (
            ("addr", ADDRESS),
            ("ADDR", ADDRESS),
            ('"addr"', ADDRESS),
            ("other.addr", KIND),
            ("ref.addr", ADDRESS),
            ('"My Type"', KIND),
            ('ks."My Type"', KIND),
            ('"int"', KIND),
            ("int", INT),
        ):
            self.assertIs(parse_type(text, udts), kind)
        self.assertEqual(parse_type("list<frozen<addr>>", udts), ListType(FrozenType(ADDRESS)))

    def test_errors(self) -> None:
        """What is no type is refused with what was expected."""
        for text, said in [
            ("", "a type"),
            ("int>", "its end"),
            ("int int", "its end"),
            ("list<", "a type"),
            ("list<int", '">"'),
            ("map<int>", '","'),
            ("vector<int>", '","'),
            ("vector<int, x>", "number of elements"),
            ("vector<int, 0>", "number of elements"),
            ("vector<int, 99999999999999999999>", "number of elements"),
            ("int<int>", "no parameters"),
            ("nosuch", "known UDT"),
            ('"Quoted"', '"Quoted"'),
            ("list", "known UDT"),
            ("ks.", "the name of a type"),
            ("ks.nosuch", "known UDT"),
            ("$", '"$"'),
            ('"open', "a type"),
            ("list<" * 65 + "int" + ">" * 65, "deeper than 64"),
            ("<", "a type"),
        ]:
            self.assertIn(said, str(self.assertRaises(DecodeError, parse_type, text)))
        parse_type("list<" * 63 + "int" + ">" * 63)
        self.assertRaises(ValueError, parse_type, "nosuch")

    @examples
    @given(st.text(st.sampled_from("int<>,. 3listmap'\"vectorfz(")) | st.text())
    def test_any_text(self, text: str) -> None:
        """Text is a type or a DecodeError."""
        for parse in (parse_type, parse_class_name):
            with contextlib.suppress(DecodeError):
                parse(text)


class ClassNameTests(SynchronousTestCase):
    """Java class names."""

    def test_captured(self) -> None:
        """Names that a real node sent."""
        for text, kind in [
            (f"{MARSHAL}VectorType({MARSHAL}FloatType , 3)", VectorType(FLOAT, 3)),
            (
                f"{MARSHAL}VectorType({MARSHAL}FrozenType({MARSHAL}ListType({MARSHAL}Int32Type)) , 2)",
                VectorType(FrozenType(ListType(INT)), 2),
            ),
            (
                f"{MARSHAL}FrozenType({MARSHAL}UserType(ref,61646472,737472656574:{MARSHAL}UTF8Type,"
                f"7a6970:{MARSHAL}Int32Type))",
                FrozenType(ADDRESS),
            ),
            ("ReversedType(TimestampType)", ReversedType(TIMESTAMP)),
            (f"{MARSHAL}DateType", TIMESTAMP),
            ("MapType(UTF8Type, Int32Type)", MapType(TEXT, INT)),
            ("TupleType(Int32Type)", TupleType([INT])),
            ("SimpleDateType", SCALARS["date"]),
            ("CounterColumnType", SCALARS["counter"]),
        ]:
            self.assertEqual(parse_class_name(text), kind)

    def test_unknown(self) -> None:
        """An unknown class keeps its whole name; a stranger with a known short name is unknown."""
        for text in (
            "org.example.Strange",
            "org.example.Int32Type",
            f"{MARSHAL}CompositeType({MARSHAL}UTF8Type,x(y))",
            f"{MARSHAL}DynamicCompositeType(a=>{MARSHAL}BytesType)",
            f"{MARSHAL}ListType",
        ):
            kind = parse_class_name(text)
            self.assertIsInstance(kind, CustomType)
            self.assertEqual(class_name(kind), text)
        inside = parse_class_name("ListType(org.example.Strange(a, b))")
        self.assertEqual(inside, ListType(CustomType("org.example.Strange(a, b)")))

    @examples
    @given(types())
    def test_round_trip(self, kind: CQLType) -> None:
        """The name of a type gives the type."""
        self.assertEqual(parse_class_name(class_name(kind)), kind)

    def test_errors(self) -> None:
        """Parameters that make no sense are refused."""
        for text in (
            "",
            "ListType(",
            "ListType()",
            "ListType(Int32Type",
            "ListType(Int32Type,Int32Type)",
            "MapType(Int32Type)",
            "VectorType(Int32Type)",
            "VectorType(Int32Type , x)",
            "VectorType(Int32Type , 0)",
            "VectorType(Int32Type , ٣)",
            "UserType(ks,zz)",
            "UserType(ks)",
            "UserType(ks,61,61)",
            "UserType(ks,ff)",
            "Foo(",
            "Foo(a",
            "Int32Type)",
            "Int32Type x",
            "ListType(" * 65 + "Int32Type" + ")" * 65,
        ):
            self.assertRaises(DecodeError, parse_class_name, text)

    def test_nameless(self) -> None:
        """A codec of the user's has no class at the server."""

        class Own:
            name = "own"

        self.assertRaises(ValueError, class_name, Own())
