"""Tests for :mod:`txcql.wire.usercodecs`."""

from __future__ import annotations

import dataclasses
import enum
import struct
from collections import namedtuple
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from typing import Any

import attrs
from hypothesis import given
from twisted.trial.unittest import SynchronousTestCase

from txcql.errors import DecodeError, EncodeError
from txcql.test.examples import examples, types
from txcql.wire.binding import ParameterEncoder
from txcql.wire.collectiontypes import FrozenType, ListType, ReversedType
from txcql.wire.fieldtypes import UDTType
from txcql.wire.metadata import Column
from txcql.wire.rows import RowDecoder
from txcql.wire.scalars import INT, TEXT, TIMESTAMP
from txcql.wire.typeparser import parse_type
from txcql.wire.usercodecs import CodecRegistry, RecordUDT, UserType, bare_type, plain_type
from txcql.wire.values import EMPTY, UNSET

ADDRESS = UDTType("ks", "address", [("street", TEXT), ("zip", INT)])


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


class ColorCodec:
    """Text as an Enum."""

    cql_type = "text"

    def encode(self, value: Color | None) -> bytes | None:
        return None if value is None else value.value.encode()

    def decode(self, data: bytes | None) -> Color | None:
        return None if data is None else Color(data.decode())


class LocalTimeCodec:
    """Timestamps in a time zone."""

    zone = timezone(timedelta(hours=2))

    def encode(self, value: datetime | None) -> bytes | None:
        return TIMESTAMP.encode(None if value is None else value.replace(tzinfo=self.zone))

    def decode(self, data: bytes | None) -> Any:
        value = TIMESTAMP.decode(data)
        return value.astimezone(self.zone).replace(tzinfo=None) if isinstance(value, datetime) else value


class Hex:
    """Varints as text."""

    def encode(self, value: str | None) -> Any:
        return None if value in (None, "null") else bytes.fromhex(value) if value != "odd" else 5

    def decode(self, data: bytes | None) -> str:
        return "null" if data is None else data.hex()


@dataclasses.dataclass(frozen=True)
class Address:
    street: str | None
    zip: int | None = None


@attrs.frozen
class AttrsAddress:
    street: str | None
    _zip: int | None = None


class LooseAddress:
    def __init__(self, **fields: Any) -> None:
        self.__dict__.update(fields)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, LooseAddress) and vars(self) == vars(other)

    __hash__ = None  # type: ignore[assignment]


TupleAddress = namedtuple("TupleAddress", "zip street")
MOMENT = datetime(2020, 1, 1, 12)


def column(kind: Any) -> Column:
    """A column ``v`` of a type or a name of one."""
    return Column("ks", "t", "v", parse_type(kind, {"address": ADDRESS}) if isinstance(kind, str) else kind)


def read(codecs: Mapping[Any, Any], kind: Any) -> Any:
    """The type of a result's column."""
    return CodecRegistry(codecs).columns([column(kind)])[0].type


def written(codecs: Mapping[Any, Any], kind: Any) -> Any:
    """The type of a parameter."""
    return CodecRegistry(codecs).parameters([column(kind)])[0].type


