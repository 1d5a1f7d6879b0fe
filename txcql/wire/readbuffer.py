"""The Read Buffer: what has been received and not yet consumed."""

from __future__ import annotations

from collections import deque

__all__ = ["Piece", "ReadBuffer", "joined"]

Piece = bytes | bytearray | memoryview

_WORTH_A_VIEW = 1024


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
        self._chunks: deque[Piece] = deque()
        self._start = 0

    def append(self, data: Piece) -> None:
        """Add a received chunk. It must not change from now on."""
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

    def pieces(self, count: int) -> list[Piece]:
        """Remove the oldest ``count`` bytes, as they lie: nothing is joined, and little is copied.

        :raises IndexError: fewer are held.
        """
        return [self.take(count)] if count < _WORTH_A_VIEW else self._cut(count)

    def take(self, count: int, before: bytes = b"") -> bytes:
        """Remove the oldest ``count`` bytes.

        :param before: bytes to put before them, at no further copy.
        :raises IndexError: fewer are held.
        """
        if before:
            return b"".join((before, *self._cut(count)))
        if 0 < count <= self.size:
            chunk = self._chunks[0]
            start = self._start
            end = start + count
            if end <= len(chunk) and isinstance(chunk, bytes):
                # It lies in one chunk, as nearly all does that is small.
                self.size -= count
                if end < len(chunk):
                    self._start = end
                else:
                    self._chunks.popleft()
                    self._start = 0
                return chunk[start:end]
        return joined(self._cut(count))

    # Inside.

    def _cut(self, count: int) -> list[Piece]:
        if count > self.size:
            raise IndexError(f"{count} bytes asked for, {self.size} held")
        self.size -= count
        chunks = self._chunks
        pieces: list[Piece] = []
        while count:
            chunk = chunks[0]
            start = self._start
            end = start + count
            if end < len(chunk):
                self._start = end
            else:
                chunks.popleft()
                self._start = 0
                end = len(chunk)
            count -= end - start
            if end - start < _WORTH_A_VIEW or isinstance(chunk, bytearray):
                # What is merged into may still grow, and could not under a view.
                pieces.append(bytes(chunk[start:end]))
            elif end - start == len(chunk):
                pieces.append(chunk)
            else:
                pieces.append(memoryview(chunk)[start:end])
        return pieces


def joined(pieces: list[Piece]) -> bytes:
    """The bytes of all of them, copied no more than must be."""
    if len(pieces) == 1 and isinstance(pieces[0], bytes):
        return pieces[0]
    return b"".join(pieces)
