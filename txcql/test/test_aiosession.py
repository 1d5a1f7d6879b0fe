"""Tests for :mod:`txcql.aio.aiosession`."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator
from typing import Any

from txcql import Result, RowStream, Session, aio
from txcql.aio.aiosession import AioSession, wrap
from txcql.errors import EncodeError, RequestTimeout, SessionClosed
from txcql.session.sink import StatementSink
from txcql.test.aiocase import AioTestCase, run
from txcql.test.scriptedsession import INSERT, LIST, SELECT, held


def public(kind: type) -> dict[str, Any]:
    """The public names of a class."""
    return {name: value for name, value in inspect.getmembers(kind) if not name.startswith("_")}


def returns(value: Any) -> str:
    """How a method is annotated; ``""`` if it is none."""
    return str(getattr(value, "__annotations__", {}).get("return", ""))


class AllOfItTests(AioTestCase):
    """Nothing that gives a Deferred is left out."""

    def test_every_deferred_has_its_future(self) -> None:
        """A method that gives a Deferred, and one that gives an object which does, is there again."""
        pairs = [
            (Session, AioSession),
            (Result, aio.AioResult),
            (RowStream, aio.AioRowStream),
            (StatementSink, aio.AioStatementSink),
        ]
        found = set()
        for kind, other in pairs:
            for name, value in public(kind).items():
                if not returns(value).startswith("Deferred") or name in INTERNAL:
                    continue
                found.add(name)
                theirs = public(other).get(name)
                self.assertIn("Future", returns(theirs), f"{other.__name__}.{name}")
        self.assertLess({"execute", "prepare", "close", "when_ready", "next_page", "deliver_to"}, found)

    def test_the_same_arguments(self) -> None:
        """They are called as the others are."""
        for name, value in public(AioSession).items():
            theirs = public(Session).get(name)
            if inspect.isfunction(value) and theirs is not None:
                ours = list(inspect.signature(value).parameters)
                self.assertEqual(ours, list(inspect.signature(theirs).parameters), name)


INTERNAL = {"when_row", "reprepare", "apply", "execute_encoded", "execute_resolved", "prepare_text", "ready"}
"""What the driver's own objects call."""


