"""Every protocol version with every compression: statements, rows, pages, options."""

from __future__ import annotations

from functools import partial
from uuid import uuid4

import pytest

import txcql
from txcql.errors import IncompleteResult
from txcql.test.live.pumps import Pump
from txcql.test.live.wires import every_wire

SCHEMA_TABLES = [
    "keyspaces",
    "tables",
    "columns",
    "types",
    "functions",
    "aggregates",
    "indexes",
    "views",
    "triggers",
    "dropped_columns",
]

#: What Murmur3Partitioner makes of the int 1.
TOKEN_OF_1 = -4069959284402364209


@every_wire
async def test_the_node_sees_what_the_link_says(open_session, wire):
    """The node lists the links as STARTUP described them."""
    name = f"live {uuid4()}"
    session = await open_session(application_name=name, **wire.settings)
    assert session.version == wire.version

    clients = await session.execute("SELECT * FROM system_views.clients")
    if "client_options" not in (column.name for column in clients.columns):
        # In 4.0 a client is known by its driver alone, and by its address.
        assert ("txcql", txcql.__version__) in {(row.driver_name, row.driver_version) for row in clients}
        return
    ours = [row for row in clients if (row.client_options or {}).get("APPLICATION_NAME") == name]
    assert len(ours) == 2, "the control connection and one link to the node"
    for row in ours:
        assert (row.driver_name, row.driver_version) == ("txcql", txcql.__version__)
        assert row.protocol_version == wire.version
        assert row.client_options.get("COMPRESSION") == wire.compression


@every_wire
async def test_system_tables_are_read(wired, keyspace, cassandra):
    """Every value of the tables that describe the cluster and its schema can be decoded."""
    await wired.execute(f"CREATE TYPE {keyspace}.place (street text, zip int)")
    await wired.execute("CREATE TABLE homes (id uuid PRIMARY KEY, place frozen<place>, tags set<text>)")
    await wired.execute("CREATE INDEX tagged ON homes (tags)")

    local = (await wired.execute("SELECT * FROM system.local")).one()
    assert str(local.rpc_address) == cassandra.nodes[0].address
    assert local.data_center == cassandra.nodes[0].datacenter
    assert len(local.tokens) == 8
    assert (await wired.execute("SELECT * FROM system.peers_v2")).all() == []
    for table in SCHEMA_TABLES:
        result = await wired.execute(f"SELECT * FROM system_schema.{table}")
        assert len(result.all()) == len(result)

    [described] = await wired.execute("SELECT * FROM system_schema.types WHERE keyspace_name = ?", [keyspace])
    assert (described.type_name, described.field_names) == ("place", ["street", "zip"])
    columns = await wired.execute(
        "SELECT column_name, type FROM system_schema.columns WHERE keyspace_name = ? AND table_name = ?",
        [keyspace, "homes"],
    )
    assert dict(columns) == {"id": "uuid", "place": "frozen<place>", "tags": "set<text>"}


@every_wire
async def test_rows_come_back_as_they_were_written(wired):
    """By text, by text with parameters, and by prepared statements with values by position and by name."""
    await wired.execute("CREATE TABLE users (id int PRIMARY KEY, name text)")
    insert = await wired.prepare("INSERT INTO users (id, name) VALUES (?, ?)")
    select = await wired.prepare("SELECT id, name FROM users WHERE id = :id")

    await wired.execute("INSERT INTO users (id, name) VALUES (1, 'Ada')")
    await wired.execute("INSERT INTO users (id, name) VALUES (?, ?)", [2, "Grace"])
    await wired.execute(insert, [3, "Barbara"])
    await wired.execute(insert, {"name": "Frances", "id": 4})
    await wired.execute(insert(5, "Katherine"))
    await wired.execute(insert(id=6, name=None))

    names = [(await wired.execute(select, {"id": id})).one().name for id in range(1, 7)]
    assert names == ["Ada", "Grace", "Barbara", "Frances", "Katherine", None]
    everybody = await wired.execute("SELECT id, name FROM users")
    assert sorted(everybody.column("id")) == [1, 2, 3, 4, 5, 6]
    assert [column.name for column in everybody.columns] == ["id", "name"]
    nobody = await wired.execute(select, [7])
    assert (len(nobody), nobody.one(), nobody.all()) == (0, None, [])


