"""The demo, in a process of its own: it starts the global reactor."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

import txcql
from txcql.cli.demo import DemoFailed, _check, reading


def demo(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "txcql", "demo", *arguments],
        env={**os.environ, "PYTHONPATH": str(Path(txcql.__file__).parent.parent)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )


class DemoTests(SynchronousTestCase):
    """``python -m txcql demo``."""

    def test_embedded_node(self) -> None:
        """Rows out and back; what happened is said."""
        done = demo("--rows", "2000", "--concurrency", "300")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        for words in (
            "started an embedded node on 127.0.0.1:",
            "writing: 1,000 of 2,000 rows",
            "protocol version 5",
            "requests   2,003 in ",
            "rows       2,000 written in ",
            "on 3 pages: every one as it was written",
            "in flight  300 at most",
            "latency    p50 ",
        ):
            self.assertIn(words, done.stdout)

    def test_login(self) -> None:
        """The embedded node asks for the login that it is given."""
        done = demo("--rows", "10", "--username", "a", "--password", "b")
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_nobody_there(self) -> None:
        """One line says what is wrong."""
        done = demo("--contact-point", "127.0.0.1:1")
        self.assertEqual(done.returncode, 1)
        self.assertEqual(done.stdout, "")
        self.assertRegex(done.stderr, r"\Atxcql: .*127\.0\.0\.1:1 .*refused.*\n\Z")

    def test_keyspace_exists(self) -> None:
        """The demo drops its keyspace at the end: it takes none that was there before."""
        done = demo("--keyspace", "system")
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr, r"\Atxcql: the keyspace system exists already.*--keyspace\n\Z")


class CheckTests(SynchronousTestCase):
    """The comparison of what was written and what came back."""

    def test_right(self) -> None:
        """Each row once."""
        seen = bytearray(3)
        for number in (2, 0, 1):
            _check(reading(number), seen)
        self.assertEqual(seen, b"\1\1\1")
        self.assertRaises(DemoFailed, _check, reading(1), seen)

    def test_wrong(self) -> None:
        """A value that differs, a row that was never written."""
        self.assertRaises(DemoFailed, _check, reading(1)._replace(value=-1.0), bytearray(3))
        self.assertRaises(DemoFailed, _check, reading(3), bytearray(3))
        self.assertRaises(DemoFailed, _check, reading(0)._replace(id=-1), bytearray(3))
