"""A node that asks for a login."""

from __future__ import annotations

import pytest

import txcql
from txcql.errors import AuthenticationFailed, Unauthorized
from txcql.test.live.conftest import REPLICATION


async def refused(reactor, guarded, wire, **settings):
    """Connect where a login is refused.

    :returns: The error.
    """
    node = guarded.nodes[0]
    with pytest.raises(AuthenticationFailed) as caught:
        await txcql.connect(reactor, [node.address], **wire.settings, **settings)
    assert caught.value.node == f"{node.address}:9042"
    return str(caught.value)


async def test_the_right_password(open_session, guarded, wire):
    """The session is the role's."""
    username, password = guarded.login
    session = await open_session(guarded, username=username, password=password, **wire.settings)
    clients = await session.execute("SELECT username, protocol_version FROM system_views.clients")
    assert (username, wire.version) in clients.all()


async def test_the_wrong_password(reactor, guarded, wire):
    """The node and its own words."""
    text = await refused(reactor, guarded, wire, username="cassandra", password="wrong")
    assert text == (
        f"{guarded.nodes[0].address}:9042: Provided username cassandra and/or password are incorrect"
    )


async def test_no_password(reactor, guarded, wire):
    """It says that a login is needed, and how to give one."""
    text = await refused(reactor, guarded, wire)
    assert text.startswith(f"{guarded.nodes[0].address}:9042: the node asks for a login")
    assert text.endswith("give username and password")


async def test_a_login_where_none_is_asked_for(open_session):
    """It is not sent."""
    session = await open_session(username="somebody", password="secret")
    assert (await session.execute("SELECT key FROM system.local")).one().key == "local"


async def test_a_role_without_permission(open_session, guarded):
    """May read what it was granted, and nothing else."""
    username, password = guarded.login
    admin = await open_session(guarded, username=username, password=password)
    await admin.execute(f"CREATE KEYSPACE IF NOT EXISTS private WITH replication = {REPLICATION}")
    await admin.execute("CREATE TABLE IF NOT EXISTS private.things (id int PRIMARY KEY)")
    await admin.execute("CREATE ROLE IF NOT EXISTS guest WITH PASSWORD = 'p' AND LOGIN = true")
    guest = await open_session(guarded, username="guest", password="p")
    with pytest.raises(Unauthorized) as caught:
        await guest.execute("SELECT * FROM private.things")
    assert str(caught.value) == (
        "User guest has no SELECT permission on <table private.things> or any of its parents"
    )
    await admin.execute("DROP ROLE guest")
    await admin.execute("DROP KEYSPACE private")
