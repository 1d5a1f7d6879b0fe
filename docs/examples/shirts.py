"""Text as an Enum, a UDT as a dataclass, timestamps in local time, rows as instances."""

import sys
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from enum import Enum

from twisted.internet.task import react

import txcql


class Color(Enum):
    RED = "red"
    BLUE = "blue"


class ColorCodec:
    cql_type = "text"

    def encode(self, color):
        return None if color is None else color.value.encode()

    def decode(self, data):
        return None if data is None else Color(data.decode())


class LocalTimeCodec:
    """Datetimes without a time zone, which mean the time in Berlin in summer."""

    zone = timezone(timedelta(hours=2))
    timestamp = txcql.parse_type("timestamp")

    def encode(self, local):
        return None if local is None else self.timestamp.encode(local.replace(tzinfo=self.zone))

    def decode(self, data):
        moment = self.timestamp.decode(data)
        return None if moment is None else moment.astimezone(self.zone).replace(tzinfo=None)


@dataclass
class Place:
    street: str
    zip: int


@dataclass
class Shirt:
    id: int
    color: Color
    sold: datetime
    place: Place


async def main(reactor, contact_point="127.0.0.1"):
    session = await txcql.connect(
        reactor,
        [contact_point],
        codecs={
            "text": ColorCodec(),
            "timestamp": LocalTimeCodec(),
            "shirts.place": Place,
        },
    )
    await session.execute("""
        CREATE KEYSPACE IF NOT EXISTS shirts
        WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}
    """)
    # The codec for text leaves ascii alone.
    await session.execute("CREATE TYPE IF NOT EXISTS shirts.place (street ascii, zip int)")
    await session.execute("""
        CREATE TABLE IF NOT EXISTS shirts.sold (
            id int PRIMARY KEY, color text, sold timestamp, place shirts.place, also set<text>
        )
    """)

    await session.execute(
        "INSERT INTO shirts.sold (id, color, sold, place, also) VALUES (?, ?, ?, ?, ?)",
        [1, Color.RED, datetime(2024, 6, 1, 12, 30), Place("Main Street", 5), {Color.BLUE}],
    )

    # Rows as named tuples, with the codecs' values in them.
    result = await session.execute("SELECT color, also FROM shirts.sold")
    print(result.one())

    # Rows as instances.
    result = await session.execute("SELECT id, color, sold, place FROM shirts.sold", into=Shirt)
    print(result.one())

    try:
        await session.execute("INSERT INTO shirts.sold (id, color) VALUES (?, ?)", [2, "pink"])
    except txcql.errors.EncodeError as error:
        print(error)

    await session.close()


react(main, sys.argv[1:])
