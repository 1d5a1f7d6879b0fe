"""What a command of ``python -m txcql`` is, and the arguments that several of them share."""

from __future__ import annotations

import argparse
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TextIO

from txcql.security.tls import TLS

__all__ = ["Command", "CommandFailed", "add_connection_arguments", "connection_arguments", "whole"]


class CommandFailed(Exception):
    """Something is not as it should be; the text says what."""


@dataclass(frozen=True, slots=True)
class Command:
    """One command.

    :ivar name: what to type.
    :ivar help: what it does, in one line.
    :ivar description: what its own help begins with.
    :ivar add_arguments: adds its arguments to its parser.
    :ivar run: does it, with the reactor, its arguments and where to write.
    """

    name: str
    help: str
    description: str
    add_arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[Any, argparse.Namespace, TextIO], Awaitable[None]]


def whole(least: int, most: int) -> Callable[[str], int]:
    """The type of an argument that is a whole number in a range."""

    def number(text: str) -> int:
        value = int(text)
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(f"{value} is not in {least}..{most}")
        return value

    return number


def add_connection_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that say which cluster, and who asks it."""
    group = parser.add_argument_group("the cluster")
    group.add_argument(
        "--contact-point",
        metavar="HOST[:PORT]",
        action="append",
        default=[],
        help="where to find it; may be given more than once (127.0.0.1)",
    )
    group.add_argument("--keyspace", metavar="NAME", help="the keyspace of unqualified names")
    group.add_argument("--local-datacenter", metavar="NAME", help="the data center whose nodes are used")
    group.add_argument("--username", help="for a cluster that asks for a login")
    group.add_argument("--password", help="for a cluster that asks for a login")
    group.add_argument(
        "--protocol-version", type=int, choices=(3, 4, 5), help="instead of the newest that it speaks"
    )
    group.add_argument("--tls", action="store_true", help="speak TLS, trusting whom this machine trusts")
    group.add_argument(
        "--tls-trust", metavar="FILE", help="speak TLS, trusting the authorities in a PEM file"
    )
    group.add_argument(
        "--tls-verify",
        choices=("full", "ca", "none"),
        default="full",
        help="what a node's certificate has to be: signed by an authority and of its name; signed; anything "
        "(%(default)s)",
    )
    group.add_argument("--tls-certificate", metavar="FILE", help="the client's certificate, a PEM file")
    group.add_argument("--tls-key", metavar="FILE", help="its key, if that is in another file")
    group.add_argument("--compression", choices=("lz4", "snappy"), help="of what is sent and received")


def connection_arguments(found: argparse.Namespace) -> tuple[list[str], dict[str, Any]]:
    """What :func:`txcql.connect` is to be given: the contact points, and the keyword arguments.

    :raises CommandFailed: arguments that do not go together.
    """
    if (found.username is None) != (found.password is None):
        raise CommandFailed("--username and --password go together")
    names = ("keyspace", "local_datacenter", "username", "password", "protocol_version", "compression")
    settings = {name: getattr(found, name) for name in names}
    try:
        settings["tls"] = _tls(found)
    except (OSError, ValueError, ImportError) as error:
        raise CommandFailed(str(error)) from error
    return found.contact_point or ["127.0.0.1"], settings


def _tls(found: argparse.Namespace) -> TLS | None:
    if not (found.tls or found.tls_trust or found.tls_certificate):
        return None
    return TLS(found.tls_trust, verify=found.tls_verify, certificate=found.tls_certificate, key=found.tls_key)
