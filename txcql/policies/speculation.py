"""When an idempotent request is tried at a second node though the first may still answer."""

from __future__ import annotations

import math
from typing import Any

from zope.interface import implementer

from txcql.interfaces import ISpeculativeExecutionPolicy

__all__ = ["ConstantSpeculativeExecutionPolicy", "NoSpeculativeExecutionPolicy"]


@implementer(ISpeculativeExecutionPolicy)
class ConstantSpeculativeExecutionPolicy:
    """After the same wait each time.

    :param delay: seconds from one execution to the next.
    :param executions: how many there are at most besides the first.
    :raises ValueError: a number out of its range.
    """

    def __init__(self, delay: float, executions: int = 1) -> None:
        if not 0 < delay < math.inf:
            raise ValueError(f"delay must be a positive number of seconds, got {delay!r}")
        if executions < 1:
            raise ValueError(f"executions must be positive, got {executions!r}")
        self.delay_seconds = delay
        self.executions = executions

    def delay(self, request: Any, executions: int) -> float | None:
        return self.delay_seconds if executions <= self.executions else None

    def __repr__(self) -> str:
        return (
            f"<ConstantSpeculativeExecutionPolicy delay={self.delay_seconds:g} executions={self.executions}>"
        )


@implementer(ISpeculativeExecutionPolicy)
class NoSpeculativeExecutionPolicy:
    """Never: for a profile of a session that has another policy."""

    def delay(self, request: Any, executions: int) -> float | None:
        return None

    def __repr__(self) -> str:
        return "<NoSpeculativeExecutionPolicy>"