async def test_statements_are_forgotten_and_prepared_again(open_session, keyspace):
    """More texts than the session keeps; one that the application holds works on."""
    session = await open_session(keyspace=keyspace, prepared_cache_size=3)
    await session.execute("CREATE TABLE things (id int PRIMARY KEY, v text)")
    insert = await session.prepare("INSERT INTO things (id, v) VALUES (?, 'held')")
    for _ in range(2):
        for id in range(10):
            await session.execute(f"INSERT INTO things (id, v) VALUES (?, 'v{id}')", [id])
    await session.execute(insert, [10])
    assert session.snapshot()["prepared"] == 3
    rows = await session.execute("SELECT id, v FROM things")
    assert dict(rows) == {10: "held", **{id: f"v{id}" for id in range(10)}}


async def test_rows_are_made_as_asked_for(wired):
    """Named tuples, tuples and dicts, of text and of prepared statements alike."""
    await wired.execute("CREATE TABLE users (id int PRIMARY KEY, name text)")
    await wired.execute("INSERT INTO users (id, name) VALUES (1, 'Ada')")
    text = "SELECT id, name, token(id), count(*) FROM users"
    prepared = await wired.prepare(text)
    for statement in (text, prepared, text):
        named = (await wired.execute(statement)).one()
        assert named._asdict() == {"id": 1, "name": "Ada", "system_token_id": TOKEN_OF_1, "count": 1}
        plain = (await wired.execute(statement, row_factory="tuple")).one()
        assert type(plain) is tuple and plain == named
        mapping = (await wired.execute(statement, row_factory="dict")).one()
        assert mapping == {"id": 1, "name": "Ada", "system.token(id)": TOKEN_OF_1, "count": 1}


@every_wire
async def test_pages_follow_each_other(wired):
    """All pages, one after the other, and from a paging state that was kept."""
    await wired.execute("CREATE TABLE series (id int, n int, PRIMARY KEY (id, n))")
    insert = await wired.prepare("INSERT INTO series (id, n) VALUES (1, ?)")
    await Pump([partial(wired.execute, insert, [n]) for n in range(25)], 25).done
    text = "SELECT n FROM series WHERE id = ?"
    for statement, parameters in [
        ("SELECT n FROM series WHERE id = 1", None),
        (text, [1]),
        (await wired.prepare(text), [1]),
    ]:
        result = await wired.execute(statement, parameters, page_size=10)
        state = result.paging_state
        pages = [result.column("n")]
        while result.has_more_pages:
            result = await result.next_page()
            pages.append([row.n for row in result])
        assert pages == [list(range(10)), list(range(10, 20)), list(range(20, 25))]
        assert result.paging_state is None

        again = await wired.execute(statement, parameters, page_size=7, paging_state=state)
        assert again.column("n") == list(range(10, 17))


async def test_a_result_is_not_cut_in_silence(open_session, keyspace, wire):
    """One page of several is not taken for everything, unless the caller has asked for pages."""
    session = await open_session(keyspace=keyspace, page_size=10, **wire.settings)
    await session.execute("CREATE TABLE series (id int, n int, PRIMARY KEY (id, n))")
    await Pump(
        [partial(session.execute, "INSERT INTO series (id, n) VALUES (1, ?)", [n]) for n in range(12)], 12
    ).done

    result = await session.execute("SELECT n FROM series")
    with pytest.raises(IncompleteResult, match=r"first page, of 10 rows.*next_page\(\)"):
        result.all()
    with pytest.raises(IncompleteResult):
        iter(result)
    assert [row.n for row in result.rows()] == list(range(10))
    assert (await result.next_page()).all() == [(10,), (11,)]
    assert len((await session.execute("SELECT n FROM series", page_size=10)).all()) == 10
    assert len((await session.execute("SELECT n FROM series LIMIT 10")).all()) == 10


async def test_warnings_are_handed_on(wired, wire):
    """The server's warnings come with the rows; version 3 has none."""
    await wired.execute("CREATE TABLE things (id int PRIMARY KEY)")
    result = await wired.execute("SELECT count(*) FROM things")
    assert result.one().count == 0
    if wire.version == 3:
        assert list(result.warnings) == []
    else:
        assert list(result.warnings) == ["Aggregation query used without partition key"]
    assert list((await wired.execute("SELECT * FROM things")).warnings) == []


async def test_a_traced_request_names_its_trace(wired):
    """The id leads to the session that the server has recorded."""
    result = await wired.execute("SELECT * FROM system.local", tracing=True)
    assert result.tracing_id is not None and result.tracing_id.version == 1
    assert result.one().key == "local"
    prepared = await wired.prepare("SELECT key FROM system.local")
    traced = await wired.execute(prepared, tracing=True)
    assert (traced.one().key, traced.tracing_id is None) == ("local", False)
    assert (await wired.execute(prepared)).tracing_id is None


