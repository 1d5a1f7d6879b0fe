"""A bare Twisted protocol that only counts frames: what the reactor, the socket and one header cost.

It sends canned EXECUTE frames, and for every frame that comes back one more on the same stream; it takes the
stream and the length out of a header and looks at nothing else. Always protocol v4, which has no segments and
so no check sums over them: the floor. What it checks is the size of the answers.
"""

from __future__ import annotations

import struct
import time
from typing import Any

from checks import FIRST_KEY
from load import Job, report
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.protocol import Protocol
from twisted.internet.task import react

HEADER = struct.Struct(">BBhBi")
HEADER_SIZE = HEADER.size
VERSION, STARTUP, READY, RESULT, PREPARE, EXECUTE = 4, 1, 2, 8, 9, 10


def frame(stream: int, opcode: int, body: bytes) -> bytes:
    """A whole v4 frame."""
    return HEADER.pack(VERSION, 0, stream, opcode, len(body)) + body


def startup_body() -> bytes:
    """STARTUP's [string map] with the one entry that has to be there."""
    name, value = b"CQL_VERSION", b"3.0.0"
    return struct.pack(">HH", 1, len(name)) + name + struct.pack(">H", len(value)) + value


class CountingProtocol(Protocol):
    """Counts frames; ``finished`` fires with what was measured."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.finished: Deferred[dict[str, Any]] = Deferred()
        self.frames: list[bytes] = []
        self.rest = b""
        self.skip = 0
        self.incomplete: list[int] = []

    def connectionMade(self) -> None:
        """Shake hands; the PREPARE follows when READY is here."""
        self.transport.setTcpNoDelay(True)  # type: ignore[union-attr]
        self.write(frame(0, STARTUP, startup_body()))

    def connectionLost(self, reason: Any = None) -> None:
        """The server has gone in the middle of the job."""
        if not self.finished.called:
            self.finished.errback(reason)

    def write(self, data: bytes) -> None:
        """Write to the transport."""
        self.transport.write(data)  # type: ignore[union-attr]

    def dataReceived(self, data: bytes) -> None:
        """READY and the Prepared result come alone; all that follows are answers."""
        if self.rest:
            data, self.rest = self.rest + data, b""
        if self.frames:
            self.take_answers(data)
        elif len(data) < HEADER.size or len(data) < HEADER.size + HEADER.unpack_from(data)[4]:
            self.rest = data
        elif data[4] == READY:
            text = self.job.statement.encode()
            self.write(frame(0, PREPARE, struct.pack(">i", len(text)) + text))
        elif data[4] == RESULT:
            (length,) = struct.unpack_from(">H", data, 13)
            self.make_frames(data[13 : 15 + length])
            self.begin("warm-up", self.job.warm_up)
        else:
            self.finished.errback(RuntimeError(repr(data)))

    def make_frames(self, prepared_id: bytes) -> None:
        """One EXECUTE frame for each stream: LOCAL_QUORUM, one value, no metadata, 5,000 rows a page."""
        body = prepared_id + struct.pack(">HBHiqi", 6, 0x07, 1, 8, FIRST_KEY, 5000)
        self.frames = [frame(stream, EXECUTE, body) for stream in range(self.job.in_flight)]

    def begin(self, phase: str, requests: int) -> None:
        """Send the first requests of a phase."""
        self.phase, self.unsent, self.unanswered, self.size = phase, requests, requests, 0
        self.wall, self.cpu = time.perf_counter(), time.process_time()
        self.send(list(range(self.job.in_flight)))

    def send(self, streams: list[int]) -> None:
        """Send a request on each of these streams, as far as there are any left, in one write."""
        streams = streams[: self.unsent]
        self.unsent -= len(streams)
        if streams:
            self.write(b"".join([self.frames[stream] for stream in streams]))

    def take_answers(self, data: bytes) -> None:
        """Count the frames that are complete, and send the next request on the stream of each."""
        unpack, at, end = HEADER.unpack_from, self.skip, len(data)
        if at > end:
            self.skip = at - end
            return
        streams, self.incomplete, size = self.incomplete, [], self.size
        while end - at >= HEADER_SIZE:
            _, _, stream, _, length = unpack(data, at)
            at += HEADER_SIZE + length
            size += length
            streams.append(stream)
        self.size, self.skip = size, max(0, at - end)
        if at > end:
            self.incomplete.append(streams.pop())
        else:
            self.rest = data[at:]
        self.unanswered -= len(streams)
        if self.unanswered:
            self.send(streams)
        else:
            self.end_phase()

    def end_phase(self) -> None:
        """All requests of this phase are answered."""
        cpu, wall = time.process_time() - self.cpu, time.perf_counter() - self.wall
        if self.phase == "warm-up":
            self.begin("measured", self.job.requests)
        else:
            measured = {"cpu": cpu, "wall": wall, "requests": self.job.requests, "size": self.size}
            self.finished.callback(measured)


async def main(reactor: Any) -> None:
    """Connect, run the job, report."""
    job = Job.from_arguments()
    endpoint = TCP4ClientEndpoint(reactor, job.host, job.port)
    protocol = await connectProtocol(endpoint, CountingProtocol(job))  # type: ignore[no-untyped-call]
    report(await protocol.finished)


if __name__ == "__main__":
    react(main)
