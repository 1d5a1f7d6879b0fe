"""The control connection: one link over which the driver itself asks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, Protocol, TypeAlias

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from txcql.cluster.contactpoints import ContactPoint, ResolvedPoint, resolve
from txcql.cluster.race import Race
from txcql.cluster.topology import Topology, read_topology
from txcql.connection.connector import open_link
from txcql.connection.factory import IMMEDIATE_INTERVAL, STABLE_AFTER
from txcql.connection.linkerrors import link_error
from txcql.connection.protocol import CQLProtocol
from txcql.connection.schedule import Schedule
from txcql.errors import (
    AuthenticationFailed,
    CQLError,
    NoNodeAvailable,
    ProtocolError,
    SessionClosed,
    UnsupportedProtocolVersion,
    said_by,
)
from txcql.settings import Settings
from txcql.wire import constants
from txcql.wire.events import EVENT_TYPES, SchemaChange, StatusChange, TopologyChange
from txcql.wire.frames import Frame
from txcql.wire.requests import register
from txcql.wire.responses import Event, decode_response

__all__ = ["ControlConnection", "ControlOwner"]


_Opened: TypeAlias = tuple[ResolvedPoint, CQLProtocol, Topology]

log = Logger(namespace="txcql.control")


class ControlOwner(Protocol):
    """Who hears of the control connection, and tells where it may go."""

    def best_points(self) -> list[ResolvedPoint]:
        """Where nodes are that can probably be reached, best first."""

    def other_points(self) -> list[ResolvedPoint]:
        """Where some of the other nodes are."""

    def link_opened(self, point: ResolvedPoint, topology: Topology) -> None:
        """A link has been opened, and the topology read over it."""

    def event(self, change: TopologyChange | StatusChange | SchemaChange) -> None:
        """A node has told of a change."""


class ControlConnection:
    """Keeps one link to some node, over which the cluster's metadata is read and events come.

    When the link is lost it moves to the next node at once. When none of them can be reached, or
    when links are lost again before they have been there for
    :data:`~txcql.connection.factory.STABLE_AFTER` seconds, it waits as the reconnection policy says
    and begins a new round. A node that does not answer holds up the others for
    :data:`~txcql.cluster.race.HEAD_START` seconds only.

    :param reactor: connects, resolves and waits.
    :param points: the contact points.
    :param settings: see :class:`~txcql.settings.Settings`.
    :param delays: makes the schedule of rounds, in seconds.
    :param owner: tells where nodes are, and hears of the link.
    :ivar version: the protocol version that was negotiated.
    :ivar link: the link, ``None`` while there is none.
    :ivar point: where it leads to.
    """

    def __init__(
        self,
        reactor: Any,
        points: Sequence[ContactPoint],
        settings: Settings,
        delays: Callable[[], Iterator[float]],
        owner: ControlOwner,
    ) -> None:
        self.link: CQLProtocol | None = None
        self.point: ResolvedPoint | None = None
        self.version: int | None = settings.protocol_version
        self._reactor = reactor
        self._points = points
        self._settings = settings
        self._make_delays = delays
        self._delays: Iterator[float] | None = None
        self._lost = ""
        self._owner = owner
        self._closed = False
        self._call: IDelayedCall | None = None
        self._stable: IDelayedCall | None = None
        self._round_under_way: Deferred[None] | None = None
        self._connected: set[CQLProtocol] = set()
        self._on_gone: Deferred[None] | None = None

    async def connect(self) -> None:
        """Open the first link.

        :raises AuthenticationFailed: a node refused the login and no other took it.
        :raises NoNodeAvailable: no contact point could be connected to; it says why, for each.
        :raises CancelledError: closed meanwhile.
        """
        resolved, errors = await resolve(self._reactor, self._points, self._settings)
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
        for call in (self._call, self._stable):
            if call is not None and call.active():
                call.cancel()
        if self._round_under_way is not None:
            self._round_under_way.cancel()
        for link in list(self._connected):
            link.close(SessionClosed())
        if self._connected:
            self._on_gone = gone
        else:
            gone.callback(None)
        return gone

    def retry_now(self) -> None:
        """Begin the next round at once, if one is waited for: there is a node that can be reached."""
        if self._call is not None and self._call.active():
            self._call.reset(0)

    # What the link tells.

    def link_open(self, link: CQLProtocol) -> None:
        pass

    def link_draining(self, link: CQLProtocol) -> None:
        pass

    def link_lost(self, link: CQLProtocol, error: CQLError) -> None:
        if link is self.link:
            self.link = None
            self._lost = link.node
            if self._stable is not None and self._stable.active():
                self._stable.cancel()
            if not self._closed:
                log.info("the control connection is lost: {error}", error=error)
                self._wait_for_next_round()

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
        best = sorted(self._owner.best_points(), key=lambda point: point.name == self._lost)
        if await self._round(best, errors) or self._closed:
            return
        resolved, unresolved = await resolve(self._reactor, self._points, self._settings)
        errors.update(unresolved)
        others = {point.name: point for point in (*resolved, *self._owner.other_points())}
        if await self._round([point for name, point in others.items() if name not in errors], errors):
            return
        if not self._closed:
            log.info("no node for the control connection: {errors}", errors=_told(errors))
            self._wait_for_next_round()

    def _wait_for_next_round(self) -> None:
        if self._closed:
            return
        if self._delays is None:
            # Whatever the policy's first delay: there are other nodes to go to.
            self._delays = Schedule(self._make_delays)
            delay = 0.0
        else:
            delay = next(self._delays)
            if delay <= 0:
                # It has been waited already.
                delay = next(self._delays) or IMMEDIATE_INTERVAL
        self._call = self._reactor.callLater(delay, self._reconnect)

    def _begin_anew(self) -> None:
        self._delays = None

    async def _round(self, points: Sequence[ResolvedPoint], errors: dict[str, Exception]) -> bool:
        """Try one point after another; whether a link was opened. Adds to ``errors`` why not."""

        def attempt(point: ResolvedPoint) -> Deferred[_Opened | None]:
            return Deferred.fromCoroutine(self._attempt(point, errors))

        opened = await Race(self._reactor, [partial(attempt, point) for point in points]).result
        if opened is None or self._closed:
            return False
        point, link, topology = opened
        if link.closed:
            # In the same turn.
            errors[point.name] = link.error or link_error(link.node, "the link was lost at once", None)
            return False
        self.link, self.point, self.version = link, point, link.version
        self._stable = self._reactor.callLater(STABLE_AFTER, self._begin_anew)
        self._owner.link_opened(point, topology)
        return True

    async def _attempt(self, point: ResolvedPoint, errors: dict[str, Exception]) -> _Opened | None:
        if self._closed:
            return None
        try:
            link = await self._open(point)
            return point, link, await self._read(link)
        except CQLError as error:
            errors[point.name] = error
            return None

    async def _read(self, link: CQLProtocol) -> Topology:
        try:
            # Before reading: what changes meanwhile is told.
            link.on_event = partial(self._event, link)
            await link.ask(constants.REGISTER, register(EVENT_TYPES))
            return await read_topology(link)
        except CancelledError:
            link.close()
            raise
        except CQLError as error:
            link.close(error)
            raise

    def _event(self, link: CQLProtocol, frame: Frame) -> None:
        try:
            message = decode_response(frame.opcode, frame.body, frame.version, frame.flags)
        except ProtocolError as error:
            # Events are hints: one that cannot be read is of no concern to requests.
            log.info("{node}: an event that cannot be read: {error}", node=link.node, error=error)
            return
        if isinstance(message, Event) and not self._closed:
            self._owner.event(message.change)

    async def _open(self, point: ResolvedPoint) -> CQLProtocol:
        versions = [self.version] if self.version is not None else self._versions()
        while True:
            version = versions.pop(0)
            link = CQLProtocol(point.name, self._settings, self._reactor, version)
            link.owner = self
            link.on_connected = partial(self._connected.add, link)
            link.on_closed = partial(self._gone, link)
            try:
                return await open_link(point.endpoint, link, self._settings, self._reactor)
            except UnsupportedProtocolVersion as error:
                if not versions:
                    raise
                log.info("{error}", error=error)

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
