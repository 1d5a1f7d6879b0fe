"""What the parts of the request path cost one by one: no server, no socket, no reactor.

Every case is a function of one batch; it prepares what it needs, and gives the seconds of CPU of the rest.
The loop around the calls is a part of the figure. Before each batch that counts, a smaller one warms up.
"""

from __future__ import annotations

import random
import struct
import time
import zlib
from collections.abc import Callable, Iterator
from typing import Any, cast

from load import build_of_txcql, report
from twisted.internet.task import Clock

import txcql
from txcql.connection.pendingrequest import PendingRequest
from txcql.connection.streams import MAX_STREAMS, StreamManager
from txcql.connection.writebuffer import WriteBuffer
from txcql.session.options import RequestOptions
from txcql.session.responsehandler import DecoderCache, ResponseHandler
from txcql.session.statementrequest import StatementRequest
from txcql.session.statements import PreparedGeneration
from txcql.wire.constants import EXECUTE, RESULT
from txcql.wire.cqltypes import Codec
from txcql.wire.frames import FrameCodec, pack_header
from txcql.wire.metadata import Column
from txcql.wire.responses import Prepared
from txcql.wire.rows import RowDecoder
from txcql.wire.scalars import BIGINT, BOOLEAN, DOUBLE, INT, TEXT
from txcql.wire.usercodecs import CodecRegistry

MIB = 2**20
RECEIVED = 65536
"""Bytes that Twisted asks of one recv(), and the driver's own buffers."""
ETHERNET = 1448
"""Bytes that come at once where each packet comes alone."""
LINKS: dict[str, tuple[int, str | None]] = {"v4": (4, None), "v5": (5, None), "v5 + LZ4": (5, "lz4")}
Batch = Callable[[int], float]
"""Units -> seconds of CPU, what comes before them left out."""


# ---- streams ----


class Idle(PendingRequest):
    """A request of which nothing is asked."""

    __slots__ = ()


def answers_in_any_order(allocation: str, busy: int, count: int) -> list[int]:
    """The streams to release one by one, each followed by a new request, the order a random one."""
    streams, request, rng = StreamManager(allocation), Idle(), random.Random(1)
    ids = [streams.register(request) for _ in range(busy)]
    order = []
    for _ in range(count):
        place = rng.randrange(busy)
        order.append(ids[place])
        streams.release(ids[place])
        ids[place] = streams.register(request)
    return order


def streams_batch(allocation: str, busy: int) -> Batch:
    """Answers come, and each is followed by a request: one release and one allocation, so many ids busy."""
    orders: dict[int, list[int]] = {}

    def batch(count: int) -> float:
        if count not in orders:
            orders[count] = answers_in_any_order(allocation, busy, count)
        streams, request = StreamManager(allocation), Idle()
        for _ in range(busy):
            streams.register(request)
        register, release, order = streams.register, streams.release, orders[count]
        start = time.process_time()
        for stream in order:
            release(stream)
            register(request)
        return time.process_time() - start

    return batch


def record_batch(reused: bool) -> Batch:
    """A request record is made and dropped; or taken from a list of used ones and put back.

    To set its fields costs both the same, and is left out: the difference is what reuse could save.
    """
    used = [new_record()]

    def batch(count: int) -> float:
        start = time.process_time()
        if reused:
            for _ in range(count):
                used.append(used.pop())
        else:
            for _ in range(count):
                new_record()
        return time.process_time() - start

    return batch


def new_record() -> StatementRequest:
    """The object that each request of a session is, without what is in it."""
    return StatementRequest.__new__(StatementRequest)


# ---- encoding ----

COLUMNS: dict[str, Codec] = {
    "id": BIGINT, "name": TEXT, "email": TEXT, "age": INT, "score": DOUBLE, "active": BOOLEAN,
}  # fmt: skip
VALUES = [
    (number, f"Ada Lovelace {number}", f"ada.{number}@example.org", number % 90, number / 8, number % 2 == 0)
    for number in range(1000)
]


