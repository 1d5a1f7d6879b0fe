"""Read a table with all cores: one process, one reactor and one session for each part of the token ring."""

import os
import sys

from twisted.internet.defer import gatherResults
from twisted.internet.task import react
from twisted.internet.utils import getProcessOutput

import txcql

COUNT = "SELECT station, reading FROM processes.readings WHERE token(station) > ? AND token(station) <= ?"


async def fill(session):
    await session.execute("""
        CREATE KEYSPACE IF NOT EXISTS processes
        WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}
    """)
    await session.execute(
        "CREATE TABLE IF NOT EXISTS processes.readings (station int PRIMARY KEY, reading int)"
    )
    insert = await session.prepare("INSERT INTO processes.readings (station, reading) VALUES (?, ?)")
    await session.execute_many(insert, ((station, station % 7) for station in range(2000)))


async def work(session, part, parts):
    """One process' part: the rows of a range of tokens."""
    first, last = (-(2**63) + 2**64 * number // parts for number in (part, part + 1))
    rows = total = 0
    async for row in session.stream(COUNT, [first, min(last, 2**63 - 1)]):
        rows += 1
        total += row.reading
    print(rows, total)


async def main(reactor, contact_point="127.0.0.1", part=None, parts=None):
    session = await txcql.connect(reactor, [contact_point])
    if part is not None:
        await work(session, int(part), int(parts))
    else:
        await fill(session)
        cores = max(2, os.cpu_count() or 2)
        outputs = await gatherResults(
            getProcessOutput(
                sys.executable,
                [__file__, contact_point, str(number), str(cores)],
                env=os.environ,
                reactor=reactor,
            )
            for number in range(cores)
        )
        found = [[int(word) for word in output.split()] for output in outputs]
        print(f"{sum(rows for rows, _ in found)} rows, readings of {sum(total for _, total in found)}")
        await session.execute("DROP KEYSPACE processes")
    await session.close()


react(main, sys.argv[1:])
