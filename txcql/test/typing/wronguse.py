"""Mistakes, one a line: each is an error for the type checker."""

from __future__ import annotations

from typing import Any

import txcql


async def of_connect(reactor: Any) -> None:
    """Settings that are none, or of a wrong type."""
    txcql.connect(reactor, 5)  # type: ignore[arg-type]
    txcql.connect(reactor, ["10.0.0.1"], colour="red")  # type: ignore[call-arg]
    txcql.connect(reactor, ["10.0.0.1"], page_size="many")  # type: ignore[arg-type]
    txcql.connect(reactor, ["10.0.0.1"], port="9042")  # type: ignore[arg-type]
    txcql.aio.connect(["10.0.0.1"], read_timeout="5s")  # type: ignore[arg-type]
    txcql.CassandraService(reactor, drain="2s")  # type: ignore[arg-type]
    txcql.CassandraService(reactor, colour="red")  # type: ignore[call-arg]
    txcql.Settings(page_size="many")  # type: ignore[arg-type]
    session: txcql.Session = txcql.connect(reactor)  # type: ignore[assignment]
    print(session)


async def of_session(session: txcql.Session) -> None:
    """Statements, options and results."""
    session.execute(5)  # type: ignore[arg-type]
    session.execute("SELECT 1", 5)  # type: ignore[arg-type]
    session.execute("SELECT 1", consistency=1)  # type: ignore[arg-type]
    session.execute("SELECT 1", colour="red")  # type: ignore[call-arg]
    session.execute("SELECT 1", page_size="many")  # type: ignore[arg-type]
    session.prepare(b"SELECT 1")  # type: ignore[arg-type]
    session.close(drain="2s")  # type: ignore[arg-type]
    session.execute_many("INSERT", 5)  # type: ignore[arg-type]
    session.execute("SELECT 1").one()  # type: ignore[attr-defined]
    result: int = await session.execute("SELECT 1")  # type: ignore[assignment]
    print(result)


async def of_results(session: txcql.Session, result: txcql.Result) -> None:
    """What results and streams do not have."""
    result.fetchall()  # type: ignore[attr-defined]
    result.column(1)  # type: ignore[arg-type]
    result.paging_state = "state"  # type: ignore[assignment, misc]
    for row in session.stream("SELECT 1"):  # type: ignore[attr-defined]
        print(row)
    session.stream("SELECT 1").deliver_to()  # type: ignore[call-arg]
    session.stream("SELECT 1", prefetch_pages="all")  # type: ignore[arg-type]


async def of_asyncio(session: txcql.Session, wrapped: txcql.aio.AioSession) -> None:
    """What is not of asyncio's kind."""
    txcql.aio.wrap("session")  # type: ignore[arg-type]
    wrapped.execute(5)  # type: ignore[arg-type]
    wrapped.execute("SELECT 1").addCallback(print)  # type: ignore[attr-defined]
    page: txcql.aio.AioResult = await session.execute("SELECT 1")  # type: ignore[assignment]
    print(page)


async def of_services(service: txcql.CassandraService) -> None:
    """Waiting wrongly."""
    service.when_ready(fail_after="3")  # type: ignore[arg-type]
    await service.session  # type: ignore[misc]
    txcql.SlowQueryLogger(threshold="1s")  # type: ignore[arg-type]
