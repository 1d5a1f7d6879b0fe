"""The Frame Codec: any cut of any stream of frames gives the same frames."""

from __future__ import annotations

import random
from collections.abc import Iterable
from itertools import pairwise

from hypothesis import given, settings, strategies as st
from twisted.trial.unittest import SynchronousTestCase

from txcql.errors import ProtocolError
from txcql.wire.constants import EVENT, FLAG_COMPRESSED, QUERY, RESULT
from txcql.wire.frames import Frame, FrameCodec, UnreadableBody, pack_header
from txcql.wire.segments import MAX_PAYLOAD, encode_segment

LINKS = [
    (version, compression, segmented)
    for version, compressions in (
        (3, (None, "lz4", "snappy")),
        (4, (None, "lz4", "snappy")),
        (5, (None, "lz4")),
    )
    for compression in compressions
    for segmented in ((False, True) if version == 5 else (False,))
]
"""Version, compression and segments of every kind of link."""

NOISE = random.Random(7).randbytes(300_000)


def drain(codec: FrameCodec) -> list[Frame]:
    """Every whole frame."""
    found = []
    while (frame := codec.next_frame()) is not None:
        found.append(frame)
    return found


def feed(codec: FrameCodec, chunks: Iterable[bytes]) -> list[Frame]:
    """Every frame of a stream that arrives in these chunks."""
    found = []
    for chunk in chunks:
        codec.receive(chunk)
        found += drain(codec)
    return found


def cut(data: bytes, positions: Iterable[int]) -> list[bytes]:
    """A stream cut at these positions."""
    edges = [0, *sorted(position % (len(data) + 1) for position in positions), len(data)]
    return [data[start:end] for start, end in pairwise(edges)]


def stream_of(codec: FrameCodec, bodies: list[bytes]) -> bytes:
    """Frames with these bodies, joined as one write."""
    pieces: list[bytes] = []
    for number, body in enumerate(bodies):
        pieces += codec.encode(number, QUERY, body)
    return codec.join(pieces)


bodies = st.lists(
    st.one_of(
        st.binary(max_size=100),
        st.integers(0, 2000).map(lambda size: b"a" * size),
        st.integers(0, 2000).map(lambda size: NOISE[:size]),
    ),
    max_size=8,
)
large_bodies = st.lists(
    st.sampled_from(
        [b"", b"small", b"z" * 250_000, NOISE[: MAX_PAYLOAD - 9], NOISE[: MAX_PAYLOAD - 8], NOISE]
    ),
    max_size=4,
)
cuts = st.lists(st.integers(0, 2_000_000), max_size=12)


class AnyCutTests(SynchronousTestCase):
    """Frames do not depend on how their bytes arrive."""

    def check(self, link: tuple[int, str | None, bool], sent: list[bytes], positions: list[int]) -> None:
        data = stream_of(FrameCodec(*link), sent)
        codec = FrameCodec(*link)
        found = feed(codec, cut(data, positions))
        self.assertEqual([frame.body for frame in found], sent)
        self.assertEqual([frame.stream for frame in found], list(range(len(sent))))
        self.assertEqual(codec.buffered, 0)

    @settings(max_examples=300, deadline=None)
    @given(link=st.sampled_from(LINKS), sent=bodies, positions=cuts)
    def test_small(self, link: tuple[int, str | None, bool], sent: list[bytes], positions: list[int]) -> None:
        """Small frames, several to a segment."""
        self.check(link, sent, positions)

    @settings(max_examples=60, deadline=None)
    @given(link=st.sampled_from(LINKS), sent=large_bodies, positions=cuts)
    def test_large(self, link: tuple[int, str | None, bool], sent: list[bytes], positions: list[int]) -> None:
        """Frames larger than a segment, between small ones."""
        self.check(link, sent, positions)

    def test_byte_by_byte(self) -> None:
        """Every byte on its own, inside the headers of frames and segments too."""
        for link in LINKS:
            data = stream_of(FrameCodec(*link), [b"", b"a", b"b" * 300])
            found = feed(FrameCodec(*link), (data[n : n + 1] for n in range(len(data))))
            self.assertEqual([frame.body for frame in found], [b"", b"a", b"b" * 300])

    @settings(max_examples=50, deadline=None)
    @given(sent=bodies, positions=cuts)
    def test_segmented_later(self, sent: list[bytes], positions: list[int]) -> None:
        """The link becomes segmented behind the answer to STARTUP, whatever has arrived by then."""
        data = FrameCodec(5).encode_frame(0, RESULT, b"ready") + stream_of(FrameCodec(5, None, True), sent)
        codec = FrameCodec(5)
        found = []
        for chunk in cut(data, positions):
            codec.receive(chunk)
            if not codec.segmented and (frame := codec.next_frame()) is not None:
                found.append(frame)
                codec.start_segments()
            if codec.segmented:
                found += drain(codec)
        self.assertEqual([frame.body for frame in found], [b"ready", *sent])


