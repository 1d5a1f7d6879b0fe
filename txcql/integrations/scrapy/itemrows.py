"""From items to the values of a statement."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from itemadapter import ItemAdapter

from txcql.integrations.scrapy.crawlsettings import PREFIX, ItemSettings
from txcql.session.session import Session
from txcql.session.statements import PreparedStatement
from txcql.wire.values import UNSET

__all__ = ["ItemError", "ItemRows", "prepare_rows"]

_PLAIN = re.compile(r"[a-z]\w*", re.ASCII)
_KEY_KINDS = ("partition_key", "clustering")


class ItemError(ValueError):
    """An item does not fit the table or the statement; the text says where."""


class ItemRows:
    """Makes the values of a statement of each item.

    :param statement: what is executed.
    :param fields: the field for each of its parameters, in order.
    :param needed: the fields that every item must have.
    :param strict: whether an item may have no other fields.
    :param unset: whether the protocol knows of values that are left as they are; below v4 a missing
        field is written as null.
    :ivar statement: the statement.
    """

    def __init__(
        self,
        statement: PreparedStatement,
        fields: Sequence[str],
        needed: frozenset[str],
        strict: bool,
        unset: bool,
    ) -> None:
        self.statement = statement
        self._fields = fields
        self._known = frozenset(fields)
        self._needed = needed
        self._strict = strict
        self._missing = UNSET if unset else None

    def values(self, item: Any) -> list[Any]:
        """The values of an item, by position. Fields that it does not have are left as they are.

        :raises ItemError: it lacks a field that it must have, or has one that nobody knows.
        """
        fields = ItemAdapter(item)
        missing = [name for name in self._fields if name in self._needed and fields.get(name) is None]
        if missing:
            raise ItemError(f"the item has no {', '.join(missing)}, and the row cannot do without")
        if self._strict:
            unknown = [name for name in fields if name not in self._known]
            if unknown:
                raise ItemError(
                    f"the table has no column for {', '.join(unknown)}: "
                    f"name the fields that are to be written in {PREFIX}FIELDS"
                )
        missing_value = self._missing
        return [fields.get(name, missing_value) for name in self._fields]


async def prepare_rows(session: Session, settings: ItemSettings) -> ItemRows:
    """Prepare the statement that writes the items.

    :raises CQLError: the server does not accept it.
    :raises ValueError: there is no such table, or it has no such column.
    """
    if settings.statement is not None:
        statement = await session.prepare(settings.statement)
        return _statement_rows(session, statement, settings.fields or {})
    kinds = await _columns(session, settings)
    fields = settings.fields or {name: name for name in kinds}
    unknown = [column for column in fields if column not in kinds]
    if unknown:
        raise ValueError(
            f"{PREFIX}FIELDS: the table {settings.table} has no column {', '.join(unknown)}; "
            f"it has: {', '.join(kinds)}"
        )
    keys = [column for column, kind in kinds.items() if kind in _KEY_KINDS]
    missing = [column for column in keys if column not in fields]
    if missing:
        raise ValueError(f"{PREFIX}FIELDS lacks {', '.join(missing)}, of the primary key of {settings.table}")
    statement = await session.prepare(_insert(settings, list(fields)))
    needed = frozenset(fields[column] for column in keys)
    return ItemRows(
        statement, list(fields.values()), needed, strict=settings.fields is None, unset=session.version >= 4
    )


def _statement_rows(session: Session, statement: PreparedStatement, fields: Mapping[str, str]) -> ItemRows:
    names = [column.name for column in statement.parameters]
    unknown = [name for name in fields if name not in names]
    if unknown:
        raise ValueError(
            f"{PREFIX}FIELDS: the statement has no parameter {', '.join(unknown)}; "
            f"it has: {', '.join(names) or 'none'}"
        )
    chosen = [fields.get(name, name) for name in names]
    needed = frozenset(chosen[place] for place in statement.partition_key)
    return ItemRows(statement, chosen, needed, strict=False, unset=session.version >= 4)


def _insert(settings: ItemSettings, columns: Sequence[str]) -> str:
    names = ", ".join(map(_quoted, columns))
    text = f"INSERT INTO {settings.table} ({names}) VALUES ({', '.join('?' * len(columns))})"
    if settings.if_not_exists:
        text += " IF NOT EXISTS"
    if settings.ttl is not None:
        text += f" USING TTL {settings.ttl}"
    return text


async def _columns(session: Session, settings: ItemSettings) -> dict[str, str]:
    """The columns of the table, with what each is; the primary key first."""
    assert settings.table is not None
    *given, table = (_exact(part) for part in re.findall(r'"(?:[^"]|"")+"|\w+', settings.table))
    keyspace = given[0] if given else session.keyspace
    if keyspace is None:
        raise ValueError(f"{PREFIX}TABLE names no keyspace, and there is no {PREFIX}KEYSPACE")
    found = await session.execute(
        "SELECT column_name, kind, position FROM system_schema.columns "
        "WHERE keyspace_name = ? AND table_name = ?",
        [keyspace, table],
    )
    rows = sorted(found.all(), key=lambda row: (row[1] not in _KEY_KINDS, row[1] != "partition_key", row[2]))
    if not rows:
        raise ValueError(f'{PREFIX}TABLE: there is no table "{table}" in the keyspace "{keyspace}"')
    return {name: kind for name, kind, _ in rows}


def _exact(name: str) -> str:
    return name[1:-1].replace('""', '"') if name.startswith('"') else name.lower()


def _quoted(name: str) -> str:
    escaped = name.replace('"', '""')
    return name if _PLAIN.fullmatch(name) is not None else f'"{escaped}"'
