"""Crawls of a local site into real Cassandra, in each mode that Scrapy has; each in a process of its own."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import pytest
import pytest_twisted  # type: ignore[import-untyped]
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.internet.utils import getProcessOutputAndValue
from twisted.web.resource import Resource
from twisted.web.server import Site

from txcql.test.live.conftest import REPLICATION
from txcql.test.live.live_programs import examples
from txcql.test.live.sizes import sized
from txcql.test.live.waiting import eventually

FULL = bool(os.environ.get("TXCQL_FULL"))

#: Seconds.
OUTAGE = 10.0 if FULL else 2.5

MODES = ("asyncio", "classic", "reactorless")
ITEMS_A_PAGE = 50
CONCURRENT_WRITES = 7

#: Growth of a crawl's memory from half-way to its last page, in bytes.
MOST_GROWTH = 5 * 1024 * 1024

#: Bytes of pages that Scrapy holds while their items are written: some ten pages.
ACTIVE = 30_000


class Pages(Resource):
    """A site whose pages hold items as JSON.

    :ivar served: How many pages were asked for.
    """

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()
        self.served = 0

    def render_GET(self, request: Any) -> bytes:
        """Give a page.

        :param request: The request.
        :returns: Its items.
        """
        self.served += 1
        page = int(request.postpath[-1])
        request.setHeader(b"content-type", b"application/json")
        numbers = range(page * ITEMS_A_PAGE, (page + 1) * ITEMS_A_PAGE)
        return json.dumps(
            [{"id": number, "page": page, "name": f"item {number}"} for number in numbers]
        ).encode()


class Titles(Resource):
    """A site whose pages have titles."""

    isLeaf = True

    def render_GET(self, request: Any) -> bytes:
        """Give a page.

        :param request: The request.
        :returns: Some HTML.
        """
        number = request.postpath[-1].decode()
        return f"<html><head><title>Page {number}</title></head><body>.</body></html>".encode()


class Crawls:
    """Runs crawls of a site.

    :ivar pages: The site's pages.
    """

    def __init__(self, reactor: Any, node: Any, keyspace: str) -> None:
        self.pages = Pages()
        self._port = reactor.listenTCP(0, Site(self.pages), interface="127.0.0.1")
        self._reactor = reactor
        self._settings = {
            "CASSANDRA_CONTACT_POINTS": [node.address],
            "CASSANDRA_KEYSPACE": keyspace,
            "CASSANDRA_CONCURRENT_WRITES": CONCURRENT_WRITES,
        }

    async def run(self, mode: str, pages: int, **settings: Any) -> dict[str, Any]:
        """Crawl.

        :param mode: One of Scrapy's.
        :param pages: How many.
        :param settings: Settings without their ``CASSANDRA_``, or ``scrapy`` with others.
        :returns: The stats, and what the program has seen.
        """
        others = settings.pop("scrapy", {})
        given = {
            **self._settings,
            **{f"CASSANDRA_{name}": value for name, value in settings.items()},
            **others,
        }
        site = f"http://127.0.0.1:{self._port.getHost().port}"
        output, errors, status = await getProcessOutputAndValue(
            sys.executable,
            ["-m", "txcql.test.live.crawling", mode, site, str(pages), json.dumps(given)],
            env=None,
            reactor=self._reactor,
        )
        assert status == 0, errors.decode()
        found: dict[str, Any] = json.loads(output.decode().splitlines()[-1])
        found["test/stderr"] = errors.decode()
        return found

    async def close(self) -> None:
        """Close the site."""
        await self._port.stopListening()


@pytest_twisted.async_yield_fixture
async def crawls(reactor, cassandra, session, keyspace):
    """Serve a site, with a table for its items.

    :returns: What crawls it.
    """
    await session.execute("CREATE TABLE items (page int, id int, name text, PRIMARY KEY (page, id))")
    made = Crawls(reactor, cassandra.nodes[0], keyspace)
    yield made
    await made.close()


async def written(session):
    """Read what has been written.

    :returns: The ids, in order.
    """
    return sorted([row.id async for row in session.stream("SELECT id FROM items")])


@pytest.mark.parametrize("mode", MODES)
async def test_a_crawl_writes_every_item_once(crawls, session, mode):
    """No more at the same time than was asked for, and with memory that stays as it is."""
    pages = sized(5000) // ITEMS_A_PAGE
    items = pages * ITEMS_A_PAGE
    stats = await crawls.run(mode, pages, TABLE="items", scrapy={"SCRAPER_SLOT_MAX_ACTIVE_SIZE": ACTIVE})
    assert await written(session) == list(range(items)), stats["test/stderr"]
    assert stats["cassandra/rows_written"] == stats["cassandra/requests"] == items
    assert stats["cassandra/inflight_max"] == CONCURRENT_WRITES
    assert stats["item_scraped_count"] == items
    assert stats["test/reactor"] is (mode != "reactorless")
    assert stats["test/memory"] - stats["test/memory_half_way"] < MOST_GROWTH
    print(f"{mode}: {stats['test/memory_half_way']:,} bytes half-way, {stats['test/memory']:,} at the end")
    assert "deprecated" not in stats["test/stderr"], stats["test/stderr"]


@pytest.mark.parametrize("mode", MODES if FULL else MODES[:1])
async def test_an_outage_in_the_middle_loses_nothing(reactor, breakable, control, open_session, mode):
    """The node is frozen half-way; the crawl waits for it, and goes on by itself."""
    session = await open_session(breakable)
    keyspace = f"outage_{mode}"
    await session.execute(f"CREATE KEYSPACE {keyspace} WITH replication = {REPLICATION}")
    await session.set_keyspace(keyspace)
    await session.execute("CREATE TABLE items (page int, id int, name text, PRIMARY KEY (page, id))")
    crawls = Crawls(reactor, breakable.nodes[0], keyspace)
    pages = sized(5000) // ITEMS_A_PAGE
    crawl = Deferred.fromCoroutine(
        crawls.run(
            mode, pages, TABLE="items",
            OPTIONS={"read_timeout": 1.0, "request_timeout": 2.0},
            scrapy={"DOWNLOAD_DELAY": 2.0 / pages},
        )
    )  # fmt: skip
    await eventually(reactor, lambda: crawls.pages.served > pages // 2, 30)
    await control.stop(0)
    await deferLater(reactor, OUTAGE)
    assert not crawl.called
    await control.cont(0)
    stats = await crawl
    await crawls.close()
    items = pages * ITEMS_A_PAGE
    found = await eventually(reactor, lambda: Deferred.fromCoroutine(written(session)), 10)
    await session.execute(f"DROP KEYSPACE {keyspace}")
    assert found == list(range(items)), stats["test/stderr"]
    assert stats["cassandra/rows_written"] == stats["item_scraped_count"] == items
    assert stats["cassandra/retries"] > 0
    assert stats["cassandra/paused_seconds"] > 0
    assert stats["cassandra/inflight_max"] <= CONCURRENT_WRITES
    assert "cassandra/rows_not_written" not in stats


@pytest.mark.parametrize("mode", MODES)
async def test_batches_hold_rows_of_one_partition(crawls, session, mode):
    """They are flushed by size, and what is left by time: nobody waits for ever."""
    stats = await crawls.run(mode, 2, TABLE="items", BATCH_SIZE=20, FLUSH_INTERVAL=0.1)
    assert await written(session) == list(range(2 * ITEMS_A_PAGE))
    # 20, 20 and 10 rows of each page.
    assert stats["cassandra/batches"] == stats["cassandra/requests"] == 6
    assert stats["cassandra/rows_written"] == 2 * ITEMS_A_PAGE


async def test_a_crawl_that_ends_says_what_was_not_written(reactor, breakable, control, open_session):
    """The node is gone for good: the spider closes after its limit, and counts what is missing."""
    session = await open_session(breakable)
    await session.execute(f"CREATE KEYSPACE ending WITH replication = {REPLICATION}")
    await session.set_keyspace("ending")
    await session.execute("CREATE TABLE items (page int, id int, name text, PRIMARY KEY (page, id))")
    crawls = Crawls(reactor, breakable.nodes[0], "ending")
    crawl = Deferred.fromCoroutine(
        crawls.run(
            "asyncio", 40, TABLE="items", CLOSE_TIMEOUT=1, ON_ERROR="drop",
            OPTIONS={"read_timeout": 0.5, "request_timeout": 0.5},
            scrapy={"DOWNLOAD_DELAY": 0.05, "CLOSESPIDER_TIMEOUT": 2},
        )
    )  # fmt: skip
    await eventually(reactor, lambda: crawls.pages.served > 2, 30)
    await control.stop(0)
    stats = await crawl
    await control.cont(0)
    await crawls.close()
    await eventually(reactor, lambda: session.execute("DROP KEYSPACE ending"), 10)
    lost = stats["cassandra/rows_not_written"]
    assert lost > 0
    assert stats["item_dropped_count"] == lost
    assert f"{lost} items were not written to Cassandra" in stats["test/stderr"]
    assert stats["finish_reason"] == "closespider_timeout"


@pytest.mark.parametrize("mode", MODES)
async def test_requests_of_an_earlier_crawl_are_not_made_again(crawls, mode):
    """The dupe filter reads what is known, and writes what is new."""
    first = await crawls.run(mode, 3, DUPEFILTER_TABLE="seen")
    assert (crawls.pages.served, first["cassandra/dupefilter/known"]) == (3, 0)
    assert first["cassandra/dupefilter/rows_written"] == 3
    second = await crawls.run(mode, 5, DUPEFILTER_TABLE="seen")
    assert (crawls.pages.served, second["cassandra/dupefilter/known"]) == (5, 3)
    assert second["dupefilter/filtered"] == 3
    assert second["cassandra/dupefilter/rows_written"] == 2


@pytest.mark.parametrize("mode", MODES)
async def test_pages_come_from_the_cache(crawls, mode):
    """A second crawl asks the site for nothing, and sees the same."""
    first = await crawls.run(mode, 3, HTTPCACHE_TABLE="pages")
    assert (crawls.pages.served, first["httpcache/store"], first["test/cached"]) == (3, 3, 0)
    second = await crawls.run(mode, 3, HTTPCACHE_TABLE="pages")
    assert (crawls.pages.served, second.get("httpcache/hit"), second["test/cached"]) == (3, 3, 3), (
        first["test/stderr"] + second["test/stderr"]
    )
    assert second["item_scraped_count"] == first["item_scraped_count"] == 3 * ITEMS_A_PAGE


async def test_a_missing_table_ends_the_crawl_at_once(crawls):
    """It is said before the first request."""
    stats = await crawls.run("asyncio", 1, TABLE="nothing")
    assert 'there is no table "nothing"' in stats["test/stderr"]
    assert crawls.pages.served == 0


async def test_the_crawl_of_the_documentation(reactor, cassandra, session, keyspace):
    """It writes the title of each page."""
    await session.execute("CREATE TABLE pages (url text PRIMARY KEY, title text)")
    site = Titles()
    port = reactor.listenTCP(0, Site(site), interface="127.0.0.1")
    address = f"http://127.0.0.1:{port.getHost().port}"
    program = str(examples() / "crawl.py")
    output, errors, status = await getProcessOutputAndValue(
        sys.executable, [program, address, cassandra.nodes[0].address, keyspace], env=None, reactor=reactor
    )
    await port.stopListening()
    assert (status, output) == (0, b"3 rows\n"), errors.decode()
    rows = await session.execute("SELECT url, title FROM pages")
    assert dict(rows) == {f"{address}/{number}": f"Page {number}" for number in range(3)}
