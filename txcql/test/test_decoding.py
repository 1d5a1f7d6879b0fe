"""Tests for :mod:`txcql.session.decoding`."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from threading import Thread, get_ident
from typing import Any

from twisted.internet.defer import CancelledError
from twisted.python.threadpool import ThreadPool

import txcql
from txcql.errors import DecodeError
from txcql.policies.speculation import ConstantSpeculativeExecutionPolicy
from txcql.session.decoding import LARGE_PAGE, ROWS_A_SLICE
from txcql.test.scriptednode import columns
from txcql.test.scriptedsession import LIST, SELECT, SessionTestCase, held
from txcql.wire import constants, responsewriter

ROWS = 2 * ROWS_A_SLICE + 1
LONG = "x" * (LARGE_PAGE // ROWS)


class LaterPool:
    """Does its work when it is told to, in the thread that tells it."""

    def __init__(self) -> None:
        self.work: list[Callable[[], None]] = []

    def callInThreadWithCallback(self, tell: Any, function: Any, *arguments: Any) -> None:
        def do() -> None:
            try:
                found = function(*arguments)
            except BaseException as error:
                tell(False, error)
            else:
                tell(True, found)

        self.work.append(do)

    def run(self) -> None:
        work, self.work = self.work, []
        for do in work:
            thread = Thread(target=do)
            thread.start()
            thread.join()


class LaterExecutor(Executor):
    """An executor that does its work when it is told to."""

    def __init__(self) -> None:
        self.work: list[tuple[Future[Any], Callable[[], Any]]] = []

    def submit(self, function: Any, /, *arguments: Any, **more: Any) -> Any:
        future: Future[Any] = Future()
        self.work.append((future, function))
        return future

    def run(self) -> None:
        work, self.work = self.work, []
        for future, function in work:
            try:
                future.set_result(function())
            except Exception as error:
                future.set_exception(error)


class DecodingTestCase(SessionTestCase):
    """A node with a large page."""

    def setUp(self) -> None:
        SessionTestCase.setUp(self)
        self.called_from: list[int] = []
        self.reactor.callFromThread = self.call_from_thread  # type: ignore[attr-defined]
        self.pool = LaterPool()
        self.pages(1)

    def call_from_thread(self, function: Any, *arguments: Any) -> None:
        self.called_from.append(get_ident())
        self.reactor.callLater(0, function, *arguments)

    def one_call(self) -> None:
        """Make the one call that is due."""
        now = self.reactor.seconds()
        due: list[Any] = [call for call in self.reactor.getDelayedCalls() if call.getTime() <= now]
        [call] = due
        self.reactor.calls.remove(call)
        call.called = 1
        call.func(*call.args, **call.kw)

    def pages(self, count: int) -> None:
        """Teach the node a statement of some large pages."""

        def reply(asked: Any) -> None:
            number = int(asked.options.paging_state or b"0")
            statement.rows = [[number * ROWS + place, LONG] for place in range(ROWS)]
            asked.statement_rows(statement, str(number + 1).encode() if number + 1 < count else None)

        statement = self.one.statements[LIST]
        statement.reply = reply


class SlicesTests(DecodingTestCase):
    """In the reactor, slice by slice."""

    def test_slices(self) -> None:
        """Some rows a turn; then all of them are there."""
        session = self.connect(decode_in="reactor")
        self.one.holds = held
        deferred = session.execute(LIST)
        self.reactor.settle()
        self.one.release()
        # The answer with the first slice, and the second.
        for _ in range(2):
            self.one_call()
            self.assertNoResult(deferred)
        self.one_call()
        result = self.successResultOf(deferred)
        self.assertEqual([row.k for row in result], list(range(ROWS)))
        self.assertIs(result.all()[5], result.all()[5])
        self.assertEqual(result.column("k"), list(range(ROWS)))
        self.assertEqual(result.one(), (0, LONG))
        self.assertEqual(result.columns[1].name, "v")

    def test_small_page(self) -> None:
        """It is decoded where its rows are reached."""
        session = self.connect(decode_in=self.pool)
        result = self.answer(session.execute(SELECT, [1]))
        self.assertEqual(self.pool.work, [])
        self.assertIsNot(result.all()[0], result.all()[0])

    def test_closed_meanwhile(self) -> None:
        """The result is delivered at once, and nothing goes on."""
        session = self.connect()
        deferred = session.execute(LIST, decode_in=self.pool)
        self.reactor.settle()
        self.assertNoResult(deferred)
        closed = session.close()
        self.assertEqual(len(self.successResultOf(deferred).all()), ROWS)
        self.reactor.settle()
        self.successResultOf(closed)
        self.pool.run()
        self.reactor.settle()

    def test_answered_while_it_drains(self) -> None:
        """So it is when the answer comes after that."""
        session = self.connect()
        self.one.holds = held
        deferred = session.execute(LIST, decode_in="reactor")
        self.reactor.settle()
        closed = session.close(drain=1.0)
        self.one.release()
        self.reactor.settle()
        self.assertEqual(len(self.successResultOf(deferred).all()), ROWS)
        self.successResultOf(closed)

    def test_cancel(self) -> None:
        """The work ends between two slices; what a pool brings later is dropped."""
        session = self.connect()
        self.one.holds = held
        for where in ("reactor", self.pool):
            deferred = session.execute(LIST, decode_in=where)
            self.reactor.settle()
            self.one.release()
            if where == "reactor":
                # The answer, and the first slice of it.
                self.one_call()
            else:
                self.reactor.settle()
            self.assertNoResult(deferred)
            deferred.cancel()
            self.failureResultOf(deferred, CancelledError)
            self.assertEqual(session.bulk_users, set())
        self.pool.run()
        self.reactor.settle()


class PoolTests(DecodingTestCase):
    """In threads of the user's."""

    def check(self, result: txcql.Result) -> None:
        self.assertEqual([row.k for row in result], list(range(ROWS)))
        self.assertIs(result.all()[5], result.all()[5])

    def test_pool(self) -> None:
        """It decodes in its thread; the result is delivered in the reactor's."""
        session = self.connect(decode_in=self.pool)
        for execute in (session.execute, partial(session.execute, page_size=ROWS)):
            deferred = execute(LIST)
            self.reactor.settle()
            self.pool.run()
            self.assertNoResult(deferred)
            self.reactor.settle()
            self.check(self.successResultOf(deferred))
        self.assertNotIn(get_ident(), self.called_from)
        self.assertEqual(len(self.called_from), 2)

    def test_executor(self) -> None:
        """One of ``concurrent.futures`` does as well."""
        executor = LaterExecutor()
        session = self.connect()
        deferred = session.execute(LIST, decode_in=executor)
        self.reactor.settle()
        executor.run()
        self.check(self.answer(deferred))

    def test_speculative_execution(self) -> None:
        """The answer of whichever execution is decoded there."""
        session = self.connect(decode_in=self.pool, speculative=ConstantSpeculativeExecutionPolicy(delay=0.1))
        deferred = session.execute(LIST)
        self.reactor.settle()
        self.pool.run()
        self.check(self.answer(deferred))
        self.assertEqual(len(self.called_from), 1)

    def test_threads(self) -> None:
        """With the real ones."""
        session = self.connect()
        with ThreadPoolExecutor(1) as executor:
            deferred = session.execute(LIST, decode_in=executor)
            self.reactor.settle()
        self.check(self.answer(deferred))
        pool = ThreadPool(0, 1)
        pool.start()
        deferred = session.execute(LIST, decode_in=pool)
        self.reactor.settle()
        pool.stop()
        self.check(self.answer(deferred))

    def test_stream(self) -> None:
        """Each page of a stream is decoded there."""
        self.pages(2)
        session = self.connect()
        consumer = Consumer()
        done = session.stream(LIST, decode_in=self.pool, page_size=ROWS).deliver_to(consumer)
        while not done.called:
            self.reactor.settle()
            self.pool.run()
        self.assertEqual(self.successResultOf(done), 2 * ROWS)
        self.assertEqual([row.k for row in consumer.rows], list(range(2 * ROWS)))
        self.assertEqual(len(self.called_from), 2)

    def test_bad_row(self) -> None:
        """It is told at its row, as ever."""
        text, blob = columns(k="int", v="text"), columns(k="int", v="blob")
        header = responsewriter.rows_header(responsewriter.column_specs(text, 5))
        rows = [[place, LONG.encode()] for place in range(ROWS - 1)] + [[ROWS, b"\xff"]]
        cells = [[kind.type.encode(value) for kind, value in zip(blob, row, strict=True)] for row in rows]
        body = responsewriter.rows(header, cells)
        self.one.teach(LIST, lambda asked: asked.send(constants.RESULT, body))
        session = self.connect()
        for where in ("reactor", self.pool):
            deferred = session.execute(LIST, decode_in=where)
            self.reactor.settle()
            self.pool.run()
            iterator = iter(self.answer(deferred))
            self.assertEqual(len([next(iterator) for _ in range(ROWS - 1)]), ROWS - 1)
            self.assertRaises(DecodeError, next, iterator)

    def test_pool_that_refuses(self) -> None:
        """What it raises is the request's failure, and so is a pool that would never work."""
        session = self.connect()
        executor = ThreadPoolExecutor(1)
        executor.shutdown()
        self.error(session.execute(LIST, decode_in=executor), RuntimeError)
        error = self.error(session.execute(LIST, decode_in=ThreadPool(0, 1)), RuntimeError)
        self.assertIn("is not started", str(error))
        self.assertEqual(session.bulk_users, set())

    def test_no_pool(self) -> None:
        """What is none is refused at once, and so is a pool of processes."""
        session = self.connect()
        processes = ProcessPoolExecutor(1)
        self.addCleanup(processes.shutdown)
        for where in (5, "thread", processes):
            error = self.error(session.execute(LIST, decode_in=where), TypeError)
            self.assertIn('decode_in must be None, "reactor" or a pool of threads', str(error))
            self.assertRaises(TypeError, txcql.Settings, decode_in=where)

    def test_bulk_work(self) -> None:
        """It has no use for it, and says so."""
        session = self.connect()
        self.error(session.execute_many(LIST, [], decode_in=self.pool), TypeError)
        self.assertRaises(TypeError, session.sink, decode_in=self.pool)


class Consumer:
    """Takes rows."""

    def __init__(self) -> None:
        self.rows: list[Any] = []
        self.write = self.rows.append

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        pass

    def unregisterProducer(self) -> None:
        pass
