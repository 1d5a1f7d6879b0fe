"""Tests for :mod:`txcql.wire.metadata`."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from txcql.wire.metadata import Column
from txcql.wire.scalars import INT


class ColumnTests(SynchronousTestCase):
    """Column."""

    def test_fields(self) -> None:
        """A column is its four fields."""
        column = Column("ks", "table", "age", INT)
        self.assertEqual(column, ("ks", "table", "age", INT))
        self.assertEqual((column.keyspace, column.table, column.name, column.type), tuple(column))
