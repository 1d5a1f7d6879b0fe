"""Compression of v3 and v4 bodies and of v5 segments.

The two places differ: an LZ4 body of v3 and v4 begins with its uncompressed
length, a v5 segment keeps that length in its header.
"""

from __future__ import annotations

from typing import Protocol

import lz4.block

from txcql.errors import ProtocolError

__all__ = ["BodyCompressor", "body_compressor", "lz4_compress", "lz4_decompress"]


_LZ4_MAX_RATIO = 255
# A copy of 64 bytes takes 3: what a block claims beyond that would only make us allocate.
_SNAPPY_MAX_RATIO = 22


class BodyCompressor(Protocol):
    """Compresses whole bodies of v3 and v4."""

    name: str

    def compress(self, body: bytes) -> bytes:
        """The body as it goes out with the compression flag."""

    def decompress(self, stored: bytes, limit: int) -> bytes:
        """The body back.

        :param limit: the largest size in bytes that is accepted; it is checked before anything is allocated.
        :raises ProtocolError: it is too large, or no compressed body.
        """


def lz4_compress(data: bytes) -> bytes:
    """A raw LZ4 block, without a length before it."""
    compressed: bytes = lz4.block.compress(data, store_size=False)
    return compressed


def lz4_decompress(stored: bytes, size: int) -> bytes:
    """The ``size`` bytes that a raw LZ4 block stands for.

    :raises ProtocolError: it is no such block, or holds another number of bytes.
    """
    # A block cannot grow by more than this: a larger claim would only make us allocate.
    if size > _LZ4_MAX_RATIO * len(stored):
        raise ProtocolError(f"an LZ4 block of {len(stored)} bytes cannot hold {size} bytes")
    try:
        data: bytes = lz4.block.decompress(stored, uncompressed_size=size)
    except (lz4.block.LZ4BlockError, ValueError) as error:
        raise ProtocolError(f"an LZ4 block of {len(stored)} bytes cannot be decompressed: {error}") from error
    if len(data) != size:
        raise ProtocolError(f"an LZ4 block holds {len(data)} bytes, its header says {size}")
    return data


class LZ4Body:
    """LZ4 in v3 and v4: a 4-byte big-endian uncompressed length, then the block."""

    name = "lz4"

    def compress(self, body: bytes) -> bytes:
        return len(body).to_bytes(4, "big") + lz4_compress(body)

    def decompress(self, stored: bytes, limit: int) -> bytes:
        if len(stored) < 4:
            raise ProtocolError(f"an LZ4 body has at least 4 bytes, got {len(stored)}")
        size = int.from_bytes(stored[:4], "big")
        _check_size(size, limit)
        # The server sends an empty body as this length and one zero byte.
        return lz4_decompress(stored[4:], size) if size else b""


class SnappyBody:
    """Snappy in v3 and v4: the raw block, which begins with its uncompressed length as a varint."""

    name = "snappy"

    def __init__(self) -> None:
        try:
            from cramjam import DecompressionError, snappy
        except ImportError as error:
            raise ValueError(
                'compression="snappy" needs the package cramjam: pip install "txcql[snappy]"'
            ) from error
        self._snappy = snappy
        self._errors = (DecompressionError, ValueError)

    def compress(self, body: bytes) -> bytes:
        return bytes(self._snappy.compress_raw(body))

    def decompress(self, stored: bytes, limit: int) -> bytes:
        size = _snappy_size(stored)
        _check_size(size, limit)
        if size > _SNAPPY_MAX_RATIO * len(stored):
            raise ProtocolError(f"a Snappy body of {len(stored)} bytes cannot hold {size} bytes")
        try:
            return bytes(self._snappy.decompress_raw(stored))
        except self._errors as error:
            raise ProtocolError(
                f"a Snappy body of {len(stored)} bytes cannot be decompressed: {error}"
            ) from error


def _snappy_size(stored: bytes) -> int:
    size = 0
    for position, byte in enumerate(stored[:5]):
        size |= (byte & 0x7F) << (7 * position)
        if byte < 0x80:
            return size
    raise ProtocolError("a Snappy body does not begin with its length")


def _check_size(size: int, limit: int) -> None:
    if size > limit:
        raise ProtocolError(f"a compressed body of {size} bytes is over the limit of {limit} bytes")


def body_compressor(name: str) -> BodyCompressor:
    """The compressor of v3 and v4 bodies.

    :param name: ``"lz4"`` or ``"snappy"``.
    :raises ValueError: unknown, or its package is not installed.
    """
    if name == "lz4":
        return LZ4Body()
    if name == "snappy":
        return SnappyBody()
    raise ValueError(f'compression must be None, "lz4" or "snappy", got {name!r}')
