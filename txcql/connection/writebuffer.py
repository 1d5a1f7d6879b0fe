"""The Write Buffer: many small writes become one."""

from __future__ import annotations

from twisted.internet.interfaces import IDelayedCall, IReactorTime, ITransport

from txcql.wire.frames import FrameCodec

__all__ = ["WriteBuffer"]


class WriteBuffer:
    """Gathers frames and writes them to the transport once per reactor turn.

    It flushes when it is full, when told to, at the end of a :meth:`hold`, and else at the
    beginning of the next turn; but not while the transport takes no more.

    :param codec: makes the bytes; in v5, frames gathered together share segments.
    :param clock: runs the flush of the next turn.
    :param capacity: bytes after which a flush does not wait.
    :ivar transport: takes them; to be set before anything is written.
    :ivar size: bytes gathered and not yet written.
    :ivar paused: whether the transport takes no more for now.
    """

    __slots__ = (
        "_call",
        "_capacity",
        "_clock",
        "_codec",
        "_holding",
        "_pieces",
        "_seconds",
        "_written",
        "paused",
        "size",
        "transport",
    )

    transport: ITransport

    def __init__(self, codec: FrameCodec, clock: IReactorTime, capacity: int) -> None:
        self.size = 0
        self.paused = False
        self._codec = codec
        self._clock = clock
        self._seconds = clock.seconds
        self._capacity = capacity
        self._pieces: list[bytes] = []
        self._written: list[float | None] = [None]
        self._holding = False
        self._call: IDelayedCall | None = None

    def write(self, header: bytes, body: bytes) -> list[float | None]:
        """Gather a frame.

        :returns: a list whose only item becomes the time of the flush.
        """
        self._pieces += (header, body)
        self.size = size = self.size + len(header) + len(body)
        written = self._written
        if size >= self._capacity:
            self.flush()
        elif not self._holding and self._call is None:
            self._call = self._clock.callLater(0, self._flush_later)
        return written

    def flush(self) -> None:
        """Write what is gathered, if the transport takes it."""
        if not self._pieces or self.paused:
            return
        pieces = self._pieces
        self._pieces = []
        self.size = 0
        self._written[0] = self._seconds()
        self._written = [None]
        self.transport.write(self._codec.join(pieces))

    def pause(self) -> None:
        """The transport takes no more."""
        self.paused = True

    def resume(self) -> None:
        """The transport takes more: write what has been gathered meanwhile."""
        self.paused = False
        self.flush()

    def hold(self) -> None:
        """Let frames gather until :meth:`release`."""
        self._holding = True

    def release(self) -> None:
        """End a :meth:`hold`, and flush."""
        self._holding = False
        self.flush()

    def close(self) -> None:
        """Drop what is gathered: the link is gone."""
        self._pieces = []
        self.size = 0
        if self._call is not None:
            self._call.cancel()
            self._call = None

    def _flush_later(self) -> None:
        self._call = None
        self.flush()

    def __repr__(self) -> str:
        return f"<WriteBuffer size={self.size}>"
