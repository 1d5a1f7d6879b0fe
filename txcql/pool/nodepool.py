"""The links to one node: which of them takes a request, and what happens when none can."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol as TypingProtocol

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.interfaces import IReactorTime, IStreamClientEndpoint
from twisted.logger import Logger

from txcql.connection.connector import EndpointConnector
from txcql.connection.factory import CQLClientFactory
from txcql.connection.pendingrequest import PendingRequest
from txcql.connection.protocol import CQLProtocol, link_error
from txcql.errors import NOT_SENT, BusyConnectionError, ConnectionLost, CQLError, said_by
from txcql.pool.requestqueue import RequestQueue
from txcql.settings import Settings

__all__ = ["NodePool", "PoolOwner"]

log = Logger(namespace="txcql.pool")


class PoolOwner(TypingProtocol):
    """Who hears of a pool: the session."""

    def pool_up(self, pool: NodePool) -> None:
        """Its first link is ready."""

    def pool_down(self, pool: NodePool, error: CQLError) -> None:
        """No link is ready: an attempt failed, or the last one was lost."""


class NodePool:
    """The links to one node.

    A request is sent at once if a link is open and nothing is queued; else it joins the Request
    Queue; if that would pass a limit, it is refused.

    :param name: the node's ``host:port``.
    :param endpoint: where its links connect to.
    :param settings: see :class:`~txcql.settings.Settings`.
    :param clock: tells the time and waits.
    :param version: the protocol version that the cluster speaks.
    :param delays: makes the schedule of a link's attempts, in seconds.
    :param keyspace: tells the keyspace that links shall be in.
    :param owner: hears of the pool.
    :ivar links: those that are ready, oldest first.
    :ivar error: why the last attempt failed or the last link was lost.
    """

    def __init__(
        self,
        name: str,
        endpoint: IStreamClientEndpoint,
        settings: Settings,
        clock: IReactorTime,
        version: int,
        delays: Callable[[], Iterator[float]],
        keyspace: Callable[[], str | None],
        owner: PoolOwner,
    ) -> None:
        self.name = name
        self.links: list[CQLProtocol] = []
        self.error: CQLError | None = None
        self.queue = RequestQueue()
        self._settings = settings
        self._owner = owner
        self._open: list[CQLProtocol] = []
        self._limit = 0
        self._max_bytes = settings.max_request_bytes
        self._slots: list[CQLClientFactory] = []
        for _ in range(settings.core_connections):
            slot = CQLClientFactory(name, settings, clock, version, delays, keyspace, self)
            self._slots.append(slot)
        self._connectors = [
            EndpointConnector(endpoint, slot, clock, settings.connect_timeout) for slot in self._slots
        ]

    @property
    def up(self) -> bool:
        """Whether a link is ready."""
        return bool(self.links)

    @property
    def sent(self) -> int:
        """Requests on a stream and unanswered, orphans included."""
        return sum(link.sent for link in self.links)

    def connect(self) -> None:
        """Begin to open the links."""
        for connector in self._connectors:
            connector.connect()

    def submit(self, request: PendingRequest) -> CQLError | None:
        """Send the request or queue it.

        :returns: ``None`` if the pool has taken it; else why not: a
            :class:`~txcql.errors.BusyConnectionError`, or the error for which no link is ready.
        """
        if self._open and not self.queue:
            link = self._open[0] if len(self._open) == 1 else min(self._open, key=_sent)
            if len(self.links) == 1 and link.request_bytes + request.size <= self._max_bytes:
                link.send(request)
                return None
            if not self._too_many_bytes(request):
                link.send(request)
                return None
        if not self.links:
            return self._no_link()
        if self._too_many_bytes(request):
            return self._busy("bytes", self._max_bytes)
        if self.sent + len(self.queue) >= self._limit:
            return self._busy("requests", self._limit)
        self.queue.append(request)
        return None

    def submit_past_queue(self, request: PendingRequest) -> CQLError | None:
        """Send a request of the driver's own past the queue; it counts as sent.

        :returns: as :meth:`submit`.
        """
        for link in (*self._open, *self.links):
            if not link.streams.exhausted:
                link.send(request)
                return None
        return self._busy("streams", self._limit) if self.links else self._no_link()

    async def use(self, keyspace: str) -> None:
        """Bring every ready link into a keyspace. A link that fails to follow is closed."""
        for link in list(self.links):
            try:
                await link.use(keyspace)
            except CQLError as error:
                link.close(link_error(self.name, f"USE failed: {error}", None, error))

    def close(self) -> Deferred[Any]:
        """Close every link, and open none any more.

        :returns: fires when no connection is left.
        """
        return gatherResults([slot.stop() for slot in self._slots])

    def snapshot(self) -> list[dict[str, Any]]:
        """The state of each link, as plain data."""
        return [slot.snapshot() for slot in self._slots]

    def __repr__(self) -> str:
        return (
            f"<NodePool {self.name} connections={len(self.links)}/{len(self._slots)} "
            f"sent={self.sent} queued={len(self.queue)}>"
        )

    # What the slots tell.

    def link_ready(self, slot: CQLClientFactory, link: CQLProtocol) -> None:
        first = not self.links
        self.links.append(link)
        self._limit += self._settings.max_requests_per_connection
        self.error = None
        if link.open:
            self._open.append(link)
        if first:
            self._owner.pool_up(self)
        self._move_queue()

    def link_open(self, link: CQLProtocol) -> None:
        if link in self.links and link not in self._open:
            self._open.append(link)
            self._move_queue()

    def link_draining(self, link: CQLProtocol) -> None:
        if link in self._open:
            self._open.remove(link)

    def link_down(self, slot: CQLClientFactory, link: CQLProtocol | None, error: CQLError) -> None:
        self.error = error
        if link in self.links:
            self.links.remove(link)
            self._limit -= self._settings.max_requests_per_connection
        if not self.links:
            self._owner.pool_down(self, error)
            for request in self.queue.clear():
                request.failed(self._no_link())

    # Inside.

    def _move_queue(self) -> None:
        queue = self.queue
        while queue and self._open:
            min(self._open, key=_sent).send(queue.popleft())

    def _too_many_bytes(self, request: PendingRequest) -> bool:
        """Whether the request passes ``max_request_bytes``; one larger than all of it is let
        through when the pool is otherwise empty."""
        held = self.queue.request_bytes + sum(link.request_bytes for link in self.links)
        return held > 0 and held + request.size > self._max_bytes

    def _no_link(self) -> ConnectionLost:
        """What a request is told that no link can take. A new error each time: one that is raised
        again and again would keep every traceback."""
        cause = self.error
        why = f"{self.name} is not connected yet" if cause is None else said_by(self.name, cause)
        error = ConnectionLost(f"{why} (the request: {NOT_SENT})")
        error.node = self.name
        error.delivery = NOT_SENT
        error.__cause__ = cause
        return error

    def _busy(self, reason: str, limit: int) -> BusyConnectionError:
        return BusyConnectionError(
            self.name, in_flight=self.sent, queued=len(self.queue), limit=limit, reason=reason
        )


def _sent(link: CQLProtocol) -> int:
    return len(link.streams.waiting)
