"""One link in memory: every answer finds its request, whatever the node or the application does."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any, ClassVar, cast

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IPushProducer
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from txcql.connection.closing import ABORT_AFTER
from txcql.connection.ownstream import OwnStream
from txcql.connection.protocol import CQLProtocol, link_error
from txcql.errors import (
    NOT_SENT,
    SENT,
    UNKNOWN,
    ConnectionLost,
    CQLError,
    CQLSyntaxError,
    InvalidRequest,
    ProtocolError,
    RequestTimeout,
    ServerProtocolError,
)
from txcql.settings import Settings
from txcql.test.links import (
    NODE,
    LinkTestCase,
    Peer,
    RecordedRequest,
    TCPTransport,
    outcome,
    ready_link,
    timers,
)
from txcql.wire import constants, responsewriter
from txcql.wire.events import StatusChange
from txcql.wire.frames import Frame, pack_header
from txcql.wire.requestreader import Query
from txcql.wire.responses import Void

LINKS = [(3, None), (3, "lz4"), (4, None), (4, "lz4"), (4, "snappy"), (5, None), (5, "lz4")]


class AnswerTests(LinkTestCase):
    """From bytes to requests."""

    def test_answers_in_any_order(self) -> None:
        """Each finds its own request, on every kind of link."""
        for version, compression in LINKS:
            self.open_link(version, compression=compression)
            requests = self.send_now(5)
            frames = self.peer.requests()
            self.assertEqual([frame.body for frame in frames], [b"body"] * 5)
            for frame in reversed(frames):
                self.peer.answer(frame.stream, body=responsewriter.set_keyspace(f"k{frame.stream}" * 50))
            for request, frame in zip(requests, frames, strict=True):
                (answer,) = request.outcomes
                self.assertEqual(cast(Frame, answer).stream, frame.stream)
                self.assertIn(f"k{frame.stream}".encode() * 50, cast(Frame, answer).body)
            self.assertEqual((self.link.sent, self.link.request_bytes), (0, 0))

    def test_cut_at_every_byte(self) -> None:
        """An answer may arrive in two pieces, cut anywhere: inside its header too."""
        for version, compression in LINKS:
            self.open_link(version, compression=compression)
            size = len(self.peer.frame(1, body=b"0123456789" * 12))
            for cut in range(1, size):
                (request,) = self.send()
                data = self.peer.frame(request.stream, body=b"0123456789" * 12)
                self.peer.send(data[:cut])
                self.assertEqual(request.outcomes, [])
                self.peer.send(data[cut:])
                self.assertEqual(len(request.outcomes), 1)

    def test_many_in_one_read(self) -> None:
        requests = self.send_now(50)
        self.peer.send(b"".join(self.peer.frame(request.stream) for request in requests))
        self.assertEqual([len(request.outcomes) for request in requests], [1] * 50)

    def test_byte_by_byte(self) -> None:
        requests = self.send_now(3)
        for byte in b"".join(self.peer.frame(request.stream) for request in requests):
            self.peer.send(bytes((byte,)))
        self.assertEqual([len(request.outcomes) for request in requests], [1] * 3)

    def test_stream_is_free_before_the_request_is_told(self) -> None:
        """What an answer sets off may use its stream."""
        (request,) = self.send_now()
        streams = []
        request.on_outcome = lambda: streams.append(self.send()[0].stream)
        self.peer.answer(request.stream)
        self.assertEqual(streams, [request.stream])

    def test_event(self) -> None:
        """Stream -1 is no request's."""
        found: list[Frame] = []
        body = responsewriter.event(StatusChange("UP", ip_address("10.0.0.2"), 9042), 5)
        self.peer.answer(constants.EVENT_STREAM, constants.EVENT, body)
        self.link.on_event = found.append
        self.peer.answer(constants.EVENT_STREAM, constants.EVENT, body)
        self.assertEqual([frame.body for frame in found], [body])
        self.assertFalse(self.link.closed)

    def test_answered(self) -> None:
        """The link remembers that a request has been answered; late answers do not count."""
        self.assertFalse(self.link.answered)
        first, second = self.send_now(2)
        first.withdraw()
        self.peer.answer(first.stream)
        self.assertFalse(self.link.answered)
        self.peer.answer(second.stream)
        self.assertTrue(self.link.answered)

    def test_repr(self) -> None:
        first, _ = self.send_now(2)
        first.withdraw()
        self.assertEqual(repr(self.link), "<CQLProtocol 10.0.0.1:9042 v5 open sent=2 orphans=1>")
        self.link.pauseProducing()
        self.assertIn("draining", repr(self.link))
        self.link.close()
        self.assertIn("closed", repr(self.link))


