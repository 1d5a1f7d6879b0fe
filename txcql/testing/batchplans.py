"""Batches: several writes at once, all of them or none."""

from __future__ import annotations

from collections.abc import Sequence

from txcql.errors import InvalidRequest
from txcql.testing import cqlstatements as cql
from txcql.testing.conditionalwrites import run_conditional
from txcql.testing.execution import Execution
from txcql.testing.expressions import Receiver, Scope, compile_term
from txcql.testing.statementplans import Answer, Plan, parameters_of
from txcql.testing.writeplans import WritePlan
from txcql.wire.scalars import BIGINT
from txcql.wire.values import Singleton

__all__ = ["BatchPlan", "check_batch", "run_batch"]


def check_batch(kind: str, plans: Sequence[WritePlan]) -> None:
    """Refuse what does not go into one batch.

    :raises InvalidRequest: so it is.
    """
    counters = [plan for plan in plans if plan.is_counter]
    if kind == "counter" and len(counters) < len(plans):
        raise InvalidRequest("Cannot include non-counter statement in a counter batch")
    if kind != "counter" and counters:
        if len(counters) < len(plans):
            raise InvalidRequest("Counter and non-counter mutations cannot exist in the same batch")
        if kind == "logged":
            raise InvalidRequest("Cannot include a counter statement in a logged batch")
    if any(plan.conditional for plan in plans) and len({id(plan.table) for plan in plans}) > 1:
        raise InvalidRequest("Batch with conditions cannot span multiple tables")


def run_batch(statements: Sequence[tuple[WritePlan, Execution]]) -> Answer:
    """Carry out the statements of a batch: nothing is written unless all of them are right.

    :raises ServerError: one of them is not.
    """
    for plan, execution in statements:
        plan.check(execution)
    if any(plan.conditional for plan, _ in statements):
        return run_conditional(statements, batch=True)
    for plan, execution in statements:
        plan.keys(execution)
    for write in [plan.prepare(execution) for plan, execution in statements]:
        write()
    return None


class BatchPlan(Plan):
    """BEGIN BATCH.

    :param plans: its statements.
    :param scope: that all of them share.
    """

    def __init__(self, statement: cql.Batch, plans: Sequence[WritePlan], scope: Scope) -> None:
        timestamp = statement.attributes.timestamp
        self._timestamp = None
        if timestamp is not None:
            self._timestamp = compile_term(timestamp, Receiver("[timestamp]", BIGINT), scope)
            if any(plan.conditional for plan in plans):
                raise InvalidRequest("Cannot provide custom timestamp for conditional BATCH")
            if statement.kind == "counter":
                raise InvalidRequest("Cannot provide custom timestamp for counter BATCH")
            if any(plan.has_timestamp for plan in plans):
                raise InvalidRequest("Timestamp must be set either on BATCH or individual statements")
        check_batch(statement.kind, plans)
        self._plans = plans
        self.keyspace = plans[0].keyspace if plans else None
        self.table = plans[0].table if plans else None
        self.parameters = parameters_of(scope)
        self.partition_key = self._key_markers()

    def _key_markers(self) -> tuple[int, ...]:
        """As real nodes tell them: those of the last statement that has them all."""
        found = [plan.partition_key for plan in self._plans if plan.partition_key]
        return found[-1] if found else ()

    def run(self, execution: Execution) -> Answer:
        if self._timestamp is not None:
            value = self._timestamp.value(execution)
            if value is not None and not isinstance(value, Singleton):
                options = execution.options._replace(timestamp=int.from_bytes(value, "big", signed=True))
                execution = Execution(execution.values, options, execution.node, execution.version)
        return run_batch([(plan, execution) for plan in self._plans])
