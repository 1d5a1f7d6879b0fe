"""The waits between attempts, as a reconnection policy gives them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator

from twisted.logger import Logger

__all__ = ["LONGEST_DELAY", "Schedule"]

log = Logger(namespace="txcql.connection")

LONGEST_DELAY = 60.0
"""Seconds to wait where a policy has nothing to say, though it should."""


class Schedule(Iterator[float]):
    """One schedule of a policy's. It never ends: a policy that does, or fails, costs no node its attempts.

    :param delays: begins it: an endless iterable of seconds.
    """

    def __init__(self, delays: Callable[[], Iterable[float]]) -> None:
        self._begin = delays
        self._delays: Iterator[float] | None = None

    def __next__(self) -> float:
        try:
            if self._delays is None:
                self._delays = iter(self._begin())
            delay = float(next(self._delays, LONGEST_DELAY))
        except Exception:
            log.failure(
                "the reconnection policy failed; the next attempt is in {seconds} s", seconds=LONGEST_DELAY
            )
            return LONGEST_DELAY
        return delay if 0 <= delay < math.inf else LONGEST_DELAY
