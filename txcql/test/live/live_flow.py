"""A node that is too slow: what is refused, queued, given up, and what becomes of late answers.

The node is frozen by SIGSTOP: its connections stay, and it says nothing until it goes on.
"""

from __future__ import annotations

import pytest
import pytest_twisted  # type: ignore[import-untyped]
from twisted.internet.defer import CancelledError, Deferred, gatherResults
from twisted.internet.task import deferLater

from txcql.errors import BusyConnectionError, RequestTimeout, SessionClosed
from txcql.test.live.conftest import REPLICATION
from txcql.test.live.failures import failure_of
from txcql.test.live.waiting import eventually
from txcql.test.live.wires import PLAIN_WIRES, Wire


@pytest.fixture(params=PLAIN_WIRES, ids=str)
def wire(request):
    """Choose each protocol version in turn."""
    return request.param


@pytest_twisted.async_yield_fixture
async def open_slow(open_session, breakable, control):
    """Open sessions to the node that can be frozen, in a keyspace with an empty table ``things``."""
    admin = await open_session(breakable)
    await admin.execute(f"CREATE KEYSPACE slow WITH replication = {REPLICATION}")
    await admin.execute("CREATE TABLE slow.things (id int PRIMARY KEY, v text)")

    async def connect(**settings):
        # One link: a second one would take what waits for the first.
        return await open_session(breakable, keyspace="slow", max_connections_local=1, **settings)

    yield connect
    await control.cont(0)
    await admin.execute("DROP KEYSPACE slow", timeout=60)


def state_of(session):
    """Look at the one node of a session.

    :returns: Its state, and that of its one connection.
    """
    [node] = session.snapshot()["nodes"].values()
    [connection] = node["connections"]
    return node, connection


async def test_too_many_requests_are_refused(open_slow, control, wire):
    """Eight are sent, two wait, the eleventh is told at once; later all are answered in their order."""
    session = await open_slow(max_requests_per_connection=10, **wire.settings)
    insert = await session.prepare("INSERT INTO things (id, v) VALUES (?, ?)")
    await control.stop(0)
    accepted = [session.execute(insert, [id, f"v{id}"]) for id in range(10)]
    node, connection = state_of(session)
    assert (node["in_flight"], node["queued"]) == (8, 2)
    assert (connection["sent"], connection["state"], connection["high"]) == (8, "draining", 8)

    error = await failure_of(session.execute(insert, [10, "one too many"]))
    assert type(error) is BusyConnectionError
    assert (error.in_flight, error.queued, error.limit, error.reason) == (8, 2, 10, "requests")
    assert error.delivery == "not sent"
    assert f"{error.node} is busy: 8 requests in flight, 2 queued, limit 10 requests" in str(error)
    for advice in ("execute_many", "sink()", "when_ready"):
        assert advice in str(error)

    await control.cont(0)
    await gatherResults(accepted)
    rows = (await session.execute("SELECT id, v FROM things")).all()
    assert sorted(rows) == [(id, f"v{id}") for id in range(10)]


async def test_cancelled_in_the_queue_is_never_sent(open_slow, control, wire):
    """The others go on as if it had not been."""
    session = await open_slow(max_requests_per_connection=10, **wire.settings)
    insert = await session.prepare("INSERT INTO things (id, v) VALUES (?, ?)")
    await control.stop(0)
    requests = [session.execute(insert, [id, "v"]) for id in range(10)]
    cancelled = requests.pop(8)
    cancelled.cancel()
    assert type(await failure_of(cancelled)) is CancelledError
    node, connection = state_of(session)
    assert (node["in_flight"], node["queued"], connection["orphans"]) == (8, 1, 0)

    await control.cont(0)
    await gatherResults(requests)
    ids = (await session.execute("SELECT id FROM things")).column("id")
    assert sorted(ids) == [0, 1, 2, 3, 4, 5, 6, 7, 9]


async def test_cancelled_when_sent_keeps_its_stream(open_slow, control, reactor, wire):
    """Until the late answer comes, which reaches nobody else."""
    session = await open_slow(**wire.settings)
    insert = await session.prepare("INSERT INTO things (id, v) VALUES (?, ?)")
    select = await session.prepare("SELECT v FROM things WHERE id = ?")
    await session.execute(insert, [1, "before"])
    await control.stop(0)
    cancelled = [session.execute(select, [1]) for _ in range(5)] + [session.execute(insert, [2, "late"])]
    await deferLater(reactor, 0)
    for request in cancelled:
        request.cancel()
    for request in cancelled:
        assert type(await failure_of(request)) is CancelledError
    _, connection = state_of(session)
    assert (connection["sent"], connection["orphans"]) == (6, 6)
    others = [session.execute("SELECT release_version FROM system.local") for _ in range(5)]

    await control.cont(0)
    for result in await gatherResults(others):
        assert result.columns[0].name == "release_version"
    await eventually(reactor, lambda: state_of(session)[1]["sent"] == 0)
    _, connection = state_of(session)
    assert (connection["orphans"], connection["state"]) == (0, "open")
    assert (await session.execute(select, [2])).one().v == "late"


