"""Create a table, fill it, read it back."""

import sys

from twisted.internet.defer import gatherResults
from twisted.internet.task import react

import txcql

PLANETS = [
    ("Sun", 1, "Mercury", 0),
    ("Sun", 2, "Venus", 0),
    ("Sun", 3, "Earth", 1),
    ("Sun", 4, "Mars", 2),
]


async def main(reactor, contact_point="127.0.0.1"):
    session = await txcql.connect(reactor, [contact_point])

    await session.execute("""
        CREATE KEYSPACE IF NOT EXISTS quickstart
        WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}
    """)
    await session.execute("""
        CREATE TABLE IF NOT EXISTS quickstart.planets (
            star text, position int, name text, moons int, PRIMARY KEY (star, position)
        )
    """)

    # Prepared once, then executed for all rows at the same time, on one connection.
    insert = await session.prepare(
        "INSERT INTO quickstart.planets (star, position, name, moons) VALUES (?, ?, ?, ?)"
    )
    await gatherResults([session.execute(insert, planet) for planet in PLANETS])

    # Text with parameters is prepared by the session itself.
    result = await session.execute("SELECT * FROM quickstart.planets WHERE star = ?", ["Sun"])
    for planet in result:
        print(f"{planet.position}. {planet.name}: {planet.moons} moons")

    try:
        await session.execute("SELECT * FROM quickstart.comets")
    except txcql.errors.InvalidRequest as error:
        print(f"The server says: {error}")

    await session.close()


react(main, sys.argv[1:])
