"""Who hears of a link: of its changes, and of its troubles."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from twisted.logger import Logger

from txcql.errors import CQLError

if TYPE_CHECKING:
    from txcql.connection.protocol import CQLProtocol

__all__ = ["LinkListener", "LinkOwner", "tell", "tell_listener"]

log = Logger(namespace="txcql.connection")


class LinkOwner(Protocol):
    """Who gives work to a link: its slot in a pool, or the control connection."""

    def link_open(self, link: CQLProtocol) -> None:
        """It may be given work again."""

    def link_draining(self, link: CQLProtocol) -> None:
        """It must not be given work."""

    def link_lost(self, link: CQLProtocol, error: CQLError) -> None:
        """It is gone; whatever waited on it is told next."""


class LinkListener(Protocol):
    """Who wants to know why a link is not open, and what else goes wrong with it.

    Each beginning has its end, save that nothing but :meth:`LinkOwner.link_lost` follows a loss.
    """

    def link_high(self, link: CQLProtocol) -> None:
        """As many requests are sent as its high mark allows."""

    def link_low(self, link: CQLProtocol) -> None:
        """Fewer are sent than its low mark."""

    def link_retiring(self, link: CQLProtocol) -> None:
        """It must not be given work ever again, and shall be replaced.

        Told once. It closes when nothing waits on it and
        :meth:`~txcql.connection.protocol.CQLProtocol.let_go` has been called.
        """

    def link_suspect(self, link: CQLProtocol) -> None:
        """Requests time out and its node is silent: it is asked whether it is there."""

    def link_trusted(self, link: CQLProtocol) -> None:
        """The node of a suspect link has said something."""

    def responses_full(self, link: CQLProtocol) -> None:
        """It does not read: more answers are held back than its response budget allows."""

    def responses_drained(self, link: CQLProtocol) -> None:
        """It reads again."""


def tell(node: str, told: Callable[..., None], *arguments: Any) -> None:
    """Call somebody whose defects must not cost the link: they are logged.

    :param node: the ``host:port`` of the link, for the log.
    """
    try:
        told(*arguments)
    except Exception:
        log.failure("{node}: a defect in {told}", node=node, told=told)


def tell_listener(link: CQLProtocol, what: str) -> None:
    """Call the listener's method of this name, if there is a listener."""
    if link.listener is not None:
        tell(link.node, getattr(link.listener, what), link)
