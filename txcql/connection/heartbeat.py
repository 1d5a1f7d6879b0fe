"""The heartbeat: whether a silent peer is still there."""

from __future__ import annotations

from typing import Protocol as TypingProtocol

from twisted.internet.interfaces import IDelayedCall, IReactorTime

__all__ = ["Heartbeat", "Watched"]


class Watched(TypingProtocol):
    """What a heartbeat asks of its link."""

    received_at: float
    """When a byte was last received, by the clock."""

    @property
    def stalled(self) -> bool:
        """Whether our own side holds bytes back, in either direction: the peer is not to blame."""

    def send_heartbeat(self) -> None:
        """Send an OPTIONS on the link's own stream."""

    def heartbeat_missed(self) -> None:
        """The peer has been silent for too long."""


class Heartbeat:
    """Asks a peer that has been silent whether it is there, and gives it up if it stays silent.

    Any byte counts as an answer. The time to answer does not run while the link is stalled.

    :param link: the link.
    :param clock: tells the time and waits.
    :param interval: seconds of silence after which to ask.
    :param timeout: seconds for a byte to come then.
    """

    __slots__ = ("_asked_at", "_call", "_clock", "_interval", "_link", "_timeout")

    def __init__(self, link: Watched, clock: IReactorTime, interval: float, timeout: float) -> None:
        self._link = link
        self._clock = clock
        self._interval = interval
        self._timeout = timeout
        self._asked_at: float | None = None
        self._call: IDelayedCall | None = None

    def start(self) -> None:
        """Begin to watch."""
        self._wait(self._interval)

    def ask(self) -> None:
        """Ask at once: there is reason to doubt."""
        if self._asked_at is None:
            self.stop()
            self._send()

    def stop(self) -> None:
        """End the watch."""
        if self._call is not None:
            self._call.cancel()
            self._call = None

    def _wait(self, seconds: float) -> None:
        self._call = self._clock.callLater(seconds, self._look)

    def _send(self) -> None:
        self._asked_at = self._clock.seconds()
        self._link.send_heartbeat()
        self._wait(self._timeout)

    def _look(self) -> None:
        self._call = None
        now = self._clock.seconds()
        silent = now - self._link.received_at
        if self._asked_at is not None:
            if self._link.received_at < self._asked_at and self._link.stalled:
                self._asked_at = now
                self._wait(self._timeout)
                return
            if self._link.received_at < self._asked_at:
                self._link.heartbeat_missed()
                return
            self._asked_at = None
        if silent >= self._interval:
            self._send()
        else:
            self._wait(self._interval - silent)
