"""What connections and unanswered requests cost in memory: one process, measured stage by stage.

An idle session of one connection; an idle session of many; the same with requests in flight, which the server
holds; and after their answers. The garbage is collected before each measurement, and nothing is given back to
the system by hand.
"""

from __future__ import annotations

import gc
import json
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

from checks import FIRST_KEY, TOUCHES, WrongAnswer
from load import build_of_txcql, report
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater, react

import txcql

SETTLE = 0.3
"""Seconds left to the last steps of connections and writes which the server cannot see."""
PATIENCE = 60.0
"""Seconds for the server to see what it is to see."""
PATIENT = {"read_timeout": 600.0, "request_timeout": 600.0}
"""Settings: no request of this process is given up."""


@dataclass(frozen=True)
class MemoryJob:
    """What memory.py asks for, as JSON in the first argument."""

    port: int
    """TCP port of the server on 127.0.0.1."""
    protocol: int
    """Version of the native protocol."""
    statement: str
    """The text to prepare; it has one marker, for the key."""
    connections: int
    """Of the large session, besides its control connection."""
    requests: int
    """In flight at once."""
    trace: bool
    """Whether to count the bytes that Python allocates, by tracemalloc, which itself costs memory."""


@dataclass(frozen=True)
class Stage:
    """What one stage has in use."""

    resident: int
    """Bytes resident, of the whole process."""
    traced: int
    """Bytes allocated through Python; 0 without tracing."""

    @classmethod
    def now(cls) -> Stage:
        """Collect the garbage, and measure."""
        gc.collect()
        # What other files say of RSS lags behind.
        return cls(kernel_says("smaps_rollup", "Rss"), tracemalloc.get_traced_memory()[0])


def kernel_says(file: str, field: str) -> int:
    """A number of this process, in bytes."""
    with open(f"/proc/self/{file}", encoding="ascii") as lines:
        (line,) = (line for line in lines if line.startswith(f"{field}:"))
    return int(line.split()[1]) * 1024


async def connect(reactor: Any, job: MemoryJob, connections: int) -> Any:
    """A session of so many connections, neither more nor fewer later on."""
    settings: dict[str, Any] = {**PATIENT, "core_connections": connections}
    if "max_connections_local" in txcql.Settings.names():
        settings["max_connections_local"] = connections
    return await txcql.connect(
        reactor, ["127.0.0.1"], port=job.port, protocol_version=job.protocol, **settings
    )


async def wait_for(reactor: Any, session: Any, column: str, wanted: int) -> None:
    """Wait until the server says so; its numbers are those of all sessions."""
    end = reactor.seconds() + PATIENCE
    while True:
        row = (await session.execute("SELECT connections, held FROM bench.server")).one()
        if getattr(row, column) == wanted:
            break
        if reactor.seconds() > end:
            raise RuntimeError(f"the server has {row}, wanted {column}={wanted}")
        await deferLater(reactor, 0.02)
    await deferLater(reactor, SETTLE)


class Requests:
    """Point reads, all sent at once. ``finished`` fires when the last one is answered as it should be."""

    def __init__(self, session: Any, statement: Any, requests: int) -> None:
        self.session = session
        self.unanswered = requests
        self.finished: Deferred[None] = Deferred()
        execute, answered, failed = session.execute, self.answered, self.failed
        for key in range(FIRST_KEY, FIRST_KEY + requests):
            execute(statement, [key]).addCallback(answered, key).addErrback(failed)

    def answered(self, rows: Any, key: int) -> None:
        """Look whether the row is the one that was asked for."""
        TOUCHES["point"](rows, key)
        self.unanswered -= 1
        if not self.unanswered:
            self.finished.callback(None)

    def failed(self, reason: Any) -> None:
        """Whatever it was, no figure of this process counts."""
        if not self.finished.called:
            self.finished.errback(reason)


@contextmanager
def tracing(wanted: bool) -> Iterator[None]:
    """Count what Python allocates from here on, if that is wanted."""
    if wanted:
        tracemalloc.start()
    yield
    tracemalloc.stop()


async def measure(reactor: Any, job: MemoryJob, note: Callable[[str], None]) -> int | None:
    """Go through the stages; what the driver says of the third one, in bytes, if it says anything."""
    session = await connect(reactor, job, 1)
    statement = await session.prepare(job.statement)
    await Requests(session, statement, 100).finished
    note("one connection")
    await session.close()
    session = await connect(reactor, job, job.connections)
    statement = await session.prepare(job.statement)
    await wait_for(reactor, session, "connections", job.connections + 1)
    await Requests(session, statement, 4 * job.connections).finished
    note("all connections")
    await session.execute("HOLD")
    requests = Requests(session, statement, job.requests)
    await wait_for(reactor, session, "held", job.requests)
    if requests.finished.called:
        raise WrongAnswer("an answer while the server held them all")
    note("in flight")
    budget = getattr(session, "memory_budget", None)
    said = None if budget is None else int(budget())
    await session.execute("RELEASE")
    await requests.finished
    note("answered")
    await session.close()
    return said


async def main(reactor: Any) -> None:
    """Run the job, report."""
    job = MemoryJob(**json.loads(sys.argv[1]))
    stages: dict[str, Any] = {}
    with tracing(job.trace):
        budget = await measure(reactor, job, lambda name: stages.update({name: asdict(Stage.now())}))
    peak = max(kernel_says("status", "VmHWM"), *(stage["resident"] for stage in stages.values()))
    report({"stages": stages, "peak": peak, "budget": budget}, **build_of_txcql())


if __name__ == "__main__":
    react(main)
