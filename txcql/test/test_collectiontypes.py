"""Tests for :mod:`txcql.wire.collectiontypes`."""

from __future__ import annotations

import array
import contextlib
import tracemalloc
from typing import Any

import numpy
from hypothesis import given, strategies as st
from twisted.trial.unittest import SynchronousTestCase

from txcql.errors import DecodeError, EncodeError
from txcql.test.examples import examples, nested_types, prefixes, same, types, values_of
from txcql.wire.collectiontypes import (
    FrozenType,
    ListType,
    MapType,
    ReversedType,
    SetType,
    VectorType,
    unwrap,
)
from txcql.wire.fieldtypes import TupleType, UDTType
from txcql.wire.scalars import (
    BIGINT,
    BLOB,
    DOUBLE,
    EMPTY_TYPE,
    FLOAT,
    INT,
    SMALLINT,
    TEXT,
    TIMESTAMP,
    UUID_TYPE,
)
from txcql.wire.typeparser import parse_type
from txcql.wire.values import EMPTY, UNSET, Timestamp

ADDRESS = UDTType("ks", "address", [("street", TEXT), ("zip", INT)])

CAPTURED: list[tuple[str, Any, str]] = [
    ("list<int>", [1, 2], "00000002 00000004 00000001 00000004 00000002"),
    (
        "map<text, int>",
        {"a": 1, "b": 2},
        "00000002 00000001 61 00000004 00000001 00000001 62 00000004 00000002",
    ),
    ("tuple<int, text>", (1, None), "00000004 00000001 ffffffff"),
    ("frozen<address>", ADDRESS.row("s", None), "00000001 73 ffffffff"),
    ("vector<float, 3>", [1.0, 2.0, 3.0], "3f800000 40000000 40400000"),
    ("vector<text, 2>", ["a", "bc"], "01 61 02 6263"),
    ("vector<text, 1>", ["x" * 200], "80c8" + "78" * 200),
    ("vector<smallint, 2>", [1, 2], "02 0001 02 0002"),
    ("vector<frozen<list<int>>, 2>", [[1], []], "0c 00000001 00000004 00000001 04 00000000"),
    ("vector<frozen<address>, 1>", [ADDRESS.row("s", 1)], "0d 00000001 73 00000004 00000001"),
    ("vector<vector<float, 1>, 2>", [[1.0], [2.0]], "3f800000 40000000"),
    ("vector<boolean, 2>", [True, False], "01 00"),
    ("list<int>", [], "00000000"),
]


def round_trip(what: str) -> Any:
    """A test of one kind of type, with whatever in it."""

    @examples
    @given(st.data())
    def test(self: SynchronousTestCase, data: st.DataObject) -> None:
        """Every value comes back; cut or over-long bytes raise DecodeError, or are a value as well."""
        kind = data.draw(nested_types(1)[what])
        value = data.draw(values_of(kind))
        written = kind.encode(value)
        assert written is not None
        self.assertTrue(same(kind.decode(written), value))
        whole = isinstance(unwrap(kind), (ListType, SetType, MapType))
        for cut in prefixes(written)[-64:]:
            try:
                kind.decode(cut)
            except DecodeError:
                continue
            self.assertFalse(whole, f"{kind} took {cut!r}")
        if whole or unwrap(kind).size is not None or isinstance(unwrap(kind), (TupleType, UDTType)):
            self.assertRaises(DecodeError, kind.decode, written + b"\0")

    return test


