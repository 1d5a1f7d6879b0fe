"""Where to find the cluster at first: what the application names, as endpoints."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP6ClientEndpoint
from twisted.internet.interfaces import IAddress, IHostResolution, IResolutionReceiver, IStreamClientEndpoint
from zope.interface import implementer

from txcql.cluster.together import together
from txcql.errors import NameResolutionError
from txcql.security import TLSEndpoint, TLSPeer
from txcql.settings import Settings

__all__ = [
    "ContactPoint",
    "ResolvedPoint",
    "look_up",
    "node_endpoint",
    "node_name",
    "parse_contact_points",
    "resolve",
    "tcp_endpoint",
]


@dataclass(frozen=True, slots=True)
class ContactPoint:
    """A contact point as the application gave it.

    :ivar host: a host name or an address; ``""`` for an endpoint.
    :ivar port: its port; 0 for an endpoint.
    :ivar endpoint: the endpoint, if it gave one.
    """

    host: str
    port: int
    endpoint: IStreamClientEndpoint | None = None


@dataclass(frozen=True, slots=True)
class ResolvedPoint:
    """Where a link can be opened.

    :ivar name: ``host:port`` with a numeric host, or the endpoint's repr.
    :ivar endpoint: where to connect to.
    """

    name: str
    endpoint: IStreamClientEndpoint


def node_name(host: str, port: int) -> str:
    """``host:port``, with brackets around an IPv6 address."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def parse_contact_points(points: str | Iterable[Any], port: int) -> list[ContactPoint]:
    """The contact points of a call.

    :param points: hosts, ``host:port``, ``[::1]:9042`` or stream client endpoints.
    :param port: for those that name none.
    :raises TypeError: neither text nor an endpoint.
    :raises ValueError: none at all, an empty host, or a port that is none.
    """
    if isinstance(port, bool) or not isinstance(port, int):
        raise TypeError(f"port must be an int, got {port!r}")
    if not 0 < port < 65536:
        raise ValueError(f"port must be in 1..65535, got {port}")
    if isinstance(points, str):
        raise TypeError(f"contact_points must be a list of hosts, got the str {points!r}")
    found = [_parse(point, port) for point in points]
    if not found:
        raise ValueError("contact_points is empty: give at least one host")
    return found


def _parse(point: Any, port: int) -> ContactPoint:
    if IStreamClientEndpoint.providedBy(point):
        return ContactPoint("", 0, point)
    if not isinstance(point, str):
        raise TypeError(f"a contact point is a host or an IStreamClientEndpoint, got {point!r}")
    host, colon, text = point, "", ""
    if point.startswith("["):
        host, bracket, rest = point[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise ValueError(f"the contact point {point!r} is no [address]:port")
        colon, text = rest[:1], rest[1:]
    elif point.count(":") == 1:
        host, colon, text = point.partition(":")
    if not host:
        raise ValueError(f"the contact point {point!r} names no host")
    if colon:
        if not text.isdecimal():
            raise ValueError(f"the port of the contact point {point!r} is no number")
        port = int(text)
    if not 0 < port < 65536:
        raise ValueError(f"the port of the contact point {point!r} must be in 1..65535, got {port}")
    return ContactPoint(host, port)


def tcp_endpoint(reactor: Any, host: str, port: int, timeout: float) -> IStreamClientEndpoint:
    """An endpoint to a numeric address.

    :param timeout: seconds for a connection.
    """
    kind = TCP6ClientEndpoint if ":" in host else TCP4ClientEndpoint
    endpoint: IStreamClientEndpoint = kind(reactor, host, port, timeout)
    return endpoint


def node_endpoint(
    reactor: Any,
    host: str,
    port: int,
    settings: Settings,
    *,
    name: str | None = None,
    host_id: UUID | None = None,
    datacenter: str | None = None,
) -> IStreamClientEndpoint:
    """An endpoint to a node at a numeric address, with TLS if that is set.

    :param name: the host name of a contact point that was given by name.
    :param host_id: the node's identity, where it is known.
    :param datacenter: its data center, where it is known.
    """
    endpoint = tcp_endpoint(reactor, host, port, settings.connect_timeout)
    if settings.tls is None:
        return endpoint
    peer = TLSPeer(node_name(host, port), name or host, host_id, datacenter)
    return TLSEndpoint(endpoint, settings.tls, peer, reactor)


async def resolve(
    reactor: Any, points: Sequence[ContactPoint], settings: Settings
) -> tuple[list[ResolvedPoint], dict[str, Exception]]:
    """Endpoints for contact points; names are looked up, addresses are not.

    :param settings: its ``connect_timeout`` is the time for each look-up, too.
    :returns: the endpoints, in order, and for each name without any: the error.
    """
    found: list[ResolvedPoint] = []
    errors: dict[str, Exception] = {}
    # All at the same time: each that is not answered would hold up the others.
    names = {point.host: point for point in points if point.endpoint is None and not _is_address(point.host)}
    timeout = settings.connect_timeout
    looking = [Deferred.fromCoroutine(look_up(reactor, point, timeout)) for point in names.values()]
    known = dict(zip(names, await together(looking), strict=True))
    for point in points:
        if point.endpoint is not None:
            found.append(ResolvedPoint(repr(point.endpoint), point.endpoint))
            continue
        hosts = known.get(point.host, [point.host])
        if not hosts:
            errors[node_name(point.host, point.port)] = NameResolutionError(point.host)
        for host in hosts:
            endpoint = node_endpoint(reactor, host, point.port, settings, name=point.host)
            found.append(ResolvedPoint(node_name(host, point.port), endpoint))
    return found, errors


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


@implementer(IResolutionReceiver)
class _Addresses:
    """Gathers what the reactor's resolver finds."""

    def __init__(self) -> None:
        self.hosts: list[str] = []
        self.complete: Deferred[None] = Deferred()

    def resolutionBegan(self, resolutionInProgress: IHostResolution) -> None:
        pass

    def addressResolved(self, address: IAddress) -> None:
        if isinstance(address, IPv4Address | IPv6Address) and address.host not in self.hosts:
            self.hosts.append(address.host)

    def resolutionComplete(self) -> None:
        if not self.complete.called:
            self.complete.callback(None)


async def look_up(reactor: Any, point: ContactPoint, timeout: float) -> list[str]:
    """The addresses of a host name; none if it does not resolve in time.

    :param timeout: seconds.
    """
    receiver = _Addresses()
    timer = reactor.callLater(timeout, receiver.resolutionComplete)
    try:
        reactor.nameResolver.resolveHostName(receiver, point.host, point.port)
        await receiver.complete
    finally:
        if timer.active():
            timer.cancel()
    return receiver.hosts
