"""The handshake: what a fresh link says to a node, and what it makes of every kind of answer."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from txcql import __version__
from txcql.connection.connector import make_ready
from txcql.connection.handshake import MAX_CHALLENGES, startup_options
from txcql.connection.protocol import CQLProtocol
from txcql.errors import (
    AuthenticationFailed,
    BadCredentials,
    ConnectionLost,
    InternalServerError,
    InvalidRequest,
    ProtocolError,
    ServerError,
    ServerProtocolError,
    UnsupportedProtocolVersion,
)
from txcql.interfaces import IAuthenticator
from txcql.settings import Settings
from txcql.test.links import NODE, OFFERED, Owner, Peer, RecordedRequest, outcome, timers
from txcql.wire import constants, responsewriter
from txcql.wire.frames import pack_header
from txcql.wire.requestreader import AuthResponse

AUTHENTICATOR = "org.apache.cassandra.auth.PasswordAuthenticator"

LINKS = [(3, None), (3, "lz4"), (3, "snappy"), (4, None), (4, "lz4"), (4, "snappy"), (5, None), (5, "lz4")]


class HandshakeTestCase(SynchronousTestCase):
    def begin(self, version: int = 5, keyspace: str | None = None, **settings: Any) -> None:
        """Connect a link and begin its handshake.

        ``outcome`` gets the link, or the error.
        """
        self.clock = Clock()
        self.owner = Owner()
        chosen = Settings(**settings)
        self.link = CQLProtocol(NODE, chosen, self.clock, version)
        self.link.owner = self.owner
        self.peer = Peer(self.link, chosen.compression)
        self.peer.connect()
        self.ready = make_ready(self.link, chosen, self.clock, keyspace)
        self.outcome = outcome(self.ready)

    def assertReady(self) -> None:
        """The link takes requests, and each finds its answer."""
        self.clock.advance(0)
        self.assertEqual(self.outcome, [self.link])
        self.assertTrue(self.link.open)
        self.assertEqual((self.owner.heard, timers(self.clock)), (["open"], []))
        request = RecordedRequest()
        self.link.send(request)
        self.clock.advance(0)
        (frame,) = self.peer.requests()
        self.assertEqual(frame.stream, 1)
        self.peer.answer(1)
        self.assertEqual(len(request.outcomes), 1)

    def assertRefused(self, kind: type[Exception], text: str) -> Any:
        """The handshake has failed with this, and the link is being closed; its owner knows why."""
        (error,) = self.outcome
        self.assertEqual((type(error), str(error)), (kind, text))
        self.assertTrue(self.link.closed)
        self.assertIn("lose", self.peer.transport.done)
        self.assertEqual([str(heard) for heard in self.owner.heard], [text])
        self.peer.hang_up()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        return error


class GoodTests(HandshakeTestCase):
    """Nodes that agree."""

    def test_every_version_and_compression(self) -> None:
        """With compression in v3 and v4, READY comes compressed: an empty body, with flag 01."""
        for version, compression in LINKS:
            self.begin(version, compression=compression)
            self.peer.supported()
            frame, _ = self.peer.request()
            self.assertEqual((frame.opcode, frame.stream, frame.flags), (constants.STARTUP, 0, 0))
            if version == 5:
                self.peer.send(self.peer.frame(0, constants.READY, b""))
                self.peer.codec.start_segments()
            else:
                stored = {None: b"", "lz4": b"\0\0\0\0\0", "snappy": b"\0"}[compression]
                header = pack_header(0x80 | version, bool(stored), 0, constants.READY, len(stored))
                self.peer.send(header + stored)
            self.assertReady()

    def test_startup(self) -> None:
        """STARTUP names the driver, its version, the compression and the application."""
        self.begin(compression="lz4", application_name="shop")
        self.peer.supported()
        expected = {
            "CQL_VERSION": "3.0.0",
            "DRIVER_NAME": "txcql",
            "DRIVER_VERSION": __version__,
            "COMPRESSION": "lz4",
            "APPLICATION_NAME": "shop",
        }
        self.assertEqual(self.peer.started(), expected)
        self.assertReady()

    def test_startup_options_without_any(self) -> None:
        self.assertEqual(
            sorted(startup_options(Settings())), ["CQL_VERSION", "DRIVER_NAME", "DRIVER_VERSION"]
        )

    def test_one_message_at_a_time(self) -> None:
        """A node drops what follows STARTUP in the same read: nothing is sent before it answers."""
        self.begin(keyspace="app", username="u", password="p")
        self.assertEqual(len(self.peer.requests()), 1)
        self.clock.advance(1)
        self.assertEqual(self.peer.requests(), [])

    def test_cut_at_every_byte(self) -> None:
        """Where v5 changes from bare frames to segments, the cut may be anywhere."""
        for version, compression in LINKS:
            for cut in range(1, 9):
                self.begin(version, compression=compression)
                self.peer.supported()
                self.peer.requests()
                ready = self.peer.frame(0, constants.READY, b"")
                if version == 5:
                    self.peer.codec.start_segments()
                self.peer.send(ready[:cut])
                self.peer.send(ready[cut:])
                self.assertReady()

    def test_keyspace(self) -> None:
        """The link is in its keyspace before it is given work."""
        for version, compression in LINKS:
            self.begin(version, keyspace="My App", compression=compression)
            self.peer.supported()
            self.peer.started()
            self.assertEqual((self.outcome, self.link.open), ([], False))
            self.assertEqual(self.peer.used(), 'USE "My App"')
            self.assertEqual(self.link.keyspace, "My App")
            self.assertReady()

    def test_events_meanwhile(self) -> None:
        """An event answers nothing."""
        self.begin(4)
        self.peer.send(self.peer.frame(-1, constants.EVENT, b""))
        self.peer.supported()
        self.peer.started()
        self.assertReady()


@implementer(IAuthenticator)
class Answers:
    """An authenticator that gives one answer after another.

    :ivar asked: what it was asked with.
    """

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.asked: list[Any] = []

    def initial_response(self, server_class: str) -> Any:
        return self.evaluate_challenge(server_class)

    def evaluate_challenge(self, token: Any) -> Any:
        self.asked.append(token)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


class LoginTests(HandshakeTestCase):
    """Nodes that ask who is there."""

    def begin_login(self, version: int = 5, **settings: Any) -> None:
        """Come as far as AUTHENTICATE."""
        self.begin(version, **settings)
        self.peer.supported()
        self.peer.started(constants.AUTHENTICATE, responsewriter.authenticate(AUTHENTICATOR))

    def token(self) -> bytes | None:
        """The token that the link has sent."""
        _, response = self.peer.request()
        assert isinstance(response, AuthResponse)
        return response.token

    def challenge(self, token: bytes | None) -> None:
        self.peer.answer(0, constants.AUTH_CHALLENGE, responsewriter.token(token))

    def succeed(self) -> None:
        self.peer.answer(0, constants.AUTH_SUCCESS, responsewriter.token(None))

    def test_password(self) -> None:
        for version, compression in LINKS:
            self.begin_login(version, username="cassandra", password="pässword", compression=compression)
            self.assertEqual(self.token(), b"\0cassandra\0" + "pässword".encode())
            self.succeed()
            self.assertReady()

    def test_wrong_password(self) -> None:
        """The server's words, and the node's name before them."""
        for version in (3, 4, 5):
            self.begin_login(version, username="cassandra", password="wrong")
            text = "Provided username cassandra and/or password are incorrect"
            self.peer.requests()
            self.peer.refuse(0, BadCredentials(text))
            error = self.assertRefused(AuthenticationFailed, f"{NODE}: {text}")
            self.assertIsInstance(error.__cause__, BadCredentials)
            self.assertEqual(error.node, NODE)
            self.assertNotIn("wrong", repr(error))

    def test_no_credentials(self) -> None:
        """It says that the node asks for a login, and which settings give it."""
        self.begin_login()
        self.assertRefused(
            AuthenticationFailed,
            f"{NODE}: the node asks for a login ({AUTHENTICATOR}): give username and password",
        )

    def test_server_fails(self) -> None:
        self.begin_login(username="u", password="p")
        self.peer.refuse(0, InternalServerError("java.lang.NullPointerException"))
        self.assertRefused(InternalServerError, "java.lang.NullPointerException")

    def test_challenges(self) -> None:
        """An authenticator may answer at once, or by a Deferred."""
        later: Deferred[bytes] = Deferred()
        answers = Answers(b"first", succeed(b"second"), later)
        self.begin_login(authenticator=lambda: answers)
        self.assertEqual(self.token(), b"first")
        self.challenge(b"one")
        self.assertEqual(self.token(), b"second")
        self.challenge(None)
        self.assertEqual(self.peer.requests(), [])
        later.callback(b"third")
        self.assertEqual(self.token(), b"third")
        self.succeed()
        self.assertReady()
        self.assertEqual(answers.asked, [AUTHENTICATOR, b"one", None])

    def test_an_authenticator_for_each_link(self) -> None:
        made: list[Answers] = []

        def make() -> Answers:
            made.append(Answers(b"token"))
            return made[-1]

        for _ in range(2):
            self.begin_login(authenticator=make)
            self.peer.requests()
            self.succeed()
            self.assertReady()
        self.assertEqual(len(made), 2)

    def test_plain_is_challenged(self) -> None:
        self.begin_login(username="u", password="p")
        self.challenge(b"?")
        self.assertRefused(
            AuthenticationFailed, f"{NODE}: the node sent a challenge, and SASL PLAIN has none"
        )

    def test_endless_challenges(self) -> None:
        self.begin_login(authenticator=lambda: Answers(*[b"token"] * 100))
        for _ in range(MAX_CHALLENGES):
            self.challenge(b"again")
        self.assertRefused(AuthenticationFailed, f"{NODE}: the login did not end after 16 challenges")

    def test_authenticator_fails(self) -> None:
        """Its own exception comes out, and the link is closed."""
        for answers in (
            [ValueError("no ticket")],
            [fail(ValueError("no ticket"))],
            [b"", ValueError("no ticket")],
        ):
            self.begin_login(authenticator=lambda answers=answers: Answers(*answers))
            if len(answers) == 2:
                self.challenge(b"")
            (error,) = self.outcome
            self.assertIsInstance(error, ValueError)
            self.assertEqual(str(self.link.error), f"{NODE}: ValueError('no ticket')")
            self.peer.hang_up()
            self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_authenticator_refuses(self) -> None:
        self.begin_login(authenticator=lambda: Answers(AuthenticationFailed("unknown server")))
        self.assertRefused(AuthenticationFailed, f"{NODE}: unknown server")

    def test_no_authenticator(self) -> None:
        self.begin_login(authenticator=object)
        (error,) = self.outcome
        self.assertIsInstance(error, TypeError)
        self.assertIn("authenticator must make an IAuthenticator, got object", str(error))
        self.assertTrue(self.link.closed)

    def test_authenticator_takes_too_long(self) -> None:
        """The handshake ends all the same, and the authenticator's Deferred is cancelled."""
        cancelled: list[object] = []
        waiting: Deferred[bytes] = Deferred(cancelled.append)
        self.begin_login(authenticator=lambda: Answers(waiting))
        self.clock.advance(5)
        self.assertRefused(
            ConnectionLost,
            f"{NODE} accepted the connection and did not finish the handshake within 5 s",
        )
        self.assertEqual(cancelled, [waiting])

    def test_lost_while_the_authenticator_thinks(self) -> None:
        waiting: Deferred[bytes] = Deferred()
        self.begin_login(authenticator=lambda: Answers(waiting))
        self.peer.hang_up()
        (error,) = self.outcome
        self.assertEqual(str(error), f"{NODE}: the node closed the link")
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_answer_while_the_authenticator_thinks(self) -> None:
        """Nothing was asked."""
        self.begin_login(authenticator=lambda: Answers(Deferred()))
        self.succeed()
        self.assertRefused(ProtocolError, f"{NODE}: an answer on stream 0")


