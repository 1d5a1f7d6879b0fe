"""Statements bound to the tables that they are about: made once, run for every request."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from txcql.testing.execution import Execution
from txcql.testing.expressions import Scope
from txcql.testing.storedtables import StoredTable
from txcql.wire.events import SchemaChange
from txcql.wire.metadata import Column

__all__ = ["Answer", "Plan", "RowsAnswer", "SchemaAnswer", "SchemaPlan", "SetKeyspaceAnswer"]


class RowsAnswer(NamedTuple):
    """Rows, encoded.

    :ivar paging_state: where the next page begins, ``None`` if this is the last.
    :ivar warnings: what the server warns of.
    :ivar columns: those of the rows, where they are not those of the plan.
    """

    rows: list[bytes]
    paging_state: bytes | None = None
    warnings: tuple[str, ...] = ()
    columns: tuple[Column, ...] | None = None


class SetKeyspaceAnswer(NamedTuple):
    """The keyspace of the connection is another one now."""

    keyspace: str


class SchemaAnswer(NamedTuple):
    """The schema was changed; the last change is the answer, and all of them are events."""

    changes: tuple[SchemaChange, ...]


Answer = RowsAnswer | SetKeyspaceAnswer | SchemaAnswer | None
"""What a statement gives; ``None`` is Void."""


class Plan:
    """A statement, ready to run.

    :ivar keyspace: the keyspace of its table, ``None`` if it has none.
    :ivar table: its table, ``None`` if it has none.
    :ivar parameters: its bind markers.
    :ivar partition_key: the positions of the partition key among them; empty if not all of it is there.
    :ivar columns: the columns of its rows; empty if it gives none.
    """

    keyspace: str | None = None
    table: StoredTable | None = None
    parameters: tuple[Column, ...] = ()
    partition_key: tuple[int, ...] = ()
    columns: tuple[Column, ...] = ()

    def run(self, execution: Execution) -> Answer:
        """Run it.

        :raises ServerError: it cannot be carried out.
        """
        raise NotImplementedError


class SchemaPlan(Plan):
    """A statement that is carried out by calling a function, without parameters.

    :param carry_out: does it.
    """

    def __init__(self, carry_out: Callable[[], Answer]) -> None:
        self._carry_out = carry_out

    def run(self, execution: Execution) -> Answer:
        return self._carry_out()


def parameters_of(scope: Scope) -> tuple[Column, ...]:
    """The bind markers of a statement, in the order of its text."""
    return tuple(scope.parameters[place] for place in sorted(scope.parameters))
