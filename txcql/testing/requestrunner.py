"""Requests of one connection: statements are planned, run, and their answers encoded."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Protocol

from txcql.errors import CQLSyntaxError, InvalidRequest, Unprepared
from txcql.testing.batchplans import check_batch, run_batch
from txcql.testing.database import Database
from txcql.testing.execution import Coordinator, Execution
from txcql.testing.reactions import Rows, Void, columns_of
from txcql.testing.refusals import unsupported
from txcql.testing.statementplans import Answer, Plan, RowsAnswer, SchemaAnswer, SetKeyspaceAnswer
from txcql.testing.writeplans import WritePlan
from txcql.wire import responsewriter
from txcql.wire.events import SchemaChange
from txcql.wire.metadata import Column
from txcql.wire.primitives import INT
from txcql.wire.requestreader import (
    BatchEntry,
    BatchRequest,
    Execute,
    Prepare,
    Query,
    RawValue,
    Request,
    Values,
)
from txcql.wire.requests import QueryOptions
from txcql.wire.responses import Prefixes, Prepared
from txcql.wire.responsewriter import ColumnSpecs
from txcql.wire.typeparser import class_name

__all__ = ["PreparedPlan", "RequestRunner", "RunningNode"]


class PreparedPlan:
    """A prepared statement of a node.

    :ivar text: as it was prepared.
    :ivar metadata_id: the id of its result metadata.
    """

    def __init__(self, statement_id: bytes, plan: Plan, text: str) -> None:
        self.statement_id = statement_id
        self.text = text
        self.plan = plan
        self.metadata_id = _metadata_id(plan.columns)
        self._specs: dict[int, ColumnSpecs] = {}

    def message(self) -> Prepared:
        """What PREPARE is answered with."""
        plan = self.plan
        return Prepared(
            self.statement_id, self.metadata_id, plan.parameters, plan.partition_key, plan.columns
        )

    def specs(self, version: int) -> ColumnSpecs:
        """The columns of its rows, as a version writes them."""
        found = self._specs.get(version)
        if found is None:
            found = self._specs[version] = responsewriter.column_specs(self.plan.columns, version)
        return found


def _metadata_id(columns: Sequence[Column]) -> bytes:
    digest = hashlib.md5(usedforsecurity=False)
    for column in columns:
        digest.update(b"%b\0%b\0\0" % (column.name.encode(), class_name(column.type).encode()))
    return digest.digest()


class RunningNode(Coordinator, Protocol):
    """The node that requests are sent to.

    :ivar database: what all nodes share.
    :ivar prepared: its prepared statements by their ids.
    """

    database: Database
    prepared: dict[bytes, PreparedPlan]

    def primed(self, text: str, keyspace: str | None) -> Rows | Void | None:
        """The primed answer of a statement that is prepared."""

    def schema_changed(self, changes: Sequence[SchemaChange]) -> None:
        """Tell those who have asked for events."""


class PrimedPlan(Plan):
    """A statement that the fake cannot read, and has an answer for."""

    def __init__(self, primed: Rows | Void) -> None:
        self.parameters = columns_of(primed.parameters, "primed", "primed")
        if isinstance(primed, Rows):
            self.columns = primed.wire_columns()

    def run(self, execution: Execution) -> Answer:
        raise unsupported("this statement, for which no primed answer is left,")


class RequestRunner:
    """Runs the requests of one connection.

    :param node: the node that it leads to.
    :param version: the protocol version.
    :ivar keyspace: the keyspace of unqualified names.
    """

    def __init__(self, node: RunningNode, version: int) -> None:
        self.keyspace: str | None = None
        self._node = node
        self._version = version

    def run(self, request: Request) -> tuple[int, bytes]:
        """The flags and the body of the RESULT.

        :raises ServerError: the request cannot be carried out.
        """
        if isinstance(request, Execute):
            return self._execute(request)
        if isinstance(request, Query):
            return self._query(request)
        if isinstance(request, Prepare):
            return 0, self._prepare(request)
        assert isinstance(request, BatchRequest)
        return self._batch(request)

    def _query(self, request: Query) -> tuple[int, bytes]:
        """QUERY."""
        plan = self._node.database.plan(request.text, request.options.keyspace or self.keyspace)
        values = self._values(plan, request.values)
        if len(values) != len(plan.parameters):
            raise InvalidRequest("Invalid amount of bind variables")
        answer = plan.run(Execution(values, request.options, self._node, self._version))
        if isinstance(answer, RowsAnswer):
            specs = responsewriter.column_specs(answer.columns or plan.columns, self._version)
            skip = request.options.skip_metadata
            return self._rows(answer, responsewriter.rows_header(specs, skip, answer.paging_state))
        return 0, self._result(answer)

    def _prepare(self, request: Prepare) -> bytes:
        """PREPARE: the id depends on the text, and on the keyspace where the text leaves it open."""
        keyspace = request.keyspace or self.keyspace
        database = self._node.database
        qualified = False
        plan: Plan
        try:
            plan = database.plan(request.text, keyspace)
            qualified = database.is_qualified(request.text)
        except (CQLSyntaxError, InvalidRequest):
            primed = self._node.primed(request.text, keyspace)
            if primed is None:
                raise
            plan = PrimedPlan(primed)
        hashed = request.text if qualified else (keyspace or "") + request.text
        statement_id = hashlib.md5(hashed.encode(), usedforsecurity=False).digest()
        prepared = PreparedPlan(statement_id, plan, request.text)
        self._node.prepared[statement_id] = prepared
        return responsewriter.prepared(prepared.message(), self._version)

    def _execute(self, request: Execute) -> tuple[int, bytes]:
        """EXECUTE."""
        prepared = self._prepared(request.statement_id)
        plan = prepared.plan
        values = self._values(plan, request.values)
        _check_count(plan, values)
        answer = plan.run(Execution(values, request.options, self._node, self._version))
        if not isinstance(answer, RowsAnswer):
            return 0, self._result(answer)
        if answer.columns is not None:
            # The columns of a conditional statement's answer depend on what was found.
            specs = responsewriter.column_specs(answer.columns, self._version)
            return self._rows(answer, responsewriter.rows_header(specs))
        changed = None
        if self._version >= 5 and request.result_metadata_id != prepared.metadata_id:
            changed = prepared.metadata_id
        header = responsewriter.rows_header(
            prepared.specs(self._version), request.options.skip_metadata, answer.paging_state, changed
        )
        return self._rows(answer, header)

    def _batch(self, request: BatchRequest) -> tuple[int, bytes]:
        """BATCH: nothing is written unless all of its statements are right."""
        options = request.options
        first = Execution((), options, self._node, self._version)
        statements = []
        for item in request.items:
            plan = self._batch_plan(item, options)
            values = self._values(plan, item.values)
            _check_count(plan, values, "There")
            if options.timestamp is not None and plan.has_timestamp:
                raise InvalidRequest("Timestamp must be set either on BATCH or individual statements")
            statements.append((plan, first.with_values(values)))
        check_batch(request.kind, [plan for plan, _ in statements])
        answer = run_batch(statements) if statements else None
        if not isinstance(answer, RowsAnswer):
            return 0, self._result(answer)
        specs = responsewriter.column_specs(answer.columns or (), self._version)
        return self._rows(answer, responsewriter.rows_header(specs))

    def _batch_plan(self, item: BatchEntry, options: QueryOptions) -> WritePlan:
        if isinstance(item.statement, bytes):
            plan = self._prepared(item.statement).plan
        else:
            plan = self._node.database.plan(item.statement, options.keyspace or self.keyspace)
        if not isinstance(plan, WritePlan):
            raise InvalidRequest(
                "Invalid statement in batch: only UPDATE, INSERT and DELETE statements are allowed."
            )
        return plan

    def _prepared(self, statement_id: bytes) -> PreparedPlan:
        found = self._node.prepared.get(statement_id)
        if found is None:
            raise Unprepared(
                f"Prepared query with ID {statement_id.hex()} not found (either the query was not prepared "
                "on this host (maybe the host has been restarted?) or you have prepared too many queries "
                "and it has been evicted from the internal cache)",
                statement_id=statement_id,
            )
        return found

    def _values(self, plan: Plan, values: Values) -> Sequence[RawValue]:
        """The values in the order of the markers, also if they have names."""
        if isinstance(values, dict):
            try:
                return [values[column.name] for column in plan.parameters]
            except KeyError:
                raise InvalidRequest("Invalid amount of bind variables") from None
        assert isinstance(values, Sequence)
        return values

    def _result(self, answer: Answer) -> bytes:
        if answer is None:
            return responsewriter.VOID
        if isinstance(answer, SetKeyspaceAnswer):
            self.keyspace = answer.keyspace
            return responsewriter.set_keyspace(answer.keyspace)
        assert isinstance(answer, SchemaAnswer)
        self._node.schema_changed(answer.changes)
        return responsewriter.schema_change(answer.changes[-1], self._version)

    def _rows(self, answer: RowsAnswer, header: bytes) -> tuple[int, bytes]:
        body = b"".join((header, INT.pack(len(answer.rows)), *answer.rows))
        if not answer.warnings or self._version < 4:
            return 0, body
        flags, prefix = responsewriter.prefixes(Prefixes(warnings=answer.warnings))
        return flags, prefix + body


def _check_count(plan: Plan, values: Sequence[RawValue], there: str = "there") -> None:
    if len(values) != len(plan.parameters):
        raise InvalidRequest(
            f"{there} were {len(plan.parameters)} markers(?) in CQL but {len(values)} bound variables"
        )
