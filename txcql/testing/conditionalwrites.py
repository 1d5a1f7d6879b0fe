"""Writes with an IF: what is read for it, whether it is met, and what is shown if it is not.

As with real nodes, which rows and columns are read depends on what the statements with conditions write;
and what was not read is not shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from txcql.errors import InternalServerError, InvalidRequest
from txcql.testing.conditions import BoundCondition
from txcql.testing.execution import Execution
from txcql.testing.refusals import unsupported
from txcql.testing.relationtests import read_column
from txcql.testing.statementplans import RowsAnswer
from txcql.testing.storedrows import Row
from txcql.testing.storedtables import Partition, StoredTable
from txcql.testing.tabledefinitions import REGULAR, STATIC, ColumnDefinition
from txcql.wire.metadata import Column
from txcql.wire.primitives import write_bytes
from txcql.wire.scalars import BOOLEAN

if TYPE_CHECKING:
    from txcql.testing.writeplans import WritePlan

__all__ = ["run_conditional"]

_MANY_PARTITIONS = "Batch with conditions cannot span multiple partitions"

_NO_PARTITION = "java.lang.IndexOutOfBoundsException: Index 0 out of bounds for length 0"
"""Real nodes do not expect that ``token()`` excludes the key that is given beside it."""


def run_conditional(statements: Sequence[tuple[WritePlan, Execution]], batch: bool = False) -> RowsAnswer:
    """Carry out statements if all of their conditions are met.

    :param batch: whether they are those of a batch, which shows the keys of what it found.
    :raises ServerError: they do not go together, or one of their values is wrong.
    """
    asked = _Asked(statements, batch)
    if asked.is_met():
        for write in [plan.prepare(execution) for plan, execution in statements]:
            write()
        return _answer(True, asked.table, [], [])
    return asked.refusal()


class _Conditions:
    """What is asked of one row, or of the static columns.

    :ivar exists: whether it has to be there; ``None`` if its columns are asked for.
    """

    def __init__(self, exists: bool | None) -> None:
        self.exists = exists
        self._columns: list[tuple[BoundCondition, Execution]] = []

    def add(self, condition: BoundCondition, execution: Execution) -> None:
        """Ask for a column."""
        self._columns.append((condition, execution))

    def hold(self, partition: Partition, row: Row | None, found: bool) -> bool:
        """Whether they are met."""
        if self.exists is not None:
            return found == self.exists
        met, errors = [], []
        for condition, execution in self._columns:
            try:
                met.append(condition.holds(partition, row, execution))
            except InvalidRequest as error:
                errors.append(error)
        if errors and not all(met):
            # Real nodes stop at the first one that is not met, and go by a hash table.
            raise unsupported("conditions of which one is wrong and another one is not met")
        if errors:
            raise errors[0]
        return all(met)


class _Asked:
    """The conditions of some statements, by what they are about.

    :ivar table: the table.
    """

    def __init__(self, statements: Sequence[tuple[WritePlan, Execution]], batch: bool) -> None:
        plan, execution = statements[0]
        self.table: StoredTable = plan.table
        self._batch = batch
        self._now = execution.now
        self._plans = [plan for plan, _ in statements if plan.conditional]
        self._key: bytes | None = None
        self._static: _Conditions | None = None
        self._rows: dict[Any, _Conditions] = {}
        for plan, execution in statements:
            self._check(plan, execution)
            if plan.conditional:
                self._add(plan, execution)
        assert self._key is not None
        self._partition: Partition = self.table.partitions.get(self._key) or Partition(self._key, ())
        for plan, execution in statements:
            self._check_reads(plan, execution)

    def _check(self, plan: WritePlan, execution: Execution) -> None:
        keys = plan.keys(execution)
        verb = "deletions" if plan.kind == "DELETE" else "updates"
        if plan.key_is_in and self._batch:
            raise InternalServerError(
                f"java.lang.IllegalArgumentException: {_MANY_PARTITIONS} "
                "(you cannot use IN on the partition key)"
            )
        if plan.key_is_in:
            raise InvalidRequest(f"IN on the partition key is not supported with conditional {verb}")
        if not keys:
            raise InternalServerError(_NO_PARTITION)
        key = keys[0][0]
        if self._key not in (None, key):
            raise InvalidRequest(_MANY_PARTITIONS)
        self._key = key
        if plan.clustering_is_in:
            raise InvalidRequest(f"IN on the clustering key columns is not supported with conditional {verb}")

    def _check_reads(self, plan: WritePlan, execution: Execution) -> None:
        """Refuse to change lists of which it is not sure that they are read together with the conditions."""
        kinds = {one.column.kind for one in plan.operations if one.reads}
        order = None
        if REGULAR in kinds:
            [clustering] = plan.clusterings(execution) or [()]
            order = self.table.order(clustering)
        if (REGULAR in kinds and order not in self._rows) or (STATIC in kinds and not plan.conditional):
            raise unsupported(
                "a change of a list that depends on what it has, where an IF is about other rows,"
            )

    def _add(self, plan: WritePlan, execution: Execution) -> None:
        clusterings = plan.clusterings(execution)
        order = self.table.order(clusterings[0]) if clusterings else None
        if plan.exists is not None:
            self._add_existence(order, plan.exists)
        for condition in plan.conditions:
            place = None if condition.column.kind == STATIC else order
            found = self._at(place)
            if found is None:
                found = self._set(place, _Conditions(None))
            elif found.exists is not None:
                raise InvalidRequest("Cannot mix IF conditions and IF NOT EXISTS for the same row")
            found.add(condition, execution)

    def _add_existence(self, order: Any, exists: bool) -> None:
        found = self._at(order)
        if found is None:
            self._set(order, _Conditions(exists))
        elif found.exists is None:
            raise InvalidRequest(
                f"Cannot mix IF conditions and IF {'' if exists else 'NOT '}EXISTS for the same row"
            )
        elif found.exists != exists:
            raise InvalidRequest("Cannot mix IF EXISTS and IF NOT EXISTS conditions for the same row")

    def _at(self, order: Any) -> _Conditions | None:
        return self._static if order is None else self._rows.get(order)

    def _set(self, order: Any, conditions: _Conditions) -> _Conditions:
        if order is None:
            self._static = conditions
        else:
            self._rows[order] = conditions
        return conditions

    def is_met(self) -> bool:
        """Whether all of them are met."""
        partition, now = self._partition, self._now
        if self._static is not None:
            found = partition.static.has_values(now)
            if not self._static.hold(partition, None, found):
                return False
        for order in sorted(self._rows):
            row = partition.rows.get(order)
            if not self._rows[order].hold(partition, row, row is not None and row.live(now)):
                return False
        return True

    def refusal(self) -> RowsAnswer:
        """What is answered if one of them is not met: what was read."""
        read = self._read_columns()
        columns = self._shown_columns()
        cells = [
            [
                read_column(column, self._partition, row, self._now)
                if column.is_key or column in read
                else None
                for column in columns
            ]
            for row in self._read_rows(read)
        ]
        return _answer(False, self.table, columns, cells)

    def _read_columns(self) -> list[ColumnDefinition]:
        """All columns of the kinds that are written, and those of the conditions."""
        written = {
            one.column.kind for plan in self._plans for one in plan.operations if one.column.kind == STATIC
        }
        if any(plan.writes_rows for plan in self._plans):
            written.add(REGULAR)
        read = [one.column for plan in self._plans for one in plan.conditions]
        return [
            *read,
            *(column for column in self.table.definition.columns.values() if column.kind in written),
        ]

    def _read_rows(self, read: Sequence[ColumnDefinition]) -> list[Row | None]:
        """The rows that were asked for; without any, the first one of the partition.

        :returns: ``None`` in it stands for static columns without a row.
        """
        partition, now = self._partition, self._now
        rows = [partition.rows.get(order) for order in sorted(self._rows)] or partition.after(None)
        seen: list[Row | None] = [
            row for row in rows if row is not None and _is_seen(row, partition, read, now)
        ]
        if not self._rows:
            seen = seen[:1]
        statics = [column for column in read if column.kind == STATIC]
        if not seen and any(read_column(column, partition, None, now) is not None for column in statics):
            return [None]
        return seen

    def _shown_columns(self) -> list[ColumnDefinition]:
        definition = self.table.definition
        if any(plan.exists is not None for plan in self._plans):
            return list(definition.columns.values())
        found = [*definition.partition_key, *definition.clustering] if self._batch else []
        for plan in self._plans:
            for one in sorted(plan.conditions, key=lambda one: one.column.kind == STATIC):
                if one.column not in found:
                    found.append(one.column)
        return found


def _is_seen(row: Row, partition: Partition, read: Sequence[ColumnDefinition], now: int) -> bool:
    """Whether a row is there for who reads some columns: it was inserted, or one of them has a value."""
    return (row.inserted is not None and row.inserted.live(now)) or any(
        read_column(column, partition, row, now) is not None for column in read if column.kind == REGULAR
    )


def _answer(
    applied: bool,
    table: StoredTable,
    columns: Sequence[ColumnDefinition],
    rows: Sequence[Sequence[bytes | None]],
) -> RowsAnswer:
    definition = table.definition
    found = [Column(definition.keyspace, definition.name, "[applied]", BOOLEAN)]
    head = write_bytes(b"\1" if applied else b"\0")
    if not rows:
        return RowsAnswer([head], columns=tuple(found))
    found += [definition.wire_column(column.name) for column in columns]
    encoded = [head + b"".join(map(write_bytes, row)) for row in rows]
    return RowsAnswer(encoded, columns=tuple(found))
