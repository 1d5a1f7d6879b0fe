"""Rows as a table of text."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Sequence
from typing import Any, TextIO

from txcql.session.jsonlines import json_lines

__all__ = ["TextTable", "cell_text"]

_NULL = "null"


def cell_text(value: Any) -> str:
    """A value as people read it: text is itself, all else as JSON spells it."""
    if value is None:
        return _NULL
    (plain,) = json.loads(json_lines((value,)))
    text = plain if isinstance(plain, str) else json.dumps(plain, ensure_ascii=False)
    return "".join(_visible(character) for character in text)


def _visible(character: str) -> str:
    """A character, or how it is written if it has no shape of its own."""
    if unicodedata.category(character)[0] != "C":
        return character
    return json.dumps(character)[1:-1]


class TextTable:
    """Prints page after page; a column becomes wider when a page needs it, never narrower.

    :param names: of the columns.
    :param output: where to.
    """

    def __init__(self, names: Sequence[str], output: TextIO) -> None:
        self._names = names
        self._output = output
        self._widths = [_width(name) for name in names]
        self._begun = False

    def write(self, rows: Sequence[Sequence[str]]) -> None:
        """Print some rows; the names of the columns before the first."""
        for row in rows:
            self._widths = [max(width, _width(cell)) for width, cell in zip(self._widths, row, strict=True)]
        if not self._begun:
            self._begun = True
            self._line(self._names)
            self._output.write("-+-".join("-" * width for width in self._widths) + "\n")
        for row in rows:
            self._line(row)

    def _line(self, cells: Sequence[str]) -> None:
        padded = [
            cell + " " * (width - _width(cell)) for cell, width in zip(cells, self._widths, strict=True)
        ]
        self._output.write(" | ".join(padded).rstrip() + "\n")


def _width(text: str) -> int:
    """Columns of a terminal that a text takes."""
    wide = sum(unicodedata.east_asian_width(character) in "WF" for character in text)
    narrow = sum(unicodedata.combining(character) != 0 for character in text)
    return len(text) + wide - narrow