class RequestTests(AioTestCase):
    """Requests."""

    def test_execute(self) -> None:
        """A result, which is a result of the usual kind too."""
        session = self.open()

        async def main() -> None:
            result = await self.settled(session.execute(LIST))
            self.assertIsInstance(result, Result)
            self.assertEqual(result.all(), [(1, "one"), (2, None)])
            self.assertEqual(result.coordinator, "10.0.0.1:9042")
            self.assertEqual((await self.settled(session.execute(SELECT, [1]))).one(), ("one",))

        run(main())

    def test_prepare(self) -> None:
        """A prepared statement, to be called with its values."""
        session = self.open()

        async def main() -> None:
            insert = await self.settled(session.prepare(INSERT))
            await self.settled(session.execute(insert(1, "x")))
            await self.fails(session.execute(insert("x", 1)), EncodeError)

        run(main())
        self.assertEqual(self.one.requests[-1].request.values, [b"\0\0\0\1", b"x"])

    def test_pages(self) -> None:
        """The next page is a future too, of the same kind."""
        session = self.open()
        self.teach_pages(2)

        async def main() -> None:
            first = await self.settled(session.execute(LIST, page_size=1))
            second = await self.settled(first.next_page())
            self.assertIsInstance(second, aio.AioResult)
            self.assertEqual((first.all(), second.all()), ([(0, "v")], [(1, "v")]))
            await self.fails(second.next_page(), LookupError)

        run(main())

    def teach_pages(self, pages: int) -> None:
        def reply(asked: Any) -> None:
            number = int(asked.options.paging_state or b"0")
            state = str(number + 1).encode() if number + 1 < pages else None
            statement.rows = [[number, "v"]]
            asked.statement_rows(statement, state)

        statement = self.one.statements[LIST]
        statement.reply = reply

    def test_cancelling_the_task(self) -> None:
        """The request is given up, and its stream is an orphan."""
        session = self.open()
        self.one.holds = held

        async def main() -> None:
            async def ask() -> None:
                await session.execute(LIST)

            task = asyncio.ensure_future(ask())
            await asyncio.sleep(0)
            self.reactor.settle()
            self.assertEqual(session.snapshot()["requests"], 1)
            task.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await task
            self.assertEqual(session.snapshot()["requests"], 0)
            [link] = session.snapshot()["nodes"]["10.0.0.1:9042"]["connections"]
            self.assertEqual((link["sent"], link["orphans"]), (1, 1))

        run(main())

    def test_timeout(self) -> None:
        """The driver's own error, not asyncio's."""
        session = self.open(read_timeout=60.0)
        self.one.holds = held

        async def main() -> None:
            future = session.execute(LIST, timeout=1.0)
            self.reactor.settle()
            self.reactor.advance(1.1)
            await self.fails(future, RequestTimeout)

        run(main())

    def test_stream(self) -> None:
        """Rows over all pages, by ``async for``."""
        session = self.open()
        self.teach_pages(3)
        self.one.holds = held

        async def main() -> None:
            found = []

            async def read() -> None:
                async with session.stream(LIST) as stream:
                    async for row in stream:
                        found.append(row.k)

            task = asyncio.ensure_future(read())
            while not task.done():
                await asyncio.sleep(0)
                self.reactor.settle()
                self.one.release()
                self.reactor.settle()
            await task
            self.assertEqual(found, [0, 1, 2])

        run(main())

    def test_cancelling_a_reader(self) -> None:
        """The page that is on its way is given up."""
        session = self.open()
        self.one.holds = held

        async def main() -> None:
            async def read() -> None:
                async with session.stream(LIST) as stream:
                    async for _ in stream:
                        pass

            task = asyncio.ensure_future(read())
            await asyncio.sleep(0)
            self.reactor.settle()
            task.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await task
            self.assertEqual(session.snapshot()["requests"], 0)

        run(main())

    def test_deliver_to(self) -> None:
        """The count is a future."""
        session = self.open()

        class Consumer:
            rows: list[Any]

            def registerProducer(self, producer: Any, streaming: bool) -> None:
                self.rows = []

            def unregisterProducer(self) -> None:
                pass

            def write(self, row: Any) -> None:
                self.rows.append(row)

        async def main() -> None:
            consumer = Consumer()
            self.assertEqual(await self.settled(session.stream(LIST).deliver_to(consumer)), 2)
            self.assertEqual(len(consumer.rows), 2)

        run(main())

    def test_execute_many(self) -> None:
        """Rows may come from an async generator of asyncio's; results are of asyncio's kind."""
        session = self.open()

        async def rows() -> AsyncIterator[Any]:
            for key in range(3):
                await asyncio.sleep(0)
                yield [key]

        async def main() -> None:
            done = session.execute_many(SELECT, rows())
            while not done.done():
                self.reactor.settle()
                await asyncio.sleep(0)
            results = await done
            self.assertEqual([type(one) for one in results], [aio.AioResult] * 3)
            told: list[Any] = []
            done = session.execute_many(
                SELECT, [[1], [2]], on_result=lambda number, one: told.append((number, type(one)))
            )
            self.assertEqual(await self.settled(done), 2)
            self.assertEqual(told, [(0, aio.AioResult), (1, aio.AioResult)])

        run(main())

    def test_what_it_shows(self) -> None:
        """Properties are those of the session."""
        session = self.open(keyspace="ks")
        inner = session.session
        for name in ("settings", "version", "keyspace", "closed", "nodes"):
            self.assertEqual(getattr(session, name), getattr(inner, name))
        self.assertEqual(session.memory_budget(), inner.memory_budget())
        self.assertEqual(repr(session), repr(inner))

    def test_close(self) -> None:
        """As a context manager it closes; after that it says so."""
        session = self.open()

        async def main() -> None:
            async def use() -> None:
                async with session:
                    self.assertIs(await self.settled(session.when_ready()), None)

            task = asyncio.ensure_future(use())
            while not task.done():
                await asyncio.sleep(0)
                self.reactor.settle()
            await self.fails(session.execute(LIST), SessionClosed)
            self.assertTrue(session.closed)

        run(main())


class WrapTests(AioTestCase):
    """A session that is there already."""

    def test_wrap(self) -> None:
        """It is used both ways."""
        session = self.connect()
        wrapped = wrap(session)

        async def main() -> None:
            result = await self.settled(wrapped.execute(LIST))
            self.assertEqual(len(result), 2)

        run(main())
        self.assertEqual(len(self.answer(session.execute(LIST))), 2)

    def test_no_session(self) -> None:
        """It is refused at once."""
        with self.assertRaisesRegex(TypeError, r"wrap\(\) takes a txcql.Session, got 5"):
            wrap(5)  # type: ignore[arg-type]
