"""The keyspaces of a fake cluster: schema statements are carried out here, all others are planned."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence

from txcql.errors import AlreadyExists, DecodeError, InvalidRequest
from txcql.testing import cqlstatements as cql
from txcql.testing.cqlparser import parse
from txcql.testing.faketopology import NodeInfo, replication_options
from txcql.testing.refusals import unsupported
from txcql.testing.selectplans import SelectPlan
from txcql.testing.statementplans import (
    Answer,
    DeletePlan,
    InsertPlan,
    Plan,
    SchemaAnswer,
    SchemaPlan,
    SetKeyspaceAnswer,
)
from txcql.testing.storedtables import StoredTable
from txcql.testing.tabledefinitions import (
    CLUSTERING,
    PARTITION_KEY,
    REGULAR,
    ColumnDefinition,
    KeyspaceDefinition,
    TableDefinition,
)
from txcql.wire.collectiontypes import FrozenType, ListType, MapType, ReversedType, SetType
from txcql.wire.cqltypes import CQLType
from txcql.wire.events import SchemaChange
from txcql.wire.typeparser import parse_type

__all__ = ["Database", "Keyspace", "make_table"]

_MOST_PLANS = 1000


class Keyspace:
    """A keyspace and its tables.

    :ivar system: whether it is the server's own, which nobody else writes to.
    """

    def __init__(self, definition: KeyspaceDefinition, system: bool = False) -> None:
        self.definition = definition
        self.system = system
        self.tables: dict[str, StoredTable] = {}


class Database:
    """What all nodes of a cluster share.

    :param nodes: the nodes, for the datacenters that a replication may name.
    :ivar keyspaces: by name.
    :ivar schema_version: changes with every change of the schema.
    :ivar dropped: called with each keyspace and table that was dropped; the table is ``None``
        for a whole keyspace.
    """

    def __init__(self, nodes: Sequence[NodeInfo]) -> None:
        self.keyspaces: dict[str, Keyspace] = {}
        self.schema_version = uuid.uuid4()
        self.dropped: list[Callable[[str, str | None], None]] = []
        self._nodes = nodes
        self._plans: dict[tuple[str | None, str], Plan] = {}

    def add_system_keyspace(self, name: str, tables: Sequence[StoredTable]) -> None:
        """A keyspace of the server's own."""
        replication = {"class": "org.apache.cassandra.locator.LocalStrategy"}
        keyspace = Keyspace(KeyspaceDefinition(name, replication), system=True)
        keyspace.tables = {table.definition.name: table for table in tables}
        self.keyspaces[name] = keyspace

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
        if isinstance(statement, (cql.Select, cql.Insert, cql.Delete, cql.Truncate)):
            return statement.table.keyspace is not None
        return False

    def _make_plan(self, parsed: cql.Parsed, keyspace: str | None) -> Plan:
        statement = parsed.statement
        if isinstance(statement, cql.Select):
            return SelectPlan(self._table(statement.table, keyspace), statement)
        if isinstance(statement, cql.Insert):
            return InsertPlan(self._table(statement.table, keyspace, writes=True), statement)
        if isinstance(statement, cql.Delete):
            return DeletePlan(self._table(statement.table, keyspace, writes=True), statement)
        if parsed.markers:
            raise unsupported("a bind marker in a statement other than SELECT, INSERT and DELETE")
        return SchemaPlan(lambda: self._carry_out(statement, keyspace))

    def _carry_out(self, statement: cql.Statement, keyspace: str | None) -> Answer:
        if isinstance(statement, cql.CreateKeyspace):
            return self._create_keyspace(statement)
        if isinstance(statement, cql.DropKeyspace):
            return self._drop_keyspace(statement)
        if isinstance(statement, cql.CreateTable):
            return self._create_table(statement, keyspace)
        if isinstance(statement, cql.DropTable):
            return self._drop_table(statement, keyspace)
        if isinstance(statement, cql.Truncate):
            self._table(statement.table, keyspace, writes=True).truncate()
            return None
        assert isinstance(statement, cql.Use)
        if statement.keyspace not in self.keyspaces:
            raise InvalidRequest(f"Keyspace '{statement.keyspace}' does not exist")
        return SetKeyspaceAnswer(statement.keyspace)

    def _own_keyspace(self, name: str) -> Keyspace:
        """A keyspace whose tables may be changed."""
        found = self.keyspaces.get(name)
        if found is None:
            raise InvalidRequest(f"Keyspace '{name}' doesn't exist")
        _refuse_system(found)
        return found

    def _table(self, name: cql.TableName, keyspace: str | None, writes: bool = False) -> StoredTable:
        home = self.keyspaces.get(_keyspace_of(name, keyspace))
        if home is None:
            raise InvalidRequest(f"keyspace {_keyspace_of(name, keyspace)} does not exist")
        if writes:
            _refuse_system(home)
        found = home.tables.get(name.name)
        if found is None:
            raise InvalidRequest(f"table {name.name} does not exist")
        return found

    def _create_keyspace(self, statement: cql.CreateKeyspace) -> Answer:
        name = statement.keyspace
        replication: dict[str, str] | None = None
        durable_writes = True
        for option, term in statement.options:
            if option == "replication" and isinstance(term, cql.MapLiteral):
                replication = dict(_option_pair(pair) for pair in term.items)
            elif option == "durable_writes" and isinstance(term, cql.Constant) and term.kind == "BOOLEAN":
                durable_writes = term.text == "true"
            else:
                raise unsupported(f"the keyspace option {option} in this form")
        if replication is None:
            raise InvalidRequest("Missing mandatory option 'replication'")
        options = replication_options(replication, self._nodes, name)
        if name in self.keyspaces:
            if statement.if_not_exists:
                return None
            raise AlreadyExists(f'Cannot add existing keyspace "{name}"', keyspace=name, table="")
        self.keyspaces[name] = Keyspace(KeyspaceDefinition(name, options, durable_writes))
        return self._changed(SchemaChange("CREATED", "KEYSPACE", name))

    def _drop_keyspace(self, statement: cql.DropKeyspace) -> Answer:
        name = statement.keyspace
        if name not in self.keyspaces and statement.if_exists:
            return None
        dropped = self._own_keyspace(name)
        del self.keyspaces[name]
        for forget in self.dropped:
            forget(name, None)
        tables = [SchemaChange("DROPPED", "TABLE", name, table) for table in sorted(dropped.tables)]
        return self._changed(*tables, SchemaChange("DROPPED", "KEYSPACE", name))

    def _create_table(self, statement: cql.CreateTable, keyspace: str | None) -> Answer:
        home = self._own_keyspace(_keyspace_of(statement.table, keyspace))
        name = statement.table.name
        if name in home.tables:
            if statement.if_not_exists:
                return None
            sentence = f'Cannot add already existing table "{name}" to keyspace "{home.definition.name}"'
            raise AlreadyExists(sentence, keyspace=home.definition.name, table=name)
        home.tables[name] = StoredTable(make_table(statement, home.definition.name))
        return self._changed(SchemaChange("CREATED", "TABLE", home.definition.name, name))

    def _drop_table(self, statement: cql.DropTable, keyspace: str | None) -> Answer:
        name = statement.table.name
        keyspace = _keyspace_of(statement.table, keyspace)
        home = self.keyspaces.get(keyspace)
        if home is None or name not in home.tables:
            if statement.if_exists:
                return None
            raise InvalidRequest(f"Table '{keyspace}.{name}' doesn't exist")
        _refuse_system(home)
        del home.tables[name]
        for forget in self.dropped:
            forget(home.definition.name, name)
        return self._changed(SchemaChange("DROPPED", "TABLE", home.definition.name, name))

    def _changed(self, *changes: SchemaChange) -> SchemaAnswer:
        self.schema_version = uuid.uuid4()
        self._plans.clear()
        return SchemaAnswer(changes)


