"""Tests for :mod:`txcql.integrations.otel`: what a collector receives, and what the meters count."""

from __future__ import annotations

from typing import Any

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from txcql.errors import InvalidRequest, Overloaded, SessionClosed
from txcql.integrations.otel import DURATION_BOUNDS, OpenTelemetry
from txcql.integrations.otelmetrics import SessionInstruments
from txcql.integrations.statementsummary import summary_of
from txcql.test.otlpcollector import OTLPCollector
from txcql.test.scriptednode import Asked
from txcql.test.scriptedsession import LIST, SELECT, SessionTestCase, held

SERVER, CLIENT = 2, 3
ERROR = 2


class TelemetryTestCase(SessionTestCase):
    """A session, two nodes, and a collector."""

    def setUp(self) -> None:
        super().setUp()
        self.two = self.node("10.0.0.2")
        self.teach(self.two)
        self.collector = OTLPCollector()
        self.addCleanup(self.collector.close)
        self.provider = TracerProvider(shutdown_on_exit=False)
        self.provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(self.collector.endpoint)))
        self.addCleanup(self.provider.shutdown)
        self.reader = InMemoryMetricReader()
        self.meters = MeterProvider([self.reader], shutdown_on_exit=False)
        self.addCleanup(self.meters.shutdown)
        self.tracer = self.provider.get_tracer("the application")

    def begin(self, **settings: Any) -> None:
        about = {name: settings.pop(name) for name in ("query_text", "attempts") if name in settings}
        self.telemetry = OpenTelemetry(self.provider, self.meters, **about)
        session = self.connect(observers=[self.telemetry], **settings)
        self.traced = self.telemetry.trace(session)

    def receive(self) -> None:
        """Have the collector receive all that has ended."""
        self.provider.force_flush()

    def one_span(self, name: str) -> Any:
        (span,) = self.collector.named(name)
        return span

    def attributes(self, span: Any) -> dict[str, Any]:
        return {found.key: getattr(found.value, found.value.WhichOneof("value")) for found in span.attributes}

    def points(self, name: str) -> list[Any]:
        """The points of a metric."""
        data: Any = self.reader.get_metrics_data()
        if data is None:
            return []
        return [
            point
            for resource in data.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
            if metric.name == name
            for point in metric.data.data_points
        ]


