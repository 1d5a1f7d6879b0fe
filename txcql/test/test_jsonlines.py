"""Tests for :mod:`txcql.session.jsonlines`."""

from __future__ import annotations

import json
from collections import namedtuple
from dataclasses import dataclass
from datetime import date, datetime, time, timezone
from decimal import Decimal
from enum import Enum
from ipaddress import ip_address
from typing import Any
from uuid import UUID

from twisted.trial.unittest import SynchronousTestCase

from txcql import json_lines
from txcql.wire.values import EMPTY, UNSET, Date, Duration, Time, Timestamp

Row = namedtuple("Row", "k v")
Address = namedtuple("Address", "street zip_code")


class Color(Enum):
    RED = 1


class Shape(str, Enum):
    ROUND = "round"


# A value, and its JSON.
VALUES: list[tuple[Any, str]] = [
    (None, "null"),
    (True, "true"),
    (7, "7"),
    (2**70, "1180591620717411303424"),
    ("é\n", '"é\\n"'),
    (Shape.ROUND, '"round"'),
    (0.5, "0.5"),
    (float("nan"), '"NaN"'),
    (float("inf"), '"Infinity"'),
    (float("-inf"), '"-Infinity"'),
    (Decimal("1.50"), '"1.50"'),
    (UUID(int=1), '"00000000-0000-0000-0000-000000000001"'),
    (ip_address("::1"), '"::1"'),
    (ip_address("10.0.0.1"), '"10.0.0.1"'),
    (datetime(2024, 1, 2, 3, 4, 5, 6000, timezone.utc), '"2024-01-02T03:04:05.006000+00:00"'),
    (date(2024, 1, 2), '"2024-01-02"'),
    (time(1, 2, 3), '"01:02:03"'),
    (Timestamp(0), '"1970-01-01T00:00:00.000Z"'),
    (Date(-719529), '"-0001-12-31"'),
    (Time(1), '"00:00:00.000000001"'),
    (Duration(1, 2, 3), '"1mo2d3ns"'),
    (b"\xca\xfe", '"0xcafe"'),
    ([1, 0.5, None], "[1,0.5,null]"),
    ((1, "a"), '[1,"a"]'),
    ({b"\1"}, '["0x01"]'),
    ([float("nan")], '["NaN"]'),
    ({"a": {1: [Decimal(2)]}}, '{"a":{"1":["2"]}}'),
    ({True: 1, UUID(int=1): 2}, '{"true":1,"00000000-0000-0000-0000-000000000001":2}'),
    ({(1, "a"): 2}, '{"[1,\\"a\\"]":2}'),
    (Address("Main St", None), '{"street":"Main St","zip_code":null}'),
    ([Address("a", 1)], '[{"street":"a","zip_code":1}]'),
    (EMPTY, '""'),
]


class JSONLinesTests(SynchronousTestCase):
    """One row, one line."""

    def test_values(self) -> None:
        """Each type of CQL; every line is JSON to others too."""
        for value, text in VALUES:
            line = json_lines(Row(1, value))
            self.assertEqual(line, f'{{"k":1,"v":{text}}}\n'.encode())
            json.loads(line, parse_constant=self.fail)

    def test_rows(self) -> None:
        """However they are made."""

        @dataclass
        class Point:
            x: int
            y: Any

        @dataclass(frozen=True)
        class Slotted:
            __slots__ = ("x",)
            x: int

        class Plain:
            def __init__(self) -> None:
                self.x = 1

        self.assertEqual(json_lines((1, b"\1")), b'[1,"0x01"]\n')
        self.assertEqual(json_lines({"a": 1, "b c": None}), b'{"a":1,"b c":null}\n')
        self.assertEqual(json_lines(Point(1, Decimal(2))), b'{"x":1,"y":"2"}\n')
        self.assertEqual(json_lines(Slotted(1)), b'{"x":1}\n')
        self.assertEqual(json_lines(Plain()), b'{"x":1}\n')

    def test_no_line_within(self) -> None:
        """One row never becomes two lines."""
        self.assertEqual(json_lines(Row(1, "a\nb\r\u2028")).count(b"\n"), 1)

    def test_unknown(self) -> None:
        """A value that has no JSON names its column."""
        for value in (Color.RED, object(), [object()], UNSET):
            with self.assertRaisesRegex(TypeError, "^column 'v': there is no JSON for "):
                json_lines(Row(1, value))
        with self.assertRaisesRegex(TypeError, r"^json_lines\(\) takes rows, got 7$"):
            json_lines(7)
