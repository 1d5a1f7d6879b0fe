"""txcql for Scrapy: items into a table, seen requests and cached pages in the cluster (extra ``scrapy``).

``ADDONS = {"txcql.integrations.scrapy.CassandraAddon": 500}`` is all that a project needs besides its
``CASSANDRA_…`` settings.
"""

from txcql.integrations.scrapy.addon import CassandraAddon
from txcql.integrations.scrapy.dupefilter import CassandraDupeFilter
from txcql.integrations.scrapy.httpcache import CassandraCacheStorage, CassandraHttpCacheMiddleware
from txcql.integrations.scrapy.pipeline import CassandraPipeline

__all__ = [
    "CassandraAddon",
    "CassandraCacheStorage",
    "CassandraDupeFilter",
    "CassandraHttpCacheMiddleware",
    "CassandraPipeline",
]
