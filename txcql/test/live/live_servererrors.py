"""What the server refuses: the class by its code, the server's own sentence, the fields of its body."""

from __future__ import annotations

import pytest

from txcql import errors
from txcql.test.live.conftest import REPLICATION


async def refused(session, kind, *arguments, **options):
    """Execute what the server refuses.

    :returns: The error, which is exactly of that class.
    """
    with pytest.raises(kind) as caught:
        await session.execute(*arguments, **options)
    assert type(caught.value) is kind
    return caught.value


async def test_bad_syntax(wired, cassandra):
    """The sentence is the server's, with nothing around it."""
    error = await refused(wired, errors.CQLSyntaxError, "SELEC 1")
    assert str(error) == error.message == "line 1:0 no viable alternative at input 'SELEC' ([SELEC]...)"
    assert (error.code, error.delivery) == (0x2000, "sent")
    assert error.node == f"{cassandra.nodes[0].address}:9042"
    with pytest.raises(errors.CQLSyntaxError):
        await wired.prepare("SELEC ?")
    await refused(wired, errors.CQLSyntaxError, "")


async def test_no_such_table(wired):
    """By text, by text with parameters, and when it is prepared."""
    for parameters in (None, [1]):
        error = await refused(wired, errors.InvalidRequest, "SELECT * FROM comets WHERE id = ?", parameters)
        assert str(error) == "table comets does not exist"


async def test_a_thing_that_exists(wired, keyspace):
    """It says which."""
    await wired.execute("CREATE TABLE things (id int PRIMARY KEY)")
    error = await refused(wired, errors.AlreadyExists, "CREATE TABLE things (id int PRIMARY KEY)")
    assert (error.keyspace, error.table) == (keyspace, "things")
    create = f"CREATE KEYSPACE {keyspace} WITH replication = {REPLICATION}"
    error = await refused(wired, errors.AlreadyExists, create)
    assert (error.keyspace, error.table) == (keyspace, "")


async def test_too_few_replicas(wired, cassandra):
    """Three replicas of a node that is alone; it says how many are there."""
    await wired.execute("CREATE TABLE things (id int PRIMARY KEY)")
    for statement in ("SELECT * FROM things", await wired.prepare("SELECT * FROM things")):
        error = await refused(wired, errors.Unavailable, statement, consistency="THREE")
        assert (error.consistency, error.required, error.alive) == ("THREE", 3, 1)
        assert str(error) == "Cannot achieve consistency level THREE"
        assert error.node == f"{cassandra.nodes[0].address}:9042"


async def test_a_function_that_fails(wired, wire, keyspace):
    """Version 3 has no such error: the server sends another one."""
    await wired.execute(
        "CREATE FUNCTION boom (n int) CALLED ON NULL INPUT RETURNS int LANGUAGE java "
        "AS 'throw new RuntimeException(\"boom\");'"
    )
    await wired.execute("CREATE TABLE things (id int PRIMARY KEY)")
    await wired.execute("INSERT INTO things (id) VALUES (1)")
    select = "SELECT boom(id) FROM things"
    if wire.version == 3:
        error = await refused(wired, errors.InvalidRequest, select)
        assert "FUNCTION_FAILURE" in str(error)
        return
    error = await refused(wired, errors.FunctionFailure, select)
    assert (error.keyspace, error.function, list(error.argument_types)) == (keyspace, "boom", ["int"])
    assert "boom" in str(error)


async def test_a_configuration_that_cannot_be(wired):
    """No such strategy."""
    create = "CREATE KEYSPACE impossible WITH replication = {'class': 'NoSuchStrategy'}"
    error = await refused(wired, errors.ConfigurationError, create)
    assert "NoSuchStrategy" in str(error)


async def test_values_that_the_server_refuses(wired):
    """One request fails, and the link goes on."""
    await wired.execute("CREATE TABLE things (id int PRIMARY KEY, v int)")
    insert = await wired.prepare("INSERT INTO things (id, v) VALUES (?, ?)")
    error = await refused(wired, errors.InvalidRequest, insert, [None, 1])
    assert str(error) == "Invalid null value in condition for column id"
    error = await refused(wired, errors.ServerProtocolError, "SELECT * FROM things", paging_state=b"garbage")
    assert "paging state" in str(error)
    await wired.execute(insert, [1, 1])
    assert wired.snapshot()["nodes"].popitem()[1]["connections"][0]["orphans"] == 0


async def test_an_error_is_traced_and_warned_of_too(session):
    """What comes with an answer comes with an error."""
    await session.execute("CREATE TABLE things (id int PRIMARY KEY)")
    error = await refused(
        session, errors.Unavailable, "SELECT * FROM things", consistency="THREE", tracing=True
    )
    assert error.tracing_id is not None
