"""The load that every client runs, and the one JSON line that it prints.

A job has three phases: a warm-up, the measured phase, and one more request whose answer is fingerprinted.
Time is CPU seconds of this process, all its threads together, from the first request of the measured phase to
the check of its last answer. The garbage collector is left as it is.
"""

from __future__ import annotations

import json
import os
import platform
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from checks import FIRST_KEY, TOUCHES, Row, Touch, fingerprint


@dataclass(frozen=True)
class Job:
    """What run.py asks of a client, as JSON in the first argument."""

    port: int
    """TCP port of the server on 127.0.0.1."""
    protocol: int
    """Version of the native protocol."""
    kind: str
    """Which of ``checks.TOUCHES`` goes over the rows."""
    statement: str
    """The text to prepare; it has one marker, for the key."""
    in_flight: int
    """Requests kept unanswered at once."""
    warm_up: int
    """Requests before the measured ones."""
    requests: int
    """Requests measured."""
    variant: str
    """What else the client needs to know, e.g. a row factory."""

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
        """Send the first requests of the warm-up."""
        self.begin("warm-up", self.job.warm_up, TOUCHES[self.job.kind])

    def begin(self, phase: str, requests: int, touch: Touch) -> None:
        """Send the first requests of a phase."""
        self.phase, self.unanswered, self.touch, self.total = phase, requests, touch, 0
        self.next_key, self.end = FIRST_KEY, FIRST_KEY + requests
        self.wall, self.cpu = time.perf_counter(), time.process_time()
        for _ in range(min(self.job.in_flight, requests)):
            self.issue()

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


def build_of_txcql() -> dict[str, object]:
    """Which txcql runs in this process, for :func:`report`."""
    import txcql

    folder = os.path.dirname(os.path.abspath(txcql.__file__))
    return {"txcql": txcql.__version__, "compiled": bool(txcql.wire.COMPILED), "folder": folder}


def report(measured: dict[str, Any], **build: object) -> None:
    """Print the result, with what was running."""
    import twisted

    build = {"python": platform.python_version(), "twisted": twisted.__version__, **build}
    print(json.dumps({**measured, "build": build}))
