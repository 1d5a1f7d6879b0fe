"""What policies that learn remember of each node."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

__all__ = ["NodeLatency", "NodeStates"]

_T = TypeVar("_T")
_WEIGHT = 1 / 16


class NodeStates(Generic[_T]):
    """One state for each node that is up; it begins anew when the node does.

    :param make: makes that of a node.
    :ivar by_node: node -> state.
    :ivar by_name: the same, by the ``host:port`` of the node.
    """

    def __init__(self, make: Callable[[], _T]) -> None:
        self.by_node: dict[Any, _T] = {}
        self.by_name: dict[str, _T] = {}
        self._make = make
        # A node that has moved is forgotten under the name that it had.
        self._names: dict[Any, str] = {}

    def node_up(self, node: Any) -> None:
        """A node is up."""
        self.node_down(node)
        self._names[node] = node.name
        self.by_node[node] = self.by_name[node.name] = self._make()

    def node_down(self, node: Any) -> None:
        """A node is down, or has left."""
        state = self.by_node.pop(node, None)
        name = self._names.pop(node, None)
        # Two nodes may have changed places.
        if name is not None and self.by_name.get(name) is state:
            del self.by_name[name]


class NodeLatency:
    """How fast a node answers.

    :ivar mean: seconds, where later answers weigh more.
    :ivar count: how many answers there were.
    :ivar at: when the last one came.
    :ivar in_flight: attempts that have begun and not ended.
    :ivar slow: for policies to note.
    """

    __slots__ = ("at", "count", "in_flight", "mean", "slow")

    def __init__(self) -> None:
        self.mean = 0.0
        self.count = 0
        self.at = 0.0
        self.in_flight = 0
        self.slow = False

    def ended(self, seconds: float, error: BaseException | None, now: float) -> None:
        """An attempt is over.

        One that has failed, or was given up, says only that the answer would have taken longer.
        """
        if error is not None and seconds <= self.mean:
            return
        self.mean = seconds if self.count == 0 else self.mean + (seconds - self.mean) * _WEIGHT
        self.count += 1
        self.at = now
