"""What :mod:`txcql.testing.cqlparser` makes of a text: statements, terms and relations, as plain data."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = [
    "Constant",
    "CreateKeyspace",
    "CreateTable",
    "Delete",
    "DropKeyspace",
    "DropTable",
    "Insert",
    "ListLiteral",
    "MapLiteral",
    "Marker",
    "Null",
    "Parsed",
    "Relation",
    "Select",
    "SetLiteral",
    "Statement",
    "TableName",
    "Term",
    "Truncate",
    "Use",
]


@dataclass(frozen=True, slots=True)
class Marker:
    """A bind marker.

    :ivar index: its position among the markers of the statement.
    :ivar name: its name, ``None`` for ``?``.
    """

    index: int
    name: str | None


@dataclass(frozen=True, slots=True)
class Constant:
    """A constant.

    :ivar kind: ``"STRING"``, ``"INTEGER"``, ``"FLOAT"``, ``"BOOLEAN"``, ``"UUID"`` or ``"HEX"``.
    :ivar text: as it was written, without the quotes of a string.
    """

    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Null:
    """``null``."""


@dataclass(frozen=True, slots=True)
class ListLiteral:
    """``[1, 2]``."""

    items: tuple[Term, ...]


@dataclass(frozen=True, slots=True)
class SetLiteral:
    """``{1, 2}``; empty, it may be a map as well."""

    items: tuple[Term, ...]


@dataclass(frozen=True, slots=True)
class MapLiteral:
    """``{1: 2}``."""

    items: tuple[tuple[Term, Term], ...]


Term = Marker | Constant | Null | ListLiteral | SetLiteral | MapLiteral


@dataclass(frozen=True, slots=True)
class TableName:
    """A table.

    :ivar keyspace: ``None`` for that of the connection.
    """

    keyspace: str | None
    name: str


@dataclass(frozen=True, slots=True)
class Relation:
    """``column = term``."""

    column: str
    term: Term


@dataclass(frozen=True, slots=True)
class CreateKeyspace:
    """CREATE KEYSPACE."""

    keyspace: str
    if_not_exists: bool
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
class CreateTable:
    """CREATE TABLE.

    :ivar columns: names and types, the types as CQL text.
    :ivar primary_keys: every PRIMARY KEY that was written: partition key and clustering columns.
    :ivar clustering_order: names, and whether they descend.
    """

    table: TableName
    if_not_exists: bool
    columns: tuple[tuple[str, str], ...]
    primary_keys: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...]
    clustering_order: tuple[tuple[str, bool], ...]


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
class Insert:
    """INSERT."""

    table: TableName
    columns: tuple[str, ...]
    terms: tuple[Term, ...]


@dataclass(frozen=True, slots=True)
class Delete:
    """DELETE of whole rows."""

    table: TableName
    relations: tuple[Relation, ...]


@dataclass(frozen=True, slots=True)
class Select:
    """SELECT.

    :ivar columns: their names, ``None`` for ``*``.
    :ivar count: whether it is ``count(*)``.
    """

    table: TableName
    columns: tuple[str, ...] | None
    count: bool
    relations: tuple[Relation, ...]
    limit: Term | None


Statement = (
    CreateKeyspace | DropKeyspace | Use | CreateTable | DropTable | Truncate | Insert | Delete | Select
)


@dataclass(frozen=True, slots=True)
class Parsed:
    """A statement and its bind markers, in the order of the text."""

    statement: Statement
    markers: tuple[Marker, ...]
