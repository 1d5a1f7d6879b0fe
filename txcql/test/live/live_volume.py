"""A hundred thousand writes and as many reads, with 512 of them in flight all the time."""

from __future__ import annotations

from datetime import datetime, timezone
from functools import partial
from uuid import UUID

import pytest
import pytest_twisted  # type: ignore[import-untyped]

from txcql.test.live.pumps import Pump
from txcql.test.live.sizes import sized
from txcql.test.live.wires import Wire

COUNT = sized(100_000)
IN_FLIGHT = 512


def values_of(id):
    """Make the row of an id; no two are alike, and their sizes differ."""
    return (
        id,
        UUID(int=id * 7919),
        f"name {id} " + "é" * (id % 50),
        id * 2**32 - 2**40,
        id / 7,
        datetime.fromtimestamp(id * 1000, timezone.utc),
        [id, id + 1, -id],
        bytes([id % 256]) * (id % 300) or None,
    )


@pytest_twisted.async_yield_fixture
async def loaded(open_session, keyspace, request):
    """Open a session in the test's keyspace, as the test's wire says."""
    yield await open_session(keyspace=keyspace, **request.param.settings)


@pytest.mark.parametrize("loaded", [Wire(5), Wire(4, "lz4")], ids=str, indirect=True)
async def test_every_row_comes_back_as_it_was_written(loaded, reactor, record_property):
    """Each Deferred fires once, with its own row."""
    await loaded.execute(
        "CREATE TABLE rows (id int PRIMARY KEY, u uuid, name text, big bigint, ratio double, "
        "at timestamp, numbers list<int>, data blob)"
    )
    insert = await loaded.prepare(
        "INSERT INTO rows (id, u, name, big, ratio, at, numbers, data) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
    )
    select = await loaded.prepare("SELECT * FROM rows WHERE id = ?")

    begun = reactor.seconds()
    writes = await Pump(
        (partial(loaded.execute, insert, values_of(id)) for id in range(COUNT)), IN_FLIGHT
    ).done
    written = reactor.seconds()
    assert writes.failures == []
    assert writes.fired == [1] * COUNT

    reads = Pump((partial(loaded.execute, select, [id]) for id in range(COUNT)), IN_FLIGHT)
    await reads.done
    read = reactor.seconds()
    assert reads.failures == []
    assert reads.fired == [1] * COUNT
    assert min(writes.peak, reads.peak) == min(IN_FLIGHT, COUNT)
    names = ("id", "u", "name", "big", "ratio", "at", "numbers", "data")
    for id, result in reads.results.items():
        row = result.one()
        assert tuple(getattr(row, name) for name in names) == values_of(id)

    [node] = loaded.snapshot()["nodes"].values()
    assert (node["in_flight"], node["queued"]) == (0, 0)
    print(f"\n{COUNT} writes in {written - begun:.1f} s, {COUNT} reads in {read - written:.1f} s")
