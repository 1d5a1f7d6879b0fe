"""The statements of a fake cluster: read, and planned against its tables."""

from __future__ import annotations

from collections.abc import Sequence

from txcql.errors import InvalidRequest
from txcql.testing import cqlstatements as cql
from txcql.testing.batchplans import BatchPlan
from txcql.testing.changeplans import DeletePlan, UpdatePlan
from txcql.testing.cqlparser import parse
from txcql.testing.describing import DescribePlan
from txcql.testing.expressions import Scope
from txcql.testing.faketopology import NodeInfo
from txcql.testing.insertplans import InsertPlan
from txcql.testing.keyspaces import Keyspace, Keyspaces
from txcql.testing.refusals import unsupported
from txcql.testing.schemaexecutor import SchemaExecutor
from txcql.testing.selectplans import SelectPlan
from txcql.testing.statementplans import Plan, SchemaPlan
from txcql.testing.storedtables import StoredTable
from txcql.testing.writeplans import WritePlan
from txcql.wire.events import SchemaChange

__all__ = ["Database"]

_MOST_PLANS = 1000


class Database:
    """What all nodes of a cluster share.

    :param nodes: the nodes, for the datacenters that a replication may name.
    :ivar schema: its keyspaces.
    :ivar executor: carries out schema statements, and tells of the changes.
    """

    def __init__(self, nodes: Sequence[NodeInfo], cluster_name: str = "") -> None:
        self.schema = Keyspaces(nodes)
        self.executor = SchemaExecutor(self.schema)
        self.executor.changed.append(self._forget_plans)
        self._cluster_name = cluster_name
        self._plans: dict[tuple[str | None, str], Plan] = {}

    @property
    def keyspaces(self) -> dict[str, Keyspace]:
        """The keyspaces by name."""
        return self.schema.by_name

    def _forget_plans(self, change: SchemaChange) -> None:
        self._plans.clear()

    def plan(self, text: str, keyspace: str | None) -> Plan:
        """The plan of a text, kept for the next time.

        :param keyspace: the keyspace of unqualified names, if there is one.
        :raises ServerError: the text is wrong, or not supported.
        """
        found = self._plans.get((keyspace, text))
        if found is None:
            found = self._make_plan(parse(text), keyspace)
            if len(self._plans) >= _MOST_PLANS:
                self._plans.clear()
            self._plans[keyspace, text] = found
        return found

    def is_qualified(self, text: str) -> bool:
        """Whether a text names its keyspace itself, so that its id does not depend on the connection's."""
        statement = parse(text).statement
        if isinstance(statement, (cql.Select, cql.Insert, cql.Update, cql.Delete, cql.Truncate)):
            return statement.table.keyspace is not None
        return False

    def _scope(self, table: StoredTable) -> Scope:
        definition = table.definition
        types = self.keyspaces[definition.keyspace].types
        return Scope(definition.keyspace, definition.name, types, definition.key_types)

    def _make_plan(self, parsed: cql.Parsed, keyspace: str | None) -> Plan:
        statement = parsed.statement
        if isinstance(statement, cql.Select):
            table = self.schema.table(statement.table, keyspace)
            return SelectPlan(table, statement, self._scope(table))
        if isinstance(statement, (cql.Insert, cql.Update, cql.Delete)):
            return self._write_plan(statement, keyspace)
        if isinstance(statement, cql.Batch):
            return self._batch_plan(statement, keyspace)
        if isinstance(statement, cql.Describe):
            return DescribePlan(statement, self.schema, keyspace, self._cluster_name)
        if parsed.markers:
            raise InvalidRequest("Bind variables are not allowed in schema statements")
        return SchemaPlan(lambda: self.executor.carry_out(statement, keyspace))

    def _write_plan(
        self,
        statement: cql.Insert | cql.Update | cql.Delete,
        keyspace: str | None,
        shared: Scope | None = None,
    ) -> WritePlan:
        table = self.schema.table(statement.table, keyspace, writes=True)
        scope = self._scope(table)
        if shared is not None:
            scope.parameters = shared.parameters
        if isinstance(statement, cql.Insert):
            return InsertPlan(table, statement, scope)
        if isinstance(statement, cql.Update):
            return UpdatePlan(table, statement, scope)
        return DeletePlan(table, statement, scope)

    def _batch_plan(self, statement: cql.Batch, keyspace: str | None) -> BatchPlan:
        if len(statement.statements) > 0xFFFF:
            raise unsupported("a batch of more than 65535 statements")
        shared = Scope(keyspace or "", "", {})
        plans = [self._write_plan(one, keyspace, shared) for one in statement.statements]
        return BatchPlan(statement, plans, shared)
