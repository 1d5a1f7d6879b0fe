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
from txcql.test.links import NODE, Listener, Peer, RecordedRequest, outcome
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

    def test_retry_now_too_early(self) -> None:
        """A sign that comes too early for an attempt at once begins the schedule anew all the same."""
        self.waits(4)
        self.refuse()
        self.assertEqual(self.next_wait(), 8)
        self.slot.retry_now()
        self.assertEqual(self.next_wait(), 1)
        self.reactor.advance(0.5)
        self.slot.retry_now()
        self.assertEqual(self.next_wait(), 0.5)
        self.reactor.advance(0.5)
        self.assertEqual(self.reactor.seconds(), 8)
        self.refuse()
        # Not 2: none of its waits has been waited.
        self.assertEqual(self.next_wait(), 1)

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

    def test_retire_while_ready(self) -> None:
        """What waits is answered first; then the link closes, and none is opened again."""
        peer = self.make_ready()
        link = self.owner.ready[0]
        request = RecordedRequest()
        link.send(request)
        self.reactor.advance(0)
        retired = outcome(self.slot.retire())
        self.assertEqual((retired, link.open, link.closed), ([], False, False))
        peer.answer(request.stream)
        self.assertEqual((len(request.outcomes), link.closed), (1, True))
        peer.hang_up()
        self.assertEqual(retired, [None])
        self.assertStopped()

    def test_retire_while_it_waits(self) -> None:
        self.reactor.advance(0)
        self.assertEqual(outcome(self.slot.retire()), [None])
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


