"""What Cassandra stores of our bytes is what it stores of a CQL literal, on every protocol version."""

from __future__ import annotations

from datetime import date, datetime, time, timezone
from decimal import Decimal
from ipaddress import IPv4Address, IPv6Address
from typing import Any
from uuid import UUID

import pytest

import txcql
from txcql import EMPTY, Date, Duration, Time, Timestamp
from txcql.test.live.releases import without_vectors
from txcql.test.live.wires import VERSIONS

UTC = timezone.utc
ONE = UUID("8f6e4b1a-0c3d-4e5f-9a7b-0123456789ab")
TIME_ONE = UUID("13814000-1dd2-11b2-8000-0123456789ab")
NAN = float("nan")
INFINITY = float("inf")

# Values and the literals that mean them, by type; those of nested types are in a frozen and a plain column.
EDGES: dict[str, list[tuple[Any, str]]] = {
    "ascii": [("", "''"), ("it's", "'it''s'"), ("\x01\x7f", "'\x01\x7f'")],
    "bigint": [(0, "0"), (-1, "-1"), (-(2**63), f"-{2**63}"), (2**63 - 1, f"{2**63 - 1}")],
    "blob": [(b"", "0x"), (b"\x00\xff", "0x00ff"), (bytes(range(256)), "0x" + bytes(range(256)).hex())],
    "boolean": [(True, "true"), (False, "false")],
    "date": [
        (date(1970, 1, 1), "'1970-01-01'"),
        (date(1969, 12, 31), "'1969-12-31'"),
        (date(1582, 10, 10), "'1582-10-10'"),
        (date(1, 1, 1), "'0001-01-01'"),
        (date(9999, 12, 31), "'9999-12-31'"),
        (Date(-(2**31)), "0"),
        (Date(2**31 - 1), "4294967295"),
    ],
    "decimal": [
        (Decimal("-1.23"), "-1.23"),
        (Decimal("5E+2"), "5E+2"),
        (Decimal("0.00"), "0.00"),
        (Decimal("0"), "0"),
        (Decimal("-1E-2000"), "-1E-2000"),
        (Decimal(-(10**60)), "-1" + "0" * 60),
        (Decimal("12345678901234567890.123456789"), "12345678901234567890.123456789"),
    ],
    "double": [
        (0.0, "0.0"),
        (-0.0, "-0.0"),
        (NAN, "NaN"),
        (INFINITY, "Infinity"),
        (-INFINITY, "-Infinity"),
        (0.1, "0.1"),
        (5e-324, "4.9E-324"),
        (1.7976931348623157e308, "1.7976931348623157E308"),
    ],
    "duration": [
        (Duration(14, 3, 14_400_000_000_005), "1y2mo3d4h5ns"),
        (Duration(-1, -2, -3), "-1mo2d3ns"),
        (Duration(0, 0, -45_000_000_000_000), "-12h30m"),
        (Duration(0, 0, 2**63 - 1), f"{2**63 - 1}ns"),
        (Duration(2**31 - 1, 0, 0), f"{2**31 - 1}mo"),
        (Duration(0, 128, 64), "128d64ns"),
        (Duration(), "0s"),
    ],
    "float": [
        (0.0, "0.0"),
        (-0.0, "-0.0"),
        (NAN, "NaN"),
        (-INFINITY, "-Infinity"),
        (-1.5, "-1.5"),
        (1.401298464324817e-45, "1.4E-45"),
        (3.4028234663852886e38, "3.4028235E38"),
    ],
    "inet": [
        (IPv4Address("127.0.0.1"), "'127.0.0.1'"),
        (IPv6Address("::1"), "'::1'"),
        (IPv6Address("2001:db8::ff"), "'2001:db8::ff'"),
        # The text '::ffff:1.2.3.4' would become an IPv4 address on the way.
        (IPv6Address("::ffff:1.2.3.4"), "blobAsInet(0x00000000000000000000ffff01020304)"),
    ],
    "int": [(0, "0"), (-(2**31), f"-{2**31}"), (2**31 - 1, f"{2**31 - 1}")],
    "smallint": [(0, "0"), (-(2**15), f"-{2**15}"), (2**15 - 1, f"{2**15 - 1}")],
    "text": [
        ("", "''"),
        ("Grüße, 世界 \U0001f600", "'Grüße, 世界 \U0001f600'"),
        ("x" * 300, f"'{'x' * 300}'"),
    ],
    "time": [
        (time(0), "'00:00:00'"),
        (time(1, 2, 3, 4), "'01:02:03.000004'"),
        (Time(3_723_000_000_004), "'01:02:03.000000004'"),
        (Time(86_399_999_999_999), "'23:59:59.999999999'"),
    ],
    "timestamp": [
        (datetime(1970, 1, 1, tzinfo=UTC), "0"),
        (datetime(2020, 1, 1, 0, 0, 0, 123000, UTC), "'2020-01-01T00:00:00.123Z'"),
        (datetime(1969, 12, 31, 23, 59, 59, 999000, UTC), "-1"),
        (datetime(1500, 1, 2, tzinfo=UTC), "'1500-01-02T00:00:00.000Z'"),
        (Timestamp(2**63 - 1), f"{2**63 - 1}"),
        (Timestamp(-(2**63)), f"-{2**63}"),
    ],
    "timeuuid": [
        (TIME_ONE, str(TIME_ONE)),
        (txcql.min_uuid_from_time(Timestamp(0)), "minTimeuuid(0)"),
        (txcql.max_uuid_from_time(Timestamp(0)), "maxTimeuuid(0)"),
        (txcql.min_uuid_from_time(Timestamp(1_356_998_700_123)), "minTimeuuid(1356998700123)"),
        (txcql.max_uuid_from_time(Timestamp(-1)), "maxTimeuuid(-1)"),
    ],
    "tinyint": [(0, "0"), (-128, "-128"), (127, "127")],
    "uuid": [(ONE, str(ONE)), (UUID(int=0), str(UUID(int=0))), (TIME_ONE, str(TIME_ONE))],
    "varint": [
        *((number, str(number)) for number in (0, 1, -1, 127, 128, -128, -129, 255, 256)),
        (2**200, str(2**200)),
        (-(2**200), str(-(2**200))),
    ],
    "list<int>": [([1, 2], "[1, 2]"), ([2, 1, 1], "[2, 1, 1]"), ([], "[]")],
    "set<text>": [({"a", "b", ""}, "{'b', 'a', ''}"), (set(), "{}")],
    "map<text, int>": [({"b": 2, "a": 1}, "{'a': 1, 'b': 2}"), ({}, "{}")],
    "map<timestamp, time>": [({datetime(1970, 1, 1, tzinfo=UTC): time(1)}, "{0: '01:00:00'}")],
    "tuple<int, text>": [((1, "a"), "(1, 'a')"), ((1, None), "(1, null)"), ((None, ""), "(null, '')")],
    "person": [
        (("Ada", 1, [("Main", {5})]), "{name: 'Ada', age: 1, places: [{street: 'Main', spots: {5}}]}"),
        (("Ada", None, None), "{name: 'Ada'}"),
    ],
    "set<frozen<list<int>>>": [({(1, 2), (), (0,)}, "{[1, 2], [], [0]}")],
    "map<frozen<tuple<int, text>>, frozen<set<frozen<list<decimal>>>>>": [
        ({(1, "a"): {(Decimal("1.0"),)}}, "{(1, 'a'): {[1.0]}}")
    ],
    "list<frozen<map<int, frozen<person>>>>": [
        ([{1: ("Ada", 1, [])}], "[{1: {name: 'Ada', age: 1, places: []}}]")
    ],
    "vector<float, 3>": [([1.0, -0.0, NAN], "[1.0, -0.0, NaN]")],
    "vector<text, 2>": [(["a", "x" * 200], f"['a', '{'x' * 200}']"), (["", ""], "['', '']")],
    "vector<smallint, 2>": [([1, -2], "[1, -2]")],
    "vector<frozen<list<int>>, 2>": [([[1], []], "[[1], []]")],
    "vector<frozen<vector<double, 2>>, 2>": [([[1.0, 2.0], [3.0, 4.0]], "[[1.0, 2.0], [3.0, 4.0]]")],
    "vector<frozen<place>, 1>": [([("Main", {1})], "[{street: 'Main', spots: {1}}]")],
    "vector<varint, 3>": [([0, -1, 2**100], f"[0, -1, {2**100}]")],
}
EDGES = without_vectors(EDGES, {kind: kind for kind in EDGES})

