"""From Deferreds to futures, and back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Callable
from typing import Any, Generic, TypeVar

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

__all__ = ["AwaitedRows", "as_future"]

T = TypeVar("T")
R = TypeVar("R")


def as_future(deferred: Deferred[T], turned: Callable[[T], R] | None = None) -> asyncio.Future[Any]:
    """A future of the running loop that has the result of a Deferred.

    Cancelling the future, or the task that awaits it, cancels the Deferred.

    :param deferred: it must not be given further callbacks.
    :param turned: what becomes of its result.
    :raises RuntimeError: no asyncio loop is running.
    """
    future = asyncio.get_running_loop().create_future()

    def done(result: T) -> None:
        if not future.done():
            future.set_result(result if turned is None else turned(result))

    def failed(failure: Failure) -> None:
        if future.done():
            return
        error: Any = failure.value
        if isinstance(error, StopIteration):
            # No future takes it: in a coroutine it means something else.
            error = RuntimeError(f"raised {error!r}")
            error.__cause__ = failure.value
        future.set_exception(error)

    def cancelled(done: asyncio.Future[Any]) -> None:
        if done.cancelled():
            deferred.cancel()

    deferred.addCallbacks(done, failed)
    future.add_done_callback(cancelled)
    return future


class AwaitedRows(Generic[T]):
    """An async iterable of asyncio's, for who awaits Deferreds.

    :param rows: may await futures in its ``__anext__``.
    """

    def __init__(self, rows: AsyncIterable[T]) -> None:
        self._rows: AsyncIterator[T] = rows.__aiter__()
        self._loop = asyncio.get_running_loop()

    def __aiter__(self) -> AwaitedRows[T]:
        return self

    async def __anext__(self) -> T:
        found = await Deferred.fromFuture(self._loop.create_task(self._next()))
        if found is None:
            raise StopAsyncIteration
        return found[0]

    async def _next(self) -> tuple[T] | None:
        try:
            return (await self._rows.__anext__(),)
        except StopAsyncIteration:
            return None
