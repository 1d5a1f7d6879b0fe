"""The replicas of what a request is for before all others."""

from __future__ import annotations

from collections.abc import Iterator
from random import random
from typing import Any

from txcql.policies.loadbalancing import WrappingPolicy
from txcql.policies.rackaware import RackAwarePolicy, same_plan

__all__ = ["TokenAwarePolicy"]


class TokenAwarePolicy(WrappingPolicy):
    """The local replicas in random order, those of the local rack first; then another policy's nodes.

    A request whose partition is not known goes where the other policy says.

    :param child: that policy; ``None`` takes a :class:`~txcql.policies.rackaware.RackAwarePolicy`.
    :param rack: the local rack; ``None`` takes the session's ``local_rack``.
    :param shuffle: whether replicas come in random order, which spreads the load; else in the
        order of the ring, which makes the best of each node's cache.
    :raises TypeError: an argument of the wrong type.
    """

    def __init__(self, child: Any = None, *, rack: str | None = None, shuffle: bool = True) -> None:
        WrappingPolicy.__init__(self, child if child is not None else RackAwarePolicy())
        if rack is not None and not isinstance(rack, str):
            raise TypeError(f"rack must be a str, got {rack!r}")
        self._rack = rack
        self._shuffle = shuffle
        # The local nodes that are up, and whether each is in the local rack.
        self._near: dict[Any, bool] = {}
        # Every plan, if they are all the same.
        self._only: tuple[Any, ...] | None = None

    def start(self, datacenter: str, rack: str | None) -> None:
        if self._rack is None:
            self._rack = rack
        WrappingPolicy.start(self, datacenter, rack)

    def node_up(self, node: Any) -> None:
        WrappingPolicy.node_up(self, node)
        if self.distance(node) == "local":
            self._near[node] = node.rack == self._rack
        self._look_at_child()

    def node_down(self, node: Any) -> None:
        WrappingPolicy.node_down(self, node)
        self._near.pop(node, None)
        self._look_at_child()

    def node_removed(self, node: Any) -> None:
        WrappingPolicy.node_removed(self, node)
        self._look_at_child()

    def plan(self, request: Any) -> Iterator[Any]:
        # One node takes everything, whosever it is.
        if len(self._near) < 2:
            only = self._only
            return iter(only) if only is not None else self.child.plan(request)
        return self._plan(request)

    def _plan(self, request: Any) -> Iterator[Any]:
        near = self._near
        replicas = [node for node in request.replicas() if node in near]
        if not replicas:
            yield from self.child.plan(request)
            return
        if self._rack is None:
            # Mostly the first one takes the request, and that is all.
            first = replicas[int(random() * len(replicas)) if self._shuffle else 0]
            yield first
            others = [node for node in replicas if node is not first]
            yield from self._in_order(others)
        else:
            yield from self._in_order([node for node in replicas if near[node]])
            yield from self._in_order([node for node in replicas if not near[node]])
        passed = set(replicas)
        for node in self.child.plan(request):
            if node not in passed:
                yield node

    def _look_at_child(self) -> None:
        """Find out whether every plan of the other policy is the same."""
        self._only = same_plan(self.child)

    def _in_order(self, nodes: list[Any]) -> Iterator[Any]:
        """Each node once; which is next is decided when it is asked for."""
        while len(nodes) > 1:
            yield nodes.pop(int(random() * len(nodes)) if self._shuffle else 0)
        yield from nodes

    def __repr__(self) -> str:
        return f"<TokenAwarePolicy up={len(self._near)} {self.child!r}>"
