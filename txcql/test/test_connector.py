"""From an endpoint to a ready link: once, and for a factory that comes back."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred, fail
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.error import (
    ConnectError,
    ConnectionDone,
    ConnectionRefusedError,
    DNSLookupError,
    NotConnectingError,
    TimeoutError as ConnectTimeoutError,
    UserError,
)
from twisted.internet.interfaces import IConnector, IStreamClientEndpoint
from twisted.internet.protocol import ClientFactory
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from txcql.connection.connector import EndpointConnector, connect_error, open_link
from txcql.connection.protocol import CQLProtocol
from txcql.errors import AuthenticationFailed, ConnectionLost, CQLError, NameResolutionError
from txcql.settings import Settings
from txcql.test.links import NODE, Peer, outcome, timers


def make_link(clock: Any) -> CQLProtocol:
    return CQLProtocol(NODE, Settings(), clock, 5)


@implementer(IStreamClientEndpoint)
class HandEndpoint:
    """An endpoint whose attempts the test ends by hand.

    :ivar attempts: a Deferred for each.
    :ivar factories: the factory of each.
    """

    def __init__(self) -> None:
        self.attempts: list[Deferred[Any]] = []
        self.factories: list[Any] = []

    def connect(self, factory: Any) -> Deferred[Any]:
        self.factories.append(factory)
        self.attempts.append(Deferred())
        return self.attempts[-1]

    def accept(self) -> Peer:
        """The last attempt succeeds; the node's end of it."""
        link = self.factories[-1].buildProtocol(None)
        peer = Peer(link)
        peer.connect()
        self.attempts[-1].callback(link)
        return peer


class ErrorTests(SynchronousTestCase):
    """Why a node could not be reached, in one sentence."""

    def test_texts(self) -> None:
        for reason, text in (
            (ConnectionRefusedError(), "refused the connection"),
            (ConnectTimeoutError(), "did not accept the connection in time"),
            (
                ConnectError(113, "No route to host"),
                "cannot be reached: An error occurred while connecting: 113: No route to host.",
            ),
            (ValueError("a proxy said no"), "cannot be reached: ValueError: a proxy said no"),
        ):
            error = connect_error(NODE, reason)
            self.assertEqual((type(error), str(error)), (ConnectionLost, f"{NODE} {text}"))
            self.assertEqual((error.node, error.__cause__), (NODE, reason))

    def test_name(self) -> None:
        error = connect_error("db.example:9042", DNSLookupError())
        self.assertIsInstance(error, NameResolutionError)
        self.assertEqual(str(error), 'the name "db.example" does not resolve')

    def test_our_own(self) -> None:
        error = AuthenticationFailed("no")
        self.assertIs(connect_error(NODE, error), error)


