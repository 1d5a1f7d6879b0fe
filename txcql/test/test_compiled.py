"""Tests for :mod:`txcql.wire.compiled`: each implementation that is there gives the same."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from itertools import pairwise
from typing import Any
from unittest import mock

from hypothesis import given, strategies as st
from twisted.trial.unittest import SynchronousTestCase

from txcql.errors import DecodeError, ProtocolError
from txcql.test.examples import examples, same, types, values_of
from txcql.wire import checksums, rows
from txcql.wire.compiled import COMPILED, compiled_splitting
from txcql.wire.cqltypes import CQLType
from txcql.wire.metadata import Column
from txcql.wire.rows import RowDecoder
from txcql.wire.splitting import FrameSplitter

SPLITTERS: list[Any] = [FrameSplitter, *([compiled_splitting.FrameSplitter] if COMPILED else [])]
LIMIT = 1000
WHOLE = b"a frame made elsewhere"


def split(base: Any, chunks: list[bytes]) -> list[Any]:
    """The frames of a splitter that gets one chunk after another, and what it says at the end."""

    class Splitter(base):
        _data: bytes
        _offset: int

        def check_header(self, data: bytes, version: int, length: int) -> None:
            if length < 0 or length > LIMIT:
                raise ProtocolError(f"{version} {length} {data[:9]!r}")

        def decompressed(self, body: bytes, version: int, stream: int) -> bytes:
            if len(body) == 7:
                raise ProtocolError(f"{version} {stream} {body!r}")
            return body * 2

        def more(self, missing: int) -> Any:
            found.append(missing)
            if not waiting:
                return None
            if waiting[0] == WHOLE:
                return waiting.pop(0)
            rest: bytes = self._data[self._offset :]
            self._data, self._offset = rest + waiting.pop(0), 0
            return True

    found: list[Any] = []
    waiting = [*chunks]
    splitter = Splitter(4, LIMIT)
    try:
        while (frame := splitter.next_frame()) is not None:
            found.append(frame)
    except ProtocolError as error:
        found.append(str(error))
    return found


def header(version: int, flags: int, stream: int, opcode: int, length: int) -> bytes:
    """The header of a frame."""
    return struct.pack(">BBhBi", version, flags, stream, opcode, length)


class SplittingTests(SynchronousTestCase):
    """Bytes become the same frames, whichever splitter has them."""

    def test_frames(self) -> None:
        """The numbers of a header have their signs, and frames are of the class that the room shows."""
        data = header(0x84, 0, -1, 0x0C, 3) + b"abc" + header(0x84, 0, 32767, 8, 0)
        for base in SPLITTERS:
            first, second, *rest = split(base, [data])[1:]
            self.assertEqual(first, (0x84, 0, -1, 0x0C, b"abc"))
            self.assertEqual((second.stream, second.body), (32767, b""))
            self.assertEqual(rest, [9])
            self.assertEqual(type(first).__name__, "Frame")

    def test_made_elsewhere(self) -> None:
        """A frame that comes in place of bytes is given out as it is."""
        for base in SPLITTERS:
            found = split(base, [header(4, 0, 1, 8, 20) + b"abc", WHOLE])
            self.assertEqual(found, [9, 17, WHOLE, 17])

    def test_outside(self) -> None:
        """An offset that is not in the data reads nothing."""
        for base in SPLITTERS[1:]:
            splitter = base(4, LIMIT)
            splitter._data, splitter._offset = b"abc", 4
            self.assertRaises(IndexError, splitter.next_frame)

    @examples
    @given(
        st.lists(
            st.tuples(
                st.sampled_from([3, 0x84, 0x85, 255]),
                st.sampled_from([0, 1, 2]),
                st.integers(-2, 300),
                st.integers(0, 255),
                st.one_of(st.integers(0, 40), st.sampled_from([-1, LIMIT, LIMIT + 1])),
                st.binary(max_size=40),
            ),
            max_size=6,
        ),
        st.lists(st.integers(0, 300), max_size=5),
    )
    def test_any_bytes(self, frames: list[Any], cuts: list[int]) -> None:
        """Good and bad frames, cut anywhere: the same frames, the same complaint."""
        data = b"".join(header(*fields) + body for *fields, body in frames)
        places = [0, *sorted(cuts), len(data)]
        chunks = [data[start:end] for start, end in pairwise(places)]
        found = [split(base, chunks) for base in SPLITTERS]
        for other in found:
            self.assertEqual(other, found[0])

    @examples
    @given(st.binary(max_size=8))
    def test_checksum(self, data: bytes) -> None:
        """The CRC24, bit by bit as the specification has it."""
        expected = 0x875060
        for byte in data:
            expected ^= byte << 16
            for _ in range(8):
                expected <<= 1
                if expected & 0x1000000:
                    expected ^= 0x1974F0B
        self.assertEqual(checksums.crc24(data), expected)
        self.assertEqual(checksums.crc24_in_python(data), expected)


def outcome(decoder: RowDecoder, page: bytes, offset: int) -> Any:
    """What a decoder gives, or what it says."""
    try:
        return decoder.decode(page, offset)
    except DecodeError as error:
        return str(error)


class RowsTests(SynchronousTestCase):
    """Bytes become the same rows, by the generated code and by that which runs."""

    def decoders(self, kinds: list[CQLType], factory: Any) -> list[RowDecoder]:
        """One that is generated, and one as it comes; both made."""
        columns = [Column("ks", "t", f"c{place}", kind) for place, kind in enumerate(kinds)]
        running = RowDecoder(columns, factory)
        running._whole()
        with_python = RowDecoder(columns, factory)
        with mock.patch.object(rows, "COMPILED", False):
            with_python._whole()
        return [with_python, running]

    @examples
    @given(st.data())
    def test_good_rows(self, data: st.DataObject) -> None:
        """Values, nulls and empty ones, with bytes before and behind them."""
        kinds = data.draw(st.lists(types(), min_size=1, max_size=6))
        factory = data.draw(st.sampled_from(["named", "tuple", "dict"]))
        cells = b""
        for kind in kinds:
            value = data.draw(st.one_of(st.none(), values_of(kind)))
            part = data.draw(st.sampled_from([kind.encode(value), b""]))
            cells += b"\xff\xff\xff\xff" if part is None else struct.pack(">i", len(part)) + part
        page = b"???" + cells + b"???"
        plain, running = (outcome(each, page, 3) for each in self.decoders(kinds, factory))
        self.assertEqual(type(plain), type(running))
        self.assertTrue(same(plain, running), (plain, running))

    @examples
    @given(st.lists(types(), min_size=1, max_size=5), st.binary(max_size=80), st.integers(0, 82))
    def test_any_bytes(self, kinds: list[CQLType], page: bytes, offset: int) -> None:
        """Whatever the bytes: the same row or the same complaint."""
        plain, running = (outcome(each, page, offset) for each in self.decoders(kinds, "tuple"))
        self.assertTrue(same(plain, running), (plain, running))

    @examples
    @given(st.lists(types(), min_size=1, max_size=4), st.data())
    def test_changed_lengths(self, kinds: list[CQLType], data: st.DataObject) -> None:
        """One byte of a good row is another: a length, or a value."""
        parts = [kind.encode(data.draw(values_of(kind))) or b"" for kind in kinds]
        page = bytearray(b"".join(struct.pack(">i", len(part)) + part for part in parts))
        page[data.draw(st.integers(0, len(page) - 1))] = data.draw(st.integers(0, 255))
        plain, running = (outcome(each, bytes(page), 0) for each in self.decoders(kinds, "tuple"))
        self.assertTrue(same(plain, running), (plain, running))


class ChoiceTests(SynchronousTestCase):
    """Which one runs."""

    def test_pure(self) -> None:
        """``TXCQL_PURE`` leaves the compiled ones alone, whether or not they are there."""
        command = [sys.executable, "-c", "import txcql; print(txcql.wire.COMPILED)"]
        done = subprocess.run(command, env={**os.environ, "TXCQL_PURE": "1"}, capture_output=True, text=True)
        self.assertEqual((done.stdout.strip(), done.stderr), ("False", ""))