class WriteTests(LinkTestCase):
    """From requests to bytes."""

    def test_one_write_for_each_turn(self) -> None:
        self.send(3)
        self.assertEqual(self.peer.transport.value(), b"")
        self.clock.advance(0)
        self.assertEqual(len(self.peer.requests()), 3)

    def test_at_the_end_of_a_read(self) -> None:
        """What answers set off goes out with the read that brought them, in one write."""
        requests = self.send_now(3)
        self.peer.requests()
        for request in requests:
            request.on_outcome = self.send
        self.peer.send(b"".join(self.peer.frame(request.stream) for request in requests))
        # One segment: header and CRC24, three frames of 4 bytes, CRC32.
        self.assertEqual(len(self.peer.transport.value()), 6 + 3 * 13 + 4)
        self.assertEqual(len(self.peer.requests()), 3)

    def test_full(self) -> None:
        self.open_link(write_buffer_size=100)
        self.send(7)
        self.assertEqual(self.peer.requests(), [])
        self.send(1)
        self.assertEqual(len(self.peer.requests()), 8)

    def test_compressed(self) -> None:
        """v3 and v4 compress bodies that are worth it, not their headers."""
        self.open_link(4, compression="lz4")
        self.link.send(RecordedRequest(b"x" * 1000))
        self.clock.advance(0)
        self.assertLess(len(self.peer.transport.value()), 100)
        self.assertEqual(self.peer.requests()[0].body, b"x" * 1000)

    def test_flags(self) -> None:
        request = RecordedRequest(b"body")
        request.flags = constants.FLAG_TRACING
        self.link.send(request)
        self.clock.advance(0)
        self.assertEqual(self.peer.requests()[0].flags, constants.FLAG_TRACING)

    def test_request_bytes(self) -> None:
        """Bodies count until they are answered or withdrawn."""
        first, second, _ = self.send(3)
        self.assertEqual(self.link.request_bytes, 12)
        self.peer.answer(first.stream)
        self.assertEqual(self.link.request_bytes, 8)
        second.withdraw()
        self.assertEqual(self.link.request_bytes, 4)
        self.peer.answer(second.stream)
        self.assertEqual(self.link.request_bytes, 4)


