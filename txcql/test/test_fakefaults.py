"""What a session makes of each fault, on the fake cluster of :mod:`txcql.testing`."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError
from twisted.python.failure import Failure

from txcql import errors
from txcql.policies.reconnection import ConstantReconnectionPolicy
from txcql.test.learningsession import READ, WRITE, LearningSessionTestCase
from txcql.testing import BadChecksum, Close, Delay, Drop, Reorder, Reset, Split, Unprepare, WrongStream

FAST = {"read_timeout": 0.5, "request_timeout": 2.0, "reconnection": ConstantReconnectionPolicy(0.1)}


class OneNodeTests(LearningSessionTestCase):
    """There is no other node: a fault is an error, and what follows is answered again."""

    nodes = 1

    def setUp(self) -> None:
        super().setUp()
        self.open(**FAST)

    def write(self, **options: Any) -> Any:
        """Write a row; its result, or the error."""
        return self.run_(self.session.execute(WRITE, [2, "two"], **options).addErrback(_value))

    def assert_serves(self) -> None:
        self.reactor.advance(0.2)
        self.assertEqual(self.read().one(), ("one",))

    def test_no_answer(self) -> None:
        """The attempt is given up after the read timeout; it may have been carried out."""
        self.cluster.inject(Drop(), times=1)
        begun = self.reactor.seconds()
        error = self.write()
        self.assertIsInstance(error, errors.RequestTimeout)
        self.assertEqual((error.delivery, error.deadline), ("sent", False))
        self.assertAlmostEqual(self.reactor.seconds() - begun, 0.5, delta=0.1)
        [link] = self.session.snapshot()["nodes"][self.name(self.cluster.nodes[0])]["connections"]
        self.assertEqual(link["orphans"], 1)
        self.assert_serves()

    def test_a_late_answer_reaches_nobody(self) -> None:
        """It frees its stream, and the next request gets its own answer."""
        self.cluster.inject(Delay(1.0), times=1)
        self.assertIsInstance(self.write(), errors.RequestTimeout)
        self.assertEqual(self.read().one(), ("one",))
        self.reactor.advance(1.0)
        self.reactor.settle()
        [link] = self.session.snapshot()["nodes"][self.name(self.cluster.nodes[0])]["connections"]
        self.assertEqual((link["orphans"], link["sent"]), (0, 0))

    def test_the_deadline(self) -> None:
        """Of all attempts together."""
        self.cluster.inject(Drop())
        error = self.read(timeout=0.3)
        self.assertIsInstance(error, errors.RequestTimeout)
        self.assertTrue(error.deadline)
        self.cluster.clear()
        self.assert_serves()

    def test_lost_links(self) -> None:
        """Closed or reset under a request: nobody knows whether it was carried out."""
        for fault in (Close(), Reset()):
            with self.subTest(fault=fault):
                self.cluster.inject(fault, times=1)
                error = self.write()
                self.assertIsInstance(error, errors.ConnectionLost)
                self.assertEqual(error.delivery, "unknown")
                self.assert_serves()

    def test_broken_protocol(self) -> None:
        """A wrong checksum, and an answer that nobody waits for: the link is closed, and says why."""
        for fault, text in ((BadChecksum(), "CRC"), (WrongStream(), "which no request has")):
            with self.subTest(fault=fault):
                self.cluster.inject(fault, times=1)
                error = self.write()
                self.assertIsInstance(error, errors.CQLError)
                self.assertIn(text, str(error))
                self.assert_serves()
        self.assertEqual(len(self.flushLoggedErrors(errors.ProtocolError)), 0)

    def test_pieces(self) -> None:
        """An answer that comes byte by byte is one answer."""
        self.cluster.inject(Split(1))
        self.assertEqual(self.read().one(), ("one",))

    def test_order(self) -> None:
        """Answers in another order reach whom they belong to."""
        self.run_(self.session.execute_many(WRITE, [[k, str(k)] for k in range(10, 15)]))
        self.cluster.inject(Reorder(5))
        asked = [self.session.execute(READ, [k]) for k in range(10, 15)]
        self.assertEqual([self.run_(one).one().v for one in asked], ["10", "11", "12", "13", "14"])

    def test_forgotten_statements(self) -> None:
        """The node is told them again, once, and nobody notices."""
        self.cluster.inject(Unprepare(), times=1)
        self.cluster.requests.clear()
        self.assertEqual(self.read().one(), ("one",))
        self.assertEqual([asked.kind for asked in self.cluster.requests], ["EXECUTE", "PREPARE", "EXECUTE"])

    def test_errors_of_the_server(self) -> None:
        """Each is its own class, with what the server says."""
        for error in (
            errors.WriteTimeout(
                "slow", consistency="ONE", received=0, required=1, write_type="SIMPLE", contentions=None
            ),
            errors.Unavailable("too few", consistency="ONE", required=1, alive=0),
            errors.InvalidRequest("no"),
        ):
            self.cluster.inject(error, times=1)
            found = self.write()
            self.assertIs(type(found), type(error))
            self.assertEqual(str(found), str(error))
        self.assert_serves()

    def test_a_node_that_hangs(self) -> None:
        """The heartbeat finds it out; when it goes on, so does the session."""
        [node] = self.cluster.nodes
        node.pause_reading()
        self.assertIsInstance(self.read(), errors.RequestTimeout)
        for _ in range(2):
            self.reactor.advance(31.0)
            self.reactor.settle()
        self.assertEqual(self.session.snapshot()["nodes"][self.name(node)]["state"], "down")
        self.assertIsInstance(self.read(), errors.CQLError)
        node.resume_reading()
        self.reactor.advance(6.0)
        self.assert_serves()

    def test_a_node_that_is_gone(self) -> None:
        """Requests fail at once, not sent; it is connected to again by the schedule."""
        [node] = self.cluster.nodes
        node.stop()
        begun = self.reactor.seconds()
        error = self.write()
        self.assertEqual(error.delivery, "not sent")
        self.assertEqual(self.reactor.seconds(), begun)
        node.start()
        self.assert_serves()

    def test_cancelled(self) -> None:
        """It ends at once; the answer that comes later is dropped."""
        self.cluster.inject(Delay(0.3), times=1)
        outcomes: list[Any] = []
        asked = self.session.execute(READ, [1])
        asked.addBoth(outcomes.append)
        self.reactor.settle()
        asked.cancel()
        self.assertIsInstance(outcomes[0], Failure)
        outcomes[0].trap(CancelledError)
        self.reactor.advance(0.4)
        self.assert_serves()


class TwoNodesTests(LearningSessionTestCase):
    """What one node cannot do, the other does: an idempotent request does not notice."""

    def setUp(self) -> None:
        super().setUp()
        self.open(**FAST)

    def test_the_other_node(self) -> None:
        """After each fault that may pass, a read is answered by the other."""
        for fault in (Drop(), Close(), Reset(), errors.Overloaded("busy"), errors.IsBootstrapping("new")):
            with self.subTest(fault=fault):
                rule = self.cluster.inject(fault, times=1)
                result = self.read()
                self.assertEqual(result.one(), ("one",))
                [failed] = rule.requests
                self.assertNotEqual(result.coordinator, failed.node)
                self.reactor.advance(0.2)

    def test_writes_are_not_repeated(self) -> None:
        """Unless they are said to be idempotent."""
        self.cluster.inject(Close(), times=1)
        error = self.run_(self.session.execute(WRITE, [3, "x"]).addErrback(_value))
        self.assertEqual(error.delivery, "unknown")
        self.reactor.advance(0.2)
        self.cluster.inject(Close(), times=1)
        self.run_(self.session.execute(WRITE, [3, "x"], idempotent=True))

    def test_one_goes_and_comes(self) -> None:
        """Its requests go to the other meanwhile; it is used again when it is back."""
        gone, left = self.cluster.nodes
        gone.stop()
        self.assertEqual(set(self.read_often(10)), {self.name(left)})
        gone.start()
        self.reactor.advance(0.5)
        self.assertEqual(set(self.read_often(10)), {self.name(gone), self.name(left)})


def _value(failure: Failure) -> Any:
    return failure.value