# Types that have a value of no bytes, and what it is in Python.
EMPTIES = {
    **dict.fromkeys(
        (
            "bigint",
            "boolean",
            "decimal",
            "double",
            "float",
            "inet",
            "int",
            "timestamp",
            "timeuuid",
            "uuid",
            "varint",
        ),
        EMPTY,
    ),
    "ascii": "",
    "blob": b"",
    "text": "",
}
NOT_EMPTY = ("date", "duration", "smallint", "time", "tinyint")

COLUMNS = {f"v{number}": kind for number, kind in enumerate(EDGES)}
FROZEN = {f"f{number}": kind for number, kind in enumerate(EDGES) if "<" in kind or kind == "person"}


class Raw:
    """A codec that gives the bytes themselves."""

    def encode(self, value: Any) -> Any:
        return value

    def decode(self, data: bytes | None) -> bytes | None:
        return data


def alike(one: Any, other: Any) -> bool:
    """Equal, of one class, and in the sign of a zero; not a number is like itself."""
    if isinstance(one, float):
        return repr(one) == repr(other)
    if isinstance(one, list):
        return type(other) is list and len(one) == len(other) and all(map(alike, one, other))
    # A named tuple is made of what a plain one says.
    return one == other and (isinstance(one, tuple) or type(one) is type(other))


