"""INSERT, bound to its table."""

from __future__ import annotations

from typing import Any

from txcql.errors import InvalidRequest
from txcql.testing import cqlstatements as cql
from txcql.testing.execution import Execution
from txcql.testing.expressions import Expression, Receiver, Scope, compile_term, need_value
from txcql.testing.jsonvalues import from_json_object, read_json
from txcql.testing.operations import Stamp, set_operation
from txcql.testing.statementplans import parameters_of
from txcql.testing.storedrows import Row
from txcql.testing.storedtables import StoredTable
from txcql.testing.tabledefinitions import ColumnDefinition
from txcql.testing.writeplans import Key, WritePlan
from txcql.wire.requestreader import RawValue
from txcql.wire.scalars import TEXT
from txcql.wire.values import UNSET

__all__ = ["InsertPlan"]


class InsertPlan(WritePlan):
    """INSERT."""

    kind = "INSERT"

    def __init__(self, table: StoredTable, statement: cql.Insert, scope: Scope) -> None:
        super().__init__(table, statement.attributes, scope)
        definition = table.definition
        if definition.is_counter:
            raise InvalidRequest("INSERT statements are not allowed on counter tables, use UPDATE instead")
        if statement.if_not_exists:
            self.exists = False
        self._document: _Document | None = None
        values = self._json_values(statement) if statement.json is not None else self._given_values(statement)
        self._key = [values[column.name] for column in definition.partition_key if column.name in values]
        self._clustering = [values[column.name] for column in definition.clustering if column.name in values]
        for name, expression in values.items():
            column = definition.columns[name]
            if not column.is_key:
                self.operations.append(set_operation(column, expression))
        self._bind_attributes()
        missing = [column.name for column in definition.partition_key if column.name not in values]
        if missing:
            raise InvalidRequest(f"Some partition key parts are missing: {', '.join(missing)}")
        missing = [column.name for column in definition.clustering if column.name not in values]
        self._static = bool(missing) and not self._clustering and self.only_statics
        if missing and not self._static:
            raise InvalidRequest(f"Some clustering keys are missing: {', '.join(missing)}")
        self._check()
        markers = [expression.marker for expression in self._key]
        self.partition_key = () if -1 in markers else tuple(markers)
        self.parameters = parameters_of(scope)

    def _given_values(self, statement: cql.Insert) -> dict[str, Expression]:
        definition = self.table.definition
        if len(statement.columns) != len(statement.terms):
            raise InvalidRequest("Unmatched column names/values")
        if len(set(statement.columns)) < len(statement.columns):
            raise InvalidRequest("The column names contains duplicates")
        found = {}
        for name, term in zip(statement.columns, statement.terms, strict=True):
            column = definition.column(name)
            found[name] = compile_term(term, Receiver(name, column.declared), self._scope)
        return found

    def _json_values(self, statement: cql.Insert) -> dict[str, Expression]:
        assert statement.json is not None
        source = compile_term(statement.json, Receiver("[json]", TEXT), self._scope)
        columns = self.table.definition.columns
        self._document = _Document(source, columns)
        default: RawValue = UNSET if statement.default_unset else None
        return {name: _JsonColumn(self._document, column, default) for name, column in columns.items()}

    @property
    def writes_rows(self) -> bool:
        return not self._static

    def keys(self, execution: Execution) -> list[Key]:
        columns = self.table.definition.partition_key
        components = tuple(
            need_value(expression, execution, column.name)
            for expression, column in zip(self._key, columns, strict=True)
        )
        return [(self.table.partition_key(components), components)]

    def clusterings(self, execution: Execution) -> list[tuple[bytes, ...]] | None:
        if self._static:
            return None
        columns = self.table.definition.clustering
        return [
            tuple(
                need_value(expression, execution, column.name)
                for expression, column in zip(self._clustering, columns, strict=True)
            )
        ]

    def _touch(self, row: Row, stamp: Stamp) -> None:
        row.insert(*stamp)


class _Document:
    """The JSON of an INSERT JSON."""

    def __init__(self, source: Expression, columns: dict[str, ColumnDefinition]) -> None:
        self._source = source
        self._columns = columns

    def read(self, execution: Execution) -> dict[str, Any]:
        """Its values by column."""
        data = self._source.value(execution)
        if not isinstance(data, bytes):
            raise InvalidRequest("Got null for INSERT JSON values")
        text = data.decode()
        try:
            found = read_json(text)
        except ValueError as error:
            raise InvalidRequest(
                f"Could not decode JSON string as a map: {error}. (String was: {text})"
            ) from None
        if not isinstance(found, dict):
            raise InvalidRequest(
                "Got null for INSERT JSON values"
                if found is None
                else f"Could not decode JSON string as a map. (String was: {text})"
            )
        named = {
            name[1:-1] if name[:1] == '"' and name[-1:] == '"' and len(name) > 1 else name.lower(): value
            for name, value in found.items()
        }
        for name in named:
            if name not in self._columns:
                raise InvalidRequest(f"JSON values map contains unrecognized column: {name}")
        return named


class _JsonColumn(Expression):
    """A column of an INSERT JSON."""

    def __init__(self, document: _Document, column: ColumnDefinition, default: RawValue) -> None:
        self._document = document
        self._column = column
        self._default = None if column.is_key else default

    def value(self, execution: Execution) -> RawValue:
        values = self._document.read(execution)
        if self._column.name not in values:
            return self._default
        try:
            return from_json_object(self._column.type, values[self._column.name])
        except InvalidRequest as error:
            raise InvalidRequest(f"Error decoding JSON value for {self._column.name}: {error}") from None
