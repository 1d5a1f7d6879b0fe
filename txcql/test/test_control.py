"""Tests for :mod:`txcql.cluster.control`: the control connection."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from zope.interface import implementer

from txcql.cluster.control import ControlConnection
from txcql.interfaces import IReconnectionPolicy
from txcql.policies.reconnection import ConstantReconnectionPolicy
from txcql.test.scriptednode import ScriptedNode, ScriptedTestCase


class ControlTestCase(ScriptedTestCase):
    """Three nodes; the control connection begins at the first."""

    def setUp(self) -> None:
        ScriptedTestCase.setUp(self)
        self.cluster = [self.node(f"10.0.0.{digit}") for digit in (1, 2, 3)]
        self.one, self.two, self.three = self.cluster

    def connect(self, *points: Any, **settings: Any) -> Any:
        session = ScriptedTestCase.connect(self, *points, **settings)
        self.control: ControlConnection = session._view._watch.control
        return session

    def where(self) -> str | None:
        """The node that the control link leads to."""
        link = self.control.link
        return link.node if link is not None else None

    def control_link(self, node: ScriptedNode) -> Any:
        assert self.control.link is not None
        return self.control.link.transport


class MoveTests(ControlTestCase):
    """The link is lost."""

    def test_to_the_next_node(self) -> None:
        """It moves on at once, to another node than the one that dropped it."""
        self.connect()
        self.assertEqual(self.where(), "10.0.0.1:9042")
        self.one.links[0].drop()
        self.reactor.settle()
        self.assertEqual(self.where(), "10.0.0.2:9042")
        self.assertEqual([len(node.links) for node in self.cluster], [1, 2, 1])
        self.assertEqual(self.reactor.seconds(), 0)

    def test_past_those_that_refuse(self) -> None:
        """A node that cannot be reached costs no time."""
        self.connect()
        self.one.stop()
        self.two.stop()
        self.reactor.settle()
        self.assertEqual(self.where(), "10.0.0.3:9042")
        self.assertEqual(self.reactor.seconds(), 0)

    def test_back_to_the_only_one(self) -> None:
        """If there is no other, it comes back to the one that it was lost at."""
        self.connect()
        self.two.stop()
        self.three.stop()
        self.one.links[0].drop()
        self.reactor.settle()
        self.assertEqual(self.where(), "10.0.0.1:9042")

    def test_other_datacenters(self) -> None:
        """Nodes elsewhere come last, but they do."""
        far = self.node("10.1.0.1", datacenter="dc2")
        self.connect()
        for node in self.cluster:
            node.stop()
        self.reactor.settle()
        self.assertEqual(self.where(), "10.1.0.1:9042")
        self.assertEqual(len(far.links), 1)

    def test_contact_points_again(self) -> None:
        """When no known node answers, names are looked up again: they may lead elsewhere now."""
        self.reactor.names["db.example"] = ["10.0.0.1"]
        self.connect("db.example")
        for node in self.cluster:
            node.stop()
        new = ScriptedNode(self.reactor, "10.0.5.1")
        self.reactor.nodes["10.0.5.1", 9042] = new
        self.reactor.names["db.example"] = ["10.0.5.1"]
        self.reactor.settle()
        self.assertEqual(self.where(), "10.0.5.1:9042")
        assert self.session is not None
        self.assertEqual(list(self.session.snapshot()["nodes"]), ["10.0.5.1:9042"])

    def test_node_that_does_not_know_itself(self) -> None:
        """It is left again, for the next one."""
        self.connect()
        self.two._system = lambda asked, text: asked.void()  # type: ignore[method-assign]
        self.one.links[0].drop()
        self.reactor.settle()
        self.assertEqual(self.where(), "10.0.0.3:9042")
        self.assertEqual([len(node.links) for node in self.cluster], [1, 1, 2])

    def test_slow_node(self) -> None:
        """A node that does not answer holds up the next one for a second; then it is left."""
        self.connect()
        self.two._system = lambda asked, text: None  # type: ignore[method-assign]
        self.one.links[0].drop()
        self.reactor.settle()
        self.assertIsNone(self.where())
        self.reactor.advance(1.0)
        self.reactor.settle()
        self.assertEqual(self.where(), "10.0.0.3:9042")
        self.assertEqual([len(node.links) for node in self.cluster], [1, 1, 2])

    def test_frozen_node(self) -> None:
        """A node that hangs while there is nothing to ask is found out by its heartbeat."""
        self.connect()
        self.one.frozen = True
        for _ in range(34):
            self.reactor.advance(1.0)
        self.assertEqual(self.where(), "10.0.0.1:9042")
        self.reactor.pump([1.0] * 2)
        self.assertEqual(self.where(), "10.0.0.2:9042")

    def test_silent_contact_point(self) -> None:
        """The next contact point has its turn a second later; the first is left then."""
        self.one.silent = True
        connecting = self.connecting("10.0.0.1", "10.0.0.2", max_connections_local=1)
        self.reactor.advance(0.9)
        self.assertEqual(self.two.accepted, 0)
        self.reactor.advance(0.1)
        self.reactor.settle()
        self.assertEqual(self.two.accepted, 2)
        self.reactor.advance(2.0)
        self.session = self.answer(connecting)
        self.control = self.session._view._watch.control
        self.assertEqual(self.where(), "10.0.0.2:9042")

    def test_version_stays(self) -> None:
        """What was negotiated is spoken for good; a node that does not speak it is passed over."""
        self.connect()
        self.two.versions = (3, 4)
        self.one.links[0].drop()
        self.reactor.settle()
        self.assertEqual((self.where(), self.control.version), ("10.0.0.3:9042", 5))

    def test_repr(self) -> None:
        """Where it is, and how."""
        self.connect()
        self.assertRegex(repr(self.control), "<ControlConnection v5 <CQLProtocol 10.0.0.1:9042 v5 open .*>>")


class BackOffTests(ControlTestCase):
    """No node can be reached: it waits between rounds."""

    def rounds(self, seconds: float) -> list[float]:
        """When rounds began, to the quarter of a second."""
        times = []
        for quarter in range(1, int(seconds * 4) + 1):
            del self.reactor.dialled[:]
            self.reactor.advance(0.25)
            if self.reactor.dialled:
                times.append(quarter / 4)
        return times

    def down(self, **settings: Any) -> None:
        """All nodes go; the first round, at once, has failed."""
        self.connect(**settings)
        assert self.session is not None
        # The pools try as well: without them, whatever is dialled is dialled by the control connection.
        for pool in self.session.pools.values():
            pool.close()
        for node in self.cluster:
            node.stop()
        self.reactor.settle()
        self.reactor.settle()
        self.assertIsNone(self.where())

    def test_schedule(self) -> None:
        """0, 1, 2, 4 … 60, 60 s, each counted from the end of the round before."""
        self.down()
        self.assertEqual(self.rounds(250), [1, 3, 7, 15, 31, 63, 123, 183, 243])
        self.finish()

    def test_policy(self) -> None:
        """Any other schedule is the policy's."""
        self.down(reconnection=ConstantReconnectionPolicy(2.5))
        self.assertEqual(self.rounds(10), [2.5, 5, 7.5, 10])
        self.finish()

    def test_anew(self) -> None:
        """When a link has been there for ten seconds, the schedule begins anew."""
        self.down()
        self.rounds(10)
        self.three.refusing = False
        self.rounds(16)
        self.assertEqual(self.where(), "10.0.0.3:9042")
        self.three.stop()
        self.reactor.settle()
        self.assertEqual(self.rounds(8), [1, 3, 7])
        self.finish()

    def test_lost_again_and_again(self) -> None:
        """A node that takes the link and drops it is not hammered."""
        self.down()
        self.three.refusing = False
        times = []
        for quarter in range(1, 200):
            accepted = self.three.accepted
            self.reactor.advance(0.25)
            if self.three.accepted > accepted:
                times.append(quarter / 4)
                self.assertEqual(self.where(), "10.0.0.3:9042")
                self.three.links[0].drop()
                self.reactor.settle()
        self.assertEqual(times, [1, 3, 7, 15, 31])
        self.finish()

    def test_a_node_is_back(self) -> None:
        """When a pool has a link, the control connection does not wait any longer."""
        self.connect()
        for node in self.cluster:
            node.stop()
        self.reactor.settle()
        for _ in range(40):
            self.reactor.advance(1)
        self.assertIsNone(self.where())
        self.assertEqual(self.control._call.getTime(), 63)  # type: ignore[union-attr]
        self.two.refusing = False
        assert self.session is not None
        self.session._view._manager.hint_up(self.session.nodes[1])
        self.reactor.settle()
        self.assertEqual(self.where(), "10.0.0.2:9042")
        self.assertEqual(self.reactor.seconds(), 40)

    def test_schedule_that_ends(self) -> None:
        """A policy whose schedule ends does not end the attempts."""

        @implementer(IReconnectionPolicy)
        class Short:
            def delays(self) -> Iterator[float]:
                return iter([0.0, 1.0])

        self.down(reconnection=Short())
        self.assertEqual(self.rounds(130), [1, 61, 121])
        self.finish()

    def finish(self) -> None:
        """Close what is left: the pools are closed already."""
        closing = self.control.close()
        self.reactor.settle()
        self.successResultOf(closing)
        self.session = None


