"""DESCRIBE: the schema as the statements that make it."""

from __future__ import annotations

from collections.abc import Iterator

from txcql.errors import InvalidRequest
from txcql.testing import cqlstatements as cql
from txcql.testing.cqltokens import RESERVED
from txcql.testing.execution import Execution
from txcql.testing.expressions import type_text
from txcql.testing.keyspaces import Keyspace, Keyspaces
from txcql.testing.pagingstates import PagingState, read_paging_state, write_paging_state
from txcql.testing.statementplans import Answer, Plan, RowsAnswer
from txcql.testing.tabledefinitions import IndexDefinition, TableDefinition
from txcql.testing.tableoptions import described_options
from txcql.testing.usertypes import uses_type
from txcql.wire.fieldtypes import UDTType, quote_name
from txcql.wire.metadata import Column
from txcql.wire.primitives import write_bytes
from txcql.wire.scalars import TEXT

__all__ = ["DescribePlan", "quoted"]

_STRATEGIES = "org.apache.cassandra.locator."
_Row = tuple[str, ...]


def quoted(name: str) -> str:
    """A name as CQL has it: in quotes where it needs them."""
    found = quote_name(name)
    return f'"{name}"' if found == name and name.upper() in RESERVED else found


class DescribePlan(Plan):
    """DESCRIBE."""

    def __init__(
        self, statement: cql.Describe, schema: Keyspaces, keyspace: str | None, cluster_name: str
    ) -> None:
        self._statement = statement
        self._schema = schema
        self._keyspace = keyspace
        self._cluster_name = cluster_name
        names = ["keyspace_name", "type", "name"]
        if statement.what == "cluster":
            names = ["cluster", "partitioner", "snitch"]
        elif statement.what not in ("keyspaces", "tables", "types", "functions", "aggregates"):
            names.append("create_statement")
        self.columns = tuple(Column("system", "describe", name, TEXT) for name in names)

    def run(self, execution: Execution) -> Answer:
        rows = [b"".join(write_bytes(cell.encode()) for cell in row) for row in self._rows()]
        options = execution.options
        start = 0
        if options.paging_state is not None:
            start = read_paging_state(options.paging_state, execution.version).remaining
        size = options.page_size or len(rows) or 1
        state = None
        if start + size < len(rows):
            state = write_paging_state(PagingState(b"", (), start + size), execution.version)
        return RowsAnswer(rows[start : start + size], state)

    def _rows(self) -> Iterator[_Row]:
        what = self._statement.what
        if what == "cluster":
            yield self._cluster_name, "Murmur3Partitioner", "DynamicEndpointSnitch"
        elif what == "keyspaces":
            for name in sorted(self._schema.by_name):
                yield quoted(name), "keyspace", quoted(name)
        elif what in ("tables", "types", "functions", "aggregates"):
            yield from self._names(what)
        elif what == "schema":
            for name in sorted(self._schema.by_name):
                if self._statement.full or not self._schema.by_name[name].system:
                    yield from _keyspace(self._schema.by_name[name], False)
        else:
            yield from self._one(what)

    def _names(self, what: str) -> Iterator[_Row]:
        names = [self._keyspace] if self._keyspace is not None else sorted(self._schema.by_name)
        for name in names:
            keyspace = self._schema.by_name[name]
            found = {"tables": list(keyspace.tables), "types": list(keyspace.types)}.get(what, [])
            for one in _sorted(found):
                yield quoted(name), what[:-1], quoted(one)

    def _home(self) -> Keyspace:
        name = self._statement.name
        space = self._keyspace if name is None or name.keyspace is None else name.keyspace
        if space is None:
            raise InvalidRequest("No keyspace specified and no current keyspace")
        found = self._schema.by_name.get(space)
        if found is None:
            raise InvalidRequest(f"'{space}' not found in keyspaces")
        return found

    def _one(self, what: str) -> Iterator[_Row]:
        given = self._statement.name
        if what == "keyspace":
            name = self._keyspace if given is None else given.name
            if name is None:
                raise InvalidRequest("No keyspace specified and no current keyspace")
            if name not in self._schema.by_name:
                raise InvalidRequest(f"'{name}' not found in keyspaces")
            yield from _keyspace(self._schema.by_name[name], self._statement.only)
            return
        assert given is not None
        if what == "any" and given.keyspace is None and given.name in self._schema.by_name:
            yield from _keyspace(self._schema.by_name[given.name], False)
            return
        home = self._home()
        space, name = home.definition.name, given.name
        if what in ("table", "any") and name in home.tables:
            yield from _table_and_indexes(home.tables[name].definition)
        elif what in ("type", "any") and name in home.types:
            yield _type(home.types[name])
        else:
            indexes = [
                (table.definition, table.definition.indexes[name])
                for table in home.tables.values()
                if name in table.definition.indexes and what in ("index", "any")
            ]
            if not indexes:
                word = {"table": "Table ", "type": "User defined type ", "index": "Index "}.get(what, "")
                raise InvalidRequest(f"{word}'{name}' not found in keyspace '{space}'")
            for table, index in indexes:
                yield _index(table, index)


