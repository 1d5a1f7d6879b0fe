"""Tests for :mod:`txcql.session.observedrequest` and :mod:`txcql.session.requestevents`."""

from __future__ import annotations

import gc
import weakref
from typing import Any

from twisted.internet.defer import CancelledError
from zope.interface import implementer

from txcql.errors import CQLSyntaxError, NoNodeAvailable, Overloaded, RequestTimeout
from txcql.interfaces import IRequestObserver
from txcql.session.observedrequest import ObservedStatementRequest
from txcql.session.request import PrepareRequest
from txcql.session.requestevents import STEPS, RequestEvent
from txcql.session.statementrequest import StatementRequest
from txcql.test.scriptedsession import INSERT, LIST, SELECT, SessionTestCase, held

SENT_AND_ANSWERED = [
    "created", "planned", "routed", "stream taken", "written",
    "read", "framed", "matched", "decoded", "finished",
]  # fmt: skip


@implementer(IRequestObserver)
class Gatherer:
    """Keeps every event."""

    def __init__(self, wants_values: bool = False) -> None:
        self.wants_values = wants_values
        self.events: list[RequestEvent] = []

    def request_step(self, event: RequestEvent) -> None:
        self.events.append(event)

    def steps(self, number: int | None = None) -> list[str]:
        """The steps of one request; of the last, if none is named."""
        number = number or self.events[-1].request.number
        return [event.step for event in self.events if event.request.number == number]

    def of_step(self, step: str) -> list[RequestEvent]:
        return [event for event in self.events if event.step == step]


class ObservedTestCase(SessionTestCase):
    """A session with an observer."""

    def setUp(self) -> None:
        SessionTestCase.setUp(self)
        self.observer = Gatherer()

    def observed(self, **settings: Any) -> Any:
        return self.connect(observers=[self.observer], **settings)


class StepsTests(ObservedTestCase):
    """Each of the twelve, in its place."""

    def test_answered(self) -> None:
        """From the call to the result, with the time and the node of each."""
        session = self.observed()
        self.one.holds = held
        deferred = session.execute(LIST, consistency="ONE", timeout=3.0)
        self.reactor.settle()
        self.reactor.advance(0.5)
        self.one.release()
        self.answer(deferred)
        self.assertEqual(self.observer.steps(), SENT_AND_ANSWERED)
        waited = {event.step: event.elapsed for event in self.observer.events}
        self.assertEqual((waited["written"], waited["read"], waited["finished"]), (0.0, 0.5, 0.5))
        first, last = self.observer.events[0], self.observer.events[-1]
        self.assertEqual((first.node, last.node, last.error), (None, "10.0.0.1:9042", None))
        info = last.request
        self.assertIs(info, first.request)
        self.assertEqual(
            (info.text, info.keyspace, info.consistency, info.timeout, info.preparing, info.values),
            (LIST, None, "ONE", 3.0, False, None),
        )
        self.assertEqual(info.timeline[-1], ("finished", last.at, "10.0.0.1:9042"))
        self.assertGreater(self.observer.of_step("stream taken")[0].size, len(LIST))
        self.assertGreater(self.observer.of_step("framed")[0].size, 0)

    def test_prepared_first(self) -> None:
        """The PREPARE is a request of its own; the statement is planned when it is there."""
        session = self.observed()
        self.answer(session.execute(SELECT, [1]))
        [preparing] = {event.request.number for event in self.observer.events if event.request.preparing}
        self.assertEqual(self.observer.steps(preparing), SENT_AND_ANSWERED)
        prepared = self.observer.of_step("finished")[0].request
        self.assertEqual((prepared.text, prepared.consistency), (SELECT, None))
        self.assertEqual(self.observer.steps(), SENT_AND_ANSWERED)

    def test_queue(self) -> None:
        """What waits for a link is queued first, and taken from the queue when there is room."""
        session = self.observed(max_requests_per_connection=2)
        self.one.holds = held
        first, second = session.execute(LIST), session.execute(LIST)
        self.reactor.settle()
        self.assertEqual(self.observer.steps(2), ["created", "planned", "routed", "queued"])
        self.one.release()
        self.reactor.settle()
        self.one.release()
        self.answer(first)
        self.answer(second)
        self.assertEqual(
            self.observer.steps(2), [*SENT_AND_ANSWERED[:3], "queued", "dequeued", *SENT_AND_ANSWERED[3:]]
        )

    def test_error(self) -> None:
        """What the server says is decoded, and fails the attempt."""
        session = self.observed()
        self.one.teach("SELEC", lambda asked: asked.error(CQLSyntaxError("no")))
        self.error(session.execute("SELEC"), CQLSyntaxError)
        self.assertEqual(self.observer.steps()[-3:], ["decoded", "failed", "finished"])
        for event in self.observer.events[-3:]:
            self.assertIsInstance(event.error, CQLSyntaxError)

    def test_next_node(self) -> None:
        """A retry is routed again; each event names the node of its attempt."""
        two = self.node("10.0.0.2")
        self.teach(two)
        self.one.teach(LIST, lambda asked: asked.error(Overloaded("busy")))
        session = self.observed(local_datacenter="dc1")
        for _ in range(2):
            self.answer(session.execute(LIST))
        [failed] = self.observer.of_step("failed")
        self.assertEqual((failed.node, type(failed.error)), ("10.0.0.1:9042", Overloaded))
        steps = self.observer.steps(failed.request.number)
        self.assertEqual(steps, [*SENT_AND_ANSWERED[:-1], "failed", *SENT_AND_ANSWERED[2:]])

    def test_schema_change(self) -> None:
        """It is decoded when it is there, and finished when the nodes agree."""
        session = self.observed()
        self.one.teach("CREATE", lambda asked: asked.schema_changed())
        self.answer(session.execute("CREATE"))
        self.assertEqual(self.observer.steps(), SENT_AND_ANSWERED)

    def test_deadline(self) -> None:
        """It is finished, with its error."""
        session = self.observed(read_timeout=60.0)
        self.one.holds = held
        deferred = session.execute(LIST, timeout=1.0)
        self.reactor.settle()
        self.reactor.advance(1.1)
        self.failureResultOf(deferred, RequestTimeout)
        self.assertEqual(self.observer.steps(), [*SENT_AND_ANSWERED[:5], "finished"])
        self.assertIsInstance(self.observer.events[-1].error, RequestTimeout)

    def test_cancel(self) -> None:
        """So it is when it is cancelled, before its bytes are written."""
        session = self.observed()
        deferred = session.execute(LIST)
        deferred.cancel()
        self.failureResultOf(deferred, CancelledError)
        self.assertEqual(self.observer.steps(), [*SENT_AND_ANSWERED[:4], "finished"])

    def test_no_node(self) -> None:
        """Also when it goes nowhere."""
        session = self.observed()
        self.one.stop()
        self.reactor.settle()
        self.error(session.execute(LIST), NoNodeAvailable)
        self.assertEqual(self.observer.steps(), ["created", "planned", "finished"])

    def test_every_step_is_told(self) -> None:
        """The twelve of the documentation."""
        session = self.observed(max_requests_per_connection=2)
        self.one.teach("SELEC", lambda asked: asked.error(CQLSyntaxError("no")))
        answered, queued = session.execute(LIST), session.execute("SELEC")
        self.answer(answered)
        self.failureResultOf(queued, CQLSyntaxError)
        self.assertEqual({event.step for event in self.observer.events}, {*STEPS, "finished"})


