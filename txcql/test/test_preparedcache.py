"""Tests for :mod:`txcql.session.preparedcache`."""

from __future__ import annotations

from twisted.internet.defer import Deferred
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
