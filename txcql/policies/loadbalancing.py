"""Every node in its turn, and what policies that build on another one share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from zope.interface import implementer

from txcql.interfaces import Distance, ILoadBalancingPolicy

__all__ = ["RoundRobinPolicy", "WrappingPolicy", "rotated"]


def rotated(nodes: tuple[Any, ...], start: int) -> Iterator[Any]:
    """The nodes, beginning with one of them.

    :param start: its place, modulo their number.
    """
    count = len(nodes)
    if count < 2:
        return iter(nodes)
    return (nodes[(start + position) % count] for position in range(count))


@implementer(ILoadBalancingPolicy)
class RoundRobinPolicy:
    """Each request begins with the node behind the one that the request before it began with.

    It uses all nodes of all data centers alike.
    """

    def __init__(self) -> None:
        self._up: tuple[Any, ...] = ()
        self._next = 0

    def start(self, datacenter: str, rack: str | None) -> None:
        pass

    def distance(self, node: Any) -> Distance:
        return "local"

    def node_up(self, node: Any) -> None:
        if node not in self._up:
            self._up += (node,)

    def node_down(self, node: Any) -> None:
        self._up = tuple(other for other in self._up if other != node)

    def node_removed(self, node: Any) -> None:
        pass

    def plan(self, request: Any) -> Iterator[Any]:
        self._next += 1
        return rotated(self._up, self._next)

    def __repr__(self) -> str:
        return f"<RoundRobinPolicy up={len(self._up)}>"


@implementer(ILoadBalancingPolicy)
class WrappingPolicy:
    """A policy that changes what another one says; by itself it changes nothing.

    :param child: the other one.
    :raises TypeError: it is no load balancing policy.
    :ivar child: the other one.
    """

    def __init__(self, child: Any) -> None:
        if not ILoadBalancingPolicy.providedBy(child):
            raise TypeError(f"{type(self).__name__} builds on an ILoadBalancingPolicy, got {child!r}")
        self.child = child

    @property
    def children(self) -> tuple[Any, ...]:
        """The policies that it builds on."""
        return (self.child,)

    def start(self, datacenter: str, rack: str | None) -> None:
        self.child.start(datacenter, rack)

    def distance(self, node: Any) -> Distance:
        distance: Distance = self.child.distance(node)
        return distance

    def node_up(self, node: Any) -> None:
        self.child.node_up(node)

    def node_down(self, node: Any) -> None:
        self.child.node_down(node)

    def node_removed(self, node: Any) -> None:
        self.child.node_removed(node)

    def plan(self, request: Any) -> Iterator[Any]:
        plan: Iterator[Any] = self.child.plan(request)
        return plan

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.child!r}>"
