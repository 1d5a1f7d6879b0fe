"""A load of reads and writes on three nodes while one of them is disturbed, and what is asserted of it."""

from __future__ import annotations

import shutil
from pathlib import Path

from twisted.internet.task import deferLater

from txcql.errors import CQLError
from txcql.test.live.statusevents import StatusEvents
from txcql.test.live.steadyload import SteadyLoad
from txcql.test.live.waiting import eventually

__all__ = ["LONGEST_WAIT", "SERVER_TIMEOUT", "SLACK", "Under", "make_things"]

IN_FLIGHT = 256
DEADLINE = 10.0
SERVER_TIMEOUT = 10.0  # within which a live coordinator may wait in vain for a replica that hangs
DELIVERIES = ("not sent", "sent", "unknown")
LONGEST_WAIT = 4.0  # of the reconnection schedule
SLACK = 1.0  # the machine is busy with three nodes and the load


async def make_things(session):
    """Make the table that the load uses, of which each node has a copy.

    :param session: Makes it.
    """
    await session.execute(
        "CREATE KEYSPACE IF NOT EXISTS faults WITH replication = "
        "{'class': 'NetworkTopologyStrategy', 'dc1': 2, 'dc2': 1}"
    )
    await session.execute("CREATE TABLE IF NOT EXISTS faults.things (id int PRIMARY KEY, v text)")


class Under:
    """A load, and what is asserted of it.

    :param reactor: Waits.
    :param session: Is put under load.
    :param trio: The cluster.
    :param node: The index of the node that is disturbed.
    """

    def __init__(self, reactor, session, trio, node):
        self.reactor, self.session, self.node = reactor, session, node
        self.control = trio.control(reactor)
        self.name = f"{trio.nodes[node].address}:9042"
        self.address = trio.nodes[node].address
        self.watcher = trio.nodes[1 - node].address
        self.folder = Path(trio.nodes[node].log).parent

    async def __aenter__(self):
        """Begin the load."""
        insert = await self.session.prepare("INSERT INTO faults.things (id, v) VALUES (?, ?)")
        select = await self.session.prepare("SELECT v FROM faults.things WHERE id = ?")

        def make(number):
            kind = number % 4
            if kind < 2:
                return self.session.execute(select, [number % 1000]), True
            values = [number % 1000, f"v{number}"]
            return self.session.execute(insert, values, idempotent=kind == 2, timeout=DEADLINE), kind == 2

        self.events = await StatusEvents.of(self.reactor, self.watcher)
        self.load = SteadyLoad(self.reactor, make, IN_FLIGHT)
        await deferLater(self.reactor, 1.0)
        assert not self.load.failures
        assert self.load.last.keys() >= {self.name}, "both local nodes serve"
        return self

    async def __aexit__(self, kind, error, traceback):
        """End it, and look at what has become of every request."""
        await self.load.stop()
        await self.events.close()
        print(f"\n{self.load.summary()}")
        assert (self.load.in_flight, self.load.twice) == (0, 0)
        assert self.load.longest < DEADLINE + SLACK, "no request is unresolved past its deadline"
        for failed in self.load.failures:
            assert isinstance(failed.error, CQLError), repr(failed.error)
            assert failed.error.delivery in DELIVERIES, repr(failed.error)

    def no_failures(self, begin, end=float("inf")):
        """Assert that no idempotent request failed in a while."""
        failures = self.load.failed_between(begin, end)
        assert failures == [], failures[:3]

    async def in_use(self, since):
        """Wait until the node answers again.

        :param since: Answers before then do not count.
        :returns: When it did.
        """

        def looks():
            return self.load.last.get(self.name, 0.0) > since or None

        await eventually(self.reactor, looks, 60.0, 0.02)
        return self.reactor.seconds()

    async def back_by_event(self, began):
        """Assert that the node is in use within 2 s of the event that says it is up.

        A node on a busy machine may take longer to shake hands: then they count from when it has done so
        with a client that comes at that moment.
        """

        def told():
            return [time for time in self.events.when("UP", self.address) if time > began] or None

        up = (await eventually(self.reactor, told, 60.0, 0.02))[0]
        other = await StatusEvents.of(self.reactor, self.address)
        shaken = self.reactor.seconds()
        await other.close()
        used = await self.in_use(began)
        print(f"\nin use {used - up:+.2f} s after UP, {used - shaken:+.2f} s after another's handshake")
        assert used - shaken < 2.0 + SLACK

    def wipe(self):
        """Remove the node's data, so that it begins as another one."""
        for name in ("data", "commitlog", "saved", "hints", "cdc"):
            shutil.rmtree(self.folder / name, ignore_errors=True)
