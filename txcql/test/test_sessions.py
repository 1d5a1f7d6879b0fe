"""Several sessions in one process share nothing that they should not."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import gatherResults

import txcql
from txcql.policies.loadbalancing import RoundRobinPolicy
from txcql.test.scriptedsession import INSERT, LIST, SELECT, SessionTestCase
from txcql.wire import constants


class Shout:
    """A codec of one session's."""

    def encode(self, value: str) -> bytes:
        return value.encode()

    def decode(self, data: bytes | None) -> str | None:
        return None if data is None else data.decode().upper()


class SharingTests(SessionTestCase):
    """Two sessions of one node, on one reactor."""

    def two(self, first: dict[str, Any], second: dict[str, Any]) -> tuple[txcql.Session, txcql.Session]:
        """Two sessions; both are closed at the end."""
        one, other = self.connect(**first), self.connect(**second)
        self.addCleanup(self.close, one)
        return one, other

    def tearDown(self) -> None:
        # What is left is looked for once both are closed.
        if self.session is not None:
            self.close(self.session)

    def close(self, session: txcql.Session) -> None:
        closed = session.close()
        self.reactor.settle()
        self.successResultOf(closed)

    def test_settings(self) -> None:
        """Codecs, row factories, keyspaces and observers are those of one session."""
        one, other = self.two(
            {"codecs": {"text": Shout()}, "keyspace": "ks"}, {"row_factory": "dict", "keyspace": "other"}
        )
        for _ in range(2):
            self.assertEqual(self.answer(one.execute(LIST)).all(), [(1, "ONE"), (2, None)])
            self.assertEqual(
                self.answer(other.execute(LIST)).all(), [{"k": 1, "v": "one"}, {"k": 2, "v": None}]
            )
            self.assertEqual(self.answer(one.execute(SELECT, [1])).one().v, "ONE")
            self.assertEqual(self.answer(other.execute(SELECT, [1])).one(), {"v": "one"})
        self.assertEqual((one.keyspace, other.keyspace), ("ks", "other"))
        self.answer(one.set_keyspace("Mixed Case"))
        self.assertEqual((one.keyspace, other.keyspace), ("Mixed Case", "other"))

    def test_prepared_statements(self) -> None:
        """Each prepares its own, however many wait for the same."""
        one, other = self.two({}, {})
        self.answer(gatherResults([session.prepare(INSERT) for session in (one, one, other, other)]))
        self.assertEqual(len(self.one.asked_for(constants.PREPARE)), 2)
        self.assertEqual((one.snapshot()["prepared"], other.snapshot()["prepared"]), (1, 1))

    def test_the_end_of_one(self) -> None:
        """It is not that of the other, nor of a policy of the user's that both have."""
        policy = RoundRobinPolicy()
        one, other = self.two({"load_balancing": policy}, {"load_balancing": policy})
        waiting = other.execute(LIST)
        self.close(one)
        self.assertEqual(len(self.successResultOf(waiting)), 2)
        for _ in range(3):
            self.assertEqual(len(self.answer(other.execute(LIST))), 2)
        self.assertTrue(one.closed)
        self.assertFalse(other.closed)

    def test_a_service_started_again(self) -> None:
        """Its second session does not meet the nodes of the first, though both have the same policy."""
        service = txcql.CassandraService(
            self.reactor, ["10.0.0.1"], load_balancing=RoundRobinPolicy(), max_connections_local=1
        )
        for _ in range(3):
            service.startService()
            self.reactor.settle()
            self.assertEqual(len(self.answer(service.session.execute(LIST))), 2)
            stopped = service.stopService()
            self.reactor.settle()
            self.successResultOf(stopped)
        self.assert_nothing_left()
