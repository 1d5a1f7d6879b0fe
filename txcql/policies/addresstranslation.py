"""Where nodes are for this program, if that is not where they say they are."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping

from zope.interface import implementer

from txcql.interfaces import IAddressTranslator

__all__ = ["FixedAddressTranslator", "SubnetAddressTranslator"]


@implementer(IAddressTranslator)
class FixedAddressTranslator:
    """Addresses by a table, such as for tunnels and forwarded ports.

    :param addresses: what a node says -> where it is: ``"host"`` for any port, which stays what it
        is, or ``"host:port"``, ``"[::1]:9042"``. What is not in the table stays as it is.
    :raises ValueError: an address that is none.
    """

    def __init__(self, addresses: Mapping[str, str]) -> None:
        self._addresses = {_parse(one): _parse(other) for one, other in addresses.items()}

    def translate(self, host: str, port: int) -> tuple[str, int]:
        found = self._addresses.get((host, port)) or self._addresses.get((host, None))
        return (host, port) if found is None else (found[0], found[1] or port)

    def __repr__(self) -> str:
        return f"<FixedAddressTranslator of {len(self._addresses)} addresses>"


@implementer(IAddressTranslator)
class SubnetAddressTranslator:
    """One address for each subnet, such as that of the proxy in front of it.

    :param addresses: subnet, such as ``"10.0.1.0/24"`` -> ``"host"`` or ``"host:port"``. The smallest
        subnet that has an address counts.
    :param default: where nodes are that are in none of them; ``None`` leaves them as they are.
    :raises ValueError: a subnet or address that is none.
    """

    def __init__(self, addresses: Mapping[str, str], default: str | None = None) -> None:
        subnets = [(ipaddress.ip_network(subnet), _parse(address)) for subnet, address in addresses.items()]
        self._subnets = sorted(subnets, key=lambda pair: pair[0].prefixlen, reverse=True)
        self._default = None if default is None else _parse(default)

    def translate(self, host: str, port: int) -> tuple[str, int]:
        address = ipaddress.ip_address(host)
        found = next((there for subnet, there in self._subnets if address in subnet), self._default)
        return (host, port) if found is None else (found[0], found[1] or port)

    def __repr__(self) -> str:
        return f"<SubnetAddressTranslator of {len(self._subnets)} subnets>"


def _parse(text: str) -> tuple[str, int | None]:
    """``host``, ``host:port``, ``[host]:port`` or an IPv6 address; hosts are numeric."""
    host, port = text, ""
    if text.startswith("["):
        host, _, port = text[1:].partition("]")
        port = port.removeprefix(":")
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
    if port and not (port.isdecimal() and 0 < int(port) < 65536):
        raise ValueError(f"the port of {text!r} must be in 1..65535")
    return str(ipaddress.ip_address(host)), int(port) if port else None