async def raw_session(open_session: Any, keyspace: str, **settings: Any) -> txcql.Session:
    """A session that reads the bytes of every cell."""
    udts = (f"{keyspace}.person", f"{keyspace}.place")
    names = [kind for kind in EDGES if kind != "person" and "frozen<p" not in kind]
    codecs = dict.fromkeys([*names, *udts], Raw())
    session: txcql.Session = await open_session(keyspace=keyspace, codecs=codecs, **settings)
    return session


async def test_bound_values_are_stored_like_literals(open_session, keyspace):
    """Both are written, then compared by the server and, as they are stored, by their bytes."""
    session = await open_session(keyspace=keyspace)
    await session.execute("CREATE TYPE place (street text, spots frozen<set<int>>)")
    await session.execute("CREATE TYPE person (name text, age int, places frozen<list<frozen<place>>>)")
    definitions = [f"{name} {kind}" for name, kind in COLUMNS.items()]
    definitions += [f"{name} frozen<{kind}>" for name, kind in FROZEN.items()]
    await session.execute(
        f"CREATE TABLE edges (n int, how text, {', '.join(definitions)}, PRIMARY KEY (n, how))"
    )
    everything = {**COLUMNS, **FROZEN}
    names = ", ".join(everything)
    rows = range(max(map(len, EDGES.values())))
    for number in rows:
        literals = [
            EDGES[kind][number][1] if number < len(EDGES[kind]) else "null" for kind in everything.values()
        ]
        await session.execute(
            f"INSERT INTO edges (n, how, {names}) VALUES ({number}, 'literal', {', '.join(literals)})"
        )

    for version in VERSIONS:
        typed = await open_session(keyspace=keyspace, protocol_version=version)
        raw = await raw_session(open_session, keyspace, protocol_version=version)
        insert = await typed.prepare(
            f"INSERT INTO edges (n, how, {names}) VALUES (?, 'bound', {', '.join('?' for _ in everything)})"
        )
        for number in rows:
            values = [
                EDGES[kind][number][0] if number < len(EDGES[kind]) else None for kind in everything.values()
            ]
            await typed.execute(insert, [number, *values])
            select = f"SELECT {names} FROM edges WHERE n = {number}"
            bound, literal = (await raw.execute(select)).all()
            for kind, one, other in zip(everything.values(), bound, literal, strict=True):
                assert one == other, (version, number, kind)
                assert isinstance(one, bytes | None) or "frozen<p" in kind
            for row in await typed.execute(select):
                for name, kind, value, read in zip(everything, everything.values(), values, row, strict=True):
                    # A collection that is not frozen is null when it is empty.
                    if name in COLUMNS and value in ([], {}, set()):
                        value = None
                    assert alike(read, value), (version, number, name, kind, read, value)

    # The server's own word for it: it finds both rows by the literal, and by the value.
    for name, kind in everything.items():
        if (
            name not in FROZEN
            and ("<" in kind or kind == "person")
            and not kind.startswith(("tuple", "vector"))
        ):
            continue
        by_value = await session.prepare(f"SELECT how FROM edges WHERE n = ? AND {name} = ? ALLOW FILTERING")
        for number, (value, literal) in enumerate(EDGES[kind]):
            found = await session.execute(
                f"SELECT how FROM edges WHERE n = {number} AND {name} = {literal} ALLOW FILTERING"
            )
            assert found.column("how") == ["bound", "literal"], (kind, literal)
            found = await session.execute(by_value, [number, value])
            assert found.column("how") == ["bound", "literal"], (kind, value)