class AskTests(LinkTestCase):
    """The driver's own requests."""

    def test_query(self) -> None:
        """One page, consistency ONE; the answer comes decoded."""
        found = outcome(self.link.query("SELECT now() FROM system.local"))
        self.clock.advance(0)
        frame, query = self.peer.request()
        assert isinstance(query, Query)
        self.assertEqual((query.text, query.options.consistency), ("SELECT now() FROM system.local", 1))
        self.peer.answer(frame.stream)
        self.assertEqual(found, [Void()])

    def test_server_error(self) -> None:
        found = outcome(self.link.query("SELEC"))
        self.peer.refuse(1, CQLSyntaxError("line 1:0 mismatched input"))
        self.assertIsInstance(found[0], CQLSyntaxError)
        self.assertEqual(found[0].node, NODE)

    def test_cancelled(self) -> None:
        """Its stream stays busy until the late answer comes, which is dropped."""
        asked = self.link.query("SELECT a")
        asked.cancel()
        self.failureResultOf(asked, CancelledError)
        self.assertEqual((self.link.sent, self.link.streams.orphans), (1, 1))
        (request,) = self.send_now()
        self.assertNotEqual(request.stream, 1)
        self.peer.answer(1)
        self.assertEqual((request.outcomes, self.link.streams.orphans), ([], 0))

    def test_application_error(self) -> None:
        """What a callback raises reaches neither the link nor the other requests."""
        asked = self.link.query("SELECT a")
        asked.addCallback(lambda _: 1 / 0)
        (request,) = self.send_now()
        self.peer.send(self.peer.frame(1) + self.peer.frame(request.stream))
        self.failureResultOf(asked, ZeroDivisionError)
        self.assertEqual((len(request.outcomes), self.link.closed), (1, False))

    def test_answer_that_cannot_be_read(self) -> None:
        """It fails its own request, not the link."""
        asked = self.link.query("SELECT a")
        (request,) = self.send_now()
        self.peer.answer(1, body=b"\0\0\0\x63")
        self.failureResultOf(asked, ProtocolError)
        self.peer.answer(request.stream)
        self.assertEqual((len(request.outcomes), self.link.closed), (1, False))

    def test_use(self) -> None:
        """The link knows its keyspace once the node has agreed; the name is quoted."""
        used = outcome(Deferred.fromCoroutine(self.link.use('My"App')))
        self.clock.advance(0)
        self.assertIsNone(self.link.keyspace)
        self.assertEqual(self.peer.used(), 'USE "My""App"')
        self.assertEqual((self.link.keyspace, used), ('My"App', [None]))

    def test_use_refused(self) -> None:
        used = outcome(Deferred.fromCoroutine(self.link.use("nokeyspace")))
        self.peer.refuse(1, InvalidRequest("Keyspace 'nokeyspace' does not exist"))
        self.assertIsInstance(used[0], InvalidRequest)
        self.assertIsNone(self.link.keyspace)

    def test_closed(self) -> None:
        self.link.close()
        error = self.failureResultOf(self.link.query("SELECT a"), ConnectionLost).value
        self.assertEqual(str(error), f"{NODE}: the link is closed (the request: not sent)")
        self.assertEqual((error.delivery, error.node), (NOT_SENT, NODE))

    def test_no_stream_left(self) -> None:
        self.open_link(max_requests_per_connection=32767, high_watermark=1.0)
        for _ in range(32767):
            self.link.streams.register(RecordedRequest())
        error = self.failureResultOf(self.link.query("SELECT a"), ConnectionLost).value
        self.assertEqual(error.delivery, NOT_SENT)
        self.assertIn("every stream of the link is busy", str(error))


class ReadTimeoutTests(LinkTestCase):
    """A node that does not answer in time."""

    # The node is silent on purpose, for longer than heartbeats allow.
    settings: ClassVar[dict[str, Any]] = {"heartbeat_timeout": 1e6}

    def test_read_timeout(self) -> None:
        """The request fails as sent, its stream stays busy, and its late answer is nobody's."""
        (request,) = self.send_now()
        self.clock.advance(5)
        error = request.error
        self.assertIsInstance(error, RequestTimeout)
        self.assertEqual((error.delivery, error.node), (SENT, NODE))
        self.assertEqual(
            str(error), f"{NODE} did not answer within the read timeout of 5 s (the request: sent)"
        )
        self.assertEqual((self.link.sent, self.link.streams.orphans, self.link.request_bytes), (1, 1, 0))
        (other,) = self.send_now()
        self.assertNotEqual(other.stream, request.stream)
        self.peer.answer(request.stream)
        self.assertEqual((len(request.outcomes), other.outcomes), (1, []))
        self.assertEqual((self.link.sent, self.link.streams.orphans), (1, 0))
        self.assertEqual(self.send()[0].stream, request.stream)

    def test_counts_from_the_flush(self) -> None:
        self.clock.advance(100)
        (request,) = self.send()
        self.clock.advance(1)
        self.clock.advance(4.5)
        self.assertEqual(request.outcomes, [])
        self.clock.advance(0.5)
        self.assertIsInstance(request.error, RequestTimeout)

    def test_untimed(self) -> None:
        (request,) = self.send_now(untimed=True)
        self.clock.pump([1] * 60)
        self.assertEqual(request.outcomes, [])

    def test_one_withdraws_another(self) -> None:
        """Of requests that expire together, the first may lead to the cancelling of the others."""
        first, second, third = self.send_now(3)
        first.on_outcome = second.withdraw
        self.clock.advance(5)
        self.assertEqual([len(request.outcomes) for request in (first, second, third)], [1, 0, 1])
        self.assertEqual((self.link.streams.orphans, self.link.request_bytes), (3, 0))

    def test_one_closes_the_link(self) -> None:
        """Each request that expires together with it still fails once."""
        requests = self.send_now(3)
        requests[0].on_outcome = self.link.close
        self.clock.advance(5)
        self.assertEqual(
            [type(request.error) for request in requests], [RequestTimeout, *[ConnectionLost] * 2]
        )

    def test_one_after_another(self) -> None:
        """Each at its own time, with one timer for all of them."""
        found: list[float] = []
        for _ in range(5):
            (request,) = self.send_now()
            request.on_outcome = lambda: found.append(self.clock.seconds())
            self.assertEqual(len(timers(self.clock)), 1)
            self.clock.advance(0.5)
        self.clock.pump([0.25] * 40)
        self.assertEqual(found, [5.0, 5.5, 6.0, 6.5, 7.0])


