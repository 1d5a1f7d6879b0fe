"""What :mod:`txcql.testing.cqlparser` makes of a text: statements, terms and relations, as plain data."""

from __future__ import annotations

from dataclasses import dataclass, field

from txcql.testing.cqlvalues import (
    Constant,
    FieldsLiteral,
    FunctionCall,
    ListLiteral,
    MapLiteral,
    Marker,
    Null,
    SetLiteral,
    Term,
    TupleLiteral,
    TypeCast,
)

__all__ = [
    "AlterKeyspace",
    "AlterTable",
    "AlterType",
    "Attributes",
    "Batch",
    "ColumnSpec",
    "Condition",
    "Constant",
    "CreateIndex",
    "CreateKeyspace",
    "CreateTable",
    "CreateType",
    "Delete",
    "Describe",
    "DropIndex",
    "DropKeyspace",
    "DropTable",
    "DropType",
    "FieldsLiteral",
    "FunctionCall",
    "Insert",
    "ListLiteral",
    "MapLiteral",
    "Marker",
    "Null",
    "Operation",
    "Parsed",
    "Relation",
    "Select",
    "Selection",
    "Selector",
    "SetLiteral",
    "Statement",
    "TableName",
    "Target",
    "Term",
    "Truncate",
    "TupleLiteral",
    "TypeCast",
    "Update",
    "Use",
]


@dataclass(frozen=True, slots=True)
class TableName:
    """A table, or something else that a keyspace has.

    :ivar keyspace: ``None`` for that of the connection.
    """

    keyspace: str | None
    name: str


@dataclass(frozen=True, slots=True)
class Relation:
    """A part of a WHERE.

    :ivar columns: the columns that are restricted.
    :ivar form: ``"column"``, ``"tuple"``, ``"token"`` or ``"element"``.
    :ivar operator: ``"="``, ``"<"``, ``"IN"``, ``"CONTAINS"``, ``"CONTAINS KEY"`` and so on.
    :ivar terms: one term; several for IN; none for IS NOT NULL.
    :ivar whole: whether the single term of an IN is all of its values.
    :ivar key: the element, for ``column[key] = value``.
    :ivar text: as it was written.
    """

    columns: tuple[str, ...]
    form: str
    operator: str
    terms: tuple[Term, ...]
    whole: bool = False
    key: Term | None = None
    text: str = ""


@dataclass(frozen=True, slots=True)
class Target:
    """What an assignment, a deletion or a condition is about: a column, its element, or its field."""

    column: str
    key: Term | None = None
    field: str | None = None


@dataclass(frozen=True, slots=True)
class Operation:
    """A part of a SET.

    :ivar operator: ``"="``; ``"+"`` or ``"-"`` for ``c = c + term``; ``"prepend"`` for ``c = term + c``.
    :ivar text: as it was written.
    """

    target: Target
    operator: str
    term: Term
    text: str


@dataclass(frozen=True, slots=True)
class Condition:
    """A part of an IF.

    :ivar whole: whether the single term of an IN is all of its values.
    """

    target: Target
    operator: str
    terms: tuple[Term, ...]
    whole: bool = False


@dataclass(frozen=True, slots=True)
class Attributes:
    """USING TIMESTAMP and USING TTL."""

    timestamp: Term | None = None
    ttl: Term | None = None


@dataclass(frozen=True, slots=True)
class CreateKeyspace:
    """CREATE KEYSPACE."""

    keyspace: str
    if_not_exists: bool
    options: tuple[tuple[str, Term], ...]


@dataclass(frozen=True, slots=True)
class AlterKeyspace:
    """ALTER KEYSPACE."""

    keyspace: str
    if_exists: bool
    options: tuple[tuple[str, Term], ...]


@dataclass(frozen=True, slots=True)
class DropKeyspace:
    """DROP KEYSPACE."""

    keyspace: str
    if_exists: bool


@dataclass(frozen=True, slots=True)
class Use:
    """USE."""

    keyspace: str


@dataclass(frozen=True, slots=True)
class ColumnSpec:
    """A column as it is declared.

    :ivar type: the type as CQL text.
    """

    name: str
    type: str
    static: bool = False


@dataclass(frozen=True, slots=True)
class CreateTable:
    """CREATE TABLE.

    :ivar primary_keys: every PRIMARY KEY that was written: partition key and clustering columns.
    :ivar clustering_order: names, and whether they descend.
    """

    table: TableName
    if_not_exists: bool
    columns: tuple[ColumnSpec, ...]
    primary_keys: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...]
    clustering_order: tuple[tuple[str, bool], ...]
    options: tuple[tuple[str, Term], ...] = ()


@dataclass(frozen=True, slots=True)
class AlterTable:
    """ALTER TABLE.

    :ivar action: ``"ADD"``, ``"DROP"``, ``"RENAME"``, ``"WITH"`` or ``"ALTER"``.
    :ivar quiet: whether columns that are there already, or are not there, are passed over.
    """

    table: TableName
    if_exists: bool
    action: str
    quiet: bool = False
    columns: tuple[ColumnSpec, ...] = ()
    names: tuple[str, ...] = ()
    renames: tuple[tuple[str, str], ...] = ()
    options: tuple[tuple[str, Term], ...] = ()


