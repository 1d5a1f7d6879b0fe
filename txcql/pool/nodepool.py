"""The links to one node: which of them takes a request, and what happens when none can."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Protocol as TypingProtocol, cast

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.interfaces import IReactorTime, IStreamClientEndpoint

from txcql.connection.connector import EndpointConnector
from txcql.connection.factory import CQLClientFactory
from txcql.connection.pendingrequest import PendingRequest
from txcql.connection.protocol import CQLProtocol, link_error
from txcql.errors import NOT_SENT, BusyConnectionError, ConnectionLost, CQLError, said_by
from txcql.pool.connectlimit import ConnectLimit
from txcql.pool.flowsignals import (
    HIGH_IN_FLIGHT,
    QUEUE_FULL,
    READ_BUFFER_FULL,
    FlowSignal,
    FlowSignals,
)
from txcql.pool.requestqueue import RequestQueue
from txcql.pool.roomwaiters import RoomWaiters
from txcql.pool.selections import selection
from txcql.pool.sizing import PoolSizing
from txcql.settings import Settings

__all__ = ["NodePool", "PoolOwner"]

_LONGEST_WAIT = 3600.0  # for the turn to connect, which has a time limit of its own


class PoolOwner(TypingProtocol):
    """Who hears of a pool: the session."""

    def pool_up(self, pool: NodePool) -> None:
        """Its first link is ready."""

    def pool_down(self, pool: NodePool, error: CQLError) -> None:
        """No link is ready: an attempt failed, or the last one was lost."""

    def pool_room(self, pool: NodePool) -> None:
        """It may send again what it would not have sent."""

    def pool_suspect(self, pool: NodePool) -> None:
        """Its :attr:`~NodePool.suspect` has changed."""


class NodePool:
    """The links to one node.

    A request is sent at once if a link is open and nothing is queued; else it joins the Request
    Queue; if that would pass a limit, it is refused.

    It opens a further link when none is open, and gives one up when fewer suffice: see
    :class:`~txcql.pool.sizing.PoolSizing`. Bulk work is told whether there is room for it, and
    leaves a tenth of each link's high mark to single requests.

    :param name: the node's ``host:port``.
    :param endpoint: where its links connect to.
    :param settings: see :class:`~txcql.settings.Settings`.
    :param clock: tells the time and waits.
    :param version: the protocol version that the cluster speaks.
    :param delays: makes the schedule of a link's attempts, in seconds.
    :param keyspace: tells the keyspace that links shall be in.
    :param owner: hears of the pool.
    :param connects: the limit on connections that are opened at the same time.
    :param remote: whether the node is of another data center.
    :ivar links: those that are ready, oldest first; one that retires is among them until it is closed.
    :ivar up: whether a link is ready that is not to be replaced, or may be soon.
    :ivar suspect: whether requests time out while the node says nothing at all.
    :ivar signals: what is full.
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
        connects: ConnectLimit,
        remote: bool = False,
    ) -> None:
        self.name = name
        self.links: list[CQLProtocol] = []
        self.error: CQLError | None = None
        self._failures: dict[str, int] = {}
        self.queue = RequestQueue()
        self._queued = self.queue.requests
        self.up = False
        self.suspect = False
        self.signals = FlowSignals(self, settings.observers, clock.seconds)
        self._endpoint = connects.endpoint(endpoint)
        self._settings = settings
        self._clock = clock
        self._make_slot: Callable[[], CQLClientFactory] = partial(
            CQLClientFactory, name, settings, clock, version, delays, keyspace, self
        )
        self._owner = owner
        self._maximum = settings.max_connections_remote if remote else settings.max_connections_local
        self._core = min(settings.core_connections, self._maximum)
        self._sizing = PoolSizing(self, settings, clock, self._core, self._maximum)
        self._choose = selection(settings.connection_selection)
        self._least_loaded = settings.connection_selection == "least-loaded"
        self._grow_at_max = settings.grow_at == "max"
        self._open: list[CQLProtocol] = []
        self._only: CQLProtocol | None = None
        self._limit = 0
        self._max_bytes = settings.max_request_bytes
        self._high = settings.high_mark
        self._bulk_mark = max(1, settings.high_mark * 9 // 10)
        self._bulk = RoomWaiters()
        self._refused = 0
        self._slots: list[CQLClientFactory] = []
        self._retiring: dict[CQLClientFactory, Deferred[Any]] = {}

    @property
    def sent(self) -> int:
        """Requests on a stream and unanswered, orphans included."""
        return sum(link.sent for link in self.links)

    @property
    def request_bytes(self) -> int:
        """Bodies accepted and unanswered, in bytes."""
        return self.queue.request_bytes + sum(link.request_bytes for link in self.links)

    @property
    def size(self) -> int:
        """Links, those that are being opened too, without those that are retired."""
        return len(self._slots)

    @property
    def connecting(self) -> bool:
        """Whether a link is being opened."""
        return any(slot.link is None for slot in self._slots)

    @property
    def heard_at(self) -> float:
        """When a byte was last received on any link, by the clock."""
        return max((link.received_at for link in self.links), default=0.0)

    def connect(self) -> None:
        """Begin to open the core links."""
        for _ in range(self._core):
            self.open_link()

    def open_link(self) -> None:
        """Begin to open one more link."""
        slot = self._make_slot()
        slot.listener = self
        self._slots.append(slot)
        EndpointConnector(self._endpoint, slot, self._clock, _LONGEST_WAIT).connect()

    def retire_newest(self) -> None:
        """Give the newest link no more work, and close it once it is empty.

        A link that is lost, and waits to be opened again, goes first.
        """
        lost = [slot for slot in self._slots if slot.link is None]
        slot = (lost or self._slots)[-1]
        self._slots.remove(slot)
        if slot.link is not None:
            self._forget(slot.link)
        self._retiring[slot] = gone = slot.retire()

        def forget(_: object) -> None:
            self._retiring.pop(slot, None)

        gone.addCallback(forget)

    def submit(self, request: PendingRequest) -> CQLError | None:
        """Send the request or queue it.

        :returns: ``None`` if the pool has taken it; else why not: a
            :class:`~txcql.errors.BusyConnectionError`, or the error for which no link is ready.
        """
        if self._open and not self._queued:
            link = self._only
            if link is not None and link.request_bytes + request.size <= self._max_bytes:
                link.send(request)
                return None
            link = self._open[0] if len(self._open) == 1 else self._choose(self._open)
            if not self._too_many_bytes(request.size):
                link.send(request)
                if self._sizing.grown:
                    self._sizing.sent(self.sent)
                return None
        if not self.up:
            return self._no_link()
        if self._too_many_bytes(request.size):
            self._refused = request.size
            self._watch()
            self.signals.turn(QUEUE_FULL, True)
            return self._busy("bytes", self._max_bytes)
        accepted = self.sent + len(self.queue)
        if accepted >= self._limit:
            self._sizing.grow()
            self.signals.turn(QUEUE_FULL, True)
            return self._busy("requests", self._limit)
        self.queue.append(request)
        if not self._grow_at_max or accepted + 1 >= self._limit:
            self._sizing.grow()
        return None

    def room(self) -> int:
        """How many requests would be sent at once."""
        if not self._open or self.queue or (self._refused and self._too_many_bytes(self._refused)):
            return 0
        return sum(self._high - link.sent for link in self._open)

    def bulk_room(self, size: int) -> int:
        """How many requests of bulk work would be sent at once.

        :param size: the body of each, in bytes.
        """
        if not self._open or self.queue or self._too_many_bytes(size):
            return 0
        left = [self._bulk_mark - link.sent for link in self._open]
        if not self._least_loaded and min(left) <= 0:
            # It would be chosen in its turn.
            return 0
        return sum(room for room in left if room > 0)

    @property
    def bulk_waits(self) -> bool:
        """Whether bulk work waits for room: further work has to wait behind it."""
        return bool(self._bulk)

    def when_bulk_room(self, size: int) -> Deferred[None]:
        """Wait until a request of bulk work would be sent at once, behind those who wait already.

        :param size: its body, in bytes.
        :returns: fires with ``None`` when there is room, and also when the node went down: the
            waiter then looks for another.
        """
        waiter = self._bulk.add(lambda: self.bulk_room(size))
        self._watch()
        if not self._grow_at_max and not self._too_many_bytes(size):
            # Bulk work alone never makes a link drain.
            self._sizing.grow()
        return waiter

    def look_for_room(self) -> None:
        """Requests were withdrawn: wake whom that makes room for."""
        if self._bulk or self._refused or self.signals.queue_full:
            self._read_done()

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

    def retry_now(self) -> None:
        """Open links that are lost without waiting for their schedule: the node seems to be back."""
        for slot in self._slots:
            slot.retry_now()

    def probe(self) -> None:
        """Ask the node, over each link, whether it is there."""
        for link in list(self.links):
            link.probe()

    def retire(self) -> Deferred[Any]:
        """Take no more work, and close each link once nothing waits on it.

        :returns: fires when no connection is left.
        """
        self._sizing.stop()
        self.up = False
        while self._slots:
            self.retire_newest()
        for request in self.queue.clear():
            request.failed(self._no_link())
        self._bulk.wake_all()
        return gatherResults(list(self._retiring.values()))

    def close(self) -> Deferred[Any]:
        """Close every link, and open none any more.

        :returns: fires when no connection is left.
        """
        self._sizing.stop()
        closing = [slot.stop() for slot in (*self._slots, *self._retiring)]
        self._bulk.wake_all()
        return gatherResults(closing)

    def snapshot(self) -> list[dict[str, Any]]:
        """The state of each link, as plain data; of those that are retired too."""
        return [slot.snapshot() for slot in (*self._slots, *self._retiring)]

    def totals(self) -> dict[str, Any]:
        """The state of the pool as a whole, as plain data."""
        return {
            "in_flight": self.sent,
            "queued": len(self.queue),
            "limit": self._limit,
            "max_connections": self._maximum,
            "request_bytes": self.request_bytes,
            "suspect": self.suspect,
            "error": str(self.error) if self.error is not None else None,
            "failures": dict(self._failures),
        }

    def __repr__(self) -> str:
        return (
            f"<NodePool {self.name} connections={len(self.links)}/{self._maximum} "
            f"sent={self.sent} queued={len(self.queue)}>"
        )

    # What the slots tell.

    def link_ready(self, slot: CQLClientFactory, link: CQLProtocol) -> None:
        first = not self.up
        self.up = True
        self.links.append(link)
        self._limit += self._settings.max_requests_per_connection
        self.error = None
        self._look_for_open()
        self._look_at_links()
        if first:
            self._owner.pool_up(self)
        self._room_came()

    def link_open(self, link: CQLProtocol) -> None:
        self._look_for_open()
        self._room_came()

    def link_draining(self, link: CQLProtocol) -> None:
        self._look_for_open()
        # A transport that is going down stops its producer first: that is no reason to grow.
        if not self._open and link.gate.draining and not link.closed and not self._grow_at_max:
            self._sizing.grow()

    def link_down(self, slot: CQLClientFactory, link: CQLProtocol | None, error: CQLError) -> None:
        if link in self.links:
            self._forget(link)
        if slot not in self._slots:
            # It was retired.
            return
        self.error = error
        kind = type(error).__name__
        self._failures[kind] = self._failures.get(kind, 0) + 1
        if all(link.retiring for link in self.links):
            # The queue would wait for a replacement that may never come.
            self.up = False
            self._refused = 0
            self._owner.pool_down(self, error)
            for request in self.queue.clear():
                request.failed(self._no_link())
            self._bulk.wake_all()
            self._look_at_queue()

    # What the links tell of their troubles.

    def link_high(self, link: CQLProtocol) -> None:
        self._look_at_links()

    def link_low(self, link: CQLProtocol) -> None:
        self._look_at_links()

    def link_retiring(self, link: CQLProtocol) -> None:
        # The replacement is opened first: the slot lets the link go when that is ready.
        cast(CQLClientFactory, link.owner).replace()

    def link_suspect(self, link: CQLProtocol) -> None:
        self._look_at_links()

    def link_trusted(self, link: CQLProtocol) -> None:
        self._look_at_links()

    def responses_full(self, link: CQLProtocol) -> None:
        self._look_at_links()

    def responses_drained(self, link: CQLProtocol) -> None:
        self._look_at_links()

    # Inside.

    def _look_at_links(self) -> None:
        """Something about the links has changed that signals tell of."""
        links = self.links
        high = bool(links) and all(link.gate.draining or link.retiring for link in links)
        self.signals.turn(HIGH_IN_FLIGHT, high)
        self.signals.turn(READ_BUFFER_FULL, any(link.responses_held for link in links))
        suspect = any(link.suspect for link in links)
        if suspect is not self.suspect:
            self.suspect = suspect
            self._owner.pool_suspect(self)

    def signal(self, name: str, begun: bool) -> FlowSignal:
        """A signal, with the numbers of the moment."""
        return FlowSignal(
            name,
            begun,
            self.name,
            self.sent,
            len(self.queue),
            self._limit,
            len(self.links),
            self._maximum,
        )

    def _look_at_queue(self) -> None:
        """The queue may be full no more."""
        accepted = self.sent + len(self.queue)
        if not self.up or (accepted < self._limit and not self._refused):
            self.signals.turn(QUEUE_FULL, False)

    def _look_for_open(self) -> None:
        # In the order of age, so that the least loaded of equals is the oldest.
        self._open = [link for link in self.links if link.open]
        self._only = self._open[0] if self._open == self.links and len(self.links) == 1 else None

    def _forget(self, link: CQLProtocol) -> None:
        self.links.remove(link)
        self._limit -= self._settings.max_requests_per_connection
        link.on_read = None
        self._look_for_open()
        self._look_at_links()

    def _room_came(self) -> None:
        """A link is open: the queue first, then who waits to make a request, then bulk work."""
        queue = self.queue
        while queue and self._open:
            self._choose(self._open).send(queue.popleft())
        if self._sizing.grown:
            self._sizing.sent(self.sent)
        if self._open:
            self._owner.pool_room(self)
            self._bulk.wake()
        if self.signals.queue_full:
            self._look_at_queue()
        self._watch()

    def _watch(self) -> None:
        """Look for room after each read, for as long as somebody may wait for it.

        A link tells when it opens; what bulk work and ``max_request_bytes`` wait for is less.
        """
        look = self._read_done if self._bulk or self._refused else None
        for link in self.links:
            link.on_read = look

    def _read_done(self) -> None:
        if self._refused and not self._too_many_bytes(self._refused):
            self._refused = 0
            self._owner.pool_room(self)
        self._bulk.wake()
        if self.signals.queue_full:
            self._look_at_queue()
        if not self._bulk and not self._refused:
            self._watch()

    def _too_many_bytes(self, size: int) -> bool:
        """Whether a body would pass ``max_request_bytes``; one larger than all of it is let through
        when the pool is otherwise empty."""
        held = self.request_bytes
        return held > 0 and held + size > self._max_bytes

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
