"""Mutated streams of bytes against the codec: frames, messages, metadata, rows, values, types."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from txcql.errors import CQLError, ServerError
from txcql.test.fuzz.mutations import any_envelope, mutated_body, mutated_bytes, mutated_header
from txcql.wire import constants
from txcql.wire.binding import ParameterEncoder
from txcql.wire.frames import Frame, FrameCodec, UnreadableBody
from txcql.wire.responses import Prepared, Rows, decode_response
from txcql.wire.rows import RowDecoder, RowIterator
from txcql.wire.typeoptions import read_type
from txcql.wire.typeparser import parse_class_name, parse_type

__all__ = ["FRAME_LIMIT", "LONGEST", "Finding", "fuzz_wire", "one_input"]

FRAME_LIMIT = 16 * 1024 * 1024
"""The frame limit in force: nothing takes twice as much memory."""

LONGEST = 1.0
"""Seconds of the processor for one input."""

_LINKS = (
    (3, None),
    (3, "lz4"),
    (4, None),
    (4, "lz4"),
    (4, "snappy"),
    (5, None),
    (5, "lz4"),
)
_COMPILED = 0.05
_MOST_ROWS = 1000
_NOTATIONS = (
    "map<text, frozen<list<int>>>",
    "tuple<int, vector<float, 3>, set<uuid>>",
    'frozen<"My Type">',
    "org.apache.cassandra.db.marshal.MapType(org.apache.cassandra.db.marshal.UTF8Type,Int32Type)",
    "org.apache.cassandra.db.marshal.UserType(ks,75647431,61:Int32Type,62:ListType(UTF8Type))",
    "org.apache.cassandra.db.marshal.VectorType(org.apache.cassandra.db.marshal.FloatType , 3)",
)


class Finding(AssertionError):
    """What an input has shown; the text holds its seed."""


def fuzz_wire(count: int, seed: int = 0) -> int:
    """Feed inputs to the codec.

    :param count: how many.
    :param seed: of the first; the others follow.
    :returns: how many frames were read of them.
    :raises Finding: an exception outside the tree of errors, or an input that took too long.
    """
    frames = 0
    for number in range(seed, seed + count):
        begun = time.process_time()
        try:
            frames += one_input(number)
        except Exception as error:
            raise Finding(f"wire input {number}: {error!r}") from error
        took = time.process_time() - begun
        if took > LONGEST:
            raise Finding(f"wire input {number} took {took:.2f} s")
    return frames


def one_input(seed: int) -> int:
    """Feed one input to the codec; the frames that were read of it.

    :raises Exception: a defect.
    """
    chance = random.Random(seed)
    if chance.random() < 0.03:
        _types(chance)
        return 0
    version, compression = chance.choice(_LINKS)
    codec = FrameCodec(version, compression, version == 5, FRAME_LIMIT)
    if chance.random() < 0.5:
        codec.expect_answers()
    data = _stream(codec, chance)
    found = 0
    for chunk in _cut(data, chance):
        codec.receive(chunk)
        while True:
            try:
                frame = codec.next_frame()
            except UnreadableBody:
                continue
            except CQLError:
                return found
            if frame is None:
                break
            found += 1
            _read(frame, version, chance)
    return found


def _stream(codec: FrameCodec, chance: random.Random) -> bytes:
    """Some frames, of which something is wrong."""
    pieces: list[bytes] = []
    for _ in range(chance.choice((1, 1, 2, 5))):
        envelope = any_envelope(codec.version, chance)
        header, body = codec.encode(
            chance.choice((-1, 0, 1, 2, 300)), envelope.opcode, envelope.body, envelope.flags, True
        )
        if chance.random() < 0.1 and codec.compressor is not None:
            body = mutated_body(body, codec.version, chance)
            header = header[:-4] + len(body).to_bytes(4, "big")
        if chance.random() < 0.1:
            frame = mutated_header(header + body, chance)
            header, body = frame[:9], frame[9:]
        pieces += header, body
    data = codec.join(pieces)
    return mutated_bytes(data, chance) if chance.random() < 0.2 else data


def _cut(data: bytes, chance: random.Random) -> list[bytes]:
    if chance.random() < 0.7 or len(data) < 2:
        return [data]
    if len(data) < 300 and chance.random() < 0.2:
        return [data[place : place + 1] for place in range(len(data))]
    edges = sorted(chance.randrange(len(data)) for _ in range(chance.randrange(1, 5)))
    return [data[start:end] for start, end in zip([0, *edges], [*edges, len(data)], strict=True)]


def _read(frame: Frame, version: int, chance: random.Random) -> None:
    """Read all that a frame holds."""
    try:
        message = decode_response(frame.opcode, frame.body, version, frame.flags)
    except CQLError:
        return
    repr(message)
    if isinstance(message, ServerError):
        str(message)
    elif isinstance(message, Rows) and message.columns is not None:
        _read_rows(message, chance)
    elif isinstance(message, Prepared):
        repr(ParameterEncoder(message.parameters))


def _read_rows(message: Rows, chance: random.Random) -> None:
    columns: Any = message.columns
    decoder = RowDecoder(columns, chance.choice(("named", "tuple", "dict")))
    data, offset, count = message.body, message.header.offset, message.header.row_count
    # To compile a decoder takes as long as dozens of inputs: the plain one is compared with it now and then.
    compared = chance.random() < _COMPILED
    plain = _outcomes(decoder, decoder._checked(range(len(columns)), tuple), data, offset, count)
    if compared:
        compiled = _outcomes(decoder, decoder._whole(), data, offset, count)
        if len(plain) != len(compiled):
            raise AssertionError(f"{len(plain)} outcomes by plain code, {len(compiled)} by compiled code")


def _outcomes(decoder: RowDecoder, decode: Any, data: bytes, offset: int, count: int) -> list[str]:
    """What each row is, or why it is none."""
    found: list[str] = []
    try:
        rows = RowIterator(decoder, decode, data, offset, count)
    except CQLError:
        return found
    while len(found) < _MOST_ROWS:
        try:
            next(rows)
        except StopIteration:
            return found
        except CQLError as error:
            found.append(str(error))
        else:
            found.append("a row")
    return found


def _types(chance: random.Random) -> None:
    """Types in each of their spellings."""
    for _ in range(4):
        text = bytearray(chance.choice(_NOTATIONS).encode())
        for _ in range(chance.randrange(4)):
            place = chance.randrange(len(text) + 1)
            text[place : place + chance.randrange(3)] = chance.choice(
                (
                    b"<",
                    b">",
                    b"(",
                    b")",
                    b",",
                    b"'",
                    b'"',
                    b".",
                    b":",
                    b" ",
                    b"9" * 12,
                    b"\xc3\xa9",
                    b"list<" * 70,
                )
            )
        readers: tuple[Callable[[str], object], ...] = (parse_type, parse_class_name)
        for read in readers:
            with suppress(CQLError):
                repr(read(text.decode(errors="replace")))
    with suppress(CQLError):
        option = chance.choice((b"\x00\x20", b"\x00\x21\x00\x09", b"\x00\x31\x00\x02")) * chance.randrange(
            1, 90
        )
        read_type(mutated_body(option + b"\x00\x09", constants.NATIVE_VERSIONS[-1], chance), 5)
