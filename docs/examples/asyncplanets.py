"""A plain asyncio program: Twisted's loop is nowhere to be seen."""

import asyncio
import sys

import txcql

PLANETS = [("Mercury", 0), ("Venus", 0), ("Earth", 1), ("Mars", 2), ("Jupiter", 95)]


async def main(contact_point="127.0.0.1"):
    async with txcql.aio.connect([contact_point]) as session:
        await session.execute("""
            CREATE KEYSPACE IF NOT EXISTS asyncplanets
            WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}
        """)
        await session.set_keyspace("asyncplanets")
        await session.execute("CREATE TABLE IF NOT EXISTS planets (name text PRIMARY KEY, moons int)")

        # Every request is a future: gather them, or wait for them with a time limit.
        insert = await session.prepare("INSERT INTO planets (name, moons) VALUES (?, ?)")
        await asyncio.gather(*[session.execute(insert, planet) for planet in PLANETS])
        result = await asyncio.wait_for(
            session.execute("SELECT moons FROM planets WHERE name = ?", ["Mars"]), timeout=5
        )
        print(f"Mars has {result.one().moons} moons")

        # A task that is cancelled gives its request up.
        task = asyncio.create_task(count(session))
        await asyncio.sleep(0)
        task.cancel()
        try:
            await task
        except asyncio.CancelledError:
            print("cancelled")
        print(f"{await count(session)} planets")

        # Any number of statements, at the pace of the cluster: write, and wait for room.
        async with session.sink() as sink:
            for number in range(1000):
                sink.write(insert, PLANETS[number % len(PLANETS)])
                await sink.drain()
        print(f"{sink.counts.written} rows written")

        # Any number of rows, at the pace of the loop.
        moons = 0
        async with session.stream("SELECT moons FROM planets", page_size=100) as rows:
            async for row in rows:
                moons += row.moons
        print(f"{moons} moons")


async def count(session):
    return (await session.execute("SELECT count(*) FROM planets")).one()[0]


asyncio.run(main(*sys.argv[1:]))
