"""A program as a user would write it: nothing in it is an error, and its types are known."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from twisted.application.service import IService
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

import txcql
from txcql.interfaces import IRequestObserver, IRowConsumer


@implementer(IRowConsumer)
class Counter:
    """A consumer of rows."""

    count: int = 0

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        producer.resumeProducing()

    def unregisterProducer(self) -> None:
        pass

    def write(self, row: Any) -> None:
        self.count += 1


@implementer(IRequestObserver)
class Watcher:
    """An observer of requests."""

    wants_values: bool = False

    def request_step(self, event: Any) -> None:
        print(event.step)


async def coroutine(reactor: IReactorTime) -> int:
    """Awaiting Deferreds."""
    session: txcql.Session = await txcql.connect(
        reactor,
        ["10.0.0.1", "10.0.0.2:9043"],
        keyspace="app",
        local_datacenter="dc1",
        compression="lz4",
        page_size=100,
        observers=[Watcher(), txcql.SlowQueryLogger(threshold=0.5)],
    )
    result: txcql.Result = await session.execute(
        "SELECT id, name FROM users WHERE id = ?",
        [1],
        consistency="LOCAL_QUORUM",
        timeout=2.0,
        idempotent=True,
    )
    for row in result:
        print(row.name)
    columns: list[str] = [column.name for column in result.columns]
    names: list[Any] = result.column("name")
    state: bytes | None = result.paging_state
    if result.has_more_pages:
        following: txcql.Result = await result.next_page()
        print(following.coordinator, following.was_applied, columns, names, state)
    insert: txcql.PreparedStatement = await session.prepare("INSERT INTO users (id, name) VALUES (?, ?)")
    bound: txcql.BoundStatement = insert(1, "a")
    both: list[txcql.Result] = await gatherResults(
        [session.execute(bound), session.execute(insert, [2, "b"])]
    )
    async for row in session.stream("SELECT * FROM users", prefetch_pages=2):
        print(row)
    written: int = await session.stream("SELECT * FROM users").deliver_to(Counter())
    await session.execute_many(insert, ([number, "x"] for number in range(10)), concurrency=5)
    await session.close(drain=2.0)
    return written + len(both)


def callbacks(session: txcql.Session) -> Deferred[str]:
    """Chained callbacks."""
    deferred = session.execute("SELECT release_version FROM system.local")
    return deferred.addCallback(lambda result: str(result.one()))


async def rows() -> AsyncIterator[list[int]]:
    """Parameters, from asyncio."""
    for number in range(10):
        await asyncio.sleep(0)
        yield [number]


async def tasks() -> int:
    """Awaiting futures."""
    async with txcql.aio.connect(["10.0.0.1"], keyspace="app", protocol_version=5) as session:
        result: txcql.aio.AioResult = await asyncio.wait_for(session.execute("SELECT now() FROM t"), 1.0)
        page: asyncio.Future[txcql.aio.AioResult] = result.next_page()
        insert: txcql.PreparedStatement = await session.prepare("INSERT INTO t (k) VALUES (?)")
        await session.execute_many(insert, rows())
        async with session.sink() as sink:
            sink.write(insert, [1])
            await sink.drain()
        async with session.stream("SELECT * FROM t") as found:
            count = len([row async for row in found])
        return count + sink.counts.written + len(await page)


async def service(reactor: IReactorTime) -> txcql.Session:
    """A service is one of Twisted's."""
    cassandra = txcql.CassandraService(reactor, ["10.0.0.1"], keyspace="app", drain=1.0, page_size=10)
    part: IService = cassandra
    print(part)
    cassandra.startService()
    return await cassandra.when_ready(fail_after=3)
