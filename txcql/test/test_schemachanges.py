"""Tests for :mod:`txcql.session.session`: USE, and what follows a schema change."""

from __future__ import annotations

from twisted.internet.defer import CancelledError

from txcql.errors import (
    SENT,
    InvalidRequest,
    SessionClosed,
)
from txcql.test.scriptednode import Asked
from txcql.test.scriptedsession import SessionTestCase, held


class KeyspaceTests(SessionTestCase):
    """USE, and its like."""

    def test_all_links(self) -> None:
        """All ready links have switched when it returns."""
        two = self.node("10.0.0.2")
        session = self.connect(core_connections=3)
        self.answer(session.execute("USE ks"))
        self.assertEqual(session.keyspace, "ks")
        self.assertEqual([link.keyspace for link in self.one.links], [None, "ks", "ks", "ks"])
        self.assertEqual([link.keyspace for link in two.links], ["ks", "ks", "ks"])

    def test_quoted(self) -> None:
        """set_keyspace() takes the name as it is."""
        session = self.connect()
        self.assertIsNone(self.answer(session.set_keyspace("Mixed Case")))
        self.assertEqual(session.keyspace, "Mixed Case")
        self.assertEqual(self.one.links[1].keyspace, "Mixed Case")
        self.error(session.set_keyspace('no"such'), InvalidRequest)
        self.assertEqual(self.one.requests[-1].text, 'USE "no""such"')
        self.assertEqual(session.keyspace, "Mixed Case")

    def test_prepared(self) -> None:
        """USE can be prepared."""
        session = self.connect()
        self.one.teach("USE ks")
        self.answer(session.execute(self.answer(session.prepare("USE ks"))))
        self.assertEqual((session.keyspace, self.one.links[1].keyspace), ("ks", "ks"))

    def test_later_links(self) -> None:
        """A link that is opened later starts in it."""
        session = self.connect()
        self.answer(session.set_keyspace("ks"))
        self.one.links[1].drop()
        self.reactor.settle()
        self.assertEqual(self.one.links[1].keyspace, "ks")

    def test_link_in_its_handshake(self) -> None:
        """A link that has begun in the old keyspace follows before it is given work."""
        two = self.node("10.0.0.2")
        two.holds = held
        connecting = self.connecting(keyspace="ks")
        self.reactor.advance(2)
        session = self.session = self.successResultOf(connecting)
        self.answer(session.set_keyspace("other"))
        two.release()
        self.reactor.settle()
        self.assertEqual([asked.text for asked in two.held], ['USE "other"'])
        self.assertEqual(session.snapshot()["nodes"]["10.0.0.2:9042"]["state"], "down")
        two.release()
        self.reactor.settle()
        self.assertEqual(session.snapshot()["nodes"]["10.0.0.2:9042"]["state"], "up")

    def test_link_that_does_not_follow(self) -> None:
        """It is closed: nothing is ever executed in the wrong keyspace."""
        two = self.node("10.0.0.2", keyspaces=("ks",))
        session = self.connect(keyspace="ks")
        # The first request goes to the second node, and the next one to the first.
        self.error(session.execute("nothing"), InvalidRequest)
        self.answer(session.set_keyspace("other"))
        self.assertEqual(two.links, [])
        self.assertEqual(session.snapshot()["nodes"]["10.0.0.2:9042"]["state"], "down")

    def test_two_at_once(self) -> None:
        """A node may carry them out in any order: in the end, all links are where the session is."""
        two = self.node("10.0.0.2")
        nodes = (self.one, two)
        session = self.connect()
        for node in nodes:
            node.holds = held
        waiting = [session.set_keyspace("ks"), session.set_keyspace("other")]
        self.reactor.settle()
        while any(node.held for node in nodes):
            for node in nodes:
                # The last one first.
                while node.held:
                    node.held.pop().reply()
            self.reactor.settle()
        for deferred in waiting:
            self.successResultOf(deferred)
        self.assertEqual([node.links[-1].keyspace for node in nodes], [session.keyspace] * 2)

    def test_cancelled(self) -> None:
        """USE that nobody waits for any longer is carried through: all links, or none."""
        two = self.node("10.0.0.2")
        session = self.connect()
        asked = len(self.one.requests)
        for node in (self.one, two):
            node.holds = held
        waiting = session.set_keyspace("ks")
        self.reactor.settle()
        first, other = (self.one, two) if len(self.one.requests) > asked else (two, self.one)
        first.release()
        self.reactor.settle()
        self.assertEqual(len(other.held), 1)
        waiting.cancel()
        self.failureResultOf(waiting, CancelledError)
        first.release()
        other.release()
        self.reactor.settle()
        self.assertEqual(session.keyspace, "ks")
        self.assertEqual([node.links[-1].keyspace for node in (self.one, two)], ["ks", "ks"])


