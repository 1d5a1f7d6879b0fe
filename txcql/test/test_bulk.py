"""Tests for :mod:`txcql.session.bulk` and :mod:`txcql.session.bulksender`."""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator, Iterator
from typing import Any

from twisted.internet.defer import CancelledError, Deferred

from txcql.errors import EncodeError, InvalidRequest, NoNodeAvailable, Overloaded, SessionClosed
from txcql.session.bulksender import STATEMENTS_A_TURN
from txcql.session.results import Result
from txcql.test.scriptednode import Asked, ScriptedNode, columns
from txcql.test.scriptedreactor import ScriptedLink
from txcql.test.scriptedrequests import RequestTestCase
from txcql.test.scriptedsession import INSERT, LIST, SessionTestCase
from txcql.wire import constants, responsewriter


class BulkTestCase(SessionTestCase):
    """One node, which answers when it is told to."""

    def connect(self, *points: Any, **settings: Any) -> Any:
        session = SessionTestCase.connect(self, *points, **settings)
        self.insert = self.answer(session.prepare(INSERT))
        self.pools = list(session.pools.values())
        self.pool = self.pools[0]
        return session

    def hold(self) -> None:
        self.one.holds = lambda asked: True

    def let_go(self) -> None:
        self.one.holds = lambda asked: False
        self.one.release()
        self.reactor.settle()

    def rows(self, count: int) -> Iterator[tuple[int, str]]:
        """Rows that note how many of them were taken."""
        self.taken = 0
        for number in range(count):
            self.taken += 1
            yield number, "x"

    def execute_many(self, rows: Any, **options: Any) -> Deferred[Any]:
        assert self.session is not None
        many = self.session.execute_many(self.insert, rows, **options)
        self.reactor.settle()
        return many

    @property
    def executed(self) -> list[int]:
        """The key of each row that the node was asked to write, in order."""
        found = [asked.request.values[0] for asked in self.one.asked_for(constants.EXECUTE)]
        return [int.from_bytes(value, "big") for value in found]


