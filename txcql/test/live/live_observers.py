"""Observers of real requests: every step has its time, and no value is logged."""

from __future__ import annotations

from typing import Any, cast

import pytest
from twisted.logger import ILogObserver, LogLevel, formatEvent, globalLogPublisher
from zope.interface import implementer

import txcql
from txcql.errors import InvalidRequest
from txcql.interfaces import IRequestObserver
from txcql.test.live.wires import PLAIN_WIRES

STEPS = [
    "created", "planned", "routed", "stream taken", "written",
    "read", "framed", "matched", "decoded", "finished",
]  # fmt: skip


@implementer(IRequestObserver)
class Gatherer:
    """Keep every event."""

    wants_values = False

    def __init__(self):
        self.events = []

    def request_step(self, event):
        self.events.append(event)


@pytest.mark.parametrize("wire", PLAIN_WIRES, ids=str)
async def test_steps(open_session, cassandra, keyspace, wire):
    """In their order, each no earlier than the one before, at this node."""
    observer = Gatherer()
    session = await open_session(keyspace=keyspace, observers=[observer], **wire.settings)
    await session.execute("CREATE TABLE things (id int PRIMARY KEY, v text)")
    await session.execute("INSERT INTO things (id, v) VALUES (?, ?)", [1, "secret"])
    with pytest.raises(InvalidRequest):
        await session.execute("SELECT nothing FROM things")
    by_request: dict[Any, list[Any]] = {}
    for event in observer.events:
        by_request.setdefault(event.request, []).append(event)
    create, prepare, insert, wrong = sorted(by_request, key=lambda info: (info.text, not info.preparing))
    for info in (create, prepare, insert):
        assert [event.step for event in by_request[info]] == STEPS
    assert [event.step for event in by_request[wrong]] == [*STEPS[:-1], "failed", "finished"]
    assert (prepare.preparing, insert.preparing) == (True, False)
    name = f"{cassandra.nodes[0].address}:9042"
    for events in by_request.values():
        assert [event.elapsed for event in events] == sorted(event.elapsed for event in events)
        assert {event.node for event in events[2:]} == {name}
    assert {info.values for info in by_request} == {None}


async def test_loggers(open_session, keyspace):
    """A line for each request; values and passwords are in none of them."""
    session = await open_session(
        keyspace=keyspace, observers=[txcql.RequestLogger(), txcql.SlowQueryLogger(threshold=0.0)]
    )
    lines = []

    def observe(event):
        if event["log_namespace"] == "txcql.session":
            lines.append((event["log_level"], formatEvent(event)))

    globalLogPublisher.addObserver(cast(ILogObserver, observe))
    try:
        await session.execute("CREATE TABLE things (id int PRIMARY KEY, v text)")
        await session.execute("INSERT INTO things (id, v) VALUES (?, ?)", [1, "hunter2"])
        with pytest.raises(txcql.errors.CQLError):
            await session.execute("CREATE ROLE nobody WITH PASSWORD = 'hunter2'")
    finally:
        globalLogPublisher.removeObserver(cast(ILogObserver, observe))
    for level in (LogLevel.info, LogLevel.warn):
        assert len([line for found, line in lines if found is level and ": " in line]) >= 4
    assert "hunter2" not in repr(lines)
    assert "WITH PASSWORD = '…'" in repr(lines)
