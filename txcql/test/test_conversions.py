"""Tests for :mod:`txcql.wire.conversions`."""

from __future__ import annotations

import copy
import decimal
import pickle
import time as clock
from datetime import datetime, timezone
from uuid import UUID

from hypothesis import given, strategies as st
from twisted.trial.unittest import SynchronousTestCase

from txcql.test.examples import examples
from txcql.wire.conversions import exact_int, make_decimal, make_timestamp, make_uuid, make_varint


class ConversionTests(SynchronousTestCase):
    """The fast ways give what the slow ones give."""

    @examples
    @given(st.uuids())
    def test_uuid(self, value: UUID) -> None:
        """A UUID made without its ``__init__`` is like any other."""
        made = make_uuid(value.bytes)
        self.assertEqual(
            (made, hash(made), str(made), made.version), (value, hash(value), str(value), value.version)
        )
        self.assertEqual(made.is_safe, value.is_safe)
        self.assertEqual(pickle.loads(pickle.dumps(made)), value)
        self.assertEqual(copy.deepcopy(made), value)
        self.assertRaises(TypeError, setattr, made, "int", 5)

    @examples
    @given(st.integers(0, (1 << 32) * 1000 - 1))
    def test_timestamp(self, milliseconds: int) -> None:
        """Below 2**32 seconds, which the generated rows rely on, a float loses no millisecond."""
        self.assertEqual(
            datetime.fromtimestamp(milliseconds / 1000, timezone.utc), make_timestamp(milliseconds)
        )

    @examples
    @given(st.integers(-(1 << 40000), 1 << 40000), st.integers(-(1 << 31), (1 << 31) - 1))
    def test_decimal(self, unscaled: int, scale: int) -> None:
        """No digit is lost, whatever the context of the application."""
        data = scale.to_bytes(4, "big", signed=True) + make_varint(unscaled)
        with decimal.localcontext() as context:
            context.prec = 3
            made = make_decimal(data)
        self.assertEqual(made.as_tuple().exponent, -scale)
        self.assertEqual(int(decimal.Decimal((made.is_signed(), made.as_tuple().digits, 0))), unscaled)

    def test_huge_decimal(self) -> None:
        """A hostile megabyte takes seconds at most, not the square of its size."""
        before = clock.process_time()
        make_decimal(b"\0\0\0\2" + b"\x7f" * 200_000)
        self.assertLess(clock.process_time() - before, 5)

    @examples
    @given(st.integers(-(1 << 20000), 1 << 20000))
    def test_int(self, number: int) -> None:
        """Huge decimals become ints by halves, which lose nothing."""
        self.assertEqual(exact_int(make_decimal(b"\0\0\0\0" + make_varint(number))), number)

    def test_int_edges(self) -> None:
        """Powers of two and of ten, and what is beside them."""
        for bits in (8191, 8192, 8304, 8305, 16383, 16384, 40000, 65536):
            for number in (1 << bits, 10 ** (bits // 4), (1 << bits) | (1 << bits // 2)):
                for odd in (number, number - 1, -number, 1 - number):
                    self.assertEqual(exact_int(make_decimal(b"\0\0\0\0" + make_varint(odd))), odd)

    def test_huge_int(self) -> None:
        """Encoding takes no square of the size either."""
        number = -(1 << 1_600_000) - 12345
        made = make_decimal(b"\0\0\0\0" + make_varint(number))
        before = clock.process_time()
        self.assertEqual(exact_int(made), number)
        self.assertLess(clock.process_time() - before, 5)