class TypeCodecTests(SynchronousTestCase):
    """Codecs for CQL types."""

    def round_trip(self, codecs: Mapping[Any, Any], kind: Any, value: Any, plain: Any) -> None:
        """A value of the codec's is a plain one on the wire, in columns and in parameters."""
        original = column(kind).type
        for changed in (read(codecs, kind), written(codecs, kind)):
            data = changed.encode(value)
            self.assertEqual(data, original.encode(plain), (kind, value))
            self.assertEqual(changed.decode(data), value)
            self.assertEqual(changed.name, original.name)
        self.assertEqual(plain_type(read(codecs, kind)), original)

    def test_alone_and_nested(self) -> None:
        """In a column, a list, a set, a map, a tuple, a UDT, a vector, and all of them in each other."""
        codecs = {"text": ColorCodec(), "timestamp": LocalTimeCodec()}
        red, moment = Color.RED, MOMENT.replace(tzinfo=LocalTimeCodec.zone)
        self.round_trip(codecs, "text", red, "red")
        self.round_trip(codecs, ReversedType(TEXT), red, "red")
        self.round_trip(codecs, "list<text>", [red, red], ["red", "red"])
        self.round_trip(codecs, "frozen<set<text>>", {red}, {"red"})
        self.round_trip(codecs, "map<text, timestamp>", {red: MOMENT}, {"red": moment})
        self.round_trip(codecs, "tuple<text, int>", (red, 5), ("red", 5))
        self.round_trip(codecs, "address", ADDRESS.row(red, 5), ("red", 5))
        self.round_trip(codecs, "vector<text, 2>", [red, Color.BLUE], ["red", "blue"])
        self.round_trip(codecs, "vector<timestamp, 2>", [MOMENT, MOMENT], [moment, moment])
        self.round_trip(
            codecs,
            "map<frozen<tuple<text, int>>, frozen<list<frozen<address>>>>",
            {(red, 1): [ADDRESS.row(red, None)]},
            {("red", 1): [("red", None)]},
        )

    def test_whole_collections(self) -> None:
        """A codec for a nested type comes before those for its parts, frozen or not."""
        codecs = {"frozen<list<text>>": Hex(), "text": ColorCodec()}
        data = parse_type("list<text>").encode(["a"])
        assert data is not None
        for kind in ("list<text>", "frozen<list<text>>"):
            self.assertEqual(read(codecs, kind).decode(data), data.hex())
        self.assertEqual(
            read(codecs, "set<text>").decode(parse_type("set<text>").encode({"red"})), {Color.RED}
        )
        self.assertIs(type(read(codecs, "set<frozen<list<text>>>").element), FrozenType)

    def test_unused(self) -> None:
        """Types without a codec stay the very same objects, and so stay fast."""
        for kind in ("int", "list<int>", "map<int, frozen<list<int>>>", "address", "vector<float, 3>"):
            plain = column(kind)
            self.assertIs(CodecRegistry({"timestamp": LocalTimeCodec()}).columns([plain])[0].type, plain.type)
            self.assertIs(CodecRegistry({}).parameters([plain])[0].type, plain.type)
        self.assertFalse(CodecRegistry({}))
        self.assertFalse(CodecRegistry())
        self.assertTrue(CodecRegistry({"int": Hex()}))

    @examples
    @given(types())
    def test_taken_out_again(self, kind: Any) -> None:
        """Whatever is put into a type, the plain one can be had of it."""
        codecs = {name: Hex() for name in ("text", "int", "uuid", "list<int>", "ks.kind", "varint", "float")}
        columns = [Column("ks", "t", "v", kind)]
        self.assertEqual(plain_type(CodecRegistry(codecs).columns(columns)[0].type), kind)
        self.assertEqual(bare_type(bare_type(kind)), bare_type(kind))

    def test_null_empty(self) -> None:
        """Null goes through the codec, which may have a value of its own for it; EMPTY does not."""
        kind = read({"varint": Hex()}, "varint")
        self.assertEqual((kind.decode(None), kind.encode("null")), ("null", None))
        self.assertEqual((kind.encode(EMPTY), kind.decode(b"")), (b"", ""))
        pair = read({"varint": Hex()}, "tuple<varint, int>")
        self.assertEqual(pair.decode(pair.encode(("null", 5))), ("null", 5))
        self.assertIn(
            "expected varint",
            str(self.assertRaises(EncodeError, read({"varint": Hex()}, "varint").write, "null")),
        )

    def test_mistakes(self) -> None:
        """What a codec does wrong is told with the column, the type and the value."""
        encoder = ParameterEncoder(
            CodecRegistry({"text": ColorCodec(), "varint": Hex(), "int": Hex()}).parameters(
                [Column("ks", "t", "c", TEXT), column("list<varint>"), Column("ks", "t", "i", INT)]
            )
        )
        error = self.assertRaises(EncodeError, encoder.encode, ["red", [], UNSET], 4)
        self.assertIn(
            'parameter 1 "c" (text): expected text, got str "red", which its codec refuses: AttributeError',
            str(error),
        )
        error = self.assertRaises(EncodeError, encoder.encode, [Color.RED, ["00", "odd"], UNSET], 4)
        self.assertIn(
            'element 2: expected varint, got str "odd", whose codec gave int 5, and not bytes', str(error)
        )
        error = self.assertRaises(EncodeError, encoder.encode, [Color.RED, [], "0000"], 4)
        self.assertIn("whose codec gave 2 bytes, and not 4", str(error))
        decoder = RowDecoder(CodecRegistry({"text": ColorCodec()}).columns([column("list<text>")]))
        page = struct.pack(">iiii", 4 + 8, 1, 4, 0x70696E6B)
        error = self.assertRaises(DecodeError, list, decoder.rows(page, 0, 1))
        self.assertIn(
            'row 1, column "v" (list<text>): element 1: the codec of text failed: ValueError', str(error)
        )

    def test_refused(self) -> None:
        """What is no codec, and what is no type."""
        for wrong in ({"text": Color}, {"text": 5}, {5: ColorCodec()}, {Color: 5}, {"ks.address": 5}):
            self.assertRaises(TypeError, CodecRegistry, wrong)
        for name in ("txet", "list<txet>", "a.b.c", "", "frozen<ks.address>", '"a"b"."c"'):
            error = self.assertRaises(ValueError, CodecRegistry, {name: ColorCodec()})
            self.assertIn("keyspace.name", str(error))
        wrong_class = ColorCodec()
        wrong_class.cql_type = "txet"
        self.assertRaises(ValueError, CodecRegistry, {Color: wrong_class})


