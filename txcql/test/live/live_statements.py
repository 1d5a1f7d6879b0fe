"""Statements and what they bring along: options, values without preparing, conditions."""

from __future__ import annotations

import uuid
from datetime import datetime, timezone
from decimal import Decimal

import pytest

import txcql
from txcql.errors import EncodeError, InvalidRequest


async def test_options_of_statements(wired, wire):
    """Timestamp, consistency, page size; the call wins over the statement."""
    await wired.execute("CREATE TABLE things (id int PRIMARY KEY, v int)")
    insert = (await wired.prepare("INSERT INTO things (id, v) VALUES (?, ?)")).with_options(
        timestamp=1000, consistency="ONE"
    )
    await wired.execute(insert(1, 1))
    await wired.execute(insert, [2, 2], timestamp=2000)
    await wired.execute(
        txcql.SimpleStatement("INSERT INTO things (id, v) VALUES (?, ?)", [3, 3], timestamp=3000)
    )
    select = txcql.SimpleStatement("SELECT id, writetime(v) AS written FROM things", page_size=2)
    page = await wired.execute(select)
    assert len(list(page)) == 2
    rows = await wired.execute(select, page_size=10)
    assert {row.id: row.written for row in rows} == {1: 1000, 2: 2000, 3: 3000}


async def test_keyspace_and_now(wired, wire, make_keyspace, keyspace):
    """Per request, from version 5 on; below, an error says so and nothing is sent."""
    other = await make_keyspace()
    for name in (keyspace, other):
        await wired.execute(f"CREATE TABLE {name}.things (id int PRIMARY KEY, v int)")
    insert = txcql.SimpleStatement("INSERT INTO things (id, v) VALUES (1, 1) USING TTL 1000", keyspace=other)
    late = txcql.SimpleStatement("SELECT ttl(v) AS left FROM things WHERE id = ?", [1], now_in_seconds=0)
    if wire.version < 5:
        for statement, name in ((insert, "keyspace"), (late, "now_in_seconds")):
            with pytest.raises(
                ValueError, match=f"{name} needs protocol v5; this session speaks v{wire.version}"
            ):
                await wired.execute(statement)
        return
    await wired.execute(insert)
    assert (await wired.execute("SELECT * FROM things")).all() == []
    now = int(datetime.now(timezone.utc).timestamp())
    left = (await wired.execute(late, keyspace=other, now_in_seconds=now + 500)).one().left
    assert 450 < left <= 500


async def test_payload(wired, wire):
    """It travels from version 4 on; the server that is not told what to do with it sends none back."""
    statement = txcql.SimpleStatement("SELECT key FROM system.local", payload={"k": b"v"})
    if wire.version < 4:
        with pytest.raises(ValueError, match="payload needs protocol v4"):
            await wired.execute(statement)
        return
    result = await wired.execute(statement)
    assert (result.one().key, result.payload) == ("local", None)


async def test_one_node(wired, cassandra):
    """The node that is named, by its name or itself; one that is not there is named in the error."""
    [node] = wired.nodes
    for target in (node, node.name):
        result = await wired.execute("SELECT key FROM system.local", node=target)
        assert result.coordinator == f"{cassandra.nodes[0].address}:9042"
    with pytest.raises(
        ValueError, match='node "10.9.9.9:9042" is not in the cluster; there are: ' + node.name
    ):
        await wired.execute("SELECT key FROM system.local", node="10.9.9.9:9042")


GUESSED = {
    "text": "ä",
    "blob": b"\0\xff",
    "boolean": True,
    "double": 1.5,
    "decimal": Decimal("1.50"),
    "uuid": uuid.UUID(int=7),
    "timestamp": datetime(2024, 1, 2, tzinfo=timezone.utc),
    "inet": txcql.parse_type("inet").decode(bytes([127, 0, 0, 1])),
    "list<text>": ["a", "b"],
    "set<double>": {1.5},
    "map<text, boolean>": {"a": True},
    "tuple<text, double>": ("a", 2.5),
}


