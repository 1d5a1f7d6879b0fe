"""Who hears of changes in the cluster."""

from __future__ import annotations

from typing import Any

from twisted.logger import Logger
from zope.interface import Interface

from txcql.interfaces import INodeListener, ISchemaListener

__all__ = ["Listeners"]

log = Logger(namespace="txcql.cluster")


class Listeners:
    """Tells each listener; what one of them raises is logged, and harms nothing."""

    def __init__(self) -> None:
        self._of_nodes: list[Any] = []
        self._of_schema: list[Any] = []

    def add(self, listener: Any) -> None:
        """Tell a listener from now on, once for each change however often it is added.

        :raises TypeError: it provides neither interface.
        """
        kinds: list[tuple[type[Interface], list[Any]]] = [
            (INodeListener, self._of_nodes),
            (ISchemaListener, self._of_schema),
        ]
        wanted = [listeners for interface, listeners in kinds if interface.providedBy(listener)]
        if not wanted:
            raise TypeError(f"a listener provides INodeListener or ISchemaListener, got {listener!r}")
        for listeners in wanted:
            if listener not in listeners:
                listeners.append(listener)

    def remove(self, listener: Any) -> None:
        """Tell it no more.

        :raises ValueError: it was not added.
        """
        if listener not in self._of_nodes and listener not in self._of_schema:
            raise ValueError(f"{listener!r} is no listener of this cluster")
        for listeners in (self._of_nodes, self._of_schema):
            if listener in listeners:
                listeners.remove(listener)

    def tell(self, what: str, *arguments: Any) -> None:
        """Call the method of this name of each listener that is for it.

        :param what: a method of one of the two interfaces.
        """
        for listener in [*(self._of_nodes if what.startswith("node_") else self._of_schema)]:
            try:
                getattr(listener, what)(*arguments)
            except Exception:
                log.failure("{listener!r} failed at {what}", listener=listener, what=what)
