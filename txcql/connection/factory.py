"""One slot of a pool: a link that comes back by a schedule."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol as TypingProtocol, cast

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IAddress, IConnector, IDelayedCall, IReactorTime
from twisted.internet.protocol import ReconnectingClientFactory
from twisted.logger import Logger
from twisted.python.failure import Failure

from txcql.connection.connector import EndpointConnector, connect_error, make_ready
from txcql.connection.linkowner import LinkListener
from txcql.connection.protocol import CQLProtocol
from txcql.connection.schedule import Schedule
from txcql.errors import CQLError
from txcql.settings import Settings

__all__ = ["IMMEDIATE_INTERVAL", "STABLE_AFTER", "CQLClientFactory", "SlotOwner"]

log = Logger(namespace="txcql.connection")

STABLE_AFTER = 10.0
"""Seconds for which a link must have been ready until its schedule begins anew."""

IMMEDIATE_INTERVAL = 10.0
"""Seconds between two attempts that do not wait, at least."""


class SlotOwner(TypingProtocol):
    """Who hears of a slot's link: the pool."""

    def link_open(self, link: CQLProtocol) -> None: ...

    def link_draining(self, link: CQLProtocol) -> None: ...

    def link_ready(self, slot: CQLClientFactory, link: CQLProtocol) -> None: ...

    def link_down(self, slot: CQLClientFactory, link: CQLProtocol | None, error: CQLError) -> None: ...


