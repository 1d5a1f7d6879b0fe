"""The control connection: one link over which the driver itself asks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from txcql.cluster.contactpoints import ContactPoint, ResolvedPoint, resolve
from txcql.cluster.topology import Topology, read_topology
from txcql.connection.connector import open_link
from txcql.connection.protocol import CQLProtocol
from txcql.errors import (
    AuthenticationFailed,
    CQLError,
    NoNodeAvailable,
    SessionClosed,
    UnsupportedProtocolVersion,
    said_by,
)
from txcql.settings import Settings

__all__ = ["ControlConnection"]

_LONGEST_DELAY = 60.0

log = Logger(namespace="txcql.control")


class ControlConnection:
    """Keeps one link to some node, and reads the cluster's topology over it.

    When the link is lost it moves to the next node at once; when none of them can be reached it
    waits as the reconnection policy says and begins a new round.

    :param reactor: connects, resolves and waits.
    :param points: the contact points.
    :param settings: see :class:`~txcql.settings.Settings`.
    :param delays: makes the schedule of rounds, in seconds.
    :param known: tells where the nodes are that are known by now, best first.
    :param changed: called with the point and the topology whenever a link has been opened.
    :ivar version: the protocol version that was negotiated.
    :ivar link: the link, ``None`` while there is none.
    """

    def __init__(
        self,
        reactor: Any,
        points: Sequence[ContactPoint],
        settings: Settings,
        delays: Callable[[], Iterator[float]],
        known: Callable[[], list[ResolvedPoint]],
        changed: Callable[[ResolvedPoint, Topology], None],
    ) -> None:
        self.link: CQLProtocol | None = None
        self.version: int | None = settings.protocol_version
        self._reactor = reactor
        self._points = points
        self._settings = settings
        self._make_delays = delays
        self._delays: Iterator[float] | None = None
        self._lost = ""
        self._known = known
        self._changed = changed
        self._closed = False
        self._call: IDelayedCall | None = None
        self._round_under_way: Deferred[None] | None = None
        self._connected: set[CQLProtocol] = set()
        self._on_gone: Deferred[None] | None = None

    async def connect(self) -> None:
        """Open the first link.

        :raises AuthenticationFailed: a node refused the login and no other took it.
        :raises NoNodeAvailable: no contact point could be connected to; it says why, for each.
        :raises CancelledError: closed meanwhile.
        """
        resolved, errors = await resolve(self._reactor, self._points, self._settings.connect_timeout)
        if await self._round(resolved, errors):
            return
        if self._closed:
            raise CancelledError
        for error in errors.values():
            if isinstance(error, AuthenticationFailed):
                raise error
        raise NoNodeAvailable(f"cannot connect: {_told(errors)}", errors)

    def stop(self) -> None:
        """Let no further attempt follow the one under way."""
        self._closed = True

    def close(self) -> Deferred[None]:
        """Close the link, and open none any more.

        :returns: fires when no connection is left.
        """
        self._closed = True
        gone: Deferred[None] = Deferred()
        if self._call is not None and self._call.active():
            self._call.cancel()
        if self._round_under_way is not None:
            self._round_under_way.cancel()
        for link in list(self._connected):
            link.close(SessionClosed())
        if self._connected:
            self._on_gone = gone
        else:
            gone.callback(None)
        return gone

    # What the link tells.

    def link_open(self, link: CQLProtocol) -> None:
        pass

    def link_draining(self, link: CQLProtocol) -> None:
        pass

    def link_lost(self, link: CQLProtocol, error: CQLError) -> None:
        if link is self.link:
            self.link = None
            self._lost = link.node
            if not self._closed:
                log.info("the control connection is lost: {error}", error=error)
                self._call = self._reactor.callLater(0, self._reconnect)

    # Inside.

    def _reconnect(self) -> None:
        def ended(result: None) -> None:
            self._round_under_way = None

        def failed(failure: Failure) -> None:
            self._round_under_way = None
            if not self._closed:
                log.failure("the control connection cannot be opened", failure)
                self._wait_for_next_round()

        self._round_under_way = Deferred.fromCoroutine(self._next_round())
        self._round_under_way.addCallbacks(ended, failed)

    async def _next_round(self) -> None:
        errors: dict[str, Exception] = {}
        # The node that was lost has had its turn: to come back to it is the last resort.
        known = sorted(self._known(), key=lambda point: point.name == self._lost)
        if await self._round(known, errors) or self._closed:
            return
        resolved, unresolved = await resolve(self._reactor, self._points, self._settings.connect_timeout)
        errors.update(unresolved)
        tried = {point.name for point in known}
        if await self._round([point for point in resolved if point.name not in tried], errors):
            return
        if not self._closed:
            log.info("no node for the control connection: {errors}", errors=_told(errors))
            self._wait_for_next_round()

    def _wait_for_next_round(self) -> None:
        if self._closed:
            return
        if self._delays is None:
            self._delays = iter(self._make_delays())
            # The round that failed was the attempt without a delay.
            if (delay := next(self._delays, _LONGEST_DELAY)) <= 0:
                delay = next(self._delays, _LONGEST_DELAY)
        else:
            delay = next(self._delays, _LONGEST_DELAY)
        self._call = self._reactor.callLater(delay, self._reconnect)

    async def _round(self, points: Sequence[ResolvedPoint], errors: dict[str, Exception]) -> bool:
        """Try one point after another; whether a link was opened. Adds to ``errors`` why not."""
        for point in points:
            if self._closed:
                return False
            try:
                link = await self._open(point)
                topology = await self._read(link)
            except CQLError as error:
                errors[point.name] = error
                continue
            self.link = link
            self._delays = None
            self._changed(point, topology)
            return True
        return False

    async def _read(self, link: CQLProtocol) -> Topology:
        try:
            topology = await read_topology(link)
        except CQLError as error:
            link.close(error)
            raise
        return topology

    async def _open(self, point: ResolvedPoint) -> CQLProtocol:
        versions = [self.version] if self.version is not None else self._versions()
        while True:
            version = versions.pop(0)
            link = CQLProtocol(point.name, self._settings, self._reactor, version)
            link.owner = self
            link.on_connected = partial(self._connected.add, link)
            link.on_closed = partial(self._gone, link)
            try:
                await open_link(point.endpoint, link, self._settings, self._reactor)
            except UnsupportedProtocolVersion as error:
                if not versions:
                    raise
                log.info("{error}", error=error)
                continue
            self.version = version
            return link

    def _versions(self) -> list[int]:
        # Snappy ends with v4.
        return [4, 3] if self._settings.compression == "snappy" else [5, 4, 3]

    def _gone(self, link: CQLProtocol, reason: Failure) -> None:
        self._connected.discard(link)
        if not self._connected:
            gone, self._on_gone = self._on_gone, None
            if gone is not None:
                gone.callback(None)

    def __repr__(self) -> str:
        return f"<ControlConnection v{self.version} {self.link!r}>"


def _told(errors: dict[str, Exception]) -> str:
    return "; ".join(said_by(point, error) for point, error in errors.items())
