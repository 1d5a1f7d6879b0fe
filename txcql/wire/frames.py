"""The Frame Codec: bytes to frames and back, for v3, v4 and v5.

It knows no socket: received bytes go in by :meth:`FrameCodec.receive`, frames
come out of :meth:`FrameCodec.next_frame`, one at a time, so the caller may stop
between two of them. What the specification calls *envelope* in v5 is the frame
of v3 and v4 with segments around it, and is called frame here.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Literal

from txcql.errors import ProtocolError, TLSError
from txcql.wire.compiled import COMPILED, compiled_splitting
from txcql.wire.compression import BodyCompressor, body_compressor
from txcql.wire.constants import (
    FLAG_COMPRESSED,
    HEADER_SIZE,
    MAX_FRAME_SIZE,
    NATIVE_VERSIONS,
    RESPONSE,
)
from txcql.wire.readbuffer import Piece, ReadBuffer, joined
from txcql.wire.segments import MAX_PAYLOAD, SegmentReader, encode_segment, encode_segments
from txcql.wire.splitting import Frame, FrameSplitter

__all__ = ["Frame", "FrameCodec", "UnreadableBody", "pack_header"]

_HEADER = struct.Struct(">BBhBi")
_unpack_header = _HEADER.unpack_from

pack_header = _HEADER.pack
"""Header bytes of (version, flags, stream, opcode, body length)."""

_WORTH_COMPRESSING = 64
_SMALL_PIECE = 4096  # Smaller ones of a large frame are merged.
_KEPT_MEMORY = 2 << 20
_TLS = (b"\x15\x03", b"\x16\x03")  # an alert, a handshake


_Splitter = FrameSplitter
if not TYPE_CHECKING and COMPILED:
    _Splitter = compiled_splitting.FrameSplitter


class UnreadableBody(ProtocolError):
    """A body that cannot be decompressed. The frame behind it can be read: only its stream is concerned.

    :ivar stream: the stream id of the frame.
    """

    def __init__(self, message: str, stream: int) -> None:
        self.stream = stream
        super().__init__(message)


class FrameCodec(_Splitter):
    """Splits a byte stream into frames, and builds frames.

    :param version: 3, 4 or 5. Frames of other known versions are read too, since a server
        answers an unsupported version in one of its own; the reader of the frame decides.
    :param compression: ``None``, ``"lz4"``, or ``"snappy"`` (v3 and v4 only).
    :param segmented: v5 after the answer to STARTUP.
    :param max_frame_size: the largest body accepted, in bytes; a larger one is refused
        before anything is allocated for it.
    :param read_buffer_size: see :class:`~txcql.wire.readbuffer.ReadBuffer`.
    :raises ValueError: an unknown version or compression.
    """

    __slots__ = (
        "_buffer",
        "_large",
        "_large_header",
        "_segments",
        "_strict",
        "compression",
        "compressor",
        "segmented",
    )

    def __init__(
        self,
        version: int,
        compression: str | None = None,
        segmented: bool = False,
        max_frame_size: int = MAX_FRAME_SIZE,
        read_buffer_size: int = 65536,
    ) -> None:
        if version not in NATIVE_VERSIONS:
            raise ValueError(f"version must be 3, 4 or 5, got {version!r}")
        if version == 5 and compression not in (None, "lz4"):
            raise ValueError(f'protocol v5 knows the compression "lz4" only, got {compression!r}')
        super().__init__(version, max_frame_size)
        self.compression = compression
        self.segmented = False
        self.compressor: BodyCompressor | None = None
        if compression is not None and version < 5:
            self.compressor = body_compressor(compression)
        self._buffer = ReadBuffer(read_buffer_size)
        self._strict = False
        self._segments: SegmentReader | None = None
        self._large: ReadBuffer | None = None
        self._large_header: bytes | None = None
        if segmented:
            self.start_segments()

    def start_segments(self) -> None:
        """From here on, both directions are segmented: v5, once STARTUP has been answered.

        :raises ValueError: the version has no segments.
        """
        if self.version != 5:
            raise ValueError(f"protocol v{self.version} has no segments")
        rest = self._data[self._offset :]
        while self._buffer.size:
            rest += self._buffer.take(self._buffer.size)
        self._data, self._offset = b"", 0
        self._buffer.append(rest)
        self.segmented = True
        self._segments = SegmentReader(self._buffer, self.compression is not None)

    def expect_answers(self) -> None:
        """The link is ready: from here on, nothing but a server's messages in this very version."""
        self._strict = True

    @property
    def buffered(self) -> int:
        """Bytes received and not yet given out as frames."""
        large = self._large.size if self._large is not None else 0
        return self._buffer.size + len(self._data) - self._offset + large

    def peek(self) -> bytes:
        """The first bytes that have been received and not given out: fewer than a header."""
        return (self._data[self._offset :] + self._buffer.peek())[: HEADER_SIZE - 1]

    def receive(self, data: bytes) -> None:
        """Take received bytes, cut anywhere."""
        self._buffer.append(data)

    def encode_frame(
        self, stream: int, opcode: int, body: bytes, flags: int = 0, response: bool = False
    ) -> bytes:
        """One frame, ready to be written, in a segment of its own where there are segments.

        :param response: whether it is a message of the server.
        """
        return self.join(self.encode(stream, opcode, body, flags, response))

    def encode(
        self, stream: int, opcode: int, body: bytes, flags: int = 0, response: bool = False
    ) -> tuple[bytes, bytes]:
        """Header and body of one frame; :meth:`join` makes them ready to be written.

        The body is compressed where the link compresses bodies and it shrinks.
        """
        if self.compressor is not None and len(body) >= _WORTH_COMPRESSING:
            compressed = self.compressor.compress(body)
            if len(compressed) < len(body):
                body = compressed
                flags |= FLAG_COMPRESSED
        version = self.version | RESPONSE if response else self.version
        return pack_header(version, flags, stream, opcode, len(body)), body

    def join(self, pieces: Sequence[bytes]) -> bytes:
        """The bytes to write for any number of frames.

        :param pieces: header, body, header, body, … as :meth:`encode` gives them.
        """
        joined = b"".join(pieces)
        if not self.segmented:
            return joined
        compressed = self.compression is not None
        if len(joined) <= MAX_PAYLOAD:
            return encode_segment(joined, True, compressed)
        envelopes = (pieces[i] + pieces[i + 1] for i in range(0, len(pieces), 2))
        return encode_segments(envelopes, compressed)

    def decompressed(self, body: bytes, version: int, stream: int) -> bytes:
        if self.compressor is None:
            if not version & RESPONSE:
                # A server reads the bytes as they are, and complains of them.
                return body
            raise UnreadableBody("a compressed body, though no compression was agreed on", stream)
        try:
            return self.compressor.decompress(body, self.max_frame_size)
        except ProtocolError as error:
            raise UnreadableBody(str(error), stream) from error

    def check_header(self, data: bytes, version: int, length: int) -> None:
        """Pass frames of other known versions; refuse all else, saying what came instead."""
        if version in (0x81, 0x82):
            # An answer in v1 or v2: 8 bytes of header, a 1-byte stream.
            raise ProtocolError(f"the peer answers in protocol version {version & 0x7F}, which is too old")
        if data[:2] in _TLS:
            raise TLSError("the peer speaks TLS, and this link does not: give tls=, as in tls=txcql.TLS()")
        if not 3 <= version & 0x7F <= 6:
            line = bytes(data[:64]).split(b"\r\n")[0].split(b"\n")[0]
            raise ProtocolError(f'the peer answered "{_printable(line)}", which is not CQL')
        if self._strict and version != self._expected:
            if not version & RESPONSE:
                raise ProtocolError("the peer sent a request: it is no server")
            raise ProtocolError(
                f"the peer answers in protocol version {version & 0x7F}, where {self.version} was agreed on"
            )
        if length < 0:
            raise ProtocolError(f"the header of a frame says {length} bytes")
        if length > self.max_frame_size:
            raise ProtocolError(
                f"a frame of {length} bytes is over the limit: max_frame_size is {self.max_frame_size}"
            )

    def more(self, missing: int) -> Frame | Literal[True] | None:
        if self._segments is None:
            return self._fill(missing)
        return self._fill_from_segment(self._segments)

    def _fill(self, missing: int) -> Frame | Literal[True] | None:
        """Make the frame in progress whole from the Read Buffer, if that has enough."""
        buffer = self._buffer
        rest = self._data[self._offset :]
        if buffer.size < missing:
            # What has been given out is not kept: it may have been large.
            self._data, self._offset = rest, 0
            return None
        if len(rest) >= HEADER_SIZE and missing > buffer.capacity:
            self._data, self._offset = b"", 0
            return self._large_frame(rest, buffer.take(missing, rest[HEADER_SIZE:]))
        if rest:
            self._data, self._offset = buffer.take(missing, rest), 0
        else:
            self._data, self._offset = buffer.pop()
        return True

    def _fill_from_segment(self, segments: SegmentReader) -> Frame | Literal[True] | None:
        """Make the next payload the current bytes, if a whole segment, or large frame, is there."""
        if self._offset < len(self._data):
            raise ProtocolError("a self-contained segment ends inside a frame")
        self._data, self._offset = b"", 0
        while (found := segments.next_payload()) is not None:
            pieces, self_contained = found
            if self_contained:
                if self._large is not None:
                    raise ProtocolError("a self-contained segment comes inside a large frame")
                self._data = joined(pieces)
                return True
            frame = self._add_to_large(pieces)
            if frame is not None:
                return frame
        return None

    def _add_to_large(self, pieces: list[Piece]) -> Frame | None:
        """Add the payload of a segment to a large frame; the frame, if that completes it."""
        if self._large is None:
            self._large = ReadBuffer(_SMALL_PIECE)
        large = self._large
        for piece in pieces:
            large.append(piece)
        if self._large_header is None:
            if large.size < HEADER_SIZE:
                return None
            self._large_header = large.take(HEADER_SIZE)
        header = self._large_header
        version, _, _, _, length = _unpack_header(header)
        self.check_header(header, version, length)
        if large.size < length:
            return None
        if large.size > length:
            raise ProtocolError("the last segment of a large frame holds more than its tail")
        self._large = self._large_header = None
        return self._large_frame(header, large.take(length))

    def _large_frame(self, header: bytes, body: bytes) -> Frame:
        """A frame whose body is a copy of what was received already, and need not be one of that copy."""
        _keep_memory()
        version, flags, stream, opcode, _ = _unpack_header(header)
        if flags & FLAG_COMPRESSED and version & 0x7F != 5:
            body = self.decompressed(body, version, stream)
        return Frame(version, flags, stream, opcode, body)


@cache
def _keep_memory() -> None:
    """Make the allocator keep the memory of a large frame for the next one.

    That of glibc keeps twice the largest block that was ever freed and gives what is more back to the system:
    the memory of each page of rows would be fetched anew. So such a block is freed, once in a process.
    """
    bytes(_KEPT_MEMORY)


def _printable(line: bytes) -> str:
    return "".join(chr(byte) if 32 <= byte < 127 else f"\\x{byte:02x}" for byte in line)
