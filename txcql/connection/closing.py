"""The end of a connection from our side."""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import IDelayedCall, IReactorTime

__all__ = ["ABORT_AFTER", "Closing"]

ABORT_AFTER = 2.0
"""Seconds after which a link that does not close is aborted."""


class Closing:
    """Closes a transport, and aborts it when that takes too long.

    :param clock: waits.
    """

    __slots__ = ("_call", "_clock")

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._call: IDelayedCall | None = None

    def begin(self, transport: Any, paused: bool) -> None:
        """Close a transport.

        :param paused: whether it has been paused: a TLS transport has to read the end of the
            connection.
        """
        if paused:
            transport.resumeProducing()
        # A TLS transport with a producer registered never closes.
        transport.unregisterProducer()
        self._call = self._clock.callLater(ABORT_AFTER, self._abort, transport)
        transport.loseConnection()

    def done(self) -> None:
        """The connection is gone."""
        if self._call is not None:
            self._call.cancel()
            self._call = None

    def _abort(self, transport: Any) -> None:
        self._call = None
        abort = getattr(transport, "abortConnection", None)
        if abort is not None:
            abort()
