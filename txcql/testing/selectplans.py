"""SELECT, bound to its table: which rows, which of their cells, and how many to a page."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any

from txcql.errors import InvalidRequest
from txcql.testing import cqlstatements as cql
from txcql.testing.execution import Execution
from txcql.testing.expressions import Expression, Receiver, Scope, compile_term
from txcql.testing.jsonvalues import json_name, to_json_text
from txcql.testing.pagingstates import PagingState, read_paging_state, write_paging_state
from txcql.testing.restrictions import Found, Restrictions
from txcql.testing.selectors import BoundSelector, View, bind_selector, has_aggregate
from txcql.testing.statementplans import Answer, Plan, RowsAnswer, parameters_of
from txcql.testing.storedtables import Partition, StoredTable
from txcql.testing.tabledefinitions import CLUSTERING, PARTITION_KEY, REGULAR, STATIC
from txcql.wire.metadata import Column
from txcql.wire.murmur3 import token
from txcql.wire.primitives import write_bytes
from txcql.wire.scalars import INT, TEXT
from txcql.wire.values import Singleton

__all__ = ["SelectPlan"]


class SelectPlan(Plan):
    """SELECT.

    :param table: the table.
    :raises InvalidRequest: the statement and the table do not go together.
    """

    table: StoredTable
    keyspace: str

    def __init__(self, table: StoredTable, statement: cql.Select, scope: Scope) -> None:
        definition = table.definition
        self.table = table
        self.keyspace = definition.keyspace
        self._selectors = self._bind_selectors(statement, scope)
        self._aggregates = has_aggregate(self._selectors)
        self._distinct = statement.distinct
        self._json = statement.json
        self._names = [
            (
                chosen.alias
                if statement.selections and (chosen := statement.selections[at]).alias
                else one.name
            )
            for at, one in enumerate(self._selectors)
        ]
        self.columns = tuple(
            Column(definition.keyspace, definition.name, name or "", one.type)
            for name, one in zip(self._names, self._selectors, strict=True)
        )
        if self._json:
            self.columns = (Column(definition.keyspace, definition.name, "[json]", TEXT),)
        only_statics = statement.selections is not None and self._only_statics()
        self._where = Restrictions(
            "SELECT", definition, statement.relations, scope, only_statics, statement.allow_filtering
        )
        if self._distinct:
            if statement.partition_limit is not None:
                raise InvalidRequest("PER PARTITION LIMIT is not allowed with SELECT DISTINCT queries")
            self._check_distinct(statement)
        if self._aggregates and statement.partition_limit is not None:
            raise InvalidRequest("PER PARTITION LIMIT is not allowed with aggregate queries.")
        self._reverse = self._check_order(statement)
        self._sorts = bool(statement.order) and self._where.key_is_in
        self._order_columns = [definition.columns[name] for name, _ in statement.order]
        self._partition_limit = _limit_source(statement.partition_limit, "[per_partition_limit]", scope)
        self._limit = _limit_source(statement.limit, "[limit]", scope)
        self._where.check_filtering()
        self.parameters = parameters_of(scope)
        self.partition_key = self._where.key_markers()
        self._statics = bool(definition.statics)

    def _bind_selectors(self, statement: cql.Select, scope: Scope) -> list[BoundSelector]:
        definition = self.table.definition
        if statement.selections is None:
            chosen = [cql.Selector("column", name) for name in definition.columns]
            if statement.distinct:
                chosen = [cql.Selector("column", column.name) for column in definition.columns.values()]
        else:
            chosen = [one.selector for one in statement.selections]
        return [bind_selector(one, definition, scope) for one in chosen]

    def _only_statics(self) -> bool:
        columns = [column for one in self._selectors for column in one.columns]
        if any(one.name == "count" for one in self._selectors):
            return False
        kinds = {column.kind for column in columns}
        return STATIC in kinds and not kinds & {CLUSTERING, REGULAR}

    def _check_distinct(self, statement: cql.Select) -> None:
        if self._where.clustering or any(one.column.kind == REGULAR for one in self._where.other):
            raise InvalidRequest(
                "SELECT DISTINCT with WHERE clause only supports restriction by partition key and/or "
                "static columns."
            )
        columns = [column for one in self._selectors for column in one.columns]
        if self._where.key_is_in:
            # They are selected too, to bring the rows of several partitions into one order.
            columns += [self.table.definition.column(name) for name, _ in statement.order]
        for column in columns:
            if column.kind not in (PARTITION_KEY, STATIC):
                raise InvalidRequest(
                    "SELECT DISTINCT queries must only request partition key columns and/or static columns "
                    f"(not {column.name})"
                )
        for column in self.table.definition.partition_key:
            if column not in columns and not self._where_single_key():
                raise InvalidRequest(
                    f"SELECT DISTINCT queries must request all the partition key columns (missing "
                    f"{column.name})"
                )

    def _where_single_key(self) -> bool:
        return bool(self._where.partition) and not self._where.key_range and not self._where.key_is_in

    def _check_order(self, statement: cql.Select) -> bool:
        """Whether rows are read from the end."""
        if not statement.order:
            return False
        definition = self.table.definition
        if self._where.uses_index:
            raise InvalidRequest("ORDER BY with 2ndary indexes is not supported, except for ANN queries.")
        if self._where.key_range:
            raise InvalidRequest(
                "ORDER BY is only supported when the partition key is restricted by an EQ or an IN."
            )
        expected = 0
        reversals: set[bool] = set()
        for name, descending in statement.order:
            column = definition.column(name)
            if column.kind != CLUSTERING:
                raise InvalidRequest(
                    f"Order by is currently only supported on the clustered columns of the PRIMARY "
                    f"KEY, got {name}"
                )
            while expected != column.position:
                skipped = definition.clustering[expected] if expected < len(definition.clustering) else None
                if skipped is None or not self._is_equal(skipped.name):
                    raise InvalidRequest(
                        "Order by currently only supports the ordering of columns following their "
                        "declared order "
                        "in the PRIMARY KEY"
                    )
                expected += 1
            expected += 1
            reversals.add(descending != column.descending)
        if len(reversals) > 1:
            raise InvalidRequest("Unsupported order by relation")
        return reversals.pop()

    def _is_equal(self, name: str) -> bool:
        return any(
            one.operator == "=" and name in [c.name for c in one.columns] for one in self._where.clustering
        )

    # Running.

    def run(self, execution: Execution) -> Answer:
        options = execution.options
        table = self.table.current(execution.node)
        partition_limit = self._partition_limit(execution)
        limit = self._limit(execution)
        found = self._where.find(table, execution)
        keys = found.keys
        tokens = None if keys is None else lambda: [token(key) for key, _ in keys]
        execution.node.check_consistency(self.keyspace, options.consistency, False, tokens)
        page_size = options.page_size or 0
        if self._sorts and page_size > 0 and (self._aggregates or found.keys):
            raise InvalidRequest(
                "Cannot page queries with both ORDER BY and a IN restriction on the partition key; you must "
                "either remove the ORDER BY or the IN and sort client side, or disable paging for this query"
            )
        if self._aggregates:
            return self._aggregate(table, found, execution)
        if self._sorts:
            return self._sorted(table, found, execution, limit, partition_limit)
        state = None
        if options.paging_state is not None:
            state = read_paging_state(options.paging_state, execution.version)
            limit = None if state.remaining < 0 else state.remaining
        views = self._views(table, found, execution, state, partition_limit)
        paged = page_size > 0 and (limit is None or limit > page_size)
        page = list(islice(views, page_size if paged else limit))
        rows = self._rows(page, execution)
        # As with real nodes, a full page has a successor, which may turn out to be empty.
        if not paged or len(page) < page_size:
            return RowsAnswer(rows)
        remaining = -1 if limit is None else limit - page_size
        last = page[-1]
        in_partition = sum(1 for view in page if view.partition is last.partition)
        if state is not None and state.key == last.partition.order[1]:
            in_partition += state.in_partition
        if self._ends_with(last, in_partition, partition_limit, found):
            return RowsAnswer(rows)
        clustering = () if last.row is None else last.row.clustering
        written = PagingState(last.partition.order[1], clustering, remaining, in_partition)
        return RowsAnswer(rows, write_paging_state(written, execution.version))

    def _ends_with(self, last: Any, in_partition: int, partition_limit: int | None, found: Found) -> bool:
        """Whether real nodes know after a full page that there cannot be another row."""
        if found.keys is None or found.keys[-1][0] != last.partition.order[1]:
            return False
        if last.row is None or not self.table.definition.clustering:
            return True
        return partition_limit is not None and in_partition >= partition_limit

    def _aggregate(self, table: StoredTable, found: Found, execution: Execution) -> RowsAnswer:
        views = list(self._views(table, found, execution, None, None))
        values = [selector.over(views, execution) for selector in self._selectors]
        warnings: tuple[str, ...] = ()
        if not self._where.restricts_partition_key:
            warnings = ("Aggregation query used without partition key",)
        elif self._where.key_is_in:
            warnings = ("Aggregation query used on multiple partition keys (IN restriction)",)
        return RowsAnswer([self._encoded(values)], warnings=warnings)

    def _sorted(
        self,
        table: StoredTable,
        found: Found,
        execution: Execution,
        limit: int | None,
        partition_limit: int | None,
    ) -> RowsAnswer:
        views = list(self._views(table, found, execution, None, partition_limit))
        columns = self._order_columns

        def order(view: View) -> Any:
            if view.row is None:
                return ()
            return tuple(
                table.definition.orders[c.position](view.row.clustering[c.position]) for c in columns
            )

        views.sort(key=order, reverse=self._reverse)
        return RowsAnswer(self._rows(views[:limit], execution))

    def _rows(self, views: Sequence[View], execution: Execution) -> list[bytes]:
        selectors = self._selectors
        return [self._encoded([one.value(view, execution) for one in selectors]) for view in views]

    def _encoded(self, values: Sequence[bytes | None]) -> bytes:
        if not self._json:
            return b"".join(map(write_bytes, values))
        pairs = [
            f"{json_name(name or '')}: {to_json_text(one.type, value)}"
            for name, one, value in zip(self._names, self._selectors, values, strict=True)
        ]
        return write_bytes(("{" + ", ".join(pairs) + "}").encode())

    def _views(
        self,
        table: StoredTable,
        found: Found,
        execution: Execution,
        state: PagingState | None,
        partition_limit: int | None,
    ) -> Iterator[View]:
        for partition in self._partitions(table, found, state):
            resumed = state is not None and partition.order[1] == state.key
            views = self._partition_views(table, partition, found, execution, state if resumed else None)
            taken = state.in_partition if state is not None and resumed else 0
            yield from islice(views, None if partition_limit is None else max(0, partition_limit - taken))

    def _partitions(self, table: StoredTable, found: Found, state: PagingState | None) -> Iterator[Partition]:
        if found.keys is None:
            for partition in table.after(None if state is None else state.key):
                if not found.partition_tests or all(
                    test(partition, partition.static) for test in found.partition_tests
                ):
                    yield partition
            return
        keys = [key for key, _ in found.keys]
        start = keys.index(state.key) if state is not None and state.key in keys else 0
        for key in keys[start:]:
            only = table.partitions.get(key)
            if only is not None and all(test(only, only.static) for test in found.partition_tests):
                yield only

    def _partition_views(
        self,
        table: StoredTable,
        partition: Partition,
        found: Found,
        execution: Execution,
        state: PagingState | None,
    ) -> Iterator[View]:
        now = execution.now
        if not all(test(partition, partition.static) for test in found.static_tests):
            return
        has_statics = self._statics and partition.static.has_values(now)
        if self._distinct:
            if state is None and (has_statics or any(row.live(now) for row in partition.rows.values())):
                yield View(partition, None)
            return
        if state is not None and not state.clustering and table.definition.clustering:
            return
        if found.order is not None:
            row = partition.rows.get(found.order)
            candidates = iter(()) if row is None or state is not None else iter((row,))
        else:
            order = None if state is None else table.order(state.clustering)
            candidates = partition.after(order, self._reverse)
        any_live = False
        for row in candidates:
            if row.live(now):
                any_live = True
                if all(test(partition, row) for test in found.row_tests):
                    yield View(partition, row)
        if (
            not any_live
            and state is None
            and has_statics
            and not found.row_tests
            and found.order in (None, ())
            and not any(row.live(now) for row in partition.rows.values())
        ):
            yield View(partition, None)


def _limit_source(term: cql.Term | None, name: str, scope: Scope) -> Callable[[Execution], int | None]:
    """What gives a LIMIT, ``None`` if there is none."""
    if term is None:
        return lambda execution: None
    expression = compile_term(term, Receiver(name, INT), scope)
    return lambda execution: _limit(expression, execution)


def _limit(expression: Expression, execution: Execution) -> int | None:
    value = expression.value(execution)
    if value is None:
        raise InvalidRequest("Invalid null value of limit")
    if isinstance(value, Singleton):
        return None
    if len(value) != 4:
        raise InvalidRequest("Invalid limit value")
    limit = int.from_bytes(value, "big", signed=True)
    if limit <= 0:
        raise InvalidRequest("LIMIT must be strictly positive")
    return limit