class ClassCodecTests(SynchronousTestCase):
    """Codecs for the instances of a class."""

    def test_everywhere(self) -> None:
        """Wherever a text may stand, beside plain values."""
        codecs = {Color: ColorCodec()}
        for kind, value, plain in (
            ("text", Color.RED, "red"),
            ("text", "green", "green"),
            ("list<text>", [Color.RED, "x"], ["red", "x"]),
            ("map<text, int>", {Color.RED: 1}, {"red": 1}),
            ("frozen<tuple<text, int>>", (Color.BLUE, 2), ("blue", 2)),
            ("address", {"street": Color.BLUE}, {"street": "blue"}),
            ("vector<text, 2>", [Color.BLUE, "x"], ["blue", "x"]),
            ("vector<int, 2>", [1, 2], [1, 2]),
            ("text", None, None),
        ):
            self.assertEqual(written(codecs, kind).encode(value), column(kind).type.encode(plain))
        self.assertIs(CodecRegistry(codecs).columns([column("text")])[0].type, TEXT)

    def test_subclasses(self) -> None:
        """The nearest class of a value's counts."""

        class Base:
            pass

        class Derived(Base):
            pass

        class Constant:
            def __init__(self, data: bytes) -> None:
                self.data = data

            def encode(self, value: object) -> bytes:
                return self.data

        codecs = {Base: Constant(b"base"), object: Constant(b"object")}
        self.assertEqual(written(codecs, "text").encode(Derived()), b"base")
        self.assertEqual(
            written({**codecs, Derived: Constant(b"derived")}, "text").encode(Derived()), b"derived"
        )
        self.assertEqual(written(codecs, "text").encode("any"), b"object")

    def test_wrong_type(self) -> None:
        """Bytes of another type are not sent."""
        error = self.assertRaises(EncodeError, written({Color: ColorCodec()}, "int").encode, Color.BLUE)
        self.assertIn("expected int, got Color <Color.BLUE", str(error))
        self.assertIn("which its codec writes as text", str(error))

        class Untold:
            def encode(self, value: Any) -> Any:
                return (
                    value.value.encode() if value is Color.RED else None if value is Color.BLUE else b"1234"
                )

        codecs = {Color: Untold(), bytes: Untold()}
        error = self.assertRaises(EncodeError, written(codecs, "int").encode, Color.RED)
        self.assertIn("whose codec gave 3 bytes, and not 4", str(error))
        error = self.assertRaises(EncodeError, written(codecs, "inet").encode, Color.RED)
        self.assertIn("whose codec wrote something else", str(error))
        self.assertIsNone(written(codecs, "inet").encode(Color.BLUE))
        self.assertRaises(EncodeError, written(codecs, "inet").write, Color.BLUE)
        error = self.assertRaises(EncodeError, written(codecs, "list<inet>").encode, [b"x", Color.RED])
        self.assertIn("element 2", str(error))

    def test_with_others(self) -> None:
        """Beside codecs for types and classes for UDTs."""
        codecs = {Color: ColorCodec(), "timestamp": LocalTimeCodec(), "ks.address": Address}
        kind = written(codecs, "tuple<frozen<address>, timestamp>")
        expected = column("tuple<frozen<address>, timestamp>").type.encode(
            (("red", 5), MOMENT.replace(tzinfo=LocalTimeCodec.zone))
        )
        for street in (Color.RED, "red"):
            self.assertEqual(kind.encode((Address(street, 5), MOMENT)), expected)  # type: ignore[arg-type]
            self.assertEqual(kind.encode(((street, 5), MOMENT)), expected)

    def test_encoder(self) -> None:
        """UNSET, nulls and usual values of other columns are as they were."""
        columns = [column("text"), Column("ks", "t", "n", INT)]
        encoder = ParameterEncoder(CodecRegistry({Color: ColorCodec()}).parameters(columns))
        plain = ParameterEncoder(columns)
        for values in ([None, 5], [UNSET, UNSET], ["red", None]):
            self.assertEqual(encoder.encode(values, 4), plain.encode(values, 4))
        self.assertEqual(encoder.encode([Color.RED, 1], 4), plain.encode(["red", 1], 4))
        self.assertIn('"v" (text)', repr(encoder))