def insert(version: int) -> tuple[PreparedGeneration, RequestOptions]:
    """A prepared INSERT of six values, and the options of a session as it comes."""
    columns = tuple(Column("bench", "users", name, kind) for name, kind in COLUMNS.items())
    prepared = Prepared(bytes(range(16)), bytes(16) if version == 5 else None, columns, (0,), ())
    settings = txcql.Settings()
    handler = ResponseHandler(DecoderCache(CodecRegistry(None)), settings.row_factory, ())
    return PreparedGeneration(prepared, handler, True), RequestOptions.default(settings)


def insert_frames(version: int, count: int) -> Iterator[tuple[bytes, bytes]]:
    """Header and body of so many inserts, by the steps that a session and a link take."""
    generation, options = insert(version)
    encode, parts_for, values = generation.encoder.encode, generation.parts_for, VALUES
    flags, many = options.flags, len(values)
    for number in range(count):
        encoded = encode(values[number % many], version)
        head, tail = parts_for(version, options)
        body = head + encoded + tail
        yield pack_header(version, flags, number & 0x7FFF, EXECUTE, len(body)), body


def encode_batch(version: int) -> Batch:
    """Values become the header and the body of a frame."""

    def batch(count: int) -> float:
        frames = insert_frames(version, count)
        start = time.process_time()
        for _ in frames:
            pass
        return time.process_time() - start

    return batch


# ---- Write Buffer ----


class Sink:
    """A transport that takes everything at once."""

    def write(self, data: bytes) -> None:
        """Forget it."""


def opened(version: int, compression: str | None) -> FrameCodec:
    """A codec as it is after the handshake."""
    return FrameCodec(version, compression, segmented=version == 5)


def flush_batch(link: str, frames: int) -> Batch:
    """So many inserts are written into the buffer, and flushed to the transport: one unit."""
    version, compression = LINKS[link]
    written = list(insert_frames(version, frames))

    def batch(count: int) -> float:
        buffer = WriteBuffer(opened(version, compression), Clock(), RECEIVED)
        buffer.transport = cast(Any, Sink())
        hold, write, release = buffer.hold, buffer.write, buffer.release
        start = time.process_time()
        for _ in range(count):
            hold()
            for header, body in written:
                write(header, body)
            release()
        return time.process_time() - start

    return batch


# ---- Read Buffer and Frame Codec ----


