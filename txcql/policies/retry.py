"""What becomes of a request that a node has failed."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

from zope.interface import implementer

from txcql.errors import (
    ConnectionLost,
    CQLError,
    InternalServerError,
    Overloaded,
    ReadTimeout,
    RequestTimeout,
    TruncateError,
    Unavailable,
    WriteTimeout,
)
from txcql.interfaces import IRetryPolicy

__all__ = [
    "IGNORE",
    "NEXT_NODE",
    "RAISE",
    "SAME_NODE",
    "DefaultRetryPolicy",
    "DowngradingRetryPolicy",
    "FallthroughRetryPolicy",
    "RetryDecision",
]


class RetryDecision(NamedTuple):
    """What to do with a request that has failed.

    :ivar action: ``"same"``: the same node again; ``"next"``: the next node of the plan; ``"raise"``: the
        request fails with the error; ``"ignore"``: it succeeds, with a result that is empty.
    :ivar consistency: for the next attempt, in place of the one before; ``None`` keeps it.
    """

    action: Literal["same", "next", "raise", "ignore"]
    consistency: str | None = None


SAME_NODE = RetryDecision("same")
NEXT_NODE = RetryDecision("next")
RAISE = RetryDecision("raise")
IGNORE = RetryDecision("ignore")


@implementer(IRetryPolicy)
class DefaultRetryPolicy:
    """Repeats what does no harm and is likely to help, at the consistency that was asked for.

    The next node is tried when this one was overloaded, and once when it knew of too few replicas. If
    the request is idempotent, also when the link was lost, the read timeout passed, or the node
    failed inside. The same node is tried once when a read had enough answers but none with the
    data, or a logged batch was not logged in time. All else is raised.
    """

    def decide(self, request: Any, error: CQLError, attempt: int) -> RetryDecision:
        if isinstance(error, Overloaded):
            return NEXT_NODE
        if isinstance(error, Unavailable):
            return NEXT_NODE if attempt == 1 else RAISE
        if not request.idempotent:
            return RAISE
        if isinstance(error, ConnectionLost | RequestTimeout | InternalServerError | TruncateError):
            return NEXT_NODE
        if isinstance(error, ReadTimeout):
            helps = error.received >= error.required and not error.data_present
            return SAME_NODE if attempt == 1 and helps else RAISE
        if isinstance(error, WriteTimeout):
            return SAME_NODE if attempt == 1 and error.write_type == "BATCH_LOG" else RAISE
        return RAISE

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"


@implementer(IRetryPolicy)
class FallthroughRetryPolicy:
    """Repeats nothing that a node may have seen: every error is raised."""

    def decide(self, request: Any, error: CQLError, attempt: int) -> RetryDecision:
        return RAISE

    def __repr__(self) -> str:
        return "<FallthroughRetryPolicy>"


class DowngradingRetryPolicy(DefaultRetryPolicy):
    """As the default, but content with fewer replicas where too few are there.

    A read or write is repeated once at the highest of THREE, TWO and ONE that the replicas which
    are alive, or have answered, can meet. A write that one replica has acknowledged counts as
    written. What was asked for is then not what was done: use it only where that is better than an
    error. Conditional statements keep their serial consistency.
    """

    def decide(self, request: Any, error: CQLError, attempt: int) -> RetryDecision:
        if attempt > 1:
            return DefaultRetryPolicy.decide(self, request, error, attempt)
        if isinstance(error, Unavailable):
            if error.consistency in _SERIAL:
                return NEXT_NODE
            return _content_with(error.alive, error.consistency)
        if isinstance(error, ReadTimeout) and request.idempotent and error.consistency not in _SERIAL:
            if error.received < error.required:
                return _content_with(error.received, error.consistency)
        elif isinstance(error, WriteTimeout):
            if error.write_type in ("SIMPLE", "BATCH"):
                return IGNORE if error.received > 0 else RAISE
            if error.write_type == "UNLOGGED_BATCH" and request.idempotent:
                return _content_with(error.received, error.consistency)
        return DefaultRetryPolicy.decide(self, request, error, attempt)


_SERIAL = ("SERIAL", "LOCAL_SERIAL")


def _content_with(replicas: int, consistency: str) -> RetryDecision:
    """Again at the same node, with as many replicas as there are."""
    if replicas >= 3:
        return RetryDecision("same", "THREE")
    if replicas == 2:
        return RetryDecision("same", "TWO")
    # EACH_QUORUM tells of the one data center that is short of replicas: others have some.
    if replicas == 1 or consistency == "EACH_QUORUM":
        return RetryDecision("same", "ONE")
    return RAISE
