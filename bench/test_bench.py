"""The canned server keeps to the protocol however its input is cut, and a wrong answer voids a figure.

Run by ``python -m unittest discover -s bench``. It needs a C compiler, and makes the environment of
cassandra-driver.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import subprocess
import sys
import time
import unittest
import zlib
from collections.abc import Iterator
from pathlib import Path

import latency
import memory
from answers import Statement, page_statement, point_statement, sized, write_answers
from clients.checks import FIRST_KEY, WrongAnswer, fingerprint, touch_point
from harness import BUILD, BenchmarkError, check_result, compile_server, running_server

POINT, PAGE = point_statement(), page_statement()
ERROR, STARTUP, READY, OPTIONS, SUPPORTED, QUERY, RESULT, PREPARE, EXECUTE, REGISTER = (
    0,
    1,
    2,
    5,
    6,
    7,
    8,
    9,
    10,
    11,
)
PIECE = 131054
Envelope = tuple[int, int, int, bytes]
"""Version, stream, opcode, body."""


def crc24(header: bytes) -> int:
    """The check sum of a segment's header."""
    crc = 0x875060
    for byte in header:
        crc ^= byte << 16
        for _ in range(8):
            crc <<= 1
            if crc & 0x1000000:
                crc ^= 0x1974F0B
    return crc


def segment(payload: bytes, self_contained: bool = True) -> bytes:
    """A v5 segment."""
    header = (len(payload) | self_contained << 17).to_bytes(3, "little")
    check = zlib.crc32(payload, zlib.crc32(b"\xfa\x2d\x55\xca"))
    return header + crc24(header).to_bytes(3, "little") + payload + check.to_bytes(4, "little")


def envelope(version: int, stream: int, opcode: int, body: bytes = b"") -> bytes:
    """A request."""
    return struct.pack(">BBhBi", version, 0, stream, opcode, len(body)) + body


def prepare(version: int, text: str) -> bytes:
    """The body of PREPARE."""
    return sized(text.encode()) + (bytes(4) if version >= 5 else b"")


def execute(version: int, key: int, statement: Statement = POINT, metadata_id: bytes | None = None) -> bytes:
    """The body of EXECUTE, without metadata in the answer."""
    body = struct.pack(">H", 16) + statement.id
    if version >= 5:
        metadata_id = statement.metadata_id if metadata_id is None else metadata_id
        body += struct.pack(">H", len(metadata_id)) + metadata_id
    return body + struct.pack(">HIHiq" if version >= 5 else ">HBHiq", 6, 3, 1, 8, key)


class Link:
    """A client of one connection, which blocks."""

    def __init__(self, port: int, version: int) -> None:
        self.version, self.segmented = version, False
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=20)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.stream = self.socket.makefile("rb")
        self.payload = b""
        self.pieces: list[int] = []

    def send(self, data: bytes, step: int = 0) -> None:
        """Send all at once, or so many bytes at a time."""
        for at in range(0, len(data), step or len(data)):
            self.socket.sendall(data[at : at + (step or len(data))])

    def read(self, length: int) -> bytes:
        """So many bytes of envelopes, out of segments where there are some."""
        while self.segmented and len(self.payload) < length:
            header = self.stream.read(6)
            if len(header) < 6:
                return b""
            bits = int.from_bytes(header[:3], "little")
            payload = self.stream.read(bits & 0x1FFFF)
            if header + payload + self.stream.read(4) != segment(payload, bool(bits >> 17)):
                raise AssertionError("a segment with wrong check sums")
            if not bits >> 17:
                self.pieces.append(len(payload))
            self.payload += payload
        if not self.segmented:
            return self.stream.read(length)
        data, self.payload = self.payload[:length], self.payload[length:]
        return data

    def receive(self) -> Envelope:
        """The next envelope."""
        header = self.read(9)
        version, _, stream, opcode, length = struct.unpack(">BBhBi", header)
        return version & 0x7F, stream, opcode, self.read(length)

    def shake_hands(self) -> None:
        """STARTUP."""
        name, value = b"CQL_VERSION", b"3.0.0"
        body = struct.pack(">HH", 1, len(name)) + name + struct.pack(">H", len(value)) + value
        self.send(envelope(self.version, 1, STARTUP, body))
        assert self.receive() == (self.version, 1, READY, b"")
        self.segmented = self.version >= 5

    def close(self) -> None:
        """Close the connection."""
        self.stream.close()
        self.socket.close()