async def test_values_without_preparing(wired, wire):
    """Classes that stand for one type; numbers have to say theirs; null and unset."""
    columns = ", ".join(f"v{place} {kind}" for place, kind in enumerate(GUESSED))
    names = ", ".join(f"v{place}" for place in range(len(GUESSED)))
    await wired.execute(f"CREATE TABLE things (id int PRIMARY KEY, {columns})")
    marks = ", ".join("?" * len(GUESSED))
    insert = txcql.SimpleStatement(f"INSERT INTO things (id, {names}) VALUES (?, {marks})", prepare=False)
    prepared = wired.snapshot()["prepared"]
    await wired.execute(insert, [txcql.Typed("int", 1), *GUESSED.values()])
    await wired.execute(insert, [txcql.Typed("int", 2)] + [None] * len(GUESSED))
    select = txcql.SimpleStatement("SELECT * FROM things WHERE id = :Id", prepare=False)
    row = (await wired.execute(select, {"id": txcql.Typed("int", 1)})).one()
    found = [getattr(row, f"v{place}") for place in range(len(GUESSED))]
    assert found == list(GUESSED.values())
    row = (await wired.execute(select, {"id": txcql.Typed("int", 2)})).one()
    assert set(row[1:]) == {None}
    assert wired.snapshot()["prepared"] == prepared
    with pytest.raises(
        EncodeError, match=r'parameter 1 "id" .*int 1 may be a tinyint, smallint, int, bigint'
    ):
        await wired.execute(select, {"id": 1})
    with pytest.raises(EncodeError, match="expected 1 parameters, got 0"):
        await wired.execute(select)
    # The server refuses what is of another size.
    with pytest.raises(InvalidRequest, match="Expected 4 or 0 byte int"):
        await wired.execute(select, {"id": txcql.Typed("bigint", 1)})
    unset = [txcql.Typed("int", 1)] + [txcql.UNSET] * len(GUESSED)
    if wire.version < 4:
        with pytest.raises(EncodeError, match="UNSET needs protocol version 4"):
            await wired.execute(insert, unset)
    else:
        await wired.execute(insert, unset)
        assert (await wired.execute(select, {"id": txcql.Typed("int", 1)})).one().v0 == "ä"


async def test_conditions(wired):
    """Whether it was applied, and the row that was in the way: columns vary from one answer to the next."""
    await wired.execute("CREATE TABLE things (id int PRIMARY KEY, v int, w text)")
    insert = await wired.prepare("INSERT INTO things (id, v, w) VALUES (?, ?, ?) IF NOT EXISTS")
    update = await wired.prepare("UPDATE things SET v = ? WHERE id = ? IF v = ?")
    assert list(insert.columns) == []
    for turn in range(2):
        result = await wired.execute(insert, [turn, 1, "a"])
        assert result.was_applied
        assert [column.name for column in result.columns] == ["[applied]"]
        result = await wired.execute(insert(turn, 2, "b"), serial_consistency="LOCAL_SERIAL")
        assert not result.was_applied
        assert (result.one().id, result.one().v, result.one().w) == (turn, 1, "a")
        assert (await wired.execute(update, [5, turn, 1])).was_applied
        result = await wired.execute(update, [6, turn, 1])
        assert (result.was_applied, result.one().v) == (False, 5)
    assert not (await wired.execute("DELETE FROM things WHERE id = 0 IF v = 1")).was_applied
    assert (await wired.execute("SELECT v FROM things WHERE id = 0", consistency="SERIAL")).was_applied


async def test_what_results_tell(wired, wire, cassandra):
    """Coordinator, attempts, sizes, schema agreement."""
    created = await wired.execute("CREATE TABLE things (id int PRIMARY KEY, v blob)")
    assert created.schema_agreement
    assert created.change.change.name == "things"
    insert = await wired.prepare("INSERT INTO things (id, v) VALUES (?, ?)")
    result = await wired.execute(insert, [1, bytes(1000)])
    assert 1000 < result.request_size < 1100
    assert result.response_size == 13
    result = await wired.execute("SELECT v FROM things")
    assert 1000 < result.response_size < 1200
    [attempt] = result.attempts
    assert (attempt.node, attempt.error) == (result.coordinator, None)
    assert 0 < attempt.duration < 5
