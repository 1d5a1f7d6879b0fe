"""The load that every client runs, and the one JSON line that it prints.

A job has three phases: a warm-up, the measured phase, and one more request whose answer is fingerprinted.
Time is CPU seconds of this process, all its threads together, from the first request of the measured phase to
the check of its last answer. The garbage collector is left as it is.
"""

from __future__ import annotations

import asyncio
import json
import os
import platform
import sys
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from checks import FIRST_KEY, TOUCHES, Row, Touch, fingerprint, values_of


@dataclass(frozen=True)
class Job:
    """What run.py asks of a client, as JSON in the first argument."""

    host: str
    """Address of the server."""
    port: int
    """Its TCP port."""
    protocol: int
    """Version of the native protocol."""
    kind: str
    """Which of ``checks.TOUCHES`` goes over the rows."""
    statement: str
    """The text to prepare; its first marker is for the key."""
    in_flight: int
    """Requests kept unanswered at once."""
    warm_up: int
    """Requests before the measured ones."""
    requests: int
    """Requests measured."""
    variant: str
    """What else the client needs to know, e.g. a row factory."""
    imported: float = field(default_factory=time.process_time)
    """CPU seconds of this process so far: its interpreter, and what it has imported."""

    @classmethod
    def from_arguments(cls) -> Job:
        """The job that this process was started for."""
        return cls(**json.loads(sys.argv[1]))


class Load:
    """Keeps ``in_flight`` requests unanswered: whenever an answer is checked, the next request is sent.

    ``send(key)`` sends one request; its answer has to come to ``arrived(rows, key)``, or to ``failed``. Both
    are to be called in one thread, in which ``finished`` is called with None or with what went wrong.
    """

    def __init__(self, job: Job, send: Callable[[int], object], finished: Callable[[object], object]) -> None:
        self.job = job
        self.send = send
        self.finished = finished
        self.measured: dict[str, Any] = {}
        self.end = 0

    def start(self) -> None:
        """Send the first requests of the warm-up: the client has connected and prepared the statement."""
        self.connected = time.process_time()
        self.begin("warm-up", self.job.warm_up, TOUCHES[self.job.kind])

    def begin(self, phase: str, requests: int, touch: Touch) -> None:
        """Send the first requests of a phase."""
        self.phase, self.unanswered, self.touch, self.total = phase, requests, touch, 0
        self.next_key, self.end = FIRST_KEY, FIRST_KEY + requests
        self.wall, self.cpu = time.perf_counter(), time.process_time()
        for _ in range(min(self.job.in_flight, requests)):
            self.issue()

    def values(self, key: int) -> list[Any]:
        """What is bound to the request of a key."""
        return values_of(self.job.kind, key)

    def issue(self) -> None:
        """Send the next request."""
        key = self.next_key
        self.next_key = key + 1
        self.send(key)

    def arrived(self, rows: Iterable[Row], key: int) -> None:
        """Check an answer, and send the next request."""
        try:
            self.total += self.touch(rows, key)
            self.unanswered -= 1
            if self.next_key < self.end:
                self.issue()
            elif not self.unanswered:
                self.end_phase()
        except Exception as error:
            self.failed(error)

    def end_phase(self) -> None:
        """All requests of this phase are answered."""
        if self.phase == "warm-up":
            self.begin("measured", self.job.requests, self.touch)
        elif self.phase == "measured":
            self.measured = {
                "cpu": time.process_time() - self.cpu,
                "wall": time.perf_counter() - self.wall,
                "imports": self.job.imported,
                "connect": self.connected - self.job.imported,
                "requests": self.job.requests,
                "total": self.total,
            }
            self.begin("fingerprint", 1, fingerprint)
        else:
            self.measured["fingerprint"] = self.total
            self.finished(None)

    def failed(self, reason: object) -> None:
        """Give the job up."""
        self.end = 0
        self.finished(reason)


class AsyncioLoad(Load):
    """The load of a client whose requests are awaited: as many workers as there may be requests in flight.

    ``execute(values)`` is awaited for each request, and gives its rows.
    """

    def __init__(self, job: Job, execute: Callable[[list[Any]], Awaitable[Iterable[Row]]]) -> None:
        self.over: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        super().__init__(job, self.wait, self.end)
        self.execute = execute
        self.keys: deque[int] = deque()
        self.workers: set[asyncio.Task[None]] = set()

    async def run(self) -> dict[str, Any]:
        """Do the job; what was measured."""
        self.start()
        reason = await self.over
        if reason is not None:
            raise RuntimeError(f"failed: {reason!r}")
        return self.measured

    def wait(self, key: int) -> None:
        """A worker that is free sends it; a new one, if there are fewer than requests may be in flight."""
        self.keys.append(key)
        if len(self.workers) < self.job.in_flight:
            worker = asyncio.ensure_future(self.work())
            self.workers.add(worker)
            worker.add_done_callback(self.workers.discard)

    async def work(self) -> None:
        """Send one request after another, until none waits."""
        while self.keys:
            key = self.keys.popleft()
            try:
                rows = await self.execute(self.values(key))
            except Exception as error:
                self.failed(error)
            else:
                self.arrived(rows, key)

    def end(self, reason: object) -> None:
        """The load is through, or cannot go on."""
        if not self.over.done():
            self.over.set_result(reason)


def build_of_txcql() -> dict[str, object]:
    """Which txcql runs in this process, for :func:`report`."""
    import txcql

    folder = os.path.dirname(os.path.abspath(txcql.__file__))
    return {"txcql": txcql.__version__, "compiled": bool(txcql.wire.COMPILED), "folder": folder}


def report(measured: dict[str, Any], **build: object) -> None:
    """Print the result, with what was running."""
    if "twisted" in sys.modules:
        build["twisted"] = sys.modules["twisted"].__version__
    build = {"python": platform.python_version(), **build}
    print(json.dumps({**measured, "build": build}))
