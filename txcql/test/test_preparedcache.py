"""Tests for :mod:`txcql.session.preparedcache`."""

from __future__ import annotations

from typing import cast
from uuid import uuid4

from twisted.internet.defer import Deferred, succeed
from twisted.logger import ILogObserver, LogEvent, LogLevel, formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from txcql.session.preparedcache import PreparedCache
from txcql.session.responsehandler import DecoderCache, ResponseHandler
from txcql.session.statements import PreparedStatement
from txcql.wire.responses import Prepared
from txcql.wire.usercodecs import CodecRegistry


def statement(text: str) -> PreparedStatement:
    prepared = Prepared(text.encode(), None, (), (), ())
    return PreparedStatement(text, None, prepared, ResponseHandler(DecoderCache(CodecRegistry()), "named"))


class PreparedCacheTests(SynchronousTestCase):
    """By keyspace and text, the least recently used going first."""

    def setUp(self) -> None:
        self.cache = PreparedCache(2)
        self.prepared: list[str] = []

    def get(self, text: str, keyspace: str | None = None) -> PreparedStatement:
        def prepare() -> Deferred[PreparedStatement]:
            self.prepared.append(text)
            deferred: Deferred[PreparedStatement] = Deferred()
            deferred.callback(statement(text))
            return deferred

        return self.successResultOf(self.cache.get(keyspace, text, prepare))

    def test_found(self) -> None:
        """What has been prepared is not prepared again."""
        one = self.get("one")
        self.assertIs(self.get("one"), one)
        self.assertIs(self.cache.find(None, "one"), one)
        self.assertIsNone(self.cache.find("ks", "one"))
        self.assertIsNot(self.get("one", "ks"), one)
        self.assertEqual(self.prepared, ["one", "one"])

    def test_capacity(self) -> None:
        """The one not used for longest goes."""
        for text in ("one", "two", "one", "three"):
            self.get(text)
        self.assertEqual(len(self.cache), 2)
        self.assertIsNone(self.cache.find(None, "two"))
        self.assertIsNotNone(self.cache.find(None, "one"))

    def test_failure(self) -> None:
        """Nothing is kept of it."""
        deferred: Deferred[PreparedStatement] = Deferred()
        waiting = self.cache.get(None, "one", lambda: deferred)
        deferred.errback(LookupError())
        self.failureResultOf(waiting, LookupError)
        self.assertEqual(len(self.cache), 0)
        self.get("one")


class WarningTests(SynchronousTestCase):
    """Texts with varying literals fill the cache."""

    def setUp(self) -> None:
        self.cache = PreparedCache(4)
        self.warnings: list[str] = []
        observer = cast(ILogObserver, self.logged)
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)

    def logged(self, event: LogEvent) -> None:
        if event["log_namespace"] == "txcql.session" and event["log_level"] is LogLevel.warn:
            self.warnings.append(formatEvent(event))

    def prepare(self, *texts: str) -> None:
        for text in texts:
            self.cache.get(None, text, lambda text=text: succeed(statement(text)))  # type: ignore[misc]

    def test_once(self) -> None:
        """It is said once, with the text as it should be."""
        self.prepare(*(f"UPDATE t SET v = {number}.5 WHERE k = 'it''s {number}'" for number in range(4)))
        self.assertEqual(self.warnings, [])
        self.prepare(*(f"UPDATE t SET v = {number} WHERE k = 'x{number}'" for number in range(20)))
        self.assertEqual(
            self.warnings,
            [
                "4 of 4 prepared statements differ in nothing but the values in their text: each is prepared "
                "anew, and pushes others out; write the values as ? and give them as parameters: "
                "UPDATE t SET v = ? WHERE k = ?"
            ],
        )

    def test_kinds(self) -> None:
        """Numbers of all kinds, text, blobs, UUIDs; names with digits are none."""
        for literal in ("1", "-1", "1.5e-3", "0xCAFE", "'a'", "''", str(uuid4())):
            self.cache = PreparedCache(2)
            self.warnings.clear()
            texts = (
                f"SELECT v1 FROM t2 WHERE k3 = {literal}",
                *(f"SELECT v1 FROM t2 WHERE k3 = {n}" for n in "789"),
            )
            self.prepare(*texts)
            self.assertEqual(len(self.warnings), 1, literal)
            self.assertTrue(self.warnings[0].endswith("SELECT v1 FROM t2 WHERE k3 = ?"), self.warnings)

    def test_many_statements(self) -> None:
        """A program that has many is not told anything, until most of them are of one kind."""
        self.prepare(*(f"SELECT v FROM t{number} WHERE k = ? AND x = 1" for number in range(40)))
        self.assertEqual(self.warnings, [])
        self.prepare(*(f"SELECT v FROM t WHERE k = {number}" for number in range(10)))
        self.assertEqual(len(self.warnings), 1)

    def test_long_text(self) -> None:
        """It is shown as far as it tells something."""
        self.prepare(*(f"SELECT v FROM t WHERE k = {number} AND {'x' * 500} = 1" for number in range(5)))
        self.assertLess(len(self.warnings[0]), 500)
        self.assertTrue(self.warnings[0].endswith("…"))