async def test_a_deadline_passes(open_slow, control, reactor, wire):
    """Within its time, whether the request has been sent, is queued, or is being prepared."""
    session = await open_slow(max_requests_per_connection=5, **wire.settings)
    insert = await session.prepare("INSERT INTO things (id, v) VALUES (?, ?)")
    await control.stop(0)
    begun = reactor.seconds()
    sent = [session.execute(insert, [id, "v"], timeout=0.4) for id in range(4)]
    queued = session.execute(insert, [4, "v"], timeout=0.3)
    preparing = session.execute("INSERT INTO things (id, v) VALUES (5, ?)", ["v"], timeout=0.5)
    for request, timeout, delivery in [
        (queued, 0.3, "not sent"),
        *((request, 0.4, "sent") for request in sent),
        (preparing, 0.5, "not sent"),
    ]:
        error = await failure_of(request)
        assert timeout <= reactor.seconds() - begun < timeout + 0.5
        assert type(error) is RequestTimeout
        assert f"within {timeout:g} s" in str(error)
        assert (error.delivery, f"(the request: {delivery})" in str(error)) == (delivery, True)

    await control.cont(0)
    await eventually(reactor, lambda: state_of(session)[1]["sent"] == 0)
    ids = (await session.execute("SELECT id FROM things")).column("id")
    assert sorted(ids) == [0, 1, 2, 3]


async def test_an_attempt_takes_too_long(open_slow, control, reactor):
    """The read timeout gives it up before the deadline does."""
    session = await open_slow(read_timeout=0.3)
    await control.stop(0)
    begun = reactor.seconds()
    error = await failure_of(session.execute("INSERT INTO things (id) VALUES (1)"))
    assert 0.3 <= reactor.seconds() - begun < 0.8
    assert type(error) is RequestTimeout
    assert "read timeout of 0.3 s" in str(error)
    assert error.delivery == "sent"
    await control.cont(0)
    # The node serves what waits in its sockets in no order: a read may come before the insert.
    await eventually(
        reactor, lambda: session.execute("SELECT * FROM things").addCallback(lambda rows: list(rows) or None)
    )
    assert list(await session.execute("SELECT * FROM things")) == [(1, None)]


async def test_a_link_full_of_orphans_is_replaced(open_slow, control, reactor):
    """The session goes on by itself, and nothing of the old link remains."""
    session = await open_slow(max_orphans_per_connection=5)
    await control.stop(0)
    lost = [session.execute("INSERT INTO things (id) VALUES (1)", timeout=0.2) for _ in range(5)]
    for request in lost:
        assert type(await failure_of(request)) is RequestTimeout
    assert state_of(session)[1]["state"] != "open"
    await control.cont(0)
    await eventually(reactor, lambda: session.execute("SELECT * FROM things", timeout=1.0), 10)
    await eventually(reactor, lambda: state_of(session)[1]["orphans"] == 0)


@pytest.mark.parametrize("wire", [Wire(5)], ids=str)
async def test_every_stream_of_a_link_is_used(open_slow, control, reactor, wire):
    """All 32,767 of them at the same time; each answer reaches the request that it is for."""
    most = 32_767
    session = await open_slow(
        max_requests_per_connection=most,
        high_watermark=1.0,
        low_watermark=1.0,
        read_timeout=60.0,
        request_timeout=60.0,
        **wire.settings,
    )
    select = await session.prepare("SELECT (int)? AS mine FROM system.local")
    await control.stop(0)
    requests = [session.execute(select, [number]) for number in range(most)]
    # Some are queued for as long as the transport takes no more.
    await eventually(reactor, lambda: state_of(session)[1]["sent"] == most)
    error = await failure_of(session.execute(select, [most]))
    assert (type(error), error.in_flight, error.limit) == (BusyConnectionError, most, most)
    await control.cont(0)
    results = await gatherResults(requests)
    assert [result.one().mine for result in results] == list(range(most))
    assert state_of(session)[1]["sent"] == 0


async def test_close_does_not_wait(open_slow, control, reactor):
    """What is queued or sent fails at once, and says which it was."""
    session = await open_slow(max_requests_per_connection=1000)
    await control.stop(0)
    requests = [session.execute("SELECT * FROM things") for _ in range(1000)]
    assert state_of(session)[1]["sent"] == 800
    # What is sent leaves the Write Buffer at the end of the turn.
    await deferLater(reactor, 0.1)
    closed = session.close()
    errors = [await failure_of(request) for request in requests]
    assert {type(error) for error in errors} == {SessionClosed}
    assert [error.delivery for error in errors] == ["sent"] * 800 + ["not sent"] * 200
    await control.cont(0)
    await closed


async def test_close_may_wait_for_what_is_sent(open_slow, control, reactor):
    """For as long as it is told to; what is queued fails at once."""
    session = await open_slow(max_requests_per_connection=5)
    await control.stop(0)
    sent = [session.execute("INSERT INTO things (id, v) VALUES (1, 'x')") for _ in range(4)]
    queued = session.execute("SELECT * FROM things")
    closed: Deferred[None] = session.close(drain=5.0)
    assert (await failure_of(queued)).delivery == "not sent"
    assert type(await failure_of(session.execute("SELECT * FROM things"))) is SessionClosed
    await deferLater(reactor, 0.2)
    assert not closed.called
    await control.cont(0)
    await gatherResults(sent)
    await closed