def _refuse_system(keyspace: Keyspace) -> None:
    if keyspace.system:
        raise unsupported(f"a change of the keyspace {keyspace.definition.name}")


def _keyspace_of(name: cql.TableName, keyspace: str | None) -> str:
    found = name.keyspace or keyspace
    if found is None:
        raise InvalidRequest(
            "No keyspace has been specified. USE a keyspace, or explicitly specify keyspace.tablename"
        )
    return found


def _option_pair(pair: tuple[cql.Term, cql.Term]) -> tuple[str, str]:
    key, value = pair
    if not isinstance(key, cql.Constant) or not isinstance(value, cql.Constant):
        raise unsupported("a replication option that is no constant")
    return key.text, value.text


def make_table(statement: cql.CreateTable, keyspace: str) -> TableDefinition:
    """The definition that a CREATE TABLE makes.

    :raises InvalidRequest: it makes no sense, or is not supported.
    """
    name = statement.table.name
    full_name = f"{keyspace}.{name}"
    types: dict[str, CQLType] = {}
    for column, text in statement.columns:
        if column in types:
            raise InvalidRequest(f"Duplicate column '{column}' declaration for table '{full_name}'")
        types[column] = _column_type(text)
    if len(statement.primary_keys) > 1:
        raise InvalidRequest(f"Multiple PRIMARY KEY specified for table '{full_name}' (exactly one required)")
    if not statement.primary_keys:
        raise InvalidRequest(f"No PRIMARY KEY specifed for table '{full_name}' (exactly one required)")
    partition, clustering = statement.primary_keys[0]
    order = _clustering_order(statement, clustering)
    seen: set[str] = set()
    for column in (*partition, *clustering):
        _check_key_column(column, types, name)
        if column in seen:
            raise InvalidRequest(f"Duplicate column '{column}' in PRIMARY KEY clause for table '{name}'")
        seen.add(column)
    columns = [ColumnDefinition(c, types[c], PARTITION_KEY, place) for place, c in enumerate(partition)]
    for place, column in enumerate(clustering):
        descending = order.get(column, False)
        cqltype = ReversedType(types[column]) if descending else types[column]
        columns.append(ColumnDefinition(column, cqltype, CLUSTERING, place, descending))
    columns += [ColumnDefinition(c, cqltype, REGULAR) for c, cqltype in types.items() if c not in seen]
    return TableDefinition(keyspace, name, columns)


def _column_type(text: str) -> CQLType:
    try:
        found = parse_type(text)
    except DecodeError:
        raise unsupported(f"the type {text}") from None
    if found.name == "counter":
        raise unsupported("the type counter")
    return found


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


def _check_key_column(column: str, types: Mapping[str, CQLType], table: str) -> None:
    cqltype = types.get(column)
    if cqltype is None:
        raise InvalidRequest(f"Unknown column '{column}' referenced in PRIMARY KEY for table '{table}'")
    if isinstance(cqltype, (ListType, SetType, MapType)):
        raise InvalidRequest(
            f"Invalid non-frozen collection type {cqltype.name} for PRIMARY KEY column '{column}'"
        )
    if cqltype.name == "duration":
        raise InvalidRequest(f"duration type is not supported for PRIMARY KEY column '{column}'")
    if isinstance(cqltype, FrozenType) and not isinstance(cqltype.inner, (ListType, SetType, MapType)):
        raise unsupported(f"the type {cqltype.name} in a primary key")
