"""The Read Buffer: bytes come out in order, however they went in."""

from __future__ import annotations

from hypothesis import given, settings, strategies as st
from twisted.trial.unittest import SynchronousTestCase

from txcql.wire.readbuffer import ReadBuffer


class ReadBufferTests(SynchronousTestCase):
    """:class:`ReadBuffer`."""

    def test_take_across_chunks(self) -> None:
        """A unit that spans chunks is joined; the rest stays."""
        buffer = ReadBuffer(capacity=2)
        for chunk in (b"ab", b"cd", b"ef"):
            buffer.append(chunk)
        self.assertEqual(buffer.take(3), b"abc")
        self.assertEqual(buffer.size, 3)
        self.assertEqual(buffer.take(3), b"def")
        self.assertEqual(buffer.size, 0)

    def test_take_too_much(self) -> None:
        """Asking for more than is held takes nothing."""
        buffer = ReadBuffer()
        buffer.append(b"abc")
        self.assertRaises(IndexError, buffer.take, 4)
        self.assertEqual(buffer.take(3), b"abc")

    def test_take_nothing(self) -> None:
        """No bytes, from an empty buffer too."""
        self.assertEqual(ReadBuffer().take(0), b"")

    def test_append_nothing(self) -> None:
        """An empty chunk is no chunk."""
        buffer = ReadBuffer()
        buffer.append(b"")
        self.assertRaises(IndexError, buffer.pop)

    def test_pop(self) -> None:
        """A chunk comes out whole, with the offset of its first unconsumed byte."""
        buffer = ReadBuffer(capacity=4)
        buffer.append(b"abcd")
        buffer.append(b"efgh")
        buffer.take(1)
        self.assertEqual(buffer.pop(), (b"abcd", 1))
        self.assertEqual(buffer.pop(), (b"efgh", 0))
        self.assertEqual(buffer.size, 0)

    def test_small_chunks_are_merged(self) -> None:
        """A byte at a time makes few chunks, and they come out as bytes."""
        buffer = ReadBuffer(capacity=8)
        for value in range(20):
            buffer.append(bytes((value,)))
        chunks = []
        while buffer.size:
            chunk, start = buffer.pop()
            self.assertIs(type(chunk), bytes)
            chunks.append(chunk[start:])
        self.assertEqual(len(chunks), 3)
        self.assertEqual(b"".join(chunks), bytes(range(20)))

    @settings(deadline=None)
    @given(
        chunks=st.lists(st.binary(max_size=20), max_size=20),
        sizes=st.lists(st.integers(0, 30), max_size=30),
        capacity=st.integers(1, 40),
    )
    def test_any_order(self, chunks: list[bytes], sizes: list[int], capacity: int) -> None:
        """Whatever is taken, in whatever sizes, is what went in."""
        buffer = ReadBuffer(capacity)
        for chunk in chunks:
            buffer.append(chunk)
        expected = b"".join(chunks)
        taken = b""
        for size in sizes:
            if size <= buffer.size:
                piece = buffer.take(size)
                self.assertIs(type(piece), bytes)
                taken += piece
        self.assertEqual(buffer.size, len(expected) - len(taken))
        taken += buffer.take(buffer.size)
        self.assertEqual(taken, expected)
