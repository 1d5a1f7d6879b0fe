"""``python -m txcql doctor``: step by step, why a cluster can or cannot be used from here."""

from __future__ import annotations

import argparse
from collections.abc import Awaitable, Callable
from typing import Any, TextIO

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress, IStreamClientEndpoint
from twisted.internet.protocol import Factory, Protocol

from txcql.cli.command import Command, CommandFailed, add_connection_arguments, connection_arguments
from txcql.cluster.contactpoints import (
    ContactPoint,
    ResolvedPoint,
    node_endpoint,
    node_name,
    parse_contact_points,
    resolve,
    tcp_endpoint,
)
from txcql.cluster.topology import Topology, read_topology
from txcql.connection.connector import connect_error, open_link
from txcql.connection.protocol import CQLProtocol
from txcql.errors import (
    AuthenticationFailed,
    ConnectionLost,
    CQLError,
    InvalidRequest,
    TLSError,
    UnsupportedProtocolVersion,
)
from txcql.security.tls import TLS as TLSOptions
from txcql.session.connect import connect
from txcql.settings import Settings

__all__ = ["COMMAND", "Doctor"]

DEFAULT_PORT = 9042

# What each step is called, and what to look at when it fails.
NAME = ("name", "is the name spelled right, and does this machine's resolver know it?")
TCP = ("connection", "does the node run, is this its port for clients, and is there a firewall between?")
TLS = ("TLS", "see tls= (--tls, --tls-trust): whom this side trusts, and which name it expects")
PROTOCOL = ("protocol", "is this the port of CQL clients (9042), and not that of something else?")
LOGIN = ("login", "see --username and --password, and the role's LOGIN on the server")
KEYSPACE = ("keyspace", "names are exact: one with capitals needs them here, too")
DATACENTER = ("data center", "see --local-datacenter: it is written as the server has it")
NODES = ("nodes", "these are the addresses that the nodes tell: can they be reached from here?")

Step = tuple[str, str]


class StepFailed(Exception):
    """A step of the examination has failed: which, and why."""

    def __init__(self, step: Step, reason: str) -> None:
        self.step = step
        self.reason = reason
        Exception.__init__(self, reason)


