"""Ten minutes of load on three nodes, one of which is always about to be disturbed.

``TXCQL_SOAK_SECONDS`` gives another length.
"""

from __future__ import annotations

import os
from collections import Counter

import pytest
from twisted.internet.task import deferLater

from txcql.policies import ExponentialReconnectionPolicy
from txcql.test.cassandra import lease
from txcql.test.live.processmemory import resident_mib
from txcql.test.live.underload import LONGEST_WAIT, SERVER_TIMEOUT, Under, make_things

SECONDS = float(os.environ.get("TXCQL_SOAK_SECONDS") or 600)
HUNG = 12.0
PAUSE = 5.0
MOST_GROWTH = 16.0  # MiB


async def kill(under, reactor, node):
    """SIGKILL, and a start over its data."""
    await under.control.kill(node)
    await deferLater(reactor, PAUSE)
    await under.control.restart(node)


async def terminate(under, reactor, node):
    """SIGTERM, and a start."""
    await under.control.terminate(node)
    await under.control.restart(node)


async def close_port(under, reactor, node):
    """``disablebinary`` and ``enablebinary``."""
    await under.control.nodetool(node, "disablebinary")
    await deferLater(reactor, PAUSE)
    await under.control.nodetool(node, "enablebinary")


async def hang(under, reactor, node):
    """SIGSTOP and SIGCONT."""
    await under.control.stop(node)
    await deferLater(reactor, HUNG)
    await under.control.cont(node)


FAULTS = (close_port, hang, kill, terminate)


@pytest.mark.full
async def test_soak(reactor, open_session):
    """What can be answered is; nothing is left over, and nothing grows."""
    print(f"\n{SECONDS:g} s")
    with lease("three", exclusive=True) as trio:
        session = await open_session(
            trio,
            local_datacenter="dc1",
            consistency="LOCAL_ONE",
            reconnection=ExponentialReconnectionPolicy(base=0.5, maximum=LONGEST_WAIT),
        )
        await make_things(session)
        end = reactor.seconds() + SECONDS
        done: Counter[str] = Counter()
        memory: float | None = None
        while reactor.seconds() < end:
            number = done.total()
            fault, node = FAULTS[number % len(FAULTS)], 1 - number // len(FAULTS) % 2
            async with Under(reactor, session, trio, node) as under:
                begin = reactor.seconds()
                await fault(under, reactor, node)
                again = reactor.seconds()
                await under.in_use(again)
                await deferLater(reactor, PAUSE)
                if fault is hang:
                    under.no_failures(begin, begin + 0.5)
                    under.no_failures(begin + SERVER_TIMEOUT)
                else:
                    under.no_failures(begin)
            done[fault.__name__] += 1
            if memory is None:
                # The first round has made what is kept for good.
                memory = resident_mib()
        nodes = session.snapshot()["nodes"].values()
        assert sum(node["in_flight"] + node["queued"] for node in nodes) == 0
        assert len(session.deadlines) == 0
        growth = resident_mib() - (memory or 0.0)
        print(f"\n{dict(done)}; {growth:+.1f} MiB; {session}")
        assert growth < MOST_GROWTH
