"""Tests for :mod:`txcql.aio.futures`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.trial.unittest import SynchronousTestCase

from txcql.aio.futures import AwaitedRows, as_future
from txcql.test.aiocase import run


class AsFutureTests(SynchronousTestCase):
    """What becomes of a Deferred."""

    def test_result(self) -> None:
        """It is there at once, or when the Deferred fires; turned, if that is asked for."""

        async def main() -> None:
            later: Deferred[int] = Deferred()
            future = as_future(later, str)
            self.assertFalse(future.done())
            later.callback(2)
            self.assertEqual(await future, "2")
            self.assertEqual(as_future(succeed(1)).result(), 1)

        run(main())

    def test_error(self) -> None:
        """The same exception."""

        async def main() -> None:
            error = LookupError("x")
            self.assertIs(as_future(fail(error)).exception(), error)

        run(main())

    def test_stop_iteration(self) -> None:
        """What no future takes arrives as the cause of another error."""

        async def main() -> None:
            error = as_future(fail(StopIteration(1))).exception()
            self.assertIsInstance(error, RuntimeError)
            assert error is not None
            self.assertIsInstance(error.__cause__, StopIteration)

        run(main())

    def test_cancelling_the_future(self) -> None:
        """It cancels the Deferred, whose error is nobody's."""

        async def main() -> None:
            cancelled: list[object] = []
            later: Deferred[int] = Deferred(cancelled.append)
            future = as_future(later)
            future.cancel()
            await asyncio.sleep(0)
            self.assertEqual(cancelled, [later])

        run(main())
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_cancelling_a_task(self) -> None:
        """It cancels what the task awaits."""

        async def main() -> None:
            cancelled: list[object] = []
            later: Deferred[int] = Deferred(cancelled.append)

            async def wait() -> None:
                await as_future(later)

            task = asyncio.ensure_future(wait())
            await asyncio.sleep(0)
            task.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await task
            self.assertEqual(cancelled, [later])

        run(main())

    def test_firing_in_the_turn_of_the_cancel(self) -> None:
        """A result or an error that comes before the Deferred hears of it is dropped."""

        async def main() -> None:
            for error in (None, ValueError()):
                later: Deferred[int] = Deferred()
                future = as_future(later)
                future.cancel()
                if error is None:
                    later.callback(1)
                else:
                    later.errback(error)
                await asyncio.sleep(0)
                self.assertTrue(future.cancelled())

        run(main())
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_a_deferred_that_is_cancelled(self) -> None:
        """Its error is Twisted's, since the task was not cancelled."""

        async def main() -> None:
            later: Deferred[int] = Deferred()
            future = as_future(later)
            later.cancel()
            self.assertIsInstance(future.exception(), CancelledError)

        run(main())

    def test_without_a_loop(self) -> None:
        """It is refused at once."""
        with self.assertRaises(RuntimeError):
            as_future(Deferred())


class AwaitedRowsTests(SynchronousTestCase):
    """An async iterable of asyncio's."""

    def test_rows(self) -> None:
        """What it awaits are futures, what awaits it are Deferreds."""

        async def rows() -> AsyncIterator[int]:
            for row in range(3):
                await asyncio.sleep(0)
                yield row

        async def main() -> None:
            awaited = AwaitedRows(rows())

            async def gather() -> list[int]:
                return [row async for row in awaited]

            self.assertEqual(await as_future(Deferred.fromCoroutine(gather())), [0, 1, 2])

        run(main())

    def test_error(self) -> None:
        """What it raises arrives."""

        async def rows() -> AsyncIterator[int]:
            await asyncio.sleep(0)
            raise LookupError("x")
            yield 1

        async def main() -> None:
            following = Deferred.fromCoroutine(AwaitedRows(rows()).__anext__())
            with self.assertRaises(LookupError):
                await as_future(following)

        run(main())

    def test_cancel(self) -> None:
        """It reaches what the iterable awaits."""
        ended = []

        async def rows() -> AsyncIterator[int]:
            try:
                await asyncio.get_running_loop().create_future()
            finally:
                ended.append(True)
            yield 1

        async def main() -> None:
            following = Deferred.fromCoroutine(AwaitedRows(rows()).__anext__())
            following.addErrback(lambda failure: None)
            await asyncio.sleep(0)
            following.cancel()
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            self.assertEqual(ended, [True])

        run(main())
