"""The execution of one batch."""

from __future__ import annotations

from typing import Any, cast

from twisted.internet.defer import Deferred

from txcql.consistency import consistency_code
from txcql.errors import CQLError, Unprepared
from txcql.pool.nodepool import NodePool
from txcql.session.batches import Batch, EncodedBatch, encode_batch
from txcql.session.request import Waiting
from txcql.session.routing import first_routable
from txcql.session.statementrequest import StatementRequest, decode_values
from txcql.session.statements import PreparedGeneration, PreparedStatement
from txcql.wire import constants

__all__ = ["BatchRequest"]


class BatchRequest(StatementRequest):
    """The execution of one batch: what the nodes have forgotten of it is prepared again.

    :ivar statement: the batch.
    """

    __slots__ = ("_told",)

    statement: EncodedBatch

    def __init__(self, *about: Any) -> None:
        StatementRequest.__init__(self, *about)
        self.opcode = constants.BATCH
        self._told: set[tuple[NodePool, PreparedStatement]] = set()

    @property
    def routing_key(self) -> bytes | None:
        given = self.options.routing_key
        return given if given is not None else first_routable(self.session, self.statement)[1]

    @property
    def values(self) -> bytes:
        return b""

    def decoded_values(self) -> list[Any]:
        return [
            decode_values(
                item.generation.encoder.columns if item.generation is not None else None, item.values
            )
            for item in self.statement.items
        ]

    def change_consistency(self, consistency: str) -> None:
        query = self.options.query._replace(consistency=consistency_code(consistency))
        self.options = self.options._replace(query=query)
        self._encode(self.statement)

    def prepare_batch_first(self, preparing: Deferred[dict[str, PreparedStatement]], batch: Batch) -> None:
        """Wait for its statements; then encode the values and go."""
        self.holder = Waiting(preparing)
        preparing.addCallbacks(self._begin_batch, self._cannot_begin, callbackArgs=(batch,))

    def retry_here(self, error: CQLError) -> bool:
        if not isinstance(error, Unprepared):
            return False
        pool = cast(NodePool, self.pool)
        for item in self.statement.items:
            if item.generation is not None and item.generation.statement_id == error.statement_id:
                break
        else:
            return False
        statement = cast(PreparedStatement, item.statement)
        if (pool, statement) in self._told:
            return False
        self._told.add((pool, statement))
        self._note_unprepared(error)
        preparing = self.session.reprepare(statement, pool)
        self.holder = Waiting(preparing)
        preparing.addCallbacks(self._statement_prepared, self._not_prepared, callbackArgs=(statement,))
        return True

    # Inside.

    def _begin_batch(self, prepared: dict[str, PreparedStatement], batch: Batch) -> None:
        if self.holder is None:
            return
        self.holder = None
        try:
            encoded = encode_batch(self.session, batch, self.options, prepared)
            assert isinstance(encoded, EncodedBatch)
            self._encode(encoded)
        except Exception as error:
            self.finish(error)
            return
        if self.options.idempotent is None:
            self.idempotent = encoded.idempotent
        self.start()

    def _encode(self, batch: EncodedBatch) -> None:
        self.statement = batch
        self.body = self.options.prefix + batch.body(self.session.version, self.options.query)
        self.size = len(self.body)

    def _statement_prepared(self, generation: PreparedGeneration, statement: PreparedStatement) -> None:
        if self.holder is None:
            return
        self.holder = None
        version = self.session.version
        items = list(self.statement.items)
        try:
            for place, item in enumerate(items):
                old = item.generation
                if item.statement is not statement or old is None:
                    continue
                values = item.values
                if old.encoder.columns != generation.encoder.columns:
                    # The parameters have other types by now.
                    values = generation.encoder.encode(decode_values(old.encoder.columns, values), version)
                items[place] = item._replace(generation=generation, values=values)
            self._encode(self.statement._replace(items=tuple(items)))
        except Exception as unfit:
            self.finish(unfit)
            return
        self._submit_prepared()
