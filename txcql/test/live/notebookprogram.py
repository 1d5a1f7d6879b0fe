"""Run the cells of a notebook as IPython does, all on one loop: ``python notebookprogram.py FILE``.

Prints what each cell ends with, with an empty line between them.
"""

from __future__ import annotations

import ast
import asyncio
import sys
from pathlib import Path


def run(cell, names, loop):
    """Run one cell.

    :returns: What its last expression gives.
    """
    *statements, last = ast.parse(cell).body
    shown = ast.Assign([ast.Name("shown", ast.Store())], last.value)
    tree = ast.fix_missing_locations(ast.Module([*statements, shown], []))
    made = eval(compile(tree, "cell", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT), names)
    if made is not None:
        loop.run_until_complete(made)
    return names["shown"]


if __name__ == "__main__":
    loop = asyncio.new_event_loop()
    names: dict[str, object] = {}
    cells = Path(sys.argv[1]).read_text(encoding="utf-8").split("# %%\n")[1:]
    print("\n\n".join(repr(run(cell, names, loop)) for cell in cells))
    loop.close()