def answer_to(key: int) -> bytes:
    """The body that answers the point read of a key."""
    return POINT.answers[0].replace(struct.pack(">q", FIRST_KEY), struct.pack(">q", key))


class ServerTests(unittest.TestCase):
    """One server for all, a connection for each test."""

    port: int

    @classmethod
    def setUpClass(cls) -> None:
        """Start the server."""
        BUILD.mkdir(exist_ok=True)
        answers = BUILD / "answers-of-tests"
        write_answers(answers, [POINT, PAGE])
        stack = contextlib.ExitStack()
        cls.addClassCleanup(stack.close)
        cls.port = stack.enter_context(running_server(compile_server(), answers))

    def ask(self, link: Link, text: str) -> bytes:
        """The body that answers a plain query on a v4 link."""
        link.send(envelope(4, 99, QUERY, sized(text.encode()) + bytes(3)))
        version, stream, opcode, body = link.receive()
        self.assertEqual((version, stream, opcode), (4, 99, RESULT))
        return body

    @contextlib.contextmanager
    def link(self, version: int) -> Iterator[Link]:
        """A connection that is ready."""
        link = Link(self.port, version)
        with contextlib.closing(link):
            link.shake_hands()
            yield link

    def test_requests_cut_anywhere(self) -> None:
        """The same answers come to requests sent at once, byte by byte and in odd pieces."""
        for version in (4, 5):
            for step in (0, 1, 7, 50):
                with self.subTest(version=version, step=step), self.link(version) as link:
                    requests = [envelope(version, 9, PREPARE, prepare(version, POINT.text))]
                    requests += [envelope(version, key, EXECUTE, execute(version, key)) for key in range(200)]
                    data = b"".join(requests)
                    if version == 5:
                        data = b"".join(map(segment, requests[:50])) + segment(b"".join(requests[50:]))
                    link.send(data, step)
                    self.assertEqual(link.receive(), (version, 9, RESULT, POINT.prepared(version)))
                    for key in range(200):
                        self.assertEqual(link.receive(), (version, key, RESULT, answer_to(key)))

    def test_a_page_comes_in_pieces(self) -> None:
        """A large answer is cut as Cassandra cuts it, and small ones beside it are whole."""
        with self.link(5) as link:
            requests = [execute(5, 1, PAGE), execute(5, 2), execute(5, 3, PAGE)]
            link.send(segment(b"".join(envelope(5, key, EXECUTE, body) for key, body in enumerate(requests))))
            page = PAGE.answers[0]
            self.assertEqual(link.receive(), (5, 0, RESULT, page))
            self.assertEqual(link.receive(), (5, 1, RESULT, answer_to(2)))
            self.assertEqual(link.receive(), (5, 2, RESULT, page))
            full, rest = divmod(len(page) + 9, PIECE)
            self.assertEqual(link.pieces, [*[PIECE] * full, rest] * 2)

    def test_a_client_that_does_not_read(self) -> None:
        """The server stops reading as well, and goes on where it was."""
        for version in (4, 5):
            with self.subTest(version=version), self.link(version) as link:
                requests = b"".join(
                    envelope(version, key, EXECUTE, execute(version, 0, PAGE)) for key in range(100)
                )
                link.send(segment(requests) if version == 5 else requests)
                time.sleep(0.3)
                for key in range(100):
                    got = link.receive()
                    self.assertEqual(got[:3], (version, key, RESULT))
                    self.assertEqual(len(got[3]), PAGE.answer_size())

    def test_a_request_in_pieces(self) -> None:
        """A request larger than a segment is read as one."""
        with self.link(5) as link:
            data = envelope(5, 7, PREPARE, prepare(5, "x" * 200_000))
            link.send(segment(data[:131071], False) + segment(data[131071:], False))
            link.send(segment(envelope(5, 8, EXECUTE, execute(5, 6))))
            version, stream, opcode, body = link.receive()
            self.assertEqual((version, stream, opcode, body[:4].hex()), (5, 7, ERROR, "00002200"))
            self.assertEqual(link.receive(), (5, 8, RESULT, answer_to(6)))

    def test_metadata(self) -> None:
        """Skipped when asked to, sent when not, and sent with its new id when the client has another."""
        skipped, full, changed = PAGE.answers
        with self.link(5) as link:
            link.send(segment(envelope(5, 1, EXECUTE, execute(5, 0, PAGE, b"stale"))))
            self.assertEqual(link.receive()[3], changed)
            link.send(segment(envelope(5, 1, EXECUTE, execute(5, 0, PAGE))))
            self.assertEqual(link.receive()[3], skipped)
        with self.link(4) as link:
            body = execute(4, 0, PAGE)
            link.send(envelope(4, 1, EXECUTE, body[:20] + b"\x01" + body[21:]))
            self.assertEqual(link.receive()[3], full)

    def test_unprepared(self) -> None:
        """An unknown id is told as such, with the id."""
        with self.link(4) as link:
            body = execute(4, 0)
            link.send(envelope(4, 3, EXECUTE, body[:2] + b"?" * 16 + body[18:]))
            _, stream, opcode, body = link.receive()
            self.assertEqual((stream, opcode, body[:4].hex(), body[-16:]), (3, ERROR, "00002500", b"?" * 16))

    def test_negotiation(self) -> None:
        """OPTIONS is answered before STARTUP; an unknown version is refused on stream 0, no more."""
        with contextlib.closing(Link(self.port, 5)) as link:
            link.send(envelope(66, 5, STARTUP, bytes(2)))
            version, stream, opcode, body = link.receive()
            self.assertEqual((version, stream, opcode, body[:4].hex()), (5, 0, ERROR, "0000000a"))
            self.assertIn(b"Invalid or unsupported protocol version (66)", body)
            link.send(envelope(5, 6, OPTIONS))
            self.assertEqual(link.receive()[:3], (5, 6, SUPPORTED))
            link.shake_hands()
            link.send(segment(envelope(5, 7, REGISTER, struct.pack(">H", 0))))
            self.assertEqual(link.receive(), (5, 7, READY, b""))

    def test_a_damaged_segment(self) -> None:
        """One error on stream 0, then the end."""
        good = segment(envelope(5, 1, OPTIONS))
        for at in (0, len(good) - 1):
            with self.subTest(at=at), self.link(5) as link:
                link.send(good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :])
                version, stream, opcode, body = link.receive()
                self.assertEqual((version, stream, opcode, body[:4].hex()), (5, 0, ERROR, "0000000a"))
                self.assertEqual(link.read(1), b"")

    def test_columns_of_a_table(self) -> None:
        """A query gets the columns that it names, and the node says its real port."""
        with self.link(4) as link:
            text = b"SELECT rpc_port, key FROM system.local WHERE key='local'"
            link.send(envelope(4, 1, QUERY, sized(text) + bytes(3)))
            body = link.receive()[3]
            self.assertEqual(body[-4 - 4 - 4 - 5 :], sized(struct.pack(">i", self.port)) + sized(b"local"))
            self.assertEqual(body[8:12], struct.pack(">i", 2))

    def test_held_requests(self) -> None:
        """After HOLD nothing is answered on any link, and after RELEASE all of it, in order."""
        state = "SELECT connections, held FROM bench.server"
        with self.link(4) as teller, self.link(5) as link, self.link(4) as other:
            self.assertEqual(self.ask(teller, "HOLD"), struct.pack(">i", 1))
            link.send(
                b"".join(segment(envelope(5, key, EXECUTE, execute(5, key))) for key in range(300)), 1000
            )
            other.send(
                envelope(4, 7, EXECUTE, execute(4, 7)) + envelope(4, 8, PREPARE, prepare(4, POINT.text))
            )
            self.assertEqual(other.receive(), (4, 8, RESULT, POINT.prepared(4)))
            with self.link(4) as lost:
                lost.send(envelope(4, 9, EXECUTE, execute(4, 9)))
                self.wait_for(teller, state, 4, 302)
            self.wait_for(teller, state, 3, 301)
            self.assertEqual(self.ask(teller, "RELEASE"), struct.pack(">i", 1))
            for key in range(300):
                self.assertEqual(link.receive(), (5, key, RESULT, answer_to(key)))
            self.assertEqual(other.receive(), (4, 7, RESULT, answer_to(7)))
            self.wait_for(teller, state, 3, 0)

    def wait_for(self, link: Link, query: str, *numbers: int) -> None:
        """Until the only row of the answer is these numbers."""
        wanted = b"".join(sized(struct.pack(">i", number)) for number in numbers)
        end = time.monotonic() + 10
        while not (body := self.ask(link, query)).endswith(wanted):
            self.assertLess(time.monotonic(), end, body[-16:].hex())
            time.sleep(0.01)


