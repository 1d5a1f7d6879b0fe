"""One slot of a pool: when it tries again to reach its node, and when it does not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import repeat
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.error import ConnectionRefusedError
from twisted.internet.protocol import ReconnectingClientFactory
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from txcql.connection.connector import EndpointConnector
from txcql.connection.factory import CQLClientFactory
from txcql.connection.protocol import CQLProtocol
from txcql.errors import AuthenticationFailed, ConnectionLost, CQLError, InvalidRequest, ServerProtocolError
from txcql.policies.reconnection import ExponentialReconnectionPolicy
from txcql.settings import Settings
from txcql.test.links import NODE, Peer, RecordedRequest, outcome
from txcql.wire import constants, responsewriter


class SlotOwner:
    """Hears of a slot's links.

    :ivar ready: the ready links.
    :ivar heard: ``"open"`` and ``"draining"``.
    :ivar errors: why each attempt failed, or each link was lost.
    """

    def __init__(self) -> None:
        self.ready: list[CQLProtocol] = []
        self.heard: list[str] = []
        self.errors: list[CQLError] = []

    def link_open(self, link: CQLProtocol) -> None:
        self.heard.append("open")

    def link_draining(self, link: CQLProtocol) -> None:
        self.heard.append("draining")

    def link_ready(self, slot: CQLClientFactory, link: CQLProtocol) -> None:
        self.ready.append(link)

    def link_down(self, slot: CQLClientFactory, link: CQLProtocol | None, error: CQLError) -> None:
        if link in self.ready:
            self.ready.remove(link)
        self.errors.append(error)


class SlotTestCase(SynchronousTestCase):
    """A slot over a TCP endpoint, on a reactor in memory."""

    def setUp(self) -> None:
        self.make()

    def make(self, delays: Iterable[float] | None = None, **settings: Any) -> None:
        """Make another slot, and begin its first attempt."""
        self.reactor = MemoryReactorClock()
        self.owner = SlotOwner()
        self.keyspace: str | None = None
        policy = ExponentialReconnectionPolicy()

        def schedule() -> Iterator[float]:
            return policy.delays() if delays is None else iter(delays)

        self.slot = CQLClientFactory(
            NODE, Settings(**settings), self.reactor, 5, schedule, lambda: self.keyspace, self.owner
        )
        endpoint = TCP4ClientEndpoint(self.reactor, "10.0.0.1", 9042)
        self.connector = EndpointConnector(endpoint, self.slot, self.reactor, 5.0)
        self.peers: list[Peer] = []
        self.connector.connect()

    @property
    def attempts(self) -> int:
        """Attempts so far."""
        return len(self.reactor.tcpClients)

    def refuse(self) -> None:
        """The node refuses the connection."""
        self.reactor.tcpClients[-1][2].clientConnectionFailed(
            self.reactor.connectors[-1], Failure(ConnectionRefusedError())
        )

    def accept(self) -> Peer:
        """The node accepts the connection."""
        wrapper: Any = self.reactor.tcpClients[-1][2].buildProtocol(IPv4Address("TCP", "10.0.0.1", 9042))
        link = wrapper._wrappedProtocol
        peer = Peer(link)
        wrapper.makeConnection(peer.transport)
        self.peers.append(peer)
        return peer

    def make_ready(self) -> Peer:
        """The node accepts the connection, and the handshake."""
        peer = self.accept()
        peer.supported()
        peer.started()
        return peer

    def waits(self, count: int) -> list[float]:
        """How long each of the next attempts waits, all of which are refused."""
        found = []
        for _ in range(count):
            attempts, begin = self.attempts, self.reactor.seconds()
            self.refuse()
            due = self.slot.next_attempt
            assert due is not None
            self.assertEqual(self.attempts, attempts)
            self.reactor.advance(due - begin)
            self.assertEqual(self.attempts, attempts + 1)
            found.append(due - begin)
        return found


class ScheduleTests(SlotTestCase):
    """0, 1, 2, 4 … 60 seconds."""

    def test_is_a_reconnecting_factory(self) -> None:
        self.assertIsInstance(self.slot, ReconnectingClientFactory)
        self.assertIs(self.slot.clock, self.reactor)

    def test_refused(self) -> None:
        """It never gives up, and never waits for more than a minute."""
        self.assertEqual(self.waits(12), [0, 1, 2, 4, 8, 16, 32, 60, 60, 60, 60, 60])
        self.assertEqual(str(self.owner.errors[0]), f"{NODE} refused the connection")
        self.assertEqual(len(self.owner.errors), 12)

    def test_not_early(self) -> None:
        self.waits(2)
        self.refuse()
        self.reactor.advance(1.99)
        self.assertEqual(self.attempts, 3)
        self.reactor.advance(0.01)
        self.assertEqual(self.attempts, 4)

    def test_no_answer(self) -> None:
        """An attempt that nobody answers is given up after the connector's time."""
        self.reactor.advance(5)
        self.assertEqual(str(self.owner.errors[0]), f"{NODE} did not accept the connection in time")
        self.assertEqual(self.attempts, 2)

    def test_policy(self) -> None:
        """The schedule is the policy's."""
        self.make([3, 5, 7, 9])
        self.assertEqual(self.waits(3), [3, 5, 7])

    def test_a_policy_that_ends(self) -> None:
        """It cannot make the slot give up."""
        self.make([0, 3])
        self.assertEqual(self.waits(4), [0, 3, 60, 60])

    def test_a_policy_that_never_waits(self) -> None:
        """It cannot make the slot hammer its node."""
        self.make(repeat(0.0))
        self.assertEqual(self.waits(5), [0, 10, 0, 10, 0])

    def test_refused_in_the_handshake(self) -> None:
        """A node that accepts and then refuses is not hammered: the schedule goes on."""
        found = []
        for _ in range(6):
            begin = self.reactor.seconds()
            peer = self.accept()
            peer.refuse(0, ServerProtocolError("Invalid or unsupported protocol version (5)"))
            peer.hang_up()
            due = self.slot.next_attempt
            assert due is not None
            found.append(due - begin)
            self.reactor.advance(due - begin)
        self.assertEqual(found, [0, 1, 2, 4, 8, 16])
        self.assertEqual(len(self.owner.errors), 6)

    def test_hung_up_at_once(self) -> None:
        found = []
        for _ in range(4):
            begin = self.reactor.seconds()
            self.accept().hang_up()
            due = self.slot.next_attempt
            assert due is not None
            found.append(due - begin)
            self.reactor.advance(due - begin)
        self.assertEqual(found, [0, 1, 2, 4])

    def test_login_refused(self) -> None:
        """It is told to the owner, and tried again: the role may be made by then."""
        peer = self.accept()
        peer.supported()
        peer.started(constants.AUTHENTICATE, responsewriter.authenticate("PasswordAuthenticator"))
        (error,) = self.owner.errors
        self.assertIsInstance(error, AuthenticationFailed)
        peer.hang_up()
        self.assertEqual(self.slot.next_attempt, 0.0)


