"""Nodes that die, hang and leave under load: what can be answered is answered, and all else is told.

Three nodes in two data centers, one of which is only the other's backup. All faults under
``TXCQL_FULL``; else the quick ones, for a shorter time.
"""

from __future__ import annotations

import os

import pytest
import pytest_twisted  # type: ignore[import-untyped]
from twisted.internet.task import deferLater

from txcql.policies import ExponentialReconnectionPolicy
from txcql.test.cassandra import lease
from txcql.test.live.underload import LONGEST_WAIT, SERVER_TIMEOUT, SLACK, Under, make_things
from txcql.test.live.waiting import eventually

FULL = bool(os.environ.get("TXCQL_FULL"))


@pytest.fixture(scope="module")
def trio():
    """Lease three nodes that nobody else uses."""
    with lease("three", exclusive=True) as held:
        yield held


@pytest_twisted.async_yield_fixture
async def session(reactor, open_session, trio):
    """Open a session that reconnects every few seconds, with a table that each node has a copy of."""
    session = await open_session(
        trio,
        local_datacenter="dc1",
        consistency="LOCAL_ONE",
        reconnection=ExponentialReconnectionPolicy(base=0.5, maximum=LONGEST_WAIT),
    )
    await make_things(session)
    yield session


async def test_killed(reactor, session, trio):
    """SIGKILL, and a start over its data."""
    async with Under(reactor, session, trio, 1) as under:
        begin = reactor.seconds()
        await under.control.kill(1)
        await deferLater(reactor, 5.0 if FULL else 1.0)
        gone = reactor.seconds()
        await under.control.restart(1)
        await under.back_by_event(gone)
        under.no_failures(begin)


async def test_client_port_closed(reactor, session, trio):
    """``disablebinary``, of which no event tells; nor does one when the port is open again."""
    async with Under(reactor, session, trio, 1) as under:
        begin = reactor.seconds()
        await under.control.nodetool(1, "disablebinary")
        await deferLater(reactor, 10.0 if FULL else 2.0)
        closed = reactor.seconds()
        assert session.snapshot()["nodes"][under.name]["state"] == "down"
        await under.control.nodetool(1, "enablebinary")
        opened = reactor.seconds()
        used = await under.in_use(closed)
        print(f"\nin use {used - opened:+.2f} s after the port was open")
        assert used - opened < LONGEST_WAIT + SLACK, "the schedule's next attempt"
        under.no_failures(begin)


async def test_hung(reactor, session, trio):
    """SIGSTOP for half a minute. Its process is there, and says nothing."""
    seconds = 30.0 if FULL else 12.0
    async with Under(reactor, session, trio, 1) as under:
        begin = reactor.seconds()
        await under.control.stop(1)
        await deferLater(reactor, seconds)
        stopped = under.load.last.get(under.name, 0.0)
        await under.control.cont(1)
        again = reactor.seconds()
        used = await under.in_use(again)
        print(
            f"\nlast answer {stopped - begin:+.2f} s after SIGSTOP, in use {used - again:+.2f} s after CONT"
        )
        assert used - again < LONGEST_WAIT + SLACK
        await deferLater(reactor, 2.0)
        under.no_failures(begin, begin + 0.5)
        under.no_failures(begin + SERVER_TIMEOUT)


@pytest.mark.full
async def test_terminated(reactor, session, trio):
    """SIGTERM of the node that has the control connection."""
    async with Under(reactor, session, trio, 0) as under:
        begin = reactor.seconds()
        await under.control.terminate(0)
        gone = reactor.seconds()
        await under.control.restart(0)
        await under.back_by_event(gone)
        under.no_failures(begin)


@pytest.mark.full
async def test_decommissioned(reactor, session, trio):
    """It leaves the cluster for good, and comes back as another one."""
    async with Under(reactor, session, trio, 1) as under:
        begin = reactor.seconds()
        await under.control.nodetool(1, "decommission", "--force")
        await eventually(reactor, lambda: under.name not in session.snapshot()["nodes"] or None, 30.0)
        await under.control.terminate(1)
        under.wipe()
        gone = reactor.seconds()
        await under.control.restart(1)
        await under.in_use(gone)
        under.no_failures(begin)
