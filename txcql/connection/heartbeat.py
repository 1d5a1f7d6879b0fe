"""The heartbeat: whether a silent peer is still there."""

from __future__ import annotations

from typing import Protocol as TypingProtocol

from twisted.internet.interfaces import IDelayedCall, IReactorTime

__all__ = ["Heartbeat", "Watched"]


class Watched(TypingProtocol):
    """What a heartbeat asks of its link."""

    @property
    def received_at(self) -> float:
        """When a byte was last received, by the clock."""

    def send_heartbeat(self) -> None:
        """Send an OPTIONS on the link's own stream, unless one is unanswered."""

    def heartbeat_missed(self) -> None:
        """The peer has been silent for too long."""


class Heartbeat:
    """Asks a peer that has been silent whether it is there, and gives it up if it stays silent.

    Any byte counts as an answer. There is one timer, which is looked after when it fires and not
    when something is received.

    :param link: the link.
    :param clock: tells the time and waits.
    :param interval: seconds of silence after which to ask.
    :param timeout: seconds for a byte to come then; they do not pass between :meth:`hold` and
        :meth:`go_on`.
    """

    __slots__ = ("_asked_at", "_call", "_clock", "_held", "_interval", "_left", "_link", "_timeout")

    def __init__(self, link: Watched, clock: IReactorTime, interval: float, timeout: float) -> None:
        self._link = link
        self._clock = clock
        self._interval = interval
        self._timeout = timeout
        self._asked_at: float | None = None
        self._left = timeout
        self._held = False
        self._call: IDelayedCall | None = None

    def start(self) -> None:
        """Begin to watch."""
        self._wait(self._interval)

    def ask(self) -> None:
        """Ask at once: there is reason to doubt."""
        if self._asked_at is None:
            self._cancel()
            self._send()

    def hold(self) -> None:
        """Our own side holds bytes back, in either direction: the peer is not to blame."""
        if self._held:
            return
        self._held = True
        if self._asked_at is not None and self._call is not None:
            self._left = max(0.0, self._call.getTime() - self._clock.seconds())
            self._cancel()

    def go_on(self) -> None:
        """Bytes flow again."""
        if not self._held:
            return
        self._held = False
        if self._asked_at is not None and self._call is None:
            self._wait(self._left)

    def stop(self) -> None:
        """End the watch."""
        self._asked_at = None
        self._cancel()

    def _cancel(self) -> None:
        if self._call is not None:
            self._call.cancel()
            self._call = None

    def _wait(self, seconds: float) -> None:
        self._call = self._clock.callLater(seconds, self._look)

    def _send(self) -> None:
        self._asked_at = self._clock.seconds()
        self._left = self._timeout
        # It may hold us: the bytes may be what fills the transport.
        self._link.send_heartbeat()
        if not self._held:
            self._wait(self._left)

    def _look(self) -> None:
        self._call = None
        received_at = self._link.received_at
        if self._asked_at is not None:
            if received_at < self._asked_at:
                # After a turn that took long, the answer may be there and not read.
                self._call = self._clock.callLater(0, self._judge)
                return
            self._asked_at = None
        # Times are compared, not spans: what rounding leaves of a span may be too small to wait for.
        due = received_at + self._interval
        now = self._clock.seconds()
        if now >= due:
            self._send()
        else:
            self._wait(due - now)

    def _judge(self) -> None:
        self._call = None
        if self._asked_at is not None and self._link.received_at < self._asked_at:
            self._link.heartbeat_missed()
        else:
            self._look()
