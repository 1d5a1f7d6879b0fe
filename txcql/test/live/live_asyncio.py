"""Sessions of asyncio programs, and of asyncio code beside Twisted's."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from twisted.internet.defer import Deferred

import txcql
from txcql.test.live.live_programs import output_of
from txcql.test.live.releases import RELEASE
from txcql.test.live.wires import PLAIN_WIRES


@pytest.mark.parametrize("wire", PLAIN_WIRES, ids=str)
def test_a_program_of_asyncio(cassandra, keyspace, wire):
    """Futures, sinks, streams and cancelled tasks, on one loop after another, in debug mode; no thread."""
    program = Path(__file__).with_name("asyncprogram.py")
    assert output_of(program, cassandra.nodes[0].address, wire.version, keyspace) == ""


@pytest.mark.parametrize("wire", PLAIN_WIRES, ids=str)
async def test_a_session_of_twisted_in_a_task(open_session, wire):
    """Wrapped, it serves asyncio code on Twisted's asyncio reactor; the same session goes on as it is."""
    plain = await open_session(**wire.settings)
    session = txcql.aio.wrap(plain)

    async def task():
        result = await session.execute("SELECT release_version FROM system.local")
        return result.one().release_version

    assert await Deferred.fromFuture(asyncio.ensure_future(task())) == RELEASE
    assert (await plain.execute("SELECT release_version FROM system.local")).one() == (RELEASE,)
