"""The nodes of the cluster."""

from __future__ import annotations

from dataclasses import dataclass, field
from uuid import UUID

from twisted.internet.interfaces import IStreamClientEndpoint
from zope.interface import implementer

from txcql.interfaces import INode

__all__ = ["Node"]


@implementer(INode)
@dataclass(eq=False, slots=True)
class Node:
    """One node: it is its ``host_id``, whatever its address.

    :ivar name: its native address and port, ``host:port``.
    :ivar host_id: its identity.
    :ivar datacenter: the name of its data center.
    :ivar rack: the name of its rack.
    :ivar release_version: the server's version.
    :ivar endpoint: where its links connect to.
    :ivar up: whether a link to it is ready.
    """

    name: str
    host_id: UUID
    datacenter: str
    rack: str
    release_version: str
    endpoint: IStreamClientEndpoint = field(repr=False)
    up: bool = False

    def __str__(self) -> str:
        return f"{self.name} ({self.datacenter}/{self.rack}, {'up' if self.up else 'down'})"
