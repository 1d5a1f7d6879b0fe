"""Tests for :mod:`txcql.session.rowstream`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IPushProducer
from twisted.internet.testing import StringTransport
from twisted.web.http import HTTPChannel, Request
from zope.interface import implementer
from zope.interface.verify import verifyObject

import txcql
from txcql.errors import DecodeError, Overloaded, SessionClosed
from txcql.interfaces import IRowConsumer
from txcql.session.rowstream import ROWS_A_TURN, RowStream
from txcql.test.scriptednode import Asked, ScriptedTestCase, columns
from txcql.wire import constants, responsewriter

SCAN = "SELECT k FROM t"
COLUMNS = columns(k="int")


@implementer(IRowConsumer)
class Consumer:
    """Keeps rows, and does as a test says when it is called.

    :ivar calls: every call but ``write``, and the rows.
    """

    def __init__(self, on_write: Callable[[int], object] = lambda k: None) -> None:
        self.calls: list[Any] = []
        self.on_register: Callable[[], object] = lambda: None
        self.on_write = on_write
        self.on_unregister: Callable[[], object] = lambda: None
        self.producer: Any = None

    @property
    def rows(self) -> list[int]:
        return [call for call in self.calls if isinstance(call, int)]

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        self.producer = producer
        self.calls.append(f"register {streaming}")
        self.on_register()

    def unregisterProducer(self) -> None:
        self.calls.append("unregister")
        self.on_unregister()

    def write(self, row: Any) -> None:
        self.calls.append(row.k)
        self.on_write(row.k)


class StreamTestCase(ScriptedTestCase):
    """A table of some pages; ``pages`` are the rows of each."""

    pages: Sequence[Sequence[int]] = ((1, 2, 3), (4, 5, 6), (7, 8, 9), (10,))

    def setUp(self) -> None:
        ScriptedTestCase.setUp(self)
        self.one = self.node()
        self.one.teach(SCAN, reply=self.page)

    def page(self, asked: Asked) -> None:
        state = asked.options.paging_state
        number = int(state) if state is not None else 0
        following = str(number + 1).encode() if number + 1 < len(self.pages) else None
        asked.rows(COLUMNS, [[k] for k in self.pages[number]], following)

    def stream(self, statement: str = SCAN, **options: Any) -> RowStream:
        if self.session is None:
            self.connect()
        assert self.session is not None
        return self.session.stream(statement, **options)

    @property
    def asked(self) -> int:
        """Pages asked for so far."""
        return len(self.one.asked_for(constants.QUERY))

    def take(self, stream: RowStream, count: int) -> list[int]:
        """So many rows, by hand."""

        async def taking() -> list[int]:
            return [(await stream.__anext__()).k for _ in range(count)]

        return list(self.answer(Deferred.fromCoroutine(taking())))

    def take_all(self, stream: RowStream) -> Deferred[list[int]]:
        async def taking() -> list[int]:
            return [row.k async for row in stream]

        return Deferred.fromCoroutine(taking())


class IterationTests(StreamTestCase):
    """``async for``."""

    def test_all(self) -> None:
        """Every row once, in order."""
        stream = self.stream()
        self.assertEqual(self.answer(self.take_all(stream)), list(range(1, 11)))
        self.assertEqual((self.asked, stream.delivered), (4, 10))
        self.assertEqual(self.answer(self.take_all(stream)), [])

    def test_lazy(self) -> None:
        """Nothing is asked for before the first row is."""
        self.stream()
        self.reactor.settle()
        self.assertEqual(self.asked, 0)

    def test_prefetch(self) -> None:
        """While a page is read, one more is there; no third one is asked for."""
        stream = self.stream()
        self.assertEqual(self.take(stream, 1), [1])
        self.assertEqual(self.asked, 2)
        self.assertEqual(self.take(stream, 2), [2, 3])
        self.assertEqual(self.asked, 2)
        self.assertEqual(self.take(stream, 1), [4])
        self.assertEqual(self.asked, 3)

    def test_no_prefetch(self) -> None:
        """The next page is asked for when this one has been read."""
        stream = self.stream(prefetch_pages=0)
        self.assertEqual(self.take(stream, 3), [1, 2, 3])
        self.assertEqual(self.asked, 1)
        self.assertEqual(self.take(stream, 1), [4])
        self.assertEqual(self.asked, 2)

    def test_more_prefetch(self) -> None:
        """As many as asked for."""
        stream = self.stream(prefetch_pages=2)
        self.assertEqual(self.take(stream, 1), [1])
        self.assertEqual(self.asked, 3)
        self.assertEqual(repr(stream), "<RowStream flowing delivered=1 pages=2>")

    def test_bad_prefetch(self) -> None:
        """It is refused where it is given."""
        with self.assertRaisesRegex(ValueError, "^prefetch_pages must not be negative, got -1$"):
            self.stream(prefetch_pages=-1)
        with self.assertRaisesRegex(TypeError, "^prefetch_pages must be an int, got '1'$"):
            self.stream(prefetch_pages="1")

    def test_parameters_and_options(self) -> None:
        """They are those of execute(), for every page."""
        self.one.teach(SCAN + " WHERE x = ?", parameters=columns(x="int"), reply=self.page, columns=COLUMNS)
        self.connect()
        assert self.session is not None
        stream = self.session.stream(SCAN + " WHERE x = ?", [7], page_size=3)
        self.assertEqual(self.answer(self.take_all(stream)), list(range(1, 11)))
        executed = self.one.asked_for(constants.EXECUTE)
        self.assertEqual([asked.options.page_size for asked in executed], [3] * 4)
        self.assertEqual({asked.request.values[0] for asked in executed}, {b"\0\0\0\7"})

    def test_empty_pages(self) -> None:
        """They are not the end."""
        self.pages = [[], [1], [], [], [2], []]
        self.assertEqual(self.answer(self.take_all(self.stream())), [1, 2])

    def test_no_rows(self) -> None:
        """A stream may be empty."""
        self.pages = [[]]
        self.assertEqual(self.answer(self.take_all(self.stream())), [])

    def test_bad_row(self) -> None:
        """It raises at its row; iteration goes on behind it."""
        self.one.teach(SCAN, reply=self.bad_row)
        stream = self.stream()
        self.assertEqual(self.take(stream, 1), [1])
        error = self.failureResultOf(self.take_all(stream), DecodeError).value
        self.assertIn("row 2", str(error))
        self.assertEqual(self.answer(self.take_all(stream)), [3])
        self.assertEqual(stream.delivered, 2)

    def bad_row(self, asked: Asked) -> None:
        header = responsewriter.rows_header(
            responsewriter.column_specs(COLUMNS, asked.version), False, None, None
        )
        asked.send(constants.RESULT, responsewriter.rows(header, [[b"\0\0\0\1"], [b"\2"], [b"\0\0\0\3"]]))

    def test_failing_page(self) -> None:
        """The rows before it first; then the error, once."""
        failing = [self.page, lambda asked: asked.error(Overloaded("busy"))]
        self.one.teach(SCAN, reply=lambda asked: failing.pop(0)(asked))
        stream = self.stream()
        self.assertEqual(self.take(stream, 3), [1, 2, 3])
        self.assertIn("busy", str(self.error(self.take_all(stream), Overloaded)))
        self.assertEqual(self.answer(self.take_all(stream)), [])

    def test_bad_argument(self) -> None:
        """It errbacks, as that of execute() does."""
        error = self.error(self.take_all(self.stream(page_size=0)), ValueError)
        self.assertRegex(str(error), "^page_size must be in")

    def test_abandoned(self) -> None:
        """After a break nothing more is asked for."""

        async def some() -> None:
            async for row in stream:
                if row.k == 2:
                    break

        stream = self.stream()
        self.answer(Deferred.fromCoroutine(some()))
        self.assertEqual(self.asked, 2)
        self.reactor.advance(3600)
        self.assertEqual(self.asked, 2)

    def test_context_manager(self) -> None:
        """It is stopped where the block is left: what was on its way is taken back."""

        async def some() -> None:
            async with stream:
                async for _ in stream:
                    break

        stream = self.stream()
        self.one.holds = lambda asked: asked.options.paging_state is not None
        self.answer(Deferred.fromCoroutine(some()))
        assert self.session is not None
        self.assertEqual(len(self.session.deadlines), 0)
        self.assertEqual(repr(stream), "<RowStream stopped delivered=1 pages=0>")
        self.assertEqual(self.answer(self.take_all(stream)), [])
        self.one.release()

    def test_stopped_while_it_waits(self) -> None:
        """Who waits for a row is told that there is none."""
        self.one.holds = lambda asked: True
        stream = self.stream()
        taking = self.take_all(stream)
        self.reactor.settle()
        self.assertNoResult(taking)
        stream.stopProducing()
        self.assertEqual(self.successResultOf(taking), [])
        self.one.release()

    def test_cancelled_while_it_waits(self) -> None:
        """Who waits for a row may give up; another may go on."""
        self.one.holds = lambda asked: True
        stream = self.stream()
        taking = self.take_all(stream)
        self.reactor.settle()
        taking.cancel()
        self.failureResultOf(taking, CancelledError)
        self.one.holds = lambda asked: False
        self.one.release()
        self.assertEqual(self.answer(self.take_all(stream)), list(range(1, 11)))

    def test_two_at_once(self) -> None:
        """Two cannot wait for the same row."""
        self.one.holds = lambda asked: True
        stream = self.stream()
        first, second = self.take_all(stream), self.take_all(stream)
        self.assertIn("by somebody else", str(self.failureResultOf(second, RuntimeError).value))
        self.one.holds = lambda asked: False
        self.reactor.settle()
        self.one.release()
        self.assertEqual(len(self.answer(first)), 10)

    def test_session_closed(self) -> None:
        """What is held is delivered, then it fails."""
        stream = self.stream()
        self.take(stream, 1)
        assert self.session is not None
        self.session.close()
        self.assertEqual(self.take(stream, 5), [2, 3, 4, 5, 6])
        self.error(self.take_all(stream), SessionClosed)

    def test_copy(self) -> None:
        """A stream is an iterable of parameters as well as any other."""
        self.one.teach("INSERT", parameters=columns(k="int"))
        stream = self.stream()
        assert self.session is not None
        copying = self.session.execute_many("INSERT", stream, concurrency=2)
        self.assertEqual(len(self.answer(copying)), 10)


class DeliveryTests(StreamTestCase):
    """deliver_to()."""

    def deliver(self, consumer: Any, **options: Any) -> Deferred[int]:
        self.subject = self.stream(**options)
        delivering = self.subject.deliver_to(consumer)
        self.reactor.settle()
        return delivering

    def test_all(self) -> None:
        """Registered, all rows in order, unregistered, fired with their number."""
        consumer = Consumer()
        self.assertEqual(self.successResultOf(self.deliver(consumer)), 10)
        self.assertEqual(consumer.calls, ["register True", *range(1, 11), "unregister"])
        verifyObject(IPushProducer, self.subject)
        verifyObject(IRowConsumer, consumer)

    def test_turns(self) -> None:
        """A large page leaves the reactor its turns."""
        self.pages = [list(range(2 * ROWS_A_TURN + 5))]
        seen: list[int] = []

        def look(k: int) -> None:
            if k % ROWS_A_TURN == 0:
                self.reactor.callLater(0, lambda: seen.append(len(consumer.rows)))

        consumer = Consumer(look)
        self.assertEqual(self.successResultOf(self.deliver(consumer)), 1005)
        self.assertEqual(seen, [500, 1000, 1005])

    def test_pause_in_the_middle_of_a_page(self) -> None:
        """No row after it, and no page beyond the one that is held."""
        consumer = Consumer(lambda k: consumer.producer.pauseProducing() if k in (2, 5) else None)
        delivering = self.deliver(consumer)
        self.assertEqual(consumer.rows, [1, 2])
        self.reactor.advance(3600)
        self.assertEqual((consumer.rows, self.asked), ([1, 2], 2))
        self.assertEqual(repr(self.subject), "<RowStream paused delivered=2 pages=1>")
        consumer.producer.resumeProducing()
        self.reactor.settle()
        self.assertEqual((consumer.rows, self.asked), ([1, 2, 3, 4, 5], 3))
        consumer.producer.resumeProducing()
        self.reactor.settle()
        self.assertEqual(self.successResultOf(delivering), 10)

    def test_paused_at_first(self) -> None:
        """A consumer that has no room yet: nothing is asked for."""
        consumer = Consumer()
        consumer.on_register = lambda: consumer.producer.pauseProducing()
        delivering = self.deliver(consumer)
        self.assertEqual(self.asked, 0)
        consumer.producer.resumeProducing()
        self.assertEqual(self.answer(delivering), 10)

    def test_resumed_at_first(self) -> None:
        """No row is written before it is registered."""
        consumer = Consumer()
        asked: list[int] = []

        def on_register() -> None:
            consumer.producer.resumeProducing()
            asked.append(self.asked)

        consumer.on_register = on_register
        self.assertEqual(self.successResultOf(self.deliver(consumer)), 10)
        self.assertEqual(asked, [0])

    def test_pause_and_resume_in_write(self) -> None:
        """In whatever order: the last one counts."""
        consumer = Consumer()

        def on_write(k: int) -> None:
            for _ in range(2):
                consumer.producer.pauseProducing()
            if k != 5:
                consumer.producer.resumeProducing()
                consumer.producer.resumeProducing()

        consumer.on_write = on_write
        delivering = self.deliver(consumer)
        self.assertEqual(consumer.rows, [1, 2, 3, 4, 5])
        consumer.producer.resumeProducing()
        self.assertEqual(self.answer(delivering), 10)
        self.assertEqual(consumer.rows, list(range(1, 11)))

    def test_stop(self) -> None:
        """It fires with the rows delivered so far; no page is asked for, and what is held is dropped."""
        consumer = Consumer(lambda k: consumer.producer.pauseProducing() if k == 2 else None)
        delivering = self.deliver(consumer)
        for _ in range(2):
            consumer.producer.stopProducing()
        self.assertEqual(self.successResultOf(delivering), 2)
        self.assertEqual(consumer.calls, ["register True", 1, 2, "unregister"])
        consumer.producer.resumeProducing()
        consumer.producer.pauseProducing()
        self.reactor.settle()
        self.assertEqual((self.asked, repr(self.subject)), (2, "<RowStream stopped delivered=2 pages=0>"))

    def test_stop_in_write(self) -> None:
        """The row that is being written counts; unregistered after it."""
        consumer = Consumer(lambda k: consumer.producer.stopProducing() if k == 5 else None)
        self.assertEqual(self.successResultOf(self.deliver(consumer)), 5)
        self.assertEqual(consumer.calls[-2:], [5, "unregister"])

    def test_stop_while_a_page_is_on_its_way(self) -> None:
        """Its answer is not waited for."""
        self.one.holds = lambda asked: asked.options.paging_state is not None
        consumer = Consumer()
        delivering = self.deliver(consumer)
        self.assertEqual(consumer.rows, [1, 2, 3])
        consumer.producer.stopProducing()
        self.assertEqual(self.successResultOf(delivering), 3)
        assert self.session is not None
        self.assertEqual(len(self.session.deadlines), 0)
        self.one.release()

    def test_stop_between_two_turns(self) -> None:
        """Nothing is left to be called."""
        self.pages = [list(range(2 * ROWS_A_TURN))]
        consumer = Consumer(
            lambda k: self.reactor.callLater(0, self.subject.stopProducing) if k == 499 else None
        )
        self.assertEqual(self.successResultOf(self.deliver(consumer)), 500)

    def test_stop_while_registering(self) -> None:
        """As a transport that is gone does."""
        consumer = Consumer()
        consumer.on_register = lambda: consumer.producer.stopProducing()
        self.assertEqual(self.successResultOf(self.deliver(consumer)), 0)
        self.assertEqual((consumer.calls, self.asked), (["register True", "unregister"], 0))

    def test_stopped_before(self) -> None:
        """There is nothing to deliver."""
        stream = self.stream()
        stream.stopProducing()
        consumer = Consumer()
        self.assertEqual(self.successResultOf(stream.deliver_to(consumer)), 0)
        self.assertEqual(consumer.calls, ["register True", "unregister"])

    def test_cancel(self) -> None:
        """CancelledError, and it is stopped."""
        consumer = Consumer(lambda k: consumer.producer.pauseProducing() if k == 2 else None)
        delivering = self.deliver(consumer)
        delivering.cancel()
        self.failureResultOf(delivering, CancelledError)
        self.assertEqual(consumer.calls, ["register True", 1, 2, "unregister"])
        consumer.producer.resumeProducing()
        self.reactor.settle()
        self.assertEqual(consumer.rows, [1, 2])

    def test_cancel_in_write(self) -> None:
        """No row after it; unregistered once."""
        consumer = Consumer(lambda k: delivering.cancel() if k == 2 else None)
        self.connect()
        delivering = self.stream().deliver_to(consumer)
        self.reactor.settle()
        self.failureResultOf(delivering, CancelledError)
        self.assertEqual(consumer.calls, ["register True", 1, 2, "unregister"])

    def test_cancel_while_unregistering(self) -> None:
        """It has ended already: either way it fires once."""
        consumer = Consumer()
        consumer.on_unregister = lambda: delivering.cancel()
        self.connect()
        delivering = self.stream().deliver_to(consumer)
        self.reactor.settle()
        self.failureResultOf(delivering, CancelledError)
        self.assertEqual(consumer.calls.count("unregister"), 1)

    def test_failing_write(self) -> None:
        """It ends with what the consumer raised."""
        consumer = Consumer(lambda k: 1 // (k - 3))
        self.failureResultOf(self.deliver(consumer), ZeroDivisionError)
        self.assertEqual(consumer.calls, ["register True", 1, 2, 3, "unregister"])
        self.assertEqual(self.subject.delivered, 2)
        asked = self.asked
        self.reactor.settle()
        self.assertEqual(self.asked, asked)

    def test_stop_and_fail_in_write(self) -> None:
        """The error is not swallowed."""
        consumer = Consumer(lambda k: (consumer.producer.stopProducing(), 1 // 0))
        self.failureResultOf(self.deliver(consumer), ZeroDivisionError)
        self.assertEqual(consumer.calls, ["register True", 1, "unregister"])

    def test_failing_register(self) -> None:
        """Nothing was registered, so nothing is unregistered."""
        consumer = Consumer()
        consumer.on_register = lambda: 1 // 0
        self.failureResultOf(self.deliver(consumer), ZeroDivisionError)
        self.assertEqual((consumer.calls, self.asked), (["register True"], 0))

    def test_failing_unregister(self) -> None:
        """It fails with that, if nothing else was wrong."""
        consumer = Consumer()
        consumer.on_unregister = lambda: 1 // 0
        self.failureResultOf(self.deliver(consumer), ZeroDivisionError)
        self.assertEqual(len(consumer.rows), 10)

    def test_no_consumer(self) -> None:
        """What has no such methods is refused."""
        self.failureResultOf(self.stream().deliver_to(object()), AttributeError)

    def test_bad_row(self) -> None:
        """The rows before it, then its error."""
        self.one.teach(SCAN, reply=lambda asked: IterationTests.bad_row(self, asked))  # type: ignore[arg-type]
        consumer = Consumer()
        self.failureResultOf(self.deliver(consumer), DecodeError)
        self.assertEqual(consumer.calls, ["register True", 1, "unregister"])

    def test_failing_page(self) -> None:
        """The rows before it first, at the pace of the consumer."""
        failing = [self.page, lambda asked: asked.error(Overloaded("busy"))]
        self.one.teach(SCAN, reply=lambda asked: failing.pop(0)(asked))
        consumer = Consumer(lambda k: consumer.producer.pauseProducing())
        delivering = self.deliver(consumer)
        for _ in range(2):
            self.assertNoResult(delivering)
            consumer.producer.resumeProducing()
        self.assertEqual(consumer.rows, [1, 2, 3])
        consumer.producer.resumeProducing()
        self.failureResultOf(delivering, Overloaded)
        self.assertEqual(consumer.calls[-1], "unregister")

    def test_failing_at_once(self) -> None:
        """A statement that is wrong."""
        consumer = Consumer()
        self.failureResultOf(self.deliver(consumer, page_size=0), ValueError)
        self.assertEqual(consumer.calls, ["register True", "unregister"])

    def test_once(self) -> None:
        """A stream has one consumer, which is not told of another's attempt."""
        consumer = Consumer()
        delivering = self.deliver(consumer)
        error = self.failureResultOf(self.subject.deliver_to(Consumer()), RuntimeError).value
        self.assertEqual(str(error), "the stream is delivered to a consumer already")
        self.failureResultOf(self.take_all(self.subject), RuntimeError)
        self.assertEqual(self.successResultOf(delivering), 10)

    def test_iterated_over(self) -> None:
        """What is iterated over cannot be delivered."""
        stream = self.stream()
        self.take(stream, 1)
        self.failureResultOf(stream.deliver_to(Consumer()), RuntimeError)
        self.assertEqual(self.take(stream, 1), [2])


