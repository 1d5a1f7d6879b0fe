"""Murmur3 tokens, against those of the server."""

from __future__ import annotations

import random

from twisted.trial.unittest import SynchronousTestCase

from txcql.wire.murmur3 import composite_key, pure_token, token

TOKENS = {
    "00": 5048724184180415669,
    "ff": -4442228696663692417,
    "68656c6c6f": -3758069500696749310,
    "0000002a": -7160136740246525330,
    "ffffffffffffffff": 7071048584287372947,
    "616263646566676880": 9104285022757241573,
    "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff": -9084739235461062116,
    bytes(range(0x78, 0x97)).hex(): -3821201578399801977,
    "c3a9": 5461403030378599040,
    "61" * 16: -954455200256842034,
    "0004000000010000026162" + "00": 4996121422650625275,
}
"""``SELECT token(k)`` of a real node."""


class Murmur3Tests(SynchronousTestCase):
    """:func:`token` and :func:`composite_key`."""

    def test_captured(self) -> None:
        """The tokens that a real node gives."""
        for key, expected in TOKENS.items():
            self.assertEqual(token(bytes.fromhex(key)), expected, key)

    def test_pure(self) -> None:
        """With a library and without: the same tokens, for keys of any length and any bytes."""
        draw = random.Random(5)
        for size in range(100):
            for key in (draw.randbytes(size), bytes(draw.randrange(0x80) for _ in range(size))):
                self.assertEqual(token(key), pure_token(key), key.hex())
        for hexadecimal, expected in TOKENS.items():
            self.assertEqual(pure_token(bytes.fromhex(hexadecimal)), expected)

    def test_composite(self) -> None:
        """Each component has its length before it and a zero behind it."""
        key = composite_key([b"\0\0\0\1", b"ab"])
        self.assertEqual(key.hex(), "000400000001000002616200")
        self.assertEqual(token(key), 4996121422650625275)

    def test_component_too_long(self) -> None:
        """A length must fit into two bytes."""
        self.assertEqual(len(composite_key([b"x" * 0xFFFF])), 0x10002)
        self.assertRaises(ValueError, composite_key, [b"x" * 0x10000])
