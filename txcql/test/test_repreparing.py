"""Tests for :mod:`txcql.session.repreparing`."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

from txcql.errors import InvalidRequest
from txcql.session.repreparing import AT_A_TIME, IN_ALL
from txcql.test.scriptednode import ScriptedNode, ScriptedTestCase, columns
from txcql.wire import constants
from txcql.wire.events import TopologyChange

TEXTS = [f"SELECT k FROM t{number} WHERE k = ?" for number in range(11)]


class RepreparingTests(ScriptedTestCase):
    """Two nodes; the second goes and comes back."""

    def setUp(self) -> None:
        ScriptedTestCase.setUp(self)
        self.one, self.two = self.node("10.0.0.1"), self.node("10.0.0.2")
        for node in (self.one, self.two):
            self.teach(node)

    @staticmethod
    def teach(node: ScriptedNode) -> None:
        for text in TEXTS:
            node.teach(text, parameters=columns(k="int"), columns=columns(k="int"))

    def prepare(self, **settings: Any) -> None:
        """Connect, prepare, and let the second node go."""
        session = self.connect(**settings)
        for text in TEXTS:
            self.answer(session.prepare(text))
        self.two.stop()
        self.reactor.settle()
        self.two.requests.clear()
        self.two.prepared.clear()

    def come_back(self) -> None:
        self.two.refusing = False
        self.reactor.advance(1.0)
        self.reactor.settle()

    def told(self) -> list[str]:
        """What the second node was asked to prepare."""
        return [asked.request.text for asked in self.two.asked_for(constants.PREPARE)]

    def test_node_comes_back(self) -> None:
        """It is told every statement, those first that were used last."""
        self.prepare()
        self.come_back()
        self.assertEqual(self.told(), TEXTS[::-1])
        self.assertEqual(self.one.asked_for(constants.PREPARE)[len(TEXTS) :], [])

    def test_a_few_at_a_time(self) -> None:
        """The next is told when one is answered; requests do not wait for it."""
        self.prepare()
        self.two.holds = lambda asked: asked.opcode == constants.PREPARE
        self.come_back()
        self.assertEqual(len(self.told()), AT_A_TIME)
        self.two.release(1)
        self.reactor.settle()
        self.assertEqual(len(self.told()), AT_A_TIME + 1)
        while self.two.held:
            self.assertLessEqual(len(self.two.held), AT_A_TIME)
            self.two.release(1)
            self.reactor.settle()
        self.assertEqual(len(self.told()), len(TEXTS))

    def test_many_nodes(self) -> None:
        """However many nodes come up together, so many are under way and no more; all are told all."""
        others = [self.node(f"10.0.1.{digit}") for digit in range(20)]
        for node in others:
            self.teach(node)
        self.prepare()
        for node in others:
            node.stop()
        self.reactor.settle()
        for node in others:
            node.requests.clear()
            node.refusing = False
            node.holds = lambda asked: asked.opcode == constants.PREPARE
        self.reactor.advance(1.0)
        self.reactor.settle()
        most = 0
        while held := [node for node in others if node.held]:
            most = max(most, sum(len(node.held) for node in held))
            held[0].release(1)
            self.reactor.settle()
        self.assertEqual(most, IN_ALL)
        for node in others:
            self.assertEqual(len(node.asked_for(constants.PREPARE)), len(TEXTS))

    def test_once_for_a_request_as_well(self) -> None:
        """A request that comes before its statement waits for it, and it is not told twice."""
        self.prepare()
        assert self.session is not None
        self.two.holds = lambda asked: asked.opcode == constants.PREPARE
        self.come_back()
        self.one.stop()
        self.reactor.settle()
        waiting = self.session.execute(TEXTS[-1], [1])
        self.reactor.settle()
        self.assertNoResult(waiting)
        while self.two.held:
            self.two.release()
            self.reactor.settle()
        self.answer(waiting)
        self.assertEqual(sorted(self.told()), sorted(TEXTS))

    def test_refused(self) -> None:
        """A statement that it refuses does not keep it from hearing the others."""
        self.prepare()
        del self.two.statements[TEXTS[-1]]
        self.come_back()
        self.assertEqual(len(self.told()), len(TEXTS))
        self.assertEqual(len(self.two.prepared), len(TEXTS) - 1)
        assert self.session is not None
        self.one.stop()
        self.reactor.settle()
        self.error(self.session.execute(TEXTS[-1], [1]), InvalidRequest)

    def test_lost_meanwhile(self) -> None:
        """A node that goes again is told nothing more; when it is back, it is told all of it."""
        self.prepare()
        self.two.holds = lambda asked: asked.opcode == constants.PREPARE
        self.come_back()
        self.two.stop()
        self.two.held.clear()
        self.two.holds = lambda asked: False
        self.two.requests.clear()
        self.reactor.settle()
        self.two.refusing = False
        self.reactor.pump([1.0] * 5)
        self.assertEqual(self.told(), TEXTS[::-1])

    def test_closed_meanwhile(self) -> None:
        """Nothing of it is left when the session is closed."""
        self.prepare()
        self.two.holds = lambda asked: asked.opcode == constants.PREPARE
        self.come_back()
        assert self.session is not None
        self.answer(self.session.close())
        self.assert_nothing_left()

    def test_other_keyspace_below_v5(self) -> None:
        """Below v5 a statement can be prepared only in the keyspace that the links are in."""
        self.prepare(protocol_version=4, keyspace="ks")
        assert self.session is not None
        self.answer(self.session.set_keyspace("other"))
        self.two.requests.clear()
        self.come_back()
        self.assertEqual(self.told(), [])

    def test_new_node(self) -> None:
        """A node that joins is told as well; without statements there is nothing to tell."""
        session = self.connect()
        self.assertEqual(self.told(), [])
        for text in TEXTS:
            self.answer(session.prepare(text))
        three = self.node("10.0.0.3")
        self.teach(three)
        self.one.tell(TopologyChange("NEW_NODE", ip_address("10.0.0.3"), 9042))
        self.reactor.advance(1.0)
        self.reactor.settle()
        self.assertEqual(len(three.asked_for(constants.PREPARE)), len(TEXTS))