class BytesTests(StreamTestCase):
    """``encode``: rows to an IConsumer of bytes."""

    pages: Sequence[Sequence[int]] = ((1, 2), (3,))

    def test_transport(self) -> None:
        """A transport is a consumer."""
        transport = StringTransport()
        delivering = self.stream().deliver_to(transport, encode=txcql.json_lines)
        self.assertIsNotNone(transport.producer)
        self.assertEqual(self.answer(delivering), 3)
        self.assertEqual(transport.value(), b'{"k":1}\n{"k":2}\n{"k":3}\n')
        self.assertIsNone(transport.producer)

    def test_failing_encode(self) -> None:
        """It ends with what it raised."""
        transport = StringTransport()
        delivering = self.stream().deliver_to(transport, encode=lambda row: b"" * (1 // 0))
        self.error(delivering, ZeroDivisionError)
        self.assertIsNone(transport.producer)

    def request(self) -> tuple[StringTransport, Request]:
        """A web request whose answer is to be written."""
        channel = HTTPChannel()
        requests: list[Request] = []

        class Kept(Request):
            def process(self) -> None:
                requests.append(self)

        channel.requestFactory = Kept
        channel.callLater = self.reactor.callLater  # type: ignore[assignment, method-assign]
        channel.timeOut = None
        transport = StringTransport()
        channel.makeConnection(transport)
        channel.dataReceived(b"GET / HTTP/1.0\r\n\r\n")
        return transport, requests[0]

    def producer_of(self, transport: StringTransport) -> Any:
        return transport.producer

    def test_web_request(self) -> None:
        """The answer to a web request."""
        transport, request = self.request()
        delivering = self.stream().deliver_to(request, encode=txcql.json_lines)
        self.assertEqual(self.answer(delivering), 3)
        request.finish()
        self.assertTrue(transport.value().endswith(b'\r\n\r\n{"k":1}\n{"k":2}\n{"k":3}\n'))

    def test_web_client_is_slow(self) -> None:
        """The transport pauses the request's producer, which is the stream."""
        transport, request = self.request()
        delivering = self.stream().deliver_to(request, encode=txcql.json_lines)
        self.producer_of(transport).pauseProducing()
        self.reactor.settle()
        self.assertEqual(transport.value(), b"")
        self.producer_of(transport).resumeProducing()
        self.assertEqual(self.answer(delivering), 3)
        request.finish()

    def test_web_client_is_gone(self) -> None:
        """The stream is stopped."""
        transport, request = self.request()
        self.one.holds = lambda asked: asked.options.paging_state is not None
        delivering = self.stream().deliver_to(request, encode=txcql.json_lines)
        self.reactor.settle()
        self.producer_of(transport).stopProducing()
        self.assertEqual(self.successResultOf(delivering), 2)
        self.one.release()
