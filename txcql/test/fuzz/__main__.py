"""``python -m txcql.test.fuzz wire|session [--count N | --hours H] [--seed S]``: by hand.

It goes on after a finding, tells each with its seed, and ends with status 1 if there was one.
``--seed S --count 1`` runs one input again, with its traceback.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
import traceback
from collections.abc import Callable

from txcql.test.fuzz.sessionfuzz import fuzz_sessions
from txcql.test.fuzz.wirefuzz import FRAME_LIMIT, Finding, fuzz_wire

_THROUGH = {"wire": "frames read", "session": "opened"}
_BATCH = {"wire": 1000, "session": 20}
_TARGETS: dict[str, Callable[[int, int], int]] = {"wire": fuzz_wire, "session": fuzz_sessions}


def main(arguments: list[str]) -> int:
    """Fuzz, and tell what was found; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m txcql.test.fuzz", description=__doc__)
    parser.add_argument("target", choices=sorted(_TARGETS))
    parser.add_argument("--count", type=int, default=None, help="inputs, or sessions")
    parser.add_argument("--hours", type=float, default=None, help="go on for so long, instead of a count")
    parser.add_argument("--seed", type=int, default=0, help="of the first input")
    chosen = parser.parse_args(arguments)
    batch = _BATCH[chosen.target]
    count = chosen.count if chosen.count is not None else 1000 * batch
    begun = time.monotonic()
    end = begun + chosen.hours * 3600 if chosen.hours is not None else None
    # What is imported and kept once is no growth.
    _run(chosen.target, batch, chosen.seed)
    before = _peak()
    done = found = through = 0
    while (done < count) if end is None else (time.monotonic() < end):
        size = min(batch, count - done) if end is None else batch
        findings, reached = _run(chosen.target, size, chosen.seed + done)
        found += findings
        through += reached
        done += size
    grown = _peak() - before
    took = time.monotonic() - begun
    what = _THROUGH[chosen.target]
    print(f"{done} {chosen.target} inputs in {took:.0f} s, {through} {what}")
    print(f"{found} findings, peak memory +{grown >> 20} MiB")
    return int(found > 0 or grown > 2 * FRAME_LIMIT)


def _run(target: str, count: int, seed: int) -> tuple[int, int]:
    """Run a batch, one by one where it finds something; the findings, and what got through."""
    try:
        return 0, _TARGETS[target](count, seed)
    except Finding:
        return sum(_alone(target, number) for number in range(seed, seed + count)), 0


def _alone(target: str, seed: int) -> int:
    try:
        _TARGETS[target](1, seed)
    except Finding as finding:
        traceback.print_exception(finding)
        return 1
    return 0


def _peak() -> int:
    """The most memory that the process has had, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
