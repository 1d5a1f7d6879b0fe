"""Policies that leave nodes out."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from txcql.interfaces import Distance
from txcql.policies.loadbalancing import WrappingPolicy
from txcql.policies.tokenaware import TokenAwarePolicy

__all__ = ["AllowListPolicy", "DenyListPolicy", "FilterPolicy"]


class FilterPolicy(WrappingPolicy):
    """Another policy, without the nodes that a function refuses.

    :param accepts: called with each :class:`~txcql.interfaces.INode`; says whether it may be used. It
        must say the same of a node each time.
    :param child: the other policy; ``None`` takes the default one, by token, rack and data center.
    :raises TypeError: an argument of the wrong type.
    """

    def __init__(self, accepts: Callable[[Any], bool], child: Any = None) -> None:
        if child is None:
            child = TokenAwarePolicy()
        WrappingPolicy.__init__(self, child)
        if not callable(accepts):
            raise TypeError(f"accepts must be callable, got {accepts!r}")
        self._accepts = accepts

    def distance(self, node: Any) -> Distance:
        return WrappingPolicy.distance(self, node) if self._accepts(node) else "ignored"

    def node_up(self, node: Any) -> None:
        # What the child does not hear of is in none of its plans.
        if self._accepts(node):
            WrappingPolicy.node_up(self, node)

    def node_down(self, node: Any) -> None:
        if self._accepts(node):
            WrappingPolicy.node_down(self, node)

    def node_removed(self, node: Any) -> None:
        if self._accepts(node):
            WrappingPolicy.node_removed(self, node)


class AllowListPolicy(FilterPolicy):
    """Another policy, with no nodes but these.

    :param nodes: each ``host`` or ``host:port``, with a numeric host as
        :attr:`txcql.interfaces.INode.name` has it.
    :param child: as in :class:`FilterPolicy`.
    :raises TypeError: an argument of the wrong type.
    """

    def __init__(self, nodes: Iterable[str], child: Any = None) -> None:
        listed = _names(nodes)
        FilterPolicy.__init__(self, lambda node: _is_listed(node, listed), child)


class DenyListPolicy(FilterPolicy):
    """Another policy, without these nodes.

    :param nodes: as in :class:`AllowListPolicy`.
    :param child: as in :class:`FilterPolicy`.
    :raises TypeError: an argument of the wrong type.
    """

    def __init__(self, nodes: Iterable[str], child: Any = None) -> None:
        listed = _names(nodes)
        FilterPolicy.__init__(self, lambda node: not _is_listed(node, listed), child)


def _names(nodes: Iterable[str]) -> frozenset[str]:
    if isinstance(nodes, str):
        raise TypeError(f"nodes must be a list of hosts, got the str {nodes!r}")
    names = frozenset(nodes)
    for name in names:
        if not isinstance(name, str):
            raise TypeError(f"a node is named by a str, got {name!r}")
    return names


def _is_listed(node: Any, names: frozenset[str]) -> bool:
    name: str = node.name
    # An IPv6 address has brackets where a port follows.
    host = name.rpartition(":")[0]
    return name in names or host in names or host.strip("[]") in names
