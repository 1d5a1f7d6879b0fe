"""Tests for :mod:`txcql.session.exports`."""

from __future__ import annotations

import sys
import uuid
from datetime import date, datetime, timezone
from decimal import Decimal
from ipaddress import ip_address
from typing import Any

import numpy
import pandas
import pyarrow
from twisted.trial.unittest import SynchronousTestCase

from txcql.errors import DecodeError
from txcql.session.exports import PageColumns
from txcql.test.test_rows import cells, columns, row
from txcql.wire.rows import RowDecoder
from txcql.wire.usercodecs import CodecRegistry
from txcql.wire.values import Date, Duration, Time, Timestamp

MOMENT = datetime(1969, 12, 31, 23, 59, 59, 999000, timezone.utc)
ONE = uuid.UUID("13814000-1dd2-11b2-8000-0123456789ab")

# Type, value, numpy's dtype, what Arrow gives back.
KINDS: list[tuple[str, Any, str, Any]] = [
    ("ascii", "a", "O", "a"),
    ("bigint", -(1 << 63), "i8", -(1 << 63)),
    ("blob", b"\xff", "O", b"\xff"),
    ("boolean", True, "?", True),
    ("counter", 3, "i8", 3),
    ("date", date(1500, 1, 2), "M8[D]", date(1500, 1, 2)),
    ("decimal", Decimal("1.50"), "O", Decimal("1.50")),
    ("double", -0.5, "f8", -0.5),
    ("duration", Duration(1, 2, 3), "O", pyarrow.MonthDayNano([1, 2, 3])),
    ("float", 0.5, "f4", 0.5),
    ("inet", ip_address("::1"), "O", "::1"),
    ("int", -3, "i4", -3),
    ("smallint", 4, "i2", 4),
    ("text", "é", "O", "é"),
    ("timestamp", MOMENT, "M8[ms]", MOMENT),
    ("timeuuid", ONE, "O", ONE.bytes),
    ("tinyint", -1, "i1", -1),
    ("uuid", ONE, "O", ONE.bytes),
    ("varint", 1 << 70, "O", Decimal(1 << 70)),
    ("list<frozen<tuple<int, decimal>>>", [(1, Decimal("2.5"))], "O", [{"f1": 1, "f2": "2.5"}]),
    ("map<text, frozen<map<int, text>>>", {"a": {1: "b"}}, "O", [("a", [(1, "b")])]),
    ("map<frozen<map<int, text>>, int>", {((1, "b"),): 2}, "O", [([(1, "b")], 2)]),
    ("set<date>", {date(2020, 1, 1)}, "O", [date(2020, 1, 1)]),
    ("vector<float, 2>", [1.0, 2.0], "O", [1.0, 2.0]),
    ("'foo.Bar'", b"zz", "O", b"zz"),
]
SPECS = columns(*[kind for kind, *_ in KINDS])
NAMES = [spec.name for spec in SPECS]
FULL = row(SPECS, [value for _, value, *_ in KINDS])
NULL = cells([None] * len(SPECS))


def page(data: bytes, count: int, *names: str, specs: Any = SPECS) -> PageColumns:
    """The columns of a page."""
    return PageColumns(RowDecoder(specs), data, 0, count, names)


class ListsTests(SynchronousTestCase):
    """Plain lists."""

    def test_lists(self) -> None:
        """All columns, some of them, in any order, none twice decoded."""
        found = page(FULL + NULL, 2).lists()
        self.assertEqual(list(found), NAMES)
        for (_, value, *_), values in zip(KINDS, found.values(), strict=True):
            self.assertEqual(values, [value, None])
        self.assertEqual(page(FULL, 1, "c7", "c1").lists(), {"c7": [-0.5], "c1": [-(1 << 63)]})
        self.assertEqual(page(b"", 0, "c1").lists(), {"c1": []})
        self.assertEqual(page(b"", 0, specs=[]).lists(), {})

    def test_others_not_decoded(self) -> None:
        """A bad value in another column does no harm; in one of these it names its row."""
        specs = columns("text", "int")
        data = cells([b"a", b"\0\0\0\1"]) + cells([b"\xff", b"\0\0\0\2"])
        self.assertEqual(page(data, 2, "c1", specs=specs).lists(), {"c1": [1, 2]})
        error = self.assertRaises(DecodeError, page(data, 2, "c1", "c0", specs=specs).lists)
        self.assertIn('row 2, column "c0" (text)', str(error))

    def test_names(self) -> None:
        """The second of a name is numbered; an unknown one is refused."""
        twice = [SPECS[0], SPECS[0]]
        self.assertEqual(page(cells([b"a", b"b"]), 1, specs=twice).lists(), {"c0": ["a"], "c0_2": ["b"]})
        error = self.assertRaises(KeyError, page, FULL, 1, "c99")
        self.assertIn("no column 'c99'; there are: c0, c1", str(error))


