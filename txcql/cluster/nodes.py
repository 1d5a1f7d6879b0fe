"""The nodes of the cluster."""

from __future__ import annotations

from dataclasses import dataclass, field
from uuid import UUID

from twisted.internet.interfaces import IStreamClientEndpoint
from zope.interface import implementer

from txcql.interfaces import Distance, INode

__all__ = ["Node"]


@implementer(INode)
@dataclass(eq=False, slots=True)
class Node:
    """One node: it is its ``host_id``, whatever its address.

    :ivar name: where its links connect to, ``host:port``.
    :ivar host_id: its identity.
    :ivar datacenter: the name of its data center.
    :ivar rack: the name of its rack.
    :ivar release_version: the server's version.
    :ivar endpoint: where its links connect to.
    :ivar address: its host and port as the nodes tell them, untranslated: its name in events.
    :ivar up: whether a link to it is ready.
    :ivar suspect: whether requests to it time out while it says nothing at all.
    :ivar distance: how near it is to the load balancing policies: ``"local"``, ``"remote"`` or
        ``"ignored"``; the nearest of them counts.
    """

    name: str
    host_id: UUID
    datacenter: str
    rack: str
    release_version: str
    endpoint: IStreamClientEndpoint = field(repr=False)
    address: tuple[str, int] = ("", 0)
    up: bool = False
    suspect: bool = False
    distance: Distance = "ignored"

    def __str__(self) -> str:
        return f"{self.name} ({self.datacenter}/{self.rack}, {'up' if self.up else 'down'})"
