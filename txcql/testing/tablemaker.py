"""CREATE TABLE and ALTER TABLE: the definitions that they make."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from txcql.errors import ConfigurationError, InvalidRequest
from txcql.testing import cqlstatements as cql
from txcql.testing.expressions import type_text
from txcql.testing.tabledefinitions import (
    CLUSTERING,
    PARTITION_KEY,
    REGULAR,
    STATIC,
    ColumnDefinition,
    TableDefinition,
)
from txcql.testing.tableoptions import DEFAULT_OPTIONS, table_options
from txcql.testing.usertypes import declared_type
from txcql.wire.collectiontypes import ListType, MapType, ReversedType, SetType
from txcql.wire.cqltypes import CQLType
from txcql.wire.fieldtypes import UDTType

__all__ = ["altered_table", "make_table"]

_STATIC_SENTENCE = (
    "Static columns are only useful (and thus allowed) if the table has at least one clustering column"
)


def make_table(
    statement: cql.CreateTable, keyspace: str, types: Mapping[str, CQLType] | None = None
) -> TableDefinition:
    """The definition that a CREATE TABLE makes.

    :param types: the user-defined types of its keyspace.
    :raises InvalidRequest: it makes no sense, or is not supported.
    """
    name = statement.table.name
    found: dict[str, CQLType] = {}
    for column in statement.columns:
        if column.name in found:
            raise InvalidRequest(f"Duplicate column '{column.name}' declaration for table '{name}'")
        found[column.name] = declared_type(column.type, types or {}, keyspace)
    if len(statement.primary_keys) > 1:
        raise InvalidRequest(f"Multiple PRIMARY KEY specified for table '{name}' (exactly one required)")
    if not statement.primary_keys:
        raise InvalidRequest(f"No PRIMARY KEY specifed for table '{name}' (exactly one required)")
    partition, clustering = statement.primary_keys[0]
    options = {**DEFAULT_OPTIONS, **table_options(statement.options)}
    seen: set[str] = set()
    statics = {column.name for column in statement.columns if column.static}
    for key in (*partition, *clustering):
        _check_key_column(key, found, name, key in statics)
        if key in seen:
            raise InvalidRequest(f"Duplicate column '{key}' in PRIMARY KEY clause for table '{name}'")
        seen.add(key)
    order = _clustering_order(statement, clustering)
    columns = [ColumnDefinition(c, found[c], PARTITION_KEY, place) for place, c in enumerate(partition)]
    for place, key in enumerate(clustering):
        descending = order.get(key, False)
        cqltype = ReversedType(found[key]) if descending else found[key]
        columns.append(ColumnDefinition(key, cqltype, CLUSTERING, place, descending))
    if statics and not clustering:
        raise InvalidRequest(_STATIC_SENTENCE)
    others = {c: cqltype for c, cqltype in found.items() if c not in seen}
    counters = {c for c, cqltype in others.items() if cqltype.name == "counter"}
    if counters and len(counters) < len(others):
        raise InvalidRequest("Cannot mix counter and non counter columns in the same table")
    if counters and options["default_time_to_live"]:
        raise InvalidRequest("Cannot set default_time_to_live on a table with counters")
    columns += [
        ColumnDefinition(c, cqltype, STATIC if c in statics else REGULAR) for c, cqltype in others.items()
    ]
    return TableDefinition(keyspace, name, columns, options=options)


def _clustering_order(statement: cql.CreateTable, clustering: Sequence[str]) -> dict[str, bool]:
    order = dict(statement.clustering_order)
    strangers = [column for column in order if column not in clustering]
    if strangers:
        raise InvalidRequest(
            "Only clustering key columns can be defined in CLUSTERING ORDER directive: "
            f"[{', '.join(strangers)}] are not clustering columns"
        )
    for column, named in zip(clustering, order, strict=False):
        if column not in order:
            raise InvalidRequest(f"Missing CLUSTERING ORDER for column {column}")
        if column != named:
            raise InvalidRequest(
                "The order of columns in the CLUSTERING ORDER directive must match that of the clustering "
                f"columns ({column} must appear before {named})"
            )
    return order


def _check_key_column(column: str, types: Mapping[str, CQLType], table: str, static: bool) -> None:
    cqltype = types.get(column)
    if cqltype is None:
        raise InvalidRequest(f"Unknown column '{column}' referenced in PRIMARY KEY for table '{table}'")
    if isinstance(cqltype, (ListType, SetType, MapType)):
        raise InvalidRequest(
            f"Invalid non-frozen collection type {type_text(cqltype)} for PRIMARY KEY column '{column}'"
        )
    if isinstance(cqltype, UDTType):
        raise InvalidRequest(
            f'Invalid non-frozen user-defined type "{cqltype.keyspace}.{cqltype.type_name}" for PRIMARY KEY '
            f"column '{column}'"
        )
    for name in ("counter", "duration"):
        if cqltype.name == name:
            raise InvalidRequest(f"{name} type is not supported for PRIMARY KEY column '{column}'")
    if static:
        raise InvalidRequest(f"Static column '{column}' cannot be part of the PRIMARY KEY")


def altered_table(
    table: TableDefinition, statement: cql.AlterTable, types: Mapping[str, CQLType]
) -> TableDefinition | None:
    """The definition that an ALTER TABLE makes; ``None`` if it changes nothing.

    :raises InvalidRequest: it makes no sense, or is not supported.
    """
    if statement.action == "ADD":
        return _added(table, statement, types)
    if statement.action == "DROP":
        return _dropped(table, statement)
    if statement.action == "RENAME":
        return _renamed(table, statement)
    if statement.action == "ALTER":
        raise InvalidRequest("Altering column types is no longer supported")
    made = table.changed(table.columns.values())
    made.options.update(table_options(statement.options))
    if made.is_counter and made.options["default_time_to_live"]:
        raise InvalidRequest("Cannot set default_time_to_live on a table with counters")
    return made


def _added(
    table: TableDefinition, statement: cql.AlterTable, types: Mapping[str, CQLType]
) -> TableDefinition | None:
    columns = dict(table.columns)
    for spec in statement.columns:
        cqltype = declared_type(spec.type, types, table.keyspace)
        if spec.name in columns:
            if statement.quiet:
                continue
            raise InvalidRequest(f"Column with name '{spec.name}' already exists")
        if spec.static and not table.clustering:
            raise InvalidRequest(_STATIC_SENTENCE)
        kind = STATIC if spec.static else REGULAR
        if spec.name in table.dropped:
            old_kind, old_type = table.dropped[spec.name]
            if old_type != type_text(cqltype):
                raise InvalidRequest(
                    f"Cannot re-add previously dropped column '{spec.name}' of type {type_text(cqltype)}, "
                    f"incompatible with previous type {old_type}"
                )
            if old_kind != kind:
                raise InvalidRequest(
                    f"Cannot re-add previously dropped column '{spec.name}' of kind {kind.upper()}, "
                    f"incompatible with previous kind {old_kind.upper()}"
                )
        counter = cqltype.name == "counter"
        if any(not column.is_key for column in columns.values()) and counter != table.is_counter:
            what = ("a counter", "a non counter") if counter else ("a non counter", "a counter")
            raise ConfigurationError(
                f'{table.keyspace}.{table.name}: Cannot have {what[0]} column ("{spec.name}") in '
                f"{what[1]} table"
            )
        columns[spec.name] = ColumnDefinition(spec.name, cqltype, kind)
    return None if columns == table.columns else table.changed(columns.values())


def _dropped(table: TableDefinition, statement: cql.AlterTable) -> TableDefinition | None:
    columns = dict(table.columns)
    dropped = dict(table.dropped)
    for name in statement.names:
        column = columns.get(name)
        if column is None:
            if statement.quiet:
                continue
            raise InvalidRequest(f"Column {name} was not found in table '{table.keyspace}.{table.name}'")
        if column.is_key:
            raise InvalidRequest(f"Cannot drop PRIMARY KEY column {name}")
        if isinstance(column.type, UDTType):
            raise InvalidRequest(
                f"Cannot drop non-frozen column {name} of user type {type_text(column.type)}"
            )
        indexes = [index.name for index in table.indexes.values() if index.column == name]
        if indexes:
            raise InvalidRequest(
                f"Cannot drop column {name} because it has dependent secondary indexes ({', '.join(indexes)})"
            )
        dropped[name] = (column.kind, type_text(column.type))
        del columns[name]
    if len(columns) == len(table.columns):
        return None
    made = table.changed(columns.values())
    made.dropped = dropped
    return made


def _renamed(table: TableDefinition, statement: cql.AlterTable) -> TableDefinition:
    columns = dict(table.columns)
    for old, new in statement.renames:
        column = columns.get(old)
        if column is None:
            raise InvalidRequest(f"Undefined column name {old} in table {table.keyspace}.{table.name}")
        if not column.is_key:
            raise InvalidRequest(f"Cannot rename non PRIMARY KEY column {old}")
        if new in columns:
            raise InvalidRequest(
                f"Cannot rename column {old} to {new} in table '{table.keyspace}.{table.name}'; "
                f"another column "
                "with that name already exists"
            )
        indexes = [index.name for index in table.indexes.values() if index.column == old]
        if indexes:
            raise InvalidRequest(
                f"Can't rename column {old} because it has dependent secondary indexes ({', '.join(indexes)})"
            )
        del columns[old]
        columns[new] = ColumnDefinition(new, column.type, column.kind, column.position, column.descending)
    return table.changed(columns.values())
