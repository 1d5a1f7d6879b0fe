"""Threads of the user's: they decode pages, and are told that a session is not theirs."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from twisted.internet.threads import deferToThreadPool

from txcql.test.live.failures import failure_of
from txcql.test.live.wires import PLAIN_WIRES

ROWS = 3000


@pytest.mark.parametrize("wire", PLAIN_WIRES, ids=str)
async def test_large_pages(reactor, open_session, keyspace, wire):
    """In slices, in the reactor's pool and in an executor: the same rows, delivered in this thread."""
    session = await open_session(keyspace=keyspace, **wire.settings)
    await session.execute("CREATE TABLE things (id int PRIMARY KEY, v text)")
    insert = await session.prepare("INSERT INTO things (id, v) VALUES (?, ?)")
    await session.execute_many(insert, [[id, "x" * 100] for id in range(ROWS)])
    here = threading.get_ident()
    with ThreadPoolExecutor(1) as executor:
        for where in ("reactor", reactor.getThreadPool(), executor):
            result = await session.execute("SELECT id, v FROM things", decode_in=where)
            assert threading.get_ident() == here
            assert {row.id for row in result} == set(range(ROWS))
            # They were decoded once.
            assert result.all()[0] is result.all()[0]
            async with session.stream("SELECT id FROM things", page_size=2000, decode_in=where) as rows:
                assert {row.id async for row in rows} == set(range(ROWS))


async def test_another_thread(reactor, session):
    """Its call raises at once, and says what to do."""
    called = deferToThreadPool(
        reactor, reactor.getThreadPool(), session.execute, "SELECT release_version FROM system.local"
    )
    error = await failure_of(called)
    assert isinstance(error, RuntimeError)
    assert "blockingCallFromThread" in str(error)
