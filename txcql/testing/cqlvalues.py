"""The terms of a statement, as plain data."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = [
    "Constant",
    "FieldsLiteral",
    "FunctionCall",
    "ListLiteral",
    "MapLiteral",
    "Marker",
    "Null",
    "SetLiteral",
    "Term",
    "TupleLiteral",
    "TypeCast",
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

    :ivar kind: ``"STRING"``, ``"INTEGER"``, ``"FLOAT"``, ``"BOOLEAN"``, ``"UUID"``, ``"HEX"`` or
        ``"DURATION"``.
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


@dataclass(frozen=True, slots=True)
class FieldsLiteral:
    """``{street: 'x', zip: 1}``: a value of a user-defined type."""

    items: tuple[tuple[str, Term], ...]


@dataclass(frozen=True, slots=True)
class TupleLiteral:
    """``(1, 'a')``."""

    items: tuple[Term, ...]


@dataclass(frozen=True, slots=True)
class FunctionCall:
    """``name(term, term)``.

    :ivar name: in lower case, unless it was quoted.
    """

    keyspace: str | None
    name: str
    arguments: tuple[Term, ...]


@dataclass(frozen=True, slots=True)
class TypeCast:
    """``(int) 5``.

    :ivar type: the type as CQL text.
    """

    type: str
    term: Term


Term = (
    Marker
    | Constant
    | Null
    | ListLiteral
    | SetLiteral
    | MapLiteral
    | FieldsLiteral
    | TupleLiteral
    | FunctionCall
    | TypeCast
)