class FrameCodecTests(SynchronousTestCase):
    """:class:`FrameCodec`."""

    def test_header(self) -> None:
        """A request as it stands on the wire, and back."""
        codec = FrameCodec(4)
        data = codec.encode_frame(258, QUERY, b"body", flags=2)
        self.assertEqual(data.hex(), "040201020700000004" + b"body".hex())
        codec.receive(data)
        self.assertEqual(codec.next_frame(), Frame(4, 2, 258, QUERY, b"body"))
        self.assertIsNone(codec.next_frame())

    def test_response(self) -> None:
        """A message of the server has bit 7 set; an event has the stream -1."""
        codec = FrameCodec(3)
        codec.receive(codec.encode_frame(-1, EVENT, b"", response=True))
        self.assertEqual(codec.next_frame(), Frame(0x83, 0, -1, EVENT, b""))

    def test_compressed_body(self) -> None:
        """A body that shrinks is compressed, one that does not goes out as it is."""
        for compression in ("lz4", "snappy"):
            codec = FrameCodec(4, compression)
            header, body = codec.encode(1, QUERY, b"a" * 500)
            self.assertTrue(header[1] & FLAG_COMPRESSED)
            self.assertLess(len(body), 100)
            header, body = codec.encode(1, QUERY, NOISE[:500])
            self.assertFalse(header[1] & FLAG_COMPRESSED)
            self.assertEqual(body, NOISE[:500])

    def test_flag_without_negotiation(self) -> None:
        """Without a negotiated compression a server reads the bytes as they are; a client refuses them."""
        codec = FrameCodec(4)
        codec.receive(pack_header(4, FLAG_COMPRESSED, 1, QUERY, 3) + b"abc")
        frame = codec.next_frame()
        assert frame is not None
        self.assertEqual(frame.body, b"abc")
        codec.receive(pack_header(0x84, FLAG_COMPRESSED, 7, RESULT, 3) + b"abc")
        error = self.assertRaises(UnreadableBody, codec.next_frame)
        self.assertEqual(error.stream, 7)
        self.assertIn("no compression was agreed on", str(error))

    def test_flag_in_v5(self) -> None:
        """In v5 the flag of a frame means nothing, and segments are compressed."""
        codec = FrameCodec(5, "lz4", True)
        codec.receive(codec.encode_frame(1, RESULT, b"abc", FLAG_COMPRESSED, response=True))
        self.assertEqual(codec.next_frame(), Frame(0x85, FLAG_COMPRESSED, 1, RESULT, b"abc"))

    def test_behind_an_unreadable_body(self) -> None:
        """A body that cannot be decompressed spoils no other frame."""
        codec = FrameCodec(4, "lz4")
        bad = b"\0\0\0\x09\xff\xff"
        codec.receive(pack_header(0x84, FLAG_COMPRESSED, 1, RESULT, len(bad)) + bad)
        codec.receive(codec.encode_frame(2, RESULT, b"good", response=True))
        self.assertEqual(self.assertRaises(UnreadableBody, codec.next_frame).stream, 1)
        self.assertEqual(codec.next_frame(), Frame(0x84, 0, 2, RESULT, b"good"))
        self.assertIsNone(codec.next_frame())

    def test_bad_compressed_body(self) -> None:
        """A body that cannot be decompressed, or would become too large."""
        for compression, body in (
            ("lz4", b"\0\0"),
            ("lz4", b"\0\0\0\x09\xff\xff"),
            ("lz4", b"\x7f\xff\xff\xff\0"),
            ("lz4", b"\0\0\0\x7f" + b"\0"),
            ("snappy", b""),
            ("snappy", b"\xff\xff\xff\xff\xff\xff"),
            ("snappy", b"\xff\xff\xff\xff\x07\0"),
            ("snappy", b"\x09\xff\xff"),
            ("snappy", b"\xff\xff\xff\x7f" + b"\0" * 90),
        ):
            codec = FrameCodec(4, compression)
            codec.receive(pack_header(4, FLAG_COMPRESSED, 1, QUERY, len(body)) + body)
            self.assertRaises(ProtocolError, codec.next_frame)

    def test_too_large(self) -> None:
        """A frame over the limit is refused by its header alone, in a segment as well."""
        header = pack_header(5, 0, 1, QUERY, 1001)
        for data, segmented in (
            (header, False),
            (encode_segment(header, True, False), True),
            (encode_segment(header, False, False), True),
        ):
            codec = FrameCodec(5, None, segmented, max_frame_size=1000)
            codec.receive(data)
            error = self.assertRaises(ProtocolError, codec.next_frame)
            self.assertIn("1001", str(error))
            self.assertIn("max_frame_size", str(error))

    def test_negative_length(self) -> None:
        """No body has less than no bytes."""
        codec = FrameCodec(4)
        codec.receive(pack_header(4, 0, 1, QUERY, -1))
        self.assertRaises(ProtocolError, codec.next_frame)

    def test_other_versions(self) -> None:
        """A server may refuse a version in another one: the frame comes through."""
        codec = FrameCodec(5)
        codec.receive(pack_header(0x84, 0, 0, RESULT, 1) + b"a" + pack_header(0x86, 0x10, 0, RESULT, 0))
        self.assertEqual([frame.version for frame in drain(codec)], [0x84, 0x86])

    def test_answers_only(self) -> None:
        """A link that is ready takes nothing but answers, in its own version."""
        for version, said in (
            (0x84, "the peer answers in protocol version 4, where 5 was agreed on"),
            (0x86, "the peer answers in protocol version 6, where 5 was agreed on"),
            (0x05, "the peer sent a request: it is no server"),
            (0x04, "the peer sent a request: it is no server"),
        ):
            codec = FrameCodec(5)
            codec.expect_answers()
            codec.receive(pack_header(0x85, 0, 1, RESULT, 0) + pack_header(version, 0, 1, RESULT, 0))
            self.assertEqual(codec.next_frame(), Frame(0x85, 0, 1, RESULT, b""))
            self.assertEqual(str(self.assertRaises(ProtocolError, codec.next_frame)), said)

    def test_not_cql(self) -> None:
        """What came instead is quoted."""
        codec = FrameCodec(5)
        codec.receive(b"HTTP/1.1 400 Bad Request\r\nServer: x\r\n")
        error = self.assertRaises(ProtocolError, codec.next_frame)
        self.assertIn('"HTTP/1.1 400 Bad Request"', str(error))

    def test_ancient_server(self) -> None:
        """Versions 1 and 2 have another header: only their version can be told."""
        codec = FrameCodec(5)
        codec.receive(bytes.fromhex("810000000000000061") + b"x" * 97)
        self.assertIn("version 1", str(self.assertRaises(ProtocolError, codec.next_frame)))

    def test_self_contained_rules(self) -> None:
        """Segments that break the rules of large frames."""
        large = pack_header(5, 0, 1, QUERY, 100) + b"a" * 50
        for segments in (
            [(large, True)],
            [(large, False), (b"b" * 50, True)],
            [(large, False), (b"b" * 51, False)],
        ):
            codec = FrameCodec(5, None, True)
            for payload, self_contained in segments:
                codec.receive(encode_segment(payload, self_contained, False))
            self.assertRaises(ProtocolError, lambda codec=codec: (codec.next_frame(), codec.next_frame()))

    def test_small_pieces(self) -> None:
        """A frame in pieces smaller than its header, as a server never sends them."""
        data = pack_header(5, 0, 1, QUERY, 3) + b"abc"
        codec = FrameCodec(5, None, True)
        for position in range(len(data)):
            codec.receive(encode_segment(data[position : position + 1], False, False))
        self.assertEqual(drain(codec), [Frame(5, 0, 1, QUERY, b"abc")])

    def test_empty_segment(self) -> None:
        """An empty segment is no end of anything."""
        codec = FrameCodec(5, None, True)
        codec.receive(encode_segment(b"", True, False) + codec.encode_frame(1, QUERY, b"a"))
        self.assertEqual(drain(codec), [Frame(5, 0, 1, QUERY, b"a")])

    def test_wrong_arguments(self) -> None:
        """Versions and compressions that do not exist."""
        self.assertRaises(ValueError, FrameCodec, 6)
        self.assertRaises(ValueError, FrameCodec, 5, "snappy")
        self.assertRaises(ValueError, FrameCodec, 4, "zstd")
        self.assertRaises(ValueError, FrameCodec, 4, None, True)