class TraceTests(TelemetryTestCase):
    """What a collector receives."""

    def test_a_request(self) -> None:
        """Its name, kind, parent, attributes and times are as the conventions have them."""
        self.begin(keyspace="ks")
        self.one.holds = self.two.holds = held
        with self.tracer.start_as_current_span("page") as page:
            request = self.traced.execute(LIST, consistency="QUORUM")
        self.reactor.settle()
        self.reactor.advance(0.25)
        self.release()
        self.answer(request)
        self.receive()
        span = self.one_span("SELECT t")
        self.assertEqual(span.kind, CLIENT)
        self.assertEqual(int.from_bytes(span.parent_span_id, "big"), page.get_span_context().span_id)
        self.assertEqual(int.from_bytes(span.trace_id, "big"), page.get_span_context().trace_id)
        attributes = self.attributes(span)
        address = attributes.pop("server.address")
        self.assertIn(address, ("10.0.0.1", "10.0.0.2"))
        self.assertEqual(
            attributes,
            {
                "db.system.name": "cassandra",
                "db.namespace": "ks",
                "db.operation.name": "SELECT",
                "db.collection.name": "t",
                "db.query.summary": "SELECT t",
                "db.query.text": LIST,
                "cassandra.consistency.level": "quorum",
                "server.port": 9042,
            },
        )
        self.assertAlmostEqual((span.end_time_unix_nano - span.start_time_unix_nano) / 1e9, 0.25, 3)
        self.assertEqual(span.status.code, 0)

    def release(self) -> None:
        for node in (self.one, self.two):
            node.release()
        self.reactor.settle()

    def busy_first(self) -> None:
        """Whichever node is asked first is busy."""
        asked: list[Asked] = []

        def reply(given: Asked) -> None:
            asked.append(given)
            if len(asked) % 2:
                given.error(Overloaded("busy"))
            else:
                given.statement_rows(given.node.statements[LIST])

        for node in (self.one, self.two):
            node.statements[LIST].reply = reply

    def test_retries(self) -> None:
        """Each attempt is a span below the request's, with its node, its time, and its error."""
        self.begin()
        self.busy_first()
        self.one.holds = self.two.holds = held
        request = self.traced.execute(LIST)
        for _ in range(2):
            self.reactor.settle()
            self.reactor.advance(0.25)
            self.release()
        self.answer(request)
        self.receive()
        span = self.one_span("SELECT t")
        first, second = self.one_span("attempt 1"), self.one_span("attempt 2")
        for attempt in (first, second):
            self.assertEqual(attempt.parent_span_id, span.span_id)
            self.assertAlmostEqual((attempt.end_time_unix_nano - attempt.start_time_unix_nano) / 1e9, 0.25, 3)
        self.assertGreaterEqual(second.start_time_unix_nano, first.end_time_unix_nano)
        self.assertEqual(first.status.code, ERROR)
        self.assertEqual(self.attributes(first)["error.type"], "Overloaded")
        self.assertEqual(self.attributes(first)["db.response.status_code"], str(Overloaded.code))
        self.assertEqual(second.status.code, 0)
        self.assertNotEqual(
            self.attributes(first)["server.address"], self.attributes(second)["server.address"]
        )
        self.assertEqual(self.attributes(span)["txcql.attempts"], 2)
        self.assertEqual(self.attributes(span)["server.address"], self.attributes(second)["server.address"])
        self.assertEqual(span.status.code, 0)
        self.assertAlmostEqual((span.end_time_unix_nano - span.start_time_unix_nano) / 1e9, 0.5, 3)

    def test_concurrency(self) -> None:
        """Fifty requests at the same time, half of them retried: every span has the right parent."""
        self.begin()
        self.one.statements[LIST].reply = lambda asked: asked.error(Overloaded("busy"))
        self.one.holds = self.two.holds = held
        parents = {}
        requests = []
        for number in range(50):
            with self.tracer.start_as_current_span(f"page {number}") as page:
                parents[page.get_span_context().span_id] = number
                requests.append(self.traced.execute(LIST))
        while self.one.held or self.two.held or not requests[0].called:
            self.release()
        for request in requests:
            self.answer(request)
        self.receive()
        spans = self.collector.named("SELECT t")
        self.assertEqual(
            sorted(parents[int.from_bytes(span.parent_span_id, "big")] for span in spans), list(range(50))
        )
        below: dict[bytes, int] = {}
        for span in self.collector.spans:
            if span.name.startswith("attempt"):
                below[span.parent_span_id] = below.get(span.parent_span_id, 0) + 1
        self.assertEqual(
            {span.span_id: self.attributes(span).get("txcql.attempts", 1) for span in spans}, below
        )
        self.assertEqual(repr(self.telemetry), "<OpenTelemetry requests=0>")

    def test_the_wait(self) -> None:
        """The time in the queue is a part of it, and can be seen."""
        self.begin(max_requests_per_connection=2, high_watermark=0.5, low_watermark=0.5)
        self.one.holds = self.two.holds = held
        requests = [self.traced.execute(LIST) for _ in range(3)]
        self.reactor.settle()
        self.reactor.advance(0.25)
        self.release()
        self.release()
        for request in requests:
            self.answer(request)
        self.receive()
        (waited,) = [span for span in self.collector.named("SELECT t") if span.events]
        queued, dequeued = waited.events
        self.assertEqual((queued.name, dequeued.name), ("queued", "dequeued"))
        self.assertAlmostEqual((dequeued.time_unix_nano - queued.time_unix_nano) / 1e9, 0.25, 3)
        self.assertAlmostEqual((waited.end_time_unix_nano - waited.start_time_unix_nano) / 1e9, 0.25, 3)

    def test_preparing(self) -> None:
        """The PREPARE that a request needs first is a span below it, which is no attempt."""
        self.begin()
        self.answer(self.traced.execute(SELECT, [1]))
        self.receive()
        span = self.one_span("SELECT t")
        preparing = self.collector.named("PREPARE t")[0]
        self.assertEqual(preparing.parent_span_id, span.span_id)
        self.assertEqual(self.attributes(preparing)["db.operation.name"], "PREPARE")

    def test_an_error(self) -> None:
        """It is marked, without the server's text, in which values may stand."""
        self.begin()
        for node in (self.one, self.two):
            node.teach("SELECT bad", lambda asked: asked.error(InvalidRequest("no 'secret'")))
        self.error(self.traced.execute("SELECT bad"), InvalidRequest)
        self.receive()
        span = self.one_span("SELECT")
        self.assertEqual((span.status.code, span.status.message), (ERROR, "InvalidRequest"))
        self.assertEqual(self.attributes(span)["db.response.status_code"], "8704")
        self.assertNotIn("secret", str(self.collector.spans))

    def test_cancelled(self) -> None:
        """Cancelling the Deferred cancels the request."""
        self.begin()
        self.one.holds = self.two.holds = held
        request = self.traced.execute(LIST)
        self.reactor.settle()
        request.cancel()
        self.failureResultOf(request, CancelledError)
        self.release()
        self.receive()
        self.assertEqual(self.attributes(self.one_span("SELECT t"))["error.type"], "CancelledError")

    def test_refused(self) -> None:
        """What never became a request ends its span, too."""
        self.begin()
        self.traced.close()
        self.reactor.settle()
        self.failureResultOf(self.traced.execute(LIST), SessionClosed)
        self.receive()
        self.assertEqual(self.attributes(self.one_span("SELECT t"))["error.type"], "SessionClosed")

    def test_no_text(self) -> None:
        """The text of statements, and spans of attempts, can be left out."""
        self.begin(query_text=False, attempts=False)
        self.answer(self.traced.execute(LIST))
        self.receive()
        self.assertNotIn("db.query.text", self.attributes(self.one_span("SELECT t")))
        self.assertEqual(len(self.collector.spans), 1)

    def test_without_the_wrapper(self) -> None:
        """The observer alone has the right parent as well."""
        self.begin()
        assert self.session is not None
        with self.tracer.start_as_current_span("page") as page:
            request = self.session.execute(LIST)
        self.answer(request)
        self.receive()
        span = self.one_span("SELECT t")
        self.assertEqual(int.from_bytes(span.parent_span_id, "big"), page.get_span_context().span_id)

    def test_another_session(self) -> None:
        """A session that does not tell it of its requests is a mistake."""
        session = self.connect()
        self.assertRaises(ValueError, OpenTelemetry(self.provider, self.meters).trace, session)


