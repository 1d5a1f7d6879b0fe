"""The hashes of a set's elements and a map's keys, which a peer may have chosen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from txcql.errors import DecodeError
from txcql.wire.cqltypes import CQLType

__all__ = ["check_hashes"]

_MOST_OF_ONE_HASH = 100


def check_hashes(kind: CQLType, elements: Sequence[Any]) -> None:
    """See whether a set of the elements can be made in linear time.

    The hashes of Python's numbers are known to everybody: a peer could choose thousands of values
    with one hash, and each would be compared with all the others.

    :raises DecodeError: if so.
    """
    if len(elements) <= _MOST_OF_ONE_HASH or type(elements[0]) in (str, bytes):
        # The hashes of texts and bytes are salted.
        return
    ((_, most),) = Counter(map(hash, elements)).most_common(1)
    if most > _MOST_OF_ONE_HASH:
        raise DecodeError(f"expected {kind.name}, got {most} elements with the same hash")
