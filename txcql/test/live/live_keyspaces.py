"""The keyspace of unqualified names: per session, per link, per prepared statement."""

from __future__ import annotations

import pytest

from txcql.errors import InvalidRequest
from txcql.test.live.conftest import REPLICATION
from txcql.test.live.pumps import Pump


async def two_keyspaces(session, make_keyspace):
    """Make two keyspaces, each with a table ``things`` that says where it is.

    :returns: Their names.
    """
    names = [await make_keyspace(), await make_keyspace()]
    for name, kind in zip(names, ("text", "int"), strict=True):
        await session.execute(f"CREATE TABLE {name}.things (id int PRIMARY KEY, place {kind})")
    await session.execute(f"INSERT INTO {names[0]}.things (id, place) VALUES (1, 'first')")
    await session.execute(f"INSERT INTO {names[1]}.things (id, place) VALUES (1, 2)")
    return names


async def test_use_moves_every_link(open_session, make_keyspace, wire):
    """After USE and set_keyspace no link is left in the old keyspace."""
    session = await open_session(core_connections=3, **wire.settings)
    first, second = await two_keyspaces(session, make_keyspace)
    assert session.keyspace is None
    for name, place in ((first, "first"), (second, 2), (first, "first")):
        if name == second:
            await session.set_keyspace(name)
        else:
            await session.execute(f"USE {name}")
        assert session.keyspace == name
        reads = [lambda: session.execute("SELECT place FROM things")] * 60
        pump = await Pump(reads, 60).done
        assert {result.one().place for result in pump.results.values()} == {place}


async def test_a_session_begins_in_its_keyspace(open_session, make_keyspace, wire):
    """Each of its links does."""
    _, second = await two_keyspaces(await open_session(), make_keyspace)
    session = await open_session(keyspace=second, core_connections=2, **wire.settings)
    assert session.keyspace == second
    pump = await Pump([lambda: session.execute("SELECT place FROM things")] * 40, 40).done
    assert {result.one().place for result in pump.results.values()} == {2}


async def test_statements_are_prepared_per_keyspace(open_session, make_keyspace, wire):
    """The same text means another table, with other types, after USE; what was prepared before stays put."""
    session = await open_session(**wire.settings)
    first, second = await two_keyspaces(session, make_keyspace)
    text = "SELECT place FROM things WHERE id = ?"
    insert_text = "INSERT INTO things (id, place) VALUES (?, ?)"

    await session.set_keyspace(first)
    select, insert = await session.prepare(text), await session.prepare(insert_text)
    assert (await session.execute(text, [1])).one().place == "first"
    await session.set_keyspace(second)
    assert (await session.execute(text, [1])).one().place == 2
    await session.execute(insert_text, [2, 22])
    await session.execute(insert, [2, "still the first"])

    assert (await session.execute(select, [2])).one().place == "still the first"
    assert (await session.execute(text, [2])).one().place == 22
    assert await session.prepare(text) is not select
    await session.set_keyspace(first)
    assert await session.prepare(text) is select


async def test_a_keyspace_that_does_not_exist_changes_nothing(session, keyspace):
    """USE fails with the server's sentence, and the session stays where it is."""
    with pytest.raises(InvalidRequest, match="Keyspace 'no_such_keyspace' does not exist"):
        await session.set_keyspace("no_such_keyspace")
    assert session.keyspace == keyspace
    await session.execute("CREATE TABLE things (id int PRIMARY KEY)")
    assert (await session.execute("SELECT * FROM things")).all() == []


async def test_a_keyspace_may_have_any_case(session, open_session, keyspace):
    """Names are taken as they are, not as CQL would fold them."""
    name = f"{keyspace}_MixedCase"
    await session.execute(f'CREATE KEYSPACE "{name}" WITH replication = {REPLICATION}')
    try:
        await session.execute(f'CREATE TABLE "{name}"."Things" (id int PRIMARY KEY)')
        other = await open_session(keyspace=name)
        assert (await other.execute('SELECT * FROM "Things"')).all() == []
        await session.set_keyspace(name)
        assert session.keyspace == name
        assert (await session.execute('SELECT * FROM "Things"')).all() == []
    finally:
        await session.execute(f'DROP KEYSPACE "{name}"')


async def test_use_can_be_prepared(session, make_keyspace):
    """A prepared USE moves the session like any other."""
    name = await make_keyspace()
    use = await session.prepare(f"USE {name}")
    await session.execute(use)
    assert session.keyspace == name
