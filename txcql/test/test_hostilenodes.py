"""Sessions of a hostile node: each request ends by its deadline, memory is bounded, and when the fault
is over, the session serves again within a second.

The reconnection policy begins with 0.1 s, as the tests ask for, and waits 0.4 s at most: a fault of some
seconds would make a longer schedule wait as long as itself.
"""

from __future__ import annotations

import struct
import tracemalloc
from collections import Counter
from collections.abc import Callable
from typing import Any
from unittest import mock

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from txcql.errors import (
    AuthenticationFailed,
    ConnectionLost,
    CQLError,
    DecodeError,
    NoNodeAvailable,
    Overloaded,
    ProtocolError,
    RequestTimeout,
    ServerProtocolError,
    Unprepared,
)
from txcql.policies.reconnection import ExponentialReconnectionPolicy
from txcql.security import PlainAuthenticator
from txcql.test.scriptednode import Asked, ScriptedTestCase, columns
from txcql.test.scriptedreactor import ScriptedLink
from txcql.wire import constants, responsewriter
from txcql.wire.frames import pack_header
from txcql.wire.primitives import write_bytes, write_string
from txcql.wire.responses import MAX_PAGING_STATE

SELECT = "SELECT v FROM t WHERE k = ?"
TEXT = "SELECT v FROM t"
VALUE = columns(v="int")

DEADLINE = 2.0
FRAME_LIMIT = 1 << 20
INTEGER = struct.Struct(">i").pack

Spoil = Callable[[Asked], None]


class HostileTestCase(ScriptedTestCase):
    """One node, which serves, turns hostile, and serves again."""

    version = 5
    of_the_node = 0

    def setUp(self) -> None:
        super().setUp()
        self.one = self.node()
        self.statement = self.one.teach(TEXT, columns=VALUE, rows=[[7]])
        self.one.teach(SELECT, parameters=columns(k="int"), columns=VALUE, rows=[[7]])
        tracemalloc.start()
        self.addCleanup(self.assert_memory)

    def begin(self, **settings: Any) -> None:
        """Open a session that serves."""
        chosen: dict[str, Any] = {
            "protocol_version": self.version,
            "reconnection": ExponentialReconnectionPolicy(0.1, 0.4),
            "connect_timeout": 0.4,
            "read_timeout": 0.5,
            "request_timeout": DEADLINE,
            "heartbeat_interval": 0.4,
            "heartbeat_timeout": 0.3,
            "max_frame_size": FRAME_LIMIT,
        }
        self.client = self.connect(**{**chosen, **settings})
        self.assert_serves(0.0)

    def pass_time(self, seconds: float) -> None:
        for _ in range(round(seconds / 0.05)):
            self.reactor.advance(0.05)

    def ask(self, text: str = TEXT, parameters: Any = None) -> CQLError:
        """Ask once; what it fails with, by its deadline."""
        outcomes: list[Any] = []
        self.client.execute(text, parameters).addBoth(outcomes.append)
        begun = self.reactor.seconds()
        self.reactor.settle()
        while not outcomes:
            self.reactor.advance(0.05)
            assert self.reactor.seconds() - begun < DEADLINE + 0.2, "it outlived its deadline"
        (failure,) = outcomes
        assert isinstance(failure, Failure), failure
        error = failure.value
        assert isinstance(error, CQLError), repr(error)
        return error

    def assert_serves(self, within: float = 1.0) -> None:
        """The session answers, after so many seconds at most."""
        end = self.reactor.seconds() + within
        while True:
            outcomes: list[Any] = []
            self.client.execute(TEXT).addBoth(outcomes.append)
            self.reactor.settle()
            if outcomes and not isinstance(outcomes[0], Failure):
                self.assertEqual(outcomes[0].one().v, 7)
                return
            assert self.reactor.seconds() < end, outcomes
            self.reactor.advance(0.05)

    def assert_memory(self) -> None:
        """All that was allocated at any time of the test, the node's own part included, is bounded."""
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        self.assertLess(peak, 2 * FRAME_LIMIT + self.of_the_node)

    def spoilt(self, spoil: Spoil) -> CQLError:
        """Ask a node that spoils its answers; the node is well again behind it."""
        self.statement.reply = spoil
        try:
            return self.ask()
        finally:
            self.statement.reply = None

    def assert_request_alone(self, spoil: Spoil, *kinds: type[CQLError]) -> CQLError:
        """The request fails, and the link goes on."""
        accepted = self.one.accepted
        error = self.spoilt(spoil)
        self.assertIsInstance(error, kinds)
        self.assert_serves(0.0)
        self.assertEqual(self.one.accepted, accepted)
        return error

    def assert_link_closed(self, spoil: Spoil) -> CQLError:
        """The link is closed, and another one takes its place."""
        accepted = self.one.accepted
        error = self.spoilt(spoil)
        self.assertIsInstance(error, ConnectionLost | NoNodeAvailable)
        self.assert_serves()
        self.assertGreater(self.one.accepted, accepted)
        return error


