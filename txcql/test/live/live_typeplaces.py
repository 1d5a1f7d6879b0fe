"""Every type in every place of one table, through insert, select and paging; codecs and classes."""

from __future__ import annotations

import dataclasses
import enum
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from ipaddress import IPv4Address, IPv6Address
from typing import Any
from uuid import UUID

import pytest

import txcql
from txcql import Date, Duration, Time, Timestamp
from txcql.test.live.releases import without_vectors
from txcql.test.live.sizes import sized
from txcql.test.live.wires import VERSIONS

# Two of each, the smaller one first in Cassandra's order.
VALUES: dict[str, tuple[Any, Any]] = {
    "ascii": ("a", "b"),
    "bigint": (-(2**63), 2**63 - 1),
    "blob": (b"\x00", b"\xff\x00"),
    "boolean": (False, True),
    "date": (date(1582, 10, 10), Date(2**31 - 1)),
    "decimal": (Decimal("-1.50"), Decimal("1E+30")),
    "double": (-0.5, 1.7976931348623157e308),
    "duration": (Duration(-1, -2, -3), Duration(1, 2, 3)),
    "float": (-0.5, 1.5),
    "inet": (IPv4Address("1.2.3.4"), IPv6Address("::1")),
    "int": (-(2**31), 2**31 - 1),
    "smallint": (-(2**15), 2**15 - 1),
    "text": ("é", "世界"),
    "time": (time(1, 2, 3), Time(86_399_999_999_999)),
    "timestamp": (datetime(1969, 12, 31, tzinfo=timezone.utc), Timestamp(2**63 - 1)),
    "timeuuid": (
        UUID("13814000-1dd2-11b2-8000-0123456789ab"),
        UUID("e3f4b0a0-e750-11f1-8f1d-039114ab298f"),
    ),
    "tinyint": (-128, 127),
    "uuid": (UUID("8f6e4b1a-0c3d-4e5f-9a7b-0123456789ab"), UUID("ffffffff-ffff-4fff-bfff-ffffffffffff")),
    "varint": (-(2**70), 2**70),
}
KEYS = [kind for kind in VALUES if kind != "duration"]
"""The types that can be keys and elements of sets."""


class Places:
    """One table with every type in every place.

    :ivar columns: Name and type of each column.
    """

    def __init__(self) -> None:
        self.columns: dict[str, str] = {}
        for kind in KEYS:
            self.columns |= {f"p_{kind}": kind, f"c_{kind}": kind}
        for kind in VALUES:
            self.columns |= {f"v_{kind}": kind, f"s_{kind}": f"{kind} static"}
            self.columns |= {f"l_{kind}": f"list<{kind}>", f"m_{kind}": f"map<int, {kind}>"}
            self.columns |= without_vectors({f"x_{kind}": f"vector<{kind}, 2>"})
        for kind in KEYS:
            self.columns |= {f"e_{kind}": f"set<{kind}>", f"k_{kind}": f"map<{kind}, int>"}
        every = ", ".join(VALUES)
        self.columns |= {"t": f"tuple<{every}>", "u": "everything", "f": "frozen<list<frozen<everything>>>"}

    async def create(self, session: txcql.Session) -> None:
        """Make the table; half of its clustering columns are in descending order."""
        await session.execute(f"CREATE TYPE everything ({', '.join(f'f_{kind} {kind}' for kind in VALUES)})")
        definitions = ", ".join(f"{name} {kind}" for name, kind in self.columns.items())
        partition = ", ".join(f"p_{kind}" for kind in KEYS)
        clustering = ", ".join(f"c_{kind}" for kind in KEYS)
        order = ", ".join(f"c_{kind} {('ASC', 'DESC')[place % 2]}" for place, kind in enumerate(KEYS))
        await session.execute(
            f"CREATE TABLE places ({definitions}, PRIMARY KEY (({partition}), {clustering})) "
            f"WITH CLUSTERING ORDER BY ({order})"
        )

    def row(self, partition: int, number: int) -> dict[str, Any]:
        """The values of one row.

        :param partition: 0 or 1: which of each type's values is in the partition key.
        :param number: its bits choose the values of the clustering columns.
        """
        bits = {kind: number >> place & 1 for place, kind in enumerate(KEYS)}
        row: dict[str, Any] = {}
        for kind, pair in VALUES.items():
            value = pair[bits.get(kind, number & 1)]
            row |= {f"v_{kind}": value, f"s_{kind}": pair[1 - partition], f"l_{kind}": [*pair, value]}
            row |= {f"m_{kind}": {1: value, 2: pair[0]}, f"x_{kind}": [value, pair[1]]}
            if kind in bits:
                row |= {f"p_{kind}": pair[partition], f"c_{kind}": value}
                row |= {f"e_{kind}": set(pair), f"k_{kind}": {pair[0]: 1, pair[1]: 2}}
        fields = tuple(pair[number & 1] for pair in VALUES.values())
        row |= {"t": fields, "u": fields, "f": [fields, (None,) * len(fields)]}
        return {name: row[name] for name in self.columns}