def _sorted(names: list[str]) -> list[str]:
    """Plain names come before quoted ones, as DESCRIBE lists them."""
    return sorted(names, key=lambda name: (quoted(name) != name, name))


def _keyspace(keyspace: Keyspace, only: bool) -> Iterator[_Row]:
    definition = keyspace.definition
    name = quoted(definition.name)
    replication = {
        **definition.replication,
        "class": definition.replication["class"].removeprefix(_STRATEGIES),
    }
    shown = ", ".join(
        f"'{key}': '{replication[key]}'" for key in ("class", *sorted(set(replication) - {"class"}))
    )
    durable = "true" if definition.durable_writes else "false"
    text = f"CREATE KEYSPACE {name} WITH replication = {{{shown}}}  AND durable_writes = {durable};"
    yield name, "keyspace", name, text
    if only:
        return
    for kind in _in_order(keyspace):
        yield _type(kind)
    for table in _sorted(list(keyspace.tables)):
        yield from _table_and_indexes(keyspace.tables[table].definition)


def _in_order(keyspace: Keyspace) -> list[UDTType]:
    """Types, each behind those that it is made of."""
    found: list[UDTType] = []
    rest = [keyspace.types[name] for name in _sorted(list(keyspace.types))]
    while rest:
        for kind in rest:
            if not any(other is not kind and uses_type(kind, other.type_name) for other in rest):
                found.append(kind)
                rest.remove(kind)
                break
    return found


def _type(kind: UDTType) -> _Row:
    fields = ",\n".join(f"    {quoted(name)} {type_text(part)}" for name, part in kind.fields())
    name = quoted(kind.type_name)
    space = quoted(kind.keyspace)
    return space, "type", name, f"CREATE TYPE {space}.{name} (\n{fields}\n);"


def _index(table: TableDefinition, index: IndexDefinition) -> _Row:
    space, name = quoted(table.keyspace), quoted(index.name)
    target = f"{index.kind}({quoted(index.column)})" if index.kind else quoted(index.column)
    return space, "index", name, f"CREATE INDEX {name} ON {space}.{quoted(table.name)} ({target});"


def _table_and_indexes(table: TableDefinition) -> Iterator[_Row]:
    yield _table(table)
    for name in _sorted(list(table.indexes)):
        yield _index(table, table.indexes[name])


def _table(table: TableDefinition) -> _Row:
    space, name = quoted(table.keyspace), quoted(table.name)
    single = len(table.partition_key) == 1 and not table.clustering
    lines = []
    # Behind the key, what is one cell comes before what is many.
    order = {"partition_key": 0, "clustering": 1, "static": 2, "regular": 3}
    for column in sorted(table.columns.values(), key=lambda found: (order[found.kind], found.multicell)):
        line = f"    {quoted(column.name)} {type_text(column.declared)}"
        if column.kind == "static":
            line += " static"
        if single and column.is_key:
            line += " PRIMARY KEY"
        lines.append(line)
    if not single:
        partition = ", ".join(quoted(column.name) for column in table.partition_key)
        if len(table.partition_key) > 1:
            partition = f"({partition})"
        clustering = "".join(f", {quoted(column.name)}" for column in table.clustering)
        lines.append(f"    PRIMARY KEY ({partition}{clustering})")
    options = described_options(table.options)
    if table.clustering:
        ways = ", ".join(f"{quoted(c.name)} {'DESC' if c.descending else 'ASC'}" for c in table.clustering)
        options.insert(0, f"CLUSTERING ORDER BY ({ways})")
    text = (
        f"CREATE TABLE {space}.{name} (\n"
        + ",\n".join(lines)
        + "\n) WITH "
        + "\n    AND ".join(options)
        + ";"
    )
    return space, "table", name, text