class NestedTests(SynchronousTestCase):
    """All types that hold others, fields included."""

    def test_captured(self) -> None:
        """What a real node stores, in both directions."""
        for name, value, written in CAPTURED:
            kind = parse_type(name, {"address": ADDRESS})
            self.assertEqual(kind.encode(value), bytes.fromhex(written), name)
            self.assertTrue(same(kind.decode(bytes.fromhex(written)), value), name)

    test_lists = round_trip("list")
    test_sets = round_trip("set")
    test_maps = round_trip("map")
    test_tuples = round_trip("tuple")
    test_udts = round_trip("UDT")
    test_vectors = round_trip("vector")
    test_frozen = round_trip("frozen")

    @examples
    @given(types(), st.binary(max_size=40))
    def test_any_bytes(self, kind: Any, data: bytes) -> None:
        """Bytes are a value or a DecodeError, and nothing else."""
        with contextlib.suppress(DecodeError):
            kind.decode(data)

    def test_hostile_lengths(self) -> None:
        """Nothing is allocated for elements that are not there."""
        huge = b"\x7f\xff\xff\xff"
        tracemalloc.start()
        try:
            for name in (
                "list<int>",
                "list<text>",
                "set<int>",
                "map<int, text>",
                "vector<text, 2147483647>",
                "vector<float, 2147483647>",
                "list<vector<text, 9999999>>",
            ):
                kind = parse_type(name)
                for data in (
                    huge,
                    huge + huge,
                    b"\0\0\0\1" + huge,
                    b"\xff\xff\xff\xff",
                    b"\xff" * 9,
                    huge + bytes(100),
                ):
                    self.assertRaises(DecodeError, kind.decode, data)
            self.assertLess(tracemalloc.get_traced_memory()[1], 1 << 20)
        finally:
            tracemalloc.stop()


class ListAndSetTests(SynchronousTestCase):
    """list and set."""

    def test_many_fixed(self) -> None:
        """Short and long lists of fixed-size elements, and those with a null among them."""
        for kind, value in (
            (INT, 5),
            (UUID_TYPE, UUID_TYPE.decode(bytes(16))),
            (TIMESTAMP, Timestamp(5).to_datetime()),
        ):
            for count in (0, 1, 2, 63, 64, 65, 200):
                for nulls in (0, 1):
                    values = [value] * count + [None] * nulls
                    read = ListType(kind).decode(ListType(kind).encode(values))
                    self.assertEqual(read, values)
                written = ListType(kind).encode([value] * count)
                assert written is not None
                self.assertRaises(DecodeError, ListType(kind).decode, written + bytes(4))
                self.assertRaises(DecodeError, ListType(kind).decode, b"\0\0\1\0" + written[4:])

    def test_what_they_take(self) -> None:
        """A list takes sequences, a set sets as well; neither takes text, a mapping or an iterator."""
        for value in ([1, 2], (1, 2), array.array("i", [1, 2]), range(1, 3)):
            self.assertEqual(ListType(INT).decode(ListType(INT).encode(value)), [1, 2])
            self.assertEqual(SetType(INT).decode(SetType(INT).encode(value)), {1, 2})
        for sets in ({1, 2}, frozenset((1, 2)), {1: 0, 2: 0}.keys()):
            self.assertEqual(SetType(INT).decode(SetType(INT).encode(sets)), {1, 2})
            self.assertRaises(EncodeError, ListType(INT).encode, sets)
        for wrong in ("ab", b"ab", {"a": 1}, iter([1]), 5, bytearray(b"ab")):
            for kind in (ListType(TEXT), SetType(TEXT)):
                error = self.assertRaises(EncodeError, kind.encode, wrong)
                self.assertIn(f"expected {kind.name}, got", str(error))

    def test_bad_elements(self) -> None:
        """The element is named by its place, from 1, at every level."""
        error = self.assertRaises(EncodeError, ListType(INT).encode, [1, "x"])
        self.assertEqual(str(error), 'element 2: expected int, got str "x"')
        error = self.assertRaises(EncodeError, ListType(ListType(INT)).encode, [[1], [1, 2, 1 << 40]])
        self.assertIn("element 2: element 3: expected int in", str(error))
        self.assertRaises(EncodeError, ListType(INT).encode, [UNSET])
        self.assertIn("null is not allowed", str(self.assertRaises(EncodeError, SetType(INT).encode, [None])))
        decoded = self.assertRaises(DecodeError, ListType(TEXT).decode, bytes.fromhex("00000001 00000001 ff"))
        self.assertIn("element 1: expected text", str(decoded))

    def test_null_and_empty_elements(self) -> None:
        """A null element and one of no bytes come back as what they are."""
        kind = ListType(INT)
        self.assertEqual(kind.decode(kind.encode([1, None, EMPTY])), [1, None, EMPTY])
        self.assertIsNone(kind.decode(None))
        self.assertRaises(DecodeError, kind.decode, b"")

    def test_hashable(self) -> None:
        """Elements of sets can be elements of sets."""
        kind = parse_type("set<frozen<list<frozen<set<frozen<map<text, frozen<vector<int, 2>>>>>>>>>")
        value = {(frozenset({(("a", (1, 2)), ("b", (3, 4)))}),)}
        self.assertEqual(kind.decode(kind.encode(value)), value)
        fields = parse_type("set<frozen<tuple<int, frozen<list<int>>>>>")
        self.assertEqual(fields.decode(fields.encode([(1, [2])])), {(1, (2,))})

    def test_equal_in_python(self) -> None:
        """0.0 and -0.0 differ in Cassandra: one of them must not vanish."""
        self.assertRaises(DecodeError, SetType(DOUBLE).decode, ListType(DOUBLE).encode([0.0, -0.0]))
        self.assertEqual(SetType(DOUBLE).decode(ListType(DOUBLE).encode([1.0, 1.0])), {1.0})
        written = MapType(DOUBLE, INT).encode(((0.0, 1), (-0.0, 2)))
        self.assertRaises(DecodeError, MapType(DOUBLE, INT).decode, written)


