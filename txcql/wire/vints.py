"""The protocol's variable-length integers, [unsigned vint] and [vint].

Native protocol v5, section 3: the count of leading 1 bits in the first byte is
the number of further bytes; a [vint] is zig-zag coded first, so that small
negative numbers stay short.
"""

from __future__ import annotations

from txcql.errors import DecodeError, EncodeError

__all__ = ["decode_unsigned_vint", "decode_vint", "encode_unsigned_vint", "encode_vint"]

_PREFIXES = tuple((0xFF00 >> extra) & 0xFF for extra in range(9))


def encode_unsigned_vint(value: int) -> bytes:
    """Write an [unsigned vint] in as few bytes as it needs.

    :raises EncodeError: if the value is not in 0..2**64-1.
    """
    if 0 <= value < 0x80:
        return bytes((value,))
    if not 0 <= value < 1 << 64:
        raise EncodeError(f"expected an unsigned vint in 0..{(1 << 64) - 1}, got {value}")
    extra = min((value.bit_length() - 1) // 7, 8)
    return (value | _PREFIXES[extra] << 8 * extra).to_bytes(extra + 1, "big")


def decode_unsigned_vint(data: bytes, offset: int = 0) -> tuple[int, int]:
    """Read an [unsigned vint], also one that is longer than it needs to be.

    :returns: the value and the offset behind it.
    :raises DecodeError: if the data end before it does.
    """
    if not 0 <= offset < len(data):
        raise DecodeError(f"expected a vint at byte {offset}, got only {len(data)} bytes")
    first = data[offset]
    if first < 0x80:
        return first, offset + 1
    extra = 8 - (first ^ 0xFF).bit_length()
    end = offset + 1 + extra
    if end > len(data):
        raise DecodeError(f"expected a vint of {extra + 1} bytes at byte {offset}, got {len(data) - offset}")
    value = int.from_bytes(data[offset + 1 : end], "big")
    return value | (first & (0xFF >> extra)) << 8 * extra, end


def encode_vint(value: int) -> bytes:
    """Write a signed [vint].

    :raises EncodeError: if the value is not in -2**63..2**63-1.
    """
    if not -(1 << 63) <= value < 1 << 63:
        raise EncodeError(f"expected a vint in {-(1 << 63)}..{(1 << 63) - 1}, got {value}")
    return encode_unsigned_vint((value << 1) ^ (value >> 63))


def decode_vint(data: bytes, offset: int = 0) -> tuple[int, int]:
    """Read a signed [vint].

    :returns: the value and the offset behind it.
    :raises DecodeError: if the data end before it does.
    """
    value, offset = decode_unsigned_vint(data, offset)
    return (value >> 1) ^ -(value & 1), offset
