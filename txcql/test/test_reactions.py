"""Primed answers and faults, as a session sees them; and what the cluster has noted."""

from __future__ import annotations

import re
from typing import Any

from twisted.internet.defer import gatherResults
from twisted.trial.unittest import SynchronousTestCase

import txcql
from txcql import errors
from txcql.testing import (
    BadChecksum,
    Close,
    Delay,
    Drop,
    FakeCluster,
    MemoryReactor,
    Reorder,
    Reset,
    Rows,
    Split,
    Unprepare,
    Void,
    WrongStream,
)

READ = "SELECT v FROM ks.t WHERE k = ?"
WRITE = "INSERT INTO ks.t (k, v) VALUES (?, ?)"


class ReactionTestCase(SynchronousTestCase):
    """A node with a table and one row, and a session."""

    settings: dict[str, Any] = {}  # noqa: RUF012

    def setUp(self) -> None:
        self.reactor = MemoryReactor()
        self.cluster = FakeCluster(self.reactor)
        self.run_(self.cluster.listen())
        self.session = self.run_(txcql.connect(self.reactor, self.cluster.contact_points, **self.settings))
        replication = "{'class': 'SimpleStrategy', 'replication_factor': 1}"
        self.run_(self.session.execute(f"CREATE KEYSPACE ks WITH replication = {replication}"))
        self.run_(self.session.execute("CREATE TABLE ks.t (k int PRIMARY KEY, v text)"))
        self.run_(self.session.execute(WRITE, [1, "one"]))
        self.run_(self.session.execute(READ, [1]))
        self.cluster.requests.clear()
        self.addCleanup(lambda: self.run_(self.session.close()))

    def run_(self, result: Any) -> Any:
        return self.reactor.run(result)

    def read(self) -> Any:
        return self.run_(self.session.execute(READ, [1])).one().v

    def took(self, work: Any) -> float:
        start = self.reactor.seconds()
        work()
        return self.reactor.seconds() - start


class FaultTests(ReactionTestCase):
    """Each fault, once."""

    def test_delay(self) -> None:
        """The answer comes later."""
        self.cluster.inject(Delay(1.5), times=1)
        self.assertEqual(self.took(lambda: self.assertEqual(self.read(), "one")), 1.5)
        self.assertEqual(self.took(self.read), 0)

    def test_drop(self) -> None:
        """The driver waits for its read timeout; no other node can be asked."""
        rule = self.cluster.inject(Drop(), times=1)
        self.assertEqual(self.took(lambda: self.assertRaises(errors.RequestTimeout, self.read)), 5)
        self.assertEqual(self.read(), "one")
        self.assertEqual(len(rule.requests), 1)

    def test_close_and_reset(self) -> None:
        """The link is lost; what may be repeated is repeated, what may not fails."""
        for fault in (Close(), Reset()):
            self.cluster.inject(fault, times=1)
            self.assertRaises(
                (errors.ConnectionLost, errors.NoNodeAvailable),
                self.run_,
                self.session.execute(WRITE, [1, "one"]),
            )
            self.reactor.advance(2)
            self.assertEqual(self.read(), "one")

    def test_split(self) -> None:
        """However the bytes are cut, the answer is the same."""
        for size in (1, 3, 50):
            self.cluster.inject(Split(size), times=1)
            self.assertEqual(self.read(), "one")

    def test_bad_checksum_and_wrong_stream(self) -> None:
        """Both break the protocol."""
        for fault, sentence in ((BadChecksum(), "CRC32"), (WrongStream(), "which no request has")):
            self.cluster.inject(fault, times=1)
            error = self.assertRaises(errors.CQLError, self.run_, self.session.execute(WRITE, [1, "one"]))
            self.assertIn(sentence, str(error))
            self.reactor.advance(5)

    def test_reorder(self) -> None:
        """Answers overtake each other, and each reaches its own request."""
        for k in range(2, 6):
            self.run_(self.session.execute(WRITE, [k, str(k)]))
        done: list[int] = []
        self.cluster.inject(Reorder(4), times=4)

        def arrived(result: Any, k: int) -> None:
            done.append(k)
            self.assertEqual(result.one().v, str(k))

        asked = [self.session.execute(READ, [k]).addCallback(arrived, k) for k in range(2, 6)]
        self.run_(gatherResults(asked))
        self.assertEqual(done, [5, 4, 3, 2])

    def test_reorder_gives_up_waiting(self) -> None:
        """If no more requests come, what is there is given."""
        self.cluster.inject(Reorder(4, seconds=0.5), times=1)
        self.assertEqual(self.took(self.read), 0.5)

    def test_unprepare(self) -> None:
        """As after a restart: the driver prepares again."""
        self.cluster.inject(Unprepare(), times=1)
        self.assertEqual(self.read(), "one")
        kinds = [request.kind for request in self.cluster.requests.matching(READ)]
        self.assertEqual(kinds, ["EXECUTE", "PREPARE", "EXECUTE"])

    def test_errors_of_the_server(self) -> None:
        """Every class of them."""
        for error in (
            errors.Unavailable("x", consistency="ONE", required=1, alive=0),
            errors.WriteTimeout(
                "x", consistency="ONE", received=0, required=1, write_type="SIMPLE", contentions=None
            ),
            errors.InvalidRequest("x"),
            errors.Unauthorized("x"),
            errors.CQLSyntaxError("x"),
        ):
            rule = self.cluster.inject(error)
            found = self.assertRaises(type(error), self.run_, self.session.execute(WRITE, [1, "one"]))
            self.assertEqual(str(found), "x")
            rule.remove()
        self.assertEqual(self.read(), "one")

    def test_sequences_and_combinations(self) -> None:
        """Each request takes the next; a list belongs together."""
        refused = errors.InvalidRequest("no")
        self.cluster.inject([Delay(1), refused], refused, [Delay(2)])

        def attempt() -> None:
            self.assertRaises(errors.InvalidRequest, self.run_, self.session.execute(READ, [1]))

        self.assertEqual([self.took(attempt), self.took(attempt)], [1, 0])
        self.assertEqual([self.took(self.read), self.took(self.read)], [2, 2])

    def test_chance_with_a_seed(self) -> None:
        """The same seed meets the same requests."""

        def met(seed: int) -> list[float]:
            rule = self.cluster.inject(Delay(1), probability=0.5, seed=seed)
            found = [self.took(self.read) for _ in range(20)]
            rule.remove()
            return found

        self.assertEqual(met(7), met(7))
        self.assertNotEqual(met(7), met(8))
        self.assertTrue(0 < sum(met(7)) < 20)

    def test_wrong_rules(self) -> None:
        """What makes no sense is refused at once."""
        self.assertRaises(ValueError, self.cluster.inject)
        self.assertRaises(ValueError, self.cluster.inject, Drop(), probability=2.0)
        self.assertRaises(TypeError, self.cluster.inject, "drop")
        self.assertRaises(TypeError, self.cluster.inject, Drop(), match=5)
        self.assertRaises(errors.EncodeError, self.cluster.prime, "x", Rows([("a", "int")], [["text"]]))

    def test_the_drivers_own_questions_are_spared(self) -> None:
        """A fault that names no statement does not meet what the driver asks of the system tables."""
        self.cluster.inject(Drop())
        rows = self.run_(self.session.execute("SELECT cluster_name FROM system.local"))
        self.assertEqual(rows.one().cluster_name, "txcql.testing")


