"""From what an application executes to the request that does it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from twisted.internet.defer import Deferred

from txcql.session.batches import Batch, EncodedBatch, encode_batch, is_to_prepare, prepare_texts
from txcql.session.batchrequest import BatchRequest
from txcql.session.core import SessionCore
from txcql.session.guessedvalues import encode_guessed
from txcql.session.options import RequestOptions
from txcql.session.results import Result
from txcql.session.statementrequest import StatementRequest
from txcql.session.statements import Parameters, PreparedStatement, Statement

__all__ = ["StatementExecutor"]

if TYPE_CHECKING:
    from txcql.session.options import ExecuteOptions


class StatementExecutor(SessionCore):
    """Takes statements of every kind, with the options that they bring along."""

    def resolved(
        self,
        statement: Any,
        parameters: Parameters,
        given: ExecuteOptions | Mapping[str, Any],
        usual: RequestOptions | None = None,
    ) -> tuple[Any, Parameters, RequestOptions]:
        """The text, prepared statement or batch that is executed; its values; the options of it and the call.

        :param given: the options of the call.
        :param usual: what they come to for a statement without options, if that is known.
        :raises TypeError: it is no statement, or has values of its own and is given others.
        :raises ValueError: an option that the version does not have, or of a value out of its range.
        """
        if isinstance(statement, str):
            return statement, parameters, usual or self.options(given)  # type: ignore[arg-type]
        if not isinstance(statement, Statement):
            raise TypeError(f"a statement is text, simple, prepared, bound or a batch, got {statement!r}")
        own = statement.options
        statement, parameters = statement.unwrapped(parameters)
        options = usual if usual is not None and not own else own.chosen(self._default, self.version, given)
        if isinstance(statement, Batch) and not options.whole:
            raise ValueError("a batch has no pages, and neither page_size nor paging_state")
        return statement, parameters, options

    def execute_resolved(
        self, statement: Any, parameters: Parameters, options: RequestOptions
    ) -> Deferred[Result]:
        """Execute what :meth:`resolved` gave.

        :raises CQLError: it cannot be encoded.
        """
        if isinstance(statement, Batch):
            return self._execute_batch(statement, options)
        if isinstance(statement, str) and is_to_prepare(statement, parameters, options.prepare):
            return self._prepare_and_execute(statement, parameters, options)
        return self.execute_encoded(statement, self.encoded(statement, parameters, options), options)

    def usual_request(self, statement: PreparedStatement, parameters: Parameters) -> StatementRequest:
        """A request like most: of a prepared statement, without options. Its deadline is noted.

        :raises EncodeError: the values do not fit its parameters.
        """
        generation = statement.generation
        options = self._default
        values = generation.encoder.encode(parameters, self.version)
        timestamp = None
        if generation.writes and options.timestamps:
            timestamp = self._timestamps.next()
            if timestamp is None:
                options = options._replace(timestamps=False)
        body = generation.body(self.version, options, values, timestamp)
        timeout, idempotent = self._timeout, statement.idempotent
        return self._statement_request(
            self, statement, generation, generation.handler, options, body, timeout, idempotent
        )

    def encoded(self, statement: Any, parameters: Parameters, options: RequestOptions) -> bytes:
        """The values of a prepared statement, or of text that is not to be prepared.

        :raises EncodeError: they do not fit.
        :raises ValueError: the statement was prepared in another keyspace than the options name.
        """
        if isinstance(statement, PreparedStatement):
            self.check_keyspace(statement, options.query.keyspace)
            return self.encode(statement, parameters)
        if isinstance(statement, str) and options.prepare is False:
            return encode_guessed(statement, parameters, self.version, self.codecs)
        return b""

    def check_bulk_options(self, options: Mapping[str, Any]) -> None:
        """See to it that options mean something to bulk work.

        :raises TypeError: one does not.
        """
        if options.get("decode_in") is not None:
            raise TypeError("decode_in is for execute() and stream(): bulk work leaves rows as they are")

    def ready(
        self, statement: Any, parameters: Parameters, options: RequestOptions
    ) -> Deferred[PreparedStatement | EncodedBatch] | EncodedBatch | PreparedStatement | str:
        """What can be encoded and sent: text that has to be prepared is.

        :param statement: as :meth:`resolved` gave it.
        :returns: it; or, if something has to be prepared, what fires with it.
        :raises EncodeError: the values of a batch do not fit.
        """
        keyspace = options.query.keyspace
        if isinstance(statement, Batch):
            encoded = encode_batch(self, statement, options, {})
            if isinstance(encoded, EncodedBatch):
                return encoded
            return prepare_texts(self, encoded, keyspace).addCallback(
                lambda prepared: encode_batch(self, statement, options, prepared)
            )
        if isinstance(statement, str) and is_to_prepare(statement, parameters, options.prepare):
            return cast(Deferred[PreparedStatement | EncodedBatch], self.prepare_text(statement, keyspace))
        return statement  # type: ignore[no-any-return]

    # Inside.

    def _prepare_and_execute(
        self, text: str, parameters: Parameters, options: RequestOptions
    ) -> Deferred[Result]:
        keyspace = options.query.keyspace
        statement = self.find_prepared(text, keyspace)
        if statement is not None:
            values = statement.generation.encoder.encode(parameters, self.version)
            return self.execute_encoded(statement, values, options)
        preparing = self.prepare_text(text, keyspace)
        timeout = options.timeout if options.timeout is not None else self.settings.request_timeout
        request = self._statement_request(
            self, text, None, None, options, b"", timeout, options.idempotent or False
        )
        deferred = request.deferred
        request.prepare_first(preparing, parameters)
        return self._delivered(deferred, options)  # type: ignore[arg-type]

    def _execute_batch(self, batch: Batch, options: RequestOptions) -> Deferred[Result]:
        encoded = encode_batch(self, batch, options, {})
        if isinstance(encoded, EncodedBatch):
            return self.execute_encoded(encoded, b"", options)
        preparing = prepare_texts(self, encoded, options.query.keyspace)
        request = self.request(EncodedBatch(batch.kind, (), False), b"", options)
        assert isinstance(request, BatchRequest)
        deferred = request.deferred
        request.prepare_batch_first(preparing, batch)
        return self._delivered(deferred, options)  # type: ignore[arg-type]
