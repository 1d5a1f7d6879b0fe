"""Tests for :mod:`txcql.session.traces`."""

from __future__ import annotations

import uuid
from ipaddress import ip_address
from typing import Any

import txcql
from txcql.errors import SessionClosed, TraceIncomplete
from txcql.session.traces import Trace
from txcql.test.scriptednode import Asked, ScriptedTestCase, columns
from txcql.wire.responses import Prefixes

ID = uuid.UUID("e3f4b0a0-e750-11f1-8f1d-039114ab298f")
SESSIONS = "SELECT * FROM system_traces.sessions WHERE session_id = ?"
EVENTS = "SELECT * FROM system_traces.events WHERE session_id = ?"
SESSION_COLUMNS = columns(
    session_id="uuid",
    client="inet",
    coordinator="inet",
    duration="int",
    parameters="map<text, text>",
    request="text",
    started_at="timestamp",
)
EVENT_COLUMNS = columns(
    session_id="uuid",
    event_id="timeuuid",
    activity="text",
    source="inet",
    source_elapsed="int",
    thread="text",
)
NODE = ip_address("10.0.0.1")


class TraceTests(ScriptedTestCase):
    """A node that traces ``SELECT``."""

    def setUp(self) -> None:
        ScriptedTestCase.setUp(self)
        self.one = self.node()
        self.durations: list[int | None] = []
        self.one.teach("SELECT", lambda asked: asked.rows(columns(k="int"), [[1]], prefixes=Prefixes(ID)))
        self.one.teach("INSERT", lambda asked: asked.send(8, b"\0\0\0\1", Prefixes(ID)))
        parameters = columns(session_id="uuid")
        self.one.teach(SESSIONS, self.sessions, parameters=parameters, columns=SESSION_COLUMNS)
        self.one.teach(
            EVENTS,
            parameters=parameters,
            columns=EVENT_COLUMNS,
            rows=[[ID, ID, "Parsing", NODE, 12, "Native-1"], [ID, ID, "Done", NODE, None, None]],
        )

    def sessions(self, asked: Asked) -> None:
        """No row while there is nothing in the list; else a row with the first duration."""
        rows = []
        if self.durations:
            rows = [[ID, NODE, NODE, self.durations.pop(0), {"query": "SELECT"}, "Execute CQL3 query", None]]
        asked.rows(SESSION_COLUMNS, rows)

    def polls(self) -> int:
        return sum(asked.text == SESSIONS for asked in self.one.asked_for(10))

    def wait(self, deferred: Any, seconds: float) -> None:
        for _ in range(int(seconds / 0.01) + 1):
            self.reactor.settle()
            if deferred.called:
                return
            self.reactor.advance(0.01)

    def test_it_waits_until_it_is_complete(self) -> None:
        """It asks again while there is no row, or none with a duration; of rows and of no rows."""
        session = self.connect()
        for text in ("SELECT", "INSERT"):
            result = self.answer(session.execute(text, tracing=True))
            before = self.polls()
            tracing = result.trace()
            self.reactor.settle()
            self.assertNoResult(tracing)
            self.durations = [None, None, 1500]
            self.wait(tracing, 1)
            trace: Trace = self.successResultOf(tracing)
            self.assertEqual(self.polls() - before, 4)
            self.assertEqual((trace.id, trace.duration, trace.client), (ID, 0.0015, NODE))
            self.assertEqual([event.activity for event in trace.events], ["Parsing", "Done"])
            self.assertEqual([event.elapsed for event in trace.events], [12e-6, None])
            self.assertEqual(self.one.requests[-1].options.consistency, 1)
            self.assertEqual(
                str(trace),
                "Execute CQL3 query at 10.0.0.1, 1.500 ms (e3f4b0a0-e750-11f1-8f1d-039114ab298f)\n"
                "  query: SELECT\n"
                "       0.012 ms  10.0.0.1  Parsing\n"
                "                 10.0.0.1  Done",
            )

    def test_it_is_given_up(self) -> None:
        """After some seconds, with what there is by then."""
        session = self.connect()
        waiting = session.trace(ID, timeout=2.0)
        self.wait(waiting, 3)
        error = self.error(waiting, TraceIncomplete)
        self.assertEqual((str(error), error.trace), (f"the trace {ID} is not there after 2 s", None))
        # The waits grow: not one look in each turn of the reactor.
        self.assertLess(self.polls(), 15)
        self.durations = [None] * 1000
        waiting = session.trace(ID)
        self.wait(waiting, 11)
        error = self.error(waiting, TraceIncomplete)
        self.assertIn("is not complete after 10 s", str(error))
        self.assertEqual((error.trace.duration, len(error.trace.events)), (None, 2))
        self.assertIn("not complete", str(error.trace))

    def test_it_is_cancelled(self) -> None:
        """Nothing is asked for any more."""
        session = self.connect()
        waiting = session.trace(ID)
        self.reactor.settle()
        waiting.cancel()
        self.failureResultOf(waiting)
        before = self.polls()
        self.reactor.advance(5)
        self.reactor.settle()
        self.assertEqual(self.polls(), before)

    def test_the_session_is_closed(self) -> None:
        """It ends with the next look."""
        session = self.connect()
        waiting = session.trace(ID)
        self.reactor.settle()
        session.close()
        self.wait(waiting, 1)
        self.failureResultOf(waiting, SessionClosed)

    def test_not_traced(self) -> None:
        """The error says how to."""
        self.one.teach("plain")
        session = self.connect()
        for result in (self.answer(session.execute("plain")),):
            error = self.error(result.trace(), LookupError)
            self.assertIn("execute(…, tracing=True)", str(error))
        self.assertIs(txcql.Trace, Trace)
