"""Scrapy's HTTP cache, kept in a table."""

from __future__ import annotations

import logging
import time
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from scrapy.downloadermiddlewares.httpcache import HttpCacheMiddleware
from scrapy.http import Headers
from scrapy.responsetypes import responsetypes
from twisted.internet.defer import Deferred
from w3lib.http import headers_dict_to_raw, headers_raw_to_dict

from txcql.errors import CQLError
from txcql.integrations.scrapy.crawlsession import CrawlSession, awaited
from txcql.integrations.scrapy.crawlsettings import checked_name
from txcql.session.session import Session

if TYPE_CHECKING:
    from scrapy.crawler import Crawler
    from scrapy.http import Request, Response
    from scrapy.settings import BaseSettings

__all__ = ["CassandraCacheStorage", "CassandraHttpCacheMiddleware"]

logger = logging.getLogger(__name__)


class CassandraCacheStorage:
    """Where the pages are: the table ``CASSANDRA_HTTPCACHE_TABLE``, which is created if there is none.

    Scrapy's middleware asks a storage without waiting for an answer, so it needs
    :class:`CassandraHttpCacheMiddleware` in its place. Pages expire by the table's own means after
    ``HTTPCACHE_EXPIRATION_SECS``. A cluster that cannot be reached is a page that is not there.

    :param settings: those of the crawl.
    """

    def __init__(self, settings: BaseSettings) -> None:
        self._table = checked_name(settings, "HTTPCACHE_TABLE")
        self._expiration = settings.getint("HTTPCACHE_EXPIRATION_SECS")
        self._shared: CrawlSession | None = None
        self._session: Session | None = None
        self._scope = ""
        self._fingerprint: Any = None
        self._stats: Any = None
        self._select: Any = None
        self._insert: Any = None
        self._found: WeakKeyDictionary[Request, Response] = WeakKeyDictionary()
        self._to_store: WeakKeyDictionary[Request, list[Any]] = WeakKeyDictionary()

    def open_spider(self, spider: Any) -> None:
        """What Scrapy's own middleware calls.

        :raises TypeError: always: it is the wrong middleware.
        """
        raise TypeError(
            f"{type(self).__name__} needs CassandraHttpCacheMiddleware in place of HttpCacheMiddleware: "
            "CassandraAddon sees to it"
        )

    def close_spider(self, spider: Any) -> None:
        """Nothing is left to be done."""

    def retrieve_response(self, spider: Any, request: Request) -> Response | None:
        """What :meth:`fetch` has found."""
        return self._found.pop(request, None)

    def store_response(self, spider: Any, request: Request, response: Response) -> None:
        """Note a page for :meth:`store`."""
        raw = headers_dict_to_raw(response.headers) or b""
        self._to_store[request] = [
            self._scope,
            self._fingerprint(request),
            response.url,
            response.status,
            raw,
            response.body,
            datetime.fromtimestamp(int(time.time()), timezone.utc),
        ]

    # What the middleware calls.

    async def open(self, crawler: Crawler) -> None:
        """Open the session, and see to the table."""
        shared = CrawlSession.of(crawler)
        fingerprinter: Any = crawler.request_fingerprinter
        self._fingerprint = fingerprinter.fingerprint
        self._scope = crawler.spider.name if crawler.spider is not None else ""
        self._stats = crawler.stats
        session = await shared.acquire()
        self._shared, self._session = shared, session
        await session.execute(
            f"CREATE TABLE IF NOT EXISTS {self._table} (scope text, fingerprint blob, url text, status int, "
            "headers blob, body blob, stored timestamp, PRIMARY KEY ((scope, fingerprint)))"
        )
        self._select = await session.prepare(
            f"SELECT url, status, headers, body, stored FROM {self._table} "
            "WHERE scope = ? AND fingerprint = ?"
        )
        ttl = f" USING TTL {self._expiration}" if self._expiration else ""
        self._insert = await session.prepare(
            f"INSERT INTO {self._table} (scope, fingerprint, url, status, headers, body, stored) "
            f"VALUES (?, ?, ?, ?, ?, ?, ?){ttl}"
        )

    async def close(self) -> None:
        """The session is no longer needed here."""
        if self._shared is not None:
            shared, self._shared, self._session = self._shared, None, None
            await shared.release()

    async def fetch(self, request: Request) -> None:
        """Look a page up, for :meth:`retrieve_response`."""
        if self._session is None:
            return
        try:
            result = await self._session.execute(self._select, [self._scope, self._fingerprint(request)])
        except CQLError as error:
            self._failed("read", error)
            return
        row = result.one()
        if row is None or self._expired(row.stored):
            return
        headers = Headers(headers_raw_to_dict(row.headers) or {})
        kind = responsetypes.from_args(headers=headers, url=row.url, body=row.body)
        self._found[request] = kind(url=row.url, headers=headers, status=row.status, body=row.body)

    async def store(self, request: Request) -> None:
        """Write what :meth:`store_response` has noted, if it has."""
        values = self._to_store.pop(request, None)
        if values is None or self._session is None:
            return
        try:
            await self._session.execute(self._insert, values, idempotent=True)
        except CQLError as error:
            self._failed("store", error)

    # Inside.

    def _expired(self, stored: datetime) -> bool:
        """Whether a page is too old by now, though it was stored for longer."""
        age = datetime.fromtimestamp(time.time(), timezone.utc) - stored
        return bool(self._expiration) and age > timedelta(seconds=self._expiration)

    def _failed(self, verb: str, error: CQLError) -> None:
        self._stats.inc_value(f"cassandra/httpcache/errors/{type(error).__name__}")
        logger.warning("cannot %s a page in Cassandra: %s", verb, error)


class CassandraHttpCacheMiddleware(HttpCacheMiddleware):
    """Scrapy's cache, with a storage that has to be waited for."""

    storage: CassandraCacheStorage

    async def spider_opened(self, spider: Any) -> None:
        """Open the storage."""
        await awaited(Deferred.fromCoroutine(self.storage.open(self.crawler)))

    async def spider_closed(self, spider: Any) -> None:
        """Close it."""
        await awaited(Deferred.fromCoroutine(self.storage.close()))

    async def process_request(self, request: Request, spider: Any = None) -> Any:
        """Look the page up, then go on as Scrapy does."""
        if not request.meta.get("dont_cache", False) and self.policy.should_cache_request(request):
            await awaited(Deferred.fromCoroutine(self.storage.fetch(request)))
        return super().process_request(request, *_given(spider))

    async def process_response(self, request: Request, response: Response, spider: Any = None) -> Any:
        """Go on as Scrapy does, then wait until the page is stored."""
        found = super().process_response(request, response, *_given(spider))
        await awaited(Deferred.fromCoroutine(self.storage.store(request)))
        return found


def _given(spider: Any) -> tuple[Any, ...]:
    """The spider, where Scrapy still passes it."""
    return () if spider is None else (spider,)