async def test_empty_values_are_stored_like_those_of_functions(open_session, keyspace):
    """Zero bytes are neither null nor a value like others; types that have none refuse them."""
    session = await open_session(keyspace=keyspace)
    kinds = [*EMPTIES, *NOT_EMPTY]
    await session.execute(
        f"CREATE TABLE empties (how text PRIMARY KEY, {', '.join(f'v_{kind} {kind}' for kind in kinds)})"
    )
    names = ", ".join(f"v_{kind}" for kind in EMPTIES)
    functions = ", ".join("0x" if kind == "blob" else f"blobAs{kind.capitalize()}(0x)" for kind in EMPTIES)
    await session.execute(f"INSERT INTO empties (how, {names}) VALUES ('function', {functions})")
    for version in VERSIONS:
        typed = await open_session(keyspace=keyspace, protocol_version=version)
        marks = ", ".join("?" for _ in EMPTIES)
        await typed.execute(
            f"INSERT INTO empties (how, {names}) VALUES ('bound', {marks})", [EMPTY] * len(EMPTIES)
        )
        await typed.execute(
            f"INSERT INTO empties (how, {names}) VALUES ('null', {marks})", [None] * len(EMPTIES)
        )
        for how, expected in (
            ("function", tuple(EMPTIES.values())),
            ("bound", tuple(EMPTIES.values())),
            ("null", (None,) * len(EMPTIES)),
        ):
            assert (await typed.execute(f"SELECT {names} FROM empties WHERE how = '{how}'")).one() == expected
        for kind in NOT_EMPTY:
            with pytest.raises(txcql.errors.InvalidRequest):
                await typed.execute(f"INSERT INTO empties (how, v_{kind}) VALUES ('no', ?)", [EMPTY])


async def test_short_values_are_padded(open_session, keyspace):
    """Tuples and types that have fewer fields than declared, as from before a field was added."""
    session = await open_session(keyspace=keyspace)
    await session.execute("CREATE TYPE thing (a int, b text)")
    await session.execute(
        "CREATE TABLE shorts ("
        "id int PRIMARY KEY, t tuple<int, text>, u frozen<thing>, l frozen<list<frozen<thing>>>)"
    )
    await session.execute(
        "INSERT INTO shorts (id, t, u, l) VALUES (1, (5, 'x'), {a: 5, b: 'x'}, [{a: 5, b: 'x'}])"
    )
    await session.execute("ALTER TYPE thing ADD c int")
    for version in VERSIONS:
        short = await open_session(
            keyspace=keyspace,
            protocol_version=version,
            codecs={"tuple<int, text>": Raw(), f"{keyspace}.thing": Raw()},
        )
        five = b"\0\0\0\4\0\0\0\5"
        await short.execute("INSERT INTO shorts (id, t, u, l) VALUES (2, ?, ?, ?)", [five, five, [five]])
        typed = await open_session(keyspace=keyspace, protocol_version=version)
        rows = {row.id: row[1:] for row in await typed.execute("SELECT id, t, u, l FROM shorts")}
        assert rows == {
            1: ((5, "x"), (5, "x", None), [(5, "x", None)]),
            2: ((5, None), (5, None, None), [(5, None, None)]),
        }
