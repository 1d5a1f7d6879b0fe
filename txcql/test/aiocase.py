"""What the tests of :mod:`txcql.aio` share: a session in memory, and a loop that runs a coroutine."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from txcql.aio.aiosession import AioSession
from txcql.test.scriptedsession import SessionTestCase

__all__ = ["AioTestCase", "run"]

T = TypeVar("T")


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on a loop of its own."""
    loop = asyncio.new_event_loop()
    try:
        return loop.run_until_complete(coroutine)
    finally:
        loop.close()


class AioTestCase(SessionTestCase):
    """The reactor is moved on by the test, the loop runs by itself."""

    def open(self, **settings: Any) -> AioSession:
        """A session for asyncio."""
        return AioSession(self.connect(**settings))

    async def settled(self, future: asyncio.Future[T]) -> T:
        """What a future comes to, once all that is on its way has arrived."""
        self.reactor.settle()
        assert future.done()
        return await future

    async def fails(self, future: asyncio.Future[Any], kind: type[Exception]) -> Any:
        """The error of a future."""
        self.reactor.settle()
        assert future.done()
        error = future.exception()
        assert isinstance(error, kind), error
        return error