class ProtocolViolationTests(LinkTestCase):
    """A peer that breaks the rules: the link is closed, and everyone hears why."""

    def assertViolation(self, text: str, requests: list[RecordedRequest]) -> None:
        error = self.assertClosed(f"{NODE}: {text}")
        self.assertIsInstance(error, ProtocolError)
        self.assertEqual(error.node, NODE)
        for request in requests:
            self.assertIsInstance(request.error, ConnectionLost)
            self.assertEqual(str(request.error), f"{NODE}: {text} (the request: unknown)")
            self.assertEqual((request.error.delivery, request.error.node), (UNKNOWN, NODE))
            self.assertIsInstance(request.error.__cause__, ProtocolError)

    def test_unknown_stream(self) -> None:
        requests = self.send_now(2)
        self.peer.answer(77)
        self.assertViolation("an answer on stream 77, which no request has", requests)

    def test_answered_twice(self) -> None:
        """The second answer to a request must not become another's."""
        first, second = self.send_now(2)
        self.peer.send(self.peer.frame(first.stream) * 2)
        self.assertEqual(len(first.outcomes), 1)
        self.assertViolation(f"an answer on stream {first.stream}, which no request has", [second])

    def test_error_on_stream_0(self) -> None:
        """Where the server complains of a checksum or a version: its words are the cause."""
        requests = self.send_now(2)
        text = "/127.0.0.1:9 invalid, unrecoverable CRC mismatch detected in frame body. Read 1, Computed 2"
        self.peer.refuse(0, ServerProtocolError(text))
        self.assertViolation(text, requests)

    def test_answer_on_stream_0(self) -> None:
        requests = self.send_now()
        self.peer.answer(0)
        self.assertViolation("an answer on stream 0", requests)

    def test_negative_stream(self) -> None:
        requests = self.send_now()
        self.peer.answer(-7)
        self.assertViolation("an answer on stream -7, which no request has", requests)

    def test_wrong_checksum(self) -> None:
        requests = self.send_now(2)
        data = bytearray(self.peer.frame(requests[0].stream))
        data[-1] ^= 1
        self.peer.send(bytes(data))
        self.assertViolation("the CRC32 of a segment's payload is wrong", requests)

    def test_too_large(self) -> None:
        self.open_link(4, max_frame_size=1000)
        requests = self.send_now(1)
        self.peer.send(bytes.fromhex("84000001080000ffff"))
        self.assertViolation("a frame of 65535 bytes is over the limit: max_frame_size is 1000", requests)

    def test_garbage(self) -> None:
        self.open_link(4)
        requests = self.send_now(1)
        self.peer.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        self.assertTrue(self.link.closed)
        self.assertIn('"HTTP/1.1 400 Bad Request", which is not CQL', str(requests[0].error))

    def test_a_request(self) -> None:
        """A peer that sends requests is no server, on whatever stream."""
        (request,) = self.send_now()
        self.peer.send(self.peer.codec.encode_frame(request.stream, constants.RESULT, responsewriter.VOID))
        self.assertClosed(f"{NODE} sent a request: it is no server")
        self.assertIsInstance(request.error, ConnectionLost)

    def test_another_version(self) -> None:
        """An answer in a version that was not agreed on."""
        self.open_link(4)
        (request,) = self.send_now()
        self.peer.send(pack_header(0x83, 0, request.stream, constants.RESULT, 4) + responsewriter.VOID)
        self.assertClosed(f"{NODE} answers in protocol version 3, where 4 was agreed on")

    def test_what_follows_is_not_read(self) -> None:
        """Not in the same read, nor in later ones while the connection still closes."""
        (request,) = self.send_now()
        answer = self.peer.frame(request.stream)
        self.peer.send(self.peer.frame(77) + answer)
        self.peer.send(answer)
        self.assertEqual(len(request.outcomes), 1)
        self.assertIsInstance(request.error, ConnectionLost)

    def test_what_came_before_counts(self) -> None:
        first, second = self.send_now(2)
        self.peer.send(self.peer.frame(first.stream) + self.peer.frame(77))
        self.assertIsInstance(first.outcomes[0], Frame)
        self.assertIsInstance(second.error, ConnectionLost)


