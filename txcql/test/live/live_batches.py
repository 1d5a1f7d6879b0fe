"""Batches of every kind."""

from __future__ import annotations

import pytest

import txcql
from txcql.errors import EncodeError, InvalidRequest


@pytest.fixture
def insert_text():
    """Give the statement that most batches here consist of."""
    return "INSERT INTO things (id, part, v) VALUES (?, ?, ?)"


async def table(session):
    """Make the table, and give what reads it."""
    await session.execute("CREATE TABLE things (id int, part int, v text, PRIMARY KEY (id, part))")
    return "SELECT id, part, v FROM things"


async def test_every_kind_of_item(wired, insert_text):
    """Prepared, bound, simple, text with and without parameters; one timestamp for all."""
    select = await table(wired)
    insert = await wired.prepare(insert_text)
    for kind, part in (("logged", 1), ("unlogged", 2)):
        result = await wired.execute(
            txcql.Batch(
                [
                    (insert, [1, part, "prepared"]),
                    insert(2, part, "bound"),
                    (
                        insert_text.replace("INTO things", "INTO  things"),
                        {"id": 3, "part": part, "v": "text"},
                    ),
                    f"INSERT INTO things (id, part, v) VALUES (4, {part}, 'literal')",
                    txcql.SimpleStatement(insert_text, [5, part, "simple"]),
                ],
                kind=kind,
                timestamp=1234,
            )
        )
        assert (len(result), result.was_applied) == (0, True)
        rows = (await wired.execute(f"{select} WHERE part = {part} ALLOW FILTERING")).all()
        found = {row.id: row.v for row in rows}
        assert found == {1: "prepared", 2: "bound", 3: "text", 4: "literal", 5: "simple"}
    written = (await wired.execute("SELECT writetime(v) AS at FROM things")).all()
    assert {row.at for row in written} == {1234}


async def test_counters(wired):
    """In batches of their own kind only; the server's words for the others."""
    await wired.execute("CREATE TABLE counters (id int PRIMARY KEY, c counter)")
    add = await wired.prepare("UPDATE counters SET c = c + ? WHERE id = ?")
    await wired.execute(txcql.Batch([(add, [1, 1]), (add, [2, 1]), (add, [4, 2])], kind="counter"))
    rows = (await wired.execute("SELECT id, c FROM counters")).all()
    assert {row.id: row.c for row in rows} == {1: 3, 2: 4}
    with pytest.raises(InvalidRequest, match="Cannot include a counter statement in a logged batch"):
        await wired.execute(txcql.Batch([(add, [1, 1])]))
    await table(wired)
    with pytest.raises(InvalidRequest, match=r"[Cc]ounter"):
        mixed = [(add, [1, 1]), "INSERT INTO things (id, part) VALUES (1, 1)"]
        await wired.execute(txcql.Batch(mixed, kind="counter"))


async def test_conditions(wired, insert_text):
    """A batch with one answers whether it was applied; if not, with the row that was in the way."""
    await table(wired)
    insert = await wired.prepare(insert_text)
    first = await wired.prepare(f"{insert_text} IF NOT EXISTS")
    batch = txcql.Batch([(first, [1, 1, "a"]), (insert, [1, 2, "b"])])
    assert (await wired.execute(batch)).was_applied
    result = await wired.execute(batch)
    assert not result.was_applied
    assert (result.one().id, result.one().part, result.one().v) == (1, 1, "a")
    assert (await wired.execute(txcql.Batch([(first, [1, 3, "c"])]))).was_applied


async def test_what_is_wrong(wired, insert_text):
    """Nothing at all; no write; a value that does not fit; a batch that is large, and one too large."""
    await table(wired)
    insert = await wired.prepare(insert_text)
    result = await wired.execute(txcql.Batch([]))
    assert (len(result), list(result.columns)) == (0, [])
    with pytest.raises(InvalidRequest, match=r"only UPDATE, INSERT and DELETE"):
        await wired.execute(txcql.Batch(["SELECT * FROM things"]))
    with pytest.raises(
        EncodeError, match=r'^statement 2 of the batch: parameter 1 "id" \(int\): expected int'
    ):
        await wired.execute(txcql.Batch([(insert, [1, 1, "a"]), (insert, ["1", 1, "a"])]))
    with pytest.raises(EncodeError, match=r"^statement 1 of the batch: expected 3 parameters, got 2"):
        await wired.execute(txcql.Batch([(insert_text, [1, 1])]))
    large = txcql.Batch([(insert, [id, 1, "x" * 2000]) for id in range(5)])
    result = await wired.execute(large)
    if wired.version > 3:
        assert "exceeding specified threshold" in result.warnings[0]
    with pytest.raises(InvalidRequest, match="Batch too large"):
        await wired.execute(txcql.Batch([(insert, [id, 1, "x" * 2000]) for id in range(50)]))


async def test_what_the_node_has_forgotten(wired, insert_text):
    """It is prepared again, for as many statements as need it, and the batch goes on."""
    select = await table(wired)
    insert = await wired.prepare(insert_text)
    delete = await wired.prepare("DELETE FROM things WHERE id = ? AND part = ?")
    await wired.execute(insert, [1, 1, "a"])
    await wired.execute("ALTER TABLE things ADD more int")
    batch = txcql.Batch([(insert, [2, 1, "b"]), (delete, [1, 1]), (insert, [3, 1, "c"])])
    result = await wired.execute(batch)
    assert [type(attempt.error).__name__ for attempt in result.attempts][-1] == "NoneType"
    assert {row.id for row in await wired.execute(select)} == {2, 3}


async def test_keyspace(wired, wire, keyspace, make_keyspace, insert_text):
    """That of a batch, from version 5 on."""
    other = await make_keyspace()
    await wired.execute(f"CREATE TABLE {other}.things (id int, part int, v text, PRIMARY KEY (id, part))")
    batch = txcql.Batch(
        ["INSERT INTO things (id, part) VALUES (1, 1)", (insert_text, [2, 2, "b"])], keyspace=other
    )
    if wire.version < 5:
        with pytest.raises(ValueError, match="keyspace needs protocol v5"):
            await wired.execute(batch)
        return
    await wired.execute(batch)
    assert {row.id for row in await wired.execute(f"SELECT id FROM {other}.things")} == {1, 2}


async def test_a_sink_takes_batches(wired, insert_text):
    """As it takes all other statements, with their options."""
    select = await table(wired)
    insert = await wired.prepare(insert_text)
    sink = wired.sink()
    for id in range(50):
        sink.write(txcql.Batch([(insert, [id, 1, "a"]), (insert_text, [id, 2, "b"])], kind="unlogged"))
    sink.write(insert.with_options(timestamp=77)(99, 1, "c"))
    sink.write(txcql.SimpleStatement(insert_text, [98, 1, "d"]))
    sink.finish()
    assert (await sink.finished).written == 52
    assert len((await wired.execute(select)).all()) == 102
    [row] = await wired.execute("SELECT writetime(v) AS at FROM things WHERE id = 99")
    assert row.at == 77
