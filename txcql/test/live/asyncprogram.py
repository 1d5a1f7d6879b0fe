"""A program of asyncio's, for a process of its own: one loop after another, each with a session.

``python asyncprogram.py HOST VERSION KEYSPACE`` exits with 0 if all is as it should be.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import sys
import threading

import txcql

ROWS = 300
MOMENTS = 6


async def rows_of_asyncio():
    for number in range(ROWS):
        if number % 100 == 0:
            await asyncio.sleep(0)
        yield [number, f"v{number}"]


async def fill(session):
    """Write by futures, by a sink, and from an async generator of asyncio's."""
    insert = await session.prepare("INSERT INTO things (id, v) VALUES (?, ?)")
    results = await session.execute_many(insert, rows_of_asyncio(), concurrency=50)
    assert len(results) == ROWS and all(isinstance(result, txcql.aio.AioResult) for result in results)
    async with session.sink(concurrency=20) as sink:
        for number in range(ROWS):
            sink.write(insert(number, f"w{number}"))
            await sink.drain()
    assert sink.counts.written == ROWS
    await asyncio.gather(*[session.execute(insert, [number, f"x{number}"]) for number in range(50)])


async def read(session):
    """Read by pages, and as a stream.

    :returns: The number of rows.
    """
    page = await session.execute("SELECT id, v FROM things", page_size=250)
    count = len(page.all())
    while page.has_more_pages:
        page = await page.next_page()
        count += len(page.all())
    async with session.stream("SELECT id FROM things", page_size=100) as rows:
        assert count == len([row async for row in rows])
    return count


async def cancel(session):
    """Cancel tasks at random moments; nothing is left."""
    loop = asyncio.get_running_loop()
    begun = loop.time()
    assert await read(session) == ROWS
    takes = loop.time() - begun
    for _ in range(MOMENTS):
        task = asyncio.ensure_future(read(session))
        await asyncio.sleep(random.uniform(0, takes))
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            assert await task == ROWS
        await asyncio.sleep(0)
        assert session.snapshot()["requests"] == 0
    try:
        await asyncio.wait_for(session.execute("SELECT count(*) FROM things"), timeout=0.0001)
    except asyncio.TimeoutError:
        await asyncio.sleep(0)
        assert session.snapshot()["requests"] == 0


async def main(host, version, keyspace):
    # How long a callback takes is a matter of the machine.
    asyncio.get_running_loop().slow_callback_duration = 60
    async with txcql.aio.connect([host], keyspace=keyspace, protocol_version=version) as session:
        assert session.version == version
        await session.when_ready()
        await session.execute("CREATE TABLE IF NOT EXISTS things (id int PRIMARY KEY, v text)")
        await fill(session)
        await cancel(session)
    assert session.closed
    assert [task for task in asyncio.all_tasks() if task is not asyncio.current_task()] == []


if __name__ == "__main__":
    for debug in (True, False):
        asyncio.run(main(sys.argv[1], int(sys.argv[2]), sys.argv[3]), debug=debug)
    assert threading.active_count() == 1
    assert "twisted.internet.reactor" not in sys.modules
