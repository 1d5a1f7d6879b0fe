"""A program that crawls a site into Cassandra, in a process of its own: a reactor is started once.

Its last line is a JSON object: the stats of the crawl, and what it has seen itself.
"""

from __future__ import annotations

import faulthandler
import json
import os
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import scrapy
from scrapy.crawler import CrawlerProcess

PAGE_SIZE = os.sysconf("SC_PAGE_SIZE")

#: Seconds after which a crawl that hangs is ended; what it logged is shown then.
LIMIT = 90

REACTORS = {
    "asyncio": "twisted.internet.asyncioreactor.AsyncioSelectorReactor",
    "classic": "twisted.internet.epollreactor.EPollReactor",
}


def memory() -> int:
    """Read how much memory the process uses.

    :returns: Bytes.
    """
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * PAGE_SIZE


class PagesSpider(scrapy.Spider):
    """Fetches every page of the site; each holds items as JSON."""

    name = "pages"

    async def start(self):
        """Ask for each page.

        :returns: Yields requests.
        """
        for page in range(self.pages):
            yield scrapy.Request(f"{self.site}/page/{page}", dont_filter=self.dont_filter)

    def parse(self, response):
        """Read a page.

        :param response: The page.
        :returns: Yields its items.
        """
        values = self.crawler.stats
        values.inc_value("test/cached", "cached" in response.flags)
        values.inc_value("test/parsed")
        if values.get_value("test/parsed") == self.pages // 2:
            values.set_value("test/memory_half_way", memory())
        values.set_value("test/memory", memory())
        yield from response.json()


def main(mode: str, site: str, pages: int, settings: dict[str, Any]) -> None:
    """Crawl.

    :param mode: ``"asyncio"``, ``"classic"`` or ``"reactorless"``.
    :param site: The address of the site.
    :param pages: How many pages it has.
    :param settings: Settings of the crawl.
    """
    given = {
        "ADDONS": {"txcql.integrations.scrapy.CassandraAddon": 500},
        "TELNETCONSOLE_ENABLED": False,
        "LOG_LEVEL": "INFO",
        "RETRY_ENABLED": False,
        "CONCURRENT_REQUESTS_PER_DOMAIN": 16,
        "DOWNLOAD_DELAY": 0,
        **settings,
    }
    dont_filter = given.pop("dont_filter", False)
    if mode == "reactorless":
        from scrapy.crawler import AsyncCrawlerProcess

        process: Any = AsyncCrawlerProcess({**given, "TWISTED_REACTOR_ENABLED": False})
    else:
        process = CrawlerProcess({**given, "TWISTED_REACTOR": REACTORS[mode]})
    crawler = process.create_crawler(PagesSpider)
    process.crawl(crawler, site=site, pages=pages, dont_filter=dont_filter)
    process.start()
    stats = crawler.stats.get_stats()
    found = {name: value for name, value in stats.items() if not isinstance(value, datetime)}
    print(json.dumps({**found, "test/reactor": "twisted.internet.reactor" in sys.modules}))


if __name__ == "__main__":
    faulthandler.dump_traceback_later(LIMIT, exit=True)
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), json.loads(sys.argv[4]))