class FaultsBelowVersion5Tests(ReactionTestCase):
    """Protocol v4."""

    settings = {"protocol_version": 4}  # noqa: RUF012

    def test_no_checksums(self) -> None:
        """A bad checksum cannot be sent; the answer says so."""
        self.cluster.inject(BadChecksum(), times=1)
        # An idempotent read would be retried.
        error = self.assertRaises(errors.CQLError, self.run_, self.session.execute(WRITE, [1, "one"]))
        self.assertIn("needs protocol v5", str(error))
        self.assertEqual(self.read(), "one")


class PrimedAnswerTests(ReactionTestCase):
    """Answers of one's own."""

    def test_a_statement_that_the_fake_cannot_read(self) -> None:
        """By its text, whatever its space; with parameters if it says what they are."""
        text = "SELECT a + 1 FROM ks.t WHERE k = ?"
        self.assertRaises(errors.InvalidRequest, self.run_, self.session.execute(text, [1]))
        columns = [("n", "int"), ("m", "map<text, int>")]
        rows = Rows(columns, [[1, {"a": 2}], [3, None]], parameters=[("k", "int")])
        rule = self.cluster.prime("SELECT a + 1\n  FROM ks.t WHERE k = ?;", rows)
        found = self.run_(self.session.execute(text, [5])).all()
        self.assertEqual([tuple(row) for row in found], [(1, {"a": 2}), (3, None)])
        self.assertEqual([request.values for request in rule.requests], [[5]])

    def test_patterns_and_functions(self) -> None:
        """Whichever fits; the newest rule goes first."""
        self.cluster.prime(re.compile("FROM ks.t"), Rows([("v", "text")], [["pattern"]]))
        self.assertEqual(self.read(), "pattern")
        self.cluster.prime(lambda request: request.values == [1], Rows([("v", "text")], [["function"]]))
        self.assertEqual(self.read(), "function")
        self.cluster.clear()
        self.assertEqual(self.read(), "one")

    def test_a_few_times(self) -> None:
        """Then it is as usual."""
        self.cluster.prime(READ, Rows([("v", "text")], [["primed"]]), times=2)
        self.assertEqual([self.read() for _ in range(3)], ["primed", "primed", "one"])

    def test_void_and_warnings(self) -> None:
        """Nothing, and warnings."""
        self.cluster.prime("GRANT SELECT ON ks.t TO somebody", Void())
        self.run_(self.session.execute("GRANT SELECT ON ks.t TO somebody"))
        self.cluster.prime(READ, Rows([("v", "text")], warnings=["careful"]))
        self.assertEqual(list(self.run_(self.session.execute(READ, [1])).warnings), ["careful"])


class RequestLogTests(ReactionTestCase):
    """What was received."""

    def test_statements(self) -> None:
        """Texts, values, levels."""
        self.run_(self.session.execute(WRITE, [2, "two"], consistency="QUORUM", timestamp=5))
        [request] = self.cluster.requests.assert_received(WRITE)
        self.assertEqual((request.kind, request.values), ("EXECUTE", [2, "two"]))
        self.assertEqual((request.consistency, request.timestamp), ("QUORUM", 5))
        self.assertEqual(request.at, self.reactor.seconds())

    def test_assertions(self) -> None:
        """They tell what was received instead."""
        self.read()
        error = self.assertRaises(AssertionError, self.cluster.requests.assert_received, WRITE)
        self.assertIn(READ, str(error))
        error = self.assertRaises(AssertionError, self.cluster.requests.assert_received, READ, times=2)
        self.assertIn("1 times, not 2 times", str(error))
        self.assertEqual(self.cluster.requests.texts(), [READ])

    def test_nothing_is_noted(self) -> None:
        """Unless it is wanted."""
        cluster = FakeCluster(self.reactor, record=False)
        self.run_(cluster.listen())
        session = self.run_(txcql.connect(self.reactor, cluster.contact_points))
        self.assertEqual(len(cluster.requests), 0)
        self.run_(session.close())