class RecordTests(SynchronousTestCase):
    """Classes for UDTs."""

    def test_round_trip(self) -> None:
        """Instances of every kind of class, alone and nested."""
        data = ADDRESS.encode(("Main", 5))
        makers: list[tuple[type, Any]] = [
            (Address, Address("Main", 5)),
            (AttrsAddress, AttrsAddress("Main", 5)),
            (TupleAddress, TupleAddress(5, "Main")),
            (LooseAddress, LooseAddress(street="Main", zip=5)),
        ]
        for kind, value in makers:
            codecs = {"ks.address": kind}
            found = read(codecs, "address")
            self.assertIsInstance(found, RecordUDT)
            self.assertEqual(found.decode(data), value)
            self.assertIs(type(found.decode(data)), kind)
            self.assertEqual(found.encode(value), data)
            self.assertEqual(plain_type(found), ADDRESS)
            nested = read(codecs, "list<frozen<address>>")
            self.assertEqual(nested.decode(nested.encode([value, value])), [value, value])
        nested = read({"ks.address": Address}, "set<frozen<address>>")
        self.assertEqual(nested.decode(nested.encode({Address("a")})), {Address("a")})
        self.assertEqual(nested.element.hashable().decode(data), Address("Main", 5))

    def test_plain_values(self) -> None:
        """Mappings, tuples and None are taken as without a class; so are instances of other dataclasses."""
        found = read({"ks.address": Address}, "address")
        for value in ({"street": "a", "zip": 5}, ("a", 5), AttrsAddress("a", 5), ADDRESS.row("a", 5)):
            self.assertEqual(found.encode(value), ADDRESS.encode(("a", 5)))
        self.assertEqual((found.encode(None), found.decode(None), found.decode(b"")), (None, None, EMPTY))
        self.assertEqual(found.decode(b"\0\0\0\1a"), Address("a", None))
        self.assertRaises(EncodeError, found.encode, LooseAddress(street="a"))

    def test_names(self) -> None:
        """Names as in CQL, quoted or not, of this keyspace only."""
        odd = UDTType('K"s', "Addr.ess", [("street", TEXT)])
        self.assertIsInstance(read({'"K""s"."Addr.ess"': Address}, odd), RecordUDT)
        self.assertIsInstance(read({"KS.Address": Address}, "address"), RecordUDT)
        self.assertIs(read({"other.address": Address}, "address"), ADDRESS)

    def test_codec_for_udt(self) -> None:
        """A codec in place of a class."""
        self.assertIsInstance(read({"ks.address": Hex()}, "address"), UserType)

    def test_inner_codecs(self) -> None:
        """The fields have their codecs too."""
        found = read({"ks.address": Address, "text": ColorCodec()}, "list<frozen<address>>")
        data = parse_type("list<frozen<address>>", {"address": ADDRESS}).encode([("red", 1)])
        self.assertEqual(found.decode(data)[0].street, Color.RED)

    def test_does_not_fit(self) -> None:
        """A class that cannot be made of the fields is refused with the metadata, and says why."""

        @dataclasses.dataclass
        class Other:
            street: str
            city: str

        error = self.assertRaises(TypeError, read, {"ks.address": Other}, "list<frozen<address>>")
        self.assertIn('takes no field "zip"; there is no field "city"', str(error))

    def test_refuses_values(self) -> None:
        """What the class raises is told as a DecodeError with its cause."""

        class Picky:
            def __init__(self, street: str, zip: int) -> None:
                raise ValueError("no such street")

        found = read({"ks.address": Picky}, ListType(ADDRESS))
        error = self.assertRaises(DecodeError, found.decode, ListType(ADDRESS).encode([("a", 1)]))
        self.assertIn("Picky refused the fields of address: ValueError('no such street')", str(error))
