"""Traces of every kind of request."""

from __future__ import annotations

from uuid import uuid1

import pytest

import txcql
from txcql.errors import InvalidRequest, TraceIncomplete


async def test_traces(wired, cassandra):
    """Text, prepared, batch: each is there when it is complete, with its steps."""
    await wired.execute("CREATE TABLE things (id int PRIMARY KEY, v int)")
    insert = (await wired.prepare("INSERT INTO things (id, v) VALUES (?, ?)")).with_options(tracing=True)
    requests = {
        "Execute CQL3 query": ("SELECT * FROM things", None),
        "Execute CQL3 prepared query": (insert, [1, 1]),
        "Execute batch of CQL3 queries": (txcql.Batch([insert.with_options(tracing=None)(2, 2)]), None),
    }
    for name, (statement, values) in requests.items():
        result = await wired.execute(statement, values, tracing=True)
        trace = await result.trace()
        assert trace.id == result.tracing_id
        assert trace.request == name
        assert trace.duration is not None and 0 < trace.duration < 10
        assert str(trace.coordinator) == cassandra.nodes[0].address
        assert trace.events
        assert all(
            event.activity and str(event.source) == cassandra.nodes[0].address for event in trace.events
        )
        assert [event.at for event in trace.events] == sorted(event.at for event in trace.events)
        assert str(trace).startswith(f"{name} at {cassandra.nodes[0].address}, ")
        assert trace.events[0].activity in str(trace)


async def test_what_is_not_traced(session):
    """It says what to do; a trace that never comes is given up; the trace of an error."""
    result = await session.execute("SELECT key FROM system.local")
    assert result.tracing_id is None
    with pytest.raises(LookupError, match="tracing=True"):
        await result.trace()
    with pytest.raises(TraceIncomplete, match=r"is not there after 0\.3 s") as caught:
        await session.trace(uuid1(), timeout=0.3)
    assert caught.value.trace is None
    with pytest.raises(InvalidRequest) as refused:
        await session.execute("SELECT * FROM nothing", tracing=True)
    trace = await session.trace(refused.value.tracing_id)
    assert trace.parameters["query"] == "SELECT * FROM nothing"
