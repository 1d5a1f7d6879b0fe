"""``python -m txcql monitor``: a cluster on a page that is looked at in a browser."""

from __future__ import annotations

import argparse
import ipaddress
from typing import Any, TextIO

from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError

from txcql.cli.command import Command, CommandFailed, add_connection_arguments, connection_arguments
from txcql.integrations.requestmetrics import RequestMetrics
from txcql.session.connect import connect

__all__ = ["COMMAND", "Monitor"]

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 8042


class Monitor:
    """A session that asks each node for something small in each second, and a site that shows it.

    :param reactor: runs both.
    """

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._session: Any = None
        self._page: Any = None
        self._port: Any = None

    async def start(self, points: list[str], settings: dict[str, Any], host: str, port: int) -> str:
        """Connect and listen.

        :returns: the address of the page.
        :raises CQLError: the cluster cannot be reached.
        :raises CommandFailed: the port is taken.
        """
        # No other command needs a web server.
        from twisted.web.server import Site

        from txcql.integrations.web import StatusResource

        requests = RequestMetrics()
        given = {name: value for name, value in settings.items() if value is not None}
        self._session = await connect(
            self._reactor, points, observers=[requests], application_name="txcql monitor", **given
        )
        self._page = StatusResource(
            self._session, self._reactor, requests, title=f"txcql: {', '.join(points)}", probing=True
        )
        site = Site(self._page)  # type: ignore[no-untyped-call]
        try:
            self._port = self._reactor.listenTCP(port, site, interface=host)
        except CannotListenError as error:
            await self.stop()
            raise CommandFailed(f"cannot listen on {host}:{port}: {error.socketError}") from error
        shown = f"[{host}]" if ":" in host else host
        return f"http://{shown}:{self._port.getHost().port}/"

    async def stop(self) -> None:
        """Close both."""
        if self._page is not None:
            self._page.stop()
        if self._port is not None:
            await self._port.stopListening()
        if self._session is not None:
            await self._session.close()


def listen_address(text: str) -> tuple[str, int]:
    """The type of ``--listen``: an address, with a port or without."""
    host, colon, port = text.rpartition(":")
    if not colon or text.endswith("]") or (text.count(":") > 1 and not text.startswith("[")):
        host, port = text, str(DEFAULT_PORT)
    host = host.strip("[]")
    try:
        ipaddress.ip_address(host)
        number = int(port)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no ADDRESS[:PORT]") from None
    if not 0 <= number < 65536:
        raise argparse.ArgumentTypeError(f"{number} is no port")
    return host, number


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    add_connection_arguments(parser)
    parser.add_argument(
        "--listen",
        metavar="ADDRESS[:PORT]",
        type=listen_address,
        default=(DEFAULT_HOST, DEFAULT_PORT),
        help=f"where the page is to be ({DEFAULT_HOST}:{DEFAULT_PORT}); port 0: any that is free",
    )


async def _run(reactor: Any, found: argparse.Namespace, output: TextIO) -> None:
    points, settings = connection_arguments(found)
    host, port = found.listen
    monitor = Monitor(reactor)
    address = await monitor.start(points, settings, host, port)
    reactor.addSystemEventTrigger("before", "shutdown", lambda: Deferred.fromCoroutine(monitor.stop()))
    if not ipaddress.ip_address(host).is_loopback:
        output.write(f"whoever can reach {host} can see the page: there is no login\n")
    output.write(f"{address} shows the cluster; Ctrl-C ends it\n")
    output.flush()
    await Deferred()


COMMAND = Command(
    "monitor",
    "show a cluster, live, on a web page",
    "Connect to a cluster and show its nodes, connections and latency on a web page, which updates by "
    "itself. It is seen on this machine only, unless --listen says otherwise, and changes nothing.",
    _add_arguments,
    _run,
)