def same(one: Any, other: Any) -> bool:
    """Equal and of one class; a named tuple is a tuple."""
    return one == other and (isinstance(one, tuple) or type(one) is type(other))


async def test_every_type_in_every_place(open_session, keyspace):
    """As key, clustering column of either order, static, element, map key, field: written, read, paged."""
    places = Places()
    await places.create(await open_session(keyspace=keyspace))
    names = list(places.columns)
    numbers = [*range(sized(40) + 4), *(1 << place for place in range(2, len(KEYS)))]
    numbers = list(dict.fromkeys(numbers))
    for version in VERSIONS:
        session = await open_session(keyspace=keyspace, protocol_version=version)
        await session.execute("TRUNCATE places")
        insert = await session.prepare(
            f"INSERT INTO places ({', '.join(names)}) VALUES ({', '.join('?' for _ in names)})"
        )
        assert len(insert.partition_key) == (len(KEYS) if version >= 4 else 0)
        written = {(part, number): places.row(part, number) for part in (0, 1) for number in numbers}
        for row in written.values():
            await session.execute(insert, row)

        # By the whole key.
        key = [f"{letter}_{kind}" for letter in "pc" for kind in KEYS]
        select = await session.prepare(
            f"SELECT {', '.join(names)} FROM places WHERE {' AND '.join(f'{name} = ?' for name in key)}"
        )
        for row in written.values():
            read = (await session.execute(select, [row[name] for name in key])).one()
            for name, value in zip(names, read, strict=True):
                assert same(value, row[name]), (version, name, value, row[name])

        # In pages of three, both partitions; prepared and as text.
        prepared = await session.prepare("SELECT * FROM places")
        for statement in (prepared, "SELECT * FROM places"):
            rows, page = [], await session.execute(statement, page_size=3, row_factory="dict")
            while True:
                assert len(page) <= 3
                rows += page.all()
                if not page.has_more_pages:
                    break
                page = await page.next_page()
            assert len(rows) == len(written)
            expected = list(written.values())
            for row in rows:
                assert row in expected
                expected.remove(row)
        everything = (await session.execute("SELECT p_int, c_tinyint, v_text FROM places")).columns_data()
        assert {name: len(values) for name, values in everything.items()} == dict.fromkeys(
            ("p_int", "c_tinyint", "v_text"), len(written)
        )


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


class ColorCodec:
    """Text as an Enum."""

    cql_type = "text"

    def encode(self, value: Any) -> bytes | None:
        return None if value is None else Color(value).value.encode()

    def decode(self, data: bytes | None) -> Color | None:
        return None if data is None else Color(data.decode())


class LocalTimeCodec:
    """Timestamps as datetimes of a time zone."""

    zone = timezone(timedelta(hours=2))
    plain = txcql.parse_type("timestamp")

    def encode(self, value: Any) -> bytes | None:
        return self.plain.encode(value and value.replace(tzinfo=self.zone))

    def decode(self, data: bytes | None) -> Any:
        value = self.plain.decode(data)
        return value and value.astimezone(self.zone).replace(tzinfo=None)


@dataclasses.dataclass(frozen=True)
class Place:
    street: str | None
    zip: int | None = None


@dataclasses.dataclass
class Shirt:
    id: int
    color: Any
    home: Place | None
    seen: datetime | None = None


