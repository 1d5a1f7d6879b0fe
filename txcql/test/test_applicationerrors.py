"""What an application raises where the driver calls it never reaches a connection.

Each test has the driver call something that raises, on a session of one link, and then sees that no link
was opened or closed, that the session serves, and that whoever asked has been told, or the log.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.testing import StringTransport
from zope.interface import implementer

from txcql import policies
from txcql.errors import CQLError, DecodeError, EncodeError
from txcql.interfaces import (
    IAddressTranslator,
    IFlowObserver,
    ILoadBalancingPolicy,
    IReconnectionPolicy,
    IRequestObserver,
    IRetryPolicy,
    ISpeculativeExecutionPolicy,
    ITimestampGenerator,
)
from txcql.test.scriptednode import Asked
from txcql.test.scriptedsession import INSERT, LIST, SELECT, SessionTestCase


class Mine(Exception):
    """The application's own."""


def fail(*arguments: Any, **named: Any) -> Any:
    """What the driver calls."""
    raise Mine("of the application")


class ApplicationTestCase(SessionTestCase):
    """One node, one link besides the control connection's."""

    def begin(self, **settings: Any) -> None:
        self.client = self.connect(**settings)
        self.note_links()

    def note_links(self) -> None:
        self.accepted = self.one.accepted
        self.links = set(self.one.links)

    def assert_unharmed(self, logged: int = 0) -> None:
        """The links are the same, and serve; the log has as many errors, all of them the application's."""
        self.reactor.settle()
        self.assertEqual(self.one.accepted, self.accepted)
        self.assertEqual(set(self.one.links), self.links)
        self.assertEqual(len(self.flushLoggedErrors(Mine)), logged)
        self.assertEqual(self.flushLoggedErrors(), [])
        self.assertEqual(self.answer(self.client.execute(LIST)).all()[0], (1, "one"))


class CallbackTests(ApplicationTestCase):
    """Callbacks of Deferreds, and what is called for each row or result."""

    def test_callbacks(self) -> None:
        """Of each Deferred that an application is given: the next callback gets it, and nobody else."""
        self.begin()
        begun: tuple[Callable[[], Deferred[Any]], ...] = (
            lambda: self.client.execute(LIST),
            lambda: self.client.execute("no such statement"),
            lambda: self.client.execute(SELECT, [1]),
            lambda: self.client.prepare(INSERT),
            lambda: self.client.set_keyspace("ks"),
            lambda: self.client.execute_many(INSERT, [(1, "a"), (2, "b")]),
            lambda: self.client.when_ready(),
            lambda: Deferred.fromCoroutine(anext_of(self.client.stream(LIST))),
        )
        for begin in begun:
            deferred = begin()
            deferred.addBoth(fail)
            self.error(deferred, Mine)
            self.assert_unharmed()

    def test_many_in_one_read(self) -> None:
        """The answers behind it are delivered."""
        self.begin()
        outcomes: list[Any] = []
        for number in range(5):
            deferred = self.client.execute(LIST)
            if number == 2:
                deferred.addCallback(fail)
            deferred.addBoth(outcomes.append)
        self.reactor.settle()
        self.assertEqual(len(outcomes), 5)
        self.assertIsInstance(outcomes[2].value, Mine)
        self.assert_unharmed()

    def test_in_the_errback_of_a_lost_link(self) -> None:
        """The others are told all the same, and the session goes on."""
        self.begin()
        self.one.holds = lambda asked: True
        outcomes: list[Any] = []
        for _ in range(3):
            self.client.execute(INSERT.replace("?, ?", "1, 'a'")).addErrback(fail).addBoth(outcomes.append)
        self.reactor.settle()
        for link in list(self.one.links):
            link.drop()
        self.reactor.settle()
        self.assertEqual(len(outcomes), 3)
        self.one.holds = lambda asked: False
        self.one.held.clear()
        self.reactor.advance(1.0)
        self.note_links()
        self.assert_unharmed()

    def test_on_result(self) -> None:
        """It ends the work that it was given to."""
        self.begin()
        self.error(self.client.execute_many(INSERT, [(1, "a")] * 5, on_result=fail), Mine)
        self.assert_unharmed()

    def test_rows_to_execute(self) -> None:
        """An iterable that fails."""
        self.begin()

        def rows() -> Iterator[Any]:
            yield 1, "a"
            fail()

        self.error(self.client.execute_many(INSERT, rows()), Mine)
        self.assert_unharmed()

    def test_sink(self) -> None:
        """A producer whose methods fail, and an ``on_error`` that does."""
        self.begin()
        sink = self.client.sink(on_error=fail)
        sink.write("no such statement")
        self.reactor.settle()
        self.error(sink.finished, Mine)
        self.assert_unharmed()

    def test_row_consumers(self) -> None:
        """One whose ``write`` fails, of rows and of bytes."""
        self.begin()

        class Consumer:
            def registerProducer(self, producer: Any, streaming: bool) -> None:
                pass

            def unregisterProducer(self) -> None:
                pass

            def write(self, row: Any) -> None:
                fail()

        self.error(self.client.stream(LIST).deliver_to(Consumer()), Mine)
        self.assert_unharmed()
        transport = StringTransport()
        self.error(self.client.stream(LIST).deliver_to(transport, encode=fail), Mine)
        self.assert_unharmed()

    def test_row_class(self) -> None:
        """It concerns its row."""

        class Row:
            def __init__(self, k: int, v: str) -> None:
                fail()

        self.begin()
        result = self.answer(self.client.execute(LIST, into=Row))
        with self.assertRaises(DecodeError) as caught:
            result.all()
        self.assertIn("of the application", str(caught.exception))
        self.assert_unharmed()

    def test_codecs(self) -> None:
        """An encoder fails its request, a decoder its row."""

        class Codec:
            encode = decode = staticmethod(fail)

        self.begin(codecs={"int": Codec()})
        self.error(self.client.execute(SELECT, [1]), EncodeError)
        result = self.answer(self.client.execute(LIST))
        self.assertRaises(DecodeError, result.all)
        self.assertEqual(self.one.accepted, self.accepted)