class ContextTests(TelemetryTestCase):
    """The trace goes with the request, and with its outcome."""

    def test_traceparent(self) -> None:
        """It is in the custom payload, names the request's span, and is the same in each attempt."""
        self.begin()
        replies: list[Asked] = []

        def reply(asked: Asked) -> None:
            replies.append(asked)
            if len(replies) == 1:
                asked.error(Overloaded("busy"))
            else:
                asked.statement_rows(asked.node.statements[LIST])

        for node in (self.one, self.two):
            node.statements[LIST].reply = reply
        self.answer(self.traced.execute(LIST, payload={"own": b"1"}))
        self.receive()
        first, second = (asked.payload for asked in replies)
        self.assertEqual(first, second)
        assert first is not None
        self.assertEqual(first["own"], b"1")
        span = self.one_span("SELECT t")
        version, trace_id, span_id, flags = (first["traceparent"] or b"").decode().split("-")
        self.assertEqual((version, trace_id, span_id), ("00", span.trace_id.hex(), span.span_id.hex()))
        self.assertEqual(int(flags, 16) & 1, 1)

    def test_protocol_3(self) -> None:
        """It has no payload: the request is made without."""
        self.begin(protocol_version=3)
        self.answer(self.traced.execute(LIST))

    def test_callbacks(self) -> None:
        """What a callback does has the parent that the request had, whatever was current meanwhile."""
        self.begin()
        seen: list[int] = []
        with self.tracer.start_as_current_span("page") as page:
            request = self.traced.execute(LIST)
            request.addCallback(lambda _: seen.append(trace.get_current_span().get_span_context().span_id))
            request.addCallback(lambda _: self.traced.execute(SELECT, [1]))
        self.answer(request)
        self.receive()
        self.assertEqual(seen, [page.get_span_context().span_id])
        self.assertEqual(
            {int.from_bytes(span.parent_span_id, "big") for span in self.collector.named("SELECT t")},
            {page.get_span_context().span_id},
        )

    def test_coroutines(self) -> None:
        """One that awaits goes on in its own context."""
        self.begin()

        async def page(name: str) -> None:
            with self.tracer.start_as_current_span(name):
                await self.traced.execute(LIST)
                await self.traced.execute(LIST)

        pages = [Deferred.fromCoroutine(page(f"page {number}")) for number in range(3)]
        for done in pages:
            self.answer(done)
        self.receive()
        for number in range(3):
            parent = self.one_span(f"page {number}")
            below = [span for span in self.collector.spans if span.parent_span_id == parent.span_id]
            self.assertEqual([span.name for span in below], ["SELECT t", "SELECT t"])


