"""Every type, on every protocol version: what is written comes back, as the class that was promised."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from ipaddress import IPv4Address, IPv6Address
from typing import Any
from uuid import UUID

import pytest

import txcql
from txcql import UNSET, Date, Duration, Time, Timestamp
from txcql.test.live.releases import without_vectors
from txcql.test.live.wires import every_wire

ONE = UUID("8f6e4b1a-0c3d-4e5f-9a7b-0123456789ab")
TIME_ONE = UUID("13814000-1dd2-11b2-8000-0123456789ab")
TIME_TWO = UUID("e3f4b0a0-e750-11f1-8f1d-039114ab298f")
NOON = datetime(2024, 2, 29, 12, 0, 0, 123000, timezone.utc)
LAST = datetime(9999, 12, 31, 23, 59, 59, 999000, timezone.utc)

#: Values as they are written and read, extremes among them.
SCALARS: dict[str, list[Any]] = {
    "ascii": ["", "plain", "\x00\x7f"],
    "bigint": [-(2**63), 0, 2**63 - 1],
    "blob": [b"", b"\x00\xff", bytes(range(256))],
    "boolean": [False, True],
    "date": [date(1, 1, 1), date(1969, 12, 31), date(9999, 12, 31), Date(-(2**31)), Date(2**31 - 1)],
    "decimal": [Decimal("-1.23"), Decimal("5E+2"), Decimal("0.00"), Decimal(10) ** 40],
    "double": [-1.5, 0.0, 1.7976931348623157e308, float("inf")],
    "duration": [Duration(14, 3, 14_400_000_000_005), Duration(-1, -2, -3), Duration(0, 0, 2**63 - 1)],
    "float": [-1.5, 0.0, 3.4028234663852886e38],
    "inet": [IPv4Address("127.0.0.1"), IPv6Address("::1"), IPv6Address("2001:db8::ff")],
    "int": [-(2**31), 0, 2**31 - 1],
    "smallint": [-(2**15), 0, 2**15 - 1],
    "text": ["", "Grüße, 世界 \U0001f600", "x" * 1000],
    "time": [time(0), time(23, 59, 59, 999999), Time(86_399_999_999_999), Time(1)],
    "timestamp": [NOON, LAST, datetime(1, 1, 1, tzinfo=timezone.utc), Timestamp(2**63 - 1)],
    "timeuuid": [TIME_ONE, TIME_TWO],
    "tinyint": [-128, 0, 127],
    "uuid": [ONE, TIME_TWO, UUID(int=0)],
    "varint": [0, 127, 128, -129, 2**200, -(2**200)],
}

#: Neither an element of a set nor a key of a map.
UNORDERED = {"duration"}


def same(one: object, other: object) -> bool:
    """Equal, and of one class.

    :param one: A value.
    :param other: Another one.
    """
    return type(one) is type(other) and one == other


@every_wire
async def test_scalars_come_back(wired):
    """Each value of each scalar type, in one table with a column for each; null, too."""
    columns = ", ".join(f"v_{name} {name}" for name in SCALARS)
    await wired.execute(f"CREATE TABLE scalars (id int PRIMARY KEY, {columns})")
    names = ", ".join(f"v_{name}" for name in SCALARS)
    insert = await wired.prepare(
        f"INSERT INTO scalars (id, {names}) VALUES (?, {', '.join('?' for _ in SCALARS)})"
    )
    select = await wired.prepare("SELECT * FROM scalars WHERE id = ?")

    longest = max(map(len, SCALARS.values()))
    for row in range(longest + 1):
        values = [found[row] if row < len(found) else None for found in SCALARS.values()]
        await wired.execute(insert, [row, *values])
        for statement, parameters in ((select, [row]), (f"SELECT * FROM scalars WHERE id = {row}", None)):
            read = (await wired.execute(statement, parameters)).one()
            for name, value in zip(SCALARS, values, strict=True):
                assert same(getattr(read, f"v_{name}"), value), name

    everything = await wired.execute("SELECT * FROM scalars")
    types = {column.name: str(column.type.name) for column in everything.columns}
    assert types == {"id": "int", **{f"v_{name}": name for name in SCALARS}}
    assert len(everything.all()) == longest + 1


@every_wire
async def test_collections_of_everything_come_back(wired):
    """A list, a set and a map of each scalar type."""
    columns = []
    values: list[Any] = []
    for name, found in SCALARS.items():
        columns.append((f"l_{name}", f"list<{name}>"))
        values.append([*found, found[0]])
        columns.append((f"f_{name}", f"frozen<list<{name}>>"))
        values.append([])
        columns.append((f"m_{name}", f"map<int, {name}>"))
        values.append(dict(enumerate(found)))
        if name not in UNORDERED:
            columns.append((f"s_{name}", f"set<{name}>"))
            values.append(set(found))
            columns.append((f"k_{name}", f"map<{name}, text>"))
            values.append({value: f"value {place}" for place, value in enumerate(found)})
    definitions = ", ".join(f"{name} {kind}" for name, kind in columns)
    await wired.execute(f"CREATE TABLE collections (id int PRIMARY KEY, {definitions})")
    names = ", ".join(name for name, _ in columns)
    marks = ", ".join("?" for _ in columns)
    await wired.execute(f"INSERT INTO collections (id, {names}) VALUES (1, {marks})", values)

    row = (await wired.execute(f"SELECT {names} FROM collections")).one()
    for (name, kind), value, read in zip(columns, values, row, strict=True):
        assert same(read, value), (name, kind)


@every_wire
async def test_nested_types_come_back(wired):
    """Collections in collections, tuples, user-defined types and vectors."""
    await wired.execute("CREATE TYPE place (street text, zip int, spots frozen<list<int>>)")
    await wired.execute("CREATE TYPE person (name text, places frozen<map<text, frozen<place>>>)")
    kinds = {
        "lists": "set<frozen<list<int>>>",
        "keys": "map<frozen<list<int>>, frozen<set<text>>>",
        "maps": "list<frozen<map<text, frozen<map<int, bigint>>>>>",
        "pair": "tuple<int, text, frozen<tuple<uuid, duration>>>",
        "home": "place",
        "friends": "frozen<map<text, frozen<person>>>",
        "floats": "vector<float, 3>",
        "texts": "vector<text, 2>",
        "shorts": "vector<smallint, 2>",
        "vectors": "vector<frozen<vector<int, 2>>, 2>",
    }
    kinds = without_vectors(kinds)
    await wired.execute(
        "CREATE TABLE nested (id int PRIMARY KEY, " + ", ".join(f"{n} {k}" for n, k in kinds.items()) + ")"
    )
    values = {
        "lists": {(1, 2), (3,), ()},
        "keys": {(1, 2): {"a", "b"}, (): {"c"}},
        "maps": [{"a": {1: 2**40}}, {"b": {}}],
        "pair": (1, None, (ONE, Duration(1, 2, 3))),
        "home": {"street": "Main", "spots": [1, 2]},
        "friends": {"Ada": ("Ada", {"home": ("Main", 1, [])}), "Grace": ("Grace", None)},
        "floats": [1.0, 2.5, -3.0],
        "texts": ["a", "x" * 300],
        "shorts": [-1, 32767],
        "vectors": [[1, 2], [3, 4]],
    }
    values = {name: values[name] for name in kinds}
    names = ", ".join(kinds)
    marks = ", ".join(f":{name}" for name in kinds)
    await wired.execute(f"INSERT INTO nested (id, {names}) VALUES (1, {marks})", values)

    row = (await wired.execute(f"SELECT {names} FROM nested")).one()
    assert row.home == ("Main", None, [1, 2])
    assert (row.home.street, row.home.zip, row.home.spots) == ("Main", None, [1, 2])
    assert row.friends["Ada"].places["home"].zip == 1
    for name in kinds.keys() - {"home"}:
        assert getattr(row, name) == values[name], name
    # What was read can be written.
    await wired.execute(f"INSERT INTO nested (id, {names}) VALUES (2, {marks})", row._asdict())
    again = (await wired.execute(f"SELECT {names} FROM nested WHERE id = 2")).one()
    assert again == row


async def test_counters_count(wired):
    """A counter takes what is added to it."""
    await wired.execute("CREATE TABLE hits (page text PRIMARY KEY, n counter)")
    for step in (1, 41, -(2**40)):
        await wired.execute("UPDATE hits SET n = n + ? WHERE page = 'home'", [step])
    assert (await wired.execute("SELECT n FROM hits")).one().n == 42 - 2**40


async def test_values_of_other_classes_are_taken_as_they_are_meant(wired):
    """What is written otherwise than it is read."""
    await wired.execute(
        "CREATE TABLE things "
        "(id int PRIMARY KEY, d double, n decimal, t duration, s set<int>, b blob, m timestamp)"
    )
    berlin = timezone(timedelta(hours=2))
    await wired.execute(
        "INSERT INTO things (id, d, n, t, s, b, m) VALUES (1, ?, ?, ?, ?, ?, ?)",
        [
            1,
            7,
            timedelta(days=1, microseconds=5),
            [3, 1, 3],
            bytearray(b"ab"),
            datetime(2024, 2, 29, 14, 0, 0, 123000, berlin),
        ],
    )
    row = (await wired.execute("SELECT d, n, t, s, b, m FROM things")).one()
    assert row == (1.0, Decimal(7), Duration(0, 0, 86_400_000_005_000), {1, 3}, b"ab", NOON)


async def test_unset_leaves_a_column_alone(wired, wire):
    """Version 3 has nothing for it, and would write null: refused."""
    await wired.execute("CREATE TABLE things (id int PRIMARY KEY, v int)")
    await wired.execute("INSERT INTO things (id, v) VALUES (1, 1)")
    insert = await wired.prepare("INSERT INTO things (id, v) VALUES (?, ?)")
    request = wired.execute(insert, [1, UNSET])
    if wire.version == 3:
        with pytest.raises(txcql.errors.EncodeError, match="UNSET needs protocol version 4"):
            await request
    else:
        await request
    assert (await wired.execute("SELECT v FROM things")).one().v == 1


async def test_values_of_no_length_are_not_null(session):
    """The server stores them for most types, and tells them from null."""
    await session.execute("CREATE TABLE things (id int PRIMARY KEY, i int, t text, u uuid)")
    insert = await session.prepare("INSERT INTO things (id, i, t, u) VALUES (1, ?, ?, ?)")
    await session.execute(insert, [txcql.EMPTY, "", txcql.EMPTY])
    row = (await session.execute("SELECT i, t, u FROM things")).one()
    assert row == (txcql.EMPTY, "", txcql.EMPTY)


async def test_a_mapped_address_stays_what_it_is(session):
    """An IPv4 address in IPv6 clothes; in a collection the server itself would undress it."""
    await session.execute("CREATE TABLE hosts (id int PRIMARY KEY, address inet)")
    mapped = IPv6Address("::ffff:1.2.3.4")
    await session.execute("INSERT INTO hosts (id, address) VALUES (1, ?)", [mapped])
    assert same((await session.execute("SELECT address FROM hosts")).one().address, mapped)


async def test_nothing_finer_or_farther_is_cut(session):
    """A far year, a nanosecond and three units of a duration, as CQL writes them, cost nothing else."""
    await session.execute("CREATE TABLE things (id int PRIMARY KEY, d duration, m timestamp, t time)")
    await session.execute(
        "INSERT INTO things (id, d, m, t) VALUES (1, 1y2mo3d4h5ns, 600000000000000, '01:02:03.123456789')"
    )
    for _ in range(2):
        row = (await session.execute("SELECT d, m, t FROM things")).one()
        assert row.d == Duration(14, 3, 14_400_000_000_005)
        assert same(row.m, Timestamp(600_000_000_000_000)) and str(row.m).startswith("+20983-")
        assert same(row.t, Time(3_723_123_456_789))
