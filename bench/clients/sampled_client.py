"""txcql under a sampling profiler: which function its process is in, some hundred times a second of CPU.

It runs what ``txcql_client.py`` runs. A sample in compiled code, in the interpreter or in the kernel counts
for the Python function that called it.
"""

from __future__ import annotations

import signal
from collections import Counter
from types import FrameType
from typing import Any

import load
import txcql_client
from twisted.internet.task import react

INTERVAL = 0.001
"""Seconds of CPU between two samples; the kernel may make it more."""

samples: Counter[tuple[str, str]] = Counter()


class SampledLoad(load.Load):
    """Samples the measured phase."""

    def begin(self, phase: str, requests: int, touch: load.Touch) -> None:
        """Begin to sample, or end it."""
        seconds = INTERVAL if phase == "measured" else 0.0
        # The reactor wakes up at each signal of which it hears: it shall not hear of these.
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGPROF, sample)
        signal.setitimer(signal.ITIMER_PROF, seconds, seconds)
        super().begin(phase, requests, touch)


def sample(number: int, frame: FrameType | None) -> None:
    """Note the function."""
    if frame is not None:
        samples[frame.f_code.co_filename, frame.f_code.co_name] += 1


def report(measured: dict[str, Any], **build: object) -> None:
    """Print the result, and the samples with it."""
    found = [[*where, count] for where, count in samples.most_common()]
    load.report({**measured, "samples": found}, **build)


if __name__ == "__main__":
    txcql_client.Load, txcql_client.report = SampledLoad, report  # type: ignore[misc, assignment]
    react(txcql_client.main)
