"""Tests for :mod:`txcql.wire.vints`."""

from __future__ import annotations

from hypothesis import given, strategies as st
from twisted.trial.unittest import SynchronousTestCase

from txcql.errors import DecodeError, EncodeError
from txcql.test.examples import examples, prefixes
from txcql.wire.vints import decode_unsigned_vint, decode_vint, encode_unsigned_vint, encode_vint


class VintTests(SynchronousTestCase):
    """Both kinds of variable-length integers."""

    def test_captured(self) -> None:
        """What Cassandra writes, from the durations that were captured."""
        for value, written in [
            (1, "02"),
            (0, "00"),
            (-45_000_000_000_000, "fc51dac2079fff"),
            (64, "8080"),
            (128, "8100"),
            ((1 << 63) - 1, "fffffffffffffffffe"),
            (-(1 << 63), "ffffffffffffffffff"),
        ]:
            self.assertEqual(encode_vint(value).hex(), written)
            self.assertEqual(decode_vint(bytes.fromhex(written)), (value, len(written) // 2))
        self.assertEqual(encode_unsigned_vint(200).hex(), "80c8")

    @examples
    @given(
        st.integers(0, (1 << 64) - 1) | st.integers(0, 64).map(lambda bits: (1 << bits) - 1),
        st.binary(max_size=3),
    )
    def test_unsigned(self, value: int, before: bytes) -> None:
        """Any number comes back, at any offset, in the fewest bytes."""
        written = encode_unsigned_vint(value)
        self.assertEqual(
            decode_unsigned_vint(before + written + b"\xff", len(before)), (value, len(before + written))
        )
        self.assertEqual(len(written), max(1, min(9, -(-value.bit_length() // 7))))
        for prefix in prefixes(written):
            self.assertRaises(DecodeError, decode_unsigned_vint, prefix, 0)

    @examples
    @given(st.integers(-(1 << 63), (1 << 63) - 1))
    def test_signed(self, value: int) -> None:
        """Any number comes back."""
        written = encode_vint(value)
        self.assertEqual(decode_vint(written), (value, len(written)))

    def test_longer_than_needed(self) -> None:
        """A number may be written in more bytes than it needs."""
        self.assertEqual(decode_unsigned_vint(b"\x80\x05"), (5, 2))
        self.assertEqual(decode_unsigned_vint(b"\xff" + bytes(7) + b"\x05"), (5, 9))

    def test_range(self) -> None:
        """What 64 bits cannot hold is refused."""
        for value in (-1, 1 << 64):
            self.assertRaises(EncodeError, encode_unsigned_vint, value)
        for value in (-(1 << 63) - 1, 1 << 63):
            self.assertRaises(EncodeError, encode_vint, value)
