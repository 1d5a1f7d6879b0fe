"""What this process has of the machine's memory."""

from __future__ import annotations

import gc
import resource
from pathlib import Path

__all__ = ["resident_mib"]


def resident_mib() -> float:
    """Measure it, with nothing in it that is only waiting for the collector.

    :returns: MiB.
    """
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize() / 2**20
