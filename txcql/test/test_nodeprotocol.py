"""One connection of the fake: handshake, login, frames, back-pressure, events."""

from __future__ import annotations

from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from txcql import errors
from txcql.test.fakeclient import FakeClient, fake_node, with_keyspace
from txcql.wire import constants, requests, responses
from txcql.wire.events import SchemaChange
from txcql.wire.frames import Frame, FrameCodec
from txcql.wire.requests import QueryOptions

LINKS = [(3, None), (3, "lz4"), (3, "snappy"), (4, None), (4, "lz4"), (4, "snappy"), (5, None), (5, "lz4")]
SELECT = "SELECT key FROM system.local"


def startup(version: int, **options: str) -> bytes:
    body = requests.startup({"CQL_VERSION": "3.0.0", **options})
    return FrameCodec(version).encode_frame(1, constants.STARTUP, body)


def select(codec: FrameCodec, stream: int, text: str = SELECT) -> bytes:
    body = b"".join(requests.query_parts(codec.version, text, QueryOptions(1), False))
    return codec.encode_frame(stream, constants.QUERY, body)


class NodeTestCase(SynchronousTestCase):
    """A connection that has said nothing yet."""

    def connect(self, **options: object) -> None:
        self.node = fake_node(**options)
        self.protocol = self.node.factory.buildProtocol(None)
        self.transport = StringTransport()
        self.protocol.makeConnection(self.transport)

    def written(self) -> bytes:
        data: bytes = self.transport.value()
        self.transport.clear()
        return data

    def send(self, data: bytes) -> bytes:
        self.protocol.dataReceived(data)
        return self.written()

    def answer(self, data: bytes, version: int = 5) -> tuple[Frame, object]:
        """The one answer to unsegmented bytes."""
        codec = FrameCodec(version)
        codec.receive(self.send(data))
        frame = codec.next_frame()
        assert frame is not None
        self.assertIsNone(codec.next_frame())
        return frame, responses.decode_response(frame.opcode, frame.body, frame.version, frame.flags)


