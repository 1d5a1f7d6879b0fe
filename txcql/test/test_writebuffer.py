"""The Write Buffer: one write for each turn of the reactor, and the time at which it went."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from txcql.connection.writebuffer import WriteBuffer
from txcql.wire.constants import QUERY
from txcql.wire.frames import FrameCodec, pack_header
from txcql.wire.segments import MAX_PAYLOAD


class CountingTransport(StringTransport):
    """Keeps each write apart."""

    def __init__(self) -> None:
        StringTransport.__init__(self)
        self.writes: list[bytes] = []

    def write(self, data: bytes) -> None:
        self.writes.append(data)


class BufferTestCase(SynchronousTestCase):
    version = 4

    def setUp(self) -> None:
        self.clock = Clock()
        self.transport = CountingTransport()
        self.codec = FrameCodec(self.version, segmented=self.version == 5)
        self.buffer = WriteBuffer(self.codec, self.clock, capacity=1000)
        self.buffer.transport = self.transport

    def write(self, body: bytes = b"x", stream: int = 1) -> list[float | None]:
        """Gather a frame."""
        return self.buffer.write(pack_header(self.version, 0, stream, QUERY, len(body)), body)

    def frames(self, data: bytes) -> list[tuple[int, bytes]]:
        """Stream and body of the frames in these bytes."""
        codec = FrameCodec(self.version, segmented=self.version == 5)
        codec.receive(data)
        return [(frame.stream, frame.body) for frame in iter(codec.next_frame, None)]


class TurnTests(BufferTestCase):
    """When bytes go out."""

    def test_one_write_for_each_turn(self) -> None:
        self.write(b"a", 1)
        self.write(b"b", 2)
        self.assertEqual(self.transport.writes, [])
        self.clock.advance(0)
        self.assertEqual([self.frames(data) for data in self.transport.writes], [[(1, b"a"), (2, b"b")]])
        self.write(b"c", 3)
        self.clock.advance(0)
        self.assertEqual(self.frames(self.transport.writes[1]), [(3, b"c")])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_one_timer_for_all(self) -> None:
        for stream in range(1, 20):
            self.write(b"", stream)
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)

    def test_full(self) -> None:
        """What fills it is not kept for the next turn."""
        self.write(b"x" * 500, 1)
        self.assertEqual(self.transport.writes, [])
        self.write(b"y" * 500, 2)
        self.assertEqual([stream for stream, _ in self.frames(self.transport.writes[0])], [1, 2])
        self.assertEqual(self.buffer.size, 0)
        self.clock.advance(0)
        self.assertEqual(len(self.transport.writes), 1)

    def test_size(self) -> None:
        """Headers count."""
        self.write(b"abc")
        self.assertEqual(self.buffer.size, 12)
        self.assertEqual(repr(self.buffer), "<WriteBuffer size=12>")

    def test_told_to_flush(self) -> None:
        self.write()
        self.buffer.flush()
        self.assertEqual(len(self.transport.writes), 1)
        self.buffer.flush()
        self.clock.advance(0)
        self.assertEqual(len(self.transport.writes), 1)

    def test_hold(self) -> None:
        """While it is held nothing goes out, and no timer is started; its end flushes."""
        self.buffer.hold()
        self.write(b"a", 1)
        self.write(b"b", 2)
        self.assertEqual((self.transport.writes, self.clock.getDelayedCalls()), ([], []))
        self.buffer.release()
        self.assertEqual(self.frames(self.transport.writes[0]), [(1, b"a"), (2, b"b")])
        self.write()
        self.clock.advance(0)
        self.assertEqual(len(self.transport.writes), 2)

    def test_full_while_held(self) -> None:
        """A hold does not let it grow without bound."""
        self.buffer.hold()
        for _ in range(5):
            self.write(b"x" * 991)
        self.assertEqual(len(self.transport.writes), 5)

    def test_hold_after_a_write(self) -> None:
        """What was gathered before the hold goes out with what came in it."""
        self.write(b"a", 1)
        self.buffer.hold()
        self.write(b"b", 2)
        self.buffer.release()
        self.clock.advance(0)
        self.assertEqual([self.frames(data) for data in self.transport.writes], [[(1, b"a"), (2, b"b")]])

    def test_close(self) -> None:
        """What is gathered is dropped, with its timer; its time is never told."""
        written = self.write()
        self.buffer.close()
        self.assertEqual((self.buffer.size, self.clock.getDelayedCalls()), (0, []))
        self.buffer.flush()
        self.assertEqual((self.transport.writes, written), ([], [None]))


class PauseTests(BufferTestCase):
    """While the transport takes no more."""

    def test_kept(self) -> None:
        """Whatever would flush does not, and nothing is lost; then it is one write."""
        self.buffer.pause()
        self.write(b"a", 1)
        self.clock.advance(1)
        self.buffer.flush()
        self.buffer.hold()
        self.write(b"x" * 2000, 2)
        self.buffer.release()
        self.assertEqual((self.transport.writes, self.buffer.size), ([], 10 + 2009))
        self.buffer.resume()
        self.assertEqual(
            [self.frames(data) for data in self.transport.writes], [[(1, b"a"), (2, b"x" * 2000)]]
        )
        self.clock.advance(1)
        self.assertEqual((len(self.transport.writes), self.clock.getDelayedCalls()), (1, []))

    def test_nothing_was_kept(self) -> None:
        self.buffer.pause()
        self.buffer.resume()
        self.buffer.resume()
        self.assertEqual(self.transport.writes, [])

    def test_time(self) -> None:
        """A request counts as written when the transport has taken it."""
        self.buffer.pause()
        written = self.write()
        self.clock.advance(7)
        self.assertEqual(written, [None])
        self.buffer.resume()
        self.assertEqual(written, [7.0])

    def test_paused_by_a_write(self) -> None:
        """A transport may say so inside the write that fills it."""
        write = self.transport.write

        def write_and_pause(data: bytes) -> None:
            write(data)
            self.buffer.pause()

        self.patch(self.transport, "write", write_and_pause)
        for _ in range(3):
            self.write(b"x" * 2000)
        self.assertEqual(len(self.transport.writes), 1)
        self.buffer.resume()
        self.assertEqual([len(data) for data in self.transport.writes], [2009, 4018])

    def test_closed_meanwhile(self) -> None:
        self.buffer.pause()
        self.write()
        self.buffer.close()
        self.buffer.resume()
        self.clock.advance(1)
        self.assertEqual(self.transport.writes, [])


class TimeTests(BufferTestCase):
    """When a request counts as written."""

    def test_time_of_the_flush(self) -> None:
        self.clock.advance(10)
        one, other = self.write(), self.write()
        self.assertEqual((one, other), ([None], [None]))
        self.clock.advance(0.5)
        self.assertEqual((one, other), ([10.5], [10.5]))

    def test_each_flush_has_its_own(self) -> None:
        first = self.write()
        self.clock.advance(1)
        second = self.write()
        self.assertEqual((first, second), ([1.0], [None]))
        self.clock.advance(1)
        self.assertEqual((first, second), ([1.0], [2.0]))

    def test_what_fills_it_is_written(self) -> None:
        self.clock.advance(3)
        self.assertEqual(self.write(b"x" * 2000), [3.0])


class SegmentTests(BufferTestCase):
    """In v5, frames that go together share segments."""

    version = 5

    def test_small_frames_share_a_segment(self) -> None:
        for stream in (1, 2, 3):
            self.write(b"body", stream)
        self.buffer.flush()
        (data,) = self.transport.writes
        # Header and CRC24, three frames, CRC32: one segment.
        self.assertEqual(len(data), 6 + 3 * 13 + 4)
        self.assertEqual(self.frames(data), [(stream, b"body") for stream in (1, 2, 3)])

    def test_a_large_frame_is_alone(self) -> None:
        """It shares none of its segments: a server never answers what follows its tail there."""
        buffer = WriteBuffer(self.codec, self.clock, capacity=10 * MAX_PAYLOAD)
        buffer.transport = self.transport
        large = b"x" * MAX_PAYLOAD
        for stream, body in ((1, b"before"), (2, large), (3, b"after")):
            buffer.write(pack_header(5, 0, stream, QUERY, len(body)), body)
        buffer.flush()
        (data,) = self.transport.writes
        self.assertEqual(self.frames(data), [(1, b"before"), (2, large), (3, b"after")])
        segments = []
        while data:
            header = int.from_bytes(data[:3], "little")
            size = header & MAX_PAYLOAD
            segments.append((size, header >> 17 & 1))
            data = data[6 + size + 4 :]
        self.assertEqual(segments, [(15, 1), (MAX_PAYLOAD, 0), (9, 0), (14, 1)])