class ResetTests(SlotTestCase):
    """When the schedule begins anew."""

    def next_wait(self) -> float:
        due = self.slot.next_attempt
        assert due is not None
        return due - self.reactor.seconds()

    def test_after_ten_seconds(self) -> None:
        self.waits(5)
        peer = self.make_ready()
        self.reactor.advance(10)
        peer.hang_up()
        self.assertEqual(self.next_wait(), 0)
        self.reactor.advance(0)
        self.assertEqual(self.waits(3), [1, 2, 4])

    def test_not_before(self) -> None:
        """Connected is not enough, nor ready for a moment."""
        self.waits(5)
        peer = self.make_ready()
        self.reactor.advance(9.99)
        peer.hang_up()
        self.assertEqual(self.next_wait(), 16)

    def test_after_an_answer(self) -> None:
        self.waits(5)
        peer = self.make_ready()
        request = RecordedRequest()
        peer.link.send(request)
        peer.answer(request.stream)
        peer.hang_up()
        self.assertEqual(self.next_wait(), 0)

    def test_an_unanswered_request_is_not_enough(self) -> None:
        self.waits(5)
        peer = self.make_ready()
        peer.link.send(RecordedRequest())
        peer.hang_up()
        self.assertEqual(self.next_wait(), 16)

    def test_immediate_once_in_ten_seconds(self) -> None:
        """A node that is lost again and again is not reconnected to without any wait each time."""
        found = []
        for _ in range(14):
            peer = self.make_ready()
            request = RecordedRequest()
            peer.link.send(request)
            peer.answer(request.stream)
            peer.hang_up()
            found.append(self.next_wait())
            self.reactor.advance(self.next_wait())
        self.assertEqual(found, [0, *[1] * 10, 0, 1, 1])

    def test_retry_now(self) -> None:
        """A sign that the node is back: the attempt does not wait, and the schedule begins anew."""
        self.waits(6)
        self.refuse()
        self.assertEqual(self.next_wait(), 32)
        self.reactor.advance(3)
        attempts = self.attempts
        self.slot.retry_now()
        self.reactor.advance(0)
        self.assertEqual(self.attempts, attempts + 1)
        self.assertEqual(self.waits(3), [1, 2, 4])

    def test_retry_now_again_and_again(self) -> None:
        """Not even signs make it try at once more often than once in ten seconds."""
        self.make(repeat(60.0))
        self.refuse()
        found = []
        for _ in range(35):
            attempts = self.attempts
            self.slot.retry_now()
            self.reactor.advance(0)
            if self.attempts > attempts:
                found.append(self.reactor.seconds())
                self.refuse()
            self.reactor.advance(1)
        self.assertEqual(found, [0, 10, 20, 30])

    def test_retry_now_when_there_is_nothing_to_wait_for(self) -> None:
        self.slot.retry_now()
        self.assertEqual(self.attempts, 1)
        self.make_ready()
        self.slot.retry_now()
        self.reactor.advance(1)
        self.assertEqual(self.attempts, 1)


