"""Tests for :mod:`txcql.cli.workers`, and for how ``unload`` divides the ring."""

from __future__ import annotations

import argparse
import io
import itertools
import sys
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessDone, ProcessTerminated
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from txcql.cli.command import CommandFailed
from txcql.cli.progress import Progress
from txcql.cli.unload import token_ranges
from txcql.cli.workers import Share, add_worker_arguments, run_workers, share_of


class ShareTests(SynchronousTestCase):
    """Which part of the work is whose."""

    def share(self, *arguments: str) -> Share:
        parser = argparse.ArgumentParser()
        add_worker_arguments(parser)
        return share_of(parser.parse_args(arguments))

    def test_arguments(self) -> None:
        self.assertEqual(self.share(), Share(0, 1))
        self.assertEqual(self.share("--processes", "3"), Share(0, 1))
        self.assertEqual(self.share("--processes", "3", "--share", "2"), Share(2, 3))
        self.assertEqual(str(Share(2, 3)), "2/3")

    def test_paths(self) -> None:
        self.assertEqual(str(Share(0, 1).path("a")), "a")
        self.assertEqual(str(Share(2, 3).path("a")), "a.2")

    def test_ranges(self) -> None:
        """Every token but the lowest is in exactly one range of one share."""
        ranges = [one for number in range(3) for one in token_ranges(Share(number, 3), 5)]
        self.assertEqual(len(ranges), 15)
        self.assertEqual((ranges[0][0], ranges[-1][1]), (-(2**63), 2**63 - 1))
        for (_, end), (start, _) in itertools.pairwise(ranges):
            self.assertEqual(end, start)
        sizes = [end - start for start, end in ranges]
        self.assertLessEqual(max(sizes) - min(sizes), 1)


class Processes(Clock):
    """A reactor that starts nothing."""

    def __init__(self) -> None:
        Clock.__init__(self)
        self.started: list[Any] = []
        self.arguments: list[list[str]] = []

    def spawnProcess(self, protocol: Any, executable: str, arguments: list[str], environment: Any) -> None:
        self.started.append(protocol)
        self.arguments.append(arguments)


class WorkerTests(SynchronousTestCase):
    """Processes, and what becomes of them."""

    def setUp(self) -> None:
        self.patch(sys, "argv", ["x", "load", "t", "f.csv", "--processes", "2"])
        self.reactor = Processes()
        self.running = Deferred.fromCoroutine(
            run_workers(self.reactor, 2, Progress(self.reactor, io.StringIO()), "loaded")
        )

    def end(self, number: int, status: int = 0) -> None:
        reason = ProcessTerminated(status) if status else ProcessDone(0)
        self.reactor.started[number].processEnded(Failure(reason))

    def test_arguments(self) -> None:
        """Each runs the same command, with its share."""
        self.assertEqual(
            [arguments[1:] for arguments in self.reactor.arguments],
            [["-m", "txcql", "load", "t", "f.csv", "--processes", "2", "--share", str(n)] for n in range(2)],
        )

    def test_counts(self) -> None:
        """They are added up when all have ended."""
        self.reactor.started[0].outReceived(b'{"rows": 1, "refused": 1}\n{"rows": 5, ')
        self.reactor.started[0].outReceived(b'"refused": 2}\n')
        self.end(0)
        self.assertNoResult(self.running)
        self.reactor.started[1].outReceived(b'{"rows": 7, "refused": 0}\n')
        self.end(1)
        self.assertEqual(self.successResultOf(self.running), {"rows": 12, "refused": 2})

    def test_failure(self) -> None:
        """The others are waited for; then what it has said is the reason."""
        self.reactor.started[0].errReceived(b"txcql: no ")
        self.reactor.started[0].errReceived(b"such table\n")
        self.end(0, 1)
        self.assertNoResult(self.running)
        self.end(1)
        self.assertEqual(str(self.failureResultOf(self.running, CommandFailed).value), "no such table")

    def test_killed(self) -> None:
        self.end(0, 9)
        self.end(1)
        self.assertIn("a worker process ended", str(self.failureResultOf(self.running, CommandFailed).value))
