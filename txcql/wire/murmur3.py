"""The Murmur3 token of a partition key, as Cassandra computes it.

MurmurHash3 x64 128 with the seed 0, of which the first half is the token. One
peculiarity is the server's own: the bytes behind the last whole block of 16
are sign-extended, so keys that have a byte of 0x80 or more there would
otherwise go to the wrong nodes. Where there are none, the library ``mmh3`` (extra
``murmur3``) gives the same, several times as fast.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence

__all__ = ["composite_key", "pure_token", "token"]

_MASK = (1 << 64) - 1
_C1 = 0x87C37B91114253D5
_C2 = 0x4CF5AD432745937F
_LOWEST = -(1 << 63)

_unpack_block = struct.Struct("<QQ").unpack_from


_hash64: Callable[[bytes, int, bool, bool], tuple[int, int]] | None
try:
    from mmh3 import hash64 as _hash64
except ImportError:
    _hash64 = None


def token(key: bytes) -> int:
    """The token of a serialized partition key, in -2**63+1..2**63-1.

    :param key: the bytes of a single component, or :func:`composite_key` of several.
    """
    if _hash64 is None or not key[len(key) & ~15 :].isascii():
        return pure_token(key)
    h1 = _hash64(key, 0, True, True)[0]
    return h1 if h1 != _LOWEST else -_LOWEST - 1


def pure_token(key: bytes) -> int:
    """The same, without any library."""
    size = len(key)
    if 0 < size <= 8:
        return _short_token(key, size)
    h1 = h2 = 0
    tail = size & ~15
    for offset in range(0, tail, 16):
        k1, k2 = _unpack_block(key, offset)
        h1 ^= _mix(k1, 31, _C1, _C2)
        h1 = ((h1 << 27 | h1 >> 37) + h2) * 5 + 0x52DCE729 & _MASK
        h2 ^= _mix(k2, 33, _C2, _C1)
        h2 = ((h2 << 31 | h2 >> 33) + h1) * 5 + 0x38495AB5 & _MASK
    if size > tail:
        if size > tail + 8:
            h2 ^= _mix(_signed_tail(key[tail + 8 :]), 33, _C2, _C1)
        h1 ^= _mix(_signed_tail(key[tail : tail + 8]), 31, _C1, _C2)
    h1 ^= size
    h2 ^= size
    h1 = h1 + h2 & _MASK
    h2 = h2 + h1 & _MASK
    h1 = _finish(h1) + _finish(h2) & _MASK
    if h1 >> 63:
        h1 -= 1 << 64
    return h1 if h1 != _LOWEST else -_LOWEST - 1


def _short_token(key: bytes, size: int) -> int:
    """The same, of a key that is one number, or a short text: all in one, since that is most keys."""
    k = (_signed_tail(key) * _C1) & _MASK
    h1 = ((k << 31 | k >> 33) * _C2 & _MASK ^ size) + size & _MASK
    h2 = size + h1 & _MASK
    h1 = (h1 ^ h1 >> 33) * 0xFF51AFD7ED558CCD & _MASK
    h1 = (h1 ^ h1 >> 33) * 0xC4CEB9FE1A85EC53 & _MASK
    h2 = (h2 ^ h2 >> 33) * 0xFF51AFD7ED558CCD & _MASK
    h2 = (h2 ^ h2 >> 33) * 0xC4CEB9FE1A85EC53 & _MASK
    h1 = (h1 ^ h1 >> 33) + (h2 ^ h2 >> 33) & _MASK
    if h1 >> 63:
        h1 -= 1 << 64
    return h1 if h1 != _LOWEST else -_LOWEST - 1


def composite_key(components: Sequence[bytes]) -> bytes:
    """The serialized form of a partition key of several components.

    :raises ValueError: a component is longer than 65,535 bytes.
    """
    pieces: list[bytes] = []
    for component in components:
        if len(component) > 0xFFFF:
            raise ValueError(f"a component of a partition key has at most 65535 bytes, got {len(component)}")
        pieces += (len(component).to_bytes(2, "big"), component, b"\0")
    return b"".join(pieces)


def _mix(k: int, rotation: int, before: int, after: int) -> int:
    k = k * before & _MASK
    return (k << rotation | k >> 64 - rotation) * after & _MASK


def _signed_tail(data: bytes) -> int:
    k = int.from_bytes(data, "little")
    signs = k >> 7 & 0x0101010101010101
    if signs:
        # A negative byte turns over every bit above it: each byte so often as there are such below it.
        signs ^= signs << 8
        signs ^= signs << 16
        signs ^= signs << 32
        k ^= (signs << 8 & 0x0101010101010101) * 0xFF
    return k


def _finish(h: int) -> int:
    h = (h ^ h >> 33) * 0xFF51AFD7ED558CCD & _MASK
    h = (h ^ h >> 33) * 0xC4CEB9FE1A85EC53 & _MASK
    return h ^ h >> 33
