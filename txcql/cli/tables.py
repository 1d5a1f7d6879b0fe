"""A table as ``load`` and ``unload`` see it: its columns, their types, its partition key."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from txcql.cli.command import CommandFailed
from txcql.session.session import Session

__all__ = ["Table", "find_table", "quoted"]

_PLAIN = re.compile(r"[a-z][a-z0-9_]*", re.ASCII)
_STRUCTURED = re.compile(r"(?:frozen|list|set|map|tuple|vector)\s*<")
_NATIVE = frozenset(
    """ascii bigint blob boolean counter date decimal double duration float inet int smallint text time
    timestamp timeuuid tinyint uuid varchar varint""".split()  # noqa: SIM905
)


@dataclass(frozen=True, slots=True)
class Table:
    """One table.

    :ivar keyspace: its keyspace.
    :ivar name: its name.
    :ivar columns: name -> CQL type of each column, in the order of ``SELECT *``.
    :ivar partition_key: the columns of its partition key, in their order.
    :ivar primary_key: those, and its clustering columns.
    """

    keyspace: str
    name: str
    columns: dict[str, str]
    partition_key: tuple[str, ...]
    primary_key: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{quoted(self.keyspace)}.{quoted(self.name)}"

    def structured(self, column: str) -> bool:
        """Whether the values of a column are collections, tuples or of a type of the user's."""
        kind = self.columns[column]
        return _STRUCTURED.match(kind) is not None or kind not in _NATIVE

    def chosen(self, names: Sequence[str]) -> tuple[str, ...]:
        """The columns of these names; all of them if no name is given.

        :raises CommandFailed: there is no such column, or one is named twice.
        """
        if not names:
            return tuple(self.columns)
        unknown = [name for name in names if name not in self.columns]
        if unknown:
            raise CommandFailed(
                f"{self} has no column {', '.join(unknown)}; there are: {', '.join(self.columns)}"
            )
        if len(set(names)) < len(names):
            raise CommandFailed(f"a column is named twice: {', '.join(names)}")
        return tuple(names)


def quoted(name: str) -> str:
    """A name as CQL needs it."""
    return name if _PLAIN.fullmatch(name) else '"' + name.replace('"', '""') + '"'


async def find_table(session: Session, name: str) -> Table:
    """Look a table up.

    :param name: ``keyspace.table``, or ``table`` within the session's keyspace; exact, without quotes.
    :raises CommandFailed: there is no such table, or no keyspace to look in.
    """
    keyspace, dot, table = name.rpartition(".")
    if not dot:
        if session.keyspace is None:
            raise CommandFailed(f"which keyspace has the table {name!r}? Say KEYSPACE.TABLE, or --keyspace")
        keyspace = session.keyspace
    found = await session.execute(
        "SELECT column_name, kind, position, type FROM system_schema.columns "
        "WHERE keyspace_name = ? AND table_name = ?",
        [keyspace, table],
    )
    rows = found.all()
    if not rows:
        raise CommandFailed(f"there is no table {keyspace}.{table}")
    order = {"partition_key": 0, "clustering": 1}
    rows.sort(key=lambda row: (order.get(row.kind, 2), row.position, row.column_name))
    key = tuple(row.column_name for row in rows if row.kind == "partition_key")
    whole_key = tuple(row.column_name for row in rows if row.kind in order)
    return Table(keyspace, table, {row.column_name: row.type for row in rows}, key, whole_key)
