"""The pool of one link that is not for everybody."""

from __future__ import annotations

from txcql.pool.nodepool import NodePool

__all__ = ["DedicatedPool"]


class DedicatedPool(NodePool):
    """One link to a node, for requests whose plan names it."""

    def room(self) -> int:
        """None: who waits until a request would be sent does not wait for this one."""
        return 0

    def hold_responses(self) -> None:
        """Read no answers until :meth:`release_responses`."""
        for link in self.links:
            link.hold_responses()

    def release_responses(self) -> None:
        """Read answers again."""
        for link in self.links:
            link.release_responses()
