"""Response-side backpressure: answers that are held back, and the pause of the transport."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from txcql.connection.linkerrors import link_error
from txcql.connection.linkowner import tell_listener
from txcql.settings import Settings
from txcql.wire.frames import FrameCodec

if TYPE_CHECKING:
    from txcql.connection.protocol import CQLProtocol

__all__ = ["FRAMES_PER_TURN", "ResponseFlow"]

FRAMES_PER_TURN = 256
"""Frames that a link reads in one turn of the reactor; the rest waits for the next."""


class ResponseFlow:
    """Decides when a link reads on, and when its transport does.

    Frames are held back, undecoded, until the next turn when a turn has brought too many of them,
    or until :meth:`release` after a :meth:`hold`. Bytes are accepted all the while: a paused TLS
    transport still delivers. Bytes of a frame that is merely incomplete are not held back: without
    more of them it would never be whole.

    :param link: the link; its :attr:`~txcql.connection.protocol.CQLProtocol.reading` is set here.
    :param codec: has the bytes.
    :param clock: runs the next turn.
    :param settings: how many bytes may be held back until the transport is paused, and for how long
        it may be; it is resumed below half of them.
    :ivar stopped: whether frames are held back until :meth:`release`.
    :ivar paused: whether the transport is paused.
    """

    __slots__ = (
        "_budget",
        "_clock",
        "_codec",
        "_limit",
        "_link",
        "_next_turn",
        "_too_long",
        "paused",
        "stopped",
    )

    def __init__(self, link: CQLProtocol, codec: FrameCodec, clock: IReactorTime, settings: Settings) -> None:
        self._link = link
        self._codec = codec
        self._clock = clock
        self._budget = settings.response_budget
        self._limit = settings.pause_limit
        self._next_turn: IDelayedCall | None = None
        self._too_long: IDelayedCall | None = None
        self.stopped = False
        self.paused = False

    def hold(self) -> None:
        """Hold frames back."""
        self.stopped = True
        self._link.reading = False
        if self._next_turn is not None:
            self._next_turn.cancel()
            self._next_turn = None
        self.received()

    def release(self) -> None:
        """Read on, from the next turn."""
        if self.stopped:
            self.stopped = False
            self.yield_turn()

    def yield_turn(self) -> None:
        """Read on in the next turn."""
        self._link.reading = False
        self._next_turn = self._clock.callLater(0, self._read_on)
        self.received()

    def received(self) -> None:
        """Look at what is held back: it may be too much."""
        if not self.paused and self._codec.buffered > self._budget:
            self.paused = True
            self._too_long = self._clock.callLater(self._limit, self._stuck)
            cast(Any, self._link.transport).pauseProducing()
            self._link.note_stall()
            tell_listener(self._link, "responses_full")

    def stop(self) -> None:
        """The link is closed: read no more."""
        self.stopped = False
        self._link.reading = False
        for call in (self._next_turn, self._too_long):
            if call is not None:
                call.cancel()
        self._next_turn = self._too_long = None

    def _read_on(self) -> None:
        self._next_turn = None
        link = self._link
        link.reading = True
        link.deliver()
        if self._too_long is not None and (link.reading or self._codec.buffered < self._budget / 2):
            self._too_long.cancel()
            self._too_long = None
            self.paused = False
            link.note_stall()
            cast(Any, link.transport).resumeProducing()
            tell_listener(link, "responses_drained")

    def _stuck(self) -> None:
        self._too_long = None
        link = self._link
        held = self._codec.buffered
        text = f"dropped, since {held} bytes of answers were not taken for {self._limit:g} s (pause_limit)"
        link.close(link_error(link.node, text, None))
