"""Work shared by several processes: one reactor each."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any, NamedTuple, TextIO

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.error import ProcessDone
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure

from txcql.cli.command import CommandFailed, whole
from txcql.cli.progress import Progress

__all__ = ["Share", "add_worker_arguments", "run_workers", "share_of"]

MOST_PROCESSES = 64


class Share(NamedTuple):
    """Which part of the work is a process's own: one of ``shares``, by ``number`` from 0."""

    number: int
    shares: int

    def __str__(self) -> str:
        return f"{self.number}/{self.shares}"

    def path(self, name: str) -> Path:
        """A file of this share's own."""
        return Path(name if self.shares == 1 else f"{name}.{self.number}")

    def progress(self, progress: Progress) -> Progress:
        """How a process tells of its progress: a worker writes what the process over it reads."""
        return progress if self.shares == 1 else _Reported(sys.stdout)


class _Reported(Progress):
    """Progress as lines of JSON, for the process that has started this one."""

    def __init__(self, output: TextIO) -> None:
        self._output = output
        self._told = 0

    def begin(self, verb: str, total: int, unit: str = "rows") -> None:
        """Begin a piece of work."""

    def tell(self, done: int, note: str, **counts: int) -> None:
        """Report, but not each time."""
        self._told += 1
        if self._told % 25 == 0:
            self._report(counts)

    def end(self, **counts: int) -> None:
        """Report what was done in the end."""
        self._report(counts)

    def _report(self, counts: dict[str, int]) -> None:
        self._output.write(json.dumps(counts) + "\n")
        self._output.flush()


def add_worker_arguments(parser: argparse.ArgumentParser) -> None:
    """Add ``--processes``, and what a process is told that another has started."""
    parser.add_argument(
        "--processes",
        metavar="N",
        type=whole(1, MOST_PROCESSES),
        default=1,
        help="processes that share the work (%(default)s)",
    )
    parser.add_argument("--share", type=int, help=argparse.SUPPRESS)


def share_of(found: argparse.Namespace) -> Share:
    """The share of the work that the arguments give this process."""
    return Share(found.share or 0, found.processes if found.share is not None else 1)


class _Worker(ProcessProtocol):
    """One process: what it reports, and how it ends."""

    def __init__(self, report: Any) -> None:
        self.counts: dict[str, int] = {}
        self.ended: Deferred[None] = Deferred()
        self._report = report
        self._lines = b""
        self._complaint = b""

    def outReceived(self, data: bytes) -> None:
        *lines, self._lines = (self._lines + data).split(b"\n")
        for line in lines:
            self.counts = json.loads(line)
            self._report()

    def errReceived(self, data: bytes) -> None:
        self._complaint = (self._complaint + data)[-2000:]

    def processEnded(self, reason: Failure) -> None:
        if isinstance(reason.value, ProcessDone):
            self.ended.callback(None)
        else:
            said = self._complaint.decode(errors="replace").strip().removeprefix("txcql: ")
            self.ended.errback(CommandFailed(said or f"a worker process ended: {reason.getErrorMessage()}"))


async def run_workers(reactor: Any, processes: int, progress: Progress, verb: str) -> dict[str, int]:
    """Run the command of this process in several, each with its share; wait for all of them.

    :returns: what they count, added up.
    :raises CommandFailed: what the first one that failed has said.
    """

    def total() -> dict[str, int]:
        names = {name for worker in workers for name in worker.counts}
        return {name: sum(worker.counts.get(name, 0) for worker in workers) for name in sorted(names)}

    def report() -> None:
        counts = total()
        progress.note(f"{verb} {counts.get('rows', 0):,} rows, {processes} processes")

    workers: list[_Worker] = []
    for index in range(processes):
        worker = _Worker(report)
        workers.append(worker)
        arguments = [sys.executable, "-m", "txcql", *sys.argv[1:], "--share", str(index)]
        reactor.spawnProcess(worker, sys.executable, arguments, os.environ)
    outcomes = await gatherResults([worker.ended.addErrback(_kept) for worker in workers])
    progress.end()
    for outcome in outcomes:
        if outcome is not None:
            raise outcome
    return {"rows": 0, "refused": 0, **total()}


def _kept(failure: Failure) -> Any:
    """Wait for the others before the first failure is told."""
    return failure.value
