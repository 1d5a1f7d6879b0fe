"""Requests go on while a thousand events come each second, and while the schema changes all the time.

How many times the driver reads is asserted, and what it keeps; how long requests take is printed, since that
is the machine's business as well. Under ``TXCQL_FULL`` it is ten seconds of each on three nodes with 256
requests in flight; else two seconds on one node with 8.
"""

from __future__ import annotations

import os
from ipaddress import ip_address

import pytest
from twisted.internet.task import deferLater

from txcql.cluster.refreshes import REFRESH_WINDOW
from txcql.test.cassandra import lease
from txcql.test.live.processmemory import resident_mib
from txcql.test.live.steadyload import SteadyLoad
from txcql.wire.events import StatusChange

FULL = bool(os.environ.get("TXCQL_FULL"))
SECONDS = 10.0 if FULL else 2.0
IN_FLIGHT = 256 if FULL else 8
EVENTS_A_SECOND = 1000
TURN = 0.01
MOST_GROWTH = 8.0  # MiB


class Storm:
    """A load, the reads of the driver, and its memory, during a storm.

    :param reactor: Waits.
    :param session: Is watched.
    :param select: What it reads all the time.
    """

    def __init__(self, reactor, session, select):
        self.reactor, self.session, self.select = reactor, session, select
        self.watch = session._view._watch
        self.reads = []
        self.latencies = []

    async def __aenter__(self):
        """Begin to count, and the load."""
        refreshes = self.watch._refreshes
        read = refreshes._read

        def counted(wanted):
            self.reads.append(self.reactor.seconds())
            return read(wanted)

        refreshes._read = counted
        self.restore = lambda: setattr(refreshes, "_read", read)

        def make(number):
            begun = self.reactor.seconds()

            def answered(result):
                self.latencies.append(self.reactor.seconds() - begun)
                return result

            return self.session.execute(self.select, [number % 100]).addCallback(answered), True

        self.load = SteadyLoad(self.reactor, make, IN_FLIGHT)
        await deferLater(self.reactor, 0.5)
        self.calm = self.percentile()
        self.begun = self.reactor.seconds()
        self.memory = resident_mib()
        return self

    async def __aexit__(self, kind, error, traceback):
        """End it, and look at what it has cost."""
        during = self.percentile()
        seconds = self.reactor.seconds() - self.begun
        await self.load.stop()
        self.restore()
        growth = resident_mib() - self.memory
        print(
            f"\np99 {during * 1000:.1f} ms, {self.calm * 1000:.1f} ms before; {len(self.reads)} reads in "
            f"{seconds:.1f} s; {growth:+.1f} MiB; {self.load.summary()}"
        )
        assert self.load.failures == []
        assert len(self.reads) <= seconds / REFRESH_WINDOW + 2
        gaps = [later - earlier for earlier, later in zip(self.reads, self.reads[1:], strict=False)]
        assert all(gap > REFRESH_WINDOW - 0.05 for gap in gaps), gaps
        assert growth < MOST_GROWTH

    def percentile(self):
        """The 99th percentile of the latencies since it was last asked for, in seconds."""
        latencies, self.latencies = sorted(self.latencies), []
        return latencies[len(latencies) * 99 // 100]


@pytest.fixture(scope="module")
def cassandra():
    """Lease the nodes."""
    with lease("three" if FULL else "one") as held:
        yield held


@pytest.fixture
def reading(session, keyspace):
    """Make a table in the local data center, and prepare what reads it."""

    async def prepared():
        replication = "{'class': 'NetworkTopologyStrategy', 'dc1': 1}"
        await session.execute(f"ALTER KEYSPACE {keyspace} WITH replication = {replication}")
        await session.execute("CREATE TABLE things (id int PRIMARY KEY, v text)")
        await deferLater(session._reactor, 2 * REFRESH_WINDOW)
        return await session.prepare("SELECT v FROM things WHERE id = ?")

    return prepared


async def test_status_events(reactor, session, reading, cassandra):
    """A thousand a second: of the node itself, and of nodes that are not there."""
    known = ip_address(cassandra.nodes[0].address)
    up = [node for node in session.nodes if node.up]
    async with Storm(reactor, session, await reading()) as storm:
        number = 0
        end = reactor.seconds() + SECONDS
        while (now := reactor.seconds()) < end:
            due = int((now - storm.begun) * EVENTS_A_SECOND)
            while number < due:
                address = known if number % 2 else ip_address(0x0B000000 + number)
                storm.watch.event(StatusChange(("UP", "DOWN")[number // 2 % 2], address, 9042))
                number += 1
            await deferLater(reactor, TURN)
    assert number >= (SECONDS - 1) * EVENTS_A_SECOND
    # Those of the other data center have no links, and so are not up at all.
    assert [node for node in session.nodes if node.up] == up


async def test_schema_changes(reactor, session, reading, open_session, keyspace):
    """As fast as another session can make and drop tables, one after the other."""
    other = await open_session(keyspace=keyspace)
    changes = 0
    async with Storm(reactor, session, await reading()) as storm:
        end = reactor.seconds() + SECONDS
        while reactor.seconds() < end:
            await other.execute(f"CREATE TABLE storm{changes} (id int PRIMARY KEY)")
            await other.execute(f"DROP TABLE storm{changes}")
            changes += 2
    print(f"\n{changes} changes")
    assert changes
    assert storm.reads
