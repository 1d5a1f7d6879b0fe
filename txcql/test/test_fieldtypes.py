"""Tests for :mod:`txcql.wire.fieldtypes`."""

from __future__ import annotations

import dataclasses
import pickle
import time
import tracemalloc
from collections import namedtuple
from types import MappingProxyType
from typing import Any

import attrs
from twisted.trial.unittest import SynchronousTestCase

from txcql.errors import DecodeError, EncodeError
from txcql.wire.collectiontypes import ListType, SetType
from txcql.wire.fieldtypes import TupleType, UDTType, quote_name
from txcql.wire.scalars import BLOB, INT, TEXT
from txcql.wire.values import EMPTY

ADDRESS = UDTType("ks", "address", [("street", TEXT), ("zip", INT), ("class", INT)])
Named = namedtuple("Named", "zip street")


class TupleTests(SynchronousTestCase):
    """tuple."""

    def test_short(self) -> None:
        """A short value is read with ``None`` at its end, but a short tuple is not written."""
        kind = TupleType([INT, TEXT])
        self.assertEqual(kind.decode(bytes.fromhex("00000004 00000005")), (5, None))
        for wrong in ((1,), (1, "a", 2), [1], "ab", 5, {1: 2}):
            self.assertRaises(EncodeError, kind.encode, wrong)
        self.assertIs(kind.decode(b""), EMPTY)
        self.assertEqual(kind.encode([1, "a"]), kind.encode((1, "a")))

    def test_bad(self) -> None:
        """Surplus bytes are an error; a bad field is named by its place."""
        kind = TupleType([INT, TEXT])
        for data in ("00000004 00000005 ffffffff 00", "0000", "00000004 0000", "00000003 000001"):
            self.assertRaises(DecodeError, kind.decode, bytes.fromhex(data))
        self.assertIn("field 2: expected text", str(self.assertRaises(EncodeError, kind.encode, (1, 2))))


class UDTTests(SynchronousTestCase):
    """User-defined types."""

    def test_what_it_takes(self) -> None:
        """A mapping or named tuple by name, a tuple by place: all write the same."""
        written = ADDRESS.encode(("s", 5, None))
        values: list[Any] = [
            {"street": "s", "zip": 5},
            MappingProxyType({"zip": 5, "street": "s", "class": None}),
            {"zip": 5, "street": "s", "class_": None},
            ADDRESS.row("s", 5, None),
            Named(5, "s"),
        ]
        for value in values:
            self.assertEqual(ADDRESS.encode(value), written)
        self.assertEqual(ADDRESS.decode(written), ("s", 5, None))

    def test_named_tuple(self) -> None:
        """It is read as a named tuple with clean names, which pickles; its class is made once."""
        read = ADDRESS.decode(ADDRESS.encode({"class": 7}))
        self.assertEqual((read.class_, read.street, type(read).__name__), (7, None, "address"))
        self.assertEqual(pickle.loads(pickle.dumps(read)), read)
        twice = [UDTType("ks", "address", [("street", TEXT), ("zip", INT), ("class", INT)]) for _ in range(2)]
        again = twice[0]
        self.assertIs(again.row, twice[1].row)
        self.assertEqual(again, ADDRESS)
        self.assertNotEqual(
            again, UDTType("ks2", "address", [("street", TEXT), ("zip", INT), ("class", INT)])
        )

    def test_short(self) -> None:
        """A value from before a field was added is read with ``None`` at its end."""
        self.assertEqual(ADDRESS.decode(bytes.fromhex("00000001 73")), ("s", None, None))

    def test_instances(self) -> None:
        """Instances of dataclasses and attrs classes are taken by their fields, all of which are known."""

        @dataclasses.dataclass
        class Street:
            street: str
            class_: int | None = None

        @attrs.define
        class AttrsStreet:
            street: str
            _zip: int | None = None

        for value in (Street("s"), AttrsStreet("s")):
            self.assertEqual(ADDRESS.encode(value), ADDRESS.encode({"street": "s"}))

        @attrs.define
        class Other:
            city: str

        self.assertIn("unknown field 'city'", str(self.assertRaises(EncodeError, ADDRESS.encode, Other("s"))))

    def test_refused(self) -> None:
        """Unknown names are named with those that exist; tuples must be whole."""
        error = self.assertRaises(EncodeError, ADDRESS.encode, {"stret": "s"})
        for text in ("'stret'", '"street", "zip", "class"'):
            self.assertIn(text, str(error))
        for wrong in (("s",), ("s", 5, 5, 5), ["s", 5, 5], "abc", 5):
            self.assertRaises(EncodeError, ADDRESS.encode, wrong)
        self.assertIn(
            'field "zip": expected int, got str "x"',
            str(self.assertRaises(EncodeError, ADDRESS.encode, {"zip": "x"})),
        )
        self.assertIn(
            'field "zip"', str(self.assertRaises(DecodeError, ADDRESS.decode, b"\xff" * 4 + b"\0\0\0\1x"))
        )

    def test_hashable(self) -> None:
        """As an element of a set its collections are frozen."""
        kind = UDTType("ks", "kind", [("items", ListType(INT))])
        read = SetType(kind).decode(SetType(kind).encode([{"items": [1]}]))
        self.assertEqual(read, {((1,),)})
        self.assertIsInstance(next(iter(read)), kind.row)

    def test_names(self) -> None:
        """Names that are not plain are quoted in CQL notation."""
        for name, quoted in (
            ("abc_1", "abc_1"),
            ("Abc", '"Abc"'),
            ('a"b', '"a""b"'),
            ("1a", '"1a"'),
            ("", '""'),
        ):
            self.assertEqual(quote_name(name), quoted)
        self.assertEqual(UDTType("ks", "My Type", [("a", INT)]).name, '"My Type"')


class WideTests(SynchronousTestCase):
    """Very many fields, as a hostile server may declare them."""

    def test_padding(self) -> None:
        """Some hundred fields may be missing anywhere, thousands only in a value of thousands of bytes."""
        for make in (
            TupleType,
            lambda kinds: UDTType("ks", "wide", [(f"f{n}", kind) for n, kind in enumerate(kinds)]),
        ):
            kind = make([INT] * 257)
            self.assertEqual(tuple(kind.decode(b"\0\0\0\4\0\0\0\5")), (5, *[None] * 256))
            kind = make([INT] * 3000)
            error = self.assertRaises(DecodeError, kind.decode, b"\xff" * 4)
            self.assertIn("of 3000 fields, got 1", str(error))
            self.assertEqual(tuple(kind.decode(b"\xff" * 4 * 1500)), (None,) * 3000)

    def test_memory(self) -> None:
        """A list of short tuples takes no more than some constant times its bytes."""
        kind = ListType(TupleType([INT] * 65535))
        data = ListType(BLOB).encode([b"\xff" * 4] * 1000)
        tracemalloc.start()
        try:
            self.assertRaises(DecodeError, kind.decode, data)
            self.assertLess(tracemalloc.get_traced_memory()[1], 1 << 20)
        finally:
            tracemalloc.stop()

    def test_time(self) -> None:
        """Even the widest type is made within seconds, also if all its fields have one name."""
        before = time.process_time()
        wide = UDTType("ks", "wide", [("v", INT)] * 65535)
        self.assertEqual(wide.row._fields[-1], "v_65535")
        self.assertLess(time.process_time() - before, 5)
