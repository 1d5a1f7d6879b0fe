"""The one node that a request names itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from txcql.errors import NoNodeAvailable

__all__ = ["TargetNode", "node_name"]


def node_name(node: Any) -> str:
    """The name of a node that was given by its name or as an :class:`~txcql.interfaces.INode`.

    :raises TypeError: it is neither.
    """
    name = node if isinstance(node, str) else getattr(node, "name", None)
    if not isinstance(name, str):
        raise TypeError(f"node must be a node of session.nodes, or its name, host:port; got {node!r}")
    return name


class TargetNode:
    """Stands in for the load balancing policy of a request that is for one node only.

    :param node: the node, or its name.
    """

    __slots__ = ("_name",)

    def __init__(self, node: Any) -> None:
        self._name = node_name(node)

    def plan(self, request: Any) -> Iterator[Any]:
        """That node.

        :raises ValueError: there is none of that name; the text says which there are.
        :raises NoNodeAvailable: no link ever goes to it, because its distance is ``"ignored"``.
        """
        session = request.session
        for node in session.nodes:
            if node.name == self._name:
                if node not in session.pools:
                    raise NoNodeAvailable(
                        f"{self._name} is ignored by the load balancing policies, so there is no link to it"
                    )
                return iter((node,))
        known = ", ".join(sorted(node.name for node in session.nodes))
        raise ValueError(f'node "{self._name}" is not in the cluster; there are: {known}')

    def __repr__(self) -> str:
        return f"<TargetNode {self._name}>"
