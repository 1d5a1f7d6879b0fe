"""Which nodes a request goes to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from zope.interface import implementer

from txcql.interfaces import ILoadBalancingPolicy

__all__ = ["RoundRobinPolicy"]


@implementer(ILoadBalancingPolicy)
class RoundRobinPolicy:
    """Each request begins with the node behind the one that the request before it began with."""

    def __init__(self) -> None:
        self._up: tuple[Any, ...] = ()
        self._next = 0

    def node_up(self, node: Any) -> None:
        if node not in self._up:
            self._up += (node,)

    def node_down(self, node: Any) -> None:
        self._up = tuple(other for other in self._up if other != node)

    def plan(self) -> Iterator[Any]:
        nodes = self._up
        count = len(nodes)
        if count < 2:
            return iter(nodes)
        self._next = start = (self._next + 1) % count
        return (nodes[(start + position) % count] for position in range(count))

    def __repr__(self) -> str:
        return f"<RoundRobinPolicy up={len(self._up)}>"
