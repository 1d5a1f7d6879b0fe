"""Tests for :mod:`txcql.wire.rows`."""

from __future__ import annotations

import dataclasses
import pickle
import struct
import sys
import uuid
from collections.abc import Sequence
from datetime import datetime, timezone
from decimal import Decimal
from typing import Any, NamedTuple

import attrs
from hypothesis import given, strategies as st
from twisted.trial.unittest import SynchronousTestCase

from txcql.errors import DecodeError
from txcql.test.examples import examples, same, types, values_of
from txcql.wire.collectiontypes import FrozenType, ListType, ReversedType
from txcql.wire.cqltypes import CQLType
from txcql.wire.metadata import Column
from txcql.wire.rows import RowDecoder
from txcql.wire.scalars import INT, SCALARS, TEXT, IntegerType
from txcql.wire.typeparser import parse_type
from txcql.wire.values import EMPTY

MIXED = ("uuid", "text", "text", "int", "bigint", "double", "boolean", "timestamp", "decimal", "list<int>")
VALUES = (
    uuid.UUID(int=1 << 100),
    "a",
    "é",
    42,
    1 << 40,
    -0.5,
    True,
    datetime(2020, 1, 1, 0, 0, 0, 123_000, timezone.utc),
    Decimal("-1.23"),
    [1, 2, 3],
)


def columns(*kinds: Any) -> list[Column]:
    """Columns ``c0``, ``c1`` … of types or their names."""
    return [
        Column("ks", "t", f"c{place}", parse_type(kind) if isinstance(kind, str) else kind)
        for place, kind in enumerate(kinds)
    ]


def cells(parts: Sequence[bytes | None]) -> bytes:
    """Parts as [bytes], one behind the other."""
    return b"".join(
        b"\xff\xff\xff\xff" if part is None else struct.pack(">i", len(part)) + part for part in parts
    )


def row(specs: Sequence[Column], values: Sequence[Any]) -> bytes:
    """The bytes of a row."""
    return cells([column.type.encode(value) for column, value in zip(specs, values, strict=True)])


class Upper:
    """A codec of a user's."""

    name = "upper"

    def encode(self, value: str | None) -> bytes | None:
        return None if value is None else value.lower().encode()

    def decode(self, data: bytes | None) -> str:
        return "NULL" if data is None else data.decode().upper()


class Doubled(IntegerType):
    """A subclass of one of our types, with a way of its own."""

    def read(self, data: bytes) -> Any:
        return 2 * super().read(data)


@dataclasses.dataclass
class Thing:
    id: int
    class_: str
    n: int

    def __post_init__(self) -> None:
        if self.n < 0:
            raise ValueError("n is negative")


@attrs.define
class AttrsThing:
    id: int
    class_: str
    n: int
    more: int = 0


class NamedThing(NamedTuple):
    class_: str
    n: int
    id: int


