"""The reactor is an argument: no module of the package imports the global one, nor does what it calls."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

import txcql


class ReactorImportTests(SynchronousTestCase):
    """In a process of its own, since both test runners import the reactor."""

    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = Path(directory.name)

    def run_reactorless(self, *planted: str) -> subprocess.CompletedProcess[str]:
        path = [str(Path(txcql.__file__).parent.parent), str(self.directory)]
        # Twisted holds /dev/null open for as long as the process that has listened on a port lives.
        warnings = ["-W", "error", "-W", "ignore:unclosed file:ResourceWarning"]
        # Twisted 22.10 imports it.
        warnings += ["-W", "ignore:'cgi' is deprecated:DeprecationWarning"]
        return subprocess.run(
            [sys.executable, *warnings, "-m", "txcql.test.reactorless", *planted],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path)},
            cwd=self.directory,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
        )

    def test_nobody_imports_it(self) -> None:
        """Every module is imported and two programs run, and the global reactor is never asked for."""
        done = self.run_reactorless()
        self.assertEqual((done.returncode, done.stderr), (0, ""), done.stderr)
        match = re.fullmatch(r"(\d+) modules imported, the programs ran, and no reactor\n", done.stdout)
        assert match is not None, done.stdout
        self.assertGreater(int(match[1]), 5)

    def assert_bites(self, source: str) -> None:
        (self.directory / "planted.py").write_text(source, encoding="utf-8")
        done = self.run_reactorless("planted")
        self.assertNotEqual(done.returncode, 0, done.stdout)
        self.assertIn("ReactorImported: twisted.internet.reactor", done.stderr)

    def test_from_import(self) -> None:
        """The usual form is caught."""
        self.assert_bites("from twisted.internet import reactor\n")

    def test_import(self) -> None:
        """The other form is caught."""
        self.assert_bites("import twisted.internet.reactor\n")

    def test_late_import(self) -> None:
        """What Twisted does behind one's back is caught: here a ``LoopingCall`` without a clock."""
        self.assert_bites("from twisted.internet.task import LoopingCall\nLoopingCall(print).start(1)\n")

    def test_hidden_import(self) -> None:
        """An import whose failure is swallowed is caught at the end."""
        self.assert_bites("try:\n    from twisted.internet import reactor\nexcept BaseException:\n    pass\n")

    def test_harmless(self) -> None:
        """A module that leaves the reactor alone is not objected to."""
        (self.directory / "planted.py").write_text("from twisted.internet import defer\n", encoding="utf-8")
        done = self.run_reactorless("planted")
        self.assertEqual(done.stdout, "1 modules imported, the programs ran, and no reactor\n", done.stderr)
