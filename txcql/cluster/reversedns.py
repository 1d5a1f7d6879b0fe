"""Addresses by way of the domain name system."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from zope.interface import implementer

from txcql.cluster.contactpoints import ContactPoint, look_up
from txcql.errors import NameResolutionError
from txcql.interfaces import IAddressTranslator

__all__ = ["ReverseDNSAddressTranslator"]

_LOOK_UP_TIMEOUT = 5.0  # seconds
_RESOLV_CONF = "/etc/resolv.conf"
_DNS_PORT = 53


@implementer(IAddressTranslator)
class ReverseDNSAddressTranslator:
    """From a node's address to its name, and from that to the address that the name has here.

    It is for networks, such as those of AWS, in which a name means another address within than
    without.

    :param reactor: the reactor; its resolver looks up the names.
    :param resolver: an ``IResolver`` that looks up what an address is called; ``None`` asks the name
        servers of the system.
    """

    def __init__(self, reactor: Any, resolver: Any = None) -> None:
        self._reactor = reactor
        self._resolver = resolver

    def translate(self, host: str, port: int) -> Deferred[tuple[str, int]]:
        return Deferred.fromCoroutine(self._translate(host, port))

    async def _translate(self, host: str, port: int) -> tuple[str, int]:
        answers, _, _ = await self._names().lookupPointer(_pointer(host))
        names = [str(answer.payload.name) for answer in answers if hasattr(answer.payload, "name")]
        if not names:
            raise NameResolutionError(host)
        hosts = await look_up(self._reactor, ContactPoint(names[0], port), _LOOK_UP_TIMEOUT)
        if not hosts:
            raise NameResolutionError(names[0])
        return hosts[0], port

    def _names(self) -> Any:
        if self._resolver is None:
            from twisted.names.client import Resolver

            make: Any = Resolver
            # Given the file itself, it would look at it every minute, for ever.
            self._resolver = make(servers=_name_servers(), timeout=(1, 3), reactor=self._reactor)
        return self._resolver

    def __repr__(self) -> str:
        return "<ReverseDNSAddressTranslator>"


def _pointer(host: str) -> str:
    """The name under which the domain name system knows an address."""
    return ip_address(host).reverse_pointer


def _name_servers() -> list[tuple[str, int]]:
    """The name servers of the system."""
    try:
        text = Path(_RESOLV_CONF).read_text("utf-8", "replace")
    except OSError:
        text = ""
    lines = [line.split() for line in text.splitlines()]
    found = [(line[1], _DNS_PORT) for line in lines if len(line) > 1 and line[0] == "nameserver"]
    return found or [("127.0.0.1", _DNS_PORT)]
