"""Tests for :mod:`txcql.integrations.scrapy.crawlsettings`, and for the add-on that acts on them."""

from __future__ import annotations

from typing import Any

from scrapy.settings import Settings
from twisted.logger import globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from txcql.integrations.scrapy import (
    CassandraAddon,
    CassandraCacheStorage,
    CassandraDupeFilter,
    CassandraHttpCacheMiddleware,
    CassandraPipeline,
)
from txcql.integrations.scrapy.crawlsettings import ConnectionSettings, ItemSettings, warn_of_unknown


def settings(**given: Any) -> Settings:
    """Settings of a crawl, named without their prefix."""
    return Settings({f"CASSANDRA_{name}": value for name, value in given.items()})


class ConnectionSettingsTests(SynchronousTestCase):
    """Which cluster, and who asks it."""

    def test_defaults(self) -> None:
        """Nothing needs to be set."""
        found = ConnectionSettings.of(settings())
        self.assertEqual(found.contact_points, ("127.0.0.1",))
        self.assertEqual(found.arguments, {"port": 9042, "application_name": "scrapy scrapybot"})

    def test_all(self) -> None:
        """Each has its place; what comes from a command line is text."""
        found = ConnectionSettings.of(
            settings(
                CONTACT_POINTS="10.0.0.1,10.0.0.2:9043",
                PORT="9999",
                KEYSPACE="shop",
                USERNAME="ada",
                PASSWORD="secret",
                LOCAL_DC="dc1",
                OPTIONS={"compression": "lz4"},
            )
        )
        self.assertEqual(found.contact_points, ("10.0.0.1", "10.0.0.2:9043"))
        self.assertEqual(
            found.arguments,
            {
                "port": 9999,
                "keyspace": "shop",
                "username": "ada",
                "password": "secret",
                "local_datacenter": "dc1",
                "application_name": "scrapy scrapybot",
                "compression": "lz4",
            },
        )

    def test_tls(self) -> None:
        """The file of authorities is read at once."""
        self.assertRaises(OSError, ConnectionSettings.of, settings(TLS_CA="/nowhere/ca.pem"))

    def test_wrong_port(self) -> None:
        """It is named."""
        for port in ("x", 0, -1):
            error = self.assertRaises(ValueError, ConnectionSettings.of, settings(PORT=port))
            self.assertIn("CASSANDRA_PORT", str(error))

    def test_unknown(self) -> None:
        """A name that is none is logged, with what it may mean."""
        events: list[Any] = []
        observe: Any = events.append
        globalLogPublisher.addObserver(observe)
        self.addCleanup(globalLogPublisher.removeObserver, observe)
        warn_of_unknown(settings(KEYSPCE="shop", PORT=1))
        self.assertEqual(
            [(event["name"], event["hint"]) for event in events],
            [("CASSANDRA_KEYSPCE", ": is CASSANDRA_KEYSPACE meant?")],
        )


