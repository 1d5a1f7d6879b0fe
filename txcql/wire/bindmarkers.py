"""The bind markers of a statement, found in its text.

The server tells the markers of a statement that it has prepared; of any other, the text has to.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

__all__ = ["bind_markers"]

_TOKEN = re.compile(
    r"""
      (?P<skipped> \s+ | (?:--|//)[^\n]* | /\*.*?\*/ )
    | (?P<term> '(?:[^']|'')*' | \$\$.*?\$\$ | "(?:[^"]|"")*" | \w+ )
    | (?P<marker> \? | :(?:"(?:[^"]|"")+"|[A-Za-z]\w*) )
    | (?P<other> . )
    """,
    re.VERBOSE | re.DOTALL,
)


def bind_markers(text: str) -> Sequence[str]:
    """The names of the bind markers, in order, as the server has them; ``"?"`` for those without.

    :param text: CQL.
    """
    found: list[str] = []
    braces = 0
    # Within braces, a colon behind a term is no marker's: it stands between a key and its value.
    behind_term = False
    place = 0
    while (match := _TOKEN.match(text, place)) is not None:
        kind, token = match.lastgroup, match[0]
        place = match.end()
        if kind == "marker" and token != "?" and braces and behind_term:
            place = match.start() + 1
            behind_term = False
        elif kind == "marker":
            found.append(_name(token))
            behind_term = True
        elif kind == "other":
            braces += (token == "{") - (token == "}")
            behind_term = token in ")]}"
        elif kind == "term":
            behind_term = True
    return found


def _name(marker: str) -> str:
    if marker == "?":
        return marker
    name = marker[1:]
    return name[1:-1].replace('""', '"') if name.startswith('"') else name.lower()
