"""A reactor that is an asyncio loop: installed nowhere, and never started."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.asyncioreactor import AsyncioSelectorReactor
from twisted.internet.interfaces import IAddress, IHostnameResolver, IHostResolution, IResolutionReceiver
from zope.interface import implementer

__all__ = ["LoopReactor"]

_FAMILIES: dict[int, type[IPv4Address] | type[IPv6Address]] = {
    socket.AF_INET: IPv4Address,
    socket.AF_INET6: IPv6Address,
}


class LoopReactor(AsyncioSelectorReactor):
    """Twisted's reactor on a loop that runs already. It holds no socket and no thread of its own.

    :param loop: must be able to watch file descriptors; on Windows the default loop is not.
    :ivar loop: the loop.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        AsyncioSelectorReactor.__init__(self, loop)
        self.installNameResolver(LoopResolver(loop))

    def installWaker(self) -> None:
        """None is needed: the loop has one, which ``callFromThread`` uses."""


@implementer(IHostnameResolver)
class LoopResolver:
    """Resolves names by ``loop.getaddrinfo``, in the executor of the loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def resolveHostName(
        self,
        resolutionReceiver: IResolutionReceiver,
        hostName: str,
        portNumber: int = 0,
        addressTypes: Sequence[type[IAddress]] | None = None,
        transportSemantics: str = "TCP",
    ) -> IHostResolution:
        """Look a name up; one that does not resolve has no address."""
        resolution = LoopResolution(hostName)
        resolutionReceiver.resolutionBegan(resolution)
        resolution.task = self._loop.create_task(
            self._look_up(resolutionReceiver, hostName, portNumber, addressTypes, transportSemantics)
        )
        return resolution

    async def _look_up(
        self,
        receiver: IResolutionReceiver,
        host: str,
        port: int,
        wanted: Sequence[type[IAddress]] | None,
        transport: Any,
    ) -> None:
        kind = socket.SOCK_DGRAM if transport == "UDP" else socket.SOCK_STREAM
        try:
            for family, _, _, _, address in await self._loop.getaddrinfo(host, port, type=kind):
                made = _FAMILIES.get(family)
                if made is not None and (wanted is None or made in wanted):
                    receiver.addressResolved(made(transport, *address[:2]))
        except (OSError, UnicodeError):
            pass
        finally:
            receiver.resolutionComplete()


@implementer(IHostResolution)
class LoopResolution:
    """One look-up under way."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.task: asyncio.Task[None] | None = None

    def cancel(self) -> None:
        if self.task is not None:
            self.task.cancel()
