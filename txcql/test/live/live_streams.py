"""Much data both ways, and a program whose memory does not grow for it."""

from __future__ import annotations

import gc
import itertools
import time
from typing import Any

import pytest_twisted  # type: ignore[import-untyped]
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from zope.interface import implementer

from txcql.errors import BusyConnectionError
from txcql.interfaces import IRowConsumer
from txcql.test.live.sizes import sized

ROWS = sized(1_000_000) * 2
"""A twentieth of a million is too few to fill any buffer that could hide a mistake."""

ROW_BYTES = 1024

MIB = 1024 * 1024


def memory() -> int:
    """Tell the resident memory of this process, in bytes."""
    gc.collect()
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * 4096


@implementer(IRowConsumer)
class SlowConsumer:
    """Takes rows, a thousand a second for a while, then none, then all.

    :ivar seen: how often each row has come.
    """

    def __init__(self, reactor, rows):
        self.reactor = reactor
        self.seen = bytearray(rows)
        self.count = 0
        self.rate: int | None = 1000
        self.producer: Any = None
        self.paused = False
        self.begun = reactor.seconds()

    def registerProducer(self, producer, streaming):
        assert streaming
        self.producer = producer

    def unregisterProducer(self):
        self.producer = None

    def write(self, row):
        assert not self.paused, "no row is written to a paused consumer"
        self.seen[row.id] += 1
        self.count += 1
        if self.rate and self.count > (self.reactor.seconds() - self.begun) * self.rate:
            self.pause()
            self.reactor.callLater(0.01, self.resume)

    def pause(self):
        self.paused = True
        self.producer.pauseProducing()

    def resume(self):
        if self.rate is not None and self.producer is not None:
            self.paused = False
            self.producer.resumeProducing()

    def stop_for_a_while(self):
        self.rate = None
        self.pause()

    def take_all(self):
        self.rate = 0
        self.resume()


@pytest_twisted.async_yield_fixture
async def filled(session):
    """Give a session whose keyspace has a table of many rows of a kibibyte."""
    await session.execute("CREATE TABLE many (part int, id int, data blob, PRIMARY KEY (part, id))")
    insert = await session.prepare("INSERT INTO many (part, id, data) VALUES (?, ?, ?)")
    data = bytes(ROW_BYTES)
    count = await session.execute_many(
        insert, ((id % 100, id, data) for id in range(ROWS)), on_result=lambda number, result: None
    )
    assert count == ROWS
    yield session


