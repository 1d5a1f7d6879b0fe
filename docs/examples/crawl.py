"""A crawl into a table: ``python crawl.py SITE CONTACT_POINT KEYSPACE``."""

import sys

import scrapy
from scrapy.crawler import CrawlerProcess


class Titles(scrapy.Spider):
    name = "titles"

    async def start(self):
        for number in range(3):
            yield scrapy.Request(f"{self.site}/{number}")

    def parse(self, response):
        yield {"url": response.url, "title": response.css("title::text").get()}


site, contact_point, keyspace = sys.argv[1:]
process = CrawlerProcess(
    {
        "ADDONS": {"txcql.integrations.scrapy.CassandraAddon": 500},
        "CASSANDRA_CONTACT_POINTS": [contact_point],
        "CASSANDRA_KEYSPACE": keyspace,
        "CASSANDRA_TABLE": "pages",  # (url text PRIMARY KEY, title text)
        "TELNETCONSOLE_ENABLED": False,
    }
)
crawler = process.create_crawler(Titles)
process.crawl(crawler, site=site)
process.start()
print(crawler.stats.get_value("cassandra/rows_written"), "rows")
