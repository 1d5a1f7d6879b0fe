"""The schema as CQL: the statements that would make it anew."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from txcql.cluster.systemreads import text_literal
from txcql.wire.fieldtypes import quote_name

if TYPE_CHECKING:
    from txcql.cluster.schema import (
        AggregateMetadata,
        ColumnMetadata,
        FunctionMetadata,
        IndexMetadata,
        KeyspaceMetadata,
        TableMetadata,
        TypeMetadata,
        ViewMetadata,
    )

__all__ = [
    "create_aggregate",
    "create_function",
    "create_index",
    "create_keyspace",
    "create_table",
    "create_type",
    "create_view",
    "in_order",
    "literal",
    "quoted",
]

_RESERVED_WORDS = """
    add allow alter and apply asc authorize batch begin between by columnfamily create default delete desc
    describe drop entries execute from full grant if in index infinity insert into is keyspace limit
    materialized mbean mbeans modify nan norecursive not null of on or order primary rename replace revoke
    schema select set table to token truncate unlogged unset update use using view where with"""
_RESERVED = frozenset(_RESERVED_WORDS.split())
_NOT_SET = {"read_repair_chance", "dclocal_read_repair_chance"}
"""Options that are shown and cannot be given: they mean nothing since Cassandra 4.0."""


def quoted(name: str) -> str:
    """A name as CQL needs it, quoted where that is necessary."""
    return f'"{name}"' if name in _RESERVED else quote_name(name)


def literal(value: Any) -> str:
    """The value of an option."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return text_literal(value)
    if isinstance(value, bytes):
        return f"0x{value.hex()}"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{literal(key)}: {literal(item)}" for key, item in value.items()) + "}"
    return str(value)


def _qualified(item: Any) -> str:
    return f"{quoted(item.keyspace)}.{quoted(item.name)}"


def create_keyspace(keyspace: KeyspaceMetadata) -> str:
    """CREATE KEYSPACE."""
    name = keyspace.replication.get("class", "").removeprefix("org.apache.cassandra.locator.")
    replication = {**keyspace.replication, "class": name}
    return (
        f"CREATE KEYSPACE {quoted(keyspace.name)} WITH replication = {literal(replication)}"
        f" AND durable_writes = {literal(keyspace.durable_writes)};"
    )


def create_type(definition: TypeMetadata) -> str:
    """CREATE TYPE."""
    fields = ",\n".join(f"    {quoted(name)} {kind}" for name, kind in definition.fields.items())
    return f"CREATE TYPE {_qualified(definition)} (\n{fields}\n);"


def create_table(table: TableMetadata) -> str:
    """CREATE TABLE."""
    key = table.primary_key
    alone = len(key) == 1
    lines = [_column(column, alone) for column in table.columns.values() if column.cql_type != "empty"]
    if not alone:
        lines.append(_primary_key(table))
    rows = ",\n".join(f"    {line}" for line in lines)
    compact = ["COMPACT STORAGE"] if table.is_compact else []
    options = "\n    AND ".join([*compact, *_clustering_order(table), *_options(table.options)])
    return f"CREATE TABLE {_qualified(table)} (\n{rows}\n) WITH {options};"


def create_view(view: ViewMetadata) -> str:
    """CREATE MATERIALIZED VIEW."""
    columns = "*" if view.include_all_columns else ", ".join(map(quoted, view.columns))
    # A view takes the time to live of its table.
    given = {name: value for name, value in view.options.items() if name != "default_time_to_live"}
    options = "\n    AND ".join([*_clustering_order(view), *_options(given)])
    return (
        f"CREATE MATERIALIZED VIEW {_qualified(view)} AS\n    SELECT {columns}\n"
        f"    FROM {quoted(view.keyspace)}.{quoted(view.base_table)}\n    WHERE {view.where_clause}\n"
        f"    {_primary_key(view)}\n WITH {options};"
    )


