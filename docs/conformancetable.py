"""``.. conformancetable::``: the chapters of the conformance suite, and what the fake refuses of each."""

from __future__ import annotations

from docutils.nodes import Node
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from txcql.test.conformance import chapters, record
from txcql.test.conformance.chapters import is_refusal
from txcql.test.test_conformance import run_on_fake


def described() -> list[str]:
    """The table, and a sentence on the whole."""
    lines = [
        ".. list-table::",
        "   :header-rows: 1",
        "",
        "   * - Chapter",
        "     - Statements",
        "     - Refused",
    ]
    total, refused = 0, []
    for chapter in record.CHAPTERS:
        asked = chapter.asked()
        answers = zip(asked, run_on_fake(chapter), strict=True)
        unknown = [one.text for one, answer in answers if is_refusal(answer)]
        lines += [f"   * - {chapter.name}", f"     - {len(asked)}", f"     - {len(unknown) or ''}"]
        total, refused = total + len(asked), refused + unknown
    listed = "; ".join(f"``{text}``" for text in refused)
    return [*lines, "", f"Of {total:,} statements the fake refuses {len(refused)}: {listed}."]


class ConformanceTable(SphinxDirective):
    """The directive."""

    def run(self) -> list[Node]:
        for module in (chapters, record):
            self.env.note_dependency(module.__file__)
        return self.parse_text_to_nodes("\n".join(described()))


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("conformancetable", ConformanceTable)
    return {"parallel_read_safe": True}
