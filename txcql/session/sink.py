"""A sink of statements: a producer writes them, and is paused while there is no room.

Who pauses whom: the session pauses the producer that is registered with the sink while the pool
that the next statement is routed to has no room for bulk work, because it is draining, has a queue,
or has no more than the tenth that is left to single requests; or while as many requests as were
asked for are in flight. It resumes it when there is room again. What the producer writes in between
is kept, in order, up to :data:`~txcql.session.sink.MAX_KEPT` statements.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from txcql.errors import BusyConnectionError, SessionClosed
from txcql.interfaces import IStatementSink
from txcql.session.bulksender import BulkSender
from txcql.session.options import RequestOptions
from txcql.session.statements import Statement

if TYPE_CHECKING:
    from txcql.session.session import Session

__all__ = ["MAX_KEPT", "OnError", "SinkCounts", "StatementSink"]

log = Logger(namespace="txcql.session")

MAX_KEPT = 1000
"""Statements that a sink keeps for a producer that writes on while it is paused."""

OnError = Callable[[Failure, Any], object]


@dataclass(frozen=True, slots=True)
class SinkCounts:
    """What became of the statements of a sink.

    :ivar written: statements that were answered without an error.
    :ivar failed: statements that failed.
    """

    written: int = 0
    failed: int = 0


@implementer(IStatementSink)
class StatementSink:
    """Executes the statements that it is given, at the pace of the cluster.

    :param session: whose pools are used.
    :param clock: gives the reactor its turn.
    :param options: of each request whose statement brings none along.
    :param given: the same, as they were given.
    :param concurrency: requests in flight at most.
    :param on_error: called with the failure of a statement and that statement; without it, the
        first failure ends the sink. What it raises ends the sink, too.
    :ivar finished: fires with :class:`SinkCounts` once :meth:`finish` was called, or the producer
        was unregistered, and every statement is answered. It fails with what ended the sink before
        that; the producer is told to stop then, and so it is when ``finished`` is cancelled.
    """

    def __init__(
        self,
        session: Session,
        clock: IReactorTime,
        options: RequestOptions,
        given: Mapping[str, Any],
        concurrency: int,
        on_error: OnError | None,
    ) -> None:
        self._sender = BulkSender(session, clock, options, concurrency, self._go_on)
        self._session = session
        self._options = options
        self._given = given
        self._on_error = on_error
        self._kept: deque[tuple[Any, Any, RequestOptions | None]] = deque()
        self._preparing: Deferred[Any] | None = None
        self._producer: Any = None
        self._streaming = True
        self._paused = False
        self._asked = False
        self._finishing = False
        self._ended = False
        self._sending = False
        self._resuming = False
        self._open = 0
        self._written = 0
        self._failed = 0
        self.finished: Deferred[SinkCounts] = Deferred(lambda deferred: self._end())
        session.bulk_users.add(self)

    @property
    def counts(self) -> SinkCounts:
        """What became of the statements so far."""
        return SinkCounts(self._written, self._failed)

    # What the producer calls.

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """Take statements from a producer.

        :param streaming: true for an ``IPushProducer``, false for an ``IPullProducer``.
        :raises RuntimeError: there is one already, or nothing more is to be written.
        """
        if self._producer is not None:
            raise RuntimeError(f"the sink has a producer already: {self._producer!r}")
        if self._finishing:
            raise RuntimeError("the sink is finished")
        if self._ended:
            producer.stopProducing()
            return
        self._producer = producer
        self._streaming = streaming
        self._paused = self._asked = False
        self._go_on()

    def unregisterProducer(self) -> None:
        """The producer is done: nothing more will be written."""
        self._producer = None
        self.finish()

    def write(self, statement: str | Statement, parameters: Any = None) -> None:
        """Execute a statement, at once or when there is room.

        :param statement: as for :meth:`txcql.Session.execute`, and so are the parameters.
        :raises BusyConnectionError: the producer does not heed its pauses:
            :data:`~txcql.session.sink.MAX_KEPT` statements wait already.
        :raises SessionClosed: the session is closed.
        :raises RuntimeError: the sink is finished, or has ended.
        """
        if self._session.closed:
            raise SessionClosed
        if self._ended or self._finishing:
            raise RuntimeError("the sink is finished: nothing can be written to it")
        if len(self._kept) >= MAX_KEPT:
            raise BusyConnectionError(
                "the sink", in_flight=self._sender.in_flight, queued=len(self._kept), limit=MAX_KEPT
            )
        self._asked = False
        self._open += 1
        self._kept.append((statement, parameters, None))
        self._go_on()

    def finish(self) -> None:
        """Nothing more will be written."""
        self._finishing = True
        self._go_on()

    def session_closed(self) -> None:
        if self._producer is None and not self._open:
            # Nothing is lost: it is as good as finished.
            self.finish()
        else:
            self._fail(Failure(SessionClosed()))  # type: ignore[no-untyped-call]

    # Inside.

    def _go_on(self) -> None:
        self._send_kept()
        try:
            self._tend_producer()
        except Exception:
            self._fail(Failure())  # type: ignore[no-untyped-call]
        if self._finishing and not self._open and not self._ended:
            self._end()
            self.finished.callback(self.counts)

    def _send_kept(self) -> None:
        # What is sent may be answered at once: the loop below goes on by itself.
        if self._sending:
            return
        self._sending = True
        while self._kept and self._preparing is None and self._sender.ready:
            statement, parameters, options = self._kept.popleft()
            if options is None:
                try:
                    self._take(statement, parameters)
                except Exception:
                    self._answered(statement, Failure())  # type: ignore[no-untyped-call]
            else:
                self._sender.send(statement, parameters, partial(self._answered, statement), options)
        self._sending = False

    def _take(self, statement: Any, parameters: Any) -> None:
        """Send a statement as it was written, or have prepared what it needs first."""
        session = self._session
        if isinstance(statement, Statement) and statement.options:
            session.check_bulk_options(statement.options)
        statement, parameters, options = session.resolved(statement, parameters, self._given, self._options)
        ready = session.ready(statement, parameters, options)
        if not isinstance(ready, Deferred):
            self._sender.send(ready, parameters, partial(self._answered, statement), options)
            return
        self._preparing = ready
        ready.addCallbacks(
            self._prepared,
            self._not_prepared,
            callbackArgs=(parameters, options),
            errbackArgs=(statement,),
        )

    def _prepared(self, ready: Any, parameters: Any, options: RequestOptions) -> None:
        self._preparing = None
        if not self._ended:
            self._kept.appendleft((ready, parameters, options))
            self._go_on()

    def _not_prepared(self, failure: Failure, statement: Any) -> None:
        self._preparing = None
        self._answered(statement, failure)
        self._go_on()

    def _tend_producer(self) -> None:
        """Pause or resume the producer as there is room.

        It may write while it is resumed, and be paused within that.
        """
        while self._producer is not None:
            if self._kept or self._preparing is not None or not self._sender.ready:
                if self._streaming and not self._paused:
                    self._paused = True
                    self._producer.pauseProducing()
                return
            waits = self._paused if self._streaming else not self._asked
            if self._resuming or not waits:
                return
            self._paused = False
            # A pull producer is asked for one thing at a time, which it may write later.
            self._asked = True
            self._resuming = True
            try:
                self._producer.resumeProducing()
            finally:
                self._resuming = False

    def _answered(self, statement: Any, outcome: Any) -> None:
        if self._ended:
            return
        self._open -= 1
        if not isinstance(outcome, Failure):
            self._written += 1
            return
        self._failed += 1
        if self._on_error is None:
            self._fail(outcome)
            return
        try:
            self._on_error(outcome, statement)
        except Exception:
            self._fail(Failure())  # type: ignore[no-untyped-call]

    def _fail(self, failure: Failure) -> None:
        if not self._ended:
            self._end()
            self.finished.errback(failure)

    def _end(self) -> None:
        self._ended = True
        self._session.bulk_users.discard(self)
        self._sender.stop()
        self._kept.clear()
        if self._preparing is not None:
            self._preparing.cancel()
        producer, self._producer = self._producer, None
        if producer is not None:
            try:
                producer.stopProducing()
            except Exception:
                log.failure("a producer of statements failed to stop")

    def __repr__(self) -> str:
        return (
            f"<StatementSink in_flight={self._sender.in_flight} kept={len(self._kept)} "
            f"written={self._written} failed={self._failed}>"
        )