class CQLClientFactory(ReconnectingClientFactory):
    """Keeps one link to one node alive; while it is replaced, the retiring one beside it.

    Attempts follow the reconnection policy instead of the stock schedule, which differs between
    Twisted's releases and lets its jitter pass the cap. The schedule begins anew when a link has
    been ready for :data:`STABLE_AFTER` seconds or has answered a request, not when TCP connects:
    a node that accepts and then refuses is not hammered.

    :param node: the node's ``host:port``.
    :param settings: see :class:`~txcql.settings.Settings`.
    :param clock: tells the time and waits.
    :param version: the protocol version to speak.
    :param delays: makes a new schedule, in seconds.
    :param keyspace: tells the keyspace that new links shall be in.
    :param owner: hears of the link.
    :ivar link: the ready link, ``None`` without one.
    :ivar retiring: the link that closes once another has taken its place, ``None`` without one.
    :ivar listener: becomes the listener of each link that is made. If there is one, it has to call
        :meth:`replace` for a link that retires; else that closes when nothing waits on it, and only
        then is another one opened.
    """

    noisy = False

    def __init__(
        self,
        node: str,
        settings: Settings,
        clock: IReactorTime,
        version: int,
        delays: Callable[[], Iterator[float]],
        keyspace: Callable[[], str | None],
        owner: SlotOwner,
    ) -> None:
        self.node = node
        # The base class declares it as a whole reactor.
        self.clock = cast(Any, clock)
        self._clock = clock
        self.link: CQLProtocol | None = None
        self.retiring: CQLProtocol | None = None
        self.listener: LinkListener | None = None
        self._settings = settings
        self._version = version
        self._make_delays = delays
        self._delays: Iterator[float] | None = None
        self._keyspace = keyspace
        self._owner = owner
        self._last_immediate: float | None = None
        self._stable: IDelayedCall | None = None
        self._stopped = False
        self._attempts = 0
        self._replace_next = False
        self._old_connectors: set[Any] = set()
        self._on_stopped: list[Deferred[None]] = []

    # Twisted's side: the connector tells.

    def startedConnecting(self, connector: IConnector) -> None:
        self.connector = connector
        if self._stopped:
            connector.stopConnecting()

    def buildProtocol(self, addr: IAddress | None) -> CQLProtocol:
        link = CQLProtocol(self.node, self._settings, self._clock, self._version)
        link.owner = self
        link.listener = self.listener
        # connectionMade comes after this method: the handshake must wait for it.
        link.on_connected = lambda: self._connected(link)
        return link

    def clientConnectionFailed(self, connector: IConnector, reason: Failure) -> None:
        self._down(None, connect_error(self.node, cast(BaseException, reason.value)))
        self.retry(connector)

    def clientConnectionLost(self, connector: IConnector, unused_reason: Failure) -> None:
        if connector in self._old_connectors:
            self._old_connectors.remove(connector)
            self._fire_stopped()
        else:
            self.retry(connector)

    def retry(self, connector: IConnector | None = None) -> None:
        """Have another attempt after the schedule's next delay, unless stopped."""
        if self._stopped:
            self._fire_stopped()
            return
        self._attempts += 1
        self._callID = self._clock.callLater(self._next_delay(), self._connect, connector or self.connector)

    def resetDelay(self) -> None:
        """Begin the schedule anew. A stopped slot stays stopped."""
        self._delays = None

    def stopTrying(self) -> None:
        """Have no further attempt, and give up the one under way."""
        self._stopped = True
        self.continueTrying = 0
        if self._callID is not None and self._callID.active():
            self._callID.cancel()
        self._callID = None
        self._cancel_stable()
        for connector in self._connectors():
            connector.disconnect()

    def stop(self) -> Deferred[None]:
        """Stop trying, and close the link.

        :returns: fires when no connection is left.
        """
        stopped: Deferred[None] = Deferred()
        self._on_stopped.append(stopped)
        self.stopTrying()
        self._fire_stopped()
        return stopped

    def retire(self) -> Deferred[None]:
        """Stop trying, and close the link once nothing waits on it: it is not needed any more.

        :returns: fires when no connection is left.
        """
        link = self.link
        if link is None or link.closed:
            return self.stop()
        stopped: Deferred[None] = Deferred()
        self._on_stopped.append(stopped)
        self._stopped = True
        self.continueTrying = 0
        self._cancel_stable()
        if self.retiring is not None:
            self.retiring.let_go()
        link.retire("not needed any more")
        return stopped

    def replace(self) -> None:
        """Open another link in place of the one that is retiring.

        That one is let go when the other one is ready. If a link retires beside it already, it has
        to wait until that is gone.
        """
        link = self.link
        if self._stopped or link is None or not link.retiring:
            return
        if self.retiring is not None:
            self._replace_next = True
            return
        self.retiring, self.link = link, None
        self._cancel_stable()
        if link.answered:
            self.resetDelay()
        connector = cast(EndpointConnector, self.connector)
        self._old_connectors.add(connector)
        self.connector = connector.another()
        self.retry()

    @property
    def next_attempt(self) -> float | None:
        """When the next attempt begins, by the clock; ``None`` if none is due."""
        call = self._callID
        time: float | None = call.getTime() if call is not None and call.active() else None
        return time

    def retry_now(self) -> None:
        """Begin the schedule anew, without a wait if it may: there is a sign that the node is back."""
        call = self._callID
        if call is None or not call.active():
            return
        self.resetDelay()
        if self._may_be_immediate():
            call.reset(0)
            return
        delay = self._next_delay()
        if delay < call.getTime() - self._clock.seconds():
            call.reset(delay)
        else:
            self.resetDelay()

    def snapshot(self) -> dict[str, Any]:
        """The state of the link, as plain data; ``next_reconnect`` in seconds from now."""
        link = self.link or self.retiring
        due = self.next_attempt
        return {
            "state": _state(link),
            "sent": link.sent if link is not None else 0,
            "orphans": link.streams.orphans if link is not None else 0,
            "paused": link is not None and (link.paused or link.responses_held),
            "high": self._settings.high_mark,
            "low": self._settings.low_mark,
            "paused_writing": link is not None and link.paused,
            "paused_reading": link is not None and link.responses_held,
            "request_bytes": link.request_bytes if link is not None else 0,
            "attempts": self._attempts,
            "next_reconnect": max(0.0, due - self._clock.seconds()) if due is not None else None,
        }

    # The link's side.

    def link_open(self, link: CQLProtocol) -> None:
        if link is self.link:
            self._owner.link_open(link)

    def link_draining(self, link: CQLProtocol) -> None:
        self._owner.link_draining(link)

    def link_lost(self, link: CQLProtocol, error: CQLError) -> None:
        if link is self.retiring:
            self.retiring = None
            self._tell_down(link, error)
            if self._replace_next:
                self._replace_next = False
                self.replace()
            return
        if link.answered:
            self.resetDelay()
        self._down(link, error)

    # Inside.

    def _connectors(self) -> list[Any]:
        current = [self.connector] if self.connector is not None else []
        return [*current, *self._old_connectors]

    def _fire_stopped(self) -> None:
        """Tell who waits for the end, if no connection is left."""
        if any(connector.state != "disconnected" for connector in self._connectors()):
            return
        waiting, self._on_stopped = self._on_stopped, []
        for stopped in waiting:
            stopped.callback(None)

    def _connect(self, connector: IConnector) -> None:
        self._callID = None
        connector.connect()

    def _next_delay(self) -> float:
        if self._delays is None:
            self._delays = Schedule(self._make_delays)
        delay = next(self._delays)
        if delay <= 0 and not self._may_be_immediate():
            delay = next(self._delays)
            if delay <= 0:
                delay = IMMEDIATE_INTERVAL
        return delay

    def _may_be_immediate(self) -> bool:
        """Whether an attempt may go without a wait; if so, it counts as one that does."""
        now = self._clock.seconds()
        if self._last_immediate is not None and now - self._last_immediate < IMMEDIATE_INTERVAL:
            return False
        self._last_immediate = now
        return True

    def _connected(self, link: CQLProtocol) -> None:
        deferred = make_ready(link, self._settings, self._clock, self._keyspace())
        deferred.addCallbacks(self._ready, self._not_ready)

    def _ready(self, link: CQLProtocol) -> None:
        keyspace = self._keyspace()
        if keyspace is not None and link.keyspace != keyspace:
            # The session has changed its keyspace since the handshake began.
            Deferred.fromCoroutine(link.use(keyspace)).addCallbacks(
                lambda _: self._ready(link), lambda failure: link.close(failure.value)
            )
            return
        self.link = link
        self._attempts = 0
        self._stable = self._clock.callLater(STABLE_AFTER, self.resetDelay)
        self._owner.link_ready(self, link)
        if self.retiring is not None:
            self.retiring.let_go()

    def _not_ready(self, failure: Failure) -> None:
        # The link has told its owner; a defect of an authenticator has a traceback to show.
        if not isinstance(failure.value, CQLError | CancelledError):
            log.failure("{node}: the handshake failed", failure, node=self.node)

    def _down(self, link: CQLProtocol | None, error: CQLError) -> None:
        self._cancel_stable()
        self.link = None
        self._tell_down(link, error)

    def _cancel_stable(self) -> None:
        if self._stable is not None and self._stable.active():
            self._stable.cancel()

    def _tell_down(self, link: CQLProtocol | None, error: CQLError) -> None:
        if not self._stopped:
            log.info("{node}: {error}", node=self.node, error=error)
        self._owner.link_down(self, link, error)

    def __repr__(self) -> str:
        return f"<CQLClientFactory {self.node} {self.link!r}>"


def _state(link: CQLProtocol | None) -> str:
    if link is None:
        return "connecting"
    if link.retiring:
        return "retiring"
    return "open" if link.open else "draining"