class ItemSettingsTests(SynchronousTestCase):
    """Where items go, and how."""

    def test_defaults(self) -> None:
        """A table is enough."""
        found = ItemSettings.of(settings(TABLE="items"))
        self.assertEqual((found.table, found.statement, found.fields, found.ttl), ("items", None, None, None))
        self.assertEqual((found.on_error, found.if_not_exists, found.close_timeout), ("raise", False, 30.0))
        self.assertEqual((found.write.concurrency, found.write.batch_size), (64, 1))
        self.assertTrue(found.write.idempotent)

    def test_statement(self) -> None:
        """A statement of one's own is not repeated unless told to."""
        found = ItemSettings.of(settings(STATEMENT="UPDATE t SET n = n + ? WHERE k = ?"))
        self.assertFalse(found.write.idempotent)
        self.assertTrue(ItemSettings.of(settings(STATEMENT="…", IDEMPOTENT="true")).write.idempotent)

    def test_all(self) -> None:
        """Each has its place; what comes from a command line is text."""
        found = ItemSettings.of(
            settings(
                TABLE='shop."Items"', FIELDS="id,name", TTL="60", CONCURRENT_WRITES="5", BATCH_SIZE="10",
                FLUSH_INTERVAL="0.5", RETRY_TIME="7", CLOSE_TIMEOUT="3", CONSISTENCY="QUORUM", ON_ERROR="log",
            )
        )  # fmt: skip
        self.assertEqual((found.table, found.fields), ('shop."Items"', {"id": "id", "name": "name"}))
        self.assertEqual((found.ttl, found.on_error, found.close_timeout), (60, "log", 3.0))
        write = found.write
        self.assertEqual((write.concurrency, write.batch_size, write.flush_interval), (5, 10, 0.5))
        self.assertEqual((write.repeat_for, write.consistency), (7.0, "QUORUM"))
        self.assertEqual(ItemSettings.of(settings(TABLE="t", FIELDS={"k": "key"})).fields, {"k": "key"})

    def test_refused(self) -> None:
        """What is wrong is named."""
        for text, given in (
            ("got neither", {}),
            ("got both", {"TABLE": "t", "STATEMENT": "s"}),
            ("CASSANDRA_TABLE must be", {"TABLE": "t; DROP TABLE t"}),
            ("CASSANDRA_TTL goes with", {"STATEMENT": "s", "TTL": 1}),
            ("CASSANDRA_IF_NOT_EXISTS goes with", {"STATEMENT": "s", "IF_NOT_EXISTS": True}),
            ("do not go together", {"TABLE": "t", "IF_NOT_EXISTS": True, "BATCH_SIZE": 2}),
            ("CASSANDRA_ON_ERROR must be one of raise, drop, log", {"TABLE": "t", "ON_ERROR": "ignore"}),
            ("CASSANDRA_CONSISTENCY must be one of", {"TABLE": "t", "CONSISTENCY": "MOST"}),
            ("CASSANDRA_CONCURRENT_WRITES must be at least 1", {"TABLE": "t", "CONCURRENT_WRITES": 0}),
            ("CASSANDRA_FLUSH_INTERVAL must be a number", {"TABLE": "t", "FLUSH_INTERVAL": "soon"}),
        ):
            error = self.assertRaises(ValueError, ItemSettings.of, settings(**given))
            self.assertIn(text, str(error))


class AddonTests(SynchronousTestCase):
    """One line in ``ADDONS``."""

    def updated(self, **given: Any) -> Settings:
        found = settings(**given)
        CassandraAddon().update_settings(found)
        return found

    def test_items(self) -> None:
        """The pipeline, and nothing else."""
        for name in ("TABLE", "STATEMENT"):
            found = self.updated(**{name: "items"})
            self.assertEqual(found.getdict("ITEM_PIPELINES"), {CassandraPipeline: 900})
            self.assertNotEqual(found.get("DUPEFILTER_CLASS"), CassandraDupeFilter)
            self.assertFalse(found.getbool("HTTPCACHE_ENABLED"))

    def test_the_projects_own(self) -> None:
        """A place that the project has given it stays."""
        found = settings(TABLE="items")
        name = "txcql.integrations.scrapy.CassandraPipeline"
        found.set("ITEM_PIPELINES", {name: 100})
        CassandraAddon().update_settings(found)
        self.assertEqual(found.getdict("ITEM_PIPELINES"), {name: 100})

    def test_filter_and_cache(self) -> None:
        """Each is there if it has a table."""
        found = self.updated(DUPEFILTER_TABLE="seen", HTTPCACHE_TABLE="pages")
        self.assertEqual(found.getdict("ITEM_PIPELINES"), {})
        self.assertIs(found.get("DUPEFILTER_CLASS"), CassandraDupeFilter)
        self.assertTrue(found.getbool("HTTPCACHE_ENABLED"))
        self.assertIs(found.get("HTTPCACHE_STORAGE"), CassandraCacheStorage)
        middlewares = found.getdict("DOWNLOADER_MIDDLEWARES")
        self.assertEqual(middlewares[CassandraHttpCacheMiddleware], 900)
        self.assertEqual(
            [cls.__name__ for cls, place in middlewares.items() if place is None], ["HttpCacheMiddleware"]
        )

    def test_nothing_to_do(self) -> None:
        """It says what it needs: nothing that one has forgotten loses items."""
        error = self.assertRaises(ValueError, self.updated)
        self.assertIn("CASSANDRA_TABLE", str(error))

    def test_the_wrong_middleware(self) -> None:
        """The storage cannot be used by Scrapy's own."""
        storage = CassandraCacheStorage(settings(HTTPCACHE_TABLE="pages"))
        error = self.assertRaises(TypeError, storage.open_spider, None)
        self.assertIn("CassandraHttpCacheMiddleware", str(error))
