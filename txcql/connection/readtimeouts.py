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
    Manager, so the oldest is always the next to expire.

    :param streams: the requests of the link.
    :param clock: tells and waits.
    :param timeout: seconds from when a request's bytes left the Write Buffer.
    :param expire: called with each request that has waited so long.
    :ivar armed: whether the timer runs.
    """

    __slots__ = ("_call", "_clock", "_expire", "_streams", "_timeout", "armed")

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
        self._call: IDelayedCall | None = None
        self.armed = False

    def arm(self) -> None:
        """Begin to watch, if that is not so yet."""
        if not self.armed:
            self._wait(self._timeout)

    def stop(self) -> None:
        """End the watch."""
        self.armed = False
        if self._call is not None:
            self._call.cancel()
            self._call = None

    def _wait(self, seconds: float) -> None:
        self.armed = True
        self._call = self._clock.callLater(seconds, self._sweep)

    def _sweep(self) -> None:
        self._call = None
        self.armed = False
        now = self._clock.seconds()
        expired = []
        wait = None
        for request in self._streams.requests():
            if request.untimed:
                continue
            written = request.written[0]
            if written is None:
                wait = self._timeout
                break
            expires = written + self._timeout
            if expires > now:
                wait = expires - now
                break
            expired.append(request)
        if wait is not None:
            self._wait(wait)
        for request in expired:
            self._expire(request)
