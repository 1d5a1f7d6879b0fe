"""A node that dies under load, and comes back: every request is told, and the session goes on by itself."""

from __future__ import annotations

from collections import Counter
from functools import partial

import pytest
import pytest_twisted  # type: ignore[import-untyped]
from twisted.internet.task import deferLater

from txcql.errors import CQLError
from txcql.policies.reconnection import ExponentialReconnectionPolicy
from txcql.test.live.conftest import REPLICATION
from txcql.test.live.pumps import Pump
from txcql.test.live.waiting import eventually
from txcql.test.live.wires import Wire

IN_FLIGHT = 600


@pytest_twisted.async_yield_fixture
async def steady(open_session, breakable, control, request):
    """Open a session that is to survive, in a keyspace with an empty table ``things``."""
    session = await open_session(
        breakable,
        reconnection=ExponentialReconnectionPolicy(base=0.25, maximum=1.0),
        **request.param.settings,
    )
    await session.execute(f"CREATE KEYSPACE steady WITH replication = {REPLICATION}")
    await session.set_keyspace("steady")
    await session.execute("CREATE TABLE things (id int PRIMARY KEY, v text)")
    yield session
    await session.execute("DROP KEYSPACE steady")


def work(session, insert, select):
    """Write and read in turns, without end.

    :returns: Yields what makes one request.
    """
    place = 0
    while True:
        yield partial(session.execute, insert, [place, f"v{place}"])
        yield partial(session.execute, select, [place])
        place += 1


async def outage(reactor, session, end_node, start_node):
    """Let a node end in the middle of the work, and come back.

    :returns: The work's pump.
    """
    insert = await session.prepare("INSERT INTO things (id, v) VALUES (?, ?)")
    select = await session.prepare("SELECT v FROM things WHERE id = ?")
    pump = Pump(work(session, insert, select), IN_FLIGHT, until_failure=True)
    await deferLater(reactor, 0.5)
    assert not pump.failures
    await end_node()
    gone = reactor.seconds()
    await pump.done
    told = reactor.seconds() - gone
    assert told < 1, "each request has heard of it within a second"
    deliveries = Counter(
        getattr(failure.value, "delivery", "an error of another kind") for failure in pump.failures
    )
    print(f"\nall told {told:.3f} s after the node was gone; failed: {dict(deliveries)}")
    assert set(pump.fired) == {1}
    for failure in pump.failures:
        error = failure.value
        assert isinstance(error, CQLError) and error.delivery in ("not sent", "sent", "unknown"), repr(error)

    begun = reactor.seconds()
    with pytest.raises(CQLError) as caught:
        await session.execute(insert, [-1, "nobody there"])
    assert reactor.seconds() - begun < 1
    assert caught.value.delivery == "not sent"
    [node] = session.snapshot()["nodes"].values()
    assert (node["state"], node["in_flight"], node["queued"]) == ("down", 0, 0)

    await start_node()
    # The same session, the same statements, the same keyspace.
    await eventually(reactor, lambda: session.execute(insert, [-2, "here again"]), 10)
    assert (await session.execute(select, [-2])).one().v == "here again"
    assert (await session.execute("SELECT v FROM things WHERE id = -1")).one() is None
    [node] = session.snapshot()["nodes"].values()
    assert node["state"] == "up"
    again = Pump(work(session, insert, select), IN_FLIGHT, until_failure=True)
    await deferLater(reactor, 0.2)
    again.stop()
    await again.done
    assert again.failures == []
    return pump


@pytest.mark.parametrize("steady", [Wire(5)], ids=str, indirect=True)
async def test_a_node_is_killed(steady, control, reactor):
    """By SIGKILL, with hundreds of requests in flight."""
    pump = await outage(reactor, steady, lambda: control.kill(0), lambda: control.restart(0))
    assert len(pump.failures) >= IN_FLIGHT / 2
    deliveries = Counter(failure.value.delivery for failure in pump.failures)
    assert deliveries["unknown"] > 0


@pytest.mark.parametrize("steady", [Wire(4, "lz4")], ids=str, indirect=True)
async def test_a_node_is_stopped(steady, control, reactor):
    """By SIGTERM, in order."""
    await outage(reactor, steady, lambda: control.terminate(0), lambda: control.restart(0))
