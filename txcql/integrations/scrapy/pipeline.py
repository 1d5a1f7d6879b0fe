"""The item pipeline: each item becomes a row, and the crawl waits until it is written."""

from __future__ import annotations

import logging
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

import scrapy
from scrapy.exceptions import DropItem
from twisted.internet.defer import CancelledError, Deferred

from txcql.errors import CQLError
from txcql.integrations.rowwriter import RowWriter
from txcql.integrations.scrapy.crawlsession import CrawlSession, awaited
from txcql.integrations.scrapy.crawlsettings import ItemSettings
from txcql.integrations.scrapy.itemrows import ItemError, ItemRows, prepare_rows

if TYPE_CHECKING:
    from scrapy.crawler import Crawler

__all__ = ["CassandraPipeline"]

logger = logging.getLogger(__name__)


class CassandraPipeline:
    """Writes items to a table, or by a statement, and lets the crawl wait for it.

    The settings are named ``CASSANDRA_…``. It runs on whatever the crawl runs on: the asyncio
    reactor, another reactor, or asyncio without a reactor.

    :param crawler: the crawler.
    :raises ValueError: a setting is missing or wrong.
    """

    def __init__(self, crawler: Crawler) -> None:
        self._crawler = crawler
        self._settings = ItemSettings.of(crawler.settings)
        self._shared = CrawlSession.of(crawler)
        self._rows: ItemRows | None = None
        self._writer: RowWriter | None = None

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> CassandraPipeline:
        """What Scrapy calls."""
        return cls(crawler)

    def open_spider(self, spider: Any = None) -> Coroutine[Any, Any, None] | Deferred[None]:
        """Open the session and prepare the statement: what is wrong with either ends the crawl here."""
        return _started(self._open())

    def close_spider(self, spider: Any = None) -> Coroutine[Any, Any, None] | Deferred[None]:
        """Write what is left, say what was not written, and close the session."""
        return _started(self._close())

    async def process_item(self, item: Any, spider: Any = None) -> Any:
        """Write an item.

        :returns: the item, when it is written.
        :raises DropItem: it could not be, and ``CASSANDRA_ON_ERROR`` is ``"drop"``.
        """
        rows, writer = self._rows, self._writer
        assert rows is not None and writer is not None, "open_spider() has not finished"
        try:
            await awaited(writer.write(rows.values(item)))
        except (CQLError, ItemError, CancelledError) as error:
            if isinstance(error, CancelledError):
                error = TimeoutError("not written before the spider was closed")  # type: ignore[assignment]
            if isinstance(error, ItemError):
                writer.refuse(error)
            if self._settings.on_error == "drop":
                raise DropItem(f"not written to Cassandra: {error}") from error
            if self._settings.on_error == "raise":
                raise error
            logger.error("not written to Cassandra: %s: %r", error, item)
        return item

    # Inside.

    async def _open(self) -> None:
        session = await self._shared.acquire()
        try:
            self._rows = rows = await prepare_rows(session, self._settings)
        except BaseException:
            await self._shared.release()
            raise
        stats: Any = self._crawler.stats
        self._writer = RowWriter(
            session,
            self._shared.reactor,
            rows.statement,
            self._settings.write,
            stats,
            ending=self._closing,
            limit=self._settings.close_timeout,
        )

    async def _close(self) -> None:
        writer, self._writer = self._writer, None
        if writer is None:
            return
        try:
            lost = await writer.close()
            if lost:
                logger.error("%d items were not written to Cassandra: see the stats", lost)
        finally:
            await self._shared.release()

    def _closing(self) -> bool:
        """Whether the spider closes: Scrapy calls :meth:`close_spider` after the last item only."""
        if not self._crawler.crawling:
            return True
        engine: Any = self._crawler.engine
        slot = getattr(engine, "_slot", None) or getattr(engine, "slot", None)
        return slot is not None and slot.closing is not None


def _started(work: Coroutine[Any, Any, None]) -> Coroutine[Any, Any, None] | Deferred[None]:
    """What Scrapy waits for: a coroutine of the kind that it runs; before 2.14 a Deferred."""
    deferred = Deferred.fromCoroutine(work)
    if scrapy.version_info < (2, 14):
        return deferred

    async def waiting() -> None:
        await awaited(deferred)

    return waiting()