class OpenLinkTests(SynchronousTestCase):
    """One attempt."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.endpoint = HandEndpoint()
        self.link = make_link(self.clock)
        self.opening = Deferred.fromCoroutine(open_link(self.endpoint, self.link, Settings(), self.clock))
        self.outcome = outcome(self.opening)

    def test_opened(self) -> None:
        peer = self.endpoint.accept()
        peer.supported()
        peer.started()
        self.clock.advance(0)
        self.assertEqual((self.outcome, timers(self.clock)), ([self.link], []))

    def test_refused(self) -> None:
        self.endpoint.attempts[0].errback(ConnectionRefusedError())
        (error,) = self.outcome
        self.assertEqual(str(error), f"{NODE} refused the connection")
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_not_in_time(self) -> None:
        """The attempt is given up after ``connect_timeout``."""
        self.clock.advance(5)
        (error,) = self.outcome
        self.assertEqual(str(error), f"{NODE} did not accept the connection in time")
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_handshake_has_its_own_time(self) -> None:
        self.clock.advance(4.9)
        peer = self.endpoint.accept()
        self.clock.advance(4.9)
        peer.supported()
        peer.started()
        self.assertEqual(self.outcome, [self.link])

    def test_handshake_fails(self) -> None:
        peer = self.endpoint.accept()
        peer.hang_up()
        (error,) = self.outcome
        self.assertIn(f"{NODE}: the node closed the link before it answered anything", str(error))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_cancelled_while_connecting(self) -> None:
        """That is no failure of the node: the caller must not go on to the next one."""
        self.opening.cancel()
        self.assertIsInstance(self.outcome[0], CancelledError)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_cancelled_in_the_handshake(self) -> None:
        peer = self.endpoint.accept()
        self.opening.cancel()
        self.assertIsInstance(self.outcome[0], CancelledError)
        self.assertTrue(self.link.closed)
        peer.hang_up()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_our_own_error(self) -> None:
        """An endpoint may fail with one of our errors; it is not wrapped, nor its own cause."""
        error = CQLError("no such node in this test")
        self.endpoint.attempts[0].errback(error)
        self.assertIs(self.outcome[0], error)
        self.assertIsNone(error.__cause__)

    def test_tcp(self) -> None:
        """Twisted's own endpoint fails with an error of its own when it is cancelled."""
        for action, kind, text in (
            (lambda opening, reactor: reactor.advance(5), ConnectionLost, "did not accept the connection"),
            (lambda opening, reactor: opening.cancel(), CancelledError, ""),
        ):
            reactor = MemoryReactorClock()
            opening = Deferred.fromCoroutine(
                open_link(
                    TCP4ClientEndpoint(reactor, "10.0.0.1", 9042), make_link(reactor), Settings(), reactor
                )
            )
            found = outcome(opening)
            action(opening, reactor)
            self.assertIsInstance(found[0], kind)
            self.assertIn(text, str(found[0]))
            self.assertTrue(reactor.connectors[0].stoppedConnecting)


class RecordingFactory(ClientFactory):
    """A client factory that notes what its connector tells.

    :ivar told: what it was told, in order; reasons as exceptions.
    """

    noisy = False

    def __init__(self, clock: Any) -> None:
        self.clock = clock
        self.told: list[Any] = []
        self.on_started: Any = None

    def doStart(self) -> None:
        self.told.append("start")

    def doStop(self) -> None:
        self.told.append("stop")

    def startedConnecting(self, connector: Any) -> None:
        self.told.append("connecting")
        if self.on_started is not None:
            self.on_started(connector)

    def buildProtocol(self, addr: Any) -> CQLProtocol:
        self.told.append("build")
        return make_link(self.clock)

    def clientConnectionFailed(self, connector: Any, reason: Failure) -> None:
        self.told.append(reason.value)

    def clientConnectionLost(self, connector: Any, reason: Failure) -> None:
        self.told.append(reason.value)