class HandshakeTests(NodeTestCase):
    """Until STARTUP is answered."""

    def setUp(self) -> None:
        self.connect()

    def test_ready(self) -> None:
        """STARTUP is answered by READY on its own stream."""
        for version in (3, 4, 5):
            self.connect()
            self.assertEqual(self.send(startup(version)).hex(), f"{version | 0x80:02x}00000102" + "00000000")

    def test_compressed_ready(self) -> None:
        """Once agreed on, everything is compressed, READY too."""
        self.assertEqual(self.send(startup(4, COMPRESSION="LZ4")).hex(), "840100010200000005" + "0000000000")
        self.connect()
        self.assertEqual(self.send(startup(4, compression="snappy")).hex(), "84010001020000000100")

    def test_captured_exchanges(self) -> None:
        """The exchanges of a real node, byte by byte."""
        self.send(startup(4))
        row = "000000020000000100000001000673797374656d00056c6f63616c00036b6579000d00000001000000056c6f63616c"
        self.assertEqual(self.send(select(FrameCodec(4), 2)).hex(), "84000002080000002f" + row)
        self.connect()
        self.send(startup(5))
        codec = FrameCodec(5, None, segmented=True)
        self.assertEqual(
            self.send(select(codec, 2)).hex(), "38000243a153" + "85000002080000002f" + row + "844d4f5a"
        )

    def test_refused_version(self) -> None:
        """An error, and the connection goes on: a STARTUP in another version is welcome."""
        self.assertTrue(self.send(b"\x42" + startup(5)[1:]).startswith(b"\x85\0\0\0\0"))
        self.assertEqual(self.send(startup(5)).hex(), "850000010200000000")

    def test_options_first(self) -> None:
        """OPTIONS may come before STARTUP, in the same read, and in another version."""
        codec = FrameCodec(5)
        codec.receive(self.send(FrameCodec(5).encode_frame(3, constants.OPTIONS, b"") + startup(4)))
        frame = codec.next_frame()
        assert frame is not None
        supported = responses.decode_response(frame.opcode, frame.body, 5)
        assert isinstance(supported, responses.Supported)
        self.assertEqual(
            supported.options,
            {
                "PROTOCOL_VERSIONS": ["3/v3", "4/v4", "5/v5", "6/v6-beta"],
                "COMPRESSION": ["snappy", "lz4"],
                "CQL_VERSION": ["3.4.7"],
            },
        )
        frame = codec.next_frame()
        assert frame is not None
        self.assertEqual((frame.version, frame.opcode), (0x84, constants.READY))

    def test_request_first(self) -> None:
        """Anything else is refused on the stream 0."""
        frame, error = self.answer(select(FrameCodec(5), 9))
        assert isinstance(error, errors.ServerProtocolError)
        self.assertEqual(frame.stream, 0)
        self.assertEqual(str(error), "Unexpected message QUERY, expecting STARTUP or OPTIONS")

    def test_wrong_startup(self) -> None:
        """Wrong options are refused on the stream of STARTUP; a second one may follow."""
        for data, sentence in (
            (startup(5, COMPRESSION="snappy"), "Snappy compression is not supported in protocol V5"),
            (startup(4, COMPRESSION="zstd"), "Unknown compression algorithm: zstd"),
            (
                FrameCodec(5).encode_frame(1, constants.STARTUP, requests.startup({})),
                "Missing value CQL_VERSION in STARTUP message",
            ),
        ):
            frame, error = self.answer(data)
            assert isinstance(error, errors.ServerProtocolError)
            self.assertEqual((frame.stream, str(error)), (1, sentence))
        self.assertEqual(self.send(startup(5)).hex(), "850000010200000000")

    def test_bytes_behind_startup(self) -> None:
        """What comes with STARTUP, before its answer, is dropped."""
        self.assertEqual(self.send(startup(4) + select(FrameCodec(4), 2)).hex(), "840000010200000000")
        self.assertTrue(self.send(select(FrameCodec(4), 3)).startswith(b"\x84\0\0\3"))

    def test_wrong_direction(self) -> None:
        """Messages of a server, and opcodes that do not exist."""
        for opcode, version, sentence in (
            (
                constants.READY,
                5,
                "Wrong protocol direction (expected RESPONSE, got REQUEST) for opcode 2 (READY)",
            ),
            (
                constants.OPTIONS,
                0x85,
                "Wrong protocol direction (expected REQUEST, got RESPONSE) for opcode 5",
            ),
            (4, 5, "Unsupported message"),
        ):
            _, error = self.answer(bytes((version, 0, 0, 1, opcode, 0, 0, 0, 0)))
            self.assertIn(sentence, str(error))


class LoginTests(NodeTestCase):
    """A cluster that asks for a login."""

    def setUp(self) -> None:
        self.node = fake_node(credentials={"cassandra": "secret"})
        self.client = FakeClient(self.node)

    def log_in(self, token: bytes | None) -> object:
        return self.client.ask(constants.AUTH_RESPONSE, requests.auth_response(token))

    def test_authenticate(self) -> None:
        """STARTUP is answered by AUTHENTICATE."""
        message = self.client.message(self.client.started)
        assert isinstance(message, responses.Authenticate)
        self.assertEqual(message.authenticator, "org.apache.cassandra.auth.PasswordAuthenticator")

    def test_right(self) -> None:
        """The right password opens the connection."""
        self.assertIsInstance(self.log_in(b"ignored\0cassandra\0secret"), responses.AuthSuccess)
        self.assertEqual(self.client.rows(SELECT), [("local",)])

    def test_wrong(self) -> None:
        """A wrong token is told so, and the next one may be right."""
        for token, sentence in (
            (b"\0cassandra\0wrong", "Provided username cassandra and/or password are incorrect"),
            (b"\0nobody\0secret", "Provided username nobody and/or password are incorrect"),
            (b"\0\0secret", "Authentication ID must not be null"),
            (b"\0cassandra\0", "Password must not be null"),
            (b"\0a\0b\0c", "Credential format error"),
        ):
            error = self.log_in(token)
            assert isinstance(error, errors.BadCredentials)
            self.assertIn(sentence, str(error))
        self.assertIsInstance(self.log_in(None), errors.InternalServerError)
        self.assertIsInstance(self.log_in(b"\0cassandra\0secret"), responses.AuthSuccess)

    def test_anything_else(self) -> None:
        """Nothing else is answered before."""
        error = self.client.ask(constants.OPTIONS)
        assert isinstance(error, errors.ServerProtocolError)
        self.assertEqual(str(error), "Unexpected message OPTIONS, expecting SASL_RESPONSE")


