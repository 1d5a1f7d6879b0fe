"""Signals of flow control: what fills up at a node, from when until when."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol as TypingProtocol

from twisted.logger import Logger

from txcql.interfaces import IFlowObserver

__all__ = ["HIGH_IN_FLIGHT", "QUEUE_FULL", "READ_BUFFER_FULL", "FlowSignal", "FlowSignals", "Signalling"]

log = Logger(namespace="txcql.pool")

QUEUE_FULL = "queue full"
"""Requests are refused as busy."""

HIGH_IN_FLIGHT = "high in-flight"
"""Every link of the pool has reached its high mark: further requests wait in the queue."""

READ_BUFFER_FULL = "read buffer full"
"""A link does not read: more answers are held back than its response budget allows."""


class FlowSignal(NamedTuple):
    """Something has filled up at a node, or has room again.

    :ivar name: ``"queue full"``, ``"high in-flight"`` or ``"read buffer full"``.
    :ivar begun: whether it begins; else it ends.
    :ivar node: the node's ``host:port``.
    :ivar in_flight: requests sent and unanswered, orphans included.
    :ivar queued: requests in the queue.
    :ivar limit: requests that the pool accepts, sent and queued together.
    :ivar connections: links that are ready.
    :ivar max_connections: links that the pool may have.
    """

    name: str
    begun: bool
    node: str
    in_flight: int
    queued: int
    limit: int
    connections: int
    max_connections: int


class Signalling(TypingProtocol):
    """Whose signals they are: a pool."""

    def signal(self, name: str, begun: bool) -> FlowSignal:
        """The signal, with the numbers of the moment."""


class FlowSignals:
    """The signals of one pool: remembers which are on, and tells the observers of each change.

    :param pool: whose signals they are.
    :param observers: of a session's ``observers``, those that provide
        :class:`~txcql.interfaces.IFlowObserver` are told.
    :param seconds: tells the time.
    :ivar queue_full: whether that signal is on.
    """

    __slots__ = ("_active", "_observers", "_pool", "_seconds", "_times", "_total")

    def __init__(self, pool: Signalling, observers: Sequence[Any], seconds: Callable[[], float]) -> None:
        self._pool = pool
        self._observers = tuple(observer for observer in observers if IFlowObserver.providedBy(observer))
        self._seconds = seconds
        # Since when each is on.
        self._active: dict[str, float] = {}
        self._total = dict.fromkeys((QUEUE_FULL, HIGH_IN_FLIGHT, READ_BUFFER_FULL), 0.0)
        self._times = dict.fromkeys((QUEUE_FULL, HIGH_IN_FLIGHT, READ_BUFFER_FULL), 0)

    @property
    def queue_full(self) -> bool:
        return QUEUE_FULL in self._active

    def turn(self, name: str, on: bool) -> None:
        """A signal is on, or off; nothing happens if it was so before."""
        if on is (name in self._active):
            return
        if on:
            self._active[name] = self._seconds()
            self._times[name] += 1
        else:
            self._total[name] += self._seconds() - self._active.pop(name)
        if self._observers:
            signal = self._pool.signal(name, on)
            for observer in self._observers:
                try:
                    observer.flow_signal(signal)
                except Exception:
                    log.failure(
                        "{node}: an observer failed to take in {signal}", node=signal.node, signal=name
                    )

    def snapshot(self) -> dict[str, dict[str, Any]]:
        """Of each signal: whether it is on, how often it has begun, and the seconds it has been on."""
        now = self._seconds()
        return {
            name: {
                "active": name in self._active,
                "times": times,
                "seconds": self._total[name] + now - self._active.get(name, now),
            }
            for name, times in self._times.items()
        }

    def __repr__(self) -> str:
        return f"<FlowSignals {', '.join(sorted(self._active)) or 'none'}>"
