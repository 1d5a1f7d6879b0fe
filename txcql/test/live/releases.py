"""What differs among the releases of Cassandra that the live tests can run against.

Where a release lacks something, a test leaves that out; a test of nothing else is marked ``newest``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from txcql.test.cassandra.layouts import NEWEST, USUAL

__all__ = ["OLDER", "RELEASE", "without_vectors"]

RELEASE = USUAL.version
OLDER = USUAL != NEWEST

T = TypeVar("T")


def without_vectors(columns: Mapping[str, T], kinds: Mapping[str, str] | None = None) -> dict[str, T]:
    """Leave out what is a vector, where there is no such type.

    :param columns: By name, or by type.
    :param kinds: The type of each name; otherwise the keys are types, or the values are.
    """
    if not OLDER:
        return dict(columns)
    return {
        name: value
        for name, value in columns.items()
        if "vector<" not in (kinds[name] if kinds is not None else f"{name} {value}")
    }
