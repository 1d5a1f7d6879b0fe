"""The execution of one statement: prepared, bound, answered, and prepared again where it must be."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from twisted.internet.defer import Deferred, fail
from twisted.python.failure import Failure

from txcql.consistency import consistency_code
from txcql.errors import (
    NOT_SENT,
    SENT,
    CQLError,
    InvalidRequest,
    ProtocolError,
    ServerError,
    SessionClosed,
    Unprepared,
)
from txcql.pool.nodepool import NodePool
from txcql.session.attempts import Attempt
from txcql.session.options import RequestOptions
from txcql.session.pagingstate import PagingState
from txcql.session.request import Agreeing, Past, Request, Waiting
from txcql.session.responsehandler import ResponseHandler
from txcql.session.results import Result
from txcql.session.routing import Routed, partition_key, routing_key
from txcql.session.statements import Parameters, PreparedGeneration, PreparedStatement, used_keyspace
from txcql.wire import constants, requests
from txcql.wire.frames import Frame
from txcql.wire.metadata import Column
from txcql.wire.primitives import SHORT, Reader
from txcql.wire.responses import SchemaChanged, SetKeyspace
from txcql.wire.values import UNSET

if TYPE_CHECKING:
    from txcql.session.core import SessionCore

__all__ = ["Parameters", "StatementRequest", "decode_values"]


class StatementRequest(Routed, Request):
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
        # As Request.__init__, which would be one call more for each request.
        self.opcode = constants.QUERY if generation is None else constants.EXECUTE
        self.flags = options.flags
        self.body = body
        self.size = len(body)
        self.untimed = timeout > session.settings.request_timeout
        self.holder = None
        self.session = session
        self.timeout = timeout
        self.idempotent = idempotent
        self.pool: NodePool | None = None
        self._past: Past | None = None
        self.deferred: Deferred[Any] | None = Deferred(self.cancel)
        session.deadlines.add(self, timeout)

    @property
    def whole(self) -> bool:
        """Whether the caller expects all rows in one page."""
        return self.options.whole

    def received(self, frame: Frame) -> None:
        link = self.holder
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
        result.written = self.written
        result.received_at = link.received_at  # type: ignore[union-attr]
        result.sent_size = self.size
        result.past = self._past
        if result.effects is not None:
            if isinstance(result.change, SetKeyspace) and result.change.keyspace != self._used():
                # All links would follow, and no later one could be opened.
                self._answered(
                    ProtocolError(f"{result.change} in answer to a statement that does not say so")
                )
            else:
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
        self._note_unprepared(error)
        preparing = self.session.reprepare(cast(PreparedStatement, self.statement), pool)
        self.holder = Waiting(preparing)
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
        """Its encoded values, as it was given them; ``b""`` if there are none."""
        head, tail = self._parts()
        return self.body[len(head) : len(self.body) - len(tail)]

    @property
    def routing_key(self) -> bytes | None:
        given = self.options.routing_key
        generation = self._generation
        if given is not None or generation is None:
            return given
        head, _ = self._parts()
        return routing_key(self.body, len(head), partition_key(self.session, generation))

    def change_consistency(self, consistency: str) -> None:
        query = self.options.query
        head, _ = self._parts()
        options = self.options._replace(query=query._replace(consistency=consistency_code(consistency)))
        place = requests.consistency_offset(self.session.version, len(head))
        code = SHORT.pack(options.query.consistency)
        self.body = self.body[:place] + code + self.body[place + len(code) :]
        self.options = options

    def ignored(self, error: CQLError) -> Any:
        result = Result(cast(NodePool, self.pool).name)
        result.written = self.written
        result.received_at = 0.0
        result.sent_size = self.size
        result.past = self._past
        return result

    def paging(self, raw: bytes) -> PagingState:
        """A paging state that the server gave, for this statement and its values."""
        session = self.session
        statement = cast(PreparedStatement | str, self.statement)
        digest = session.digest(statement, self.values, self.options)
        return PagingState.of(raw, session.version, digest)

    def twin(self) -> StatementRequest:
        """The same request once more: the same bytes, with a Deferred of its own."""
        return type(self)(
            self.session,
            cast(Any, self.statement),
            self._generation,
            self._handler,
            self.options,
            self.body,
            self.timeout,
            self.idempotent,
        )

    def decoded_values(self) -> list[Any]:
        """Its values, in the order of the parameters."""
        generation = self._generation
        return decode_values(generation.encoder.columns if generation is not None else None, self.values)

    def next_page(self, paging_state: bytes) -> Deferred[Result]:
        """Execute the same again, from a paging state."""
        self.session.check_thread()
        if self.session.closed:
            return fail(SessionClosed())
        options = self.options._replace(
            query=self.options.query._replace(paging_state=paging_state), whole=False, paging=None
        )
        return self.session.execute_encoded(self.statement, self.values, options)

    def prepare_first(self, preparing: Deferred[PreparedStatement], parameters: Parameters) -> None:
        """Wait for the statement; then encode the values and go."""
        self.holder = Waiting(preparing)
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
            self.options, timestamp = self.session.timestamp(generation, self.options)
            values = generation.encoder.encode(parameters, self.session.version)
            if self.options.paging is not None:
                self.session.check_paging(statement, values, self.options)
            self._bind(generation, values, timestamp)
        except Exception as error:
            self.finish(error)
            return
        self.start()

    def _cannot_begin(self, failure: Failure) -> None:
        if self.holder is not None:
            self.holder = None
            self.finish(failure)

    def _used(self) -> str | None:
        """The keyspace that the statement asks for."""
        statement = self.statement
        return used_keyspace(statement if isinstance(statement, str) else getattr(statement, "text", ""))

    def _apply(self, result: Result) -> None:
        """Do what the result asks for, before it is delivered."""
        self._history().note(SENT)
        applying = self.session.apply(result)
        if isinstance(result.change, SchemaChanged):
            self.holder = Agreeing(applying)
            applying.addBoth(self._agreed)
        else:
            # A change of keyspace goes on though nobody waits for it: all links, or none.
            applying.addBoth(self.finish)

    def _agreed(self, outcome: Result | Failure) -> None:
        if self.holder is not None:
            self.holder = None
            self.finish(outcome)

    def _parts(self) -> tuple[bytes, bytes]:
        """What stands before and behind the values in the body."""
        version = self.session.version
        if self._generation is not None:
            return self._generation.parts_for(version, self.options)
        head, tail = requests.query_parts(version, cast(str, self.statement), self.options.query, False)
        return self.options.prefix + head, tail

    def _bind(self, generation: PreparedGeneration, values: bytes, timestamp: int | None) -> None:
        """Take the values that were encoded for a generation."""
        self.body = generation.body(self.session.version, self.options, values, timestamp)
        self.size = len(self.body)
        self._generation = generation
        self._handler = generation.handler.with_row_factory(self.options.row_factory)

    def _encode_again(self, old: PreparedGeneration, new: PreparedGeneration) -> None:
        """The parameters have other types by now: what was encoded for the old ones is encoded anew.

        :raises EncodeError: a value is none of its new type.
        """
        version = self.session.version
        values = new.encoder.encode(decode_values(old.encoder.columns, self.values), version)
        self._bind(new, values, old.timestamp_in(self.body, version, self.options))

    def _prepared_again(self, generation: PreparedGeneration) -> None:
        if self.holder is None:
            return
        self.holder = None
        old = cast(PreparedGeneration, self._generation)
        if old.encoder.columns != generation.encoder.columns:
            try:
                self._encode_again(old, generation)
            except Exception as unfit:
                self.finish(unfit)
                return
        # Else the same bytes: where the columns have changed, the server says so in its answer.
        self._submit_prepared()

    def _submit_prepared(self) -> None:
        """Once more to the node that has been told again what it had forgotten."""
        pool = self.pool = cast(NodePool, self.pool)
        error = pool.submit(self)
        if error is not None:
            self._attempt_failed(error)

    def _note_unprepared(self, error: CQLError) -> None:
        pool = cast(NodePool, self.pool)
        error = error.with_traceback(None)
        self._history().tried.append(Attempt(pool.name, error, self._duration(error)))

    def _not_prepared(self, failure: Failure) -> None:
        if self.holder is None:
            return
        self.holder = None
        error = failure.value
        tried = self._history().tried
        if isinstance(error, InvalidRequest) and not any(
            isinstance(attempt.error, InvalidRequest) for attempt in tried
        ):
            # A node that has just joined does not have the whole schema yet: what the next one says, counts.
            error.delivery = NOT_SENT
            self._note(cast(NodePool, self.pool).name, error)
            self._go_on()
        elif isinstance(error, ServerError):
            self._attempt_failed(error)
        elif isinstance(error, CQLError):
            # Whatever became of the PREPARE, the statement itself was not carried out.
            self._note(cast(NodePool, self.pool).name, error)
            self._go_on()
        else:
            self.finish(failure)


def decode_values(columns: Sequence[Column] | None, encoded: bytes) -> list[Any]:
    """Read the values of a request, as they were encoded for these parameters.

    :param columns: the parameters; ``None`` if their types are not known: the values are bytes then.
    """
    if not encoded:
        return []
    reader = Reader(encoded)
    values: list[Any] = []
    for place in range(reader.short()):
        size = reader.int()
        data = None if size < 0 else reader.raw(size)
        if size == -2:
            values.append(UNSET)
        else:
            values.append(data if columns is None else columns[place].type.decode(data))
    return values
