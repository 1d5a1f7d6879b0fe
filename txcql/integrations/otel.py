"""Traces and times of requests for OpenTelemetry (extra ``otel``), by its conventions for databases.

A span is the child of whatever span is current where the request is made. It lasts from there to the
outcome, the wait in a queue included; each attempt is a span below it.
"""

from __future__ import annotations

import contextvars
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from opentelemetry import context as contexts, metrics, trace
from opentelemetry.trace import Span, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from twisted.internet.defer import Deferred
from zope.interface import implementer

from txcql._version import __version__
from txcql.errors import ServerError
from txcql.integrations.statementsummary import StatementSummary, summary_of
from txcql.interfaces import IRequestObserver
from txcql.session.requestevents import (
    CREATED,
    DEQUEUED,
    FAILED,
    FINISHED,
    MATCHED,
    QUEUED,
    STREAM_TAKEN,
    RequestEvent,
)
from txcql.session.session import Session
from txcql.session.statements import BoundStatement, PreparedStatement

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from txcql.session.options import ExecuteOptions

__all__ = ["DURATION_BOUNDS", "OpenTelemetry", "TracedSession"]

DURATION_BOUNDS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0)
"""The buckets that the conventions advise for ``db.client.operation.duration``, in seconds."""

_SYSTEM = "cassandra"

_propagator = TraceContextTextMapPropagator()
# The span of the request that is about to be made, and when it began, in seconds since 1970.
_begun: contextvars.ContextVar[tuple[Span, float] | None] = contextvars.ContextVar("txcql_span", default=None)


class _Traced:
    """One request that has no outcome yet.

    :ivar attempt: the span of the attempt that is under way.
    """

    __slots__ = ("attempt", "attempts", "attributes", "context", "offset", "span")

    def __init__(self, span: Span, context: Any, offset: float, attributes: dict[str, Any]) -> None:
        self.span = span
        self.context = context
        self.offset = offset
        self.attributes = attributes
        self.attempt: Span | None = None
        self.attempts = 0

    def nanoseconds(self, at: float) -> int:
        """A time of the reactor's, as OpenTelemetry has it."""
        return int((at + self.offset) * 1e9)


@implementer(IRequestObserver)
class OpenTelemetry:
    """Traces and times every request of a session: give it to ``observers``.

    :param tracer_provider: makes the tracer; ``None`` takes the global one.
    :param meter_provider: makes the meter; ``None`` takes the global one.
    :param query_text: whether spans hold the text of statements. Literals in it are replaced by ``?``.
    :param attempts: whether each attempt has a span of its own.
    """

    wants_values = False

    def __init__(
        self,
        tracer_provider: Any = None,
        meter_provider: Any = None,
        *,
        query_text: bool = True,
        attempts: bool = True,
    ) -> None:
        self.tracer = trace.get_tracer("txcql", __version__, tracer_provider)
        meter = metrics.get_meter("txcql", __version__, meter_provider)
        self._duration = meter.create_histogram(
            "db.client.operation.duration",
            unit="s",
            description="Duration of database client operations.",
            explicit_bucket_boundaries_advisory=DURATION_BOUNDS,
        )
        self._query_text = query_text
        self._attempts = attempts
        self._requests: dict[tuple[int, int], _Traced] = {}
        self._steps: dict[str, Callable[[_Traced, RequestEvent], None]] = {
            QUEUED: self._queued,
            DEQUEUED: self._dequeued,
            STREAM_TAKEN: self._stream_taken,
            MATCHED: self._matched,
            FAILED: self._failed,
            FINISHED: self._finished,
        }

    def request_step(self, event: RequestEvent) -> None:
        """One step of a request."""
        key = (id(event.request), event.request.number)
        if event.step == CREATED:
            self._requests[key] = self._created(event)
            return
        act = self._steps.get(event.step)
        if act is None:
            return
        traced = self._requests.get(key) if event.step != FINISHED else self._requests.pop(key, None)
        if traced is not None:
            act(traced, event)

    def trace(self, session: Session) -> TracedSession:
        """The session, with requests that take their trace along.

        :param session: one that has this among its ``observers``.
        :raises ValueError: it has not.
        """
        if self not in session.settings.observers:
            raise ValueError("the session must have this OpenTelemetry among its observers")
        return TracedSession(session, self)

    def start_span(self, text: str, keyspace: str | None, preparing: bool, at: int) -> Span:
        """Begin the span of a request.

        :param at: nanoseconds since 1970.
        """
        summary = summary_of(text)
        attributes = self._attributes(summary, keyspace, preparing)
        name = f"PREPARE {summary.collection}".strip() if preparing else summary.text
        attributes["db.query.summary"] = name
        if self._query_text:
            attributes["db.query.text"] = summary.sanitized
        return self.tracer.start_span(name, kind=SpanKind.CLIENT, attributes=attributes, start_time=at)

    # The steps.

    def _created(self, event: RequestEvent) -> _Traced:
        info = event.request
        begun = _begun.get() if not info.preparing else None
        if begun is None:
            at = time.time()
            span = self.start_span(info.text, info.keyspace, info.preparing, int(at * 1e9))
        else:
            span, at = begun
            _begun.set(None)
        offset = at - event.at
        if info.consistency is not None and span.is_recording():
            span.set_attribute("cassandra.consistency.level", info.consistency.lower())
        summary = summary_of(info.text)
        attributes = self._attributes(summary, info.keyspace, info.preparing)
        return _Traced(span, trace.set_span_in_context(span), offset, attributes)

    def _queued(self, traced: _Traced, event: RequestEvent) -> None:
        traced.span.add_event("queued", {"server.address": event.node or ""}, traced.nanoseconds(event.at))

    def _dequeued(self, traced: _Traced, event: RequestEvent) -> None:
        traced.span.add_event("dequeued", {"server.address": event.node or ""}, traced.nanoseconds(event.at))

    def _stream_taken(self, traced: _Traced, event: RequestEvent) -> None:
        traced.attempts += 1
        if not self._attempts or not traced.span.is_recording():
            return
        self._end_attempt(traced, event)
        traced.attempt = self.tracer.start_span(
            f"attempt {traced.attempts}",
            context=traced.context,
            kind=SpanKind.CLIENT,
            attributes={"db.system.name": _SYSTEM, "txcql.attempt": traced.attempts, **_server(event.node)},
            start_time=traced.nanoseconds(event.at),
        )

    def _matched(self, traced: _Traced, event: RequestEvent) -> None:
        # Whether the answer is an error shows when it is decoded: the span ends with the next step.
        if traced.attempt is not None:
            traced.attempt.add_event("answered", timestamp=traced.nanoseconds(event.at))

    def _failed(self, traced: _Traced, event: RequestEvent) -> None:
        self._end_attempt(traced, event)

    def _finished(self, traced: _Traced, event: RequestEvent) -> None:
        self._end_attempt(traced, event)
        server = _server(event.node)
        attributes = {**traced.attributes, **server, **_outcome(event.error)}
        self._duration.record(event.elapsed, attributes, context=traced.context)
        span = traced.span
        if span.is_recording():
            span.set_attributes({**server, **_outcome(event.error)})
            if traced.attempts > 1:
                span.set_attribute("txcql.attempts", traced.attempts)
            _mark(span, event.error)
        span.end(traced.nanoseconds(event.at))

    # Inside.

    @staticmethod
    def _end_attempt(traced: _Traced, event: RequestEvent) -> None:
        attempt, traced.attempt = traced.attempt, None
        if attempt is not None:
            attempt.set_attributes(_outcome(event.error))
            _mark(attempt, event.error)
            attempt.end(traced.nanoseconds(event.at))

    @staticmethod
    def _attributes(summary: StatementSummary, keyspace: str | None, preparing: bool) -> dict[str, Any]:
        """What both the span and the metric say: of few different values."""
        attributes = {
            "db.system.name": _SYSTEM,
            "db.operation.name": "PREPARE" if preparing else summary.operation,
        }
        namespace = keyspace or summary.keyspace
        if namespace:
            attributes["db.namespace"] = namespace
        if summary.table:
            attributes["db.collection.name"] = summary.collection
        return attributes

    def __repr__(self) -> str:
        return f"<OpenTelemetry requests={len(self._requests)}>"


