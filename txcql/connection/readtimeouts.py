"""Read timeouts: how long one attempt may stay unanswered."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from txcql.connection.pendingrequest import PendingRequest
from txcql.connection.streams import StreamManager

__all__ = ["ReadTimeouts"]


class ReadTimeouts:
    """Finds the requests of a link that have waited too long, with one timer for all.

    The timeout is the same for all of them and they were written in the order of the Stream
    Manager, so the oldest is always the next to expire. What has no read timeout (orphans, and
    requests whose own deadline is later) is moved behind the others where it is met, so that it is
    not met again and again.

    :param streams: the requests of the link.
    :param clock: tells and waits.
    :param timeout: seconds from when a request's bytes left the Write Buffer; they do not pass
        between :meth:`hold` and :meth:`go_on`, after which they begin anew.
    :param expire: called with each request that has waited so long.
    :ivar armed: whether the timer runs.
    """

    __slots__ = ("_call", "_clock", "_expire", "_held", "_since", "_streams", "_timeout", "armed")

    def __init__(
        self,
        streams: StreamManager,
        clock: IReactorTime,
        timeout: float,
        expire: Callable[[PendingRequest], None],
    ) -> None:
        self._streams = streams
        self._clock = clock
        self._timeout = timeout
        self._expire = expire
        self._held = False
        self._since = 0.0
        self._call: IDelayedCall | None = None
        self.armed = False

    def arm(self) -> None:
        """Begin to watch, if that is not so yet."""
        if not self.armed:
            self._wait(self._timeout)

    def hold(self) -> None:
        """We do not read: answers may be there and are not seen."""
        self._held = True

    def go_on(self) -> None:
        """We read again."""
        if self._held:
            self._held = False
            self._since = self._clock.seconds()

    def stop(self) -> None:
        """End the watch."""
        self.armed = False
        if self._call is not None:
            self._call.cancel()
            self._call = None

    def _wait(self, seconds: float) -> None:
        self.armed = True
        self._call = self._clock.callLater(seconds, self._read_first)

    def _read_first(self) -> None:
        """Let one turn pass: after a turn that took long, answers are there and not read."""
        self._call = self._clock.callLater(0, self._sweep)

    def _sweep(self) -> None:
        self._call = None
        self.armed = False
        expired: list[PendingRequest] = []
        wait = self._timeout if self._held else self._find(expired)
        if wait is not None:
            self._wait(wait)
        for request in expired:
            self._expire(request)

    def _find(self, expired: list[PendingRequest]) -> float | None:
        """Add those that have waited too long; seconds until the next one has, ``None`` without one."""
        now = self._clock.seconds()
        wait = None
        others = []
        for stream, request in self._streams.waiting.items():
            if request.untimed:
                others.append(stream)
                continue
            written = request.written[0]
            if written is None:
                wait = self._timeout
                break
            expires = max(written, self._since) + self._timeout
            if expires > now:
                wait = expires - now
                break
            expired.append(request)
        if others and (expired or wait is not None):
            self._streams.put_last(others)
        return wait
