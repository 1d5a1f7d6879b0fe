"""Tests for :mod:`txcql.wire.cqltypes`."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from txcql.errors import EncodeError
from txcql.wire.collectiontypes import ListType, SetType
from txcql.wire.cqltypes import CQLType, describe, hashable
from txcql.wire.scalars import INT, TEXT, IntegerType
from txcql.wire.values import EMPTY


class DescribeTests(SynchronousTestCase):
    """How a value is named in a message."""

    def test_short(self) -> None:
        """Type and value; the type only once."""
        for value, text in [
            ("x", 'str "x"'),
            (5, "int 5"),
            (True, "bool True"),
            (None, "None"),
            (EMPTY, "EMPTY"),
            ([1, 2], "list [1, 2]"),
        ]:
            self.assertEqual(describe(value), text)

    def test_long(self) -> None:
        """What is long is cut."""
        for value in ("x" * 1000, b"x" * 1000, list(range(1000)), 10**10000, {str(n): n for n in range(99)}):
            self.assertLess(len(describe(value)), 100)

    def test_broken(self) -> None:
        """A repr that raises does not hide the mistake."""

        class Broken:
            def __repr__(self) -> str:
                raise RuntimeError

        self.assertIn("Broken", describe(Broken()))


class CQLTypeTests(SynchronousTestCase):
    """The base class."""

    def test_null_and_empty(self) -> None:
        """Null is ``None``, no bytes are EMPTY, in both directions."""
        self.assertIsNone(INT.encode(None))
        self.assertIsNone(INT.decode(None))
        self.assertEqual(INT.encode(EMPTY), b"")
        self.assertIs(INT.decode(b""), EMPTY)

    def test_equality(self) -> None:
        """Types are equal if they are of one kind with equal parts."""
        self.assertEqual(ListType(INT), ListType(IntegerType("int", "i")))
        self.assertEqual(hash(ListType(INT)), hash(ListType(INT)))
        self.assertNotEqual(ListType(INT), ListType(TEXT))
        self.assertNotEqual(ListType(INT), SetType(INT))
        self.assertNotEqual(INT, "int")
        self.assertEqual((str(ListType(INT)), repr(ListType(INT))), ("list<int>", "<ListType list<int>>"))

    def test_refuse(self) -> None:
        """The message names the type and the value."""
        error = self.assertRaises(EncodeError, INT.refuse, "x")
        self.assertEqual(str(error), 'expected int, got str "x"')

    def test_hashable(self) -> None:
        """Scalars, and codecs of the user's, are hashable as they are."""
        codec = object()
        self.assertIs(hashable(codec), codec)
        self.assertIs(hashable(INT), INT)
        self.assertIsInstance(hashable(ListType(INT)), CQLType)
