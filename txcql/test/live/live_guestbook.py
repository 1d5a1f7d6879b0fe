"""The sample application of the documentation: its suite, with the same assertions, on a real Cassandra."""

from __future__ import annotations

import os
import subprocess
import sys

from txcql.test.live.live_programs import examples
from txcql.testing.cassandrafixture import VARIABLE

SUITE = "test_guestbook" if os.environ.get("TXCQL_FULL") else "test_guestbook.ServiceTests"


def test_guestbook(cassandra, tmp_path):
    """All of its tests pass; without ``TXCQL_FULL`` those of the service alone, as each makes a keyspace."""
    trial = [sys.executable, "-m", "twisted.trial", "--temp-directory", str(tmp_path / "trial")]
    done = subprocess.run(
        [*trial, SUITE],
        cwd=examples(),
        env={**os.environ, VARIABLE: f"{cassandra.nodes[0].address}:9042"},
        capture_output=True,
        encoding="utf-8",
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    count = 10 if os.environ.get("TXCQL_FULL") else 3
    assert f"Ran {count} tests" in done.stdout
