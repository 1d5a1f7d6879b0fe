"""What is known of a real cluster: nodes, tokens, replicas, and events that tell of changes."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator

import pytest
import pytest_twisted  # type: ignore[import-untyped]
from zope.interface import implementer

from txcql.interfaces import INodeListener, ISchemaListener
from txcql.test.cassandra import Lease, lease
from txcql.test.diary import Diary
from txcql.test.live.conftest import REPLICATION
from txcql.test.live.live_types import SCALARS
from txcql.test.live.releasechecks import check_pages, check_statements, check_types
from txcql.test.live.sizes import sized
from txcql.test.live.waiting import eventually
from txcql.wire.murmur3 import composite_key

REPLICATIONS = {
    "net": "{'class': 'NetworkTopologyStrategy', 'dc1': 2, 'dc2': 1}",
    "near": "{'class': 'NetworkTopologyStrategy', 'dc1': 1}",
    "plain": "{'class': 'SimpleStrategy', 'replication_factor': 2}",
}


@pytest.fixture(scope="module")
def three() -> Iterator[Lease]:
    """Lease three nodes in two data centers that nobody else uses."""
    with lease("three", exclusive=True) as held:
        yield held


@pytest.fixture(scope="module", params=["v41", "v40"])
def older(request: pytest.FixtureRequest) -> Iterator[Lease]:
    """Lease a node of each older release."""
    with lease(request.param) as held:
        yield held


@implementer(INodeListener, ISchemaListener)
class FullDiary(Diary):
    pass


async def check_tokens(session, keyspace):
    """Compare our tokens with the server's, for keys of one component and of two."""
    await session.execute(f"CREATE TABLE {keyspace}.keys (k blob PRIMARY KEY)")
    await session.execute(f"CREATE TABLE {keyspace}.pairs (a blob, b text, PRIMARY KEY ((a, b)))")
    insert = await session.prepare(f"INSERT INTO {keyspace}.keys (k) VALUES (?)")
    insert_pair = await session.prepare(f"INSERT INTO {keyspace}.pairs (a, b) VALUES (?, ?)")
    draw = random.Random(11)
    keys = [draw.randbytes(draw.randint(1, 70)) for _ in range(sized(6000))]
    await session.execute_many(insert, ([key] for key in keys))
    await session.execute_many(insert_pair, ([key, str(number)] for number, key in enumerate(keys)))
    token = session.cluster.token_map.token
    seen = 0
    async for row in session.stream(f"SELECT k, token(k) AS t FROM {keyspace}.keys"):
        assert token(row.k) == row.t, row.k.hex()
        seen += 1
    async for row in session.stream(f"SELECT a, b, token(a, b) AS t FROM {keyspace}.pairs"):
        assert token(composite_key([row.a, row.b.encode()])) == row.t, (row.a.hex(), row.b)
        seen += 1
    assert seen == len(set(keys)) + len(keys)


@pytest_twisted.async_yield_fixture
async def wide(open_session, three):
    """Open a session to three nodes, with a keyspace of each kind."""
    session = await open_session(three)
    for name, replication in REPLICATIONS.items():
        await session.execute(f"CREATE KEYSPACE {name} WITH replication = {replication}")
    await session.cluster.refresh()
    yield session
    for name in REPLICATIONS:
        await session.execute(f"DROP KEYSPACE {name}")


async def test_one_node(session, keyspace):
    """Its tokens are those that it shows, and it owns every key."""
    [node] = session.nodes
    row = (await session.execute("SELECT tokens, release_version FROM system.local")).one()
    assert session.cluster.token_map.tokens_of(node) == sorted(map(int, row.tokens))
    assert node.release_version == row.release_version
    await session.cluster.refresh()
    assert session.cluster.replicas(keyspace, b"any") == (node,)
    assert session.cluster.replicas("system", b"any") == ()
    assert str(session.cluster).startswith("cluster txcql: 1 nodes, 1 up (1 in dc1), ")
    await check_tokens(session, keyspace)


async def test_older_releases(open_session, older):
    """Nodes, tokens and schema of 4.1 and 4.0."""
    session = await open_session(older)
    [node] = session.nodes
    assert node.release_version.startswith(("4.0.", "4.1."))
    await session.execute(f"CREATE KEYSPACE tokens WITH replication = {REPLICATION}")
    try:
        await check_tokens(session, "tokens")
        await session.cluster.refresh()
        assert session.cluster.replicas("tokens", b"any") == (node,)
        assert session.cluster.partition_key_of("tokens", "pairs") == ("a", "b")
    finally:
        await session.execute("DROP KEYSPACE tokens")


@pytest.mark.parametrize(("version", "compression"), [(4, "snappy"), (5, "lz4")])
async def test_basics_of_older_releases(open_session, older, version, compression):
    """Statements, pages, prepared statements and types of 4.1 and 4.0."""
    session = await open_session(older, protocol_version=version, compression=compression)
    await session.execute(f"CREATE KEYSPACE basics WITH replication = {REPLICATION}")
    try:
        await check_statements(session, "basics")
        await check_pages(session, "basics")
        values = {name: some for name, some in SCALARS.items() if version >= 5 or name != "duration"}
        await check_types(session, "basics", values)
    finally:
        await session.execute("DROP KEYSPACE basics")