class StopTests(SlotTestCase):
    """A slot that is stopped stays so, and leaves nothing behind."""

    def assertStopped(self) -> None:
        """No attempt, no timer, whatever happens next."""
        attempts = self.attempts
        self.slot.resetDelay()
        self.slot.retry()
        self.slot.retry_now()
        self.reactor.advance(100)
        self.assertEqual(self.attempts, attempts)
        self.assertEqual(self.reactor.getDelayedCalls(), [])
        self.assertEqual(self.connector.state, "disconnected")
        self.assertIsNone(self.slot.next_attempt)

    def test_in_the_first_attempt(self) -> None:
        self.slot.stopTrying()
        self.assertTrue(self.reactor.connectors[0].stoppedConnecting)
        self.assertStopped()

    def test_while_it_waits(self) -> None:
        self.waits(3)
        self.refuse()
        self.slot.stopTrying()
        self.assertStopped()

    def test_in_the_handshake(self) -> None:
        peer = self.accept()
        peer.supported()
        self.slot.stopTrying()
        self.assertTrue(peer.transport.disconnecting)
        peer.hang_up()
        self.assertEqual(self.owner.ready, [])
        self.assertStopped()

    def test_while_it_is_ready(self) -> None:
        peer = self.make_ready()
        self.slot.stopTrying()
        self.assertTrue(peer.transport.disconnecting)
        self.assertEqual(self.owner.ready, [])
        peer.hang_up()
        self.assertStopped()

    def test_connect_after_it(self) -> None:
        """A connector that is told to connect does not revive it."""
        self.slot.stopTrying()
        self.connector.connect()
        self.assertEqual(self.attempts, 1)
        self.assertStopped()

    def test_stop_while_ready(self) -> None:
        """It fires when no connection is left, not before."""
        peer = self.make_ready()
        stopped = outcome(self.slot.stop())
        self.assertEqual(stopped, [])
        peer.hang_up()
        self.assertEqual(stopped, [None])
        self.assertStopped()

    def test_stop_with_a_node_that_does_not_hang_up(self) -> None:
        self.make_ready()
        stopped = outcome(self.slot.stop())
        self.reactor.advance(2)
        self.assertEqual(stopped, [None])
        self.assertStopped()

    def test_stop_while_it_connects(self) -> None:
        self.assertEqual(outcome(self.slot.stop()), [None])
        self.assertStopped()

    def test_stop_while_it_waits(self) -> None:
        self.refuse()
        self.assertEqual(outcome(self.slot.stop()), [None])
        self.assertStopped()

    def test_stop_in_the_handshake(self) -> None:
        peer = self.accept()
        stopped = outcome(self.slot.stop())
        self.assertEqual(stopped, [])
        peer.hang_up()
        self.assertEqual(stopped, [None])
        self.assertStopped()

    def test_stop_twice(self) -> None:
        """Each Deferred fires."""
        peer = self.make_ready()
        first, second = outcome(self.slot.stop()), outcome(self.slot.stop())
        peer.hang_up()
        self.assertEqual((first, second, outcome(self.slot.stop())), ([None], [None], [None]))

    def test_stop_before_it_has_begun(self) -> None:
        slot = CQLClientFactory(
            NODE, Settings(), self.reactor, 5, lambda: repeat(1.0), lambda: None, self.owner
        )
        self.assertEqual(outcome(slot.stop()), [None])

    def test_stop_when_the_attempt_fails(self) -> None:
        """The owner may stop it where it hears of the failure."""
        found: list[Any] = []
        self.patch(self.owner, "link_down", lambda slot, link, error: found.append(slot.stop()))
        self.refuse()
        self.successResultOf(found[0])
        self.assertStopped()