class MeterTests(TelemetryTestCase):
    """What the meters count."""

    def test_duration(self) -> None:
        """A histogram in seconds, with the conventions' name, buckets and attributes."""
        self.begin(keyspace="ks")
        for node in (self.one, self.two):
            node.teach("SELECT bad", lambda asked: asked.error(InvalidRequest("no")))
        self.answer(self.traced.execute(LIST))
        self.error(self.traced.execute("SELECT bad"), InvalidRequest)
        points = self.points("db.client.operation.duration")
        self.assertEqual(len(points), 2)
        (failed,) = [point for point in points if "error.type" in point.attributes]
        self.assertEqual(tuple(failed.explicit_bounds), DURATION_BOUNDS)
        self.assertEqual(failed.attributes["error.type"], "InvalidRequest")
        self.assertEqual(failed.attributes["db.system.name"], "cassandra")
        self.assertEqual(failed.attributes["db.namespace"], "ks")
        self.assertNotIn("db.query.text", failed.attributes)

    def test_instruments(self) -> None:
        """The state of the session, as it was seen last, also in another thread."""
        self.begin()
        instruments = SessionInstruments(self.reactor, {"shop": self.session}, self.meters, interval=5)
        self.addCleanup(instruments.stop)
        instruments.start()
        (up,) = {point.value for point in self.points("txcql.node.up")}
        self.assertEqual(up, 1)
        self.one.stop()
        self.two.stop()
        self.reactor.settle()
        self.reactor.advance(5)
        self.assertEqual({point.value for point in self.points("txcql.node.up")}, {0})
        failures = {point.attributes["error"] for point in self.points("txcql.node.connection_failures")}
        self.assertIn("ConnectionLost", failures)

    def test_instruments_end(self) -> None:
        """With the last session, or when told to."""
        self.begin()
        instruments = SessionInstruments(self.reactor, {"shop": self.session}, self.meters)
        instruments.start()
        assert self.session is not None
        self.session.close()
        self.reactor.settle()
        self.reactor.advance(5)
        self.assertEqual(self.points("txcql.node.up"), [])
        self.assertEqual(repr(instruments), "<SessionInstruments shop>")


class SummaryTests(SynchronousTestCase):
    """What is said of a statement."""

    def test_targets(self) -> None:
        """Operation, keyspace and table."""
        for text, expected in (
            ("SELECT * FROM shop.items WHERE id = 1", "SELECT shop.items"),
            ('INSERT INTO "Items" (id) VALUES (?)', "INSERT Items"),
            ("UPDATE Shop . Items SET a = 1", "UPDATE shop.items"),
            ("DELETE FROM t", "DELETE t"),
            ("CREATE TABLE IF NOT EXISTS ks.t (id int PRIMARY KEY)", "CREATE ks.t"),
            ("TRUNCATE t", "TRUNCATE t"),
            ("BEGIN BATCH INSERT INTO t (a) VALUES (1); APPLY BATCH", "BATCH t"),
            ("USE ks", "USE"),
        ):
            self.assertEqual(summary_of(text).text, expected)

    def test_literals(self) -> None:
        """No value stays; names and markers do."""
        for text, expected in (
            ("SELECT a1 FROM t WHERE a = 'it''s' AND b = -1.5e3", "SELECT a1 FROM t WHERE a = ? AND b = ?"),
            ("x = 0xCAFE AND y = $$ a 'b' $$", "x = ? AND y = ?"),
            ("k = 123e4567-e89b-12d3-a456-426614174000", "k = ?"),
            ('"a 1" = ? AND t = 1h30m', '"a 1" = ? AND t = ?'),
            ("v = 'unfinished", "v = ?"),
        ):
            self.assertEqual(summary_of(text).sanitized, expected)

    def test_long(self) -> None:
        """A text is cut, and a value at its end does not come through by that."""
        text = "INSERT INTO t (v) VALUES ('" + "secret" * 1000
        self.assertEqual(summary_of(text).sanitized, "INSERT INTO t (v) VALUES (?")