class ReplaceTests(SlotTestCase):
    """A link that retires: another one is opened before it closes."""

    def setUp(self) -> None:
        self.begin()

    def begin(self, **settings: Any) -> None:
        """A ready link, and a listener of the slot."""
        settings = {"max_orphans_per_connection": 2, "heartbeat_interval": 1e6, **settings}
        self.make(**settings)
        self.listener = Listener()
        self.slot.listener = self.listener
        self.old = self.make_ready()

    def retire(self, peer: Peer) -> RecordedRequest:
        """The link of this peer has too many orphans, and a request that waits."""
        requests = [RecordedRequest(untimed=True) for _ in range(3)]
        for request in requests:
            peer.link.send(request)
        for request in requests[:2]:
            request.withdraw()
        return requests[2]

    def test_opened_first(self) -> None:
        """Both are there until the last answer; nothing fails."""
        waiting = self.retire(self.old)
        self.assertEqual(self.listener.heard, ["link_retiring"])
        self.assertEqual((self.slot.link, self.slot.snapshot()["state"]), (self.old.link, "retiring"))
        self.slot.replace()
        self.assertEqual((self.slot.link, self.slot.retiring), (None, self.old.link))
        self.reactor.advance(0)
        self.assertEqual(self.attempts, 2)
        new = self.make_ready()
        self.assertEqual(self.owner.ready, [self.old.link, new.link])
        self.assertEqual((self.slot.link, self.slot.snapshot()["state"]), (new.link, "open"))
        self.assertFalse(self.old.link.closed)
        self.old.answer(waiting.stream)
        self.assertEqual((len(waiting.outcomes), self.old.link.closed), (1, True))
        self.assertEqual((self.owner.ready, self.slot.retiring), ([new.link], None))
        self.assertEqual(str(self.owner.errors[0]), f"{NODE}: replaced, having 2 orphaned streams")
        self.old.hang_up()
        self.reactor.advance(100)
        self.assertEqual((self.attempts, self.slot.link), (2, new.link))

    def test_the_old_one_waits_for_the_new_one(self) -> None:
        """Though nothing waits on it any more."""
        waiting = self.retire(self.old)
        self.slot.replace()
        self.old.answer(waiting.stream)
        self.reactor.advance(0)
        self.refuse()
        self.assertFalse(self.old.link.closed)
        self.assertEqual(self.owner.ready, [self.old.link])
        self.reactor.advance(1)
        new = self.make_ready()
        self.assertEqual((self.old.link.closed, self.owner.ready), (True, [new.link]))

    def test_without_a_listener(self) -> None:
        """The other one is opened when the old one is gone."""
        self.old.link.listener = None
        waiting = self.retire(self.old)
        self.reactor.advance(1)
        self.assertEqual(self.attempts, 1)
        self.old.answer(waiting.stream)
        self.assertTrue(self.old.link.closed)
        self.old.hang_up()
        self.reactor.advance(0)
        self.assertEqual(self.attempts, 2)

    def test_by_the_schedule(self) -> None:
        """A node whose links retire again and again is not connected to without any wait each time."""
        found = []
        peer = self.old
        for _ in range(4):
            waiting = self.retire(peer)
            self.slot.replace()
            due = self.slot.next_attempt
            assert due is not None
            found.append(due - self.reactor.seconds())
            self.reactor.advance(found[-1])
            new = self.make_ready()
            peer.answer(waiting.stream)
            peer.hang_up()
            peer = new
        self.assertEqual(found, [0, 1, 2, 4])

    def test_a_link_that_has_answered(self) -> None:
        """Its schedule begins anew."""
        self.old.hang_up()
        self.reactor.advance(0)
        self.waits(3)
        self.old = self.make_ready()
        request = RecordedRequest()
        self.old.link.send(request)
        self.old.answer(request.stream)
        self.reactor.advance(9)
        self.retire(self.old)
        self.slot.replace()
        self.assertEqual(self.slot.next_attempt, self.reactor.seconds())

    def test_nothing_to_replace(self) -> None:
        """A good link, a link that is not there, a slot that is stopped."""
        self.slot.replace()
        self.assertEqual((self.slot.link, self.slot.retiring), (self.old.link, None))
        self.retire(self.old)
        self.slot.replace()
        self.slot.replace()
        self.reactor.advance(0)
        self.assertEqual(self.attempts, 2)
        self.slot.stopTrying()
        self.slot.replace()
        self.assertIsNone(self.slot.next_attempt)

    def test_the_old_one_is_lost_first(self) -> None:
        """The attempt under way goes on; no second one is made."""
        waiting = self.retire(self.old)
        self.slot.replace()
        self.reactor.advance(0)
        self.old.hang_up()
        self.assertEqual(len(waiting.outcomes), 1)
        self.assertEqual((self.slot.retiring, self.owner.ready), (None, []))
        new = self.make_ready()
        self.assertEqual((self.owner.ready, self.attempts), ([new.link], 2))

    def test_the_new_one_is_lost_first(self) -> None:
        """It is reconnected, beside the old one."""
        self.retire(self.old)
        self.slot.replace()
        self.reactor.advance(0)
        self.make_ready().hang_up()
        self.assertEqual((self.owner.ready, self.old.link.closed), ([self.old.link], False))
        self.reactor.advance(1)
        self.assertEqual(self.attempts, 3)

    def test_one_beside_it_at_most(self) -> None:
        """A second one that retires waits until the first is gone."""
        first = self.retire(self.old)
        self.slot.replace()
        self.reactor.advance(0)
        middle = self.make_ready()
        second = self.retire(middle)
        self.slot.replace()
        self.reactor.advance(60)
        self.assertEqual((self.attempts, self.slot.link), (2, middle.link))
        self.old.answer(first.stream)
        self.assertEqual((self.slot.link, self.slot.retiring), (None, middle.link))
        self.old.hang_up()
        self.reactor.advance(60)
        self.assertEqual(self.attempts, 3)
        last = self.make_ready()
        middle.answer(second.stream)
        self.assertEqual(self.owner.ready, [last.link])

    def test_stopped(self) -> None:
        """It fires when neither connection is left."""
        self.retire(self.old)
        self.slot.replace()
        self.reactor.advance(0)
        new = self.make_ready()
        stopped = outcome(self.slot.stop())
        self.assertTrue(self.old.link.closed and new.link.closed)
        new.hang_up()
        self.assertEqual(stopped, [])
        self.old.hang_up()
        self.assertEqual((stopped, self.reactor.getDelayedCalls()), ([None], []))
        self.reactor.advance(100)
        self.assertEqual(self.attempts, 2)

    def test_stopped_before_the_new_one(self) -> None:
        """While it connects, and while it waits to."""
        for refused in (False, True):
            self.begin()
            self.retire(self.old)
            self.slot.replace()
            self.reactor.advance(0)
            if refused:
                self.refuse()
            stopped = outcome(self.slot.stop())
            self.assertEqual(stopped, [])
            self.old.hang_up()
            self.assertEqual((stopped, self.reactor.getDelayedCalls()), ([None], []))

    def test_snapshot(self) -> None:
        """The retiring one is shown until the other is there."""
        self.retire(self.old)
        self.slot.replace()
        shown = self.slot.snapshot()
        self.assertEqual((shown["state"], shown["next_reconnect"]), ("retiring", 0.0))
        self.assertEqual((shown["sent"], shown["orphans"]), (3, 2))


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
        """The state of the link, and of the attempts to get one."""
        base = {
            "sent": 0,
            "orphans": 0,
            "paused": False,
            "paused_writing": False,
            "paused_reading": False,
            "high": 819,
            "low": 512,
            "request_bytes": 0,
            "attempts": 0,
            "next_reconnect": None,
        }
        self.assertEqual(self.slot.snapshot(), {**base, "state": "connecting"})
        peer = self.make_ready()
        request = RecordedRequest()
        peer.link.send(request)
        request.withdraw()
        self.assertEqual(self.slot.snapshot(), {**base, "state": "open", "sent": 1, "orphans": 1})
        peer.link.pauseProducing()
        self.assertEqual(self.slot.snapshot()["state"], "draining")
        self.assertTrue(self.slot.snapshot()["paused"])
        self.assertTrue(self.slot.snapshot()["paused_writing"])
        peer.hang_up()
        self.reactor.advance(0)
        self.refuse()
        self.reactor.advance(0.25)
        self.assertEqual(
            self.slot.snapshot(), {**base, "state": "connecting", "attempts": 2, "next_reconnect": 0.75}
        )

    def test_repr(self) -> None:
        self.assertEqual(repr(self.slot), f"<CQLClientFactory {NODE} None>")
