"""The two checksums of v5 segments (v5 specification, section 2.2)."""

from __future__ import annotations

import zlib
from collections.abc import Callable

from txcql.wire.compiled import COMPILED, compiled_splitting

__all__ = ["crc24", "crc24_in_python", "crc32"]

_CRC24_INITIAL = 0x875060
_CRC24_POLYNOMIAL = 0x1974F0B


def _table_entry(byte: int) -> int:
    crc = byte << 16
    for _ in range(8):
        crc <<= 1
        if crc & 0x1000000:
            crc ^= _CRC24_POLYNOMIAL
    return crc


_CRC24_TABLE = tuple(_table_entry(byte) for byte in range(256))

# The specification does not say it: the server feeds FA 2D 55 CA to the CRC32 before the payload.
_CRC32_INITIAL = zlib.crc32(b"\xfa\x2d\x55\xca")


def crc24_in_python(header: bytes) -> int:
    """The CRC24 of a segment's header: the 3 or 5 bytes before it, in wire order."""
    crc = _CRC24_INITIAL
    for byte in header:
        crc = ((crc << 8) & 0xFFFFFF) ^ _CRC24_TABLE[(crc >> 16) ^ byte]
    return crc


crc24: Callable[[bytes], int] = compiled_splitting.crc24 if COMPILED else crc24_in_python
"""The one of both that is faster."""


def crc32(*pieces: bytes | bytearray | memoryview) -> int:
    """The CRC32 of a segment's payload as stored, that is, after compression.

    :param pieces: the payload, cut anywhere.
    """
    crc = _CRC32_INITIAL
    for piece in pieces:
        crc = zlib.crc32(piece, crc)
    return crc