async def test_a_custom_payload_needs_version_4(wired, wire):
    """Accepted where the protocol has it, refused before anything is sent where it has not."""
    prepared = await wired.prepare("SELECT key FROM system.local")
    for statement in ("SELECT key FROM system.local", prepared):
        request = wired.execute(statement, payload={"who": b"us", "nothing": None})
        if wire.version == 3:
            with pytest.raises(ValueError, match="payload needs protocol v4; this session speaks v3"):
                await request
        else:
            result = await request
            assert (result.one().key, result.payload) == ("local", None)


async def test_the_timestamp_of_a_write_is_ours(wired):
    """The later timestamp wins, not the later request."""
    await wired.execute("CREATE TABLE things (id int PRIMARY KEY, v int)")
    insert = await wired.prepare("INSERT INTO things (id, v) VALUES (1, ?)")
    await wired.execute(insert, [20], timestamp=2_000_000)
    await wired.execute(insert, [10], timestamp=1_000_000)
    row = (await wired.execute("SELECT v, writetime(v) FROM things")).one()
    assert row == (20, 2_000_000)
    await wired.execute("INSERT INTO things (id, v) VALUES (1, 30)", timestamp=3_000_000)
    assert (await wired.execute("SELECT v FROM things")).one().v == 30


async def test_now_in_seconds_needs_version_5(wired, wire):
    """The server's clock is ours for one request."""
    await wired.execute("CREATE TABLE things (id int PRIMARY KEY, v int)")
    select = await wired.prepare("SELECT ttl(v) FROM things")
    if wire.version < 5:
        for statement in ("SELECT ttl(v) FROM things", select):
            with pytest.raises(ValueError, match="now_in_seconds needs protocol v5"):
                await wired.execute(statement, now_in_seconds=1_000_000)
        return
    await wired.execute("INSERT INTO things (id, v) VALUES (1, 1) USING TTL 100", now_in_seconds=1_000_000)
    for statement in ("SELECT ttl(v) FROM things", select):
        assert (await wired.execute(statement, now_in_seconds=1_000_060)).one().ttl_v == 40
        assert (await wired.execute(statement, now_in_seconds=1_000_100)).one() is None


async def test_a_keyspace_per_request_needs_version_5(open_session, keyspace, wire):
    """Unqualified names are looked up in the keyspace that the request names."""
    session = await open_session(**wire.settings)
    await session.execute(f"CREATE TABLE {keyspace}.things (id int PRIMARY KEY)")
    if wire.version < 5:
        message = rf"keyspace needs protocol v5; this \w+ speaks v{wire.version}"
        for parameters in (None, [1]):
            with pytest.raises(ValueError, match=message):
                await session.execute("SELECT * FROM things WHERE id = ?", parameters, keyspace=keyspace)
        with pytest.raises(ValueError, match=message):
            await session.prepare("SELECT * FROM things", keyspace=keyspace)
        return
    insert = await session.prepare("INSERT INTO things (id) VALUES (?)", keyspace=keyspace)
    await session.execute(insert, [1])
    await session.execute("INSERT INTO things (id) VALUES (?)", [2], keyspace=keyspace)
    await session.execute("INSERT INTO things (id) VALUES (3)", keyspace=keyspace)
    result = await session.execute("SELECT id FROM things", keyspace=keyspace)
    assert sorted(result.column("id")) == [1, 2, 3]
    assert session.keyspace is None
    with pytest.raises(txcql.errors.InvalidRequest, match="No keyspace has been specified"):
        await session.execute("SELECT id FROM things")


async def test_a_conditional_statement_says_whether_it_was_applied(wired):
    """And, if not, what stood in its way."""
    await wired.execute("CREATE TABLE users (id int PRIMARY KEY, name text)")
    insert = await wired.prepare("INSERT INTO users (id, name) VALUES (?, ?) IF NOT EXISTS")
    update = await wired.prepare("UPDATE users SET name = ? WHERE id = ? IF name = ?")

    assert (await wired.execute(insert, [1, "Ada"])).was_applied
    second = await wired.execute(insert, [1, "Grace"], serial_consistency="LOCAL_SERIAL")
    assert not second.was_applied
    assert second.one() == (False, 1, "Ada")
    assert second.one().applied is False
    assert (await wired.execute(update, ["Grace", 1, "Ada"])).was_applied
    refused = await wired.execute(update, ["Ada", 1, "Ada"])
    assert (refused.was_applied, refused.one().name) == (False, "Grace")
    text = await wired.execute("UPDATE users SET name = 'x' WHERE id = 1 IF name = 'Grace'")
    assert text.was_applied
    assert (await wired.execute("INSERT INTO users (id) VALUES (2)")).was_applied