class RequestTests(SynchronousTestCase):
    """Once the connection is ready."""

    def test_links(self) -> None:
        """Every version and compression, small answers and large ones."""
        for version, compression in LINKS:
            client = with_keyspace(
                FakeClient(fake_node(), version, compression), "CREATE TABLE t (k int PRIMARY KEY, v blob)"
            )
            insert = client.prepare("INSERT INTO t (k, v) VALUES (?, ?)")
            for size in (0, 10, 200_000, 1_000_000):
                client.execute(insert, [b"\0\0\0\1", b"x" * size])
                self.assertEqual(client.rows("SELECT v FROM t WHERE k = 1"), [(b"x" * size,)])

    def test_one_write(self) -> None:
        """The answers to what arrives together go out together."""
        for version in (4, 5):
            client = FakeClient(fake_node(), version)
            pieces: list[bytes] = []
            body = b"".join(requests.query_parts(version, SELECT, QueryOptions(1), False))
            for stream in range(10):
                pieces += client.codec.encode(stream, constants.QUERY, body)
            writes: list[bytes] = []
            client.transport.write = writes.append  # type: ignore[method-assign]
            client.protocol.dataReceived(client.codec.join(pieces))
            self.assertEqual(len(writes), 1)
            client.codec.receive(writes[0])
            streams = []
            while (frame := client.codec.next_frame()) is not None:
                streams.append(frame.stream)
            self.assertEqual(streams, list(range(10)))

    def test_second_startup(self) -> None:
        """STARTUP comes once."""
        error = FakeClient(fake_node()).ask(constants.STARTUP, requests.startup({"CQL_VERSION": "3.0.0"}))
        self.assertEqual(str(error), "Unexpected message STARTUP, the connection is already initialized")

    def test_other_version(self) -> None:
        """A frame of another version is refused, and the connection goes on."""
        client = FakeClient(fake_node(), 4)
        client.protocol.dataReceived(select(FrameCodec(3), 5))
        (frame,) = client.received()
        self.assertEqual(frame.stream, 5)
        self.assertEqual(
            str(client.message(frame)),
            "Invalid message version. Got 3/v3 but previous messages on this connection had version 4/v4",
        )
        self.assertEqual(client.rows(SELECT), [("local",)])

    def test_tracing(self) -> None:
        """Tracing is beyond the fake."""
        body = b"".join(requests.query_parts(5, SELECT, QueryOptions(1), False))
        error = FakeClient(fake_node()).ask(constants.QUERY, body, constants.FLAG_TRACING)
        self.assertIsInstance(error, errors.InvalidRequest)
        self.assertIn("not supported by txcql.testing", str(error))

    def test_too_large(self) -> None:
        """A request over the limit is refused after it was read."""
        client = FakeClient(fake_node())
        error = client.ask(constants.QUERY, bytes(16 * 1024 * 1024))
        self.assertIsInstance(error, errors.InvalidRequest)
        self.assertIn("Request is too big: length 16777225", str(error))
        self.assertEqual(client.rows(SELECT), [("local",)])

    def test_broken_segment(self) -> None:
        """A checksum that is wrong ends the connection, with an error on the stream 0."""
        client = FakeClient(fake_node())
        data = bytearray(select(client.codec, 5))
        data[-1] ^= 1
        client.protocol.dataReceived(bytes(data))
        (frame,) = client.received()
        self.assertEqual(frame.stream, 0)
        self.assertIsInstance(client.message(frame), errors.ServerProtocolError)
        self.assertTrue(client.transport.disconnecting)

    def test_body_that_is_wrong(self) -> None:
        """A body that breaks the protocol is refused, and the connection goes on."""
        client = FakeClient(fake_node())
        self.assertIsInstance(client.ask(constants.QUERY, b"\0"), errors.ServerProtocolError)
        self.assertEqual(client.rows(SELECT), [("local",)])

    def test_bug(self) -> None:
        """An exception inside the fake is a server error, and is logged."""
        node = fake_node()
        client = FakeClient(node)
        node.database.plan = lambda text, keyspace: 1 / 0  # type: ignore[assignment,return-value]
        self.assertRaises(errors.InternalServerError, client.query, SELECT)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)


