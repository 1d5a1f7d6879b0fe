"""When to try again to reach a node."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator

from zope.interface import implementer

from txcql.interfaces import IReconnectionPolicy

__all__ = ["ConstantReconnectionPolicy", "ExponentialReconnectionPolicy"]


@implementer(IReconnectionPolicy)
class ExponentialReconnectionPolicy:
    """At once, then after ``base``, twice that, and so on up to ``maximum``; it never gives up.

    With the defaults: 0, 1, 2, 4 … 60, 60 … seconds.

    :param base: the first wait that is not zero, in seconds.
    :param maximum: the longest wait, in seconds; jitter never passes it.
    :param jitter: the largest random share by which a wait is changed, 0 to 1.
    :raises ValueError: a number out of its range.
    """

    def __init__(self, base: float = 1.0, maximum: float = 60.0, jitter: float = 0.0) -> None:
        if not 0 < base <= maximum < math.inf:
            raise ValueError(f"0 < base <= maximum, got base={base!r}, maximum={maximum!r}")
        if not 0 <= jitter <= 1:
            raise ValueError(f"jitter must be in 0..1, got {jitter!r}")
        self.base = base
        self.maximum = maximum
        self.jitter = jitter

    def delays(self) -> Iterator[float]:
        yield 0.0
        delay = self.base
        while True:
            yield min(self.maximum, delay * random.uniform(1 - self.jitter, 1 + self.jitter))
            delay = min(self.maximum, delay * 2)

    def __repr__(self) -> str:
        return f"<ExponentialReconnectionPolicy base={self.base} maximum={self.maximum} jitter={self.jitter}>"


@implementer(IReconnectionPolicy)
class ConstantReconnectionPolicy:
    """After the same wait each time.

    :param delay: that wait, in seconds.
    :raises ValueError: it is not positive.
    """

    def __init__(self, delay: float) -> None:
        if not 0 < delay < math.inf:
            raise ValueError(f"delay must be positive and not for ever, got {delay!r}")
        self.delay = delay

    def delays(self) -> Iterator[float]:
        while True:
            yield self.delay

    def __repr__(self) -> str:
        return f"<ConstantReconnectionPolicy delay={self.delay}>"
