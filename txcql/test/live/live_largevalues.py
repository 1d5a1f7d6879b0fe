"""Values and pages of more than one segment, one buffer, one read."""

from __future__ import annotations

import random
from functools import partial

from txcql.test.live.pumps import Pump
from txcql.test.live.sizes import sized
from txcql.test.live.wires import every_wire

#: Around a segment's 131,071 bytes of payload: the envelope's 9 and a statement's own bytes come on top.
SIZES = [65_535, 65_536, 130_000, *range(130_980, 131_080, 7), 131_071, 131_072, 262_144, 1_000_003]
LARGE = 5 * 1024 * 1024


@every_wire
async def test_large_values_go_both_ways(wired):
    """Values that compress and values that do not, of sizes around every limit that there is."""
    await wired.execute("CREATE TABLE blobs (id int PRIMARY KEY, data blob)")
    insert = await wired.prepare("INSERT INTO blobs (id, data) VALUES (?, ?)")
    select = await wired.prepare("SELECT data FROM blobs WHERE id = ?")
    made = random.Random(5)
    for size in SIZES:
        for data in (made.randbytes(size), b"cassandra" * (size // 9) + b"x" * (size % 9)):
            await wired.execute(insert, [size, data])
            assert (await wired.execute(select, [size])).one().data == data, size


@every_wire
async def test_five_mebibytes_in_one_cell(wired):
    """And small requests around it, which must not end up in its pieces."""
    await wired.execute("CREATE TABLE blobs (id int PRIMARY KEY, data blob)")
    insert = await wired.prepare("INSERT INTO blobs (id, data) VALUES (?, ?)")
    data = {0: random.Random(6).randbytes(LARGE), 1: bytes(LARGE), **{id: b"%d" % id for id in range(2, 40)}}
    order = [2, 3, 0, 4, 5, 1, *range(6, 40)]
    writes = await Pump([partial(wired.execute, insert, [id, data[id]]) for id in order], 40).done
    assert writes.failures == []

    select = await wired.prepare("SELECT id, data FROM blobs WHERE id = ?")
    reads = await Pump([partial(wired.execute, select, [id]) for id in order], 40).done
    assert reads.failures == []
    for place, id in enumerate(order):
        row = reads.results[place].one()
        assert (row.id, row.data == data[id]) == (id, True)


async def test_a_page_of_five_thousand_rows(wired):
    """It comes whole, in order; one row more makes it the first of two."""
    count = max(1000, sized(5000))
    await wired.execute("CREATE TABLE series (id int, n int, name text, PRIMARY KEY (id, n))")
    insert = await wired.prepare("INSERT INTO series (id, n, name) VALUES (1, ?, ?)")
    writes = [partial(wired.execute, insert, [n, f"row {n}"]) for n in range(count)]
    assert (await Pump(writes, 256).done).failures == []

    select = await wired.prepare("SELECT n, name FROM series WHERE id = 1")
    result = await wired.execute(select, page_size=count)
    assert not result.has_more_pages or (await result.next_page()).all() == []
    assert result.all() == [(n, f"row {n}") for n in range(count)]
    assert result.column("name") == [f"row {n}" for n in range(count)]

    first = await wired.execute(select, page_size=count - 1)
    assert (len(first), first.has_more_pages) == (count - 1, True)
    assert (await first.next_page()).all() == [(count - 1, f"row {count - 1}")]
