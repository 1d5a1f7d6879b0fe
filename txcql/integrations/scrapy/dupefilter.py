"""A dupe filter that remembers requests over crawls, in a table."""

from __future__ import annotations

import logging
from collections import deque
from typing import TYPE_CHECKING, Any

from scrapy.dupefilters import RFPDupeFilter
from twisted.internet.defer import Deferred, gatherResults

from txcql.integrations.rowwriter import RowWriter, WriteOptions
from txcql.integrations.scrapy.crawlsession import CrawlSession
from txcql.integrations.scrapy.crawlsettings import PREFIX, checked_name
from txcql.session.session import Session

if TYPE_CHECKING:
    from scrapy.crawler import Crawler
    from scrapy.http import Request

__all__ = ["BUCKETS", "CassandraDupeFilter"]

logger = logging.getLogger(__name__)

BUCKETS = 16
"""Partitions of each scope: the first byte of a fingerprint decides."""

_AT_A_TIME = 128


class CassandraDupeFilter(RFPDupeFilter):
    """Knows every request of earlier crawls of the same scope, and of this one.

    Scrapy asks it without waiting for an answer. So the known fingerprints are read when the spider
    opens, 20 bytes each, and new ones are written while the crawl goes on; what is left is written
    when it closes. A request counts as seen once it is scheduled. Crawls that run at the same time
    hear of each other's requests when they are opened.

    ``CASSANDRA_DUPEFILTER_TABLE`` names the table, which is created if there is none;
    ``CASSANDRA_DUPEFILTER_SCOPE`` what crawls have in common, the spider's name if not given;
    ``CASSANDRA_DUPEFILTER_TTL`` the seconds after which a request is forgotten.

    :param crawler: the crawler.
    :raises ValueError: a setting is missing or wrong.
    """

    def __init__(self, crawler: Crawler) -> None:
        fingerprinter: Any = crawler.request_fingerprinter
        super().__init__(None, crawler.settings.getbool("DUPEFILTER_DEBUG"), fingerprinter=fingerprinter)
        self._crawler = crawler
        self._table = checked_name(crawler.settings, "DUPEFILTER_TABLE")
        self._scope = crawler.settings.get(f"{PREFIX}DUPEFILTER_SCOPE")
        self._ttl = crawler.settings.getint(f"{PREFIX}DUPEFILTER_TTL")
        self._shared = CrawlSession.of(crawler)
        self._known: set[bytes] = set()
        self._unwritten: deque[bytes] = deque()
        self._writer: RowWriter | None = None
        self._on_written: Deferred[None] | None = None

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> CassandraDupeFilter:
        """What Scrapy calls."""
        return cls(crawler)

    def open(self) -> Deferred[None]:
        """Read what is known."""
        return Deferred.fromCoroutine(self._open())

    def request_seen(self, request: Request) -> bool:
        """Whether a request was scheduled before; from now on it was."""
        fingerprint: bytes = self.fingerprinter.fingerprint(request)
        if fingerprint in self._known:
            return True
        self._known.add(fingerprint)
        self._unwritten.append(fingerprint)
        self._write()
        return False

    def close(self, reason: str) -> Deferred[None]:
        """Write what is left, and say what was not written."""
        return Deferred.fromCoroutine(self._close())

    # Inside.

    async def _open(self) -> None:
        if self._scope is None:
            self._scope = self._crawler.spider.name if self._crawler.spider is not None else ""
        session = await self._shared.acquire()
        try:
            await session.execute(
                f"CREATE TABLE IF NOT EXISTS {self._table} (scope text, bucket tinyint, fingerprint blob, "
                "PRIMARY KEY ((scope, bucket), fingerprint))"
            )
            select = await session.prepare(
                f"SELECT fingerprint FROM {self._table} WHERE scope = ? AND bucket = ?"
            )
            await gatherResults(
                [Deferred.fromCoroutine(self._read(session, select, bucket)) for bucket in range(BUCKETS)]
            )
            ttl = f" USING TTL {self._ttl}" if self._ttl else ""
            insert = await session.prepare(
                f"INSERT INTO {self._table} (scope, bucket, fingerprint) VALUES (?, ?, ?){ttl}"
            )
        except BaseException:
            await self._shared.release()
            raise
        stats: Any = self._crawler.stats
        stats.set_value("cassandra/dupefilter/known", len(self._known))
        self._writer = RowWriter(
            session,
            self._shared.reactor,
            insert,
            WriteOptions(concurrency=_AT_A_TIME),
            stats,
            ending=lambda: self._on_written is not None,
            limit=self._crawler.settings.getfloat(f"{PREFIX}CLOSE_TIMEOUT", 30.0),
            prefix="cassandra/dupefilter/",
        )

    async def _read(self, session: Session, select: Any, bucket: int) -> None:
        async for row in session.stream(select, [self._scope, bucket], row_factory="tuple"):
            self._known.add(row[0])

    def _write(self) -> None:
        writer = self._writer
        assert writer is not None, "open() has not finished"
        while self._unwritten and writer.pending < _AT_A_TIME:
            fingerprint = self._unwritten.popleft()
            written = writer.write([self._scope, fingerprint[0] % BUCKETS, fingerprint])
            written.addBoth(self._written)
        if not self._unwritten and not writer.pending and self._on_written is not None:
            waiting, self._on_written = self._on_written, None
            waiting.callback(None)

    def _written(self, outcome: Any) -> None:
        self._write()

    async def _close(self) -> None:
        writer = self._writer
        if writer is None:
            return
        try:
            if self._unwritten or writer.pending:
                self._on_written = Deferred()
                await self._on_written
            lost = await writer.close()
            if lost:
                logger.error("%d requests were not remembered in Cassandra", lost)
        finally:
            self._writer = None
            await self._shared.release()
