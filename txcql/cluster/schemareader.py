"""Reading the schema from ``system_schema``."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

from txcql.cluster.schema import (
    AggregateMetadata,
    ColumnMetadata,
    FunctionMetadata,
    IndexMetadata,
    KeyspaceMetadata,
    TableMetadata,
    TypeMetadata,
    UserTypes,
    ViewMetadata,
)
from txcql.cluster.systemreads import read_rows, text_literal, text_literals
from txcql.cluster.together import together
from txcql.connection.protocol import CQLProtocol
from txcql.errors import CQLError, InvalidRequest, ProtocolError

__all__ = ["read_keyspaces"]

# A row without a column, or with one of another type.
_SENSELESS = (AttributeError, LookupError, TypeError, ValueError)
_TABLES_A_TURN = 50
_PAGE = 500
_WIDE_PAGE = 100  # of tables and views, whose rows have many columns
_NO_OPTIONS = {"keyspace_name", "table_name", "view_name", "id", "flags"}
_NO_VIEW_OPTIONS = _NO_OPTIONS | {
    "base_table_id",
    "base_table_name",
    "where_clause",
    "include_all_columns",
}
_KIND_ORDER = {"partition_key": 0, "clustering": 1, "static": 2, "regular": 2, "compact_value": 2}


async def read_keyspaces(
    link: CQLProtocol, clock: IReactorTime, covered: bool | Collection[str], names: Collection[str] | None
) -> dict[str, KeyspaceMetadata]:
    """Ask a node for keyspaces.

    :param clock: waits for the next turn: a large schema takes several.
    :param covered: ``True``, ``False``, or the names of the keyspaces of which more is read than their
        own options.
    :param names: the keyspaces to read; ``None`` for all.
    :returns: those that exist.
    :raises CQLError: the node does not answer, or not with what was asked.
    """
    try:
        return await _read_keyspaces(link, clock, covered, names)
    except CQLError:
        raise
    except _SENSELESS as error:
        raise ProtocolError(
            f"{link.node} describes its schema in rows that make no sense: {error!r}"
        ) from error


async def _read_keyspaces(
    link: CQLProtocol, clock: IReactorTime, covered: bool | Collection[str], names: Collection[str] | None
) -> dict[str, KeyspaceMetadata]:
    rows = await read_rows(link, "SELECT * FROM system_schema.keyspaces" + _where(names), _PAGE)
    wanted = {row.keyspace_name for row in rows}
    if covered is not True:
        wanted &= set(covered or ())
    limit = None if names is None and covered is True else sorted(wanted)
    parts = await _SchemaRows.read(link, limit) if wanted else None
    found = {}
    for row in rows:
        name = row.keyspace_name
        options = (name, dict(row.replication), bool(row.durable_writes))
        if parts is None or name not in wanted:
            found[name] = KeyspaceMetadata(*options)
        else:
            found[name] = await _keyspace(parts, clock, *options)
    return found


def _where(names: Collection[str] | None) -> str:
    if names is None:
        return ""
    literals = text_literals(sorted(names))
    return (
        f" WHERE keyspace_name = {literals}" if len(names) == 1 else f" WHERE keyspace_name IN ({literals})"
    )


class _SchemaRows:
    """The rows of the tables of ``system_schema``, by keyspace.

    :ivar tables: the rows of the table of that name; and so are the others.
    :ivar columns: by keyspace and table.
    :ivar indexes: by keyspace and table.
    :ivar column_masks: by keyspace and table.
    """

    def __init__(self, found: Mapping[str, Sequence[Any]]) -> None:
        self.tables = _by_keyspace(found["tables"])
        self.views = _by_keyspace(found["views"])
        self.types = _by_keyspace(found["types"])
        self.functions = _by_keyspace(found["functions"])
        self.aggregates = _by_keyspace(found["aggregates"])
        self.columns = _by_table(found["columns"])
        self.indexes = _by_table(found["indexes"])
        self.column_masks = _by_table(found["column_masks"])

    @classmethod
    async def read(cls, link: CQLProtocol, names: Sequence[str] | None) -> _SchemaRows:
        kinds = ("tables", "columns", "types", "indexes", "views", "functions", "aggregates", "column_masks")
        reading = [Deferred.fromCoroutine(_read(link, kind, names)) for kind in kinds]
        found = await together(reading)
        return cls(dict(zip(kinds, found, strict=True)))


async def _read(link: CQLProtocol, kind: str, names: Sequence[str] | None) -> list[Any]:
    page = _WIDE_PAGE if kind in ("tables", "views") else _PAGE
    try:
        return await read_rows(link, f"SELECT * FROM system_schema.{kind}" + _where(names), page)
    except InvalidRequest:
        if kind == "column_masks":
            # Before 5.0 there is no such table.
            return []
        raise


def _by_keyspace(rows: Sequence[Any]) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = defaultdict(list)
    for row in rows:
        found[row.keyspace_name].append(row)
    return found


def _by_table(rows: Sequence[Any]) -> dict[tuple[str, str], list[Any]]:
    found: dict[tuple[str, str], list[Any]] = defaultdict(list)
    for row in rows:
        found[row.keyspace_name, row.table_name].append(row)
    return found


async def _keyspace(
    rows: _SchemaRows, clock: IReactorTime, name: str, replication: dict[str, str], durable_writes: bool
) -> KeyspaceMetadata:
    types = {
        row.type_name: TypeMetadata(
            name, row.type_name, dict(zip(row.field_names or (), row.field_types or (), strict=True))
        )
        for row in rows.types.get(name, ())
    }
    user_types = UserTypes(types)
    tables: dict[str, TableMetadata] = {}
    views: dict[str, ViewMetadata] = {}
    for number, row in enumerate((*rows.tables.get(name, ()), *rows.views.get(name, ())), 1):
        if hasattr(row, "table_name"):
            tables[row.table_name] = _table(rows, row, user_types)
        else:
            views[row.view_name] = _view(rows, row, user_types)
        if number % _TABLES_A_TURN == 0:
            await deferLater(clock, 0)
    functions = [_function(row) for row in rows.functions.get(name, ())]
    aggregates = [_aggregate(row) for row in rows.aggregates.get(name, ())]
    return KeyspaceMetadata(
        name,
        replication,
        durable_writes,
        True,
        tables,
        views,
        types,
        {function.signature: function for function in functions},
        {aggregate.signature: aggregate for aggregate in aggregates},
    )


def _table(rows: _SchemaRows, row: Any, types: UserTypes) -> TableMetadata:
    keyspace, name = row.keyspace_name, row.table_name
    indexes = {
        other.index_name: IndexMetadata(keyspace, name, other.index_name, other.kind, dict(other.options))
        for other in rows.indexes.get((keyspace, name), ())
    }
    options = _options(row, _NO_OPTIONS)
    columns = _columns(rows, keyspace, name, types)
    return TableMetadata(keyspace, name, row.id, columns, options, frozenset(row.flags or ()), indexes)


def _view(rows: _SchemaRows, row: Any, types: UserTypes) -> ViewMetadata:
    keyspace, name = row.keyspace_name, row.view_name
    return ViewMetadata(
        keyspace,
        name,
        row.id,
        _columns(rows, keyspace, name, types),
        _options(row, _NO_VIEW_OPTIONS),
        base_table=row.base_table_name,
        where_clause=row.where_clause,
        include_all_columns=bool(row.include_all_columns),
    )


def _options(row: Any, others: Collection[str]) -> dict[str, Any]:
    return {name: value for name, value in row._asdict().items() if name not in others and value is not None}


def _columns(rows: _SchemaRows, keyspace: str, table: str, types: UserTypes) -> dict[str, ColumnMetadata]:
    masks = {row.column_name: _mask(row) for row in rows.column_masks.get((keyspace, table), ())}
    columns = [
        ColumnMetadata(
            row.column_name,
            row.type,
            row.kind,
            row.position,
            row.clustering_order == "desc",
            masks.get(row.column_name),
            types,
        )
        for row in rows.columns.get((keyspace, table), ())
    ]
    columns.sort(key=lambda column: (_KIND_ORDER.get(column.kind, 2), column.position, column.name))
    return {column.name: column for column in columns}


def _mask(row: Any) -> str:
    parts = (row.function_argument_types, row.function_argument_values, row.function_argument_nulls)
    arguments = []
    for kind, value, is_null in zip(*(part or () for part in parts), strict=True):
        is_text = kind in ("text", "ascii", "varchar")
        arguments.append("null" if is_null else text_literal(value) if is_text else value)
    return f"{row.function_keyspace}.{row.function_name}({', '.join(arguments)})"


def _function(row: Any) -> FunctionMetadata:
    return FunctionMetadata(
        row.keyspace_name,
        row.function_name,
        dict(zip(row.argument_names or (), row.argument_types or (), strict=True)),
        row.return_type,
        row.language,
        row.body,
        bool(row.called_on_null_input),
    )


def _aggregate(row: Any) -> AggregateMetadata:
    return AggregateMetadata(
        row.keyspace_name,
        row.aggregate_name,
        tuple(row.argument_types or ()),
        row.return_type,
        row.state_type,
        row.state_func,
        row.final_func,
        row.initcond,
    )
