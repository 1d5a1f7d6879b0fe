"""Where one frame ends and the next begins, in bytes that are there already."""

from __future__ import annotations

import struct
from typing import Literal, NamedTuple

from txcql.wire.constants import FLAG_COMPRESSED, HEADER_SIZE, RESPONSE

__all__ = ["Frame", "FrameSplitter"]

_unpack_header = struct.Struct(">BBhBi").unpack_from


class Frame(NamedTuple):
    """One message as it is on the wire.

    :ivar version: the version byte; bit 7 is set in messages of the server.
    :ivar flags: the flags byte.
    :ivar stream: the stream id; -1 is an event.
    :ivar opcode: see :mod:`txcql.wire.constants`.
    :ivar body: the body, decompressed.
    """

    version: int
    flags: int
    stream: int
    opcode: int
    body: bytes


_new_tuple = tuple.__new__


class FrameSplitter:
    """Takes one frame after another from received bytes; a subclass gives it more of them.

    :param version: the version that frames are expected in.
    :param max_frame_size: the largest body that is expected, in bytes.
    """

    __slots__ = ("_data", "_expected", "_offset", "max_frame_size", "version")

    def __init__(self, version: int, max_frame_size: int) -> None:
        self.version = version
        self.max_frame_size = max_frame_size
        self._expected = version | RESPONSE
        self._data = b""
        self._offset = 0

    def next_frame(self) -> Frame | None:
        """The next whole frame, or ``None`` if more bytes are needed.

        :raises UnreadableBody: the body of one frame cannot be decompressed; the next call goes on behind it.
        :raises ProtocolError: the bytes are not the protocol; nothing after them can be read.
        """
        while True:
            data = self._data
            offset = self._offset
            start = offset + HEADER_SIZE
            if start <= len(data):
                version, flags, stream, opcode, length = _unpack_header(data, offset)
                if length < 0 or length > self.max_frame_size or version != self._expected:
                    self.check_header(data[offset:], version, length)
                end = start + length
                if end <= len(data):
                    self._offset = end
                    body = data[start:end]
                    if flags & FLAG_COMPRESSED and version & 0x7F != 5:
                        body = self.decompressed(body, version, stream)
                    return _new_tuple(Frame, (version, flags, stream, opcode, body))
                missing = end - len(data)
            else:
                missing = start - len(data)
            found = self.more(missing)
            if found is not True:
                return found

    def check_header(self, data: bytes, version: int, length: int) -> None:
        """Look at a header that is not the expected one.

        :param data: the bytes from the header on.
        :raises ProtocolError: it cannot be the header of a frame.
        """
        raise NotImplementedError

    def decompressed(self, body: bytes, version: int, stream: int) -> bytes:
        """The body of a frame that says that it is compressed.

        :raises UnreadableBody: it cannot be decompressed.
        """
        raise NotImplementedError

    def more(self, missing: int) -> Frame | Literal[True] | None:
        """Get at bytes that are not among the current ones.

        :param missing: how many more bytes the frame in progress needs, as far as that is known.
        :returns: ``True``: the current bytes are others now, which begin with the frame in progress; or that
            frame itself, because it was better made elsewhere; or ``None``: they have not been received.
        """
        raise NotImplementedError
