"""The nodes of the local data center, and a few of the others where that is allowed."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, islice
from typing import Any

from zope.interface import implementer

from txcql.interfaces import Distance, ILoadBalancingPolicy
from txcql.policies.loadbalancing import rotated

__all__ = ["DCAwarePolicy"]


@implementer(ILoadBalancingPolicy)
class DCAwarePolicy:
    """The nodes of the local data center in turn; behind them some of each other data center.

    Remote nodes are used by requests that no local node has taken, and not at the consistency levels
    ``LOCAL_ONE``, ``LOCAL_QUORUM`` and ``LOCAL_SERIAL``, which would mean another data center there.

    :param datacenter: the local data center; ``None`` takes the session's.
    :param remote_nodes: how many nodes of each other data center may be used. One that goes down
        makes room for the next.
    :param local_consistency: whether they may also be used at these levels.
    :raises TypeError: an argument of the wrong type.
    :raises ValueError: ``remote_nodes`` is negative.
    """

    def __init__(
        self, datacenter: str | None = None, *, remote_nodes: int = 0, local_consistency: bool = False
    ) -> None:
        if datacenter is not None and not isinstance(datacenter, str):
            raise TypeError(f"datacenter must be a str, got {datacenter!r}")
        if not isinstance(remote_nodes, int) or isinstance(remote_nodes, bool):
            raise TypeError(f"remote_nodes must be an int, got {remote_nodes!r}")
        if remote_nodes < 0:
            raise ValueError(f"remote_nodes must not be negative, got {remote_nodes}")
        self._datacenter = datacenter
        self._most_remote = remote_nodes
        self._local_consistency = local_consistency
        self._local: tuple[Any, ...] = ()
        # The nodes of each other data center in the order in which they may be used.
        self._known: dict[str, dict[Any, None]] = {}
        self._remote_up: set[Any] = set()
        self._remote: tuple[Any, ...] = ()
        self._next = 0

    def start(self, datacenter: str, rack: str | None) -> None:
        if self._datacenter is None:
            self._datacenter = datacenter

    def distance(self, node: Any) -> Distance:
        if node.datacenter == self._datacenter:
            return "local"
        if not self._most_remote:
            return "ignored"
        known = self._known.setdefault(node.datacenter, {})
        known.setdefault(node)
        return "remote" if node in islice(known, self._most_remote) else "ignored"

    def node_up(self, node: Any) -> None:
        if node.datacenter != self._datacenter:
            self.distance(node)
            self._remote_up.add(node)
            self._look_at_remote()
        elif node not in self._local:
            self._local += (node,)

    def node_down(self, node: Any) -> None:
        self._local = tuple(other for other in self._local if other != node)
        self._remote_up.discard(node)
        known = self._known.get(node.datacenter, {})
        if node in known:
            # To the end: another one is used in its place, if there is one.
            del known[node]
            known[node] = None
        self._look_at_remote()

    def node_removed(self, node: Any) -> None:
        self.node_down(node)
        self._known.get(node.datacenter, {}).pop(node, None)
        self._look_at_remote()

    @property
    def same_plan(self) -> tuple[Any, ...] | None:
        """The plan of every request, if they are all the same because there is no choice."""
        return self._local if len(self._local) < 2 and not self._remote else None

    def plan(self, request: Any) -> Iterator[Any]:
        self._next += 1
        local = rotated(self._local, self._next)
        if not self._remote:
            return local
        return chain(local, self._remote_plan(request, self._next))

    def _remote_plan(self, request: Any, start: int) -> Iterator[Any]:
        if self._local_consistency or not request.consistency.startswith("LOCAL_"):
            yield from rotated(self._remote, start)

    def _look_at_remote(self) -> None:
        used = chain.from_iterable(islice(known, self._most_remote) for known in self._known.values())
        self._remote = tuple(node for node in used if node in self._remote_up)

    def __repr__(self) -> str:
        up = f"up={len(self._local)}"
        if self._most_remote:
            up += f" remote={len(self._remote)}"
        return f"<DCAwarePolicy {self._datacenter} {up}>"
