"""The fuzzer in earnest: no node is needed for it, but more time than the unit tests have.

A twentieth of 1,000,000 inputs to the codec and 50,000 whole sessions; all of them in a full run. It runs
in a process of its own, whose memory is measured, and whose log nobody keeps.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import txcql
from txcql.test.live.sizes import sized

WIRE_INPUTS = sized(1_000_000)
SESSIONS = sized(50_000)


def fuzz(target: str, count: int, folder: Path) -> int:
    """Run the fuzzer, which fails on any finding and on memory of twice the frame limit.

    :returns: How much got through.
    """
    path = os.pathsep.join((str(Path(txcql.__file__).parent.parent), os.environ.get("PYTHONPATH", "")))
    done = subprocess.run(
        [sys.executable, "-m", "txcql.test.fuzz", target, "--count", str(count)],
        env={**os.environ, "PYTHONPATH": path},
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    match = re.match(rf"{count} {target} inputs in \d+ s, (\d+) ", done.stdout)
    assert match is not None, done.stdout
    return int(match[1])


def test_wire(tmp_path):
    """Nothing but errors of the tree, none that takes a second, memory under twice the frame limit."""
    assert fuzz("wire", WIRE_INPUTS, tmp_path) > WIRE_INPUTS


def test_sessions(tmp_path):
    """Every request ends, every session recovers, nothing is left; half of them at least are opened."""
    assert fuzz("session", SESSIONS, tmp_path) > SESSIONS // 2