class EndpointConnectorTests(SynchronousTestCase):
    """An ``IConnector`` over an endpoint."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.endpoint = HandEndpoint()
        self.factory = RecordingFactory(self.clock)
        self.connector = EndpointConnector(self.endpoint, self.factory, self.clock, 5.0)

    def assertTold(self, *expected: Any) -> None:
        """What the factory was told; of reasons, their classes."""
        told = [item if isinstance(item, str) else type(item) for item in self.factory.told]
        self.assertEqual(told, list(expected))

    def test_interface(self) -> None:
        self.assertTrue(verifyObject(IConnector, self.connector))
        self.assertIs(self.connector.getDestination(), self.endpoint)

    def test_connected_and_lost(self) -> None:
        self.assertEqual(self.connector.state, "disconnected")
        self.connector.connect()
        self.assertEqual(self.connector.state, "connecting")
        peer = self.endpoint.accept()
        self.assertEqual((self.connector.state, self.clock.getDelayedCalls()), ("connected", []))
        peer.hang_up()
        self.assertEqual(self.connector.state, "disconnected")
        self.assertTold("start", "connecting", "build", ConnectionDone, "stop")

    def test_refused(self) -> None:
        self.connector.connect()
        self.endpoint.attempts[0].errback(ConnectionRefusedError())
        self.assertEqual((self.connector.state, self.clock.getDelayedCalls()), ("disconnected", []))
        self.assertTold("start", "connecting", ConnectionRefusedError, "stop")

    def test_refused_at_once(self) -> None:
        """An endpoint may fail before its ``connect`` returns."""
        self.patch(self.endpoint, "connect", lambda factory: fail(ConnectionRefusedError()))
        self.connector.connect()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertTold("start", "connecting", ConnectionRefusedError, "stop")

    def test_connected_at_once(self) -> None:
        """Or succeed; a connection in memory can even be lost by then."""

        def connect(factory: Any) -> Deferred[Any]:
            attempt = HandEndpoint.connect(self.endpoint, factory)
            self.endpoint.accept().hang_up()
            return attempt

        self.patch(self.endpoint, "connect", connect)
        self.connector.connect()
        self.assertEqual((self.connector.state, self.clock.getDelayedCalls()), ("disconnected", []))
        self.assertTold("start", "connecting", "build", ConnectionDone, "stop")

    def test_not_in_time(self) -> None:
        self.connector.connect()
        self.clock.advance(5)
        self.assertTold("start", "connecting", ConnectTimeoutError, "stop")
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_stop_connecting(self) -> None:
        """As with Twisted's own connectors, the reason is a ``UserError``."""
        self.connector.connect()
        self.connector.stopConnecting()
        self.assertEqual((self.connector.state, self.clock.getDelayedCalls()), ("disconnected", []))
        self.assertTold("start", "connecting", UserError, "stop")

    def test_stop_connecting_before_it_has_begun(self) -> None:
        """In ``startedConnecting``: the endpoint is not asked at all."""
        self.factory.on_started = lambda connector: connector.stopConnecting()
        self.connector.connect()
        self.assertEqual((self.endpoint.attempts, self.connector.state), ([], "disconnected"))
        self.assertTold("start", "connecting", UserError, "stop")

    def test_stop_connecting_when_idle(self) -> None:
        with self.assertRaises(NotConnectingError):
            self.connector.stopConnecting()
        self.connector.connect()
        self.endpoint.accept()
        with self.assertRaises(NotConnectingError):
            self.connector.stopConnecting()

    def test_disconnect(self) -> None:
        """Whatever it does, it ends; idle, that is nothing."""
        self.connector.disconnect()
        self.connector.connect()
        self.connector.disconnect()
        self.assertEqual(self.connector.state, "disconnected")
        self.connector.connect()
        peer = self.endpoint.accept()
        self.connector.disconnect()
        self.assertTrue(peer.transport.disconnecting)
        self.assertEqual(self.connector.state, "connected")
        peer.hang_up()
        self.assertEqual((self.connector.state, self.clock.getDelayedCalls()), ("disconnected", []))

    def test_one_at_a_time(self) -> None:
        self.connector.connect()
        with self.assertRaisesRegex(RuntimeError, "cannot connect: connecting"):
            self.connector.connect()
        self.endpoint.accept()
        with self.assertRaisesRegex(RuntimeError, "cannot connect: connected"):
            self.connector.connect()

    def test_again_at_once(self) -> None:
        """A factory that reconnects when it is told is started once, and not stopped between."""
        self.patch(self.factory, "clientConnectionLost", lambda connector, reason: connector.connect())
        self.connector.connect()
        self.endpoint.accept().hang_up()
        self.assertEqual(self.connector.state, "connecting")
        self.assertTold("start", "connecting", "build", "connecting")
        self.connector.stopConnecting()
        self.assertTold("start", "connecting", "build", "connecting", UserError, "stop")

    def test_tcp(self) -> None:
        """Over Twisted's own endpoint, whose cancelled attempts fail with an error of its own."""
        reactor = MemoryReactorClock()
        endpoint = TCP4ClientEndpoint(reactor, "10.0.0.1", 9042)
        connector = EndpointConnector(endpoint, self.factory, reactor, 5.0)
        connector.connect()
        reactor.advance(5)
        connector.connect()
        connector.stopConnecting()
        self.assertTold(
            "start", "connecting", ConnectTimeoutError, "stop", "start", "connecting", UserError, "stop"
        )
        self.assertEqual([made.stoppedConnecting for made in reactor.connectors], [True, True])
