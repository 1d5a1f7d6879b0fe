"""What a statement is about, in a few words: for names of spans, which must be few, and hold no values."""

from __future__ import annotations

import re
from collections import OrderedDict
from typing import NamedTuple

from txcql.integrations.requestmetrics import operation_of

__all__ = ["LONGEST_TEXT", "StatementSummary", "summary_of"]

LONGEST_TEXT = 2000
"""Characters of a statement that are shown."""

_KEPT = 1000
_LONGEST_KEPT = 10_000

_NAME = r'(?:"(?:[^"]|"")+"|[A-Za-z]\w*)'
_TARGET = re.compile(
    rf"\b(?:FROM|INTO|UPDATE|TABLE(?:\s+IF\s+(?:NOT\s+)?EXISTS)?|TRUNCATE)\s+(?:({_NAME})\s*\.\s*)?({_NAME})",
    re.IGNORECASE,
)
_LITERAL = re.compile(
    r"""
    ' (?:[^']|'')* (?:'|$)            # text
    | \$\$ .*? (?:\$\$|$)             # text
    | " (?:[^"]|"")* "                # a name: it stays
    | \b [0-9a-f]{8} (?:-[0-9a-f]{4}){3} -[0-9a-f]{12} \b
    | \b 0x [0-9a-f]* \b
    | (?<![\w.]) -? \d+ (?:\.\d*)? (?:e[+-]?\d+)? (?!\w)
    | \b \d+ (?:\w+)                  # a duration
    """,
    re.IGNORECASE | re.DOTALL | re.VERBOSE,
)

_known: OrderedDict[str, StatementSummary] = OrderedDict()


class StatementSummary(NamedTuple):
    """What can be said of a statement.

    :ivar operation: see :func:`~txcql.integrations.requestmetrics.operation_of`.
    :ivar keyspace: the keyspace that it names; ``""`` if it names none.
    :ivar table: its table; ``""`` if it has none.
    :ivar sanitized: its text, with ``?`` in place of each literal.
    """

    operation: str
    keyspace: str
    table: str
    sanitized: str

    @property
    def collection(self) -> str:
        """The table, with its keyspace if it has one."""
        return ".".join(filter(None, (self.keyspace, self.table)))

    @property
    def text(self) -> str:
        """Operation and table."""
        return f"{self.operation} {self.collection}".strip()


def summary_of(text: str) -> StatementSummary:
    """Summarize a statement; those that were asked for last are kept."""
    found = _known.get(text)
    if found is not None:
        return found
    shown = text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]}…"
    operation = operation_of(text)
    target = _TARGET.search(shown)
    keyspace, table = (_exact(target[1]), _exact(target[2])) if target is not None else ("", "")
    found = StatementSummary(operation, keyspace, table, _LITERAL.sub(_hidden, shown))
    if len(text) <= _LONGEST_KEPT:
        _known[text] = found
        if len(_known) > _KEPT:
            _known.popitem(last=False)
    return found


def _hidden(literal: re.Match[str]) -> str:
    return literal[0] if literal[0].startswith('"') else "?"


def _exact(name: str | None) -> str:
    if not name:
        return ""
    return name[1:-1].replace('""', '"') if name.startswith('"') else name.lower()