class BackPressureTests(SynchronousTestCase):
    """A client that does not read."""

    def test_pause(self) -> None:
        """While the transport is full, requests wait and no more are read; then they are answered."""
        client = FakeClient(fake_node(), 4)
        transport = client.transport
        self.assertIs(transport.producer, client.protocol)
        self.assertTrue(transport.streaming)
        client.protocol.pauseProducing()
        self.assertEqual(transport.producerState, "paused")
        client.protocol.dataReceived(select(client.codec, 1) + select(client.codec, 2))
        self.assertEqual(transport.value(), b"")
        client.protocol.resumeProducing()
        self.assertEqual(transport.producerState, "producing")
        self.assertEqual([frame.stream for frame in client.received()], [1, 2])

    def test_pause_between_answers(self) -> None:
        """A transport that fills up stops the answers that are being made."""
        client = with_keyspace(FakeClient(fake_node(), 4), "CREATE TABLE t (k int PRIMARY KEY, v blob)")
        insert = client.prepare("INSERT INTO t (k, v) VALUES (?, ?)")
        client.execute(insert, [b"\0\0\0\1", bytes(70_000)])
        write = client.transport.write

        def full(data: bytes) -> None:
            write(data)
            client.protocol.pauseProducing()

        client.transport.write = full  # type: ignore[method-assign]
        text = "SELECT v FROM t"
        client.protocol.dataReceived(b"".join(select(client.codec, stream, text) for stream in (1, 2, 3)))
        self.assertEqual([frame.stream for frame in client.received()], [1])
        client.protocol.resumeProducing()
        self.assertEqual([frame.stream for frame in client.received()], [2])
        self.assertEqual(client.transport.producerState, "paused")
        client.protocol.resumeProducing()
        self.assertEqual([frame.stream for frame in client.received()], [3])

    def test_stop(self) -> None:
        """A transport that will take no more gets no more."""
        client = FakeClient(fake_node(), 4)
        client.protocol.stopProducing()
        client.protocol.dataReceived(select(client.codec, 1))
        self.assertEqual(client.transport.value(), b"")


class EventTests(SynchronousTestCase):
    """Schema changes."""

    def test_events(self) -> None:
        """They go to all who have registered, also to who made the change."""
        node = fake_node()
        deaf, first, second = FakeClient(node), FakeClient(node, 4, "lz4"), FakeClient(node)
        for client in (first, second):
            client.result(constants.REGISTER, requests.register(["SCHEMA_CHANGE", "STATUS_CHANGE"]))
        with_keyspace(second, "CREATE TABLE t (k int PRIMARY KEY)", "DROP KEYSPACE ks")
        expected = [
            SchemaChange("CREATED", "KEYSPACE", "ks"),
            SchemaChange("CREATED", "TABLE", "ks", "t"),
            SchemaChange("DROPPED", "TABLE", "ks", "t"),
            SchemaChange("DROPPED", "KEYSPACE", "ks"),
        ]
        self.assertEqual(second.events, expected)
        frames = first.received()
        self.assertEqual([frame.stream for frame in frames], [-1] * 4)
        self.assertEqual([first.message(frame).change for frame in frames], expected)
        self.assertEqual(deaf.received(), [])

    def test_other_events(self) -> None:
        """Who has registered for something else hears nothing."""
        node = fake_node()
        client = FakeClient(node)
        client.result(constants.REGISTER, requests.register(["STATUS_CHANGE"]))
        with_keyspace(client)
        self.assertEqual(client.events, [])

    def test_lost(self) -> None:
        """A connection that is gone is forgotten."""
        node = fake_node()
        client = FakeClient(node)
        self.assertEqual(len(node.connections), 1)
        client.protocol.connectionLost()
        self.assertEqual(len(node.connections), 0)
        self.successResultOf(client.protocol.lost)
        client.protocol.resumeProducing()
