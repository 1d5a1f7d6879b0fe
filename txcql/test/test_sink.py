"""Tests for :mod:`txcql.session.sink`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from twisted.internet.defer import CancelledError
from twisted.internet.interfaces import IPullProducer, IPushProducer
from twisted.python.failure import Failure
from zope.interface import implementer
from zope.interface.verify import verifyObject

from txcql.errors import BusyConnectionError, EncodeError, InvalidRequest, SessionClosed
from txcql.interfaces import IStatementSink
from txcql.session.sink import MAX_KEPT, SinkCounts, StatementSink
from txcql.test.scriptedsession import INSERT, LIST, SessionTestCase
from txcql.wire import constants


@implementer(IPushProducer)
class Push:
    """Writes in the loop of its own ``resumeProducing``, until it is paused or has no more.

    :ivar calls: what it was told.
    """

    def __init__(self, sink: StatementSink, statements: Iterator[Any]) -> None:
        self.sink = sink
        self.statements = statements
        self.paused = True
        self.calls: list[str] = []
        sink.registerProducer(self, True)

    def resumeProducing(self) -> None:
        self.calls.append("resume")
        self.produce()

    def produce(self) -> None:
        self.paused = False
        while not self.paused:
            try:
                statement, parameters = next(self.statements)
            except StopIteration:
                self.paused = True
                self.sink.unregisterProducer()
            else:
                self.sink.write(statement, parameters)

    def pauseProducing(self) -> None:
        self.paused = True
        self.calls.append("pause")

    def stopProducing(self) -> None:
        self.paused = True
        self.calls.append("stop")


@implementer(IPullProducer)
class Pull:
    """Writes one statement, or some, each time that it is asked."""

    def __init__(self, sink: StatementSink, statements: Iterator[Any], at_a_time: int = 1) -> None:
        self.sink = sink
        self.statements = statements
        self.at_a_time = at_a_time
        self.asked = 0
        self.stopped = 0
        sink.registerProducer(self, False)

    def resumeProducing(self) -> None:
        self.asked += 1
        for _ in range(self.at_a_time):
            try:
                statement, parameters = next(self.statements)
            except StopIteration:
                self.sink.unregisterProducer()
                return
            self.sink.write(statement, parameters)

    def stopProducing(self) -> None:
        self.stopped += 1


class SinkTestCase(SessionTestCase):
    """One node, which answers when it is told to."""

    def connect(self, *points: Any, **settings: Any) -> Any:
        session = SessionTestCase.connect(self, *points, **settings)
        self.insert = self.answer(session.prepare(INSERT))
        (self.pool,) = session.pools.values()
        return session

    def sink(self, **options: Any) -> StatementSink:
        if self.session is None:
            self.connect()
        assert self.session is not None
        return self.session.sink(**options)

    def hold(self) -> None:
        self.one.holds = lambda asked: True

    def let_go(self) -> None:
        self.one.holds = lambda asked: False
        self.one.release()
        self.reactor.settle()

    def statements(self, count: int) -> Iterator[tuple[Any, Any]]:
        for number in range(count):
            yield self.insert, (number, "x")

    @property
    def executed(self) -> list[int]:
        found = [asked.request.values[0] for asked in self.one.asked_for(constants.EXECUTE)]
        return [int.from_bytes(value, "big") for value in found]

    def finished(self, sink: StatementSink) -> SinkCounts:
        counts = self.answer(sink.finished)
        assert isinstance(counts, SinkCounts)
        return counts


class WriteTests(SinkTestCase):
    """Statements without a producer."""

    def test_interface(self) -> None:
        """It is a sink."""
        verifyObject(IStatementSink, self.sink())

    def test_kinds(self) -> None:
        """Prepared, bound, text, text with parameters."""
        sink = self.sink()
        sink.write(self.insert, [1, "a"])
        sink.write(self.insert(2, "b"))
        sink.write(LIST)
        sink.write(INSERT, {"k": 3, "v": "c"})
        sink.write(INSERT, [4, "d"])
        self.assertEqual(repr(sink), "<StatementSink in_flight=5 kept=0 written=0 failed=0>")
        sink.finish()
        self.assertEqual(self.finished(sink), SinkCounts(5, 0))
        self.assertEqual(self.executed, [1, 2, 3, 4])
        self.assertEqual(len(self.one.asked_for(constants.PREPARE)), 1)

    def test_text_that_has_to_be_prepared(self) -> None:
        """It and what is behind it wait; the order is kept."""
        self.connect()
        text = "INSERT INTO t (k, v) VALUES (?, 'a')"
        self.one.teach(text, parameters=self.one.statements[INSERT].parameters[:1])
        sink = self.sink()
        sink.write(text, [1])
        sink.write(self.insert, [2, "b"])
        self.assertEqual(sink.counts, SinkCounts())
        sink.finish()
        self.assertEqual(self.finished(sink), SinkCounts(2, 0))
        self.assertEqual(self.executed, [1, 2])

    def test_nothing(self) -> None:
        """A sink that is finished at once."""
        sink = self.sink()
        sink.finish()
        sink.finish()
        self.assertEqual(self.finished(sink), SinkCounts(0, 0))

    def test_finished(self) -> None:
        """It fires when everything is answered, and not before."""
        self.hold_after_prepare()
        sink = self.sink()
        sink.write(self.insert, [1, "a"])
        sink.finish()
        self.reactor.settle()
        self.assertNoResult(sink.finished)
        self.let_go()
        self.assertEqual(self.finished(sink), SinkCounts(1, 0))

    def hold_after_prepare(self) -> None:
        self.connect()
        self.hold()

    def test_after_the_end(self) -> None:
        """Nothing can be written, and no producer registered."""
        sink = self.sink()
        sink.finish()
        self.assertRaises(RuntimeError, sink.write, LIST)
        self.assertRaises(RuntimeError, sink.registerProducer, object(), True)
        self.finished(sink)

    def test_limit(self) -> None:
        """What cannot be sent is kept, up to a limit; all of it is sent in the end."""
        self.hold_after_prepare()
        sink = self.sink(concurrency=10)
        for number in range(10 + MAX_KEPT):
            sink.write(self.insert, [number, "x"])
        error = self.assertRaises(BusyConnectionError, sink.write, LIST)
        self.assertRegex(str(error), "^the sink is busy: 10 requests in flight, 1000 queued, limit 1000 ")
        self.let_go()
        sink.finish()
        self.assertEqual(self.finished(sink), SinkCounts(10 + MAX_KEPT, 0))
        self.assertEqual(self.executed, list(range(10 + MAX_KEPT)))


class PushTests(SinkTestCase):
    """An IPushProducer."""

    def test_all(self) -> None:
        """It is paused when as much is in flight as may be, and resumed; each pause has its resume."""
        sink = self.sink(concurrency=3)
        producer = Push(sink, self.statements(10))
        self.hold()
        producer.produce()
        self.assertEqual((producer.calls, sink._sender.in_flight), (["pause"], 3))
        self.reactor.settle()
        self.one.release(1)
        self.reactor.settle()
        self.assertEqual(producer.calls, ["pause", "resume", "pause"])
        self.let_go()
        self.assertEqual(self.finished(sink), SinkCounts(10, 0))
        self.assertEqual(producer.calls, ["pause", "resume"] * (len(producer.calls) // 2))
        self.assertEqual(self.executed, list(range(10)))

    def test_pool_without_room(self) -> None:
        """It is paused while the pool is draining, and resumed when that is open again."""
        session = self.connect(max_requests_per_connection=10)
        self.hold()
        singles = [session.execute(LIST) for _ in range(10)]
        sink = self.sink()
        producer = Push(sink, self.statements(20))
        producer.produce()
        self.assertEqual((producer.calls, repr(sink)[:34]), (["pause"], "<StatementSink in_flight=0 kept=0 "))
        self.reactor.settle()
        self.one.release(3)
        self.reactor.settle()
        self.assertEqual(producer.calls, ["pause"])
        self.one.release(5)
        self.reactor.settle()
        self.assertIn("resume", producer.calls)
        self.let_go()
        self.assertEqual(self.finished(sink), SinkCounts(20, 0))
        for single in singles:
            self.successResultOf(single)

    def test_reserve(self) -> None:
        """It leaves a tenth of the high mark to single requests."""
        self.connect()
        self.hold()
        sink = self.sink(concurrency=10_000)
        producer = Push(sink, self.statements(2000))
        producer.produce()
        self.reactor.settle()
        while not producer.paused or producer.calls[-1] == "resume":
            self.reactor.settle()
        self.assertEqual(self.pool.sent, 737)
        self.let_go()
        self.assertEqual(self.finished(sink), SinkCounts(2000, 0))

    def test_turns(self) -> None:
        """Statements that fail at once leave the reactor its turns."""
        sink = self.sink(on_error=lambda failure, statement: None)
        producer = Push(sink, iter([(self.insert, None)] * 1200))
        producer.produce()
        self.assertEqual((producer.calls, sink.counts.failed), (["pause"], 500))
        self.assertEqual(self.finished(sink), SinkCounts(0, 1200))

    def test_one_that_ignores_its_pauses(self) -> None:
        """What it writes is kept up to the limit; then the sink ends, and says so."""
        sink = self.sink(concurrency=3)
        self.hold()
        producer = Push(sink, self.statements(5000))
        producer.pauseProducing = lambda: None  # type: ignore[method-assign]
        self.assertRaises(BusyConnectionError, producer.produce)
        self.assertEqual(repr(sink), "<StatementSink in_flight=3 kept=1000 written=0 failed=0>")
        self.let_go()
        self.failureResultOf(sink.finished, BusyConnectionError)
        self.assertEqual(producer.calls[-1], "stop")

    def test_second_producer(self) -> None:
        """There is one at a time."""
        sink = self.sink()
        producer = Push(sink, self.statements(1))
        error = self.assertRaises(RuntimeError, Push, sink, self.statements(1))
        self.assertRegex(str(error), "^the sink has a producer already: ")
        producer.produce()
        self.assertEqual(self.finished(sink), SinkCounts(1, 0))

    def test_failing_producer(self) -> None:
        """What it raises while it is resumed ends the sink."""

        def statements() -> Iterator[Any]:
            yield self.insert, (1, "a")
            raise OSError("disk")

        sink = self.sink(concurrency=1)
        producer = Push(sink, statements())
        producer.produce()
        self.assertEqual(producer.calls, ["pause"])
        self.reactor.settle()
        self.failureResultOf(sink.finished, OSError)
        self.assertEqual(producer.calls, ["pause", "resume", "stop"])

    def test_failing_to_stop(self) -> None:
        """It is logged."""
        sink = self.sink()
        producer = Push(sink, self.statements(1))
        producer.stopProducing = lambda: 1 // 0  # type: ignore[assignment, method-assign]
        sink.finished.cancel()
        self.failureResultOf(sink.finished, CancelledError)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)


class PullTests(SinkTestCase):
    """An IPullProducer."""

    def test_all(self) -> None:
        """It is asked for one more whenever there is room."""
        self.connect()
        self.hold()
        sink = self.sink(concurrency=3)
        producer = Pull(sink, self.statements(10))
        self.reactor.settle()
        self.assertEqual((producer.asked, self.pool.sent), (3, 3))
        self.one.release(2)
        self.reactor.settle()
        self.assertEqual(producer.asked, 5)
        self.let_go()
        self.assertEqual(self.finished(sink), SinkCounts(10, 0))
        self.assertEqual((producer.asked, producer.stopped), (11, 0))

    def test_some_at_a_time(self) -> None:
        """It is not asked before they are sent."""
        self.connect()
        self.hold()
        sink = self.sink(concurrency=3)
        producer = Pull(sink, self.statements(10), at_a_time=5)
        self.assertEqual((producer.asked, repr(sink)[:34]), (1, "<StatementSink in_flight=3 kept=2 "))
        self.reactor.settle()
        self.let_go()
        self.assertEqual(self.finished(sink), SinkCounts(10, 0))

    def test_one_that_writes_later(self) -> None:
        """It is asked once, and again when it has written."""
        asked: list[Callable[[], None]] = []

        class Later(Pull):
            def resumeProducing(self) -> None:
                asked.append(super().resumeProducing)

        sink = self.sink()
        Later(sink, self.statements(2))
        for number in (1, 2, 3):
            self.reactor.settle()
            self.assertEqual(len(asked), number)
            asked[-1]()
        self.assertEqual(self.finished(sink), SinkCounts(2, 0))

    def test_failing_producer(self) -> None:
        """What it raises ends the sink."""

        def statements() -> Iterator[Any]:
            yield self.insert, (1, "a")
            raise OSError("disk")

        sink = self.sink()
        producer = Pull(sink, statements())
        self.failureResultOf(sink.finished, OSError)
        self.assertEqual(producer.stopped, 1)
        self.reactor.settle()

    def test_many(self) -> None:
        """The stack does not grow."""
        sink = self.sink()
        Pull(sink, self.statements(3000))
        self.assertEqual(self.finished(sink), SinkCounts(3000, 0))


class ErrorTests(SinkTestCase):
    """Statements that fail."""

    def test_first_error(self) -> None:
        """It ends the sink, and the producer is told to stop."""
        sink = self.sink()
        producer = Push(sink, iter([(self.insert, (1, "a")), ("nonsense", None), (self.insert, (2, "b"))]))
        producer.produce()
        # It has no more; another producer would have.
        self.reactor.settle()
        self.failureResultOf(sink.finished, InvalidRequest)
        self.assertEqual(sink.counts, SinkCounts(1, 1))
        self.assertRaises(RuntimeError, sink.write, LIST)

    def test_the_producer_is_stopped(self) -> None:
        """One that has more."""
        sink = self.sink(concurrency=1)
        producer = Push(sink, iter([("nonsense", None)] * 5))
        producer.produce()
        self.reactor.settle()
        self.failureResultOf(sink.finished, InvalidRequest)
        self.assertEqual(producer.calls, ["pause", "stop"])
        self.assertEqual(len(self.one.requests), 2)

    def test_registered_afterwards(self) -> None:
        """A producer that comes too late is stopped."""
        sink = self.sink()
        sink.write("nonsense")
        self.error(sink.finished, InvalidRequest)
        producer = Push(sink, self.statements(1))
        self.assertEqual(producer.calls, ["stop"])

    def test_on_error(self) -> None:
        """It is told of each statement that fails, and the sink goes on."""
        told: list[tuple[type, Any]] = []

        def on_error(failure: Failure, statement: Any) -> None:
            told.append((type(failure.value), statement))

        sink = self.sink(on_error=on_error)
        sink.write("nonsense")
        sink.write(self.insert, ["a", 1])
        sink.write("nonsense ?", [1])
        sink.write(7)  # type: ignore[arg-type]
        sink.write(LIST)
        sink.finish()
        self.assertEqual(self.finished(sink), SinkCounts(1, 4))
        self.assertEqual(
            sorted(told, key=str),
            sorted(
                [
                    (InvalidRequest, "nonsense"),
                    (EncodeError, self.insert),
                    (InvalidRequest, "nonsense ?"),
                    (TypeError, 7),
                ],
                key=str,
            ),
        )

    def test_failing_on_error(self) -> None:
        """What it raises ends the sink."""
        sink = self.sink(on_error=lambda failure, statement: 1 // 0)
        sink.write("nonsense")
        self.error(sink.finished, ZeroDivisionError)

    def test_bad_options(self) -> None:
        """They are refused where they are given."""
        self.assertRaises(ValueError, self.sink, concurrency=0)
        self.assertRaises(ValueError, self.sink, consistency="SOME")


class EndTests(SinkTestCase):
    """It ends before its time."""

    def test_cancel(self) -> None:
        """What is kept is dropped, what is sent is answered, and the producer stops."""
        self.connect()
        self.hold()
        sink = self.sink(concurrency=2)
        producer = Push(sink, self.statements(10))
        producer.produce()
        self.reactor.settle()
        sink.finished.cancel()
        self.failureResultOf(sink.finished, CancelledError)
        self.assertEqual(producer.calls, ["pause", "stop"])
        self.let_go()
        self.assertEqual((self.executed, self.pool.sent), ([0, 1], 0))

    def test_cancel_while_preparing(self) -> None:
        """Nothing is sent."""
        self.connect()
        self.hold()
        sink = self.sink()
        sink.write("INSERT INTO t (k) VALUES (?)", [1])
        sink.finished.cancel()
        self.failureResultOf(sink.finished, CancelledError)
        self.let_go()
        self.assertEqual(self.executed, [])

    def test_session_closed(self) -> None:
        """It fails, the producer stops; what is written then is refused."""
        session = self.connect()
        self.hold()
        sink = self.sink(concurrency=2)
        producer = Push(sink, self.statements(10))
        producer.produce()
        session.close()
        self.failureResultOf(sink.finished, SessionClosed)
        self.assertEqual(producer.calls, ["pause", "stop"])
        self.assertRaises(SessionClosed, sink.write, LIST)

    def test_session_closed_without_a_producer(self) -> None:
        """A sink that has done all that it was given is finished."""
        session = self.connect()
        sink = self.sink()
        sink.write(LIST)
        self.reactor.settle()
        session.close()
        self.assertEqual(self.successResultOf(sink.finished), SinkCounts(1, 0))
        self.assertRaises(SessionClosed, sink.write, LIST)

    def test_session_closed_while_idle(self) -> None:
        """A sink that has nothing to do is told, too: its producer might have more."""
        session = self.connect()
        sink = self.sink(on_error=lambda failure, statement: None)
        producer = Push(sink, self.statements(10))
        session.close()
        self.failureResultOf(sink.finished, SessionClosed)
        self.assertEqual(producer.calls, ["stop"])
