"""Requests go on while a thousand events come each second, and while the schema changes all the time.

How many times the driver reads is asserted, and what it keeps; how long requests take is printed, since that
is the machine's business as well. Under ``TXCQL_FULL`` it is ten seconds of each on three nodes with 256
requests in flight, after a minute of the same that is not measured; else two seconds on one node with 8.
"""

from __future__ import annotations

import gc
import os
from array import array
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
WARM_UP = 60.0 if FULL else 0.5  # seconds: a JVM is slow until it has compiled what it does
EVENTS_A_SECOND = 1000
TURN = 0.01
MOST_GROWTH = 8.0  # MiB


class Latencies:
    """How many requests took how long, in memory that does not grow."""

    STEP = 0.0001  # seconds
    STEPS = 20_000

    def __init__(self):
        self.counts = array("L", [0]) * self.STEPS

    def add(self, seconds):
        """Count one."""
        self.counts[min(int(seconds / self.STEP), self.STEPS - 1)] += 1

    def __str__(self):
        return ", ".join(
            f"p{part * 100:g} {self.percentile(part) * 1000:.1f} ms" for part in (0.5, 0.9, 0.99)
        )

    def percentile(self, part):
        """Seconds within which this part of them was answered."""
        left = sum(self.counts) * part
        for step, count in enumerate(self.counts, 1):
            left -= count
            if left <= 0:
                return step * self.STEP
        raise ValueError(part)


class Storm:
    """A load, the reads of the driver, and its memory, during a storm.

    :param reactor: Waits.
    :param session: Is watched.
    :param select: What it reads all the time.
    :param insert: What it writes between.
    :param before: Something to do while all warms up; gives a Deferred.
    """

    def __init__(self, reactor, session, select, insert, before):
        self.reactor, self.session, self.select, self.insert = reactor, session, select, insert
        self.before = before
        self.watch = session._view._watch
        self.reads = []
        self.latencies = Latencies()

    async def __aenter__(self):
        """Begin the load, and to count when all is warm."""
        self.load = SteadyLoad(self.reactor, self.make, IN_FLIGHT)
        await self.before(WARM_UP)
        # What belongs to the run of the tests is a hundred times what belongs to the load: the collector
        # would stop both to look through all of it again and again.
        gc.collect()
        gc.freeze()
        self.latencies = Latencies()
        await deferLater(self.reactor, 2.0)
        self.calm, self.latencies = self.latencies, Latencies()
        refreshes = self.watch._refreshes
        read = refreshes._read

        def counted(wanted):
            self.reads.append(self.reactor.seconds())
            return read(wanted)

        refreshes._read = counted
        self.restore = lambda: setattr(refreshes, "_read", read)
        self.begun = self.reactor.seconds()
        self.memory = resident_mib()
        return self

    async def __aexit__(self, kind, error, traceback):
        """End it, and look at what it has cost."""
        during = self.latencies
        seconds = self.reactor.seconds() - self.begun
        await self.load.stop()
        self.restore()
        gc.unfreeze()
        growth = resident_mib() - self.memory
        print(
            f"\n{during}; before: {self.calm}\n"
            f"{len(self.reads)} reads in {seconds:.1f} s; {growth:+.1f} MiB; {self.load.summary()}"
        )
        assert self.load.failures == []
        assert len(self.reads) <= seconds / REFRESH_WINDOW + 2
        gaps = [later - earlier for earlier, later in zip(self.reads, self.reads[1:], strict=False)]
        assert all(gap > REFRESH_WINDOW - 0.05 for gap in gaps), gaps
        assert growth < MOST_GROWTH

    def make(self, number):
        """Make three reads, then an insert, and so on."""
        begun = self.reactor.seconds()

        def answered(result):
            self.latencies.add(self.reactor.seconds() - begun)
            return result

        id = number % 100
        if number % 4:
            request = self.session.execute(self.select, [id])
        else:
            request = self.session.execute(self.insert, [id, "stormy"], idempotent=True)
        return request.addCallback(answered), True


@pytest.fixture(scope="module")
def cassandra():
    """Lease the nodes."""
    with lease("swift" if FULL else "one") as held:
        yield held


@pytest.fixture
def storm(reactor, session, keyspace):
    """Make a table in the local data center, and a load on it, not begun."""

    async def prepared(before):
        replication = "{'class': 'NetworkTopologyStrategy', 'dc1': 1}"
        await session.execute(f"ALTER KEYSPACE {keyspace} WITH replication = {replication}")
        await session.execute("CREATE TABLE things (id int PRIMARY KEY, v text)")
        await deferLater(session._reactor, 2 * REFRESH_WINDOW)
        select = await session.prepare("SELECT v FROM things WHERE id = ?")
        insert = await session.prepare("INSERT INTO things (id, v) VALUES (?, ?)")
        return Storm(reactor, session, select, insert, before)

    return prepared


async def test_status_events(reactor, session, storm, cassandra):
    """A thousand a second: of the node itself, and of nodes that are not there."""
    known = ip_address(cassandra.nodes[0].address)
    up = [node for node in session.nodes if node.up]
    async with await storm(lambda seconds: deferLater(reactor, seconds)) as storm:
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


async def test_schema_changes(reactor, storm, open_session, keyspace):
    """As fast as another session can make and drop tables, one after the other."""
    other = await open_session(keyspace=keyspace)

    async def change(seconds):
        changes, end = 0, reactor.seconds() + seconds
        while reactor.seconds() < end:
            await other.execute(f"CREATE TABLE storm{changes} (id int PRIMARY KEY)")
            await other.execute(f"DROP TABLE storm{changes}")
            changes += 2
        return changes

    async with await storm(change) as storm:
        changes = await change(SECONDS)
    print(f"\n{changes} changes")
    assert changes
    assert storm.reads
