"""The Read Buffer: bytes come out in order, however they went in."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterator

from hypothesis import given, settings, strategies as st
from twisted.trial.unittest import SynchronousTestCase

from txcql.errors import ProtocolError
from txcql.wire.constants import RESULT
from txcql.wire.frames import Frame, FrameCodec, pack_header
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

    def test_take_behind_others(self) -> None:
        """Bytes that the caller has kept come before those that are taken."""
        buffer = ReadBuffer(capacity=2)
        for chunk in (b"cd", b"ef"):
            buffer.append(chunk)
        self.assertEqual(buffer.take(3, b"ab"), b"abcde")
        self.assertEqual(buffer.size, 1)

    def test_merged_behind_what_was_taken(self) -> None:
        """What has been taken from a chunk is not copied with the rest."""
        buffer = ReadBuffer(capacity=100)
        buffer.append(b"x" * 60 + b"ab")
        buffer.take(60)
        buffer.append(b"cd")
        self.assertEqual(buffer.pop(), (b"abcd", 0))
        self.assertEqual(buffer.size, 0)

    def test_pieces(self) -> None:
        """A unit comes out as it lies: a whole chunk is the one that went in, of others there are views."""
        buffer = ReadBuffer(capacity=2)
        first, second = b"a" * 2000, b"b" * 3000
        buffer.append(first)
        buffer.append(second)
        pieces = buffer.pieces(4000)
        self.assertIs(pieces[0], first)
        self.assertIs(type(pieces[1]), memoryview)
        self.assertEqual(b"".join(pieces), first + second[:2000])
        self.assertEqual(buffer.take(1000), second[2000:])
        self.assertEqual(buffer.size, 0)

    def test_pieces_of_what_is_merged(self) -> None:
        """What was taken stays as it was when the rest of its chunk grows."""
        buffer = ReadBuffer(capacity=8000)
        buffer.append(b"a" * 2000)
        buffer.append(b"b" * 2000)
        pieces = buffer.pieces(1500)
        buffer.append(b"c" * 2000)
        self.assertEqual(b"".join(pieces), b"a" * 1500)
        self.assertEqual(buffer.take(4500), b"a" * 500 + b"b" * 2000 + b"c" * 2000)

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


READ = 65536
LARGE = 8 << 20


def reads(data: bytes) -> Iterator[bytes]:
    """A stream as a transport delivers it, each read an object of its own."""
    for start in range(0, len(data), READ):
        yield bytes(memoryview(data)[start : start + READ])


class MemoryTests(SynchronousTestCase):
    """What the codec allocates for what it is given, and what it keeps."""

    def measure(self, work: Callable[[], object]) -> tuple[int, int]:
        """The bytes that some work leaves allocated, and the most that it had at once."""
        tracemalloc.start()
        try:
            result = work()
            kept, peak = tracemalloc.get_traced_memory()
            del result
            return kept, peak
        finally:
            tracemalloc.stop()

    def codecs(self, frame: bytes) -> list[tuple[FrameCodec, bytes]]:
        """A codec without and with segments, and the frame as it arrives there."""
        segmented = FrameCodec(5, segmented=True)
        return [(FrameCodec(4), frame), (segmented, segmented.join([b"\x85" + frame[1:9], frame[9:]]))]

    def test_a_large_frame(self) -> None:
        """Its chunks are joined once: with its body that is twice its size, and nothing stays behind."""
        frame = pack_header(0x84, 0, 1, RESULT, LARGE) + bytes(LARGE)
        for codec, data in self.codecs(frame):

            def receive(codec: FrameCodec = codec, data: bytes = data) -> None:
                found: Frame | None = None
                for read in reads(data):
                    codec.receive(read)
                    found = codec.next_frame()
                assert found is not None
                self.assertEqual(len(found.body), LARGE)
                self.assertIsNone(codec.next_frame())

            kept, peak = self.measure(receive)
            self.assertLess(peak, 2.2 * LARGE)
            self.assertLess(kept, READ)
            self.assertEqual(codec.buffered, 0)

    def test_waiting_for_the_rest(self) -> None:
        """A read more of a large frame costs that read, not what has come before it."""
        frame = pack_header(0x84, 0, 1, RESULT, LARGE) + bytes(LARGE)
        for codec, data in self.codecs(frame):
            chunks = list(reads(data))
            for chunk in chunks[:-3]:
                codec.receive(chunk)
                self.assertIsNone(codec.next_frame())

            def one_more(codec: FrameCodec = codec, chunk: bytes = chunks[-3]) -> None:
                codec.receive(chunk)
                codec.next_frame()

            _, peak = self.measure(one_more)
            self.assertLess(peak, 5 * READ)

    def test_many_small_frames(self) -> None:
        """What follows a frame is not copied when that is taken: each costs its own size."""
        small = pack_header(0x84, 0, 1, RESULT, 64) + bytes(64)
        codec = FrameCodec(4)
        codec.receive(small * 800)
        codec.next_frame()
        _, peak = self.measure(lambda: [codec.next_frame() for _ in range(700)] and None)
        self.assertLess(peak, 700 * 400)
        _, peak = self.measure(codec.next_frame)
        self.assertLess(peak, 1000)

    def test_frames_cut_by_reads(self) -> None:
        """Nothing piles up over many reads."""
        small = pack_header(0x84, 0, 1, RESULT, 1000) + bytes(1000)
        codec = FrameCodec(4)

        def receive() -> None:
            rest = b""
            for _ in range(200):
                data = rest + small * 64
                codec.receive(data[:READ])
                rest = data[READ:]
                while codec.next_frame() is not None:
                    pass

        kept, peak = self.measure(receive)
        self.assertLess(kept, 2 * READ)
        self.assertLess(peak, 8 * READ)

    def test_over_the_limit(self) -> None:
        """Refused on its header: nothing is allocated for the body that it promises."""
        limited = FrameCodec(4, max_frame_size=1 << 20)
        segmented = FrameCodec(5, segmented=True, max_frame_size=1 << 20)
        header = pack_header(0x85, 0, 1, RESULT, 1 << 28)
        first_segment = segmented.join([header, bytes(1 << 18)])[: (1 << 17) + 10]
        for codec, data in ((limited, pack_header(0x84, 0, 1, RESULT, 1 << 28)), (segmented, first_segment)):

            def receive(codec: FrameCodec = codec, data: bytes = data) -> None:
                codec.receive(data)
                self.assertRaises(ProtocolError, codec.next_frame)

            _, peak = self.measure(receive)
            self.assertLess(peak, 8 * READ)