class RowDecoderTests(SynchronousTestCase):
    """Whole rows."""

    def test_mixed(self) -> None:
        """Each kind of row, of the types that have fast code of their own."""
        specs = columns(*MIXED)
        data = row(specs, VALUES)
        named, following = RowDecoder(specs).decode(b"??" + data, 2)
        self.assertEqual(following, 2 + len(data))
        self.assertTrue(same(tuple(named), VALUES))
        self.assertEqual([type(value) for value in named], [type(value) for value in VALUES])
        self.assertEqual((named.c3, named._fields[0], type(named).__name__), (42, "c0", "Row"))
        self.assertIs(type(RowDecoder(specs).decode(data, 0)[0]), type(named))
        self.assertEqual(pickle.loads(pickle.dumps(named)), named)
        plain, _ = RowDecoder(specs, "tuple").decode(data, 0)
        self.assertEqual((plain, type(plain)), (VALUES, tuple))
        by_name, _ = RowDecoder(specs, "dict").decode(data, 0)
        self.assertEqual(by_name, {f"c{place}": value for place, value in enumerate(VALUES)})

    def test_names(self) -> None:
        """Clean aliases in named tuples, the columns' own names in dicts."""
        specs = [Column("ks", "t", name, INT) for name in ("system.now()", "class", "v", "v")]
        data = row(specs, (1, 2, 3, 4))
        named = RowDecoder(specs).decode(data, 0)[0]
        self.assertEqual((named.system_now, named.class_, named.v, named.v_2), (1, 2, 3, 4))
        by_name = RowDecoder(specs, "dict").decode(data, 0)[0]
        self.assertEqual(by_name, {"system.now()": 1, "class": 2, "v": 3, "v_2": 4})
        self.assertRaises(ValueError, RowDecoder, specs, "list")
        self.assertIn('column "v" (int)', repr(RowDecoder(specs)))

    @examples
    @given(st.data())
    def test_like_the_types(self, data: st.DataObject) -> None:
        """The generated code gives what the types give, and refuses what they refuse."""
        kinds = data.draw(st.lists(types(depth=1), min_size=1, max_size=8))
        specs = columns(*kinds)
        parts = [
            data.draw(
                st.none()
                | values_of(kind).map(kind.encode)
                | values_of(kind).map(kind.encode)
                | st.just(b"")
                | st.binary(max_size=10)
            )
            for kind in kinds
        ]
        page = cells(parts)
        try:
            expected = tuple(kind.decode(part) for kind, part in zip(kinds, parts, strict=True))
        except DecodeError:
            self.assertRaises(DecodeError, RowDecoder(specs).decode, page, 0)
        else:
            decoded, following = RowDecoder(specs, "tuple").decode(page, 0)
            self.assertEqual((repr(decoded), following), (repr(expected), len(page)))
            for place, value in enumerate(expected):
                self.assertEqual(repr(RowDecoder(specs).column(page * 2, 0, 2, place)), repr([value, value]))
        self.assertEqual(RowDecoder(specs).skip(page, 0), len(page))
        for end in range(len(page)):
            self.assertRaises(DecodeError, RowDecoder(specs).decode, page[:end], 0)
            self.assertRaises(DecodeError, RowDecoder(specs).skip, page[:end], 0)

    @examples
    @given(st.lists(types(depth=1), min_size=1, max_size=8), st.binary(max_size=60))
    def test_any_bytes(self, kinds: list[CQLType], data: bytes) -> None:
        """Any bytes are rows, or DecodeErrors, at most as many as were announced."""
        decoder = RowDecoder(columns(*kinds))
        iterator = decoder.rows(data, 0, 20)
        rows = 0
        for _ in range(21):
            try:
                next(iterator)
            except DecodeError:
                continue
            except StopIteration:
                break
            rows += 1
        self.assertLessEqual(rows, len(data) // (4 * len(kinds)))
        self.assertRaises(StopIteration, next, iterator)

    def test_every_scalar_null_and_empty(self) -> None:
        """Runs of fixed columns with a null or an empty value in each place, also at the end of the page."""
        names = [name for name in SCALARS if name != "empty"]
        kinds = [SCALARS[name] for name in names]
        specs = columns(*kinds)
        usual = [bytes(kind.size or {"inet": 4, "duration": 3}.get(kind.name, 5)) for kind in kinds]
        for place in range(len(kinds)):
            for odd in (None, b""):
                parts: list[bytes | None] = [*usual]
                parts[place] = odd
                expected = [kind.decode(part) for kind, part in zip(kinds, parts, strict=True)]
                for page in (cells(parts), cells(parts) * 2):
                    self.assertEqual(list(RowDecoder(specs, "tuple").decode(page, 0)[0]), expected)
        empty = RowDecoder(specs, "tuple").decode(cells([b""] * len(kinds)), 0)[0]
        self.assertEqual(set(empty), {EMPTY, "", b""})

    def test_wrappers(self) -> None:
        """frozen and reversed columns are as fast and as right as others."""
        specs = columns(ReversedType(INT), FrozenType(ListType(INT)), ReversedType(TEXT))
        self.assertEqual(RowDecoder(specs, "tuple").decode(row(specs, (1, [2], "a")), 0)[0], (1, [2], "a"))

    def test_codecs(self) -> None:
        """Any object with ``decode`` works in place of a type, and a subclass of a type is asked too."""
        specs = columns("int", Upper(), Doubled("int", "i"), ListType(Doubled("int", "i")), ListType(Upper()))
        page = cells(
            [b"\0\0\0\1", b"a", b"\0\0\0\2", b"\0\0\0\1\0\0\0\4\0\0\0\5", b"\0\0\0\1\xff\xff\xff\xff"]
        )
        self.assertEqual(RowDecoder(specs, "tuple").decode(page, 0)[0], (1, "A", 4, [10], ["NULL"]))
        self.assertEqual(
            RowDecoder(specs, "tuple").decode(cells([None] * 5), 0)[0], (None, "NULL", None, None, None)
        )

    def test_into(self) -> None:
        """Rows as instances of a class: the names are checked at once, the values by the class."""
        specs = [Column("ks", "t", name, kind) for name, kind in (("id", INT), ("class", TEXT), ("n", INT))]
        page = row(specs, (1, "a", 3)) + row(specs, (2, None, -1)) + row(specs, (3, "c", 5))
        for kind in (Thing, AttrsThing, dict, NamedThing):
            rows = RowDecoder(specs, kind).rows(page, 0, 1)
            self.assertEqual(list(rows), [kind(id=1, class_="a", n=3)])
        iterator = RowDecoder(specs, Thing).rows(page, 0, 3)
        self.assertEqual(next(iterator), Thing(1, "a", 3))
        error = self.assertRaises(DecodeError, next, iterator)
        self.assertEqual(str(error), "row 2, Thing refused the row: ValueError('n is negative')")
        self.assertIsInstance(error.__cause__, ValueError)
        self.assertEqual(next(iterator), Thing(3, "c", 5))
        self.assertRaises(StopIteration, next, iterator)
        error = self.assertRaises(DecodeError, RowDecoder(specs, Thing).decode, page[:-1], len(page) * 2 // 3)
        self.assertIn('column "n" (int)', str(error))
        refused = self.assertRaises(TypeError, RowDecoder, specs[:2], Thing)
        self.assertIn(
            'Thing cannot be made of the columns "id", "class": there is no column "n"', str(refused)
        )
        refused = self.assertRaises(TypeError, RowDecoder, [*specs, specs[0]._replace(name="x")], Thing)
        self.assertIn('it takes no column "x"', str(refused))
        self.assertIn("RowDecoder Thing", repr(RowDecoder(specs, Thing)))

    def test_columns_data(self) -> None:
        """Some columns as lists, in any order; one may be asked for twice."""
        specs = columns("int", "text", "int", "double")
        page = row(specs, (1, "a", 3, 0.5)) + row(specs, (None, "", EMPTY, None))
        decoder = RowDecoder(specs)
        self.assertEqual(decoder.columns_data(page, 0, 2, [2, 0]), [[3, EMPTY], [1, None]])
        self.assertEqual(decoder.columns_data(page, 0, 2, [3, -3, 3]), [[0.5, None], ["a", ""], [0.5, None]])
        self.assertEqual(decoder.columns_data(page, 0, 0, [1, 2]), [[], []])
        self.assertEqual(decoder.columns_data(page, 0, 2, []), [])
        self.assertRaises(IndexError, decoder.columns_data, page, 0, 2, [4])
        bad = page + cells([b"\0\0\0\1", b"\xff", b"1", None])
        self.assertEqual(decoder.columns_data(bad, 0, 3, [0, 3]), [[1, None, 1], [0.5, None, None]])
        error = self.assertRaises(DecodeError, decoder.columns_data, bad, 0, 3, [0, 2])
        self.assertIn('row 3, column "c2" (int)', str(error))

    def test_many_columns(self) -> None:
        """Wide rows, in several runs."""
        for count in (1, 11, 12, 13, 24, 25, 300):
            specs = columns(*["int"] * count)
            page = row(specs, range(count))
            self.assertEqual(RowDecoder(specs, "tuple").decode(page, 0), (tuple(range(count)), len(page)))

    def test_timestamps(self) -> None:
        """The fast and the exact way meet without a seam."""
        specs = columns("timestamp")
        for number in (
            0,
            1,
            -1,
            4_294_967_295_999,
            4_294_967_296_000,
            -(1 << 63),
            (1 << 63) - 1,
            253_402_300_799_999,
        ):
            page = cells([struct.pack(">q", number)])
            expected = SCALARS["timestamp"].decode(page[4:])
            self.assertEqual(repr(RowDecoder(specs).decode(page, 0)[0][0]), repr(expected))

    def test_no_page_kept(self) -> None:
        """A row holds no reference to its page, and neither does an iterator at its end."""
        specs = columns("blob", "text", "list<blob>")
        page = row(specs, (b"x" * 50, "y" * 50, [b"z" * 50])) * 10
        before = sys.getrefcount(page)
        iterator = RowDecoder(specs).rows(page, 0, 10)
        kept = list(iterator)
        self.assertEqual(sys.getrefcount(page), before)
        self.assertEqual(len(kept), 10)


class RowIteratorTests(SynchronousTestCase):
    """Pages."""

    specs = columns("int", "text", "int")

    def page(self, *second: bytes) -> bytes:
        return b"".join(cells([b"\0\0\0\1", part, b"\0\0\0\2"]) for part in second)

    def test_goes_on(self) -> None:
        """A bad value raises at its row, with row, column and bytes; the next row comes."""
        for factory in ("named", "tuple"):
            iterator = RowDecoder(self.specs, factory).rows(self.page(b"a", b"\xff", b"b"), 0, 3)
            self.assertIs(iter(iterator), iterator)
            self.assertEqual(next(iterator), (1, "a", 2))
            error = self.assertRaises(DecodeError, next, iterator)
            self.assertEqual(str(error), 'row 2, column "c1" (text): expected text, got byte 0xff at 0: 0xff')
            self.assertEqual(next(iterator), (1, "b", 2))
            self.assertRaises(StopIteration, next, iterator)

    def test_long_bytes(self) -> None:
        """Bytes in a message are cut."""
        error = self.assertRaises(DecodeError, RowDecoder(self.specs).decode, self.page(b"\xff" * 1000), 0)
        self.assertIn("0xffff", str(error))
        self.assertIn("(1000 bytes)", str(error))
        self.assertLess(len(str(error)), 200)

    def test_truncated(self) -> None:
        """A page that ends within a row raises once; then the iteration is over."""
        page = self.page(b"a", b"b")
        for end in range(len(page) // 2, len(page)):
            iterator = RowDecoder(self.specs).rows(page[:end], 0, 2)
            next(iterator)
            error = self.assertRaises(DecodeError, next, iterator)
            self.assertIn("row 2, column", str(error))
            self.assertIn("the page ends", str(error))
            self.assertRaises(StopIteration, next, iterator)

    def test_too_many_announced(self) -> None:
        """A count that the page does not hold costs nothing."""
        decoder = RowDecoder(self.specs)
        self.assertRaises(DecodeError, list, decoder.rows(b"", 0, (1 << 31) - 1))
        self.assertRaises(DecodeError, decoder.column, b"", 0, (1 << 31) - 1, 0)
        self.assertRaises(DecodeError, RowDecoder([]).rows, b"", 0, (1 << 31) - 1)
        self.assertEqual(list(RowDecoder([]).rows(b"", 0, 0)), [])

    def test_column(self) -> None:
        """One column, the others not even looked at."""
        page = self.page(b"a", b"\xff", b"b")
        decoder = RowDecoder(self.specs)
        self.assertEqual(decoder.column(page, 0, 3, 2), [2, 2, 2])
        self.assertEqual(decoder.column(page, 0, 3, -1), [2, 2, 2])
        self.assertIn("row 2", str(self.assertRaises(DecodeError, decoder.column, page, 0, 3, 1)))
        self.assertRaises(IndexError, decoder.column, page, 0, 3, 3)

    def test_other_exceptions(self) -> None:
        """What a codec of the user's raises is told as a DecodeError, with its cause."""

        class Broken(Upper):
            def decode(self, data: bytes | None) -> str:
                raise KeyError("no")

        iterator = RowDecoder(columns("int", Broken())).rows(cells([None, None]) * 2, 0, 2)
        error = self.assertRaises(DecodeError, next, iterator)
        self.assertIn("row 1, column \"c1\" (upper): 'no': null", str(error))
        self.assertIsInstance(error.__cause__, KeyError)
        self.assertRaises(DecodeError, next, iterator)
        self.assertRaises(StopIteration, next, iterator)
