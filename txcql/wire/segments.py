"""The segments of v5: checksummed containers of envelopes (v5 specification, section 2).

Where the specification misleads, this follows what servers do: a compressed
header has 5 bytes and 3 of CRC24, an uncompressed length of 0 marks a payload
that is stored as it is, and the CRC32 covers the stored bytes.
"""

from __future__ import annotations

from collections.abc import Iterable

from txcql.errors import ProtocolError
from txcql.wire.checksums import crc24, crc32
from txcql.wire.compression import lz4_compress, lz4_decompress
from txcql.wire.readbuffer import Piece, ReadBuffer, joined

__all__ = ["MAX_PAYLOAD", "SegmentReader", "encode_segment", "encode_segments"]

MAX_PAYLOAD = 0x1FFFF
"""The largest payload of a segment in bytes, before compression: 2^17 - 1."""

_CRC24_SIZE = 3
_CRC32_SIZE = 4


def encode_segment(payload: bytes, self_contained: bool, compressed: bool) -> bytes:
    """One segment.

    :param payload: at most :data:`MAX_PAYLOAD` bytes.
    :param self_contained: whether it holds whole envelopes, rather than a piece of one.
    :param compressed: whether the link has negotiated LZ4; a payload that does not shrink is
        stored as it is all the same.
    """
    if compressed:
        stored = lz4_compress(payload)
        if len(stored) < len(payload):
            fields = len(stored) | len(payload) << 17
        else:
            stored = payload
            fields = len(payload)
        header = (fields | self_contained << 34).to_bytes(5, "little")
    else:
        stored = payload
        header = (len(payload) | self_contained << 17).to_bytes(3, "little")
    return b"".join(
        (header, crc24(header).to_bytes(3, "little"), stored, crc32(stored).to_bytes(4, "little"))
    )


def encode_segments(envelopes: Iterable[bytes], compressed: bool) -> bytes:
    """Envelopes packed into as few segments as their order allows.

    Small ones share a segment. One that is larger than a segment is cut into
    pieces, and shares none of them: a server that finds another envelope behind
    its tail never answers that one.

    :param envelopes: whole envelopes, header and body.
    """
    segments: list[bytes] = []
    shared: list[bytes] = []
    size = 0
    for envelope in envelopes:
        if size + len(envelope) > MAX_PAYLOAD and shared:
            segments.append(encode_segment(b"".join(shared), True, compressed))
            shared, size = [], 0
        if len(envelope) > MAX_PAYLOAD:
            segments += (
                encode_segment(envelope[start : start + MAX_PAYLOAD], False, compressed)
                for start in range(0, len(envelope), MAX_PAYLOAD)
            )
        else:
            shared.append(envelope)
            size += len(envelope)
    if shared:
        segments.append(encode_segment(b"".join(shared), True, compressed))
    return segments[0] if len(segments) == 1 else b"".join(segments)


class SegmentReader:
    """Takes segments from a Read Buffer, one payload at a time.

    :param buffer: where received bytes are appended.
    :param compressed: whether the link has negotiated LZ4.
    """

    __slots__ = ("_buffer", "_compressed", "_header_size", "_pending")

    def __init__(self, buffer: ReadBuffer, compressed: bool) -> None:
        self._buffer = buffer
        self._compressed = compressed
        self._header_size = 5 if compressed else 3
        self._pending: tuple[int, int, bool] | None = None

    def next_payload(self) -> tuple[list[Piece], bool] | None:
        """The next payload, in pieces, and whether it is self-contained; ``None`` if more bytes are needed.

        :raises ProtocolError: a checksum or a length is wrong: the link cannot go on.
        """
        buffer = self._buffer
        pending = self._pending
        if pending is None:
            if buffer.size < self._header_size + _CRC24_SIZE:
                return None
            pending = self._pending = self._read_header(buffer.take(self._header_size + _CRC24_SIZE))
        stored_size, size, self_contained = pending
        if buffer.size < stored_size + _CRC32_SIZE:
            return None
        stored = buffer.pieces(stored_size)
        if int.from_bytes(buffer.take(_CRC32_SIZE), "little") != crc32(*stored):
            raise ProtocolError("the CRC32 of a segment's payload is wrong")
        self._pending = None
        return ([lz4_decompress(joined(stored), size)] if size else stored), self_contained

    def _read_header(self, data: bytes) -> tuple[int, int, bool]:
        fields = int.from_bytes(data, "little")
        size = self._header_size
        if fields >> 8 * size != crc24(data[:size]):
            raise ProtocolError("the CRC24 of a segment's header is wrong")
        if self._compressed:
            return fields & MAX_PAYLOAD, fields >> 17 & MAX_PAYLOAD, bool(fields >> 34 & 1)
        return fields & MAX_PAYLOAD, 0, bool(fields >> 17 & 1)