async def test_codecs_classes_and_into(open_session, keyspace):
    """Text as an Enum, a UDT as a dataclass, local timestamps, rows as instances; prepared and as text."""
    session = await open_session(keyspace=keyspace)
    await session.execute("CREATE TYPE place (street text, zip int)")
    await session.execute(
        "CREATE TABLE shirts (id int PRIMARY KEY, color text, seen timestamp, home place, "
        "colors list<text>, homes map<text, frozen<place>>)"
    )
    noon = datetime(2024, 2, 29, 14)
    for version in VERSIONS:
        typed = await open_session(
            keyspace=keyspace,
            protocol_version=version,
            codecs={"timestamp": LocalTimeCodec(), f"{keyspace}.place": Place, Color: ColorCodec()},
        )
        await typed.execute(
            "INSERT INTO shirts (id, color, seen, home, colors, homes) VALUES (1, ?, ?, ?, ?, ?)",
            [Color.RED, noon, Place("Main"), [Color.RED, "any"], {Color.BLUE: Place("Side", 5)}],
        )
        plain = (await session.execute("SELECT color, seen, home, colors, homes FROM shirts")).one()
        assert plain == (
            "red",
            datetime(2024, 2, 29, 12, tzinfo=timezone.utc),
            ("Main", None),
            ["red", "any"],
            {"blue": ("Side", 5)},
        )
        select: Any = "SELECT id, color, home, seen FROM shirts WHERE id = 1"
        for statement in (select, await typed.prepare(select)):
            read = await typed.execute(statement, into=Shirt)
            assert read.all() == [Shirt(1, "red", Place("Main"), noon)]
        homes = (await typed.execute("SELECT homes FROM shirts")).one().homes
        assert homes == {"blue": Place("Side", 5)}
        with pytest.raises(
            txcql.errors.EncodeError, match=r'parameter 1 "id" \(int\): .* its codec writes as text'
        ):
            await typed.execute("INSERT INTO shirts (id) VALUES (?)", [Color.RED])
        with pytest.raises(TypeError, match=r'Shirt cannot be made of .* takes no column "colors"'):
            await typed.execute("SELECT * FROM shirts", into=Shirt)
        with pytest.raises(TypeError, match='there is no column "color", "home"'):
            await typed.execute(await typed.prepare("SELECT id FROM shirts"), into=Shirt)

        enums = await open_session(keyspace=keyspace, protocol_version=version, codecs={"text": ColorCodec()})
        result = await enums.execute("SELECT color, id FROM shirts")
        assert result.one().color is Color.RED
        # A text that is none of them fails its row only.
        await typed.execute("INSERT INTO shirts (id, color) VALUES (2, 'pink')")
        rows = iter(await enums.execute("SELECT color, id FROM shirts"))
        found = []
        for _ in range(2):
            try:
                found.append(next(rows).color)
            except txcql.errors.DecodeError as error:
                assert 'column "color" (text)' in str(error) and "0x70696e6b" in str(error)
        assert found == [Color.RED]
        await typed.execute("DELETE FROM shirts WHERE id = 2")
        # Instances of a dataclass are parameters by name.
        await typed.execute(
            "INSERT INTO shirts (id, color, home, seen) VALUES (:id, :color, :home, :seen)",
            Shirt(1, Color.BLUE, Place("There", 7), noon),
        )
        again = (await typed.execute(select, into=Shirt)).one()
        assert again == Shirt(1, "blue", Place("There", 7), noon)


async def test_counters_everywhere(open_session, keyspace):
    """A counter is a column only; static as well."""
    session = await open_session(keyspace=keyspace)
    await session.execute(
        "CREATE TABLE hits (page text, day int, n counter, whole counter static, PRIMARY KEY (page, day))"
    )
    for version in VERSIONS:
        counting = await open_session(keyspace=keyspace, protocol_version=version)
        await counting.execute(
            "UPDATE hits SET n = n + ?, whole = whole + ? WHERE page = 'p' AND day = 1", [-5, 2**40]
        )
    result = await session.execute("SELECT n, whole FROM hits")
    assert result.one() == (-5 * len(VERSIONS), len(VERSIONS) * 2**40)
    assert [column.type.name for column in result.columns] == ["counter", "counter"]
