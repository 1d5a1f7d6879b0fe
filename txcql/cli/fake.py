"""``python -m txcql fake``: a fake cluster for other processes, until it is interrupted."""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TextIO

from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError

from txcql.cli.command import Command, CommandFailed, whole
from txcql.testing import FakeCluster

__all__ = ["COMMAND", "FakeOptions", "run_fake"]


@dataclass(frozen=True, slots=True)
class FakeOptions:
    """What is asked for.

    :ivar datacenters: the number of nodes of each.
    :ivar port: that of the first node; the others take those that follow.
    :ivar certificate: a file with a certificate and its private key, for TLS.
    """

    datacenters: Mapping[str, int] = field(default_factory=lambda: {"dc1": 1})
    port: int = 9042
    username: str | None = None
    password: str | None = None
    certificate: str | None = None


async def run_fake(reactor: Any, options: FakeOptions, output: TextIO) -> None:
    """Run it until the reactor stops.

    :raises OSError: a port is taken, or the certificate cannot be read.
    """
    credentials = None
    if options.username is not None and options.password is not None:
        credentials = {options.username: options.password}
    cluster = FakeCluster(
        reactor,
        datacenters=options.datacenters,
        credentials=credentials,
        tls=None if options.certificate is None else _tls(options.certificate),
        record=False,
    )
    try:
        await cluster.listen(options.port)
    except CannotListenError as error:
        raise OSError(str(error)) from None
    for node in cluster.nodes:
        output.write(f"{node.info.datacenter} {node.contact_point}\n")
    output.write("ready\n")
    output.flush()
    stopped: Deferred[None] = Deferred()
    reactor.addSystemEventTrigger("before", "shutdown", cluster.close)
    await stopped


def _tls(path: str) -> Any:
    from twisted.internet.ssl import PrivateCertificate

    with open(path, encoding="ascii") as file:
        certificate = PrivateCertificate.loadPEM(file.read())  # type: ignore[no-untyped-call]
    return certificate.options()


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--nodes", metavar="N", type=whole(1, 1000), help="the number of nodes (1)")
    parser.add_argument(
        "--dc",
        metavar="NAME:N[,NAME:N]",
        type=_datacenters,
        help="the data centers and their numbers of nodes (dc1)",
    )
    parser.add_argument(
        "--port",
        metavar="PORT",
        type=whole(0, 65535),
        default=9042,
        help="the port of the first node, 0 for free ones (%(default)s)",
    )
    parser.add_argument("--username", help="ask for a login")
    parser.add_argument("--password", help="ask for a login")
    parser.add_argument("--tls", metavar="FILE", help="speak TLS; the certificate and its private key (PEM)")


def _datacenters(text: str) -> dict[str, int]:
    found: dict[str, int] = {}
    for part in text.split(","):
        match = re.fullmatch(r"([\w-]+):([1-9][0-9]{0,2})", part.strip(), re.ASCII)
        if match is None or match[1] in found:
            raise argparse.ArgumentTypeError(f"{text!r} is no list such as dc1:2,dc2:1")
        found[match[1]] = int(match[2])
    return found


def _options(found: argparse.Namespace) -> FakeOptions:
    if (found.username is None) != (found.password is None):
        raise CommandFailed("--username and --password go together")
    if found.dc is not None and found.nodes not in (None, sum(found.dc.values())):
        raise CommandFailed(f"--nodes {found.nodes} does not go with {sum(found.dc.values())} nodes in --dc")
    datacenters = found.dc or {"dc1": found.nodes or 1}
    return FakeOptions(datacenters, found.port, found.username, found.password, found.tls)


async def _run(reactor: Any, found: argparse.Namespace, output: TextIO) -> None:
    await run_fake(reactor, _options(found), output)


COMMAND = Command(
    "fake",
    "a fake cluster for tests, until it is interrupted",
    "Nodes on the loopback address that answer as Cassandra does, with tables in memory. What they do not "
    "know they refuse, and say so. Each node has a port of its own.",
    _add_arguments,
    _run,
)