async def anext_of(stream: Any) -> Any:
    async for row in stream:
        return row


class PolicyTests(ApplicationTestCase):
    """Policies, observers and translators."""

    def test_load_balancing(self) -> None:
        """A plan that fails fails its request; what it is told of nodes is logged."""

        class Policy(policies.RoundRobinPolicy):
            broken = False

            def plan(self, request: Any) -> Any:
                return fail() if self.broken else super().plan(request)

            def node_up(self, node: Any) -> None:
                super().node_up(node)
                fail()

        self.assertTrue(ILoadBalancingPolicy.implementedBy(Policy))
        policy = Policy()
        self.begin(load_balancing=policy)
        self.assertGreaterEqual(len(self.flushLoggedErrors(Mine)), 1)
        policy.broken = True
        outcomes: list[Any] = []
        for text in (LIST, "no such statement"):
            self.client.execute(text).addErrback(outcomes.append)
        self.error(self.client.execute(SELECT, [1]), Mine)
        self.assertEqual([failure.type for failure in outcomes], [Mine, Mine])
        policy.broken = False
        self.assert_unharmed()

    def test_plan_that_fails_half_way(self) -> None:
        """Between two nodes."""

        class Policy(policies.RoundRobinPolicy):
            def plan(self, request: Any) -> Any:
                if self.broken:
                    fail()
                yield from super().plan(request)

            broken = False

        policy = Policy()
        self.begin(load_balancing=policy)
        policy.broken = True
        self.error(self.client.execute(LIST), Mine)
        policy.broken = False
        self.assert_unharmed()

    def test_retry(self) -> None:
        """The request fails."""

        @implementer(IRetryPolicy)
        class Policy:
            decide = staticmethod(fail)

        self.begin(retry=Policy())
        self.error(self.client.execute("no such statement"), Mine, CQLError)
        self.flushLoggedErrors(Mine)
        self.assert_unharmed()

    def test_speculative(self) -> None:
        """The request goes on, or fails: the link does not."""

        @implementer(ISpeculativeExecutionPolicy)
        class Policy:
            delay = staticmethod(fail)

        self.begin(speculative=Policy())
        outcomes: list[Any] = []
        self.client.execute(SELECT, [1], idempotent=True).addBoth(outcomes.append)
        self.reactor.settle()
        self.assertEqual(len(outcomes), 1)
        self.flushLoggedErrors(Mine)
        self.assertEqual(self.one.accepted, self.accepted)

    def test_timestamps(self) -> None:
        """The request fails before it is sent."""

        @implementer(ITimestampGenerator)
        class Generator:
            next = staticmethod(fail)

        self.begin(timestamps=Generator())
        self.error(self.client.execute(INSERT, [1, "a"]), Mine)
        self.assertEqual(self.one.accepted, self.accepted)

    def test_observers(self) -> None:
        """They are logged, and nobody else notices."""

        @implementer(IRequestObserver, IFlowObserver)
        class Observer:
            wants_values = False
            request_step = flow_signal = staticmethod(fail)

        self.begin(observers=(Observer(),), max_requests_per_connection=2)
        self.flushLoggedErrors(Mine)
        self.one.holds = lambda asked: True
        asked = [self.client.execute(LIST) for _ in range(4)]
        self.reactor.settle()
        self.one.holds = lambda asked: False
        self.one.release()
        self.reactor.settle()
        results = [deferred for deferred in asked if isinstance(getattr(deferred, "result", None), object)]
        self.assertEqual(len(results), 4)
        for deferred in asked:
            deferred.addErrback(lambda failure: failure.trap(CQLError))
        self.assertGreater(len(self.flushLoggedErrors(Mine)), 5)
        self.answer(self.client.execute(LIST))
        self.flushLoggedErrors(Mine)
        self.assertEqual(self.one.accepted, self.accepted)

    def test_reconnection(self) -> None:
        """A schedule that fails, or ends, does not leave a node without attempts."""

        @implementer(IReconnectionPolicy)
        class Policy:
            def delays(self) -> Iterator[float]:
                yield 0.1
                fail()

        self.begin(reconnection=Policy())
        self.one.refusing = True
        for link in list(self.one.links):
            link.drop()
        self.pass_seconds(5)
        self.one.refusing = False
        self.pass_seconds(130)
        self.flushLoggedErrors(Mine)
        self.assertEqual(self.answer(self.client.execute(LIST)).all()[0], (1, "one"))

    def pass_seconds(self, seconds: int) -> None:
        for _ in range(seconds * 4):
            self.reactor.advance(0.25)

    def test_address_translator(self) -> None:
        """The node cannot be used; the others can."""

        @implementer(IAddressTranslator)
        class Translator:
            translate = staticmethod(fail)

        two = self.node("10.0.0.2")
        self.teach(two)
        self.client = self.connect(address_translator=Translator())
        self.flushLoggedErrors(Mine)
        self.assertEqual(self.answer(self.client.execute(LIST)).all()[0], (1, "one"))


class LinkTests(ApplicationTestCase):
    """Two at the same time."""

    def test_a_callback_that_closes_the_session(self) -> None:
        """And raises: what was asked besides is told."""
        self.begin()
        outcomes: list[Any] = []

        def close(result: Any) -> None:
            self.client.close()
            fail()

        self.client.execute(LIST).addCallback(close).addErrback(outcomes.append)
        self.client.execute(LIST).addBoth(outcomes.append)
        self.reactor.settle()
        self.assertEqual(len(outcomes), 2)

    def test_a_callback_that_asks_again(self) -> None:
        """And raises."""
        self.begin()
        asked: list[Asked] = []

        def again(result: Any) -> None:
            if len(asked) < 5:
                asked.append(result)
                self.client.execute(LIST).addCallback(again).addErrback(lambda failure: failure.trap(Mine))
            fail()

        self.client.execute(LIST).addCallback(again).addErrback(lambda failure: failure.trap(Mine))
        for _ in range(10):
            self.reactor.settle()
        self.assertEqual(len(asked), 5)
        self.assert_unharmed()