class MapTests(SynchronousTestCase):
    """map."""

    def test_pairs(self) -> None:
        """Pairs are taken beside mappings, in their order."""
        kind = MapType(TEXT, INT)
        self.assertEqual(kind.encode((("a", 1), ("b", 2))), kind.encode({"a": 1, "b": 2}))
        for wrong in ([1], [("a", 1, 2)], "ab", 5, [["a", 1]]):
            self.assertRaises(EncodeError, kind.encode, wrong)

    def test_bad_elements(self) -> None:
        """Key and value are named by their place."""
        kind = MapType(TEXT, INT)
        self.assertIn(
            "key 2: expected text", str(self.assertRaises(EncodeError, kind.encode, {"a": 1, 5: 2}))
        )
        self.assertIn("value 1: expected int", str(self.assertRaises(EncodeError, kind.encode, {"a": None})))


class VectorTests(SynchronousTestCase):
    """vector."""

    def test_number_of_elements(self) -> None:
        """Exactly as many as declared, in both directions."""
        kind = VectorType(FLOAT, 2)
        for wrong in ([1.0], [1.0, 2.0, 3.0], array.array("f", [1.0])):
            self.assertIn("of 2 elements, got", str(self.assertRaises(EncodeError, kind.encode, wrong)))
        for size in (1, 4, 7, 9, 12):
            self.assertRaises(DecodeError, kind.decode, bytes(size))
        for dimension in (0, -1, 1 << 31):
            self.assertRaises(ValueError, VectorType, FLOAT, dimension)

    def test_buffers(self) -> None:
        """One-dimensional buffers of numbers are taken, bytes are not."""
        view = memoryview(array.array("d", [1.0, 2.0]))
        self.assertEqual(VectorType(FLOAT, 2).encode(view), VectorType(FLOAT, 2).encode([1.0, 2.0]))
        numbers = memoryview(array.array("q", [1, 2]))
        self.assertEqual(VectorType(BIGINT, 2).encode(numbers), VectorType(BIGINT, 2).encode([1, 2]))
        for wrong in (b"ab", bytearray(b"ab"), "ab", view.cast("B").cast("d", (1, 2)), 5, {1.0, 2.0}):
            self.assertRaises(EncodeError, VectorType(FLOAT, 2).encode, wrong)
        self.assertRaises(EncodeError, VectorType(INT, 2).encode, view)

    def test_numpy(self) -> None:
        """Arrays of every number type and byte order, and every other element of one."""
        kind = VectorType(FLOAT, 3)
        for code in ("f2", "f4", ">f4", "<f8", "i1", ">i8", "u2"):
            self.assertEqual(kind.encode(numpy.array([1, 2, 3], code)), kind.encode([1.0, 2.0, 3.0]), code)
        self.assertEqual(kind.encode(numpy.arange(6, dtype="f4")[::2]), kind.encode([0.0, 2.0, 4.0]))
        self.assertEqual(
            VectorType(SMALLINT, 2).encode(numpy.array([1, -1])), VectorType(SMALLINT, 2).encode([1, -1])
        )
        for wrong in (
            numpy.array([[1.0, 2.0, 3.0]]),
            numpy.array([1j, 2, 3]),
            numpy.array(["a", "b", "c"]),
            numpy.array([1, 2, 3], "M8[ms]"),
            numpy.array([True, False, True]),
            numpy.array([1, 2, (1 << 60) + 1]),
            numpy.array([1.0, 2.0, 1e300]),
            numpy.float32(1),
        ):
            self.assertRaises(EncodeError, kind.encode, wrong)
        self.assertRaises(EncodeError, VectorType(INT, 2).encode, numpy.array([1.0, 2.0]))

    def test_bad_elements(self) -> None:
        """Null, empty and wrong elements are named."""
        for kind, value in (
            (FLOAT, None),
            (FLOAT, EMPTY),
            (TEXT, None),
            (FLOAT, "x"),
            (FLOAT, 1e300),
            (SMALLINT, 1 << 15),
        ):
            error = self.assertRaises(EncodeError, VectorType(kind, 2).encode, [value, value])
            self.assertIn(f"element 1: expected {kind.name}", str(error))

    def test_ints_for_floats(self) -> None:
        """Exact ints are taken, as they are outside of vectors."""
        self.assertEqual(VectorType(FLOAT, 2).decode(VectorType(FLOAT, 2).encode([1, 2.0])), [1.0, 2.0])

    def test_variable(self) -> None:
        """Surplus and missing bytes of elements with lengths."""
        kind = VectorType(TEXT, 2)
        for data in ("0161", "016102 62", "0161016200", "0161ffffffffffffffffff", "ff"):
            self.assertRaises(DecodeError, kind.decode, bytes.fromhex(data))
        self.assertEqual(VectorType(BLOB, 2).decode(b"\0\0"), [b"", b""])


