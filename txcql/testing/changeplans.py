"""UPDATE and DELETE, bound to their tables."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from txcql.errors import CQLSyntaxError, InvalidRequest
from txcql.testing import cqlstatements as cql
from txcql.testing.conditions import BoundCondition
from txcql.testing.execution import Execution
from txcql.testing.expressions import Scope
from txcql.testing.operations import CellOperation, Stamp, bind_deletion, bind_operation
from txcql.testing.restrictions import Restrictions
from txcql.testing.statementplans import parameters_of
from txcql.testing.storedtables import StoredTable
from txcql.testing.tabledefinitions import STATIC
from txcql.testing.writeplans import Key, WritePlan

__all__ = ["DeletePlan", "UpdatePlan"]


class _KeyedPlan(WritePlan):
    """A statement with a WHERE."""

    def __init__(
        self,
        table: StoredTable,
        statement: cql.Update | cql.Delete,
        scope: Scope,
        operations: Callable[[], list[CellOperation]],
    ) -> None:
        super().__init__(table, statement.attributes, scope)
        definition = table.definition
        if statement.if_exists:
            self.exists = True
        self._bind_attributes()
        self.conditions = [BoundCondition(one, definition, scope) for one in statement.conditions]
        self.operations = operations()
        self.where = Restrictions(self.kind, definition, statement.relations, scope, self.only_statics)
        self._check()
        self.partition_key = self.where.key_markers()
        self.parameters = parameters_of(scope)

    @property
    def key_is_in(self) -> bool:
        return self.where.key_is_in

    @property
    def clustering_is_in(self) -> bool:
        return self.where.clustering_is_in

    @property
    def writes_rows(self) -> bool:
        return not self.table.definition.clustering or bool(self.where.clustering)

    def keys(self, execution: Execution) -> list[Key]:
        return self.where.find(self.table, execution).keys or []

    def clusterings(self, execution: Execution) -> list[tuple[bytes, ...]] | None:
        if not self.where.all_clustering_equal or (self.only_statics and self.table.definition.clustering):
            return None
        return self.where.clustering_values(execution)


class UpdatePlan(_KeyedPlan):
    """UPDATE."""

    kind = "UPDATE"

    def __init__(self, table: StoredTable, statement: cql.Update, scope: Scope) -> None:
        whole = [
            one.target.column
            for one in statement.operations
            if one.target.key is None and one.target.field is None
        ]
        for one in statement.operations:
            name = one.target.column
            partial = one.target.key is not None or one.target.field is not None
            if whole.count(name) > 1 or (partial and name in whole):
                raise CQLSyntaxError(f"Multiple incompatible setting of column {name}")
        super().__init__(
            table,
            statement,
            scope,
            lambda: [bind_operation(one, table.definition, scope) for one in statement.operations],
        )


class DeletePlan(_KeyedPlan):
    """DELETE."""

    kind = "DELETE"

    def __init__(self, table: StoredTable, statement: cql.Delete, scope: Scope) -> None:
        super().__init__(
            table,
            statement,
            scope,
            lambda: [bind_deletion(one, table.definition, scope) for one in statement.targets],
        )
        if self.conditional and not self.where.all_clustering_equal:
            if not self.operations or any(one.column.kind != STATIC for one in self.operations):
                raise InvalidRequest(
                    "DELETE statements must restrict all PRIMARY KEY columns with equality relations "
                    "in order to "
                    "delete non static columns"
                )
            if any(one.column.kind != STATIC for one in self.conditions):
                raise InvalidRequest(
                    "DELETE statements must restrict all PRIMARY KEY columns with equality relations "
                    "in order to "
                    "use IF condition on non static columns"
                )
        if self.operations and not self.only_statics and not self.where.all_clustering_equal:
            raise InvalidRequest("Range deletions are not supported for specific columns")

    @property
    def only_statics(self) -> bool:
        return bool(self.operations) and super().only_statics

    def stamp(self, execution: Execution) -> Stamp:
        return Stamp(super().stamp(execution).timestamp)

    def _prepare_key(
        self, key: bytes, components: tuple[bytes, ...], stamp: Stamp, execution: Execution
    ) -> Callable[[], None]:
        if self.operations:
            return super()._prepare_key(key, components, stamp, execution)
        timestamp = stamp.timestamp
        if not self.where.clustering:
            return lambda: self.table.partition(key, components).delete(timestamp)
        clusterings = self.clusterings(execution)
        if clusterings is not None:
            return partial(self._delete_rows, key, components, clusterings, timestamp)
        tests = self.where.find(self.table, execution).row_tests

        def delete() -> None:
            partition = self.table.partition(key, components)
            partition.delete_range(lambda row: all(test(partition, row) for test in tests), timestamp)

        return delete

    def _delete_rows(
        self,
        key: bytes,
        components: tuple[bytes, ...],
        clusterings: Sequence[tuple[bytes, ...]],
        timestamp: int,
    ) -> None:
        for clustering in clusterings:
            self.table.row(key, components, clustering).delete(timestamp)