class LinkTests(SlotTestCase):
    """What the owner hears of the link."""

    def test_ready(self) -> None:
        peer = self.make_ready()
        self.assertEqual((self.owner.ready, self.slot.link), ([peer.link], peer.link))
        self.assertTrue(peer.link.open)
        self.assertEqual(self.owner.heard, [])

    def test_draining_and_open(self) -> None:
        peer = self.make_ready()
        peer.link.pauseProducing()
        peer.link.resumeProducing()
        self.assertEqual(self.owner.heard, ["draining", "open"])

    def test_lost(self) -> None:
        peer = self.make_ready()
        peer.hang_up()
        self.assertEqual((self.owner.ready, self.slot.link), ([], None))
        self.assertEqual([str(error) for error in self.owner.errors], [f"{NODE}: the node closed the link"])

    def test_a_new_link(self) -> None:
        first = self.make_ready()
        first.hang_up()
        self.reactor.advance(0)
        second = self.make_ready()
        self.assertEqual(self.owner.ready, [second.link])
        self.assertIsNot(first.link, second.link)

    def test_closed_and_not_yet_gone(self) -> None:
        """The next attempt begins when the old connection is gone, so there is one at a time."""
        peer = self.make_ready()
        peer.link.close()
        self.assertEqual((self.owner.ready, self.slot.next_attempt), ([], None))
        self.reactor.advance(2)
        self.assertEqual(self.attempts, 2)

    def test_keyspace(self) -> None:
        self.make()
        self.keyspace = "app"
        peer = self.make_ready()
        self.assertEqual(self.owner.ready, [])
        peer.used()
        self.assertEqual(self.owner.ready, [peer.link])

    def test_keyspace_changed_in_the_handshake(self) -> None:
        """The link follows before the owner hears of it."""
        self.keyspace = "old"
        peer = self.accept()
        peer.supported()
        self.keyspace = "new"
        peer.started()
        peer.used()
        self.reactor.advance(0)
        self.assertEqual((self.owner.ready, peer.link.keyspace), ([], "old"))
        self.keyspace = "newest"
        peer.used()
        self.reactor.advance(0)
        self.assertEqual((self.owner.ready, peer.link.keyspace), ([], "new"))
        peer.used()
        self.assertEqual((self.owner.ready, peer.link.keyspace), ([peer.link], "newest"))

    def test_keyspace_that_is_gone(self) -> None:
        peer = self.accept()
        peer.supported()
        self.keyspace = "gone"
        peer.started()
        peer.refuse(1, InvalidRequest("Keyspace 'gone' does not exist"))
        self.assertTrue(peer.link.closed)
        self.assertEqual(self.owner.ready, [])
        self.assertIsInstance(self.owner.errors[0], InvalidRequest)

    def test_lost_while_it_follows_the_keyspace(self) -> None:
        peer = self.accept()
        peer.supported()
        self.keyspace = "new"
        peer.started()
        peer.hang_up()
        self.assertEqual((self.owner.ready, len(self.owner.errors)), ([], 1))
        self.assertIsInstance(self.owner.errors[0], ConnectionLost)
        self.assertEqual(self.slot.next_attempt, 0.0)

    def test_authenticator_fails(self) -> None:
        """Its traceback is logged; the slot goes on."""
        self.make(authenticator=lambda: 1 / 0)
        peer = self.accept()
        peer.supported()
        peer.started(constants.AUTHENTICATE, responsewriter.authenticate("PasswordAuthenticator"))
        peer.hang_up()
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertIn("ZeroDivisionError", str(self.owner.errors[0]))
        self.assertEqual(self.slot.next_attempt, 0.0)

    def test_tcp_switches(self) -> None:
        """Nagle's algorithm off, keepalive on, through the endpoint's own wrapper."""
        self.assertEqual(self.accept().transport.done[:2], ["nodelay=True", "keepalive=True"])

    def test_snapshot(self) -> None:
        base = {"sent": 0, "orphans": 0, "paused": False, "high": 819, "low": 512, "next_reconnect": None}
        self.assertEqual(self.slot.snapshot(), {**base, "state": "connecting"})
        peer = self.make_ready()
        request = RecordedRequest()
        peer.link.send(request)
        request.withdraw()
        self.assertEqual(self.slot.snapshot(), {**base, "state": "open", "sent": 1, "orphans": 1})
        peer.link.pauseProducing()
        self.assertEqual(self.slot.snapshot()["state"], "draining")
        self.assertTrue(self.slot.snapshot()["paused"])
        peer.hang_up()
        self.reactor.advance(0)
        self.refuse()
        self.reactor.advance(0.25)
        self.assertEqual(self.slot.snapshot(), {**base, "state": "connecting", "next_reconnect": 0.75})

    def test_repr(self) -> None:
        self.assertEqual(repr(self.slot), f"<CQLClientFactory {NODE} None>")
