"""A second node is tried when the first is slower than almost all answers of late."""

from __future__ import annotations

import math
from itertools import accumulate
from typing import Any

from zope.interface import implementer

from txcql.interfaces import IAttemptListener, ISpeculativeExecutionPolicy

__all__ = ["PercentileSpeculativeExecutionPolicy"]

_SHORTEST = 0.0001
_STEP = 1.1
_BUCKETS = 140
"""From 0.1 ms to a minute, each bucket a tenth longer than the one before."""
_LOOK_EACH = 50
"""Answers after which the percentile is computed again."""


@implementer(ISpeculativeExecutionPolicy, IAttemptListener)
class PercentileSpeculativeExecutionPolicy:
    """After a wait that so many percent of the answers of late did not reach.

    Until there are enough answers, no request is at two nodes at a time.

    :param percentile: percent, such as 99.
    :param executions: how many there are at most besides the first.
    :param minimum: answers before which no percentile is known.
    :param memory: answers of which half count for less when so many have come: what was long ago is
        forgotten by halves.
    :raises ValueError: a number out of its range.
    """

    def __init__(
        self, percentile: float = 99.0, executions: int = 1, *, minimum: int = 200, memory: int = 20_000
    ) -> None:
        if not 0 < percentile < 100:
            raise ValueError(f"percentile must be between 0 and 100, got {percentile!r}")
        if executions < 1:
            raise ValueError(f"executions must be positive, got {executions!r}")
        if not 1 <= minimum <= memory // 2:
            raise ValueError(f"1 <= minimum <= memory / 2, got minimum={minimum!r}, memory={memory!r}")
        self.percentile = percentile
        self.executions = executions
        self._minimum = minimum
        self._memory = memory
        self._counts = [0] * _BUCKETS
        self._total = 0
        self._since = 0
        self._delay: float | None = None

    @property
    def delay_seconds(self) -> float | None:
        """Seconds from one execution to the next; ``None`` while they are not known."""
        return self._delay

    def delay(self, request: Any, executions: int) -> float | None:
        return self._delay if executions <= self.executions else None

    def attempt_begun(self, node: str) -> None:
        pass

    def attempt_ended(self, node: str, seconds: float, error: BaseException | None) -> None:
        # What was given up because another execution was faster has taken at least as long.
        if error is not None and seconds < (self._delay or math.inf):
            return
        self._counts[_bucket(seconds)] += 1
        self._total += 1
        self._since += 1
        if self._total < self._minimum or self._since < _LOOK_EACH:
            return
        self._since = 0
        if self._total >= self._memory:
            self._counts = [count // 2 for count in self._counts]
            self._total = sum(self._counts)
        self._delay = self._found()

    def _found(self) -> float:
        wanted = self._total * self.percentile / 100
        place = next(place for place, reached in enumerate(accumulate(self._counts)) if reached >= wanted)
        # The end of the bucket: all that is in it took less.
        return _SHORTEST * _STEP**place

    def __repr__(self) -> str:
        delay = f"{self._delay:.4f}" if self._delay is not None else "unknown"
        return (
            f"<PercentileSpeculativeExecutionPolicy {self.percentile:g} % delay={delay} "
            f"executions={self.executions}>"
        )


def _bucket(seconds: float) -> int:
    if seconds <= _SHORTEST:
        return 0
    return min(_BUCKETS - 1, math.ceil(math.log(seconds / _SHORTEST, _STEP)))
