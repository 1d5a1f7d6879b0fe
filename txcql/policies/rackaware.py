"""The nodes of the local rack before all others."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from txcql.policies.dcaware import DCAwarePolicy
from txcql.policies.loadbalancing import WrappingPolicy, rotated

__all__ = ["RackAwarePolicy", "same_plan"]


class RackAwarePolicy(WrappingPolicy):
    """The local nodes of the local rack in turn, then the nodes of another policy.

    :param child: that policy; ``None`` takes a :class:`~txcql.policies.dcaware.DCAwarePolicy`.
    :param rack: the local rack; ``None`` takes the session's ``local_rack``. If there is none either,
        no rack comes first.
    :raises TypeError: an argument of the wrong type.
    """

    def __init__(self, child: Any = None, rack: str | None = None) -> None:
        WrappingPolicy.__init__(self, child if child is not None else DCAwarePolicy())
        if rack is not None and not isinstance(rack, str):
            raise TypeError(f"rack must be a str, got {rack!r}")
        self._rack = rack
        self._near: tuple[Any, ...] = ()
        self._next = 0

    def start(self, datacenter: str, rack: str | None) -> None:
        if self._rack is None:
            self._rack = rack
        WrappingPolicy.start(self, datacenter, rack)

    def node_up(self, node: Any) -> None:
        WrappingPolicy.node_up(self, node)
        if node.rack == self._rack and node not in self._near and self.distance(node) == "local":
            self._near += (node,)

    def node_down(self, node: Any) -> None:
        WrappingPolicy.node_down(self, node)
        self._near = tuple(other for other in self._near if other != node)

    def plan(self, request: Any) -> Iterator[Any]:
        if not self._near:
            return WrappingPolicy.plan(self, request)
        return self._plan(request, self._near)

    def _plan(self, request: Any, near: tuple[Any, ...]) -> Iterator[Any]:
        self._next += 1
        yield from rotated(near, self._next)
        # As many as have been yielded are passed over here, and no more.
        passed = set(near)
        for node in WrappingPolicy.plan(self, request):
            if node not in passed:
                yield node

    def __repr__(self) -> str:
        return f"<RackAwarePolicy {self._rack} up={len(self._near)} {self.child!r}>"


def same_plan(policy: Any) -> tuple[Any, ...] | None:
    """The plan of every request, if they are all the same because there is no choice.

    :param policy: a load balancing policy; of one that is not known here nothing is assumed.
    """
    if type(policy) is RackAwarePolicy:
        policy = policy.child
    return policy.same_plan if type(policy) is DCAwarePolicy else None
