"""Tests for :mod:`txcql.pool.connectlimit`."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionRefusedError, TimeoutError as ConnectTimeoutError
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from txcql.pool.connectlimit import ConnectLimit
from txcql.test.scriptednode import ScriptedTestCase


@implementer(IStreamClientEndpoint)
class Slow:
    """Connects when it is told to."""

    def __init__(self) -> None:
        self.attempts: list[Deferred[Any]] = []

    def connect(self, protocolFactory: Any) -> Deferred[Any]:
        attempt: Deferred[Any] = Deferred()
        self.attempts.append(attempt)
        return attempt

    def __repr__(self) -> str:
        return "<Slow>"


class ConnectLimitTests(SynchronousTestCase):
    """Two at the same time, five seconds each."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.slow = Slow()
        self.endpoint = ConnectLimit(self.clock, 2, 5.0).endpoint(self.slow)

    def connect(self, count: int) -> list[Deferred[Any]]:
        return [self.endpoint.connect(Factory()) for _ in range(count)]

    def test_interface(self) -> None:
        """It is an endpoint like the one within."""
        verifyObject(IStreamClientEndpoint, self.endpoint)
        self.assertEqual(repr(self.endpoint), "<LimitedEndpoint <Slow>>")

    def test_in_turn(self) -> None:
        """Whoever comes first begins first; success or failure, the next has its turn."""
        waiting = self.connect(4)
        self.assertEqual(len(self.slow.attempts), 2)
        protocol = Protocol()
        self.slow.attempts[1].callback(protocol)
        self.assertIs(self.successResultOf(waiting[1]), protocol)
        self.assertEqual(len(self.slow.attempts), 3)
        self.slow.attempts[0].errback(ConnectionRefusedError())
        self.failureResultOf(waiting[0], ConnectionRefusedError)
        self.assertEqual(len(self.slow.attempts), 4)

    def test_cancelled_while_it_waits(self) -> None:
        """It has lost its turn; the others have not."""
        waiting = self.connect(4)
        waiting[2].cancel()
        self.failureResultOf(waiting[2], CancelledError)
        self.slow.attempts[0].callback(Protocol())
        self.slow.attempts[1].callback(Protocol())
        self.slow.attempts[2].callback(Protocol())
        self.successResultOf(waiting[3])

    def test_cancelled_while_it_connects(self) -> None:
        """The endpoint is told, and the next has its turn."""
        waiting = self.connect(3)
        waiting[0].cancel()
        self.failureResultOf(waiting[0], CancelledError)
        self.assertTrue(self.slow.attempts[0].called)
        self.assertEqual(len(self.slow.attempts), 3)

    def test_time(self) -> None:
        """The time of an attempt begins with its turn."""
        waiting = self.connect(3)
        self.clock.advance(5)
        for late in waiting[:2]:
            self.failureResultOf(late, ConnectTimeoutError)
        self.assertEqual(len(self.slow.attempts), 3)
        self.clock.advance(4.9)
        self.assertNoResult(waiting[2])
        self.slow.attempts[2].callback(Protocol())
        self.successResultOf(waiting[2])
        self.assertEqual(self.clock.getDelayedCalls(), [])


class SessionTests(ScriptedTestCase):
    """The limit is the session's, over all nodes."""

    def test_one_after_another(self) -> None:
        """With a limit of one, no node is dialled before the one before has answered."""
        nodes = [self.node(f"10.0.0.{number}") for number in (1, 2, 3)]
        for node in nodes[1:]:
            node.silent = True
        connecting = self.connecting(
            core_connections=1, max_concurrent_connects=1, max_connections_local=1, connect_timeout=1.0
        )
        # The control connection, and the first link: the second node does not answer.
        self.assertEqual(len(self.reactor.dialled), 3)
        self.reactor.advance(1.0)
        self.reactor.settle()
        self.assertEqual(len(self.reactor.dialled), 4)
        self.reactor.advance(1.0)
        self.reactor.settle()
        self.session = self.successResultOf(connecting)
        states = [node["state"] for node in self.session.snapshot()["nodes"].values()]
        self.assertEqual(sorted(states), ["down", "down", "up"])

    def test_closed_while_it_waits(self) -> None:
        """Attempts that wait for their turn are given up."""
        for number in (1, 2, 3):
            self.node(f"10.0.0.{number}", silent=number > 1)
        self.connecting(max_concurrent_connects=1).addErrback(lambda _: None).cancel()
        self.assert_nothing_left()
