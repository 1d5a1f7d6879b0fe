"""SELECT, bound to its table: which rows, which of their cells, and how many to a page."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from operator import itemgetter
from typing import NamedTuple

from txcql.errors import InvalidRequest
from txcql.testing.cqlstatements import Marker, Select
from txcql.testing.literals import literal_bytes
from txcql.testing.pagingstates import PagingState, read_paging_state, write_paging_state
from txcql.testing.statementplans import (
    Answer,
    Coordinator,
    Plan,
    RowsAnswer,
    Slot,
    find_column,
    partition_key_markers,
    relation_parameters,
    relation_slots,
    special_parameter,
)
from txcql.testing.storedtables import Partition, Row, StoredTable
from txcql.testing.tabledefinitions import TableDefinition
from txcql.wire.metadata import Column
from txcql.wire.primitives import LONG, write_bytes
from txcql.wire.requestreader import RawValue
from txcql.wire.requests import QueryOptions
from txcql.wire.scalars import BIGINT, INT

__all__ = ["SelectPlan"]

_FILTERING = (
    "Cannot execute this query as it might involve data filtering and thus may have unpredictable "
    "performance. If you want to execute this query despite the performance unpredictability, "
    "use ALLOW FILTERING"
)


class _Where(NamedTuple):
    """What a WHERE asks for.

    :ivar key: the serialized partition key, ``None`` for all partitions.
    :ivar clustering: the sort keys of the clustering columns that are given.
    """

    key: bytes | None
    clustering: tuple[object, ...]


class SelectPlan(Plan):
    """SELECT.

    :param table: the table.
    :raises InvalidRequest: the statement and the table do not go together.
    """

    table: StoredTable
    keyspace: str

    def __init__(self, table: StoredTable, statement: Select) -> None:
        definition = table.definition
        self.table = table
        self.keyspace = definition.keyspace
        self._count = statement.count
        names = list(definition.columns) if statement.columns is None else list(statement.columns)
        for name in names:
            find_column(definition, name)
        if statement.count:
            self.columns = (Column(definition.keyspace, definition.name, "count", BIGINT),)
        else:
            self.columns = tuple(definition.wire_column(name) for name in names)
        self._project = _projection([definition.places[name] for name in names])
        slots = relation_slots(definition, statement.relations)
        self._key = _key_slots(definition, slots)
        self._clustering = _clustering_slots(definition, slots)
        self.parameters = relation_parameters(definition, statement.relations)
        self._limit = _limit_source(statement)
        if isinstance(statement.limit, Marker):
            self.parameters += (special_parameter(definition, statement.limit, "[limit]", INT),)
        self.partition_key = partition_key_markers(self._key) if self._key else ()
        self._one_row = bool(self._key) and len(self._clustering) == len(definition.clustering)

    def run(
        self, values: Sequence[RawValue], options: QueryOptions, node: Coordinator, version: int
    ) -> Answer:
        node.check_consistency(self.keyspace, options.consistency, False)
        table = self.table.current(node)
        limit = self._limit(values)
        where = self._where(table, values)
        if self._count:
            counted = sum(1 for _ in self._rows(table, where, None))
            warnings = () if self._key else ("Aggregation query used without partition key",)
            return RowsAnswer([write_bytes(LONG.pack(counted))], warnings=warnings)
        state = None
        if options.paging_state is not None:
            state = read_paging_state(options.paging_state, version)
            limit = None if state.remaining < 0 else state.remaining
        return self._page(table, where, state, limit, options.page_size or 0, version)

    def _page(
        self,
        table: StoredTable,
        where: _Where,
        state: PagingState | None,
        limit: int | None,
        page_size: int,
        version: int,
    ) -> RowsAnswer:
        found = self._rows(table, where, state)
        paged = page_size > 0 and (limit is None or limit > page_size)
        page = list(islice(found, page_size if paged else limit))
        project = self._project
        rows = [project(row.cells) for _, row in page]
        # As with real nodes, a full page has a successor, which may turn out to be empty.
        if not paged or len(page) < page_size:
            return RowsAnswer(rows)
        partition, row = page[-1]
        remaining = -1 if limit is None else limit - page_size
        last = PagingState(partition.order[1], row.clustering, remaining)
        return RowsAnswer(rows, write_paging_state(last, version))

    def _where(self, table: StoredTable, values: Sequence[RawValue]) -> _Where:
        if not self._key:
            return _Where(None, ())
        key = table.partition_key([slot.key_value(values) for slot in self._key])
        orders = table.definition.orders
        clustering = [slot.key_value(values) for slot in self._clustering]
        return _Where(key, tuple(order(part) for order, part in zip(orders, clustering, strict=False)))

    def _rows(
        self, table: StoredTable, where: _Where, state: PagingState | None
    ) -> Iterator[tuple[Partition, Row]]:
        """The rows asked for, behind those of the pages before."""
        order = None if state is None else table.order(state.clustering)
        if where.key is None:
            for partition in table.after(None if state is None else state.key):
                resumed = state is not None and partition.order[1] == state.key
                for row in partition.after(order if resumed else None):
                    yield partition, row
            return
        only = table.partitions.get(where.key)
        if only is None:
            return
        if self._one_row:
            found = only.rows.get(where.clustering)
            if state is None and found is not None and found.live:
                yield only, found
            return
        width = len(where.clustering)
        for row in only.after(order):
            if row.order[:width] == where.clustering:
                yield only, row


def _projection(places: Sequence[int]) -> Callable[[Sequence[bytes]], bytes]:
    """What joins the chosen cells of a row."""
    if len(places) == 1:
        return itemgetter(places[0])
    pick = itemgetter(*places)
    return lambda cells: b"".join(pick(cells))


def _key_slots(table: TableDefinition, slots: dict[str, Slot]) -> list[Slot]:
    found = [slots[column.name] for column in table.partition_key if column.name in slots]
    if slots and len(found) < len(table.partition_key):
        raise InvalidRequest(_FILTERING)
    return found


def _clustering_slots(table: TableDefinition, slots: dict[str, Slot]) -> list[Slot]:
    found: list[Slot] = []
    skipped = None
    for column in table.clustering:
        if column.name not in slots:
            skipped = skipped or column.name
        elif skipped is not None:
            raise InvalidRequest(
                f'PRIMARY KEY column "{column.name}" cannot be restricted as preceding column '
                f'"{skipped}" is not restricted'
            )
        else:
            found.append(slots[column.name])
    if len(slots) > len(found) + len(table.partition_key):
        raise InvalidRequest(_FILTERING)
    return found


def _limit_source(statement: Select) -> Callable[[Sequence[RawValue]], int | None]:
    """What gives the LIMIT, ``None`` if there is none."""
    term = statement.limit
    if term is None:
        return lambda values: None
    if isinstance(term, Marker):
        index = term.index
        return lambda values: _limit(values[index])
    constant = literal_bytes(term, INT, "[limit]")
    return lambda values: _limit(constant)


def _limit(value: RawValue) -> int | None:
    if value is None:
        raise InvalidRequest("Invalid null value of limit")
    if not isinstance(value, bytes):
        return None
    if len(value) != 4:
        raise InvalidRequest(f"Expected 4 or 0 byte int ({len(value)})")
    limit = int.from_bytes(value, "big", signed=True)
    if limit <= 0:
        raise InvalidRequest("LIMIT must be strictly positive")
    return limit
