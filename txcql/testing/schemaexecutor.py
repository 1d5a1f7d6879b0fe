"""Schema statements, carried out."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterable

from txcql.errors import AlreadyExists, InvalidRequest
from txcql.testing import cqlstatements as cql
from txcql.testing.expressions import type_text
from txcql.testing.faketopology import replication_options
from txcql.testing.keyspaces import Keyspace, Keyspaces, keyspace_of, refuse_system
from txcql.testing.refusals import unsupported
from txcql.testing.statementplans import Answer, SchemaAnswer, SetKeyspaceAnswer
from txcql.testing.storedtables import StoredTable
from txcql.testing.tabledefinitions import (
    ColumnDefinition,
    IndexDefinition,
    KeyspaceDefinition,
    TableDefinition,
)
from txcql.testing.tablemaker import altered_table, make_table
from txcql.testing.usertypes import declared_type, uses_type
from txcql.wire.collectiontypes import FrozenType, ListType, MapType, ReversedType, SetType, unwrap
from txcql.wire.cqltypes import CQLType
from txcql.wire.events import SchemaChange
from txcql.wire.fieldtypes import UDTType, quote_name

__all__ = ["SchemaExecutor"]


class SchemaExecutor:
    """Carries out schema statements.

    :param keyspaces: what they change.
    :ivar changed: called with each change.
    """

    def __init__(self, keyspaces: Keyspaces) -> None:
        self.changed: list[Callable[[SchemaChange], None]] = []
        self._keyspaces = keyspaces

    def carry_out(self, statement: cql.Statement, keyspace: str | None) -> Answer:
        """Carry out a statement.

        :param keyspace: the keyspace of unqualified names.
        :raises ServerError: it cannot be carried out.
        """
        if isinstance(statement, cql.Use):
            if statement.keyspace not in self._keyspaces.by_name:
                raise InvalidRequest(f"Keyspace '{statement.keyspace}' does not exist")
            return SetKeyspaceAnswer(statement.keyspace)
        if isinstance(statement, cql.Truncate):
            self._keyspaces.table(statement.table, keyspace, writes=True).truncate()
            return None
        for kind, carry_out in _KEYSPACE_STATEMENTS.items():
            if isinstance(statement, kind):
                return carry_out(self, statement)
        for kind, carry_out_in in _OTHER_STATEMENTS.items():
            if isinstance(statement, kind):
                return carry_out_in(self, statement, keyspace)
        raise unsupported("this statement")

    def _done(self, *changes: SchemaChange) -> SchemaAnswer:
        self._keyspaces.version = uuid.uuid4()
        for change in changes:
            for told in self.changed:
                told(change)
        return SchemaAnswer(changes)

    # Keyspaces.

    def _create_keyspace(self, statement: cql.CreateKeyspace) -> Answer:
        name = statement.keyspace
        if re.fullmatch(r"\w{1,48}", name, re.ASCII) is None:
            raise InvalidRequest(
                "Keyspace name must not be empty, more than 48 characters long, or contain "
                f"non-alphanumeric-underscore characters (got '{name}')"
            )
        replication, durable_writes = _keyspace_options(statement.options)
        if replication is None:
            raise InvalidRequest("Missing mandatory option 'replication'")
        options = replication_options(replication, self._keyspaces.nodes, name)
        if name in self._keyspaces.by_name:
            if statement.if_not_exists:
                return None
            raise AlreadyExists(f'Cannot add existing keyspace "{name}"', keyspace=name, table="")
        definition = KeyspaceDefinition(name, options, durable_writes is not False)
        self._keyspaces.by_name[name] = Keyspace(definition)
        return self._done(SchemaChange("CREATED", "KEYSPACE", name))

    def _alter_keyspace(self, statement: cql.AlterKeyspace) -> Answer:
        name = statement.keyspace
        if name not in self._keyspaces.by_name and statement.if_exists:
            return None
        definition = self._keyspaces.own(name).definition
        replication, durable_writes = _keyspace_options(statement.options)
        if replication is not None:
            definition.replication = replication_options(replication, self._keyspaces.nodes, name)
        if durable_writes is not None:
            definition.durable_writes = durable_writes
        return self._done(SchemaChange("UPDATED", "KEYSPACE", name))

    def _drop_keyspace(self, statement: cql.DropKeyspace) -> Answer:
        name = statement.keyspace
        if name not in self._keyspaces.by_name and statement.if_exists:
            return None
        dropped = self._keyspaces.own(name)
        del self._keyspaces.by_name[name]
        tables = [SchemaChange("DROPPED", "TABLE", name, table) for table in sorted(dropped.tables)]
        types = [SchemaChange("DROPPED", "TYPE", name, kind) for kind in sorted(dropped.types)]
        return self._done(*tables, *types, SchemaChange("DROPPED", "KEYSPACE", name))

    # Tables.

    def _create_table(self, statement: cql.CreateTable, keyspace: str | None) -> Answer:
        home = self._keyspaces.own(keyspace_of(statement.table, keyspace))
        name = statement.table.name
        space = home.definition.name
        if name in home.tables:
            if statement.if_not_exists:
                return None
            sentence = f'Cannot add already existing table "{name}" to keyspace "{space}"'
            raise AlreadyExists(sentence, keyspace=space, table=name)
        home.tables[name] = StoredTable(make_table(statement, space, home.types))
        return self._done(SchemaChange("CREATED", "TABLE", space, name))

    def _find(
        self, name: cql.TableName, keyspace: str | None, if_exists: bool
    ) -> tuple[Keyspace, StoredTable] | None:
        space = keyspace_of(name, keyspace)
        home = self._keyspaces.by_name.get(space)
        if home is None or name.name not in home.tables:
            if if_exists:
                return None
            raise InvalidRequest(f"Table '{space}.{name.name}' doesn't exist")
        refuse_system(home)
        return home, home.tables[name.name]

    def _alter_table(self, statement: cql.AlterTable, keyspace: str | None) -> Answer:
        found = self._find(statement.table, keyspace, statement.if_exists)
        if found is None:
            return None
        home, table = found
        made = altered_table(table.definition, statement, home.types)
        if made is None:
            return None
        for name in set(table.definition.columns) - set(made.columns):
            table.forget_column(name)
        table.definition = made
        return self._done(SchemaChange("UPDATED", "TABLE", made.keyspace, made.name))

    def _drop_table(self, statement: cql.DropTable, keyspace: str | None) -> Answer:
        found = self._find(statement.table, keyspace, statement.if_exists)
        if found is None:
            return None
        home, table = found
        del home.tables[table.definition.name]
        return self._done(SchemaChange("DROPPED", "TABLE", home.definition.name, table.definition.name))

    # Types.

    def _create_type(self, statement: cql.CreateType, keyspace: str | None) -> Answer:
        home = self._keyspaces.own(keyspace_of(statement.name, keyspace))
        name, space = statement.name.name, home.definition.name
        if name in home.types:
            if statement.if_not_exists:
                return None
            raise InvalidRequest(f"A user type with name '{name}' already exists")
        names: set[str] = set()
        fields = []
        for field, text in statement.fields:
            if field in names:
                raise InvalidRequest(f"Duplicate field name '{field}' in type '{name}'")
            names.add(field)
            fields.append((field, self._field_type(text, home)))
        home.types[name] = UDTType(space, name, fields)
        return self._done(SchemaChange("CREATED", "TYPE", space, name))

    def _field_type(self, text: str, home: Keyspace) -> CQLType:
        found = declared_type(text, home.types, home.definition.name)
        if found.name == "counter":
            raise InvalidRequest("A user type cannot contain counters")
        if isinstance(found, UDTType):
            raise InvalidRequest("A user type cannot contain non-frozen UDTs")
        return found

    def _find_type(
        self, name: cql.TableName, keyspace: str | None, if_exists: bool
    ) -> tuple[Keyspace, UDTType] | None:
        space = keyspace_of(name, keyspace)
        home = self._keyspaces.by_name.get(space)
        if home is None or name.name not in home.types:
            if if_exists:
                return None
            raise InvalidRequest(f"Type '{space}.{name.name}' doesn't exist")
        return home, home.types[name.name]

    def _alter_type(self, statement: cql.AlterType, keyspace: str | None) -> Answer:
        space, name = keyspace_of(statement.name, keyspace), statement.name.name
        try:
            found = self._find_type(statement.name, keyspace, statement.if_exists)
        except InvalidRequest:
            raise InvalidRequest(f"Type {space}.{name} doesn't exist") from None
        if found is None:
            return None
        home, old = found
        fields = list(zip(old.field_names, old.types, strict=True))
        if statement.added is not None:
            field, text = statement.added
            if field in old.field_names:
                if statement.quiet:
                    return None
                raise InvalidRequest(
                    f"Cannot add field {field} to type {space}.{name}: a field with name {field} "
                    f"already exists"
                )
            made = self._field_type(text, home)
            self._check_no_key(home, name, field, text)
            fields.append((field, made))
        for old_name, new_name in statement.renames:
            names = [field for field, _ in fields]
            if old_name not in names:
                if statement.quiet:
                    continue
                raise InvalidRequest(f"Unkown field {old_name} in user type {space}.{name}")
            fields[names.index(old_name)] = (new_name, fields[names.index(old_name)][1])
        if len({field for field, _ in fields}) < len(fields):
            raise InvalidRequest(f"Duplicate field name in type {space}.{name}")
        home.types[name] = UDTType(space, name, fields)
        self._type_changed(home, name)
        return self._done(SchemaChange("UPDATED", "TYPE", space, name))

    def _check_no_key(self, home: Keyspace, name: str, field: str, text: str) -> None:
        used = [
            f"{home.definition.name}.{table.definition.name}"
            for table in home.tables.values()
            if any(uses_type(column.type, name) for column in table.definition.partition_key)
        ]
        if used:
            raise InvalidRequest(
                f"Cannot add new field {field} of type {text} to user type "
                f"{home.definition.name}.{name} as the "
                f"type is being used in partition key by the following tables: {', '.join(sorted(used))}"
            )

    def _type_changed(self, home: Keyspace, name: str) -> None:
        """What has the type in it has the new one."""
        space = home.definition.name
        for other, kind in list(home.types.items()):
            if other != name and uses_type(kind, name):
                fields = [
                    (field, declared_type(type_text(part), home.types, space))
                    for field, part in kind.fields()
                ]
                home.types[other] = UDTType(space, other, fields)
        for table in home.tables.values():
            columns = [
                self._renewed(column, home) if uses_type(column.type, name) else column
                for column in table.definition.columns.values()
            ]
            table.definition = table.definition.changed(columns)

    def _renewed(self, column: ColumnDefinition, home: Keyspace) -> ColumnDefinition:
        made = declared_type(type_text(column.declared), home.types, home.definition.name)
        if column.descending:
            made = ReversedType(made)
        return ColumnDefinition(column.name, made, column.kind, column.position, column.descending)

    def _drop_type(self, statement: cql.DropType, keyspace: str | None) -> Answer:
        found = self._find_type(statement.name, keyspace, statement.if_exists)
        if found is None:
            return None
        home, dropped = found
        name, space = dropped.type_name, home.definition.name
        users = [
            quote_name(k.type_name) for k in home.types.values() if k is not dropped and uses_type(k, name)
        ]
        if users:
            raise InvalidRequest(
                f"Cannot drop user type '{space}.{name}' as it is still used by user types {', '.join(users)}"
            )
        tables = [
            table.definition.name
            for table in home.tables.values()
            if any(uses_type(column.type, name) for column in table.definition.columns.values())
        ]
        if tables:
            raise InvalidRequest(
                f"Cannot drop user type '{space}.{name}' as it is still used by tables {', '.join(tables)}"
            )
        del home.types[name]
        return self._done(SchemaChange("DROPPED", "TYPE", space, name))

    # Indexes.

    def _create_index(self, statement: cql.CreateIndex, keyspace: str | None) -> Answer:
        home = self._keyspaces.own(keyspace_of(statement.table, keyspace))
        table = home.tables.get(statement.table.name)
        if table is None:
            raise InvalidRequest(f"Table '{statement.table.name}' doesn't exist")
        definition = table.definition
        taken = {name for one in home.tables.values() for name in one.definition.indexes}
        if statement.name is not None and statement.name in taken:
            if statement.if_not_exists:
                return None
            raise InvalidRequest(f"Index '{statement.name}' already exists")
        if definition.is_counter:
            raise InvalidRequest("Secondary indexes on counter tables aren't supported")
        kind = _index_kind(definition, statement)
        name = statement.name or _free_name(f"{definition.name}_{statement.column}_idx", taken)
        for index in definition.indexes.values():
            if (index.column, index.kind) == (statement.column, kind):
                if statement.if_not_exists:
                    return None
                raise InvalidRequest(f"Index {name} is a duplicate of existing index {index.name}")
        definition.indexes[name] = IndexDefinition(name, statement.column, kind)
        return self._done(SchemaChange("UPDATED", "TABLE", definition.keyspace, definition.name))

    def _drop_index(self, statement: cql.DropIndex, keyspace: str | None) -> Answer:
        space = keyspace_of(statement.name, keyspace)
        home = self._keyspaces.by_name.get(space)
        tables = [] if home is None else list(home.tables.values())
        for table in tables:
            if table.definition.indexes.pop(statement.name.name, None) is not None:
                return self._done(SchemaChange("UPDATED", "TABLE", space, table.definition.name))
        if statement.if_exists:
            return None
        raise InvalidRequest(f"Index '{space}.{statement.name.name}' doesn't exist'")


def _keyspace_options(given: Iterable[tuple[str, cql.Term]]) -> tuple[dict[str, str] | None, bool | None]:
    replication: dict[str, str] | None = None
    durable_writes: bool | None = None
    for option, term in given:
        if option == "replication" and isinstance(term, cql.MapLiteral):
            replication = dict(_option_pair(pair) for pair in term.items)
        elif option == "durable_writes" and isinstance(term, cql.Constant) and term.kind == "BOOLEAN":
            durable_writes = term.text == "true"
        else:
            raise unsupported(f"the keyspace option {option} in this form")
    return replication, durable_writes


def _option_pair(pair: tuple[cql.Term, cql.Term]) -> tuple[str, str]:
    key, value = pair
    if not isinstance(key, cql.Constant) or not isinstance(value, cql.Constant):
        raise unsupported("a replication option that is no constant")
    return key.text, value.text


def _free_name(base: str, taken: set[str]) -> str:
    name, number = base, 0
    while name in taken:
        number += 1
        name = f"{base}_{number}"
    return name


def _index_kind(table: TableDefinition, statement: cql.CreateIndex) -> str:
    """What an index is on.

    :raises InvalidRequest: there can be no such index.
    """
    name, kind = statement.column, statement.kind
    column = table.column(name)
    inner = unwrap(column.type)
    collection = isinstance(inner, (ListType, SetType, MapType))
    frozen = isinstance(column.declared, FrozenType)
    if "duration" in type_text(column.type):
        what = "collections containing durations" if collection else "duration columns"
        raise InvalidRequest(f"Secondary indexes are not supported on {what}")
    if column.kind == "partition_key" and len(table.partition_key) == 1:
        raise InvalidRequest(f"Cannot create secondary index on the only partition key column {name}")
    if collection and frozen and kind != "full":
        raise InvalidRequest(
            f"Cannot create {kind or 'values'}() index on frozen column {name}. Frozen collections "
            f"are immutable "
            f"and must be fully indexed by using the 'full({name})' modifier"
        )
    if kind == "full" and not (collection and frozen):
        raise InvalidRequest("full() indexes can only be created on frozen collections")
    if not collection and kind:
        raise InvalidRequest(
            f"Cannot create {kind}() index on {name}. Non-collection columns only support simple indexes"
        )
    if kind in ("keys", "entries") and not isinstance(inner, MapType):
        raise InvalidRequest(f"Cannot create index on {kind} of column {name} with non-map type")
    if isinstance(column.declared, UDTType):
        raise InvalidRequest(f"Cannot create index on non-frozen UDT column {name}")
    return kind or ("values" if collection else "")


_KEYSPACE_STATEMENTS: dict[type, Callable[..., Answer]] = {
    cql.CreateKeyspace: SchemaExecutor._create_keyspace,
    cql.AlterKeyspace: SchemaExecutor._alter_keyspace,
    cql.DropKeyspace: SchemaExecutor._drop_keyspace,
}
_OTHER_STATEMENTS: dict[type, Callable[..., Answer]] = {
    cql.CreateTable: SchemaExecutor._create_table,
    cql.AlterTable: SchemaExecutor._alter_table,
    cql.DropTable: SchemaExecutor._drop_table,
    cql.CreateType: SchemaExecutor._create_type,
    cql.AlterType: SchemaExecutor._alter_type,
    cql.DropType: SchemaExecutor._drop_type,
    cql.CreateIndex: SchemaExecutor._create_index,
    cql.DropIndex: SchemaExecutor._drop_index,
}