@dataclass(frozen=True, slots=True)
class DropTable:
    """DROP TABLE."""

    table: TableName
    if_exists: bool


@dataclass(frozen=True, slots=True)
class Truncate:
    """TRUNCATE."""

    table: TableName


@dataclass(frozen=True, slots=True)
class CreateType:
    """CREATE TYPE.

    :ivar fields: names, and types as CQL text.
    """

    name: TableName
    if_not_exists: bool
    fields: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class AlterType:
    """ALTER TYPE."""

    name: TableName
    if_exists: bool
    quiet: bool = False
    added: tuple[str, str] | None = None
    renames: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class DropType:
    """DROP TYPE."""

    name: TableName
    if_exists: bool


@dataclass(frozen=True, slots=True)
class CreateIndex:
    """CREATE INDEX.

    :ivar kind: ``"keys"``, ``"values"``, ``"entries"``, ``"full"``, ``""`` if it was not said.
    """

    name: str | None
    if_not_exists: bool
    table: TableName
    column: str
    kind: str


@dataclass(frozen=True, slots=True)
class DropIndex:
    """DROP INDEX."""

    name: TableName
    if_exists: bool


@dataclass(frozen=True, slots=True)
class Insert:
    """INSERT.

    :ivar json: the term of INSERT JSON; there are no columns and terms then.
    """

    table: TableName
    columns: tuple[str, ...]
    terms: tuple[Term, ...]
    if_not_exists: bool = False
    attributes: Attributes = field(default_factory=Attributes)
    json: Term | None = None
    default_unset: bool = False


@dataclass(frozen=True, slots=True)
class Update:
    """UPDATE."""

    table: TableName
    operations: tuple[Operation, ...]
    relations: tuple[Relation, ...]
    conditions: tuple[Condition, ...] = ()
    if_exists: bool = False
    attributes: Attributes = field(default_factory=Attributes)


@dataclass(frozen=True, slots=True)
class Delete:
    """DELETE.

    :ivar targets: what is deleted, empty for whole rows.
    """

    table: TableName
    relations: tuple[Relation, ...]
    targets: tuple[Target, ...] = ()
    conditions: tuple[Condition, ...] = ()
    if_exists: bool = False
    attributes: Attributes = field(default_factory=Attributes)


@dataclass(frozen=True, slots=True)
class Selector:
    """What a column of a SELECT is made of.

    :ivar kind: ``"column"``, ``"field"``, ``"element"``, ``"call"``, ``"cast"``, ``"count"`` or ``"term"``.
    :ivar name: the column, the field, the function, or the type of a cast.
    :ivar parts: the selectors that it is made of.
    :ivar term: the key of an element, or the term.
    """

    kind: str
    name: str = ""
    parts: tuple[Selector, ...] = ()
    term: Term | None = None
    text: str = ""


@dataclass(frozen=True, slots=True)
class Selection:
    """A selector and its alias."""

    selector: Selector
    alias: str | None


@dataclass(frozen=True, slots=True)
class Select:
    """SELECT.

    :ivar selections: ``None`` for ``*``.
    :ivar order: columns, and whether they descend.
    """

    table: TableName
    selections: tuple[Selection, ...] | None
    relations: tuple[Relation, ...]
    limit: Term | None = None
    partition_limit: Term | None = None
    order: tuple[tuple[str, bool], ...] = ()
    distinct: bool = False
    json: bool = False
    allow_filtering: bool = False


@dataclass(frozen=True, slots=True)
class Batch:
    """BEGIN BATCH.

    :ivar kind: ``"logged"``, ``"unlogged"`` or ``"counter"``.
    """

    kind: str
    attributes: Attributes
    statements: tuple[Insert | Update | Delete, ...]


@dataclass(frozen=True, slots=True)
class Describe:
    """DESCRIBE.

    :ivar what: ``"keyspaces"``, ``"keyspace"``, ``"tables"``, ``"table"``, ``"types"``, ``"type"``,
        ``"index"``, ``"functions"``, ``"aggregates"``, ``"schema"``, ``"cluster"`` or ``"any"``.
    :ivar only: whether a keyspace is described without what it has.
    """

    what: str
    name: TableName | None = None
    only: bool = False
    full: bool = False


Statement = (
    CreateKeyspace
    | AlterKeyspace
    | DropKeyspace
    | Use
    | CreateTable
    | AlterTable
    | DropTable
    | Truncate
    | CreateType
    | AlterType
    | DropType
    | CreateIndex
    | DropIndex
    | Insert
    | Update
    | Delete
    | Select
    | Batch
    | Describe
)


@dataclass(frozen=True, slots=True)
class Parsed:
    """A statement and its bind markers, in the order of the text."""

    statement: Statement
    markers: tuple[Marker, ...]
