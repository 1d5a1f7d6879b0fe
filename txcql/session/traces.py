"""Traces: what the servers note down of how they carry out a request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from txcql.errors import TraceIncomplete
from txcql.wire.timeuuids import time_from_uuid

if TYPE_CHECKING:
    from txcql.session.session import Session

__all__ = ["TRACE_TIMEOUT", "Trace", "TraceEvent", "read_trace"]

TRACE_TIMEOUT = 10.0
"""Seconds that a trace is waited for, unless the caller says otherwise."""

_FIRST_WAIT = 0.01
_LONGEST_WAIT = 0.5
_SESSION = "SELECT * FROM system_traces.sessions WHERE session_id = ?"
_EVENTS = "SELECT * FROM system_traces.events WHERE session_id = ?"


@dataclass(frozen=True, slots=True)
class TraceEvent:
    """One step of a request.

    :ivar activity: what a node did.
    :ivar at: when, by the clock of that node.
    :ivar source: the address of that node, as the nodes know it.
    :ivar elapsed: seconds since the node had begun; ``None`` if it has not said.
    :ivar thread: its thread.
    """

    activity: str
    at: datetime
    source: Any
    elapsed: float | None
    thread: str | None


@dataclass(frozen=True, slots=True)
class Trace:
    """How the servers carried out one request.

    :ivar id: its tracing id.
    :ivar request: what kind of request it was.
    :ivar parameters: what it was about, as the coordinator has noted it: its text and options.
    :ivar client: the address that it came from.
    :ivar coordinator: the address of the node that took it, as the nodes know it.
    :ivar started_at: when it began.
    :ivar duration: seconds; ``None`` if the trace is not complete.
    :ivar events: its steps, in order.
    """

    id: UUID
    request: str | None
    parameters: Mapping[str, str]
    client: Any
    coordinator: Any
    started_at: datetime | None
    duration: float | None
    events: Sequence[TraceEvent]

    def __str__(self) -> str:
        took = "not complete" if self.duration is None else f"{self.duration * 1000:.3f} ms"
        lines = [f"{self.request} at {self.coordinator}, {took} ({self.id})"]
        lines += [f"  {name}: {value}" for name, value in sorted(self.parameters.items())]
        for event in self.events:
            elapsed = "" if event.elapsed is None else f"{event.elapsed * 1000:.3f} ms"
            lines.append(f"  {elapsed:>13}  {event.source}  {event.activity}")
        return "\n".join(lines)


def read_trace(session: Session, clock: Any, id: UUID, timeout: float) -> Deferred[Trace]:
    """Ask for a trace again and again until it is complete.

    :param clock: waits.
    :param timeout: seconds until it is given up.
    :returns: fires with the trace; fails with :class:`~txcql.errors.TraceIncomplete`.
    """
    return Deferred.fromCoroutine(_read_trace(session, clock, id, timeout))


async def _read_trace(session: Session, clock: Any, id: UUID, timeout: float) -> Trace:
    end = clock.seconds() + timeout
    wait = _FIRST_WAIT
    while True:
        row = (await session.execute(_SESSION, [id], consistency="ONE", row_factory="dict")).one()
        if row is not None and row["duration"] is not None:
            return await _with_events(session, row)
        left = end - clock.seconds()
        if left <= 0:
            trace = None if row is None else await _with_events(session, row)
            state = "is not there" if row is None else "is not complete"
            raise TraceIncomplete(f"the trace {id} {state} after {timeout:g} s", trace)
        await deferLater(clock, min(wait, left))
        wait = min(2 * wait, _LONGEST_WAIT)


async def _with_events(session: Session, row: Mapping[str, Any]) -> Trace:
    events = [
        TraceEvent(
            event["activity"],
            time_from_uuid(event["event_id"]),
            event["source"],
            _seconds(event["source_elapsed"]),
            event["thread"],
        )
        async for event in session.stream(_EVENTS, [row["session_id"]], consistency="ONE", row_factory="dict")
    ]
    return Trace(
        row["session_id"],
        row["request"],
        row["parameters"] or {},
        row["client"],
        row["coordinator"],
        row["started_at"],
        _seconds(row["duration"]),
        events,
    )


def _seconds(microseconds: int | None) -> float | None:
    return None if microseconds is None else microseconds / 1e6
