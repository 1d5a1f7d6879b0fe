"""Which of several open links takes a request."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from txcql.connection.protocol import CQLProtocol

__all__ = ["Selection", "selection"]

Selection = Callable[[Sequence[CQLProtocol]], CQLProtocol]


def selection(name: str) -> Selection:
    """A way to choose.

    :param name: ``"least-loaded"`` (the first of equals), ``"round-robin"`` or ``"random"``.
    """
    if name == "round-robin":
        return _RoundRobin()
    return random.choice if name == "random" else _least_loaded


def _sent(link: CQLProtocol) -> int:
    return len(link.streams.waiting)


def _least_loaded(links: Sequence[CQLProtocol]) -> CQLProtocol:
    return min(links, key=_sent)


class _RoundRobin:
    """One after another."""

    def __init__(self) -> None:
        self._next = -1

    def __call__(self, links: Sequence[CQLProtocol]) -> CQLProtocol:
        self._next = (self._next + 1) % len(links)
        return links[self._next]
