"""Requests go to a replica, as the coordinator of each answer shows. Three nodes in two data centers."""

from __future__ import annotations

from itertools import product
from uuid import UUID, uuid4

import pytest
import pytest_twisted  # type: ignore[import-untyped]

from txcql.policies import DCAwarePolicy, RoundRobinPolicy, TokenAwarePolicy
from txcql.test.cassandra import lease
from txcql.test.cassandra.layouts import THREE_NODES
from txcql.test.live.sizes import sized
from txcql.test.live.waiting import eventually
from txcql.test.live.wires import VERSIONS

TABLES = {
    "numbers": ("id int, v text, PRIMARY KEY (id)", lambda number: [number]),
    "blobs": (
        "id blob, v text, PRIMARY KEY (id)",
        lambda number: [bytes([255 - number % 256] * (number % 40 + 1))],
    ),
    "pairs": (
        "a uuid, b text, v text, PRIMARY KEY ((a, b))",
        lambda number: [UUID(int=number * 2**110 % 2**128), f"é{number}"],
    ),
}


@pytest.fixture(scope="module")
def trio():
    """Lease the shared three nodes."""
    with lease("three") as held:
        yield held


@pytest_twisted.async_yield_fixture
async def keyspace(open_session, trio):
    """Make a keyspace of which each data center has one copy."""
    session = await open_session(trio)
    name = f"live_{uuid4().hex[:16]}"
    await session.execute(
        f"CREATE KEYSPACE {name} WITH replication = "
        "{'class': 'NetworkTopologyStrategy', 'dc1': 1, 'dc2': 1}"
    )
    for table, (columns, _) in TABLES.items():
        await session.execute(f"CREATE TABLE {name}.{table} ({columns})")
    yield name
    await session.execute(f"DROP KEYSPACE {name}")


def owner(trio, token, datacenter):
    """Find the only replica in a data center: its first node at or behind the token."""
    ring = sorted(
        (place.token, node.address)
        for place, node in zip(THREE_NODES, trio.nodes, strict=True)
        if place.datacenter == datacenter
    )
    return next((address for found, address in ring if found >= token), ring[0][1])


async def share_at_replicas(session, trio, table, datacenter, count):
    """Write and read rows by prepared statements.

    :returns: The share of answers that came from a replica, which the server's own tokens tell.
    """
    keys = [name for name in ("id", "a", "b") if f"{name} " in TABLES[table][0]]
    where = " AND ".join(f"{name} = ?" for name in keys)
    marks = ", ".join("?" for _ in keys)
    insert = await session.prepare(f"INSERT INTO {table} ({', '.join(keys)}, v) VALUES ({marks}, ?)")
    select = await session.prepare(f"SELECT v, token({', '.join(keys)}) FROM {table} WHERE {where}")
    right = 0
    for number in range(count):
        key = TABLES[table][1](number)
        written = await session.execute(insert, [*key, "v"])
        read = await session.execute(select, key)
        replica = owner(trio, read.one()[1], datacenter)
        right += (written.coordinator, read.coordinator) == (f"{replica}:9042",) * 2
    return right / count


async def known(reactor, session, keyspace):
    """Wait until the driver knows who owns what: it reads that after it has connected."""
    await eventually(reactor, lambda: session.cluster.replicas(keyspace, b"key") or None)


@pytest.mark.parametrize("version", [VERSIONS[0], 5])
async def test_replicas(reactor, open_session, trio, keyspace, version):
    """More than 99 % of single-partition requests, for keys of each kind, in each version."""
    session = await open_session(
        trio, keyspace=keyspace, local_datacenter="dc1", consistency="LOCAL_ONE", protocol_version=version
    )
    await known(reactor, session, keyspace)
    for table in TABLES:
        share = await share_at_replicas(session, trio, table, "dc1", max(50, sized(2000)))
        assert share > 0.99, f"{table}: {share:.2%}"


async def test_by_text(reactor, open_session, trio, keyspace):
    """Text goes to a replica if the call names its partition."""
    session = await open_session(trio, keyspace=keyspace, local_datacenter="dc1", consistency="LOCAL_ONE")
    await known(reactor, session, keyspace)
    for number in range(20):
        text = f"SELECT token(id) FROM numbers WHERE id = {number}"
        await session.execute(f"INSERT INTO numbers (id, v) VALUES ({number}, 'v')")
        result = await session.execute(text, routing_key=number.to_bytes(4, "big"))
        assert result.coordinator == f"{owner(trio, result.one()[0], 'dc1')}:9042"


async def test_local_datacenter(open_session, trio, keyspace):
    """No request leaves it, unless a policy says so."""
    places = {f"{node.address}:9042": node.datacenter for node in trio.nodes}
    for datacenter, policy in product(("dc1", "dc2"), (None, DCAwarePolicy)):
        session = await open_session(
            trio, local_datacenter=datacenter, load_balancing=policy and policy(), consistency="LOCAL_ONE"
        )
        found = set()
        for _ in range(10):
            found.add((await session.execute("SELECT key FROM system.local")).coordinator)
        assert found == {name for name, place in places.items() if place == datacenter}
    session = await open_session(trio, load_balancing=RoundRobinPolicy(), consistency="ONE")
    found = set()
    for _ in range(12):
        found.add((await session.execute("SELECT key FROM system.local")).coordinator)
    assert found == set(places)


async def test_remote_datacenter(open_session, trio, keyspace):
    """Where nothing local is, a remote node may be used; at LOCAL_ONE only if that is allowed."""
    policy = TokenAwarePolicy(DCAwarePolicy("dc2", remote_nodes=1))
    session = await open_session(trio, local_datacenter="dc2", load_balancing=policy, consistency="ONE")
    distances = [node["distance"] for node in session.snapshot()["nodes"].values()]
    assert sorted(distances) == ["ignored", "local", "remote"]
    request = session.execute("SELECT key FROM system.local")
    assert (await request).coordinator == f"{trio.nodes[2].address}:9042"
