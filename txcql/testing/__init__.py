"""A Cassandra cluster for tests: it speaks the native protocol and keeps its tables in memory."""

from txcql.testing.fakecluster import FakeCluster
from txcql.testing.fakenode import FakeNode

__all__ = ["FakeCluster", "FakeNode"]
