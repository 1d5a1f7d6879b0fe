"""Clustering columns restricted to nothing: real nodes then answer without a look at the partition key."""

from __future__ import annotations

from collections.abc import Sequence

from txcql.testing.execution import Execution
from txcql.testing.relationtests import Restriction

__all__ = ["nothing_between"]


def nothing_between(clustering: Sequence[Restriction], execution: Execution) -> bool:
    """Whether no clustering key at all could be meant.

    :param clustering: the restrictions of clustering columns.
    """
    position = 0
    while True:
        here = [one for one in clustering if one.column.position == position and not one.is_contains]
        if not here:
            return False
        if here[0].is_slice:
            return _is_empty(here, execution)
        if here[0].operator == "IN" and not here[0].values(execution):
            return True
        position = here[0].columns[-1].position + 1


def _is_empty(slices: Sequence[Restriction], execution: Execution) -> bool:
    """Whether a range ends before it begins, as far as both of its bounds go."""
    starts = [one for one in slices if one.operator[0] == ">"]
    ends = [one for one in slices if one.operator[0] == "<"]
    if not starts or not ends or any(one.expressions[0].value(execution) is None for one in slices):
        return False
    [start], [end] = starts[0].orders(execution), ends[0].orders(execution)
    shared = min(len(start), len(end))
    if start[:shared] != end[:shared]:
        return end[:shared] < start[:shared]
    return any(
        len(one.operator) == 1 for one, order in ((starts[0], start), (ends[0], end)) if len(order) == shared
    )
