"""A mixin for trial's test cases: a session on a fake cluster, or on a real one."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from typing import Any, ClassVar, TypeVar

from twisted.internet.defer import Deferred

from txcql.testing.cassandrafixture import CassandraFixture
from txcql.testing.fakecluster import FakeCluster

__all__ = ["CassandraMixin"]

_T = TypeVar("_T")


class CassandraMixin:
    """Gives a test case a session in a keyspace that only this test has.

    Beside ``SynchronousTestCase`` it brings a reactor in memory, and :meth:`run_until_done` waits. For
    trial's asynchronous ``TestCase``, set :attr:`cassandra_reactor` to the reactor that trial runs.

    :cvar cassandra_reactor: the reactor; ``None`` for one of the mixin's own.
    :cvar cassandra_options: the options of the :class:`~txcql.testing.FakeCluster`.
    :ivar cassandra: the fixture: its contact points and its reactor.
    :ivar session: the session.
    """

    cassandra_reactor: ClassVar[Any] = None
    cassandra_options: ClassVar[Mapping[str, Any]] = {}

    def setUp(self) -> Any:
        """Open the session."""
        self.cassandra = CassandraFixture(self.cassandra_reactor, **self.cassandra_options)
        if self.cassandra_reactor is None:
            self.addCleanup(lambda: self.cassandra.run(self.cassandra.close()))  # type: ignore[attr-defined]
            self.session = self.cassandra.run(self.cassandra.open_session())
            return None
        self.addCleanup(lambda: Deferred.fromCoroutine(self.cassandra.close()))  # type: ignore[attr-defined]
        return Deferred.fromCoroutine(self._open())

    async def _open(self) -> None:
        self.session = await self.cassandra.open_session()

    @property
    def cluster(self) -> FakeCluster:
        """The fake cluster, for answers and faults; the test is skipped on a real one."""
        if self.cassandra.cluster is None:
            self.skipTest("this test needs the fake cluster")  # type: ignore[attr-defined]
        assert self.cassandra.cluster is not None
        return self.cassandra.cluster

    def run_until_done(self, result: Awaitable[_T]) -> _T:
        """Wait for a Deferred or a coroutine, where the reactor is the mixin's own."""
        return self.cassandra.run(result)