class UnreadableBodyTests(LinkTestCase):
    """An answer whose body cannot be decompressed concerns its own request."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.open_link(4, compression="lz4", max_requests_per_connection=5)

    def bad(self, stream: int) -> bytes:
        """An answer of 9 bytes, it says, in 2 that are no LZ4 block."""
        body = b"\0\0\0\x09\xff\xff"
        return pack_header(0x84, constants.FLAG_COMPRESSED, stream, constants.RESULT, len(body)) + body

    def test_its_request_fails(self) -> None:
        """And those before and behind it are answered, in the next turn at the latest."""
        requests = self.send_now(3)
        one, two, three = (request.stream for request in requests)
        self.peer.send(self.peer.frame(one) + self.bad(two) + self.peer.frame(three))
        self.clock.advance(0)
        self.assertIsInstance(requests[1].error, ProtocolError)
        self.assertIn("cannot be decompressed", str(requests[1].error))
        self.assertEqual((requests[1].error.delivery, requests[1].error.node), (SENT, NODE))
        self.assertEqual([len(request.outcomes) for request in requests], [1, 1, 1])
        self.assertEqual((self.link.closed, self.link.sent, self.link.request_bytes), (False, 0, 0))

    def test_a_bomb(self) -> None:
        """What would become larger than a frame may be is refused by its claim."""
        self.open_link(4, compression="lz4", max_frame_size=1 << 20)
        (request,) = self.send_now()
        body = (1 << 30).to_bytes(4, "big") + b"\0" * 99
        self.peer.send(
            pack_header(0x84, constants.FLAG_COMPRESSED, request.stream, constants.RESULT, len(body)) + body
        )
        self.assertIn(f"{1 << 30} bytes is over the limit of {1 << 20}", str(request.error))
        self.assertFalse(self.link.closed)

    def test_an_orphan(self) -> None:
        """Nobody waits for it any more: the stream is free again."""
        (request,) = self.send_now()
        request.withdraw()
        self.peer.send(self.bad(request.stream))
        self.assertEqual((self.link.sent, self.link.closed), (0, False))

    def test_a_draining_link_opens(self) -> None:
        """It counts as an answer does."""
        requests = self.send_now(4)
        self.assertFalse(self.link.open)
        for request in requests[:3]:
            self.peer.send(self.bad(request.stream))
            self.clock.advance(0)
        self.assertTrue(self.link.open)

    def test_a_held_link_stays_held(self) -> None:
        """Who hears of it may hold the responses."""
        requests = self.send_now(2)
        requests[0].on_outcome = self.link.hold_responses
        self.peer.send(self.bad(requests[0].stream) + self.peer.frame(requests[1].stream))
        self.clock.advance(0)
        self.assertEqual(requests[1].outcomes, [])
        self.link.release_responses()
        self.clock.advance(0)
        self.assertEqual(len(requests[1].outcomes), 1)

    def test_on_no_stream(self) -> None:
        """An event, or a stream that no request has: the peer breaks the protocol."""
        for stream in (-1, 0, 77):
            self.open_link(4, compression="lz4")
            self.peer.send(self.bad(stream))
            self.assertTrue(self.link.closed)
            self.assertIn("cannot be decompressed", str(self.link.error))


class FlowTests(LinkTestCase):
    """When a link may be given work, and when not."""

    def test_high_mark(self) -> None:
        """819 of 1024: at the first request that makes it so."""
        self.send(818)
        self.assertEqual((self.link.open, self.owner.heard), (True, []))
        self.send(1)
        self.assertEqual((self.link.open, self.owner.heard), (False, ["draining"]))

    def test_low_mark(self) -> None:
        """It is open again below 512, not at it."""
        requests = self.send_now(819)
        for request in requests[: 819 - 512]:
            self.peer.answer(request.stream)
        self.assertEqual((self.link.sent, self.link.open), (512, False))
        self.peer.answer(requests[-1].stream)
        self.assertEqual((self.link.sent, self.link.open), (511, True))
        self.assertEqual(self.owner.heard, ["draining", "open"])

    def test_within_one_read(self) -> None:
        """The mark is looked at after each answer, so that the queue moves while others are read.

        They are more than one turn takes.
        """
        requests = self.send_now(819)
        self.peer.send(b"".join(self.peer.frame(request.stream) for request in requests))
        self.assertEqual(self.owner.heard, ["draining"])
        self.clock.advance(0)
        self.assertEqual(self.owner.heard, ["draining", "open"])
        self.assertEqual(self.link.sent, 0)

    def test_orphans_count_as_sent(self) -> None:
        self.open_link(max_requests_per_connection=10)
        requests = self.send_now(8)
        for request in requests:
            request.withdraw()
        self.assertEqual((self.link.sent, self.link.open), (8, False))
        for request in requests[:4]:
            self.peer.answer(request.stream)
        self.assertTrue(self.link.open)

    def test_one_at_a_time(self) -> None:
        self.open_link(max_requests_per_connection=1)
        (request,) = self.send_now()
        self.assertFalse(self.link.open)
        self.peer.answer(request.stream)
        self.assertTrue(self.link.open)

    def test_transport_is_full(self) -> None:
        """While the transport takes no more, the link is given no work."""
        producer: Any = self.peer.transport.producer
        self.assertIs(producer, self.link)
        self.assertTrue(verifyObject(IPushProducer, self.link))
        self.assertTrue(self.peer.transport.streaming)
        producer.pauseProducing()
        self.assertEqual((self.link.open, self.link.paused), (False, True))
        producer.pauseProducing()
        producer.resumeProducing()
        self.assertEqual((self.link.open, self.link.paused), (True, False))
        self.assertEqual(self.owner.heard, ["draining", "open"])

    def test_full_and_draining(self) -> None:
        """Both reasons must be gone."""
        self.open_link(max_requests_per_connection=1)
        (request,) = self.send_now()
        self.link.pauseProducing()
        self.peer.answer(request.stream)
        self.assertFalse(self.link.open)
        self.link.resumeProducing()
        self.assertTrue(self.link.open)
        self.assertEqual(self.owner.heard, ["draining", "open"])

    def test_full_while_it_writes(self) -> None:
        """A transport may pause its producer inside a write; what was written counts as sent."""
        write = self.peer.transport.write

        def write_and_pause(data: bytes) -> None:
            write(data)
            self.link.pauseProducing()

        self.patch(self.peer.transport, "write", write_and_pause)
        (request,) = self.send_now()
        self.assertEqual(self.owner.heard, ["draining"])
        self.peer.break_down()
        self.assertEqual(request.error.delivery, UNKNOWN)


class LossTests(LinkTestCase):
    """The connection is gone."""

    def test_not_sent_and_unknown(self) -> None:
        """What is still in the Write Buffer was not sent; of the rest nobody knows."""
        written = self.send_now(2)
        buffered = self.send(2)
        self.peer.break_down()
        self.assertEqual([request.error.delivery for request in written], [UNKNOWN] * 2)
        self.assertEqual([request.error.delivery for request in buffered], [NOT_SENT] * 2)
        for request in written + buffered:
            self.assertIsInstance(request.error, ConnectionLost)
            self.assertEqual(request.error.node, NODE)
            self.assertIn(f"{NODE}: the link was lost: ", str(request.error))
            self.assertIn(f"(the request: {request.error.delivery})", str(request.error))
        self.assertEqual((self.link.sent, self.link.request_bytes), (0, 0))

    def test_hung_up(self) -> None:
        (request,) = self.send_now()
        self.peer.hang_up()
        self.assertEqual(str(request.error), f"{NODE}: the node closed the link (the request: unknown)")
        self.assertEqual(self.owner.heard[0], "draining")
        self.assertEqual(str(self.owner.heard[1]), f"{NODE}: the node closed the link")

    def test_orphans_are_told_nothing(self) -> None:
        first, second = self.send_now(2)
        first.withdraw()
        self.peer.hang_up()
        self.assertEqual((first.outcomes, len(second.outcomes)), ([], 1))

    def test_the_owner_hears_first(self) -> None:
        """A request that goes on to its next node must not come back to this link."""
        (request,) = self.send_now()
        heard: list[object] = []
        request.on_outcome = lambda: heard.extend(self.owner.heard)
        self.peer.hang_up()
        self.assertIs(heard[-1], self.link.error)

    def test_one_withdraws_another(self) -> None:
        """Of requests that fail together, the first may lead to the cancelling of the others."""
        first, second, third = self.send_now(3)
        first.on_outcome = second.withdraw
        self.peer.hang_up()
        self.assertEqual([len(request.outcomes) for request in (first, second, third)], [1, 0, 1])
        self.assertEqual(self.link.request_bytes, 0)

    def test_one_cancels_another(self) -> None:
        """The same with the driver's own requests: every Deferred fires once."""
        first, second, third = (self.link.query("SELECT a") for _ in range(3))
        first.addErrback(lambda failure: second.cancel())
        self.peer.hang_up()
        self.successResultOf(first)
        self.failureResultOf(second, CancelledError)
        self.failureResultOf(third, ConnectionLost)

    def test_half_an_answer(self) -> None:
        (request,) = self.send_now()
        self.peer.send(self.peer.frame(request.stream)[:-1])
        self.peer.hang_up()
        self.assertIsInstance(request.error, ConnectionLost)

    def test_nothing_is_left(self) -> None:
        self.send_now(2)
        self.send(2)
        self.peer.break_down()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_on_closed(self) -> None:
        """It is called once, when the transport is gone and everyone has been told."""
        found: list[object] = []
        (request,) = self.send_now()
        self.link.on_closed = lambda reason: found.append(len(request.outcomes))
        self.peer.hang_up()
        self.assertEqual(found, [1])


