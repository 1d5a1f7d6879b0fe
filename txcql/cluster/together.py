"""Waiting for several things at the same time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar, cast

from twisted.internet.defer import Deferred, FirstError, gatherResults

__all__ = ["together"]

T = TypeVar("T")


async def together(waiting: Sequence[Deferred[T]]) -> list[T]:
    """The results of all, in order.

    If one fails, or the caller is cancelled, the others are cancelled, and it fails as that one did.
    """
    try:
        return list(await gatherResults(waiting, consumeErrors=True))
    except FirstError as error:
        for other in waiting:
            other.cancel()
        raise cast(BaseException, error.subFailure.value) from None
