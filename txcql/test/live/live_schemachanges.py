"""Tables that change under a prepared statement: no row is ever read with other columns than its own."""

from __future__ import annotations

from functools import partial

import pytest
import pytest_twisted  # type: ignore[import-untyped]
from twisted.internet.task import deferLater

from txcql.errors import CQLError
from txcql.test.live.pumps import Pump
from txcql.test.live.sizes import sized
from txcql.test.live.wires import PLAIN_WIRES


@pytest.fixture(params=PLAIN_WIRES, ids=str)
def wire(request):
    """Choose each protocol version in turn."""
    return request.param


@pytest_twisted.async_yield_fixture
async def other(open_session, keyspace):
    """Open another session, by which somebody else changes the tables."""
    yield await open_session(keyspace=keyspace)


async def test_a_new_column_is_seen(wired, other):
    """SELECT * shows it after ALTER TABLE, whoever has altered; writes go on."""
    await wired.execute("CREATE TABLE things (id int PRIMARY KEY, m text)")
    insert = await wired.prepare("INSERT INTO things (id, m) VALUES (?, ?)")
    select = await wired.prepare("SELECT * FROM things WHERE id = ?")
    await wired.execute(insert, [1, "one"])
    assert (await wired.execute(select, [1])).one() == (1, "one")

    # Regular columns are sorted by name: the new one comes between the old ones.
    await wired.execute("ALTER TABLE things ADD a int")
    row = (await wired.execute(select, [1])).one()
    assert row._asdict() == {"id": 1, "a": None, "m": "one"}
    assert [column.name for column in select.columns] == ["id", "a", "m"]

    await other.execute("ALTER TABLE things ADD b set<int>")
    await wired.execute(insert, [2, "two"])
    await other.execute("UPDATE things SET a = 2, b = {2} WHERE id = 2")
    row = (await wired.execute(select, [2])).one()
    assert row._asdict() == {"id": 2, "a": 2, "b": {2}, "m": "two"}

    await other.execute("ALTER TABLE things DROP a")
    row = (await wired.execute(select, [2])).one()
    assert row._asdict() == {"id": 2, "b": {2}, "m": "two"}
    assert [column.name for column in select.columns] == ["id", "b", "m"]


async def test_another_client_has_prepared_first(wired, other):
    """The server knows the statement again, with other columns: v5 tells us by METADATA_CHANGED."""
    await wired.execute("CREATE TABLE things (id int PRIMARY KEY, m text)")
    await wired.execute("INSERT INTO things (id, m) VALUES (1, 'one')")
    text = "SELECT * FROM things WHERE id = ?"
    select = await wired.prepare(text)
    assert (await wired.execute(select, [1])).one() == (1, "one")

    await other.execute("ALTER TABLE things ADD a int")
    await other.prepare(text)
    changed = await wired.execute(select, [1], row_factory="dict")
    assert changed.one() == {"id": 1, "a": None, "m": "one"}
    assert [column.name for column in changed.columns] == ["id", "a", "m"]
    # The next request asks without metadata, and is made as its own caller wants it.
    row = (await wired.execute(select, [1])).one()
    assert (row.id, row.a, row.m) == (1, None, "one")
    if wired.version == 5:
        assert [column.name for column in select.columns] == ["id", "a", "m"]


async def test_a_page_may_have_other_columns_than_the_one_before(wired, other):
    """Each page is read with its own."""
    await wired.execute("CREATE TABLE series (id int, n int, m text, PRIMARY KEY (id, n))")
    for n in range(4):
        await wired.execute("INSERT INTO series (id, n, m) VALUES (1, ?, 'm')", [n])
    select = await wired.prepare("SELECT * FROM series WHERE id = ?")
    first = await wired.execute(select, [1], page_size=2)
    await other.execute("ALTER TABLE series ADD a int")
    second = await first.next_page()
    assert [row._asdict() for row in first] == [{"id": 1, "n": n, "m": "m"} for n in (0, 1)]
    rows = [row._asdict() for row in second]
    assert [(row["n"], row["m"]) for row in rows] == [(2, "m"), (3, "m")]
    assert all(row.get("a") is None for row in rows)


