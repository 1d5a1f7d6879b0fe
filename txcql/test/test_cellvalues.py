"""Tests for :mod:`txcql.cli.cellvalues`."""

from __future__ import annotations

from datetime import date, datetime, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

from twisted.trial.unittest import SynchronousTestCase

from txcql.cli.cellvalues import cell_reader


class CellReaderTests(SynchronousTestCase):
    """What is read here, and what is left to the server."""

    def read(self, kind: str, cell: str) -> Any:
        reader = cell_reader([kind], "\\N")
        assert reader is not None
        return reader([cell])

    def test_values(self) -> None:
        """Each type, as ``unload`` spells it."""
        for kind, cell, value in (
            ("text", "a\nb", "a\nb"),
            ("ascii", "a", "a"),
            ("boolean", "true", True),
            ("int", "-7", -7),
            ("varint", "1" * 30, int("1" * 30)),
            ("double", "0.5", 0.5),
            ("double", "1e-07", 1e-07),
            ("decimal", "1.50", Decimal("1.50")),
            ("uuid", str(UUID(int=7)), UUID(int=7)),
            ("blob", "0x00ff", b"\0\xff"),
            ("blob", "0x", b""),
            ("date", "2020-02-29", date(2020, 2, 29)),
            (
                "timestamp",
                "2020-02-29T01:02:03.004000+00:00",
                datetime(2020, 2, 29, 1, 2, 3, 4000, timezone.utc),
            ),
            ("int", "\\N", None),
        ):
            (found,) = self.read(kind, cell)
            self.assertEqual((found, type(found)), (value, type(value)), (kind, cell))

    def test_left_to_the_server(self) -> None:
        """Any other spelling: what it means, and whether it does, the server says."""
        for kind, cell in (
            ("int", ""),
            ("int", "1_000"),
            ("int", " 1"),
            ("int", "\u0661"),
            ("boolean", "True"),
            ("double", "NaN"),
            ("double", "0x1p3"),
            ("decimal", "1E+3"),
            ("uuid", "{00000000-0000-0000-0000-000000000007}"),
            ("ascii", "\u00e9"),
            ("blob", "00"),
            ("date", "2020-02-30"),
            ("timestamp", "2020-02-29 01:02"),
        ):
            self.assertIsNone(self.read(kind, cell), (kind, cell))

    def test_types_left_to_the_server(self) -> None:
        """One column is enough."""
        for kind in ("float", "time", "duration", "inet", "list<int>", "address"):
            self.assertIsNone(cell_reader(["int", kind], "\\N"))