def frame(asked: Asked, body: bytes, **changed: Any) -> bytes:
    """An answer of which something is changed."""
    header = {"version": asked.version | 0x80, "flags": 0, "stream": asked.stream, "opcode": constants.RESULT}
    header.update(changed)
    length = header.pop("length", len(body))
    return pack_header(*header.values(), length) + body


def raw(data: bytes) -> Spoil:
    """Answer with these bytes."""
    return lambda asked: asked.link.raw(data)


def framed(body: bytes, behind: bytes = b"", **changed: Any) -> Spoil:
    """Answer with this frame, and bytes behind it."""
    return lambda asked: asked.link.raw(frame(asked, body, **changed) + behind)


def result(body: bytes) -> Spoil:
    """Answer with this RESULT."""
    return lambda asked: asked.send(constants.RESULT, body)


class HostileBytesTests(HostileTestCase):
    """v4: what belongs to one stream fails that request alone, what breaks the framing closes the link."""

    version = 4

    def test_bodies(self) -> None:
        """Of every way in which a body may be wrong."""
        self.begin()
        for spoil in (
            result(b""),
            result(INTEGER(99)),
            result(INTEGER(constants.RESULT_ROWS) + INTEGER(1) + INTEGER(2**31 - 1)),
            result(INTEGER(constants.RESULT_ROWS) + INTEGER(4) + INTEGER(3) + INTEGER(2**31 - 1)),
            result(INTEGER(constants.RESULT_SET_KEYSPACE) + write_string("x")[:-1]),
            result(INTEGER(constants.RESULT_PREPARED)),
            lambda asked: asked.send(constants.ERROR, INTEGER(0x1000)),
            lambda asked: asked.send(constants.ERROR, INTEGER(0x2000) + b"\x00\x02\xff\xff"),
            lambda asked: asked.send(constants.READY, b""),
            lambda asked: asked.send(0x55, b""),
        ):
            self.assert_request_alone(spoil, ProtocolError, DecodeError)

    def test_bad_prefixes(self) -> None:
        """Warnings and payloads that are cut short."""
        self.begin()
        for flags in (constants.FLAG_TRACING, constants.FLAG_WARNING, constants.FLAG_PAYLOAD):
            self.assert_request_alone(
                framed(b"\x00\x09", flags=flags),
                ProtocolError,
            )

    def test_paging_state(self) -> None:
        """One that is too large is not sent back."""
        self.of_the_node = FRAME_LIMIT
        self.begin()
        state = write_bytes(b"p" * (MAX_PAGING_STATE // 2))
        flags = constants.ROWS_MORE_PAGES | constants.ROWS_NO_METADATA
        body = INTEGER(constants.RESULT_ROWS) + INTEGER(flags) + INTEGER(0) + state + INTEGER(0)
        self.assert_request_alone(result(body), DecodeError)

    def test_rows_that_are_not_there(self) -> None:
        """The metadata promises what the rows do not hold."""
        self.begin()
        text = columns(v="text")

        def short(asked: Asked) -> None:
            head = responsewriter.rows_header(responsewriter.column_specs(text, 4), False, None, None)
            asked.send(constants.RESULT, head + INTEGER(3) + INTEGER(5) + b"a" * 9)

        self.statement.reply = short
        found = self.answer(self.client.execute(TEXT))
        self.assertRaises(DecodeError, found.all)
        self.statement.reply = None
        self.assert_serves(0.0)

    def test_compressed_without_agreement(self) -> None:
        """The flag says so, and nobody agreed on it."""
        self.begin()
        error = self.assert_request_alone(
            lambda asked: asked.link.raw(frame(asked, b"abc", flags=constants.FLAG_COMPRESSED)),
            ProtocolError,
        )
        self.assertIn("no compression was agreed on", str(error))

    def test_headers(self) -> None:
        """What no other frame can be found behind."""
        self.begin()
        headers: tuple[dict[str, int], ...] = (
            {"stream": 4711},
            {"stream": -2},
            {"stream": 0},
            {"version": 4},
            {"version": 0x83},
            {"version": 0x85},
            {"version": 0xFF},
            {"length": -1},
            {"length": FRAME_LIMIT + 1},
            {"length": 2**31 - 1},
        )
        for changed in headers:
            self.assert_link_closed(framed(responsewriter.VOID, b"\0" * 9, **changed))

    def test_answered_twice(self) -> None:
        """The second answer is one to nothing."""
        self.begin()
        self.statement.reply = lambda asked: asked.link.raw(
            frame(asked, responsewriter.VOID) + frame(asked, responsewriter.VOID)
        )
        self.answer(self.client.execute(TEXT))
        self.statement.reply = None
        self.reactor.settle()
        self.assert_serves()

    def test_other_protocols(self) -> None:
        """Noise, and well-known noise."""
        self.begin()
        for noise in (b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\0" * 50, b"\xff" * 50, b"SSH-2.0-x\r\n" * 3):
            self.assert_link_closed(raw(noise))

    def test_half_an_answer(self) -> None:
        """A frame of the largest size that never ends: the request does, and so does the link.

        Its other answers are taken for the rest of the frame, so that it is never silent: it is
        replaced when a request has been unanswered for two deadlines.
        """
        self.begin()
        error = self.spoilt(lambda asked: asked.link.raw(frame(asked, b"x" * 100, length=FRAME_LIMIT)))
        self.assertIsInstance(error, RequestTimeout | ConnectionLost | NoNodeAvailable)
        self.assert_serves(2 * DEADLINE + 1.0)

    def test_events_with_nonsense(self) -> None:
        """They are of no concern to anybody."""
        self.begin()
        inet = b"\4\x7f\0\0\1" + INTEGER(9042)
        for body in (
            b"",
            b"\xff" * 30,
            write_string("WEATHER_CHANGE"),
            write_string("STATUS_CHANGE") + write_string("SIDEWAYS") + inet,
            write_string("TOPOLOGY_CHANGE") + write_string("NEW_NODE") + b"\7" + inet,
            write_string("SCHEMA_CHANGE") + write_string("CREATED") + write_string("MOON"),
        ):
            for link in list(self.one.links):
                link.raw(pack_header(0x84, 0, -1, constants.EVENT, len(body)) + body)
            self.reactor.settle()
            self.assert_serves()

    def test_no_event(self) -> None:
        """On the stream of events, something else."""
        self.begin()
        self.assert_link_closed(lambda asked: asked.link.raw(frame(asked, responsewriter.VOID, stream=-1)))

    def test_endless_events(self) -> None:
        """They are read in turns, and nothing is kept of them."""
        self.begin()
        body = write_string("STATUS_CHANGE") + write_string("UP") + b"\4\x7f\0\0\1" + INTEGER(9042)
        event = pack_header(0x84, 0, -1, constants.EVENT, len(body)) + body

        for _ in range(20):
            self.one.links[-1].raw(event * 500)
            self.pass_time(0.15)
        self.assert_serves()


class HostileCompressionTests(HostileTestCase):
    """v4 with LZ4."""

    version = 4

    def test_bombs(self) -> None:
        """What would become too large, and what claims to."""
        self.one.supported = {"COMPRESSION": ["lz4"]}
        self.begin(compression="lz4")
        claims = (2**32 - 1, FRAME_LIMIT + 1, FRAME_LIMIT, 1000)
        for claim in claims:
            body = claim.to_bytes(4, "big") + b"\x1f\0\1\0" + b"\xff" * 60
            self.assert_request_alone(
                framed(body, flags=constants.FLAG_COMPRESSED),
                ProtocolError,
            )


class HostileSegmentTests(HostileTestCase):
    """v5: a segment that is wrong leaves nothing that could be read."""

    def test_checksums(self) -> None:
        """Of header and payload, each bit of them."""
        self.begin()
        for place in (0, 2, 3, 5, 6, 20, -1):

            def spoil(asked: Asked, place: int = place) -> None:
                codec = asked.link.codec
                assert codec is not None
                data = bytearray(
                    codec.encode_frame(asked.stream, constants.RESULT, responsewriter.VOID, response=True)
                )
                data[place] ^= 0x10
                asked.link.raw(bytes(data))

            error = self.assert_link_closed(spoil)
            self.assertIn("CRC", str(error))

    def test_unsegmented(self) -> None:
        """A frame without its segment."""
        self.begin()
        self.assert_link_closed(lambda asked: asked.link.raw(frame(asked, responsewriter.VOID)))


class HostileHandshakeTests(HostileTestCase):
    """Nodes that cannot be got past."""

    def test_supported_without_keys(self) -> None:
        """Nothing is required of it."""
        self.one.supported = {}
        self.begin()
        self.assertEqual(self.answer(self.client.execute(TEXT)).one().v, 7)

    def test_supported_without_compression(self) -> None:
        """Which is wanted: it says what there is."""
        self.one.supported = {}
        error = self.error(self.connecting(compression="lz4"), NoNodeAvailable)
        self.assertIn("does not offer the compression 'lz4', but none", str(error))

    def test_endless_challenges(self) -> None:
        """A login ends after sixteen; the session goes on when the node does."""
        self.one.login = ("app", "geheim")
        challenges: list[Asked] = []

        class Patient(PlainAuthenticator):
            def evaluate_challenge(self, token: bytes | None) -> bytes:
                return b"again"

        self.begin(authenticator=lambda: Patient("app", "geheim"))

        def challenge(asked: Asked, token: bytes | None) -> None:
            challenges.append(asked)
            asked.send(constants.AUTH_CHALLENGE, responsewriter.token(b"more"))

        self.one._log_in = challenge  # type: ignore[method-assign]
        for link in list(self.one.links):
            link.drop()
        error = self.ask()
        self.pass_time(1)
        (pool,) = self.client.pools.values()
        self.assertIsInstance(pool.error, AuthenticationFailed)
        self.assertIn("the login did not end after 16 challenges", str(pool.error))
        self.assertEqual(error.delivery, "not sent")
        self.assertGreater(len(challenges), 16)
        del self.one._log_in
        self.assert_serves()

    def test_version_negotiation(self) -> None:
        """A node that refuses every version ends after the last."""
        dialled = self.reactor.dialled

        def refuse(link: ScriptedLink, data: bytes) -> None:
            text = f"Invalid or unsupported protocol version ({data[0]}); supported versions are (5/v5, 4/v4)"
            body = responsewriter.error(ServerProtocolError(text), 3)
            link.raw(pack_header(0x80 | data[0], 0, 0, constants.ERROR, len(body)) + body)

        self.one.receive = refuse  # type: ignore[method-assign]
        error = self.error(self.connecting(), NoNodeAvailable)
        self.assertIn("does not speak protocol version 3", str(error))
        self.assertEqual(len(dialled), 3)

    def fail_for(self, seconds: float) -> None:
        """Requests fail for so long; the fault then ends, and the session serves within a second."""
        end = self.reactor.seconds() + seconds
        while self.reactor.seconds() < end:
            self.ask()
            self.pass_time(0.1)
        self.one.__dict__.pop("receive", None)
        self.assert_serves()

    def test_never_answers(self) -> None:
        """It accepts, and says nothing to anybody."""
        self.begin()
        self.one.receive = lambda link, data: None  # type: ignore[method-assign]
        self.fail_for(3.0)

    def test_accepts_and_resets(self) -> None:
        """Each connection, at its first byte."""
        self.begin()
        self.one.receive = lambda link, data: link.drop()  # type: ignore[method-assign]
        for link in list(self.one.links):
            link.drop()
        accepted = self.one.accepted
        self.fail_for(3.0)
        # The schedule is followed: it is not hammered.
        self.assertLess(self.one.accepted - accepted, 40)

    def test_a_byte_now_and_then(self) -> None:
        """One every 100 ms, of an answer that has many: neither a request nor a handshake waits for it."""
        self.begin()
        trickling: list[Any] = []

        def trickle(link: ScriptedLink, data: bytes) -> None:
            def more(left: bytes) -> None:
                if left and not link.closed:
                    link.raw(left[:1])
                    trickling.append(self.reactor.callLater(0.1, more, left[1:]))

            more(pack_header(0x85, 0, 0, constants.SUPPORTED, 1000) + b"\0" * 1000)

        self.one.receive = trickle  # type: ignore[method-assign]
        self.fail_for(3.0)
        for call in trickling:
            if call.active():
                call.cancel()
        self.assert_serves()


class HostileStatementTests(HostileTestCase):
    """Nodes that answer, and never as one would like."""

    def test_endless_unprepared(self) -> None:
        """The statement is prepared again once, and then believed to be unwelcome."""
        self.begin()
        select = self.answer(self.client.prepare(SELECT))
        self.one.prepared.clear()
        reply = self.one.reply

        def forget(asked: Asked) -> None:
            reply(asked)
            self.one.prepared.clear()

        self.one.reply = forget  # type: ignore[method-assign]
        self.one.requests.clear()
        error = self.error(self.client.execute(select, [1]), Unprepared)
        self.assertEqual(error.delivery, "sent")
        self.assertEqual(len(self.one.requests), 3)
        del self.one.reply
        self.assert_serves(0.0)
        self.assertEqual(self.answer(self.client.execute(select, [1])).one().v, 7)

    def test_a_keyspace_that_nobody_asked_for(self) -> None:
        """It would take all links with it, and no other could be opened in it (found by the fuzzer)."""
        self.begin()
        for text, answer in ((TEXT, "other"), (TEXT, ""), ('USE "ks"', "KS"), ("use ks", "")):
            self.one.teach(text)
            body = responsewriter.set_keyspace(answer)
            with mock.patch.object(self.one, "reply", result(body)):
                error = self.error(self.client.execute(text), ProtocolError)
            self.assertIn("in answer to a statement that does not say so", str(error))
            self.assertIsNone(self.client.keyspace)
        self.one.statements[TEXT] = self.statement
        self.assert_serves(0.0)
        self.answer(self.client.execute('USE "Mixed Case"'))
        self.assertEqual(self.client.keyspace, "Mixed Case")

    def test_endless_overload(self) -> None:
        """Each request ends, and the node is asked no more often than there are requests."""
        self.begin()
        self.statement.reply = lambda asked: asked.error(Overloaded("too much"))
        self.one.requests.clear()
        for _ in range(20):
            error = self.ask()
            self.assertIn("too much", str(error))
        self.assertLess(len(self.one.requests), 200)
        self.statement.reply = None
        self.assert_serves(0.0)

    def pages(self, state: Callable[[int], bytes]) -> None:
        """Answer with pages that hold nothing and have a next one."""
        asked_for: list[Asked] = []

        def page(asked: Asked) -> None:
            asked_for.append(asked)
            asked.rows(VALUE, [], state(len(asked_for)), skip_metadata=asked.options.skip_metadata)

        self.statement.reply = page
        self.asked_for = asked_for

    def streamed(self) -> Deferred[Any]:
        async def read() -> list[Any]:
            return [row async for row in self.client.stream(TEXT)]

        return Deferred.fromCoroutine(read())

    def test_endless_pages(self) -> None:
        """Always another one."""
        self.begin()
        self.pages(lambda number: b"%d" % number)
        reading = self.streamed()
        for _ in range(3000):
            self.reactor.settle()
        error = self.failureResultOf(reading, ProtocolError).value
        self.assertEqual(str(error), "1000 pages without a row, one behind the other")
        self.assertEqual(error.node, "10.0.0.1:9042")
        self.statement.reply = None
        self.assert_serves(0.0)

    def test_the_same_page(self) -> None:
        """The next page of an empty page is itself."""
        self.begin()
        self.pages(lambda number: b"same")
        error = self.error(self.streamed(), ProtocolError)
        self.assertIn("it would never end", str(error))
        self.assertEqual(len(self.asked_for), 2)

    def test_empty_pages_between(self) -> None:
        """Some are legal, and are read over."""
        self.begin()
        count = 900

        def page(asked: Asked) -> None:
            nonlocal count
            count -= 1
            rows = [[count]] if count % 450 == 0 else []
            asked.rows(VALUE, rows, b"%d" % count if count else None, None, asked.options.skip_metadata)

        self.statement.reply = page
        reading = self.streamed()
        for _ in range(3000):
            self.reactor.settle()
        self.assertEqual([row.v for row in self.successResultOf(reading)], [450, 0])

    def test_half_open(self) -> None:
        """What is sent goes nowhere, on the links that there are and on new ones."""
        self.begin()
        self.one.frozen = True
        for _ in range(3):
            self.assertIsInstance(self.ask(), RequestTimeout | ConnectionLost | NoNodeAvailable)
        self.one.frozen = False
        self.assert_serves()

    def test_cut_by_a_middlebox(self) -> None:
        """An idle link is dead, and nobody was told: the heartbeat finds it before a request does."""
        self.begin()
        dead = set(self.one.links)
        receive = type(self.one).receive

        def deaf(link: ScriptedLink, data: bytes) -> None:
            if link not in dead:
                receive(self.one, link, data)

        self.one.receive = deaf  # type: ignore[method-assign]
        self.pass_time(1.5)
        self.assertEqual([link for link in self.one.links if link in dead], [])
        self.assert_serves(0.0)

    def test_many_requests(self) -> None:
        """A thousand that nobody answers: all of them end, and nothing is left of them."""
        self.of_the_node = FRAME_LIMIT
        self.begin(max_requests_per_connection=2048)
        self.one.holds = lambda asked: True
        # What they fail with is not kept: the memory shall be that of the client and the node.
        outcomes: Counter[bool] = Counter()

        def ended(failure: Failure) -> None:
            outcomes[isinstance(failure.value, CQLError)] += 1

        for _ in range(1000):
            self.client.execute(TEXT).addErrback(ended)
        self.pass_time(DEADLINE + 0.2)
        self.assertEqual(outcomes, {True: 1000})
        self.assertEqual(len(self.client.deadlines), 0)
        self.one.holds = lambda asked: False
        self.one.held.clear()
        self.assert_serves()
        (pool,) = self.client.pools.values()
        self.assertEqual((pool.request_bytes, len(pool.queue)), (0, 0))


class HostileTopologyTests(HostileTestCase):
    """What a node says of its peers."""

    def test_peers_that_are_none(self) -> None:
        """Rows with nulls, without an address, with a port that is none, and the node itself."""
        from ipaddress import ip_address
        from uuid import uuid4

        whole = {
            "peer": ip_address("10.0.0.9"),
            "native_address": ip_address("10.0.0.9"),
            "native_port": 9042,
            "host_id": uuid4(),
            "data_center": "dc1",
            "rack": "r1",
            "release_version": "5.0.5",
            "tokens": {"1"},
        }
        self.one.odd_peers = [
            {},
            *({**whole, name: None} for name in ("host_id", "data_center", "rack", "tokens")),
            {**whole, "peer": None, "native_address": None},
            {**whole, "peer": ip_address("0.0.0.0"), "native_address": ip_address("::")},
            {**whole, "native_port": -1},
            {**whole, "native_port": 70000},
            {**whole, "host_id": self.one.host_id},
        ]
        self.begin()
        self.assertEqual([node.name for node in self.client.nodes], ["10.0.0.1:9042"])
        self.assertEqual(set(self.reactor.dialled), {"10.0.0.1:9042"})
