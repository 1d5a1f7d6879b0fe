"""``.. importgraph::``: which room of the package imports which, drawn from the import statements."""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path

from docutils.nodes import Node, raw
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

import txcql
from txcql.test.test_layering import ROWS, imported_names, modules

ROOT = Path(txcql.__file__).parent
ROOMS = [room for row in ROWS for room in row if not room.startswith("_")]

_CELL, _LEFT, _TOP = 34, 110, 96


def edges() -> Counter[tuple[str, str]]:
    """How many names each room imports from each other."""
    found: Counter[tuple[str, str]] = Counter()
    for path, parts in modules(ROOT):
        for _line, name in imported_names(ast.parse(path.read_text("utf-8")), parts):
            if name[0] == "txcql" and len(name) > 1 and name[1] != parts[1]:
                found[parts[1], name[1]] += 1
    return found


def drawing() -> str:
    """A row for each room, with a square in the column of each that it imports."""
    counts = edges()
    lines = []
    for place, room in enumerate(ROOMS):
        x, y = _LEFT + place * _CELL, _TOP + place * _CELL
        lines.append(f'<text x="{_LEFT - 8}" y="{y + 22}" text-anchor="end">{room}</text>')
        lines.append(f'<text transform="translate({x + 22} {_TOP - 8}) rotate(-60)">{room}</text>')
        lines.append(f'<rect x="{x}" y="{y}" width="{_CELL}" height="{_CELL}" fill-opacity="0.45"/>')
        for column, used in enumerate(ROOMS):
            count = counts[room, used]
            if count:
                left = _LEFT + column * _CELL
                lines.append(
                    f'<rect x="{left}" y="{y}" width="{_CELL}" height="{_CELL}" fill-opacity="0.12"/>'
                    f'<text x="{left + _CELL / 2}" y="{y + 22}" text-anchor="middle">{count}</text>'
                )
    wide, tall = (start + len(ROOMS) * _CELL + 60 for start in (_LEFT, _TOP - 56))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide} {tall}" role="img" fill="currentColor" '
        'aria-label="Which room imports which" style="width:100%;height:auto;font:12px sans-serif">'
        + "".join(lines)
        + "</svg>"
    )


class ImportGraph(SphinxDirective):
    """The directive."""

    def run(self) -> list[Node]:
        for path, _parts in modules(ROOT):
            self.env.note_dependency(str(path))
        return [raw("", drawing(), format="html")]


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("importgraph", ImportGraph)
    return {"parallel_read_safe": True}