def rows(size: int) -> bytes:
    """So many bytes like those of rows: lengths, numbers, words."""
    rng, words = random.Random(2), (b"Amsterdam", b"Nairobi", b"visitor", b"example.org")
    row = b"".join(
        struct.pack(">iqi", 8, rng.getrandbits(60), len(word)) + word
        for word in rng.choices(words, k=min(size, 200_000) // 20 + 1)
    )
    return (row * (size // len(row) + 1))[:size]


def as_sent(link: str, bodies: list[bytes]) -> bytes:
    """What a server sends for these answers, in as few segments as it can."""
    version, compression = LINKS[link]
    codec = opened(version, compression)
    pieces: list[bytes] = []
    for stream, body in enumerate(bodies, 1):
        pieces += codec.encode(stream, RESULT, body, response=True)
    return codec.join(pieces)


def cut(data: bytes, size: int) -> list[bytes]:
    """As it is received."""
    return [data[start : start + size] for start in range(0, len(data), size)]


def receive(codec: FrameCodec, chunks: list[bytes]) -> int:
    """Take the chunks in turn, and from each every frame that it completes: how many."""
    take, next_frame, frames = codec.receive, codec.next_frame, 0
    for chunk in chunks:
        take(chunk)
        while next_frame() is not None:
            frames += 1
    return frames


def read_batch(link: str, bodies: list[bytes], chunk: int, units: int) -> Batch:
    """The answers are received and split into frames, which all together are so many units."""
    chunks = cut(as_sent(link, bodies), chunk)

    def batch(count: int) -> float:
        codec = opened(*LINKS[link])
        start = time.process_time()
        for _ in range(count // units):
            if receive(codec, chunks) != len(bodies):
                raise RuntimeError(f"{link}: not all frames came out")
        return time.process_time() - start

    return batch


def floor_batch(step: Callable[[list[bytes]], object], size: int) -> Batch:
    """Something is done once to the chunks of so many MiB which no reader can do without."""
    chunks = cut(rows(size * MIB), RECEIVED)

    def batch(count: int) -> float:
        start = time.process_time()
        for _ in range(count // size):
            step(chunks)
        return time.process_time() - start

    return batch


def check_sums(chunks: list[bytes]) -> None:
    """As in v5, though of other pieces."""
    for chunk in chunks:
        zlib.crc32(chunk)


# ---- a page ----

PAGE_ROWS = 5000


def page_batch(link: str) -> Batch:
    """A page is received, and every row decoded."""
    columns = [Column("bench", "users", name, kind) for name, kind in COLUMNS.items()]
    kinds = COLUMNS.values()
    cells = [kind.encode(value) for values in VALUES for kind, value in zip(kinds, values, strict=True)]
    body = b"".join(struct.pack(">i", len(cell)) + cell for cell in cells) * (PAGE_ROWS // len(VALUES))
    chunks, decoder = cut(as_sent(link, [body]), RECEIVED), RowDecoder(columns)

    def batch(count: int) -> float:
        codec = opened(*LINKS[link])
        start = time.process_time()
        for _ in range(max(1, count // PAGE_ROWS)):
            for chunk in chunks:
                codec.receive(chunk)
            frame = codec.next_frame()
            if frame is None:
                raise RuntimeError(f"{link}: the page did not come out")
            for _ in decoder.rows(frame.body, 0, PAGE_ROWS):
                pass
        return time.process_time() - start

    return batch


# ---- all of them ----

SMALL = [rows(51)] * 4096
"""Bodies of frames of 60 bytes."""


def cases() -> Iterator[tuple[list[str], int, Batch]]:
    """What is measured, in which case, per what; units of one batch; the batch."""
    for allocation in ("pooled", "sequential"):
        for busy in (64, 30_000):
            name = f"{allocation}, {busy:,} of {MAX_STREAMS - 1:,} ids busy, answers in any order"
            yield ["stream: release and allocate", name, "request"], 40_000, streams_batch(allocation, busy)
    for reused, case in ((False, "made for each request"), (True, "used again")):
        yield ["request record", case, "request"], 100_000, record_batch(reused)
    for version in (4, 5):
        name = f"prepared insert of {len(COLUMNS)} values, v{version}"
        yield ["encoding: bind, body and header", name, "frame"], 20_000, encode_batch(version)
    for link in LINKS:
        for frames in (1, 16, 256):
            case = f"{frames} {'insert' if frames == 1 else 'inserts'}, {link}"
            batch = flush_batch(link, frames)
            yield ["Write Buffer: write and flush", case, "flush"], max(20_000 // frames, 100), batch
    for link in LINKS:
        for chunk, how in ((RECEIVED, "64 KiB"), (ETHERNET, f"{ETHERNET:,} bytes")):
            batch = read_batch(link, SMALL, chunk, len(SMALL))
            case = f"frames of 60 bytes, received {how} at a time, {link}"
            yield ["Read Buffer and Frame Codec", case, "frame"], 10 * len(SMALL), batch
    for link in LINKS:
        yield ["page: received and decoded", f"5,000 x 6, {link}", "row"], 20 * PAGE_ROWS, page_batch(link)
    for size in (1, 16):
        case = f"{size} MiB in chunks of 64 KiB"
        yield ["floor: one copy", case, "MiB"], 64, floor_batch(b"".join, size)
        yield ["floor: CRC32 (v5)", case, "MiB"], 64, floor_batch(check_sums, size)
        for link in LINKS:
            batch = read_batch(link, [rows(size * MIB)], RECEIVED, size)
            case = f"one frame of {size} MiB, received 64 KiB at a time, {link}"
            yield ["Read Buffer and Frame Codec", case, "MiB"], 64, batch


def main() -> None:
    """One batch of each case; the figures."""
    figures = []
    for labels, units, batch in cases():
        batch(max(units // 4, 16))
        figures.append([*labels, batch(units) / units * 1e6])
    report({"figures": figures}, **build_of_txcql())


if __name__ == "__main__":
    main()