def create_index(index: IndexMetadata) -> str:
    """CREATE INDEX."""
    custom = "CUSTOM " if index.kind == "CUSTOM" else ""
    text = (
        f"CREATE {custom}INDEX {quoted(index.name)} ON {quoted(index.keyspace)}.{quoted(index.table)} "
        f"({index.target})"
    )
    if custom:
        text += f" USING {literal(index.options.get('class_name', ''))}"
        rest = {name: value for name, value in index.options.items() if name not in ("class_name", "target")}
        if rest:
            text += f" WITH OPTIONS = {literal(rest)}"
    return text + ";"


def create_function(function: FunctionMetadata) -> str:
    """CREATE FUNCTION."""
    arguments = ", ".join(f"{quoted(name)} {kind}" for name, kind in function.arguments.items())
    null = "CALLED" if function.called_on_null_input else "RETURNS NULL"
    body = literal(function.body) if "$$" in function.body else f"$${function.body}$$"
    return (
        f"CREATE FUNCTION {_qualified(function)}({arguments})\n    {null} ON NULL INPUT\n"
        f"    RETURNS {function.return_type}\n    LANGUAGE {function.language}\n    AS {body};"
    )


def create_aggregate(aggregate: AggregateMetadata) -> str:
    """CREATE AGGREGATE."""
    lines = [
        f"CREATE AGGREGATE {_qualified(aggregate)}({', '.join(map(_thawed, aggregate.argument_types))})",
        f"SFUNC {quoted(aggregate.state_function)}",
        f"STYPE {_thawed(aggregate.state_type)}",
    ]
    if aggregate.final_function is not None:
        lines.append(f"FINALFUNC {quoted(aggregate.final_function)}")
    if aggregate.initial_condition is not None:
        lines.append(f"INITCOND {aggregate.initial_condition}")
    return "\n    ".join(lines) + ";"


def in_order(types: Mapping[str, TypeMetadata]) -> Iterator[TypeMetadata]:
    """User-defined types, each behind those that it is made of."""
    left = dict(types)
    while left:
        names = [name for name, item in left.items() if not _uses(item, left)]
        # There are no circles; should there be one all the same, any order is as good.
        for name in names or list(left):
            yield left.pop(name)


def _uses(definition: TypeMetadata, others: Mapping[str, TypeMetadata]) -> bool:
    text = " ".join(definition.fields.values())
    words = set(text.replace("<", " ").replace(">", " ").replace(",", " ").split())
    return any(quoted(name) in words or f'"{name}"' in text for name in others if name != definition.name)


def _thawed(kind: str) -> str:
    # Arguments are frozen without being called so.
    return kind[7:-1] if kind.startswith("frozen<") else kind


def _column(column: ColumnMetadata, alone: bool) -> str:
    text = f"{quoted(column.name)} {column.cql_type}"
    if column.kind == "static":
        text += " static"
    if column.mask is not None:
        text += f" MASKED WITH {column.mask}"
    if alone and column.kind == "partition_key":
        text += " PRIMARY KEY"
    return text


def _primary_key(table: TableMetadata) -> str:
    partition = [quoted(column.name) for column in table.partition_key]
    first = partition[0] if len(partition) == 1 else f"({', '.join(partition)})"
    rest: Sequence[str] = [quoted(column.name) for column in table.clustering_key]
    return f"PRIMARY KEY ({', '.join([first, *rest])})"


def _clustering_order(table: TableMetadata) -> list[str]:
    orders = [
        f"{quoted(column.name)} {'DESC' if column.descending else 'ASC'}" for column in table.clustering_key
    ]
    return [f"CLUSTERING ORDER BY ({', '.join(orders)})"] if orders else []


def _options(options: Mapping[str, Any]) -> list[str]:
    given = {name: value for name, value in options.items() if name not in _NOT_SET}
    return [f"{name} = {literal(value)}" for name, value in sorted(given.items())]
