"""The Read Buffer: what has been received and not yet consumed."""

from __future__ import annotations

from collections import deque

__all__ = ["ReadBuffer"]


class ReadBuffer:
    """A queue of received chunks, from which exact numbers of bytes are taken.

    Chunks are kept as they come and joined only for a unit that spans several of
    them, so a large frame is copied once and what follows a unit is never moved.
    Chunks smaller than ``capacity`` are merged while they wait, so that a peer
    that sends a byte at a time cannot make the bookkeeping larger than the data.

    :param capacity: the size in bytes up to which waiting chunks are merged.
    :ivar size: bytes held.
    """

    __slots__ = ("_chunks", "_start", "capacity", "size")

    def __init__(self, capacity: int = 65536) -> None:
        self.capacity = capacity
        self.size = 0
        self._chunks: deque[bytes | bytearray] = deque()
        self._start = 0

    def append(self, data: bytes) -> None:
        """Add a received chunk."""
        if not data:
            return
        chunks = self._chunks
        if chunks and len(chunks[-1]) + len(data) <= self.capacity:
            last = chunks[-1]
            if not isinstance(last, bytearray):
                # What has been taken from it already is not copied.
                start = self._start if len(chunks) == 1 else 0
                chunks[-1] = last = bytearray(memoryview(last)[start:])
                self._start -= start
            last += data
        else:
            chunks.append(data)
        self.size += len(data)

    def pop(self) -> tuple[bytes, int]:
        """Remove the oldest chunk whole: its bytes, and the offset of the first unconsumed one.

        :raises IndexError: nothing is held.
        """
        chunk = self._chunks.popleft()
        start = self._start
        self._start = 0
        self.size -= len(chunk) - start
        return (chunk if isinstance(chunk, bytes) else bytes(chunk)), start

    def peek(self) -> bytes:
        """What is held of the oldest chunk."""
        return bytes(self._chunks[0][self._start :]) if self._chunks else b""

    def take(self, count: int, before: bytes = b"") -> bytes:
        """Remove the oldest ``count`` bytes.

        :param before: bytes to put before them, at no further copy.
        :raises IndexError: fewer are held.
        """
        if count > self.size:
            raise IndexError(f"{count} bytes asked for, {self.size} held")
        self.size -= count
        pieces: list[bytes | bytearray] = [before] if before else []
        while count:
            chunk = self._chunks[0]
            start = self._start
            piece = chunk[start : start + count]
            count -= len(piece)
            if start + len(piece) == len(chunk):
                self._chunks.popleft()
                self._start = 0
            else:
                self._start = start + len(piece)
            pieces.append(piece)
        if len(pieces) == 1 and isinstance(pieces[0], bytes):
            return pieces[0]
        return b"".join(pieces)
