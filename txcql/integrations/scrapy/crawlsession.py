"""One session for each crawl, on the event loop of the crawl, however many of its components use it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar
from weakref import WeakKeyDictionary

from twisted.internet.defer import Deferred

from txcql.aio.futures import as_future
from txcql.aio.loopreactor import LoopReactor
from txcql.integrations.scrapy.crawlsettings import ConnectionSettings, warn_of_unknown
from txcql.session.connect import connect
from txcql.session.session import Session
from txcql.session.sharedwork import SharedWork

if TYPE_CHECKING:
    from scrapy.crawler import Crawler

__all__ = ["CrawlSession", "awaited", "crawl_reactor", "loop_runs"]

T = TypeVar("T")


def crawl_reactor() -> Any:
    """The event loop that a crawl runs on: the reactor that Scrapy has installed, asyncio's or another.

    Without one, it is the asyncio loop that is running. To import the reactor here would install one.
    """
    installed = sys.modules.get("twisted.internet.reactor")
    return installed if installed is not None else LoopReactor(asyncio.get_running_loop())


def loop_runs() -> bool:
    """Whether coroutines of the crawl are tasks of asyncio's, which can await no Deferred."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def awaited(deferred: Deferred[T]) -> Awaitable[T]:
    """What a coroutine of the crawl can await in place of a Deferred."""
    return as_future(deferred) if loop_runs() else deferred


class CrawlSession:
    """The session of one crawler. It is opened for the first who asks, and closed with the last.

    :param crawler: the crawler.
    """

    _of_crawlers: ClassVar[WeakKeyDictionary[Any, CrawlSession]] = WeakKeyDictionary()

    def __init__(self, crawler: Crawler) -> None:
        warn_of_unknown(crawler.settings)
        self.settings = ConnectionSettings.of(crawler.settings)
        self.reactor: Any = None
        self._session: Session | None = None
        self._users = 0
        self._opening: SharedWork[None, Session] = SharedWork()

    @classmethod
    def of(cls, crawler: Crawler) -> CrawlSession:
        """That of a crawler.

        :raises ValueError: a setting is wrong.
        """
        found = cls._of_crawlers.get(crawler)
        if found is None:
            found = cls._of_crawlers[crawler] = CrawlSession(crawler)
        return found

    def acquire(self) -> Deferred[Session]:
        """Get the session; whoever gets it calls :meth:`release` once."""
        return Deferred.fromCoroutine(self._acquire())

    def release(self) -> Deferred[None]:
        """The session is no longer needed here."""
        return Deferred.fromCoroutine(self._release())

    async def _acquire(self) -> Session:
        self._users += 1
        try:
            if self._session is None:
                self._session = await self._opening.join(None, self._open)
        except BaseException:
            self._users -= 1
            raise
        return self._session

    def _open(self) -> Deferred[Session]:
        if self.reactor is None:
            self.reactor = crawl_reactor()
        settings = dict(self.settings.arguments)
        return connect(self.reactor, self.settings.contact_points, **settings)

    async def _release(self) -> None:
        self._users -= 1
        if not self._users and self._session is not None:
            session, self._session = self._session, None
            await session.close(drain=2.0)