class TracedSession:
    """A session whose requests take their trace along: made by :meth:`OpenTelemetry.trace`.

    From protocol 4 on each request has a ``traceparent`` (W3C) in its custom payload, the same in every
    attempt. Callbacks of its Deferred run in the context of whoever made the request, so that what they
    do has the right parent, too. All other methods are the session's own.

    :ivar session: the session.
    """

    def __init__(self, session: Session, telemetry: OpenTelemetry) -> None:
        self.session = session
        self._telemetry = telemetry

    def execute(
        self,
        statement: str | PreparedStatement | BoundStatement,
        parameters: Any = None,
        **options: Unpack[ExecuteOptions],
    ) -> Deferred[Any]:
        """Execute one statement: see :meth:`txcql.Session.execute`."""
        session, telemetry = self.session, self._telemetry
        known = statement.statement if isinstance(statement, BoundStatement) else statement
        text = known.text if isinstance(known, PreparedStatement) else str(known)
        keyspace = options.get("keyspace") or session.keyspace
        at = time.time()
        span = telemetry.start_span(text, keyspace, False, int(at * 1e9))
        if session.version >= 4:
            carried: dict[str, str] = {}
            _propagator.inject(carried, trace.set_span_in_context(span))
            payload = {name: value.encode() for name, value in carried.items()}
            options["payload"] = {**payload, **(options.get("payload") or {})}
        token = contexts.attach(trace.set_span_in_context(span))
        _begun.set((span, at))
        try:
            # A PREPARE that it needs first is a child of it.
            made = session.execute(statement, parameters, **options)
        finally:
            contexts.detach(token)
            unused = _begun.get() is not None
            _begun.set(None)
        if unused:
            # It was refused before it became a request.
            made.addErrback(_refused, span)
        return _in_context(made)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.session, name)

    def __repr__(self) -> str:
        return f"<TracedSession {self.session!r}>"


def _refused(failure: Any, span: Span) -> Any:
    span.set_attributes(_outcome(failure.value))
    _mark(span, failure.value)
    span.end()
    return failure


def _in_context(made: Deferred[Any]) -> Deferred[Any]:
    """A Deferred with the same outcome, whose callbacks run in the context that is current now."""
    own = contextvars.copy_context()
    outer: Deferred[Any] = Deferred(lambda _: made.cancel())

    def fire(outcome: Any) -> None:
        if not outer.called:
            own.run(outer.callback, outcome)

    made.addBoth(fire)
    return outer


def _server(node: str | None) -> dict[str, Any]:
    if node is None:
        return {}
    host, _, port = node.rpartition(":")
    if not port.isdigit():
        return {"server.address": node}
    return {"server.address": host.strip("[]"), "server.port": int(port)}


def _outcome(error: BaseException | None) -> dict[str, Any]:
    if error is None:
        return {}
    found: dict[str, Any] = {"error.type": type(error).__qualname__}
    if isinstance(error, ServerError):
        found["db.response.status_code"] = str(error.code)
    return found


def _mark(span: Span, error: BaseException | None) -> None:
    if error is not None:
        # Not its text, in which the server may quote values.
        span.set_status(Status(StatusCode.ERROR, type(error).__qualname__))