class WrapperTests(SynchronousTestCase):
    """frozen and reversed."""

    def test_transparent(self) -> None:
        """The bytes are those of the inner type."""
        for kind in (FrozenType(ListType(INT)), ReversedType(ListType(INT))):
            self.assertEqual(kind.encode([1]), ListType(INT).encode([1]))
            self.assertEqual(kind.decode(kind.encode([1])), [1])
            self.assertEqual(kind.write([1]), ListType(INT).write([1]))
            self.assertEqual(kind.read(kind.write([1])), [1])
            self.assertEqual(unwrap(FrozenType(kind)), ListType(INT))
        self.assertEqual(FrozenType(INT).name, "frozen<int>")
        self.assertEqual(ReversedType(INT).name, "int")
        self.assertEqual((ReversedType(INT).size, ReversedType(INT).format), (4, "i"))
        self.assertNotEqual(FrozenType(INT), ReversedType(INT))
        self.assertEqual(
            SetType(ReversedType(ListType(INT))).decode(SetType(ListType(INT)).encode([[1]])), {(1,)}
        )

    def test_empty_type(self) -> None:
        """Even elements of the empty type work."""
        self.assertEqual(ListType(EMPTY_TYPE).decode(ListType(EMPTY_TYPE).encode([EMPTY])), [EMPTY])