class CheckTests(unittest.TestCase):
    """What is wrong does not count."""

    def result(self) -> dict[str, object]:
        """What a client should report after ten point reads."""
        total = sum(touch_point([(key, *POINT.rows[0][1:])], key) for key in range(FIRST_KEY, FIRST_KEY + 10))
        return {"requests": 10, "total": total, "fingerprint": fingerprint(POINT.rows, FIRST_KEY)}

    def test_right(self) -> None:
        """The right sums pass."""
        check_result("client", self.result(), POINT, 10)

    def test_wrong(self) -> None:
        """Each other one is refused."""
        for name in ("requests", "total", "fingerprint"):
            with self.subTest(name), self.assertRaisesRegex(BenchmarkError, f"client: {name} is"):
                check_result("client", {**self.result(), name: 1}, POINT, 10)

    def test_every_value_counts(self) -> None:
        """The fingerprint sees a change in any of the values."""
        row = PAGE.rows[0]
        for index in range(len(row)):
            changed = (*row[:index], PAGE.rows[1][index], *row[index + 1 :])
            if changed != row:
                self.assertNotEqual(fingerprint([changed], 0), fingerprint([row], 0), index)

    def test_answer_of_another_request(self) -> None:
        """A row that was meant for another key is noticed at once."""
        with self.assertRaises(WrongAnswer):
            touch_point(POINT.rows, FIRST_KEY + 1)

    def test_wrong_values_void_the_run(self) -> None:
        """A whole run against a server whose answer is not the expected one ends with status 1."""
        script = (
            "import harness, run, sys\n"
            "write = harness.write_answers\n"
            "def tamper(path, statements):\n"
            "    write(path, statements)\n"
            "    path.write_bytes(path.read_bytes().replace(b'Ada Lovelace', b'Ada Lovelacf'))\n"
            "harness.write_answers = tamper\n"
            "sys.argv[1:] = ['--quick', '--clients', 'cassandra-driver', '--workloads', 'point-256']\n"
            "sys.exit(run.main())\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", script], cwd=Path(__file__).parent, capture_output=True, text=True
        )
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn("fingerprint is", done.stderr)


class BoundTests(unittest.TestCase):
    """A broken bound is called so, and comes first."""

    def test_latency(self) -> None:
        """The median counts, and it has to stay below the bound."""
        part = "stream: release and allocate"
        latencies = latency.Latencies(
            {(part, "good", "request"): [0.5, 0.6, 9.0], (part, "bad", "request"): [0.2, 1.0, 1.0]}
        )
        broken, kept = latency.check_bounds(latencies)
        self.assertIn(f"BROKEN {part}, bad: 1 µs", broken)
        self.assertIn(f"kept {part}, good: 0.6 µs", kept)

    def test_memory(self) -> None:
        """The larger one of RSS and tracemalloc counts."""
        for resident, traced, kept in ((20, 19, True), (21, 19, False), (19, 21, False)):
            with self.subTest(resident=resident, traced=traced):
                figures = memory.Memory(
                    resident={"in flight": [resident * memory.MIB]},
                    traced={"in flight": [traced * memory.MIB]},
                    peak=[0],
                    budget=None,
                    build={},
                )
                self.assertEqual(memory.verdict(figures)[0], kept)


if __name__ == "__main__":
    unittest.main()