class SchemaTests(SessionTestCase):
    """What follows a schema change."""

    CREATE = "CREATE TABLE t (k int PRIMARY KEY)"

    def setUp(self) -> None:
        SessionTestCase.setUp(self)
        self.two = self.node("10.0.0.2")
        for node in (self.one, self.two):
            node.teach(self.CREATE, Asked.schema_changed)

    def disagree(self) -> None:
        from uuid import UUID

        self.two.schema_version = UUID(int=2)

    def agree(self) -> None:
        self.two.schema_version = self.one.schema_version

    def test_agreement(self) -> None:
        """It is waited for; what has changed is in the result."""
        session = self.connect()
        self.disagree()
        waiting = session.execute(self.CREATE)
        self.reactor.pump([0.2] * 5)
        self.assertNoResult(waiting)
        self.agree()
        self.reactor.advance(0.2)
        result = self.answer(waiting)
        self.assertTrue(result.schema_agreement)
        self.assertEqual(result.change.change.name, "t")

    def test_control_node_that_has_not_heard_of_it(self) -> None:
        """The node that has made the change is asked: to another one, all may still have the old schema."""
        session = self.connect()
        old = self.one.schema_version
        about = self.one._about
        self.one._about = lambda node: {**about(node), "schema_version": old}  # type: ignore[method-assign]
        waiting = session.execute(self.CREATE)
        # The first request goes to the second node, and not to that of the control connection.
        self.disagree()
        self.reactor.pump([0.2] * 5)
        self.assertEqual(len(self.two.requests), 1)
        self.assertNoResult(waiting)
        self.agree()
        self.reactor.advance(0.2)
        self.assertTrue(self.answer(waiting).schema_agreement)

    def test_no_agreement(self) -> None:
        """After schema_agreement_timeout the result says that there is none."""
        session = self.connect(schema_agreement_timeout=1.0)
        self.disagree()
        waiting = session.execute(self.CREATE)
        self.reactor.pump([0.2] * 6)
        self.assertFalse(self.answer(waiting).schema_agreement)

    def test_nodes_that_are_down(self) -> None:
        """They are not waited for: they learn the schema when they return."""
        session = self.connect()
        self.disagree()
        self.two.stop()
        self.reactor.settle()
        self.assertTrue(self.answer(session.execute(self.CREATE)).schema_agreement)

    def test_no_control_link(self) -> None:
        """While it is away, agreement cannot be seen; afterwards it can."""
        session = self.connect()
        self.disagree()
        waiting = session.execute(self.CREATE, idempotent=True)
        self.reactor.settle()
        self.assertNoResult(waiting)
        self.agree()
        self.one.links[0].drop()
        self.reactor.pump([0.1, 0.1, 0.1])
        self.assertTrue(self.answer(waiting).schema_agreement)

    def test_cancelled(self) -> None:
        """Nobody waits: nobody asks."""
        session = self.connect()
        self.disagree()
        waiting = session.execute(self.CREATE)
        self.reactor.settle()
        waiting.cancel()
        self.failureResultOf(waiting, CancelledError)
        self.answer(session.close())
        self.assert_nothing_left()

    def test_deadline(self) -> None:
        """Its deadline passes: it was carried out, and the error does not deny it."""
        session = self.connect()
        self.disagree()
        waiting = session.execute(self.CREATE, timeout=1.0)
        self.reactor.pump([0.2] * 6)
        self.assertEqual(self.error(waiting).delivery, SENT)

    def test_close(self) -> None:
        """Closing does not wait for an agreement, unless it is told to drain."""
        session = self.connect()
        self.disagree()
        waiting = session.execute(self.CREATE)
        self.reactor.settle()
        closing = session.close(drain=1.0)
        self.reactor.advance(0.1)
        self.assertNoResult(waiting)
        self.reactor.advance(1.0)
        self.assertEqual(self.error(waiting, SessionClosed).delivery, SENT)
        self.answer(closing)
        self.assert_nothing_left()