class ResultTests(BulkTestCase):
    """What becomes of the rows."""

    def test_results(self) -> None:
        """A list of results, in the order of the rows."""
        self.connect()
        results = self.answer(self.execute_many(self.rows(10)))
        self.assertEqual(len(results), 10)
        self.assertIsInstance(results[0], Result)
        self.assertEqual(self.executed, list(range(10)))

    def test_order(self) -> None:
        """However they are answered."""
        self.connect()
        self.hold()
        many = self.execute_many(self.rows(3), raise_errors=False)
        for number in (2, 0, 1):
            if number == 1:
                self.one.held[number].error(Overloaded("one"))
            else:
                self.one.held[number].void()
        self.one.held.clear()
        first, second, third = self.answer(many)
        self.assertEqual((type(first), type(third)), (Result, Result))
        self.assertIn("one", str(second))

    def test_no_rows(self) -> None:
        """Nothing to do."""
        self.connect()
        self.assertEqual(self.successResultOf(self.execute_many([])), [])

    def test_text(self) -> None:
        """Text is prepared, once."""
        session = self.connect()
        many = session.execute_many(INSERT, [(1, "a"), {"k": 2, "v": "b"}])
        self.assertEqual(len(self.answer(many)), 2)
        self.assertEqual(len(self.one.asked_for(constants.PREPARE)), 1)

    def test_on_result(self) -> None:
        """Each outcome is handed on, in order, and none is kept."""
        self.connect()
        self.hold()
        told: list[tuple[int, type]] = []
        many = self.execute_many(
            self.rows(4), on_result=lambda number, result: told.append((number, type(result)))
        )
        for number in (1, 3, 0):
            self.one.held[number].void()
        self.reactor.settle()
        self.assertEqual(told, [(0, Result), (1, Result)])
        self.one.held[2].void()
        self.one.held.clear()
        self.assertEqual(self.answer(many), 4)
        self.assertEqual([number for number, _ in told], [0, 1, 2, 3])

    def test_unordered(self) -> None:
        """As they come, if asked for."""
        self.connect()
        self.hold()
        told: list[int] = []
        many = self.execute_many(
            self.rows(3), on_result=lambda number, result: told.append(number), ordered=False
        )
        for number in (1, 2, 0):
            self.one.held[number].void()
        self.one.held.clear()
        self.assertEqual(self.answer(many), 3)
        self.assertEqual(told, [1, 2, 0])

    def test_slow_row(self) -> None:
        """In order, no more than twice the concurrency is kept for a slow row."""
        self.connect()
        self.one.holds = lambda asked: asked.request.values[0] == b"\0\0\0\0"
        told: list[int] = []
        many = self.execute_many(
            self.rows(100), concurrency=5, on_result=lambda number, result: told.append(number)
        )
        self.assertEqual((self.taken, told), (10, []))
        self.let_go()
        self.assertEqual(self.successResultOf(many), 100)
        self.assertEqual(told, list(range(100)))

    def test_slow_row_without_order(self) -> None:
        """It holds up nobody."""
        self.connect()
        self.one.holds = lambda asked: asked.request.values[0] == b"\0\0\0\0"
        told: list[int] = []
        many = self.execute_many(
            self.rows(100), concurrency=5, ordered=False, on_result=lambda number, _: told.append(number)
        )
        self.assertEqual(told, list(range(1, 100)))
        self.let_go()
        self.successResultOf(many)

    def test_failing_on_result(self) -> None:
        """It ends with what that raised."""
        self.connect()
        many = self.execute_many(self.rows(10), concurrency=1, on_result=lambda number, _: 1 // (number - 3))
        self.failureResultOf(many, ZeroDivisionError)
        self.assertEqual(self.executed, [0, 1, 2, 3])


class ErrorTests(BulkTestCase):
    """Rows that fail."""

    def refuse(self, key: int) -> None:
        """The node refuses one row."""

        def reply(asked: Asked) -> None:
            if int.from_bytes(asked.request.values[0], "big") == key:
                asked.error(InvalidRequest("no"))
            else:
                asked.void()

        self.one.teach(INSERT, parameters=columns(k="int", v="text"), reply=reply)

    def test_raised(self) -> None:
        """The first error ends it, and says which row it was; no further row is taken."""
        self.refuse(3)
        self.connect()
        many = self.execute_many(self.rows(10), concurrency=1)
        self.assertEqual(self.failureResultOf(many, InvalidRequest).value.row_number, 3)
        self.assertEqual(self.executed, [0, 1, 2, 3])
        self.assertEqual(self.taken, 4)

    def test_returned(self) -> None:
        """Else they stand where the results do."""
        self.refuse(3)
        self.connect()
        results = self.answer(self.execute_many(self.rows(6), raise_errors=False))
        self.assertEqual([type(result) for result in results[2:5]], [Result, InvalidRequest, Result])
        self.assertIsNone(results[3].__traceback__)

    def test_bad_values(self) -> None:
        """A row that cannot be encoded is a row that fails."""
        self.connect()
        rows: list[Any] = [(1, "a"), ("b", 2), (3,)]
        results = self.answer(self.execute_many(rows, raise_errors=False))
        self.assertEqual([type(result) for result in results], [Result, EncodeError, EncodeError])
        error = self.error(self.execute_many(rows), EncodeError)
        self.assertEqual(error.row_number, 1)

    def test_many_bad_values(self) -> None:
        """They leave the reactor its turns."""
        self.connect()
        seen: list[int] = []
        many = self.execute_many([], raise_errors=False)
        assert self.session is not None
        many = self.session.execute_many(
            self.insert, [None] * 1200, on_result=lambda number, _: seen.append(number), raise_errors=False
        )
        self.assertEqual(len(seen), STATEMENTS_A_TURN)
        self.assertEqual(self.answer(many), 1200)

    def test_failing_iterable(self) -> None:
        """It fails with what the iterable raised; the rows before it are written."""

        def rows() -> Iterator[Any]:
            yield 1, "a"
            raise OSError("disk")

        self.connect()
        self.failureResultOf(self.execute_many(rows()), OSError)
        self.assertEqual(self.executed, [1])

    def test_not_iterable(self) -> None:
        """It errbacks."""
        self.connect()
        self.failureResultOf(self.execute_many(7), TypeError)

    def test_bad_arguments(self) -> None:
        """So do those that make no sense."""
        session = self.connect()
        for concurrency in (0, -1):
            error = self.failureResultOf(self.execute_many([], concurrency=concurrency), ValueError).value
            self.assertRegex(str(error), f"^concurrency must be positive, got {concurrency}$")
        self.failureResultOf(self.execute_many([], concurrency=1.5), TypeError)
        self.failureResultOf(self.execute_many([], consistency="SOME"), ValueError)
        self.failureResultOf(session.execute_many(7, []), TypeError)
        self.error(session.execute_many("UPDATE nothing", []), InvalidRequest)

    def test_no_node(self) -> None:
        """No node is up: there is no room to wait for."""
        self.connect()
        self.one.stop()
        self.reactor.settle()
        errors = self.answer(self.execute_many(self.rows(700), raise_errors=False))
        self.assertEqual({type(error) for error in errors}, {NoNodeAvailable})

    def test_failing_policy(self) -> None:
        """Its defect is that of the row."""
        session = self.connect()
        session.plan = lambda request: 1 // 0
        error = self.failureResultOf(self.execute_many(self.rows(3)), ZeroDivisionError).value
        self.assertEqual(error.row_number, 0)
        self.assertEqual(len(session.deadlines), 0)


class AsyncTests(BulkTestCase):
    """Rows from an asynchronous iterable."""

    async def later(self, count: int) -> AsyncIterator[tuple[int, str]]:
        for number in range(count):
            if number % 2:
                waiting: Deferred[None] = Deferred()
                self.reactor.callLater(1.0, waiting.callback, None)
                await waiting
            yield number, "x"

    def test_rows(self) -> None:
        """Those that are there and those that come later."""
        self.connect()
        many = self.execute_many(self.later(5))
        self.assertEqual(self.executed, [0])
        self.reactor.pump([1.0, 0, 1.0, 0])
        self.assertEqual(len(self.answer(many)), 5)
        self.assertEqual(self.executed, [0, 1, 2, 3, 4])

    def test_lazy(self) -> None:
        """Taken only when they can be sent."""
        taken: list[int] = []

        async def rows() -> AsyncIterator[Any]:
            for number in range(100):
                taken.append(number)
                yield number, "x"

        self.connect()
        self.hold()
        many = self.execute_many(rows(), concurrency=3)
        self.assertEqual(len(taken), 3)
        self.let_go()
        self.assertEqual(len(self.successResultOf(many)), 100)

    def test_many(self) -> None:
        """However many are there at once: the stack does not grow."""

        async def rows() -> AsyncIterator[Any]:
            for number in range(3000):
                yield number, "x"

        self.connect()
        self.assertEqual(len(self.answer(self.execute_many(rows()))), 3000)

    def test_failing(self) -> None:
        """It fails with what the iterable raised."""

        async def rows() -> AsyncIterator[Any]:
            yield 1, "a"
            raise OSError("disk")

        self.connect()
        self.failureResultOf(self.execute_many(rows()), OSError)

    def test_cancel_while_a_row_is_waited_for(self) -> None:
        """Whoever makes the row is told."""
        self.connect()
        ended: list[BaseException] = []

        async def rows() -> AsyncIterator[Any]:
            try:
                await Deferred()
            except CancelledError as error:
                ended.append(error)
                raise
            yield 1, "a"

        many = self.execute_many(rows())
        many.cancel()
        self.failureResultOf(many, CancelledError)
        self.assertEqual(len(ended), 1)


class PaceTests(BulkTestCase):
    """No faster than there is room."""

    def test_concurrency(self) -> None:
        """So many in flight at most; a row is taken when it can be sent."""
        self.connect()
        self.hold()
        many = self.execute_many(self.rows(100), concurrency=7)
        self.assertEqual((self.pool.sent, self.taken), (7, 7))
        self.one.release(2)
        self.reactor.settle()
        self.assertEqual((self.pool.sent, self.taken), (7, 9))
        self.let_go()
        self.assertEqual(len(self.successResultOf(many)), 100)

    def test_one_at_a_time(self) -> None:
        """Concurrency 1: each begins when the one before is answered."""
        self.connect()
        self.hold()
        many = self.execute_many(self.rows(3), concurrency=1)
        for number in range(3):
            self.assertEqual(self.executed, list(range(number + 1)))
            self.one.release()
            self.reactor.settle()
        self.assertEqual(len(self.successResultOf(many)), 3)

    def test_reserve(self) -> None:
        """A tenth of the high mark is left to single requests."""
        session = self.connect()
        self.hold()
        many = self.execute_many(self.rows(2000), concurrency=10_000)
        # One is held.
        self.assertEqual((self.pool.sent, self.taken), (737, 738))
        self.assertEqual(self.pool.snapshot()[0]["state"], "open")
        single = session.execute(LIST)
        self.reactor.settle()
        self.assertEqual(self.pool.sent, 738)
        self.let_go()
        self.assertEqual(len(self.successResultOf(many)), 2000)
        self.successResultOf(single)

    def test_smallest_pool(self) -> None:
        """Where there is room for one, there is no reserve."""
        self.connect(max_requests_per_connection=1)
        self.assertEqual(len(self.answer(self.execute_many(self.rows(50)))), 50)

    def test_never_busy(self) -> None:
        """Where single requests are refused, bulk work waits."""
        session = self.connect(max_requests_per_connection=10)
        self.hold()
        singles = [session.execute(LIST) for _ in range(10)]
        many = self.execute_many(self.rows(30))
        self.assertEqual(self.taken, 1)
        self.assertEqual(self.executed, [])
        self.let_go()
        self.assertEqual(len(self.successResultOf(many)), 30)
        for single in singles:
            self.successResultOf(single)

    def test_bytes(self) -> None:
        """max_request_bytes is waited for, to the byte."""
        self.connect(max_request_bytes=10_000)
        self.hold()
        many = self.execute_many([(number, "x" * 1000) for number in range(40)])
        sent = self.pool.sent
        self.assertEqual(sent, 9)
        self.assertLessEqual(self.pool.request_bytes, 10_000)
        self.one.release(1)
        self.reactor.settle()
        self.assertEqual(self.pool.sent, 9)
        self.let_go()
        self.assertEqual(len(self.successResultOf(many)), 40)
        self.assertEqual(self.executed, list(range(40)))

    def test_exact_bytes(self) -> None:
        """Whatever the limit, and however large the rows: it is never refused, and goes on."""
        for limit in range(130, 200, 3):
            self.connect(max_request_bytes=limit)
            many = self.execute_many([(number, "x" * number) for number in range(100)])
            self.assertEqual(len(self.answer(many)), 100)
            self.tearDown()

    def test_large_text_in_a_sink(self) -> None:
        """The size of a statement's text counts."""
        text = "INSERT INTO t (v) VALUES ('" + "x" * 1000 + "')"
        self.one.teach(text)
        session = self.connect(max_request_bytes=5000)
        sink = session.sink()
        for _ in range(20):
            sink.write(text)
        sink.finish()
        self.assertLessEqual(self.pool.request_bytes, 5000)
        self.assertEqual(self.answer(sink.finished).written, 20)

    def test_two_at_once(self) -> None:
        """Two of them share the room."""
        session = self.connect(max_requests_per_connection=10)
        self.hold()
        told: list[str] = []
        both = [
            session.execute_many(
                self.insert, self.rows(50), on_result=lambda number, _, name=name: told.append(name)
            )
            for name in "ab"
        ]
        for _ in range(30):
            self.reactor.settle()
            self.one.release(2)
        self.reactor.settle()
        self.assertGreater(min(told.count("a"), told.count("b")), 20)
        self.let_go()
        for many in both:
            self.assertEqual(self.successResultOf(many), 50)

    def test_round_robin(self) -> None:
        """The reserve is each link's, however the links are chosen."""
        for name in ("round-robin", "random"):
            self.one.holds = lambda asked: False
            self.connect(core_connections=3, connection_selection=name, max_requests_per_connection=20)
            self.hold()
            many = self.execute_many(self.rows(200))
            self.assertLessEqual(max(link.sent for link in self.pool.links), 14)
            self.let_go()
            self.assertEqual(len(self.successResultOf(many)), 200)
            self.tearDown()

    def test_grows(self) -> None:
        """Bulk work that waits for room has the pool open a further link."""
        self.connect(max_connections_local=3, max_requests_per_connection=20)
        self.hold()
        many = self.execute_many(self.rows(200))
        self.assertEqual([link.sent for link in self.pool.links], [14, 14, 14])
        self.let_go()
        self.assertEqual(len(self.successResultOf(many)), 200)


class EndTests(BulkTestCase):
    """It ends before its time."""

    def test_cancel(self) -> None:
        """No further row is taken; what is sent is answered, and nothing is left."""
        session = self.connect()
        self.hold()
        many = self.execute_many(self.rows(100), concurrency=5)
        many.cancel()
        self.failureResultOf(many, CancelledError)
        self.assertEqual(session.bulk_users, set())
        self.let_go()
        self.assertEqual((self.taken, self.executed), (5, [0, 1, 2, 3, 4]))
        self.assertEqual((self.pool.sent, len(session.deadlines)), (0, 0))

    def test_cancel_while_it_waits_for_room(self) -> None:
        """The row that is held is never sent."""
        session = self.connect(max_requests_per_connection=10)
        self.hold()
        many = self.execute_many(self.rows(100))
        self.assertTrue(self.pool.bulk_waits)
        many.cancel()
        self.failureResultOf(many, CancelledError)
        self.assertFalse(self.pool.bulk_waits)
        self.let_go()
        self.assertEqual(len(self.executed), 7)
        self.assertEqual(self.answer(session.execute(LIST)).one().k, 1)

    def test_cancel_while_preparing(self) -> None:
        """Nothing is taken at all."""
        session = self.connect()
        self.hold()
        many = session.execute_many("INSERT INTO t (k) VALUES (?)", self.rows(3))
        many.cancel()
        self.failureResultOf(many, CancelledError)
        self.let_go()

    def test_cancel_in_on_result(self) -> None:
        """Nobody is told anything more."""
        self.connect()
        told: list[int] = []

        def on_result(number: int, _: Any) -> None:
            told.append(number)
            if number == 2:
                many.cancel()

        assert self.session is not None
        many = self.session.execute_many(self.insert, self.rows(10), on_result=on_result)
        self.reactor.settle()
        self.failureResultOf(many, CancelledError)
        self.assertEqual(told, [0, 1, 2])

    def test_cancel_in_the_iterable(self) -> None:
        """The row that it gives is not sent."""
        session = self.connect()

        def rows() -> Iterator[Any]:
            yield 1, "a"
            many.cancel()
            yield 2, "b"

        self.hold()
        many = session.execute_many(self.insert, rows(), concurrency=1)
        self.let_go()
        self.failureResultOf(many, CancelledError)
        self.assertEqual(self.executed, [1])

    def test_session_closed(self) -> None:
        """It ends, errors raised or not; no further row is taken."""
        for raise_errors in (True, False):
            self.one.holds = lambda asked: False
            session = self.connect(max_requests_per_connection=10)
            self.hold()
            many = self.execute_many(self.rows(100), raise_errors=raise_errors)
            session.close()
            self.failureResultOf(many, SessionClosed)
            self.assertEqual(self.taken, 8)
            self.one.held.clear()
            self.tearDown()

    def test_after_close(self) -> None:
        """There is nothing to wait for."""
        session = self.connect()
        session.close()
        self.failureResultOf(self.execute_many([(1, "a")]), SessionClosed)
        self.assertRaises(SessionClosed, session.sink)

    def test_closed_in_on_result(self) -> None:
        """The session may be closed anywhere."""
        session = self.connect()
        many = self.execute_many(self.rows(10), on_result=lambda number, _: session.close() and None)
        self.failureResultOf(many, SessionClosed)

    def test_nothing_is_kept(self) -> None:
        """With on_result, what has been told of is gone."""

        class Row(tuple[Any, ...]):
            pass

        def alive() -> int:
            gc.collect()
            return sum(isinstance(thing, Row) for thing in gc.get_objects())

        self.connect()
        seen: list[int] = []

        def on_result(number: int, _: Any) -> None:
            if number == 90:
                seen.append(alive())

        rows = (Row((number, "x", [])[:2]) for number in range(100))
        self.successResultOf(self.execute_many(rows, concurrency=2, on_result=on_result))
        self.assertLess(seen[0], 5)


class NodesTests(RequestTestCase):
    """More than one node."""

    def test_the_node_is_lost(self) -> None:
        """What was not sent yet goes to another one, when that has room."""
        session = self.connect(max_requests_per_connection=10)
        insert = self.answer(session.prepare(INSERT))
        one, two = session.pools.values()
        self.hold()
        full = [session.execute(LIST, idempotent=False) for _ in range(20)]
        self.reactor.settle()
        self.assertEqual((one.sent + len(one.queue), two.sent + len(two.queue)), (10, 10))
        many = session.execute_many(insert, [(number, "x") for number in range(20)])
        self.reactor.settle()
        self.assertEqual((one.bulk_waits, two.bulk_waits), (True, False))
        self.one.stop()
        self.reactor.settle()
        self.assertTrue(two.bulk_waits)
        self.let_go(self.two)
        self.assertEqual(len(self.answer(many)), 20)
        for single in full:
            if isinstance(single.result, Result):
                self.successResultOf(single)
            else:
                self.failureResultOf(single)

    def test_lost_with_what_was_in_the_write_buffer(self) -> None:
        """It was not sent: where the other node has no room it is held, and none is lost."""
        one = self.fill_the_other()
        many = self.execute_many()
        self.assertEqual(one.sent, 7)
        one.links[0].close()
        self.check_all_written(many)
        self.assertEqual(self.asked().count("execute 1"), 0)

    def test_lost_with_what_may_be_repeated(self) -> None:
        """The same, though it may have been sent."""
        self.fill_the_other()
        self.hold(self.one)
        many = self.execute_many(idempotent=True)
        self.reactor.settle()
        self.assertEqual(self.asked().count("execute 1"), 7)
        self.one.links[1].drop()
        self.check_all_written(many)

    def fill_the_other(self) -> Any:
        """The first node is empty and cannot be reached again, the second one is full."""
        session = self.connect(max_requests_per_connection=10)
        self.insert = self.answer(session.prepare(INSERT))
        one, self.other = session.pools.values()
        self.hold()
        self.singles = [session.execute(LIST) for _ in range(20)]
        self.reactor.settle()
        self.let_go(self.one)
        self.reactor.settle()
        self.assertEqual((one.sent, self.other.sent, len(self.other.queue)), (0, 8, 2))
        self.one.refusing = True
        return one

    def execute_many(self, **options: Any) -> Deferred[Any]:
        assert self.session is not None
        return self.session.execute_many(
            self.insert, [(number, "x") for number in range(30)], concurrency=20, **options
        )

    def check_all_written(self, many: Deferred[Any]) -> None:
        self.reactor.settle()
        self.assertEqual((self.other.sent, len(self.other.queue)), (8, 2))
        self.assertNoResult(many)
        self.let_go(self.two)
        self.assertEqual(len(self.answer(many)), 30)
        for single in self.singles:
            self.successResultOf(single)
        keys = {asked.request.values[0] for asked in self.two.asked_for(constants.EXECUTE)}
        self.assertEqual(len(keys), 30)


class QuickNode(ScriptedNode):
    """Answers every EXECUTE without a look at it."""

    def receive(self, link: ScriptedLink, data: bytes) -> None:
        codec = link.codec
        if codec is None or len(data) < 4096:
            ScriptedNode.receive(self, link, data)
            return
        codec.receive(data)
        while (frame := codec.next_frame()) is not None:
            link.send(frame.stream, constants.RESULT, responsewriter.VOID)


class HugeTests(BulkTestCase):
    """More rows than anybody would hold at a time."""

    def node(self, address: str = "10.0.0.1", port: int = 9042, **options: Any) -> ScriptedNode:
        node = self.reactor.nodes[address, port] = QuickNode(self.reactor, address, port)
        return node

    def test_huge(self) -> None:
        """A generator of 100,000 rows is read as fast as they are written."""
        self.connect()
        most = 0

        def rows() -> Iterator[tuple[int, str]]:
            nonlocal most
            for number in range(100_000):
                most = max(most, self.pool.sent)
                yield number, "some text for the row"

        told = 0

        def on_result(number: int, _: Any) -> None:
            nonlocal told
            told += 1

        self.assertEqual(self.answer(self.execute_many(rows(), on_result=on_result)), 100_000)
        self.assertEqual((told, most), (100_000, 255))