class Doctor:
    """Examines one cluster.

    :param reactor: resolves and connects.
    :param points: the contact points.
    :param settings: what the session would be given.
    :param keyspace: the keyspace that it would be in.
    :param tell: called with each step that is done, and what was found.
    """

    def __init__(
        self,
        reactor: Any,
        points: list[ContactPoint],
        settings: Settings,
        keyspace: str | None,
        tell: Callable[[Step, str], None],
    ) -> None:
        self._reactor = reactor
        self._points = points
        self._settings = settings
        self._keyspace = keyspace
        self._tell = tell

    async def examine(self) -> None:
        """Go through the steps, for one contact point after another until one is well; then the cluster.

        :raises StepFailed: the step at which the last of them failed.
        """
        failure: StepFailed | None = None
        for point in self._points:
            try:
                topology = await self._examine_point(point)
            except StepFailed as failed:
                failure = failed
                if len(self._points) > 1:
                    self._tell(failed.step, f"FAILED: {failed.reason}")
            else:
                await self._examine_cluster(topology)
                return
        assert failure is not None
        raise failure

    # One contact point.

    async def _examine_point(self, point: ContactPoint) -> Topology:
        found, errors = await resolve(self._reactor, [point], self._settings)
        for error in errors.values():
            raise StepFailed(NAME, str(error))
        if point.host not in {resolved.name.rpartition(":")[0].strip("[]") for resolved in found}:
            self._tell(NAME, f"{point.host} is {', '.join(resolved.name for resolved in found)}")
        failure: StepFailed | None = None
        for resolved in found:
            try:
                return await self._examine_address(point, resolved)
            except StepFailed as failed:
                failure = failed
        assert failure is not None
        raise failure

    async def _examine_address(self, point: ContactPoint, resolved: ResolvedPoint) -> Topology:
        host = resolved.name.rpartition(":")[0].strip("[]")
        timeout = self._settings.connect_timeout
        begun = self._reactor.seconds()
        await self._reach(resolved.name, tcp_endpoint(self._reactor, host, point.port, timeout))
        spent = 1000 * (self._reactor.seconds() - begun)
        self._tell(TCP, f"{resolved.name} accepts connections ({spent:.1f} ms)")
        try:
            link = await self._open(resolved, self._settings, self._keyspace)
        except StepFailed as failed:
            if isinstance(failed.__cause__, ConnectionLost):
                await self._examine_other_side(point, host)
            raise
        try:
            return await self._told(link)
        finally:
            await _close(link)

    async def _examine_other_side(self, point: ContactPoint, host: str) -> None:
        """A node that hangs up may be one that speaks TLS where this side does not, or the reverse: try it.

        :raises StepFailed: it is.
        """
        ours = self._settings.tls
        try:
            tls = TLSOptions(verify="none") if ours is None else None
        except ImportError:
            return
        # No password is told to a node that nobody has verified.
        settings = Settings(tls=tls, connect_timeout=self._settings.connect_timeout)
        name = node_name(host, point.port)
        endpoint = node_endpoint(self._reactor, host, point.port, settings, name=point.host)
        try:
            await _close(await self._open(ResolvedPoint(name, endpoint), settings, None))
        except StepFailed as failed:
            if failed.step is PROTOCOL or (failed.step is TLS and "certificate" not in failed.reason):
                return
        if ours is None:
            raise StepFailed(TLS, f"{name} speaks TLS, and this link does not: give tls=") from None
        raise StepFailed(TLS, f"{name} does not speak TLS, and this side does: leave out tls=") from None

    async def _reach(self, name: str, endpoint: IStreamClientEndpoint) -> None:
        """Connect, and hang up again."""
        protocol = _Silent()
        try:
            await endpoint.connect(_OneSilent(protocol))
        except Exception as error:
            raise StepFailed(TCP, str(connect_error(name, error))) from error
        transport: Any = protocol.transport
        transport.abortConnection()
        await protocol.gone

    async def _open(self, resolved: ResolvedPoint, settings: Settings, keyspace: str | None) -> CQLProtocol:
        """A link that is logged in and in the keyspace, in the newest version that works."""
        asked = settings.protocol_version
        versions = [asked] if asked is not None else [5, 4, 3]
        while True:
            link = CQLProtocol(resolved.name, settings, self._reactor, versions.pop(0))
            try:
                await open_link(resolved.endpoint, link, settings, self._reactor, keyspace)
            except UnsupportedProtocolVersion as error:
                if versions:
                    continue
                raise StepFailed(PROTOCOL, str(error)) from error
            except TLSError as error:
                raise StepFailed(TLS, str(error)) from error
            except AuthenticationFailed as error:
                raise StepFailed(LOGIN, str(error)) from error
            except InvalidRequest as error:
                raise StepFailed(KEYSPACE, str(error)) from error
            except CQLError as error:
                raise StepFailed(PROTOCOL, str(error)) from error
            return link

    async def _told(self, link: CQLProtocol) -> Topology:
        settings = self._settings
        try:
            topology = await read_topology(link)
        except CQLError as error:
            raise StepFailed(PROTOCOL, str(error)) from error
        if settings.tls is not None:
            self._tell(TLS, "the certificate is accepted")
        release = topology.local.release_version
        self._tell(PROTOCOL, f"version {link.version}, Cassandra {release}, cluster {topology.cluster_name}")
        who = f"as {settings.username}" if settings.username is not None else "not asked for"
        self._tell(LOGIN, who)
        if self._keyspace is not None:
            self._tell(KEYSPACE, f"{self._keyspace} is there")
        return topology

    # The cluster.

    async def _examine_cluster(self, topology: Topology) -> None:
        nodes = (topology.local, *topology.peers)
        counts: dict[str, int] = {}
        for node in nodes:
            counts[node.datacenter] = counts.get(node.datacenter, 0) + 1
        there = ", ".join(f"{name} ({count} nodes)" for name, count in sorted(counts.items()))
        wanted = self._settings.local_datacenter
        if wanted is not None and wanted not in counts:
            raise StepFailed(DATACENTER, f"there is no data center {wanted!r}; there are: {there}")
        local = wanted if wanted is not None else topology.local.datacenter
        self._tell(DATACENTER, f"{local}, of {there}")
        options = {name: getattr(self._settings, name) for name in Settings.names()}
        points = [point.endpoint or node_name(point.host, point.port) for point in self._points]
        try:
            session = await connect(self._reactor, points, keyspace=self._keyspace, **options)
        except CQLError as error:
            raise StepFailed(NODES, str(error)) from error
        try:
            used = [node for node in session.nodes if node.distance != "ignored"]
            down = [node for node in used if not node.up]
            if down:
                raise StepFailed(NODES, "; ".join(f"{node} cannot be reached" for node in down))
            self._tell(NODES, f"{len(used)} in use, each with a link that is ready")
        finally:
            await session.close()


async def _close(link: CQLProtocol) -> None:
    """Close a link, and wait until it is."""
    gone: Deferred[None] = Deferred()
    link.on_closed = lambda reason: gone.callback(None)
    link.close()
    await gone


class _Silent(Protocol):
    """Connects, and says nothing."""

    def __init__(self) -> None:
        self.gone: Deferred[None] = Deferred()

    def connectionLost(self, reason: Any = None) -> None:
        self.gone.callback(None)


class _OneSilent(Factory):
    """Makes one."""

    noisy = False

    def __init__(self, protocol: _Silent) -> None:
        self._protocol = protocol

    def buildProtocol(self, addr: IAddress | None) -> _Silent:
        return self._protocol


async def _run(reactor: Any, found: argparse.Namespace, output: TextIO) -> None:
    points, arguments = connection_arguments(found)
    keyspace = arguments.pop("keyspace")
    settings = Settings(**{name: value for name, value in arguments.items() if value is not None})

    def tell(step: Step, text: str) -> None:
        output.write(f"{step[0] + ':':<13}{text}\n")

    doctor = Doctor(reactor, parse_contact_points(points, DEFAULT_PORT), settings, keyspace, tell)
    examination: Awaitable[None] = doctor.examine()
    try:
        await examination
    except StepFailed as failed:
        tell(failed.step, f"FAILED: {failed.reason}")
        raise CommandFailed(f"it fails at the {failed.step[0]}: {failed.step[1]}") from failed
    output.write("everything is well\n")


COMMAND = Command(
    "doctor",
    "explain step by step why a cluster can, or cannot, be used from here",
    "Go step by step from the name of a contact point to a session that is ready: name, connection, TLS, "
    "protocol, login, keyspace, data center, nodes. Where it fails, tell what was found and what to look at.",
    lambda parser: add_connection_arguments(parser),
    _run,
)
