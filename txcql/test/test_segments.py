"""The segments of v5: checksums, sizes, and what a reader refuses."""

from __future__ import annotations

import random

from hypothesis import given, settings, strategies as st
from twisted.trial.unittest import SynchronousTestCase

from txcql.errors import ProtocolError
from txcql.wire.checksums import crc24, crc32
from txcql.wire.readbuffer import ReadBuffer
from txcql.wire.segments import MAX_PAYLOAD, SegmentReader, encode_segment, encode_segments

NOISE = random.Random(5).randbytes(400_000)
"""Bytes that do not compress."""


def payloads(data: bytes, compressed: bool) -> list[tuple[bytes, bool]]:
    """Every payload of a stream of segments."""
    buffer = ReadBuffer()
    buffer.append(data)
    reader = SegmentReader(buffer, compressed)
    found = []
    while (payload := reader.next_payload()) is not None:
        pieces, self_contained = payload
        found.append((b"".join(pieces), self_contained))
    return found


class ChecksumTests(SynchronousTestCase):
    """The vectors of the two checksums."""

    def test_crc24(self) -> None:
        """A captured header."""
        self.assertEqual(crc24(b"\x2f\x00\x02").to_bytes(3, "little").hex(), "acf306")

    def test_crc32(self) -> None:
        """The server's own initial bytes go first."""
        self.assertEqual(crc32(b"123456789"), 0xE2A261A7)
        self.assertEqual(crc32(b"1234", memoryview(b"56"), b"", b"789"), 0xE2A261A7)


class EncodeTests(SynchronousTestCase):
    """:func:`encode_segment` and :func:`encode_segments`."""

    def test_plain(self) -> None:
        """Header of 3 bytes, CRC24, payload, CRC32."""
        segment = encode_segment(b"abc", True, False)
        self.assertEqual(segment[:3], b"\x03\x00\x02")
        self.assertEqual(segment[6:9], b"abc")
        self.assertEqual(len(segment), 13)

    def test_piece(self) -> None:
        """The flag of a self-contained segment is bit 17."""
        self.assertEqual(encode_segment(b"abc", False, False)[:3], b"\x03\x00\x00")

    def test_compressed(self) -> None:
        """Header of 5 bytes with both lengths; bit 34 is the flag."""
        segment = encode_segment(b"a" * 1000, True, True)
        fields = int.from_bytes(segment[:5], "little")
        self.assertEqual(fields & MAX_PAYLOAD, len(segment) - 12)
        self.assertEqual(fields >> 17 & MAX_PAYLOAD, 1000)
        self.assertEqual(fields >> 34, 1)

    def test_incompressible(self) -> None:
        """What does not shrink is stored, with the uncompressed length 0."""
        segment = encode_segment(NOISE[:1000], True, True)
        self.assertEqual(int.from_bytes(segment[:5], "little"), 1000 | 1 << 34)
        self.assertEqual(segment[8:-4], NOISE[:1000])

    def test_shared(self) -> None:
        """Small envelopes share segments, in order, and none is cut."""
        envelopes = [bytes((n,)) * 50_000 for n in range(7)]
        found = payloads(encode_segments(envelopes, False), False)
        self.assertEqual([len(payload) for payload, _ in found], [100_000, 100_000, 100_000, 50_000])
        self.assertTrue(all(self_contained for _, self_contained in found))
        self.assertEqual(b"".join(payload for payload, _ in found), b"".join(envelopes))

    def test_exactly_full(self) -> None:
        """A segment holds 131,071 bytes; one more makes pieces."""
        self.assertEqual(
            [(len(p), s) for p, s in payloads(encode_segments([NOISE[:MAX_PAYLOAD]], False), False)],
            [(MAX_PAYLOAD, True)],
        )
        self.assertEqual(
            [(len(p), s) for p, s in payloads(encode_segments([NOISE[: MAX_PAYLOAD + 1]], False), False)],
            [(MAX_PAYLOAD, False), (1, False)],
        )

    def test_large_shares_nothing(self) -> None:
        """The pieces of a large envelope hold nothing else, before it or behind it."""
        found = payloads(encode_segments([b"a", NOISE[:200_000], b"b"], False), False)
        self.assertEqual(
            [(len(payload), self_contained) for payload, self_contained in found],
            [(1, True), (MAX_PAYLOAD, False), (200_000 - MAX_PAYLOAD, False), (1, True)],
        )

    def test_nothing(self) -> None:
        """No envelope, no segment."""
        self.assertEqual(encode_segments([], False), b"")


class ReaderTests(SynchronousTestCase):
    """:class:`SegmentReader`."""

    def test_empty_payload(self) -> None:
        """A segment may be empty."""
        for compressed in (False, True):
            self.assertEqual(payloads(encode_segment(b"", True, compressed), compressed), [(b"", True)])

    def test_incomplete(self) -> None:
        """Nothing comes before the last byte."""
        for compressed in (False, True):
            segment = encode_segment(b"a" * 100, True, compressed)
            for cut in range(len(segment)):
                self.assertEqual(payloads(segment[:cut], compressed), [])

    def test_every_damaged_byte(self) -> None:
        """A byte that arrives damaged is found, wherever it is."""
        for compressed in (False, True):
            segment = encode_segment(b"a" * 40 + b"bc", True, compressed)
            for position in range(len(segment)):
                damaged = bytearray(segment)
                damaged[position] ^= 0x10
                self.assertRaises(ProtocolError, payloads, bytes(damaged), compressed)

    def test_bad_block(self) -> None:
        """A payload whose checksum is right and whose LZ4 block is not."""
        for stored, size in ((b"\xff\xff\xff", 100), (b"\x10a", 50), (b"\x10a", 100_000)):
            header = (len(stored) | size << 17 | 1 << 34).to_bytes(5, "little")
            segment = b"".join(
                (header, crc24(header).to_bytes(3, "little"), stored, crc32(stored).to_bytes(4, "little"))
            )
            self.assertRaises(ProtocolError, payloads, segment, True)

    @settings(max_examples=50, deadline=None)
    @given(
        sizes=st.lists(st.integers(1, 150_000), max_size=6),
        compressed=st.booleans(),
        noisy=st.booleans(),
    )
    def test_round_trip(self, sizes: list[int], compressed: bool, noisy: bool) -> None:
        """The payloads of any envelopes, joined, are the envelopes."""
        envelopes = [NOISE[:size] if noisy else b"a" * size for size in sizes]
        found = payloads(encode_segments(envelopes, compressed), compressed)
        self.assertEqual(b"".join(payload for payload, _ in found), b"".join(envelopes))
        self.assertTrue(all(len(payload) <= MAX_PAYLOAD for payload, _ in found))
