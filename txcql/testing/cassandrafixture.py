"""What tests of applications need: a cluster, fake or real, and a session in a keyspace of its own."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Coroutine, Generator
from typing import Any, TypeVar
from uuid import uuid4

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorCore
from twisted.python.failure import Failure

import txcql
from txcql.testing.fakecluster import FakeCluster
from txcql.testing.memoryreactor import MemoryReactor

__all__ = ["VARIABLE", "CassandraFixture", "real_contact_points"]

VARIABLE = "TXCQL_TEST_CASSANDRA"
"""The environment variable that leads the tests to a real cluster: ``[USER:PASSWORD@]HOST[:PORT],…``."""

_REPLICATION = "{'class': 'NetworkTopologyStrategy', 'replication_factor': 1}"

_T = TypeVar("_T")


def real_contact_points() -> tuple[list[str], dict[str, str]]:
    """The contact points of the real cluster, and the settings of its login; empty for the fake."""
    text = os.environ.get(VARIABLE, "").strip()
    login, _, points = text.rpartition("@")
    user, _, password = login.partition(":")
    settings = {"username": user, "password": password} if login else {}
    return [point.strip() for point in points.split(",") if point.strip()], settings


class CassandraFixture:
    """A cluster for one test, and sessions on it: fake, unless :data:`VARIABLE` says otherwise.

    :param reactor: the reactor that runs; without one, a :class:`~txcql.testing.MemoryReactor` for the fake
        and a reactor that only turns in :meth:`run` for a real cluster.
    :param wait: waits for a Deferred where the reactor is somebody else's.
    :ivar cluster: the fake cluster, ``None`` on a real one.
    :ivar contact_points: for :func:`txcql.connect`.
    :ivar settings: for :func:`txcql.connect` too: the login of a real cluster.
    """

    def __init__(
        self,
        reactor: Any = None,
        wait: Callable[[Deferred[Any]], Any] | None = None,
        **cluster_options: Any,
    ) -> None:
        self.contact_points, login = real_contact_points()
        self.settings: dict[str, Any] = dict(login)
        self.is_real = bool(self.contact_points)
        self._wait = wait
        self.reactor = reactor
        if reactor is None:
            self.reactor = _turning_reactor() if self.is_real else MemoryReactor()
        self.cluster = None if self.is_real else FakeCluster(self.reactor, **cluster_options)
        self._opened: list[tuple[txcql.Session, str]] = []

    def run(self, result: Awaitable[_T]) -> _T:
        """Wait for a Deferred or a coroutine.

        :returns: what it gives; what it raises is raised.
        """
        deferred = _deferred(result)
        if self._wait is not None:
            waited: _T = self._wait(deferred)
            return waited
        if isinstance(self.reactor, MemoryReactor):
            return self.reactor.run(deferred)
        return _turn(self.reactor, deferred)

    async def open_session(self, **settings: Any) -> txcql.Session:
        """A session in a new keyspace, which is dropped in the end.

        :param settings: of the session.
        """
        if self.cluster is not None and not self.contact_points:
            await self.cluster.listen()
            self.contact_points = self.cluster.contact_points
        session = await txcql.connect(self.reactor, self.contact_points, **{**self.settings, **settings})
        keyspace = f"test_{uuid4().hex[:16]}"
        await session.execute(f"CREATE KEYSPACE {keyspace} WITH replication = {_REPLICATION}")
        await session.set_keyspace(keyspace)
        self._opened.append((session, keyspace))
        return session

    async def close(self) -> None:
        """Drop the keyspaces, close the sessions and the fake."""
        opened, self._opened = self._opened, []
        for session, keyspace in opened:
            try:
                if self.is_real:
                    await session.execute(f"DROP KEYSPACE IF EXISTS {keyspace}")
            finally:
                await session.close()
        if self.cluster is not None:
            await self.cluster.close()


def _deferred(result: Awaitable[_T]) -> Deferred[_T]:
    if isinstance(result, Deferred):
        return result
    if isinstance(result, (Coroutine, Generator)):
        return Deferred.fromCoroutine(result)

    async def wait() -> _T:
        return await result

    return Deferred.fromCoroutine(wait())


def _turning_reactor() -> Any:
    """A reactor that nobody else uses, and that turns only while somebody waits."""
    from twisted.internet.selectreactor import SelectReactor

    made = SelectReactor()
    made.startRunning(installSignalHandlers=False)
    return made


def _turn(reactor: IReactorCore, deferred: Deferred[_T]) -> _T:
    found: list[_T | Failure] = []
    deferred.addBoth(found.append)
    while not found:
        reactor.iterate(0.05)
    [outcome] = found
    if isinstance(outcome, Failure):
        outcome.raiseException()
    return outcome