async def test_rows_keep_their_columns_while_the_table_changes(wired, other, reactor):
    """Hundreds of reads are in flight while somebody else alters the table, again and again."""
    await wired.execute("CREATE TABLE things (id int PRIMARY KEY, m bigint, z text)")
    insert = await wired.prepare("INSERT INTO things (id, m, z) VALUES (?, ?, ?)")
    for id in range(10):
        await wired.execute(insert, [id, id << 40, f"z{id}"])
    text = "SELECT * FROM things WHERE id = ?"
    select = await wired.prepare(text)

    def reads():
        place = 0
        while True:
            yield partial(wired.execute, select, [place % 10])
            place += 1

    pump = Pump(reads(), 128)
    for change in range(max(5, sized(40))):
        await other.execute(f"ALTER TABLE things ADD c{change} text")
        # On every second turn somebody else prepares it before we find out.
        if change % 2:
            await other.execute(text, [1])
        await deferLater(reactor, 0.02)
        await other.execute(f"ALTER TABLE things DROP c{change}")
        await deferLater(reactor, 0.02)
    pump.stop()
    await pump.done

    seen = set()
    assert set(pump.fired) == {1}
    for place, result in pump.results.items():
        if isinstance(result, CQLError):
            raise result
        row = result.one()
        id = place % 10
        assert (row.id, row.m, row.z) == (id, id << 40, f"z{id}")
        extra = [name for name in row._fields if name not in ("id", "m", "z")]
        assert all(getattr(row, name) is None for name in extra)
        seen.add(tuple(extra))
    assert len(seen) > 1, "the reads have seen the table change"


async def test_values_are_not_written_as_another_type(wired, other):
    """A table made anew with another type: values encoded for the old one are not stored as the new one."""
    await wired.execute("CREATE TABLE things (id int PRIMARY KEY, v int)")
    insert = await wired.prepare("INSERT INTO things (id, v) VALUES (?, ?)")
    await wired.execute(insert, [1, 1])
    await other.execute("DROP TABLE things")
    await other.execute("CREATE TABLE things (id int PRIMARY KEY, v text)")

    with pytest.raises(CQLError, match='"v" \\(text\\)'):
        await wired.execute(insert, [2, 2])
    assert (await wired.execute("SELECT * FROM things")).all() == []
    assert [str(column.type) for column in insert.parameters] == ["int", "text"]
    await wired.execute(insert, [3, "three"])
    assert (await wired.execute("SELECT * FROM things")).all() == [(3, "three")]

    # Where the new type holds the value, it is written as that.
    await other.execute("DROP TABLE things")
    await other.execute("CREATE TABLE things (id bigint PRIMARY KEY, v blob)")
    with pytest.raises(CQLError, match='"v" \\(blob\\)'):
        await wired.execute(insert, [4, "four"])
    await other.execute("DROP TABLE things")
    await other.execute("CREATE TABLE things (id int PRIMARY KEY, v text)")
    await wired.execute(insert, [5, None])
    assert (await wired.execute("SELECT * FROM things")).all() == [(5, None)]


async def test_a_schema_change_is_told(wired, keyspace):
    """What a statement has changed is with its result, and whether the nodes agree."""
    result = await wired.execute("CREATE TABLE things (id int PRIMARY KEY)")
    change = result.change.change
    assert (change.change, change.target, change.keyspace, change.name) == (
        "CREATED",
        "TABLE",
        keyspace,
        "things",
    )
    assert result.schema_agreement
    again = await wired.execute("CREATE TABLE IF NOT EXISTS things (id int PRIMARY KEY)")
    assert again.change is None
