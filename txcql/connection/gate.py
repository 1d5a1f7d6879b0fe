"""The gate of a link: whether it may be given work."""

from __future__ import annotations

from typing import TYPE_CHECKING

from txcql.connection.linkowner import tell, tell_listener

if TYPE_CHECKING:
    from txcql.connection.protocol import CQLProtocol

__all__ = ["Gate"]


class Gate:
    """Sets a link's :attr:`~txcql.connection.protocol.CQLProtocol.open`, and tells of it.

    :param link: the link.
    :ivar draining: whether as many requests are sent as the high mark allows, and not yet fewer than
        the low mark.
    :ivar full: whether the transport takes no more for now.
    """

    __slots__ = ("_link", "draining", "full")

    def __init__(self, link: CQLProtocol) -> None:
        self._link = link
        self.draining = False
        self.full = False

    def update(self) -> None:
        """Look again at what the link's work depends on."""
        link = self._link
        is_open = not (self.draining or self.full or link.retiring or link.closed) and link.ready
        if is_open is link.open:
            return
        link.open = is_open
        if link.owner is not None:
            tell(link.node, link.owner.link_open if is_open else link.owner.link_draining, link)

    def reached_high(self) -> None:
        """As many requests are sent as the high mark allows."""
        self.draining = True
        self.update()
        tell_listener(self._link, "link_high")

    def fell_below_low(self) -> None:
        """Fewer are sent than the low mark."""
        self.draining = False
        tell_listener(self._link, "link_low")
        self.update()
