"""Work that is given up at any moment, and a session that is closed over it."""

from __future__ import annotations

import random

import pytest
import pytest_twisted  # type: ignore[import-untyped]
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import deferLater

from txcql.errors import SessionClosed
from txcql.policies.speculation import ConstantSpeculativeExecutionPolicy
from txcql.test.live.failures import failure_of
from txcql.test.live.sizes import sized
from txcql.test.live.waiting import eventually
from txcql.test.live.wires import PLAIN_WIRES

MOMENTS = sized(200)
SILENT = 200
ROWS = 300


@pytest.mark.parametrize("wire", PLAIN_WIRES, ids=str)
async def test_any_moment_of_a_paged_read(reactor, open_session, keyspace, wire):
    """No request, no busy stream, no delayed call; what is read to its end is complete."""
    session = await open_session(
        keyspace=keyspace, speculative=ConstantSpeculativeExecutionPolicy(0.002), **wire.settings
    )
    await session.execute("CREATE TABLE things (id int PRIMARY KEY, v text)")
    insert = await session.prepare("INSERT INTO things (id, v) VALUES (?, ?)")
    await session.execute_many(insert, [[id, "v"] for id in range(ROWS)])

    async def read():
        async with session.stream("SELECT id FROM things", page_size=20) as rows:
            return len([row async for row in rows])

    begun = reactor.seconds()
    assert await read() == ROWS
    takes = reactor.seconds() - begun
    cancelled = 0
    while cancelled < MOMENTS:
        reading = Deferred.fromCoroutine(read())
        await deferLater(reactor, random.uniform(0, takes))
        if reading.called:
            assert await reading == ROWS
            continue
        reading.cancel()
        assert isinstance(await failure_of(reading), CancelledError)
        cancelled += 1
        assert session.snapshot()["requests"] == 0
        assert len(session.speculation) == 0
    # The late answers come, and nobody is given them.
    await eventually(reactor, lambda: sum(pool.sent for pool in session.pools.values()) == 0)
    assert await read() == ROWS


@pytest_twisted.async_yield_fixture
async def silent(open_session, breakable, control):
    """Open a session, and freeze its node."""
    session = await open_session(breakable)
    await session.execute("SELECT release_version FROM system.local")
    await control.stop(0)
    yield session
    await control.cont(0)


@pytest.mark.parametrize("drain", [0.0, 1.0])
async def test_close_over_a_silent_node(reactor, silent, drain):
    """All 200 requests in flight are told within the drain time and half a second."""
    asked = [silent.execute("SELECT release_version FROM system.local") for _ in range(SILENT)]
    await deferLater(reactor, 0.1)
    assert silent.snapshot()["requests"] == SILENT
    begun = reactor.seconds()
    closing = silent.close(drain=drain)
    errors = [await failure_of(request) for request in asked]
    took = reactor.seconds() - begun
    assert [type(error) for error in errors] == [SessionClosed] * SILENT
    assert drain - 0.05 <= took < drain + 0.5
    await closing
