"""``.. settingstable::``: every setting with its type, default and meaning, read from ``txcql.Settings``."""

from __future__ import annotations

import dataclasses
import inspect
import re
from typing import Any

from docutils.nodes import Node
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

import txcql
from txcql import settings

_FIELD = re.compile(r"^:ivar (\w+): (.*(?:\n[ ]+.*)*)", re.MULTILINE)
_UNITS = ((2**20, "MiB"), (2**10, "KiB"))


def shown(default: Any) -> str:
    """A default as one reads it: sizes in their units."""
    if type(default) is int:
        for size, unit in _UNITS:
            if default >= 16 * size and default % size == 0:
                return f"{default // size} {unit}"
        return f"{default:,}"
    return f"``{default!r}``"


def rows() -> list[tuple[str, str, str, str]]:
    """Name, type, default and meaning of each setting.

    :raises ValueError: one of them has no meaning.
    """
    text = inspect.cleandoc(txcql.Settings.__doc__ or "")
    meanings = {name: " ".join(meaning.split()) for name, meaning in _FIELD.findall(text)}
    fields = [field for field in dataclasses.fields(txcql.Settings) if field.name != "login"]
    untold = {field.name for field in fields} ^ set(meanings)
    if untold:
        raise ValueError(f"the docstring of Settings and its fields differ in: {', '.join(sorted(untold))}")
    found = []
    for field in fields:
        kind = str(field.type).replace(" | Secret", "").replace("Any", "object")
        found.append((f"``{field.name}``", f"``{kind}``", shown(field.default), meanings[field.name]))
    return found


class SettingsTable(SphinxDirective):
    """The directive."""

    def run(self) -> list[Node]:
        self.env.note_dependency(settings.__file__)
        lines = [".. list-table::", "   :header-rows: 1", "   :widths: 24 18 14 44", ""]
        for row in (("Setting", "Type", "Default", "Meaning"), *rows()):
            lines += [f"   {' ' if place else '*'} - {cell}" for place, cell in enumerate(row)]
        return self.parse_text_to_nodes("\n".join(lines))


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("settingstable", SettingsTable)
    return {"parallel_read_safe": True}
