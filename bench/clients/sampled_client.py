"""txcql under a sampling profiler: which function its process is in, some hundred times a second of CPU.

And how much of its CPU time the kernel takes, and how often it has no memory where it looks for it.

It runs what ``txcql_client.py`` runs. A sample in compiled code, in the interpreter or in the kernel counts
for the Python function that called it.
"""

from __future__ import annotations

import resource
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
usages: list[tuple[float, int]] = []
"""Seconds in the kernel, and page faults, when each phase began."""


class SampledLoad(load.Load):
    """Samples the measured phase."""

    def begin(self, phase: str, requests: int, touch: load.Touch) -> None:
        """Begin to sample, or end it."""
        seconds = INTERVAL if phase == "measured" else 0.0
        # The reactor wakes up at each signal of which it hears: it shall not hear of these.
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGPROF, sample)
        signal.setitimer(signal.ITIMER_PROF, seconds, seconds)
        usage = resource.getrusage(resource.RUSAGE_SELF)
        usages.append((usage.ru_stime, usage.ru_minflt))
        super().begin(phase, requests, touch)


def sample(number: int, frame: FrameType | None) -> None:
    """Note the function."""
    if frame is not None:
        samples[frame.f_code.co_filename, frame.f_code.co_name] += 1


def report(measured: dict[str, Any], **build: object) -> None:
    """Print the result, and the samples with it."""
    found = [[*where, count] for where, count in samples.most_common()]
    (kernel, faults), (kernel_then, faults_then) = usages[1:3]
    used = {"kernel": kernel_then - kernel, "faults": faults_then - faults}
    load.report({**measured, **used, "samples": found}, **build)


if __name__ == "__main__":
    txcql_client.Load, txcql_client.report = SampledLoad, report  # type: ignore[misc, assignment]
    react(txcql_client.main)
