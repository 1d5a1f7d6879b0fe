"""Cells of a CSV file as the values that they spell, so that the server need not read them."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

__all__ = ["CellReader", "cell_reader"]

CellReader = Callable[[Sequence[str]], "list[Any] | None"]

_INTEGER = re.compile(r"-?[0-9]{1,38}")
_NUMBER = re.compile(r"-?[0-9]{1,38}(?:\.[0-9]{1,38})?")
_DOUBLE = re.compile(r"-?[0-9]{1,38}(?:\.[0-9]{1,38})?(?:e[+-]?[0-9]{1,3})?")
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_BLOB = re.compile(r"0x(?:[0-9a-f]{2})*")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_TIMESTAMP = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{3}(?:000)?)?\+00:00"
)
_ASCII = re.compile(r"[\x00-\x7f]*")
_BOOLEAN = re.compile(r"true|false")
_BOOLEANS = {"true": True, "false": False}


_READERS: dict[str, tuple[re.Pattern[str] | None, Callable[[str], Any] | None]] = {
    "text": (None, None),
    "varchar": (None, None),
    "ascii": (_ASCII, None),
    "boolean": (_BOOLEAN, _BOOLEANS.__getitem__),
    "tinyint": (_INTEGER, int),
    "smallint": (_INTEGER, int),
    "int": (_INTEGER, int),
    "bigint": (_INTEGER, int),
    "varint": (_INTEGER, int),
    "double": (_DOUBLE, float),
    "decimal": (_NUMBER, Decimal),
    "uuid": (_UUID, UUID),
    "timeuuid": (_UUID, UUID),
    "blob": (_BLOB, lambda cell: bytes.fromhex(cell[2:])),
    "date": (_DATE, date.fromisoformat),
    "timestamp": (_TIMESTAMP, datetime.fromisoformat),
}
"""For each type the one spelling that is read, if not every text is one, and what makes a value of it."""


def cell_reader(types: Sequence[str], null: str) -> CellReader | None:
    """What makes values of the cells of a row.

    Only what is spelled as ``unload`` spells it is read, and only types in whose text Python and the
    server can see nothing different; the rest is left to the server.

    :param types: the CQL types of the columns.
    :param null: the cell of a null.
    :returns: gives the values of a row's cells, or ``None`` where the server has to read one of them;
        ``None`` in place of it if it has to read those of a whole column.
    """
    if not all(kind in _READERS for kind in types):
        return None
    # One function for all columns: it runs for every row.
    names = [f"cell_{place}" for place in range(len(types))]
    lines = ["def read(cells):", f" {', '.join(names)}, = cells", " try:"]
    scope: dict[str, Any] = {"null": null}
    for name, kind in zip(names, types, strict=True):
        pattern, convert = _READERS[kind]
        lines.append(f"  if {name} == null: {name} = None")
        if pattern is not None:
            scope[f"spelled_{name}"] = pattern.fullmatch
            lines.append(f"  elif spelled_{name}({name}) is None: return None")
        if convert is not None:
            scope[f"read_{name}"] = convert
            lines.append(f"  else: {name} = read_{name}({name})")
    lines += [f"  return [{', '.join(names)}]", " except ValueError:", "  return None"]
    exec("\n".join(lines), scope)
    read: CellReader = scope["read"]
    return read
