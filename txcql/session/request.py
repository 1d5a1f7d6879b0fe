"""One request's life: from node to node until it is answered, fails or is given up."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from twisted.internet.defer import Deferred, fail
from twisted.python.failure import Failure

from txcql.connection.pendingrequest import PendingRequest
from txcql.connection.protocol import CQLProtocol
from txcql.errors import (
    NOT_SENT,
    SENT,
    UNKNOWN,
    BusyConnectionError,
    ConnectionLost,
    CQLError,
    NoNodeAvailable,
    RequestTimeout,
    ServerError,
    SessionClosed,
    Unprepared,
    said_by,
)
from txcql.pool.nodepool import NodePool
from txcql.session.options import RequestOptions
from txcql.session.responsehandler import PrepareHandler, ResponseHandler
from txcql.session.results import Result
from txcql.session.statements import PreparedGeneration, PreparedStatement
from txcql.wire import constants
from txcql.wire.frames import Frame
from txcql.wire.metadata import Column
from txcql.wire.primitives import Reader
from txcql.wire.responses import SchemaChanged
from txcql.wire.values import UNSET

if TYPE_CHECKING:
    from txcql.session.core import SessionCore

__all__ = ["PrepareRequest", "Request", "StatementRequest"]

Parameters = Sequence[Any] | Mapping[str, Any] | None

_CERTAINTY = (NOT_SENT, UNKNOWN, SENT)


class Request(PendingRequest):
    """What all requests of a session share: plan, deadline, retry and their one Deferred.

    The Deferred is made once and fires once; between attempts nothing is chained to it, and its
    canceller asks whichever link or queue holds the request by then.

    :param session: whose nodes it goes to.
    :param timeout: seconds until it is given up.
    :param idempotent: whether it may be repeated though it may have been carried out.
    :ivar deferred: fires with what the answer is turned into; ``None`` once it has fired.
    :ivar pool: the pool that has, or had, the current attempt.
    """

    __slots__ = ("_delivery", "_errors", "_plan", "deferred", "idempotent", "pool", "session", "timeout")

    def __init__(
        self,
        session: SessionCore,
        opcode: int,
        flags: int,
        body: bytes,
        timeout: float,
        untimed: bool,
        idempotent: bool,
    ) -> None:
        self.opcode = opcode
        self.flags = flags
        self.body = body
        self.size = len(body)
        self.untimed = untimed
        self.holder = None
        self.session = session
        self.timeout = timeout
        self.idempotent = idempotent
        self.pool: NodePool | None = None
        self._errors: dict[str, CQLError] | None = None
        self._delivery = NOT_SENT
        self.deferred: Deferred[Any] | None = Deferred(self.cancel)
        session.deadlines.add(self, timeout)

    def start(self, plan: Iterator[Any]) -> None:
        """Go to the first node of a plan that takes the request."""
        self._plan = plan
        self._go_on()

    # What link and queue tell.

    def received(self, frame: Frame) -> None:
        self.holder = None
        try:
            answer = self.answer(frame)
        except CQLError as error:
            self._answered(error)
        except Exception as error:
            # A defect of ours must fail this request, not every request of the link.
            self.finish(error)
        else:
            self.finish(answer)

    def failed(self, error: CQLError) -> None:
        self.holder = None
        pool = cast(NodePool, self.pool)
        self._attempt_failed(error)
        pool.look_for_room()

    # What the session tells.

    def expire(self) -> None:
        """The deadline has passed; the session has forgotten the request already."""
        delivery = self._withdraw()
        node = f" by {self.pool.name}" if self.pool is not None else ""
        error = RequestTimeout(f"not answered{node} within {self.timeout:g} s (the request: {delivery})")
        error.delivery = delivery
        error.node = self.pool.name if self.pool is not None else None
        self._fire(error)
        if self.pool is not None:
            self.pool.look_for_room()

    @property
    def on_link(self) -> bool:
        """Whether it has been sent, and its answer is not complete."""
        return isinstance(self.holder, CQLProtocol | _Agreeing)

    def abandon(self) -> None:
        """The session is closed."""
        if self.deferred is None:
            return
        delivery = self._withdraw()
        self.finish(SessionClosed(f"session is closed (the request: {delivery})", delivery))

    def cancel(self, deferred: Deferred[Any]) -> None:
        """The application no longer wants the answer; Twisted fires the Deferred."""
        self._withdraw()
        self.deferred = None
        self.session.deadlines.remove(self, self.timeout)
        if self.pool is not None:
            self.pool.look_for_room()

    # For subclasses.

    def answer(self, frame: Frame) -> Any:
        """What the answer is turned into.

        :raises CQLError: the request has failed at this node.
        """
        raise NotImplementedError

    def submit(self, pool: NodePool) -> CQLError | None:
        """Hand the request to a pool; ``None`` if that has taken it."""
        return pool.submit(self)

    def retry_here(self, error: CQLError) -> bool:
        """Whether the request has begun to do something about the error at the same node."""
        return False

    def finish(self, outcome: Any) -> None:
        """Fire the Deferred, with a result, an exception or a Failure."""
        if self.deferred is not None:
            self.session.deadlines.remove(self, self.timeout)
            self._fire(outcome)

    # Inside.

    def _fire(self, outcome: Any) -> None:
        deferred, self.deferred = self.deferred, None
        if deferred is None:
            return
        if isinstance(outcome, BaseException | Failure):
            deferred.errback(outcome)
        else:
            deferred.callback(outcome)

    def _go_on(self) -> None:
        try:
            for node in self._plan:
                pool = self.session.pools.get(node)
                if pool is None:
                    continue
                self.pool = pool
                error = self.submit(pool)
                if error is None:
                    return
                self._note(pool.name, error)
        except Exception as error:
            # A defect of the policy, whose plan this is.
            self.finish(error)
        else:
            self.finish(self._exhausted())

    def _note(self, node: str, error: CQLError) -> None:
        if self._errors is None:
            self._errors = {}
        # Its traceback leads to this request, and would hold both.
        self._errors[node] = error.with_traceback(None)
        delivery = error.delivery or NOT_SENT
        if _CERTAINTY.index(delivery) > _CERTAINTY.index(self._delivery):
            self._delivery = delivery

    def _answered(self, error: CQLError) -> None:
        """The answer is an error, or cannot be read."""
        if error.delivery is None:
            error.delivery = SENT
        self._attempt_failed(error)

    def _attempt_failed(self, error: CQLError) -> None:
        if self.deferred is None:
            return
        name = cast(NodePool, self.pool).name
        if error.node is None:
            error.node = name
        if self.retry_here(error):
            return
        lost = isinstance(error, ConnectionLost | RequestTimeout)
        if error.delivery == NOT_SENT or (lost and self.idempotent):
            self._note(name, error)
            self._go_on()
        else:
            self.finish(error)

    def _exhausted(self) -> CQLError:
        errors = self._errors
        if not errors:
            return NoNodeAvailable(f"no node is up: {self.session.why_down()}")
        last = list(errors.values())[-1]
        if len(errors) == 1 or all(isinstance(error, BusyConnectionError) for error in errors.values()):
            return last
        said = "; ".join(said_by(node, error) for node, error in errors.items())
        error = NoNodeAvailable(f"no node could take the request ({self._delivery}): {said}", errors)
        error.delivery = self._delivery
        return error

    def _withdraw(self) -> str:
        """Take the request from whoever holds it; how far it has come, over all attempts."""
        if self.on_link and self.written[0] is not None:
            self._delivery = SENT
        holder, self.holder = self.holder, None
        if holder is not None:
            holder.withdraw(self)
        return self._delivery


class StatementRequest(Request):
    """The execution of one statement.

    :ivar statement: the prepared statement, or text.
    :ivar options: what the call asked for.
    """

    __slots__ = ("_generation", "_handler", "_reprepared", "options", "statement")

    def __init__(
        self,
        session: SessionCore,
        statement: PreparedStatement | str,
        generation: PreparedGeneration | None,
        handler: ResponseHandler | None,
        options: RequestOptions,
        body: bytes,
        timeout: float,
        idempotent: bool,
    ) -> None:
        self.statement = statement
        self.options = options
        self._generation = generation
        self._handler = handler
        self._reprepared: NodePool | None = None
        opcode = constants.QUERY if generation is None else constants.EXECUTE
        untimed = timeout > session.settings.request_timeout
        Request.__init__(self, session, opcode, options.flags, body, timeout, untimed, idempotent)

    @property
    def whole(self) -> bool:
        """Whether the caller expects all rows in one page."""
        return self.options.whole

    def received(self, frame: Frame) -> None:
        self.holder = None
        try:
            result = self._handler.result(frame, self, self.pool.name)  # type: ignore[union-attr]
        except CQLError as error:
            self._answered(error)
            return
        except Exception as error:
            # A defect of ours must fail this request, not every request of the link.
            self.finish(error)
            return
        if result.change is not None:
            self._apply(result)
            return
        deferred, self.deferred = self.deferred, None
        self.session.deadlines.remove(self, self.timeout)
        deferred.callback(result)  # type: ignore[union-attr]

    def retry_here(self, error: CQLError) -> bool:
        pool = cast(NodePool, self.pool)
        if not isinstance(error, Unprepared) or self._reprepared is pool or self._generation is None:
            return False
        self._reprepared = pool
        preparing = self.session.reprepare(cast(PreparedStatement, self.statement), pool)
        self.holder = _Waiting(preparing)
        preparing.addCallbacks(self._prepared_again, self._not_prepared)
        return True

    def metadata_changed(self, result_metadata_id: bytes, columns: tuple[Column, ...]) -> None:
        """The rows of the statement have other columns by now (v5)."""
        if isinstance(self.statement, PreparedStatement):
            generation = self.statement.generation
            # The rows of this one request may be made in a way of its own: that is not the statement's.
            handler = generation.handler.with_columns(columns)
            self.statement.generation = generation.changed(result_metadata_id, handler)

    @property
    def values(self) -> bytes:
        """Its encoded values, as it was given them; ``b""`` of text."""
        return self._values(self._generation) if self._generation is not None else b""

    def next_page(self, paging_state: bytes) -> Deferred[Result]:
        """Execute the same again, from a paging state."""
        self.session.check_thread()
        if self.session.closed:
            return fail(SessionClosed())
        options = self.options._replace(
            query=self.options.query._replace(paging_state=paging_state), whole=False
        )
        return self.session.execute_encoded(self.statement, self.values, options)

    def prepare_first(self, preparing: Deferred[PreparedStatement], parameters: Parameters) -> None:
        """Wait for the statement; then encode the values and go."""
        self.holder = _Waiting(preparing)
        preparing.addCallbacks(self._begin, self._cannot_begin, callbackArgs=(parameters,))

    def _begin(self, statement: PreparedStatement, parameters: Parameters) -> None:
        if self.holder is None:
            return
        self.holder = None
        self.statement = statement
        self.opcode = constants.EXECUTE
        if self.options.idempotent is None:
            self.idempotent = statement.idempotent
        try:
            generation = statement.generation
            self._bind(generation, generation.encoder.encode(parameters, self.session.version))
            plan = self.session.plan()
        except Exception as error:
            self.finish(error)
            return
        self.start(plan)

    def _cannot_begin(self, failure: Failure) -> None:
        if self.holder is not None:
            self.holder = None
            self.finish(failure)

    def _apply(self, result: Result) -> None:
        """Do what the result asks for, before it is delivered."""
        self._delivery = SENT
        applying = self.session.apply(result)
        if isinstance(result.change, SchemaChanged):
            self.holder = _Agreeing(applying)
            applying.addBoth(self._agreed)
        else:
            # A change of keyspace goes on though nobody waits for it: all links, or none.
            applying.addBoth(self.finish)

    def _agreed(self, outcome: Result | Failure) -> None:
        if self.holder is not None:
            self.holder = None
            self.finish(outcome)

    def _bind(self, generation: PreparedGeneration, values: bytes) -> None:
        """Take the values that were encoded for a generation."""
        head, tail = generation.parts_for(self.session.version, self.options)
        self.body = head + (values if len(values) > 2 else b"") + tail
        self.size = len(self.body)
        self._generation = generation
        self._handler = generation.handler.with_row_factory(self.options.row_factory)

    def _values(self, generation: PreparedGeneration) -> bytes:
        """The encoded values, which are a part of the body."""
        head, tail = generation.parts_for(self.session.version, self.options)
        return self.body[len(head) : len(self.body) - len(tail)]

    def _encode_again(self, old: PreparedGeneration, new: PreparedGeneration) -> None:
        """The parameters have other types by now: what was encoded for the old ones is encoded anew.

        :raises EncodeError: a value is none of its new type.
        """
        version = self.session.version
        values = new.encoder.encode(_decode_values(old.encoder.columns, self._values(old)), version)
        self._bind(new, values)

    def _prepared_again(self, generation: PreparedGeneration) -> None:
        if self.holder is None:
            return
        self.holder = None
        pool = cast(NodePool, self.pool)
        old = cast(PreparedGeneration, self._generation)
        if old.encoder.columns != generation.encoder.columns:
            try:
                self._encode_again(old, generation)
            except Exception as unfit:
                self.finish(unfit)
                return
        # Else the same bytes: where the columns have changed, the server says so in its answer.
        error = self.submit(pool)
        if error is not None:
            self._attempt_failed(error)

    def _not_prepared(self, failure: Failure) -> None:
        if self.holder is None:
            return
        self.holder = None
        error = failure.value
        if isinstance(error, ServerError):
            self._attempt_failed(error)
        elif isinstance(error, CQLError):
            # Whatever became of the PREPARE, the statement itself was not carried out.
            self._note(cast(NodePool, self.pool).name, error)
            self._go_on()
        else:
            self.finish(failure)


class PrepareRequest(Request):
    """One PREPARE: past every queue, and safe to repeat."""

    __slots__ = ("_handler",)

    def __init__(self, session: SessionCore, handler: PrepareHandler, body: bytes) -> None:
        self._handler = handler
        timeout = session.settings.request_timeout
        Request.__init__(self, session, constants.PREPARE, 0, body, timeout, False, True)

    def answer(self, frame: Frame) -> Any:
        return self._handler.result(frame, cast(NodePool, self.pool).name)

    def submit(self, pool: NodePool) -> CQLError | None:
        return pool.submit_past_queue(self)


def _decode_values(columns: Sequence[Column], encoded: bytes) -> list[Any]:
    """Read the values of a request, as they were encoded for these parameters."""
    if not encoded:
        return []
    reader = Reader(encoded)
    values = []
    for column, _ in zip(columns, range(reader.short()), strict=True):
        size = reader.int()
        values.append(UNSET if size == -2 else column.type.decode(None if size < 0 else reader.raw(size)))
    return values


class _Waiting:
    """Holds a request while its statement is prepared.

    Once the request is withdrawn it has no holder, and what becomes of the work is nothing to it.
    """

    __slots__ = ("_deferred",)

    def __init__(self, deferred: Deferred[Any]) -> None:
        self._deferred = deferred

    def withdraw(self, request: PendingRequest) -> None:
        self._deferred.cancel()


class _Agreeing(_Waiting):
    """Holds a request that is answered, while the nodes come to agree on the schema."""
