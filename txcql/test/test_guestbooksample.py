"""The sample application of the documentation, with its whole suite, on the fake."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

import txcql
from txcql.testing.cassandrafixture import VARIABLE


class GuestbookTests(SynchronousTestCase):
    """``docs/examples/test_guestbook.py`` and its faults."""

    def test_suite(self) -> None:
        """All of its tests pass."""
        beside = Path(txcql.__file__).parent.parent / "docs" / "examples"
        environment = {name: value for name, value in os.environ.items() if name != VARIABLE}
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        trial = [sys.executable, "-m", "twisted.trial", "--temp-directory", f"{folder.name}/trial"]
        done = subprocess.run(
            [*trial, "test_guestbook", "test_guestbook_faults"],
            cwd=os.environ.get("TXCQL_EXAMPLES") or beside,
            env=environment,
            capture_output=True,
            encoding="utf-8",
            timeout=120,
            check=False,
        )
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("Ran 14 tests", done.stdout)