class VersionTests(HandshakeTestCase):
    """Nodes that do not speak the version."""

    TEXTS = (
        "Invalid or unsupported protocol version (66); supported versions are (3/v3, 4/v4, 5/v5, 6/v6-beta)",
        "Invalid or unsupported protocol version: 5",
        "Beta version of the protocol used (6/v6-beta), but USE_BETA flag is unset",
        "Rejecting Protocol Version 4/v4 < 5/v5.",
    )

    def refuse(self, header: int, stream: int, text: str) -> None:
        """An ERROR with this version byte and stream."""
        body = responsewriter.error(ServerProtocolError(text), 4)
        self.peer.send(pack_header(header, 0, stream, constants.ERROR, len(body)) + body)

    def test_refused(self) -> None:
        """On stream 0 or any other, in a header of the server's choice, to OPTIONS or to STARTUP."""
        for version in (3, 4, 5):
            for text in self.TEXTS:
                for header, stream in ((0x85, 0), (0x84, 0), (0x83, 0), (0x86, 0), (0x84, 1), (0x84, 77)):
                    for after_options in (False, True):
                        self.begin(version)
                        if after_options:
                            self.peer.supported()
                        self.refuse(header, stream, text)
                        error = self.assertRefused(
                            UnsupportedProtocolVersion,
                            f"{NODE} does not speak protocol version {version}: {text}",
                        )
                        self.assertIsInstance(error.__cause__, ServerProtocolError)

    def test_another_protocol_error(self) -> None:
        """What is wrong is not the version: trying a lower one would not help."""
        text = "Unexpected message OPTIONS, expecting STARTUP"
        self.begin()
        self.refuse(0x85, 0, text)
        self.assertRefused(ServerProtocolError, text)

    def test_snappy_in_v5(self) -> None:
        text = "Snappy compression is not supported in protocol V5"
        self.begin()
        self.peer.supported()
        self.refuse(0x85, 0, text)
        self.assertRefused(ServerProtocolError, text)

    def test_answer_of_v1(self) -> None:
        """8 bytes of header, in versions 1 and 2."""
        self.begin()
        body = responsewriter.error(ServerProtocolError("Invalid or unsupported protocol version: 5"), 4)
        self.peer.send(bytes.fromhex("81000000") + len(body).to_bytes(4, "big") + body)
        (error,) = self.outcome
        self.assertIsInstance(error, ProtocolError)
        self.assertEqual(str(error), f"{NODE} answers in protocol version 1, which is too old")


