"""Tests for :mod:`txcql.session.warninglog`."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.logger import ILogObserver, LogEvent, LogLevel, formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from txcql.errors import InvalidRequest
from txcql.session.warninglog import WarningLog
from txcql.test.scriptednode import ScriptedTestCase, columns
from txcql.wire import constants
from txcql.wire.responses import Prefixes


def listen(test: SynchronousTestCase) -> list[str]:
    """The warnings that are logged until the test is over."""
    texts: list[str] = []

    @implementer(ILogObserver)
    def note(event: LogEvent) -> None:
        if event.get("log_level") is LogLevel.warn and event["log_namespace"] == "txcql.session":
            texts.append(formatEvent(event))

    globalLogPublisher.addObserver(note)
    test.addCleanup(globalLogPublisher.removeObserver, note)
    return texts


class WarningLogTests(SynchronousTestCase):
    """How often a warning is logged."""

    def test_the_same_text(self) -> None:
        """Once a minute; those left out are counted."""
        clock = Clock()
        texts = listen(self)
        warnings = WarningLog(clock)
        for _ in range(5):
            warnings.note("a:1", ["careful"])
        warnings.note("b:1", ["other"])
        clock.advance(60)
        warnings.note("b:1", ["careful"])
        self.assertEqual(
            texts,
            ["a:1 warns: careful", "b:1 warns: other (4 warnings were not logged)", "b:1 warns: careful"],
        )

    def test_many_texts(self) -> None:
        """Twenty a minute, and nothing grows."""
        clock = Clock()
        texts = listen(self)
        warnings = WarningLog(clock)
        for number in range(1000):
            warnings.note("a:1", [f"warning {number}"])
        self.assertEqual(len(texts), 20)
        for minute in range(20):
            clock.advance(60)
            warnings.note("a:1", [f"{minute} {number}" for number in range(20)])
        self.assertEqual(len(texts), 420)
        self.assertLessEqual(len(warnings._last), 100)

    def test_long_texts(self) -> None:
        """Their beginning, braces and all."""
        texts = listen(self)
        WarningLog(Clock()).note("a:1", ["{x}" * 1000])
        self.assertEqual(texts, ["a:1 warns: " + ("{x}" * 1000)[:500] + "…"])


class SessionTests(ScriptedTestCase):
    """Where warnings come from."""

    def test_answers_of_all_kinds(self) -> None:
        """Rows, no rows, an error, PREPARE."""
        texts = listen(self)
        one = self.node()
        found = columns(k="int")
        one.teach("rows", lambda asked: asked.rows(found, [[1]], prefixes=Prefixes(None, ["with rows"])))
        one.teach(
            "void", lambda asked: asked.send(constants.RESULT, b"\0\0\0\1", Prefixes(None, ["without"]))
        )
        one.teach("error", lambda asked: asked.error(InvalidRequest("no"), Prefixes(None, ["in vain"])))
        session = self.connect()
        self.answer(session.execute("rows"))
        self.answer(session.execute("void"))
        self.error(session.execute("error"), InvalidRequest)
        self.assertEqual(texts, [f"{one.name} warns: {text}" for text in ("with rows", "without", "in vain")])
