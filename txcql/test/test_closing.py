"""Tests for :mod:`txcql.session.session`: its end."""

from __future__ import annotations

from txcql.errors import (
    NOT_SENT,
    SENT,
    SessionClosed,
)
from txcql.test.scriptednode import columns
from txcql.test.scriptedsession import INSERT, LIST, SELECT, SessionTestCase, held


class CloseTests(SessionTestCase):
    """The end of a session."""

    def test_at_once(self) -> None:
        """Without requests it closes its links, and that is that."""
        session = self.connect(core_connections=2)
        self.assertEqual(len(self.one.links), 3)
        self.assertIsNone(self.answer(session.close()))
        self.assertIsNone(self.answer(session.close()))
        self.assert_nothing_left()
        self.assertTrue(session.snapshot()["closed"])

    def test_requests(self) -> None:
        """Without drain all of them fail at once; the error says how far each had come."""
        session = self.connect(max_requests_per_connection=5)
        self.one.holds = held
        waiting = [session.execute(LIST) for _ in range(5)]
        self.reactor.settle()
        closing = session.close()
        errors = [self.failureResultOf(deferred, SessionClosed).value for deferred in waiting]
        self.assertEqual([error.delivery for error in errors], [SENT] * 4 + [NOT_SENT])
        self.assertEqual(str(errors[0]), "session is closed (the request: sent)")
        self.answer(closing)

    def test_drain(self) -> None:
        """Queued requests fail at once, those sent are given their time."""
        session = self.connect(max_requests_per_connection=5)
        self.one.holds = held
        waiting = [session.execute(LIST) for _ in range(5)]
        self.reactor.settle()
        closing = session.close(drain=2.0)
        self.assertEqual(self.failureResultOf(waiting[4], SessionClosed).value.delivery, NOT_SENT)
        self.reactor.advance(1.0)
        self.one.release(3)
        self.reactor.advance(0.1)
        for deferred in waiting[:3]:
            self.successResultOf(deferred)
        self.assertNoResult(waiting[3])
        self.assertNoResult(closing)
        self.reactor.advance(0.95)
        error = self.failureResultOf(waiting[3], SessionClosed).value
        self.assertEqual(str(error), "session is closed (the request: sent)")
        self.answer(closing)
        self.assert_nothing_left()

    def test_drained(self) -> None:
        """When the last answer is there, it does not wait any longer."""
        session = self.connect()
        self.one.holds = held
        waiting = session.execute(LIST)
        self.reactor.settle()
        closing = session.close(drain=60.0)
        self.one.release()
        self.reactor.advance(0.02)
        self.successResultOf(waiting)
        self.reactor.settle()
        self.successResultOf(closing)
        self.assert_nothing_left()

    def test_preparing(self) -> None:
        """A request that waits for PREPARE was never sent."""
        session = self.connect()
        self.one.holds = held
        waiting = session.execute(SELECT, [1])
        self.reactor.settle()
        closing = session.close(drain=0.5)
        error = self.failureResultOf(waiting, SessionClosed).value
        self.assertEqual(error.delivery, NOT_SENT)
        self.reactor.advance(0.5)
        self.answer(closing)

    def test_afterwards(self) -> None:
        """Whatever is asked of it says that it is closed."""
        session = self.connect()
        page = []
        self.one.teach("pages", lambda asked: asked.rows(columns(k="int"), [[1]], paging_state=b"more"))
        page.append(self.answer(session.execute("pages", page_size=1)))
        insert = self.answer(session.prepare(INSERT))
        self.answer(session.close())
        for deferred in (
            session.execute(LIST),
            session.execute(insert, [1, "x"]),
            session.prepare(SELECT),
            session.set_keyspace("ks"),
            page[0].next_page(),
        ):
            self.assertEqual(str(self.failureResultOf(deferred, SessionClosed).value), "session is closed")
        self.assert_nothing_left()

    def test_stubborn_link(self) -> None:
        """A link that does not close is aborted."""
        session = self.connect()
        self.one.never_closes = True
        closing = session.close()
        self.reactor.advance(1.9)
        self.assertNoResult(closing)
        self.reactor.advance(0.2)
        self.answer(closing)
        self.assert_nothing_left()

    def test_in_a_callback(self) -> None:
        """An application may close the session when its answer arrives, with others still waiting."""
        session = self.connect()
        self.one.holds = held
        first = session.execute(LIST).addCallback(lambda _: session.close())
        second = session.execute(LIST)
        self.reactor.settle()
        self.one.release()
        self.reactor.settle()
        self.successResultOf(first)
        self.failureResultOf(second, SessionClosed)
        self.assert_nothing_left()