async def test_three_nodes(wide, three, reactor):
    """Data centers, racks, and for every part of the ring the replicas that nodetool names."""
    places = {node.name: (node.datacenter, node.rack, node.distance) for node in wide.nodes}
    assert sorted(places.values()) == [
        ("dc1", "rack1", "local"),
        ("dc1", "rack2", "local"),
        ("dc2", "rack1", "ignored"),
    ]
    assert sorted(places) == sorted(f"{node.address}:9042" for node in three.nodes)
    ring = wide.cluster.token_map
    assert len(ring.tokens) == 3
    await check_tokens(wide, "net")
    by_host = {node.name.rpartition(":")[0]: node for node in wide.nodes}
    control = three.control(reactor)
    for name in REPLICATIONS:
        output = await control.nodetool(0, "describering", name)
        parts = re.findall(r"end_token:(-?\d+), endpoints:\[([^\]]*)\]", output)
        assert len(parts) == 3, output
        tables = wide.cluster._tables
        for end, endpoints in parts:
            expected = [by_host[host] for host in endpoints.split(", ")]
            place = ring.place(int(end))
            found = tables[name]._strategy.replicas(ring, place)
            assert list(found) == expected, (name, end)


async def test_schema_events(open_session, keyspace, session, reactor):
    """What somebody else creates, alters and drops is known soon, and listeners are told."""
    watching = await open_session(keyspace=keyspace)
    diary = FullDiary()
    watching.cluster.add_listener(diary)

    def known():
        found = watching.cluster.keyspaces.get(keyspace)
        return None if found is None else found.tables.get("things")

    await session.execute("CREATE TABLE things (id int PRIMARY KEY, v text)")
    await eventually(reactor, known, 3)
    await session.execute("ALTER TABLE things ADD w int")
    await eventually(reactor, lambda: "w" in known().columns, 3)
    assert watching.cluster.partition_key_of(keyspace, "things") == ("id",)
    await session.execute("DROP TABLE things")
    await eventually(reactor, lambda: known() is None, 3)
    mine = [line for line in diary.told if f" {keyspace}." in line]
    assert mine == [
        f"added table {keyspace}.things (2 columns)",
        f"changed table {keyspace}.things (3 columns)",
        f"removed table {keyspace}.things (3 columns)",
    ]


async def test_the_control_node_is_killed(wide, open_session, three, reactor):
    """Events and metadata go on from another node within two seconds; the node is found again."""
    diary = FullDiary()
    wide.cluster.add_listener(diary)
    control = wide._view._watch.control
    name = control.link.node
    assert name == f"{three.nodes[0].address}:9042"
    commands = three.control(reactor)
    await commands.kill(0)
    gone = reactor.seconds()
    await eventually(reactor, lambda: control.link is not None and control.link.node != name, 2, 0.01)
    print(f"\nthe control connection is at {control.link.node} after {reactor.seconds() - gone:.3f} s")
    await wide.cluster.refresh()
    assert reactor.seconds() - gone < 2
    assert f"down {name}" in diary.told
    # Another session changes the schema: the event comes from the node that it is at now.
    other = await open_session(three, contact=1)
    await other.execute("CREATE TABLE plain.things (id int PRIMARY KEY)")
    told = "added table plain.things (1 columns)"
    await eventually(reactor, lambda: told in diary.told, 5)
    await other.execute("DROP TABLE plain.things")

    await commands.restart(0)
    await eventually(reactor, lambda: f"up {name}" in diary.told, 30)
    assert all(node.up for node in wide.nodes if node.distance == "local")


async def test_a_stream_survives_its_coordinator(wide, three, reactor):
    """The node that gave its last page is killed, and it goes on from there: no row is missing or twice."""
    await wide.execute("CREATE TABLE net.many (id int PRIMARY KEY, v text)")
    insert = await wide.prepare("INSERT INTO net.many (id, v) VALUES (?, ?)")
    await wide.execute_many(insert, [[id, "v" * 100] for id in range(2000)], consistency="ALL")
    commands = three.control(reactor)
    names = [f"{node.address}:9042" for node in three.nodes]
    stream = wide.stream("SELECT id FROM net.many", page_size=50, consistency="LOCAL_ONE")
    seen = []
    killed = None
    async for row in stream:
        seen.append(row.id)
        if len(seen) == 300:
            killed = names.index(stream._last.coordinator)
            await commands.kill(killed)
    assert sorted(seen) == list(range(2000))
    await commands.restart(killed)
    await wide.execute("DROP TABLE net.many", timeout=30)
    await eventually(reactor, lambda: all(node.up for node in wide.nodes if node.distance == "local"), 30)