class BadPeerTests(HandshakeTestCase):
    """Peers that are no node, and nodes that do not agree."""

    def test_http(self) -> None:
        self.begin()
        self.peer.send(b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\n\r\n400 Bad Request")
        (error,) = self.outcome
        self.assertIsInstance(error, ProtocolError)
        self.assertRegex(str(error), f'^{NODE} [a-z]+ "HTTP/1.1 400 Bad Request", which is not CQL$')
        self.assertEqual(error.node, NODE)
        self.assertTrue(self.link.closed)

    def test_echo(self) -> None:
        for version in (3, 4, 5):
            self.begin(version)
            self.peer.send(self.peer.transport.value())
            self.assertRefused(ProtocolError, f"{NODE} sent a request: it is no server")

    def test_wrong_message(self) -> None:
        self.begin()
        self.peer.requests()
        self.peer.answer(0, constants.AUTH_SUCCESS, responsewriter.token(None))
        self.assertRefused(ProtocolError, f"{NODE} answered AuthSuccess where SUPPORTED was expected")
        self.begin()
        self.peer.supported()
        self.peer.requests()
        self.peer.answer(0, constants.SUPPORTED, responsewriter.supported({}))
        self.assertRefused(
            ProtocolError, f"{NODE} answered Supported where READY or AUTHENTICATE was expected"
        )

    def test_wrong_message_to_a_login(self) -> None:
        self.begin(4, username="u", password="p")
        self.peer.supported()
        self.peer.started(constants.AUTHENTICATE, responsewriter.authenticate(AUTHENTICATOR))
        self.peer.answer(0, constants.READY, b"")
        self.assertRefused(
            ProtocolError, f"{NODE} answered Ready where AUTH_CHALLENGE or AUTH_SUCCESS was expected"
        )

    def test_answer_on_another_stream(self) -> None:
        """Only an ERROR may come on a stream of the server's choice."""
        self.begin()
        self.peer.answer(5, constants.SUPPORTED, responsewriter.supported(OFFERED))
        self.assertRefused(ProtocolError, f"{NODE}: an answer on stream 5, which no request has")

    def test_body_that_cannot_be_read(self) -> None:
        self.begin()
        self.peer.answer(0, constants.SUPPORTED, b"\xff")
        (error,) = self.outcome
        self.assertIsInstance(error, ProtocolError)
        self.assertTrue(self.link.closed)

    def test_compression_not_offered(self) -> None:
        self.begin(4, compression="lz4")
        self.peer.supported({"COMPRESSION": ["snappy"]})
        self.assertRefused(ProtocolError, f"{NODE} does not offer the compression 'lz4', but snappy")
        self.begin(4, compression="snappy")
        self.peer.supported({})
        self.assertRefused(ProtocolError, f"{NODE} does not offer the compression 'snappy', but none")

    def test_keyspace_that_does_not_exist(self) -> None:
        for version in (3, 4, 5):
            self.begin(version, keyspace="nokeyspace")
            self.peer.supported()
            self.peer.started()
            self.peer.requests()
            self.peer.refuse(0, InvalidRequest("Keyspace 'nokeyspace' does not exist"))
            error = self.assertRefused(InvalidRequest, 'keyspace "nokeyspace" does not exist')
            self.assertEqual(error.node, NODE)

    def test_any_error(self) -> None:
        """Every ERROR names its node."""
        self.begin()
        self.peer.supported()
        self.peer.refuse(0, ServerError.__subclasses__()[0]("no", unknown_code=77))
        error = self.assertRefused(ServerError.__subclasses__()[0], "no")
        self.assertEqual(error.node, NODE)


class EndTests(HandshakeTestCase):
    """Handshakes that do not come to their end."""

    def test_silence(self) -> None:
        self.begin(connect_timeout=2.5)
        self.clock.advance(2.49)
        self.assertEqual(self.outcome, [])
        self.clock.advance(0.01)
        error = self.assertRefused(
            ConnectionLost,
            f"{NODE} accepted the connection and did not finish the handshake within 2.5 s",
        )
        self.assertEqual(error.node, NODE)

    def test_time_limit_is_for_all_of_it(self) -> None:
        self.begin(keyspace="app")
        self.clock.advance(3)
        self.peer.supported()
        self.clock.advance(1.9)
        self.peer.started()
        self.assertEqual(self.outcome, [])
        self.clock.advance(0.1)
        self.assertIsInstance(self.outcome[0], ConnectionLost)

    def test_lost_at_each_step(self) -> None:
        for steps in range(3):
            self.begin(keyspace="app")
            for step in (self.peer.supported, self.peer.started)[:steps]:
                step()
            self.peer.hang_up()
            (error,) = self.outcome
            self.assertIs(type(error), ConnectionLost)
            said = str(error).removeprefix(f"{NODE}: the node closed the link")
            # TLS is worth a thought before the first answer only.
            self.assertEqual(bool(said), not steps, said)
            self.assertEqual(self.owner.heard, [error])
            self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_reset(self) -> None:
        """As a node does that has too many connections."""
        self.begin()
        self.peer.break_down()
        self.assertIn("the node closed the link before it answered anything", str(self.outcome[0]))
        self.begin()
        self.peer.supported()
        self.peer.break_down()
        self.assertIn("the link was lost: Connection to the other side was lost", str(self.outcome[0]))

    def test_cancelled(self) -> None:
        """The link is closed; whoever cancelled sees a CancelledError."""
        for steps in range(3):
            self.begin(keyspace="app")
            for step in (self.peer.supported, self.peer.started)[:steps]:
                step()
            self.ready.cancel()
            self.assertIsInstance(self.outcome[0], CancelledError)
            self.assertTrue(self.link.closed)
            self.peer.hang_up()
            self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_closed(self) -> None:
        self.begin()
        self.link.close()
        self.assertEqual(str(self.outcome[0]), f"{NODE}: the link was closed")
        self.peer.hang_up()
        self.assertEqual(self.clock.getDelayedCalls(), [])
