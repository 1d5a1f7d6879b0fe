"""Tests for :mod:`txcql.session.requestloggers`."""

from __future__ import annotations

from typing import Any, cast

from twisted.logger import ILogObserver, LogLevel, formatEvent, globalLogPublisher

import txcql
from txcql.errors import InvalidRequest
from txcql.session.requestloggers import time_by_phase
from txcql.test.scriptedsession import INSERT, LIST, SessionTestCase, held


class LoggerTestCase(SessionTestCase):
    """What is logged by observers."""

    def setUp(self) -> None:
        SessionTestCase.setUp(self)
        self.events: list[Any] = []
        gather = cast(ILogObserver, self.events.append)
        globalLogPublisher.addObserver(gather)
        self.addCleanup(globalLogPublisher.removeObserver, gather)

    def lines(self, level: Any) -> list[str]:
        return [
            formatEvent(event)
            for event in self.events
            if event["log_level"] is level
            and "outcome" in event
            and event["log_namespace"] == "txcql.session"
        ]


class RequestLoggerTests(LoggerTestCase):
    """A line for each request."""

    def test_line(self) -> None:
        """Node, outcome, time, consistency, text."""
        session = self.connect(observers=[txcql.RequestLogger()])
        self.answer(session.execute(LIST))
        self.assertEqual(self.lines(LogLevel.info), [f"10.0.0.1:9042: ok in 0.0 ms (LOCAL_QUORUM): {LIST}"])

    def test_no_values(self) -> None:
        """Neither those of parameters nor those that the server quotes."""
        session = self.connect(observers=[txcql.RequestLogger(level=LogLevel.debug)])
        self.one.teach("bad", lambda asked: asked.error(InvalidRequest("not 'hunter2'")))
        self.answer(session.execute(INSERT, [1, "hunter2"]))
        self.error(session.execute("bad"), InvalidRequest)
        self.assertEqual(
            self.lines(LogLevel.debug),
            [
                f"10.0.0.1:9042: ok in 0.0 ms (PREPARE): {INSERT}",
                f"10.0.0.1:9042: ok in 0.0 ms (LOCAL_QUORUM): {INSERT}",
                "10.0.0.1:9042: InvalidRequest in 0.0 ms (LOCAL_QUORUM): bad",
            ],
        )
        self.assertNotIn("hunter2", repr([{**event, "log_logger": None} for event in self.events]))

    def test_values(self) -> None:
        """Both, when they are asked for."""
        session = self.connect(observers=[txcql.RequestLogger(log_values=True)])
        self.one.teach("bad", lambda asked: asked.error(InvalidRequest("not 'x'")))
        self.answer(session.execute(INSERT, [1, "x"]))
        self.error(session.execute("bad"), InvalidRequest)
        _, insert, bad = self.lines(LogLevel.info)
        self.assertEqual(insert, f"10.0.0.1:9042: ok in 0.0 ms (LOCAL_QUORUM): {INSERT} with [1, 'x']")
        self.assertIn("InvalidRequest (not 'x') in", bad)

    def test_passwords(self) -> None:
        """The text of a statement that makes a role is logged without its password."""
        session = self.connect(observers=[txcql.RequestLogger(log_values=True)])
        for text in (
            "CREATE ROLE ada WITH PASSWORD = 'hunter2' AND LOGIN = true",
            "ALTER ROLE ada WITH LOGIN = true AND HASHED PASSWORD='hunter2''s'",
            "CREATE USER ada WITH password 'hunter2' NOSUPERUSER",
            "ALTER ROLE ada WITH PASSWORD = $$hunter2$$",
        ):
            self.one.teach(text, lambda asked: asked.void())
            self.answer(session.execute(text))
        lines = self.lines(LogLevel.info)
        self.assertEqual(len(lines), 4)
        self.assertNotIn("hunter2", "".join(lines))
        self.assertIn("WITH PASSWORD = '…' AND LOGIN = true", lines[0])
        self.assertTrue(lines[1].endswith("HASHED PASSWORD='…'"))

    def test_braces_and_length(self) -> None:
        """Whatever stands in the text, the line is one; a long text is cut."""
        session = self.connect(observers=[txcql.RequestLogger()])
        text = "SELECT {x} FROM " + "t" * 2000
        self.one.teach(text, lambda asked: asked.void())
        self.answer(session.execute(text))
        [line] = self.lines(LogLevel.info)
        self.assertTrue(line.endswith("ttt…"))
        self.assertIn("SELECT {x} FROM", line)
        self.assertLess(len(line), 1100)


class SlowQueryLoggerTests(LoggerTestCase):
    """A line for what took long."""

    def test_slow(self) -> None:
        """It says what the time was spent on; the quick ones are not logged."""
        session = self.connect(observers=[txcql.SlowQueryLogger(threshold=0.5)])
        self.answer(session.execute(LIST))
        self.one.holds = held
        deferred = session.execute(LIST)
        self.reactor.settle()
        self.reactor.advance(0.75)
        self.one.release()
        self.answer(deferred)
        [line] = self.lines(LogLevel.warn)
        self.assertEqual(
            line,
            f"10.0.0.1:9042: slow request, ok in 750.0 ms (node 750.0 ms, attempts 1; LOCAL_QUORUM): {LIST}",
        )

    def test_never_sent(self) -> None:
        """That is said."""
        session = self.connect(observers=[txcql.SlowQueryLogger(threshold=0.0)])
        self.one.stop()
        self.reactor.settle()
        self.error(session.execute(LIST), Exception)
        [line] = self.lines(LogLevel.warn)
        self.assertIn("(attempts 0;", line)

    def test_threshold(self) -> None:
        """It is not negative."""
        with self.assertRaises(ValueError):
            txcql.SlowQueryLogger(-1.0)


class TimeByPhaseTests(SessionTestCase):
    """Where the time goes."""

    def test_attempts(self) -> None:
        """Phases of all attempts are added up; what is no phase is left out."""
        timeline: Any = [
            ("created", 0.0, None), ("planned", 1.0, None), ("routed", 1.0, "a"), ("queued", 1.0, "a"),
            ("dequeued", 3.0, "a"), ("stream taken", 3.0, "a"), ("written", 4.0, "a"), ("failed", 9.0, "a"),
            ("routed", 9.0, "b"), ("stream taken", 9.0, "b"), ("written", 9.5, "b"), ("read", 10.0, "b"),
        ]  # fmt: skip
        self.assertEqual(
            time_by_phase(timeline), {"preparing": 1.0, "queued": 2.0, "writing": 1.5, "node": 0.5}
        )
