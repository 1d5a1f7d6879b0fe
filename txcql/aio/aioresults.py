"""What a request is answered with, for asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from txcql.aio.futures import as_future
from txcql.session.results import Result
from txcql.session.traces import TRACE_TIMEOUT, Trace

__all__ = ["AioResult"]


class AioResult(Result):
    """A :class:`txcql.Result` that gives futures where that gives Deferreds."""

    __slots__ = ()

    @classmethod
    def of(cls, result: Result) -> AioResult:
        """The same result."""
        made = cls.__new__(cls)
        for name in Result.__slots__:
            setattr(made, name, getattr(result, name))
        return made

    @classmethod
    def of_outcome(cls, outcome: Any) -> Any:
        """The same result; what is no result as it is."""
        return cls.of(outcome) if isinstance(outcome, Result) else outcome

    @staticmethod
    def told(on_result: Callable[[int, Any], object]) -> Callable[[int, Any], object]:
        """What is called with a result in place of a function that takes one of asyncio's."""
        return lambda number, outcome: on_result(number, AioResult.of_outcome(outcome))

    def trace(self, timeout: float = TRACE_TIMEOUT) -> asyncio.Future[Trace]:  # type: ignore[override]
        """The server's record of how it carried out the request, once it is complete."""
        return as_future(Result.trace(self, timeout))

    def next_page(self) -> asyncio.Future[AioResult]:  # type: ignore[override]
        """Ask for the next page."""
        return as_future(Result.next_page(self), AioResult.of)
