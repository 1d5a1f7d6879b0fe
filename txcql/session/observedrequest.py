"""Requests that tell observers of their steps: made in place of the others if a session has any.

What a link or a queue does with a request can be seen by what it sets: the queue, the stream, the
list that receives the time of the flush. So they need not know of observers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from txcql.connection.pendingrequest import Holder, PendingRequest
from txcql.connection.protocol import CQLProtocol
from txcql.consistency import consistency_name
from txcql.errors import CQLError
from txcql.pool.nodepool import NodePool
from txcql.pool.requestqueue import RequestQueue
from txcql.session.batchrequest import BatchRequest
from txcql.session.request import PrepareRequest, Request
from txcql.session.requestevents import (
    CREATED,
    DECODED,
    DEQUEUED,
    FAILED,
    FINISHED,
    FRAMED,
    MATCHED,
    PLANNED,
    QUEUED,
    READ,
    ROUTED,
    STREAM_TAKEN,
    WRITTEN,
    Observation,
    RequestEvent,
    RequestInfo,
)
from txcql.session.results import Result
from txcql.session.statementrequest import StatementRequest
from txcql.session.statements import PreparedStatement
from txcql.wire.frames import Frame
from txcql.wire.primitives import Reader

if TYPE_CHECKING:
    from txcql.session.core import SessionCore

__all__ = ["ObservedBatchRequest", "ObservedPrepareRequest", "ObservedStatementRequest", "request_kinds"]

_holder: Any = vars(PendingRequest)["holder"]
_pool: Any = vars(Request)["pool"]
_stream: Any = vars(PendingRequest)["stream"]
_written: Any = vars(PendingRequest)["written"]


class Observed(Request):
    """What both kinds have in common."""

    info: RequestInfo
    observation: Observation
    pending: list[float | None] | None
    queued: bool

    def observe(self, text: str, keyspace: str | None, consistency: str | None, preparing: bool) -> None:
        """Begin to tell."""
        observation = self.session.observation
        assert observation is not None
        now = observation.seconds()
        self.observation = observation
        self.info = RequestInfo(
            next(observation.numbers), text, keyspace, consistency, preparing, self.timeout, now
        )
        self.pending = None
        self.queued = False
        self.tell(CREATED)
        if self.deferred is not None:
            self.deferred.addBoth(self._ended)

    def tell(self, step: str, at: float | None = None, error: Any = None, size: int = 0) -> None:
        """Tell of a step; before it of the flush, if that has taken place meanwhile."""
        pending = self.pending
        if pending is not None and (flushed := pending[0]) is not None:
            self.pending = None
            self.tell(WRITTEN, flushed)
        node = self.pool.name if self.pool is not None else None
        if at is None:
            at = self.observation.seconds()
        self.observation.tell(RequestEvent(self.info, step, at, node, error, size))

    # What plan, link and queue set.

    @property
    def pool(self) -> NodePool | None:
        """The pool that has the current attempt."""
        found: NodePool | None = _pool.__get__(self)
        return found

    @pool.setter
    def pool(self, pool: NodePool | None) -> None:
        _pool.__set__(self, pool)
        if pool is not None:
            self.queued = False
            self.tell(ROUTED)

    @property
    def holder(self) -> Holder | None:
        """The link or queue that has it."""
        found: Holder | None = _holder.__get__(self)
        return found

    @holder.setter
    def holder(self, holder: Holder | None) -> None:
        _holder.__set__(self, holder)
        if isinstance(holder, RequestQueue):
            self.queued = True
            self.tell(QUEUED)
        elif isinstance(holder, CQLProtocol) and self.queued:
            self.queued = False
            self.tell(DEQUEUED)

    @property
    def stream(self) -> int:
        """Its stream id."""
        found: int = _stream.__get__(self)
        return found

    @stream.setter
    def stream(self, stream: int) -> None:
        _stream.__set__(self, stream)
        self.tell(STREAM_TAKEN, size=self.size)

    @property
    def written(self) -> list[float | None]:
        """Receives the time of the flush."""
        found: list[float | None] = _written.__get__(self)
        return found

    @written.setter
    def written(self, written: list[float | None]) -> None:
        _written.__set__(self, written)
        self.pending = written

    # What is told of it.

    def start(self, *plan: Any) -> None:
        self.tell(PLANNED)
        super().start(*plan)

    def received(self, frame: Frame) -> None:
        link = self.holder
        if isinstance(link, CQLProtocol):
            self.tell(READ, link.received_at)
        self.tell(FRAMED, size=len(frame.body))
        self.tell(MATCHED)
        super().received(frame)

    def _answered(self, error: CQLError) -> None:
        self.tell(DECODED, error=error)
        super()._answered(error)

    def _attempt_failed(self, error: CQLError) -> None:
        if self.deferred is not None:
            self.tell(FAILED, error=error)
        super()._attempt_failed(error)

    def _ended(self, outcome: Any) -> Any:
        error = outcome.value if isinstance(outcome, Failure) else None
        if error is None and self.info.timeline[-1][0] == MATCHED:
            self.tell(DECODED)
        self.tell(FINISHED, error=error)
        return outcome


class ObservedStatementRequest(Observed, StatementRequest):
    """The execution of one statement."""

    def __init__(self, session: SessionCore, *about: Any) -> None:
        StatementRequest.__init__(self, session, *about)
        query = self.options.query
        statement = self.statement
        if isinstance(statement, PreparedStatement):
            text, keyspace = statement.text, statement.keyspace
        else:
            text, keyspace = cast(str, statement), query.keyspace or session.keyspace
        self.observe(text, keyspace, consistency_name(query.consistency), False)

    def start(self, *plan: Any) -> None:
        if self.observation.wants_values:
            self.info.values = self.decoded_values()
        super().start(*plan)

    def _apply(self, result: Result) -> None:
        self.tell(DECODED)
        super()._apply(result)


class ObservedBatchRequest(Observed, BatchRequest):
    """The execution of one batch."""

    def __init__(self, session: SessionCore, *about: Any) -> None:
        BatchRequest.__init__(self, session, *about)
        query = self.options.query
        keyspace = query.keyspace or session.keyspace
        self.observe(self.statement.text, keyspace, consistency_name(query.consistency), False)

    def start(self, *plan: Any) -> None:
        self.info.text = self.statement.text
        if self.observation.wants_values:
            self.info.values = self.decoded_values()
        super().start(*plan)

    def _apply(self, result: Result) -> None:
        self.tell(DECODED)
        super()._apply(result)


class ObservedPrepareRequest(Observed, PrepareRequest):
    """One PREPARE."""

    def __init__(self, session: SessionCore, *about: Any) -> None:
        PrepareRequest.__init__(self, session, *about)
        self.observe(Reader(self.body).long_string(), session.keyspace, None, True)


def request_kinds(
    observers: Sequence[Any], clock: IReactorTime
) -> tuple[Observation | None, type[StatementRequest], type[PrepareRequest], type[BatchRequest]]:
    """What a session makes its requests of: without observers they know of none.

    :param observers: its ``observers``.
    :returns: who tells them, if any of them observes requests; and the classes.
    """
    observation = Observation(observers, clock)
    if observation.observers:
        return observation, ObservedStatementRequest, ObservedPrepareRequest, ObservedBatchRequest
    return None, StatementRequest, PrepareRequest, BatchRequest
