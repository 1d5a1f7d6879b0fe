"""Addresses and ports that nobody else uses, on the loopback network only."""

from __future__ import annotations

import secrets
import socket
from contextlib import ExitStack

from .problems import CassandraUnavailable

__all__ = ["NATIVE_PORT", "STORAGE_PORT", "free_addresses", "free_port"]

STORAGE_PORT = 7000
NATIVE_PORT = 9042

#: How many networks are tried; each is one of some sixty thousand, so a second try is rare already.
TRIES = 50


def free_addresses(count: int) -> list[str]:
    """Choose neighbouring addresses of 127.0.0.0/8 on which both ports of a node are free.

    :param count: How many.
    :returns: The addresses.
    :raises CassandraUnavailable: if none were found, with what the kernel said.
    """
    cause: OSError | None = None
    for _ in range(TRIES):
        # 127.0 is what other programs use, so it is left to them.
        network = f"127.{1 + secrets.randbelow(254)}.{secrets.randbelow(256)}"
        addresses = [f"{network}.{last}" for last in range(1, count + 1)]
        try:
            check_free(addresses)
        except OSError as error:
            cause = error
        else:
            return addresses
    raise CassandraUnavailable(
        f"no {count} addresses of 127.0.0.0/8 have the ports {STORAGE_PORT} and {NATIVE_PORT} free "
        f"(the last try said: {cause}); Linux serves that whole network without set-up, other systems do not"
    ) from cause


def check_free(addresses: list[str]) -> None:
    """Check that both ports of each address can be had.

    :param addresses: The addresses.
    :raises OSError: if one of them is taken, or cannot be used at all.
    """
    with ExitStack() as stack:
        for address in addresses:
            for port in (STORAGE_PORT, NATIVE_PORT):
                probe = stack.enter_context(socket.socket())
                probe.bind((address, port))


def free_port(address: str = "127.0.0.1") -> int:
    """Ask the kernel for a free port.

    :param address: The address on which it is to be free.
    :returns: The port's number.
    """
    with socket.socket() as probe:
        probe.bind((address, 0))
        port: int = probe.getsockname()[1]
        return port