class ValuesTests(ObservedTestCase):
    """What may be secret."""

    def test_not_wanted(self) -> None:
        """They are not told."""
        session = self.observed()
        self.answer(session.execute(INSERT, [1, "secret"]))
        self.assertEqual({event.request.values for event in self.observer.events}, {None})

    def test_wanted(self) -> None:
        """They are, from when they are known."""
        self.observer.wants_values = True
        session = self.observed()
        insert = self.answer(session.prepare(INSERT))
        self.answer(session.execute(INSERT, [1, "secret"]))
        self.assertEqual(self.observer.events[-1].request.values, [1, "secret"])
        self.answer(session.execute(insert, [2, None]))
        self.assertEqual(self.observer.events[-1].request.values, [2, None])
        self.answer(session.execute(LIST))
        self.assertEqual(self.observer.events[-1].request.values, [])


class ObserversTests(ObservedTestCase):
    """Who is told, and who is not there."""

    def test_a_defect(self) -> None:
        """What an observer raises is logged; the request and the other observers do not notice."""

        @implementer(IRequestObserver)
        class Broken:
            wants_values = False

            def request_step(self, event: RequestEvent) -> None:
                raise LookupError("broken")

        session = self.connect(observers=[Broken(), self.observer])
        self.assertEqual(len(self.answer(session.execute(LIST))), 2)
        self.assertEqual(self.observer.steps(), SENT_AND_ANSWERED)
        self.assertEqual(len(self.flushLoggedErrors(LookupError)), len(SENT_AND_ANSWERED))

    def test_none(self) -> None:
        """Requests are of the classes that know of no observer."""
        core: Any = self.connect()
        self.assertIsNone(core.observation)
        self.assertIs(core._statement_request, StatementRequest)
        self.assertIs(core._prepare_request, PrepareRequest)

    def test_bulk_work(self) -> None:
        """Its requests are observed like others."""
        session = self.observed()
        self.answer(session.execute_many(INSERT, [[1, "x"], [2, "y"]]))
        finished = [event.request.text for event in self.observer.of_step("finished")]
        self.assertEqual(finished, [INSERT] * 3)

    def test_nothing_is_kept(self) -> None:
        """A request that has ended is not held by what was told of it."""
        session = self.observed()
        seen = []

        class Referenced(ObservedStatementRequest):
            def __init__(self, *about: Any) -> None:
                ObservedStatementRequest.__init__(self, *about)
                seen.append(weakref.ref(self))

        self.assertIs(session._statement_request, ObservedStatementRequest)
        session._statement_request = Referenced
        gc.collect()
        gc.disable()
        self.addCleanup(gc.enable)
        self.answer(session.execute(LIST))
        self.one.requests.clear()
        [reference] = seen
        self.assertIsNone(reference())
