"""Clean Python names for columns, and the named tuples made with them.

Column names may be anything: ``system.now()``, ``[applied]``, ``class``, the same
name twice. ``namedtuple(rename=True)`` would call such fields ``_0``.
"""

from __future__ import annotations

import re
from collections import namedtuple
from collections.abc import Sequence
from functools import lru_cache
from keyword import iskeyword
from typing import Any
from unicodedata import normalize

__all__ = ["clean_name", "clean_names", "row_class", "unique_names"]

_LONGEST = 256
_PLAIN = re.compile(r"[a-z][a-z0-9]*(?:_+[a-z0-9]+)*", re.ASCII | re.IGNORECASE)
_NOT_IN_NAMES = re.compile(r"\W+")


def clean_name(name: str) -> str:
    """Give the identifier nearest to a name: ``system.now()`` -> ``system_now``, ``class`` -> ``class_``.

    Python reads identifiers in their NFKC form, and named tuples have no leading underscore. Of a
    name that is longer than any that a node gives, the beginning is taken.
    """
    name = name[:_LONGEST]
    if _PLAIN.fullmatch(name) and not iskeyword(name):
        return name
    clean = _NOT_IN_NAMES.sub("_", normalize("NFKC", name))
    # Some characters count as parts of words, but not of identifiers.
    clean = "".join(letter if f"a{letter}".isidentifier() else "_" for letter in clean).strip("_") or "c"
    if not clean.isidentifier():
        clean = f"c_{clean}"
    return f"{clean}_" if iskeyword(clean) else clean


def unique_names(names: Sequence[str]) -> tuple[str, ...]:
    """Number the second and further uses of a name: ``v``, ``v`` -> ``v``, ``v_2``."""
    taken = set(names)
    seen: set[str] = set()
    following: dict[str, int] = {}
    unique = []
    for name in names:
        chosen = name
        # Numbers go on where the last one of the name was, so that many equal names cost no more each.
        number = following.get(name, 2)
        while chosen in seen or (chosen != name and chosen in taken):
            chosen = f"{name}_{number}"
            number += 1
        following[name] = number
        seen.add(chosen)
        unique.append(chosen)
    return tuple(unique)


def clean_names(names: Sequence[str]) -> tuple[str, ...]:
    """Give each name an identifier of its own; a clean name keeps itself."""
    return unique_names([clean_name(name) for name in names])


@lru_cache(maxsize=1024)
def row_class(name: str, fields: tuple[str, ...]) -> Any:
    """Make the named tuple class with these fields, once for each set of them.

    Its instances pickle by their fields: the class itself is in no module.

    :param fields: identifiers, as :func:`clean_names` gives them.
    """
    make: Any = namedtuple
    made = make(name, fields)
    made.__reduce__ = lambda row: (_unpickle, (name, fields, tuple(row)))
    return made


def _unpickle(name: str, fields: tuple[str, ...], values: tuple[Any, ...]) -> Any:
    return row_class(name, fields)._make(values)
