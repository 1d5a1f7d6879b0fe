"""Tests for :mod:`txcql.cli.checkpoint`."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from txcql.cli.checkpoint import Checkpoint
from txcql.cli.command import CommandFailed


class CheckpointTests(SynchronousTestCase):
    """A file that survives."""

    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.path = Path(directory.name) / "work.checkpoint"
        self.clock = Clock()

    def checkpoint(self, **work: object) -> Checkpoint:
        return Checkpoint(self.path, work or {"file": "a.csv"}, self.clock)

    def test_goes_on(self) -> None:
        """What was saved is there for the next run."""
        checkpoint = self.checkpoint()
        self.assertEqual(checkpoint.state, {})
        checkpoint.save_now(rows=7)
        self.assertEqual(self.checkpoint().state, {"rows": 7})
        self.assertEqual(os.listdir(self.path.parent), ["work.checkpoint"])
        self.assertIn("{'rows': 7}", repr(checkpoint))

    def test_not_too_often(self) -> None:
        """Once a second is enough."""
        checkpoint = self.checkpoint()
        for rows in range(30):
            checkpoint.save(rows=rows)
            self.clock.advance(0.125)
        self.assertEqual(self.checkpoint().state, {"rows": 24})

    def test_done(self) -> None:
        checkpoint = self.checkpoint()
        checkpoint.save_now(rows=7)
        checkpoint.remove()
        checkpoint.remove()
        self.assertEqual(self.checkpoint().state, {})

    def test_of_other_work(self) -> None:
        self.checkpoint().save_now(rows=7)
        error = self.assertRaises(CommandFailed, self.checkpoint, file="b.csv")
        self.assertIn("an earlier run that was not finished, with another file", str(error))

    def test_no_checkpoint(self) -> None:
        for text in ("", "[]", "{}"):
            self.path.write_text(text, encoding="utf-8")
            error = self.assertRaises(CommandFailed, self.checkpoint)
            self.assertIn("is no checkpoint", str(error))
