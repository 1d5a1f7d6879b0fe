"""The schema of a real cluster as CQL: it makes the same schema again."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from txcql.test.cassandra import Lease, lease

ALWAYS = """
CREATE KEYSPACE shapes
    WITH replication = {'class': 'NetworkTopologyStrategy', 'dc1': 1} AND durable_writes = false;
CREATE TYPE shapes.person (name text, home frozen<tuple<int, text>>);
CREATE TYPE shapes.couple (one frozen<person>, "Other" frozen<person>, tags frozen<set<text>>);
CREATE TABLE shapes.simple (k int PRIMARY KEY, v text);
CREATE TABLE shapes.counts (k int PRIMARY KEY, c counter);
CREATE TABLE shapes."Select" ("order" int PRIMARY KEY, "table" text, "it""s" frozen<couple>);
CREATE TABLE shapes.wide (
    a int, b text, c timeuuid, d int, s int static, m map<text, frozen<list<int>>>, p frozen<couple>,
    PRIMARY KEY ((a, b), c, d)
) WITH CLUSTERING ORDER BY (c DESC, d ASC) AND comment = 'it''s' AND default_time_to_live = 60
    AND compaction = {'class': 'LeveledCompactionStrategy'}
    AND caching = {'keys': 'NONE', 'rows_per_partition': '10'};
CREATE INDEX ON shapes.simple (v);
CREATE INDEX keyed ON shapes.wide (keys(m));
"""
SINCE_5_0 = """
CREATE TABLE shapes.vectors (k int PRIMARY KEY, v vector<float, 3>);
CREATE CUSTOM INDEX near ON shapes.vectors (v)
    USING 'StorageAttachedIndex' WITH OPTIONS = {'similarity_function': 'cosine'};
CREATE MATERIALIZED VIEW shapes.by_v AS
    SELECT * FROM shapes.simple WHERE k IS NOT NULL AND v IS NOT NULL PRIMARY KEY (v, k);
CREATE MATERIALIZED VIEW shapes.some AS
    SELECT k, v FROM shapes.simple WHERE k IS NOT NULL AND v IS NOT NULL PRIMARY KEY (v, k)
    WITH CLUSTERING ORDER BY (k DESC) AND comment = 'some';
CREATE FUNCTION shapes.plus (x int, y int)
    CALLED ON NULL INPUT RETURNS int LANGUAGE java AS 'return x == null ? y : x + y;';
CREATE FUNCTION shapes.twice (x int)
    RETURNS NULL ON NULL INPUT RETURNS int LANGUAGE java AS 'return 2 * x;';
CREATE AGGREGATE shapes.total (int) SFUNC plus STYPE int FINALFUNC twice INITCOND 0;
CREATE AGGREGATE shapes.bare (int) SFUNC plus STYPE int;
"""


@pytest.fixture(scope="module", params=["one", "v41", "v40"])
def release(request: pytest.FixtureRequest) -> Iterator[Lease]:
    """Lease a node of each release."""
    with lease(request.param) as held:
        yield held


async def described(session):
    """What the server itself says would make the keyspace."""
    result = await session.execute("DESCRIBE KEYSPACE shapes")
    return [" ".join(row.create_statement.split()) for row in result]


async def test_round_trip(open_session, release):
    """Dropped and made again by what ``statements()`` says, the keyspace is described as before."""
    session = await open_session(release)
    [node] = session.nodes
    statements = ALWAYS + SINCE_5_0 if node.release_version.startswith("5.") else ALWAYS
    await session.execute("DROP KEYSPACE IF EXISTS shapes")
    try:
        for statement in statements.strip().removesuffix(";").split(";\n"):
            await session.execute(statement)
        before = await described(session)
        await session.cluster.refresh()
        made = session.cluster.keyspaces["shapes"]
        again = made.statements()
        assert len(again) == len(before)
        await session.execute("DROP KEYSPACE shapes")
        for statement in again:
            await session.execute(statement)
        assert await described(session) == before
        # What has no options to leave out is word for word what the server says.
        ours = {" ".join(statement.split()) for statement in again}
        differing = [text for text in before if text not in ours]
        assert all(text.startswith(("CREATE TABLE", "CREATE MATERIALIZED VIEW")) for text in differing)
        await session.cluster.refresh()
        anew = session.cluster.keyspaces["shapes"]
        assert (anew.types, anew.functions, anew.aggregates) == (made.types, made.functions, made.aggregates)
        for name, table in anew.tables.items():
            assert (table.columns, table.indexes) == (made.tables[name].columns, made.tables[name].indexes)
            assert all(column.type is not None for column in table.columns.values())
    finally:
        await session.execute("DROP KEYSPACE IF EXISTS shapes")