class CloseTests(LinkTestCase):
    """The link is closed from our side."""

    def test_order(self) -> None:
        """A TLS transport with a producer registered would never close."""
        self.peer.transport.done.clear()
        self.link.close()
        self.assertEqual(self.peer.transport.done, ["unregistered", "lose"])

    def test_everyone_is_told(self) -> None:
        written, buffered = self.send_now()[0], self.send()[0]
        self.link.close()
        self.assertEqual(str(written.error), f"{NODE}: the link was closed (the request: unknown)")
        self.assertEqual(str(buffered.error), f"{NODE}: the link was closed (the request: not sent)")
        self.assertClosed(f"{NODE}: the link was closed")
        self.peer.requests()
        self.clock.advance(0)
        self.assertEqual(self.peer.transport.value(), b"")

    def test_with_a_reason(self) -> None:
        (request,) = self.send_now()
        reason = CQLError("the node has left the cluster")
        self.link.close(reason)
        self.assertIs(self.link.error, reason)
        self.assertEqual(self.owner.heard, ["draining", reason])
        self.assertIs(request.error.__cause__, reason)
        self.assertIn("the node has left the cluster (the request: unknown)", str(request.error))

    def test_with_a_reason_that_names_the_node(self) -> None:
        """It is named once."""
        (request,) = self.send_now()
        self.link.close(link_error(NODE, "USE failed", None))
        self.assertEqual(str(request.error), f"{NODE}: USE failed (the request: unknown)")

    def test_broken_after_it(self) -> None:
        """What is wrong with a link that is closed already is told to nobody."""

        def close_and_complain(own: OwnStream, frame: Frame) -> None:
            self.link.close()
            raise ProtocolError("an answer that nobody understands")

        self.patch(OwnStream, "received", close_and_complain)
        self.peer.answer(0)
        self.assertClosed(f"{NODE}: the link was closed")

    def test_aborted(self) -> None:
        """A transport that does not close by itself is aborted."""
        found: list[object] = []
        self.link.on_closed = found.append
        self.link.close()
        self.clock.advance(ABORT_AFTER - 0.01)
        self.assertNotIn("abort", self.peer.transport.done)
        self.clock.advance(0.01)
        self.assertIn("abort", self.peer.transport.done)
        self.assertEqual(len(found), 1)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_not_aborted(self) -> None:
        self.send_now()
        self.link.close()
        self.peer.hang_up()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_lost_at_once(self) -> None:
        """A transport may tell of the loss before its loseConnection returns."""
        transport = self.peer.transport
        self.patch(transport, "loseConnection", self.peer.hang_up)
        self.link.close()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_twice(self) -> None:
        self.link.close()
        self.link.close(CQLError("again"))
        self.peer.hang_up()
        self.assertClosed(f"{NODE}: the link was closed")
        self.assertEqual(self.peer.transport.done.count("lose"), 1)

    def test_in_an_answer(self) -> None:
        """An application may close in a callback: no further answer is delivered."""
        first, second = self.send_now(2)
        first.on_outcome = self.link.close
        self.peer.send(self.peer.frame(first.stream) + self.peer.frame(second.stream))
        self.assertIsInstance(first.outcomes[0], Frame)
        self.assertIsInstance(second.error, ConnectionLost)

    def test_resumed_while_it_closes(self) -> None:
        self.link.pauseProducing()
        self.link.close()
        self.link.resumeProducing()
        self.assertFalse(self.link.open)

    def test_withdrawn_after_it(self) -> None:
        """Nothing is counted twice, and nothing raised."""
        (request,) = self.send_now()
        self.link.close()
        self.link.withdraw(request)
        self.assertEqual((self.link.request_bytes, self.link.streams.orphans), (0, 0))


class TransportTests(SynchronousTestCase):
    """What the link asks of its transport."""

    def test_tcp(self) -> None:
        """Nagle's algorithm off, keepalive on."""
        _, peer = ready_link(Clock())
        self.assertEqual(peer.transport.done[:2], ["nodelay=True", "keepalive=True"])

    def test_any_other(self) -> None:
        """UNIX sockets and pipes in memory have no such switches."""
        transport = StringTransport()
        link = CQLProtocol(NODE, Settings(), Clock(), 5)
        link.makeConnection(transport)
        self.assertIs(transport.producer, link)
        link.close()
        self.assertTrue(transport.disconnecting)

    def test_on_connected(self) -> None:
        found: list[str] = []
        link = CQLProtocol(NODE, Settings(), Clock(), 5)
        link.on_connected = lambda: found.append("connected")
        Peer(link, transport=TCPTransport()).connect()
        self.assertEqual(found, ["connected"])
        self.assertEqual(repr(link), f"<CQLProtocol {NODE} v5 connecting sent=0 orphans=0>")
