"""A limit on what is asked a second time, over all requests."""

from __future__ import annotations

import math
from typing import Any

from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from txcql.errors import CQLError
from txcql.interfaces import (
    IAttemptListener,
    IGuardedSpeculativeExecutionPolicy,
    IRetryPolicy,
    ISpeculativeExecutionPolicy,
)
from txcql.policies.retry import RAISE, DefaultRetryPolicy, RetryDecision

__all__ = ["RetryBudgetPolicy"]


@implementer(IRetryPolicy, IGuardedSpeculativeExecutionPolicy, IAttemptListener)
class RetryBudgetPolicy:
    """Retries and speculative executions as other policies say, as long as the budget lasts.

    Give the same object as ``retry`` and as ``speculative``: both spend one budget. Each request that is
    answered earns a share of a further attempt, and a further attempt costs one. When a cluster is in
    trouble, nothing is earned, and retries do not add to its load.

    :param clock: tells the time: the reactor.
    :param retry: the retry policy; ``None`` takes a :class:`~txcql.policies.retry.DefaultRetryPolicy`.
    :param speculative: the speculative execution policy; ``None``: no request is at two nodes at a time.
    :param share: further attempts for each request that is answered.
    :param per_second: further attempts that are earned each second, so that programs with few
        requests have some.
    :param burst: further attempts that are saved up at most; so many there are at first.
    :raises TypeError: an argument of the wrong type.
    :raises ValueError: a number out of its range.
    """

    def __init__(
        self,
        clock: IReactorTime,
        retry: Any = None,
        speculative: Any = None,
        *,
        share: float = 0.1,
        per_second: float = 1.0,
        burst: int = 10,
    ) -> None:
        if retry is None:
            retry = DefaultRetryPolicy()
        elif not IRetryPolicy.providedBy(retry):
            raise TypeError(f"retry must provide IRetryPolicy, got {retry!r}")
        if speculative is not None and not ISpeculativeExecutionPolicy.providedBy(speculative):
            raise TypeError(f"speculative must provide ISpeculativeExecutionPolicy, got {speculative!r}")
        for name, value in (("share", share), ("per_second", per_second)):
            if not 0 <= value < math.inf:
                raise ValueError(f"{name} must not be negative, got {value!r}")
        if burst < 1:
            raise ValueError(f"burst must be positive, got {burst!r}")
        self._seconds = clock.seconds
        self._retry = retry
        self._speculative = speculative
        self._share = share
        self._per_second = per_second
        self._burst = float(burst)
        self._tokens = float(burst)
        self._earned_at = clock.seconds()

    @property
    def children(self) -> tuple[Any, ...]:
        """The policies that it builds on."""
        return (self._retry, self._speculative)

    @property
    def left(self) -> float:
        """Further attempts that the budget allows now."""
        now = self._seconds()
        self._earn((now - self._earned_at) * self._per_second)
        self._earned_at = now
        return self._tokens

    def decide(self, request: Any, error: CQLError, attempt: int) -> RetryDecision:
        decision: RetryDecision = self._retry.decide(request, error, attempt)
        if decision[0] in ("same", "next") and not self._spend():
            return RAISE
        return decision

    def delay(self, request: Any, executions: int) -> float | None:
        if self._speculative is None:
            return None
        delay: float | None = self._speculative.delay(request, executions)
        return delay

    def begins(self, request: Any, executions: int) -> bool:
        policy = self._speculative
        if IGuardedSpeculativeExecutionPolicy.providedBy(policy) and not policy.begins(request, executions):
            return False
        return self._spend()

    def attempt_begun(self, node: str) -> None:
        pass

    def attempt_ended(self, node: str, seconds: float, error: BaseException | None) -> None:
        if error is None:
            self._earn(self._share)

    def _earn(self, tokens: float) -> None:
        self._tokens = min(self._burst, self._tokens + tokens)

    def _spend(self) -> bool:
        if self.left < 1.0:
            return False
        self._tokens -= 1.0
        return True

    def __repr__(self) -> str:
        return f"<RetryBudgetPolicy left={self.left:.1f} {self._retry!r} {self._speculative!r}>"