class NumpyTests(SynchronousTestCase):
    """Arrays."""

    def test_kinds(self) -> None:
        """Each type as the array that holds it exactly."""
        found = page(FULL * 2, 2).to_numpy()
        for name, (kind, value, dtype, _) in zip(NAMES, KINDS, strict=True):
            array = found[name]
            self.assertEqual((array.dtype, array.shape), (numpy.dtype(dtype), (2,)), kind)
            self.assertNotIsInstance(array, numpy.ma.MaskedArray)
            expected = numpy.datetime64(value.replace(tzinfo=None)) if kind == "timestamp" else value
            self.assertEqual(array[1], expected, kind)

    def test_nulls(self) -> None:
        """A masked array, and None among objects."""
        found = page(NULL + FULL, 2).to_numpy()
        for name, (kind, value, dtype, _) in zip(NAMES, KINDS, strict=True):
            if dtype == "O":
                self.assertEqual(found[name].tolist(), [None, value])
            else:
                self.assertEqual(found[name].mask.tolist(), [True, False], kind)
                self.assertEqual(found[name].dtype, numpy.dtype(dtype))

    def test_far(self) -> None:
        """Days and milliseconds far outside of Python's years."""
        specs = columns("date", "timestamp")
        data = row(specs, [Date(-(1 << 31)), Timestamp((1 << 63) - 1)])
        found = page(data, 1, specs=specs).to_numpy()
        self.assertEqual(found["c0"].astype("i8")[0], -(1 << 31))
        self.assertEqual(found["c1"].astype("i8")[0], (1 << 63) - 1)

    def test_refused(self) -> None:
        """What numpy has no value for."""
        error = self.assertRaises(ValueError, page(cells([b""]), 1, specs=columns("int")).to_numpy)
        self.assertIn('column "c0" (int) holds an EMPTY value', str(error))
        specs = columns("timestamp")
        error = self.assertRaises(
            ValueError, page(row(specs, [Timestamp(-(1 << 63))]), 1, specs=specs).to_numpy
        )
        self.assertIn("NaT", str(error))

    def test_without_codecs(self) -> None:
        """Codecs of the user's take no part."""

        class Never:
            def encode(self, value: Any) -> bytes:
                raise AssertionError

            decode = encode

        specs = CodecRegistry({"int": Never()}).columns(columns("int", "list<int>"))
        data = row(columns("int", "list<int>"), (5, [6]))
        found = page(data, 1, specs=specs).to_numpy()
        self.assertEqual((found["c0"].tolist(), found["c1"].tolist()), ([5], [[6]]))


class PandasTests(SynchronousTestCase):
    """Frames."""

    def test_kinds(self) -> None:
        """Each type, with and without nulls."""
        whole = page(FULL * 2, 2).to_pandas()
        self.assertEqual((whole.shape, list(whole.columns)), ((2, len(KINDS)), NAMES))
        self.assertEqual(whole["c1"].dtype, numpy.dtype("i8"))
        self.assertEqual(whole["c14"][0], MOMENT)
        gaps = page(FULL + NULL, 2).to_pandas()
        self.assertEqual(gaps["c1"].dtype, pandas.Int64Dtype())
        self.assertEqual((gaps["c1"][0], gaps["c3"][0], gaps["c16"][0]), (-(1 << 63), True, -1))
        for name in NAMES:
            self.assertTrue(pandas.isna(gaps[name][1]), name)
        self.assertEqual(page(b"", 0).to_pandas().shape, (0, len(KINDS)))


class ArrowTests(SynchronousTestCase):
    """Tables."""

    def test_kinds(self) -> None:
        """Each type, with nulls; an empty page has the same names."""
        table = page(FULL + NULL, 2).to_arrow()
        self.assertEqual(table.column_names, NAMES)
        for name, (kind, _, _, expected) in zip(NAMES, KINDS, strict=True):
            self.assertEqual(table.column(name).to_pylist(), [expected, None], kind)
        self.assertEqual(page(b"", 0).to_arrow().column_names, NAMES)

    def test_time(self) -> None:
        """Nanoseconds are kept."""
        specs = columns("time")
        table = page(row(specs, [Time(1)]), 1, specs=specs).to_arrow()
        self.assertEqual(table.column("c0").cast(pyarrow.int64()).to_pylist(), [1])

    def test_udt(self) -> None:
        """A struct with the fields' names."""
        from txcql.test.test_usercodecs import ADDRESS

        table = page(row(columns(ADDRESS), [("a", None)]), 1, specs=columns(ADDRESS)).to_arrow()
        self.assertEqual(table.column("c0").to_pylist(), [{"street": "a", "zip": None}])

    def test_refused(self) -> None:
        """What Arrow cannot hold names its column."""
        for kind, data in (
            ("int", b""),
            ("list<int>", b"\0\0\0\1\0\0\0\0"),
            ("varint", b"\x7f" * 40),
            ("time", b"\x7f" * 8),
        ):
            error = self.assertRaises(ValueError, page(cells([data]), 1, specs=columns(kind)).to_arrow)
            self.assertIn(f'column "c0" ({kind}) does not go into Arrow', str(error))


class MissingTests(SynchronousTestCase):
    """Without the libraries."""

    def test_told(self) -> None:
        """The error says which extra to install."""
        for library, extra, method in (
            ("numpy", "numpy", "to_numpy"),
            ("pyarrow", "arrow", "to_arrow"),
            ("pandas", "pandas", "to_pandas"),
        ):
            self.patch(sys, "modules", {**sys.modules, library: None})
            error = self.assertRaises(ImportError, getattr(page(FULL, 1), method))
            self.assertIn(f"{method}() needs {library}, which is not installed", str(error))
            self.assertIn(f"'txcql[{extra}]'", str(error))