async def test_a_slow_consumer_costs_no_memory(filled, reactor):
    """A thousand rows a second, then ten seconds of nothing, then all: memory stays, others are served."""
    await filled.execute("SELECT id FROM many LIMIT 1")
    consumer = SlowConsumer(reactor, ROWS)
    at_start = memory()
    delivered = filled.stream("SELECT id, data FROM many", page_size=1000).deliver_to(consumer)
    await deferLater(reactor, 5)
    consumer.stop_for_a_while()
    stopped_at = consumer.count
    latencies = []
    highest = 0
    end = reactor.seconds() + 10
    while reactor.seconds() < end:
        asked = time.perf_counter()
        await filled.execute("SELECT id FROM many WHERE part = 1 AND id = 1")
        latencies.append(time.perf_counter() - asked)
        if len(latencies) % 100 == 0:
            highest = max(highest, memory())
        await deferLater(reactor, 0.005)
    assert consumer.count == stopped_at
    p99 = sorted(latencies)[len(latencies) * 99 // 100]
    grown = (highest - at_start) / MIB
    consumer.take_all()
    assert await delivered == ROWS
    assert consumer.seen == bytes([1]) * ROWS
    print(f"\n{ROWS} rows; memory +{grown:.1f} MiB while paused; p99 of others {p99 * 1000:.1f} ms")
    assert grown <= 16
    assert p99 < 0.05


async def ids_of(session):
    """Read the ids, in pages that the node's small heap can hold with all their data."""
    return {row.id async for row in session.stream("SELECT id FROM large", page_size=100)}


async def test_many_large_inserts_at_once(session):
    """Each of 3,000 inserts of 64 KiB is stored or refused as busy; memory stays within its bounds."""
    await session.execute("CREATE TABLE large (id int PRIMARY KEY, data blob)")
    insert = await session.prepare("INSERT INTO large (id, data) VALUES (?, ?)")
    data = bytes(65536)
    at_start = memory()
    outcomes = {}
    all_told: Deferred[None] = Deferred()

    def told(result, id):
        outcomes[id] = result if isinstance(result, str) else "stored"
        if len(outcomes) == 3000:
            all_told.callback(None)

    def refused(failure, id):
        failure.trap(BusyConnectionError)
        told("busy", id)

    for id in range(3000):
        session.execute(insert, [id, data]).addCallbacks(told, refused, callbackArgs=(id,), errbackArgs=(id,))
    highest = memory()
    await all_told
    stored = {id for id, outcome in outcomes.items() if outcome == "stored"}
    assert await ids_of(session) == stored
    assert 0 < len(stored) < 3000
    bound = 16 + 8 + 16
    print(
        f"\n{len(stored)} stored, {3000 - len(stored)} refused; memory +{(highest - at_start) / MIB:.1f} MiB"
    )
    assert highest - at_start <= bound * MIB

    at_start = memory()
    highest = 0

    def look(number, result):
        nonlocal highest
        if number % 100 == 0:
            highest = max(highest, memory())

    assert await session.execute_many(insert, ((id, data) for id in range(3000)), on_result=look) == 3000
    assert await ids_of(session) == set(range(3000))
    print(f"execute_many: memory +{(highest - at_start) / MIB:.1f} MiB")
    assert highest - at_start <= bound * MIB


async def test_links_come_with_the_load_and_go_again(open_session, keyspace, reactor):
    """A ramp of ten seconds takes all eight links; idle, one is left. No request fails."""
    # Far from the high mark to the limit, so that a link has time to come before requests are refused.
    session = await open_session(
        keyspace=keyspace,
        max_requests_per_connection=80,
        high_watermark=0.5,
        low_watermark=0.25,
        idle_timeout=1.0,
    )
    await session.execute("CREATE TABLE few (id int PRIMARY KEY, v text)")
    insert = await session.prepare("INSERT INTO few (id, v) VALUES (?, ?)")
    begun = reactor.seconds()
    numbers = itertools.count()
    in_flight = 0
    failures = []
    most = 0
    idle: Deferred[None] = Deferred()

    def connections():
        [node] = session.snapshot()["nodes"].values()
        return len(node["connections"])

    def wanted():
        elapsed = reactor.seconds() - begun
        return int(300 * elapsed / 10) + 1 if elapsed < 10 else 0

    def answered(result):
        nonlocal in_flight
        in_flight -= 1
        send()

    def failed(failure):
        failures.append(failure.value)
        answered(None)

    def send():
        nonlocal in_flight, most
        most = max(most, connections())
        while in_flight < wanted():
            in_flight += 1
            session.execute(insert, [next(numbers) % 1000, "v"]).addCallbacks(answered, failed)
        if not wanted() and not in_flight and not idle.called:
            idle.callback(None)

    send()
    await idle
    busy = [error for error in failures if isinstance(error, BusyConnectionError)]
    assert len(busy) == len(failures), failures
    print(f"\n{next(numbers)} requests, {most} connections at most, {len(busy)} refused")
    assert failures == []
    assert most == 8
    for _ in range(400):
        if connections() == 1:
            break
        await deferLater(reactor, 0.05)
    assert connections() == 1


async def test_a_stream_of_its_own_connection(filled, reactor, keyspace):
    """It carries every row once, pauses without harm to others, and its link is gone afterwards."""
    shared = connections(filled)
    consumer = SlowConsumer(reactor, ROWS)
    consumer.rate = 0
    delivered = filled.stream("SELECT id, data FROM many", page_size=5_000, dedicated=True).deliver_to(
        consumer
    )
    while consumer.count < 1000:
        assert not delivered.called, delivered
        await deferLater(reactor, 0.01)
    consumer.stop_for_a_while()
    [link] = filled.snapshot()["dedicated"]
    assert link["node"] in filled.snapshot()["nodes"]
    at_start = memory()
    end = reactor.seconds() + 3
    while reactor.seconds() < end:
        await filled.execute("SELECT id FROM many WHERE part = 1 AND id = 1")
        await deferLater(reactor, 0.02)
    assert memory() - at_start <= 16 * MIB, "the page in progress, and one more in the buffers"
    consumer.take_all()
    assert await delivered == ROWS
    assert consumer.seen == bytes([1]) * ROWS
    assert filled.snapshot()["dedicated"] == []
    assert connections(filled) <= shared, "those that are idle may have gone meanwhile"


def connections(session):
    """How many links are shared by all requests."""
    return sum(len(node["connections"]) for node in session.snapshot()["nodes"].values())
