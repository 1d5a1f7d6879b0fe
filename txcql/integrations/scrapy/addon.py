"""One line in ``ADDONS``: it puts in place what the ``CASSANDRA_…`` settings ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scrapy.downloadermiddlewares.httpcache import HttpCacheMiddleware

from txcql.integrations.scrapy.crawlsettings import PREFIX
from txcql.integrations.scrapy.dupefilter import CassandraDupeFilter
from txcql.integrations.scrapy.httpcache import CassandraCacheStorage, CassandraHttpCacheMiddleware
from txcql.integrations.scrapy.pipeline import CassandraPipeline

if TYPE_CHECKING:
    from scrapy.settings import BaseSettings

__all__ = ["CassandraAddon"]

PIPELINE_PRIORITY = 900
"""Behind pipelines that check and change items."""

CACHE_PRIORITY = 900
"""Where Scrapy has its own cache."""


class CassandraAddon:
    """Adds the pipeline, if there is ``CASSANDRA_TABLE`` or ``CASSANDRA_STATEMENT``; the dupe filter, if
    there is ``CASSANDRA_DUPEFILTER_TABLE``; the HTTP cache, if there is ``CASSANDRA_HTTPCACHE_TABLE``.

    What the project has set itself stays as it is.
    """

    def update_settings(self, settings: BaseSettings) -> None:
        """What Scrapy calls.

        :raises ValueError: none of them is set.
        """
        has_items = any(settings.get(PREFIX + name) is not None for name in ("TABLE", "STATEMENT"))
        has_filter = settings.get(f"{PREFIX}DUPEFILTER_TABLE") is not None
        has_cache = settings.get(f"{PREFIX}HTTPCACHE_TABLE") is not None
        if not (has_items or has_filter or has_cache):
            raise ValueError(
                f"the add-on needs one of {PREFIX}TABLE, {PREFIX}STATEMENT, {PREFIX}DUPEFILTER_TABLE "
                f"and {PREFIX}HTTPCACHE_TABLE"
            )
        if has_items:
            settings.setdefault_in_component_priority_dict(
                "ITEM_PIPELINES", CassandraPipeline, PIPELINE_PRIORITY
            )
        if has_filter:
            settings.set("DUPEFILTER_CLASS", CassandraDupeFilter, "addon")
        if has_cache:
            settings.set("HTTPCACHE_ENABLED", True, "addon")
            settings.set("HTTPCACHE_STORAGE", CassandraCacheStorage, "addon")
            middlewares = "DOWNLOADER_MIDDLEWARES"
            settings.setdefault_in_component_priority_dict(middlewares, HttpCacheMiddleware, None)
            settings.setdefault_in_component_priority_dict(
                middlewares, CassandraHttpCacheMiddleware, CACHE_PRIORITY
            )