class CloseTests(ControlTestCase):
    """Closed in the middle of a round: no further attempt, nothing left."""

    def close(self) -> None:
        assert self.session is not None
        dialled = len(self.reactor.dialled)
        self.answer(self.session.close())
        self.assert_nothing_left()
        self.assertEqual(len(self.reactor.dialled), dialled)

    def test_waiting(self) -> None:
        """Between two rounds."""
        self.connect()
        for node in self.cluster:
            node.stop()
        self.reactor.settle()
        self.close()

    def test_lost_just_now(self) -> None:
        """In the turn in which the link was lost."""
        self.connect()
        link = self.control.link
        assert link is not None
        link.close()
        self.close()

    def test_connecting(self) -> None:
        """While TCP connects; names are not looked up any more."""
        self.reactor.names["db.example"] = ["10.0.0.1"]
        self.connect("db.example")
        for node in self.cluster:
            node.stop()
            node.refusing, node.silent = False, True
        self.reactor.settle()
        self.close()

    def test_shaking_hands(self) -> None:
        """In the handshake."""
        self.connect()
        self.two.frozen = True
        self.one.links[0].drop()
        self.reactor.settle()
        self.close()

    def test_looking_up(self) -> None:
        """While a name is looked up."""
        self.reactor.names["db.example"] = ["10.0.0.1"]
        self.connect("db.example")
        self.reactor.slow_names = True
        for node in self.cluster:
            node.stop()
        self.reactor.settle()
        self.close()

    def test_reading(self) -> None:
        """While it reads the topology."""
        self.connect()
        self.two._system = lambda asked, text: None  # type: ignore[method-assign]
        self.one.links[0].drop()
        self.reactor.settle()
        self.close()
