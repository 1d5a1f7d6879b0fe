"""The basics of a release: statements of every kind, pages, prepared statements, types."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import txcql
from txcql.errors import InvalidRequest

__all__ = ["check_pages", "check_statements", "check_types"]

_ROWS = 250


async def check_statements(session: txcql.Session, keyspace: str) -> None:
    """Text and prepared, batches, conditions, errors; and a table that changes under its statement.

    :param keyspace: Is there, and empty.
    """
    await session.execute(f"CREATE TABLE {keyspace}.things (id int PRIMARY KEY, v text)")
    insert = await session.prepare(f"INSERT INTO {keyspace}.things (id, v) VALUES (?, ?)")
    select = await session.prepare(f"SELECT * FROM {keyspace}.things WHERE id = ?")
    await session.execute(insert, [1, "one"])
    await session.execute(txcql.Batch([(insert, [2, "two"]), (insert, [3, None])]))
    await session.execute(f"UPDATE {keyspace}.things SET v = ? WHERE id = ?", ["three", 3])
    found = [(await session.execute(select, [key])).one().v for key in (1, 2, 3)]
    assert found == ["one", "two", "three"]
    once = f"INSERT INTO {keyspace}.things (id, v) VALUES (1, 'x') IF NOT EXISTS"
    assert (await session.execute(once)).was_applied is False
    try:
        await session.execute(f"SELECT nothing FROM {keyspace}.things")
    except InvalidRequest as error:
        assert "nothing" in str(error)
    else:
        raise AssertionError("a column that is not there was found")
    # Another one has been there before: the server tells the new columns, or forgets the statement.
    await session.execute(f"ALTER TABLE {keyspace}.things ADD w int")
    await session.execute(f"UPDATE {keyspace}.things SET w = 7 WHERE id = 1")
    assert (await session.execute(f"SELECT w FROM {keyspace}.things WHERE id = 1")).one().w == 7
    row = (await session.execute(select, [1])).one()
    assert (row.id, row.v) == (1, "one")
    await session.execute(f"DROP TABLE {keyspace}.things")


async def check_pages(session: txcql.Session, keyspace: str) -> None:
    """Page by page, and in a stream.

    :param keyspace: Is there, and empty.
    """
    await session.execute(f"CREATE TABLE {keyspace}.many (part int, id int, v text, PRIMARY KEY (part, id))")
    insert = await session.prepare(f"INSERT INTO {keyspace}.many (part, id, v) VALUES (?, ?, ?)")
    await session.execute_many(insert, ([1, number, "v" * 50] for number in range(_ROWS)))
    select = await session.prepare(f"SELECT id FROM {keyspace}.many WHERE part = ?")
    streamed = [row.id async for row in session.stream(select, [1], page_size=60)]
    assert streamed == list(range(_ROWS))
    page = await session.execute(select, [1], page_size=100)
    seen = [row.id for row in page]
    while page.paging_state is not None:
        page = await session.execute(select, [1], page_size=100, paging_state=page.paging_state)
        seen += [row.id for row in page]
    assert seen == list(range(_ROWS))
    await session.execute(f"DROP TABLE {keyspace}.many")


async def check_types(session: txcql.Session, keyspace: str, values: Mapping[str, Sequence[Any]]) -> None:
    """What is written comes back: each type by itself, collections, a tuple and a type of the user's.

    :param keyspace: Is there, and empty.
    :param values: Some of each type, by its name.
    """
    await session.execute(f"CREATE TYPE {keyspace}.pair (a int, b text)")
    columns = ", ".join(f"some_{name} {name}" for name in values)
    await session.execute(
        f"CREATE TABLE {keyspace}.kinds (id int PRIMARY KEY, {columns}, l list<int>, s set<text>, "
        f"m map<text, frozen<list<bigint>>>, t tuple<int, text>, u frozen<{keyspace}.pair>)"
    )
    for number in range(max(map(len, values.values()))):
        row = {f"some_{name}": some[number % len(some)] for name, some in values.items()}
        row |= {"l": [1, 2], "s": {"a", "b"}, "m": {"k": [2**40]}, "t": (1, "x"), "u": {"a": 1, "b": "x"}}
        names = ", ".join(row)
        marks = ", ".join("?" * (len(row) + 1))
        await session.execute(
            f"INSERT INTO {keyspace}.kinds (id, {names}) VALUES ({marks})", [number, *row.values()]
        )
        found = (await session.execute(f"SELECT * FROM {keyspace}.kinds WHERE id = ?", [number])).one()
        for name, value in row.items():
            got = getattr(found, name)
            assert (got._asdict() if name == "u" else got) == value, name
    await session.execute(f"DROP TABLE {keyspace}.kinds")
    await session.execute(f"DROP TYPE {keyspace}.pair")
