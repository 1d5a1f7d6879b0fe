"""Tests for :mod:`txcql.aio.aiosink`."""

from __future__ import annotations

import asyncio

from txcql.errors import InvalidRequest
from txcql.test.aiocase import AioTestCase, run
from txcql.test.scriptedsession import INSERT, held


class AioSinkTests(AioTestCase):
    """Write, and wait for room."""

    def test_drain(self) -> None:
        """It waits while as many as asked for are in flight."""
        session = self.open()

        async def main() -> None:
            insert = await self.settled(session.prepare(INSERT))
            self.one.holds = held
            sink = session.sink(concurrency=2)
            for key in range(2):
                sink.write(insert(key, "x"))
            full = asyncio.ensure_future(sink.drain())
            self.reactor.settle()
            await asyncio.sleep(0)
            self.assertFalse(full.done())
            self.one.release()
            self.reactor.settle()
            await full
            await sink.drain()
            counts = await self.settled(sink.finish())
            self.assertEqual((counts.written, counts.failed), (2, 0))
            self.assertEqual(sink.counts, counts)

        run(main())

    def test_context(self) -> None:
        """At the end of the block all is answered."""
        session = self.open()

        async def main() -> None:
            insert = await self.settled(session.prepare(INSERT))

            async def fill() -> int:
                async with session.sink() as sink:
                    for key in range(3):
                        sink.write(insert, [key, "x"])
                        await sink.drain()
                return sink.counts.written

            task = asyncio.ensure_future(fill())
            while not task.done():
                await asyncio.sleep(0)
                self.reactor.settle()
            self.assertEqual(task.result(), 3)

        run(main())

    def test_error(self) -> None:
        """The first one ends the sink; who waits for room is told."""
        session = self.open()

        async def main() -> None:
            insert = await self.settled(session.prepare(INSERT))
            self.one.teach(INSERT, lambda asked: asked.error(InvalidRequest("no")))
            self.one.holds = held
            sink = session.sink(concurrency=1)
            sink.write(insert(1, "x"))
            waiting = asyncio.ensure_future(sink.drain())
            await asyncio.sleep(0)
            self.reactor.settle()
            self.one.release()
            self.reactor.settle()
            with self.assertRaises(InvalidRequest):
                await waiting
            with self.assertRaises(InvalidRequest):
                await sink.drain()
            with self.assertRaises(InvalidRequest):
                await sink.finish()

        run(main())

    def test_leaving_by_an_exception(self) -> None:
        """The sink ends, and the exception goes on."""
        session = self.open()

        async def main() -> None:
            with self.assertRaises(LookupError):
                async with session.sink() as sink:
                    raise LookupError
            await asyncio.sleep(0)
            self.assertTrue(sink.finished.cancelled())
            self.assertEqual(session.session.bulk_users, set())

        run(main())
