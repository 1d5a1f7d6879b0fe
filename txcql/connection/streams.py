"""The Stream Manager: which request an answer belongs to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from txcql.connection.pendingrequest import PendingRequest

__all__ = ["HEARTBEAT", "MAX_STREAMS", "ORPHANED", "OWN_STREAM", "UNKNOWN", "StreamManager"]

MAX_STREAMS = 32768
"""Stream ids of a link, of protocol v3 and later. Id 0 is the link's own."""

OWN_STREAM = 0
"""The id for what the link itself asks."""


class _Mark(PendingRequest):
    """What stands in for a request where there is none."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name
        self.untimed = True

    def __repr__(self) -> str:
        return self.name


ORPHANED = _Mark("ORPHANED")
"""The outcome of a stream whose request is not waiting any more: its answer is dropped."""

HEARTBEAT = _Mark("HEARTBEAT")
"""What is on the link's own stream while a heartbeat is unanswered."""

UNKNOWN = _Mark("UNKNOWN")
"""The outcome of a stream that is not in use: the peer violates the protocol."""


class StreamManager:
    """Hands out stream ids and finds the request of each answer, in constant time.

    An id is busy from :meth:`register` to :meth:`release`. Withdrawing a request leaves its id
    busy, as an orphan, until the late answer comes: freed before, the id would carry the answer
    to another request.

    :param allocation: ``"pooled"`` hands out the id that was freed last, ``"sequential"`` the next
        one in 1, 2, 3 … that is free, wrapping around.
    :param limit: the highest id.
    :ivar waiting: stream id -> request, :data:`ORPHANED` or :data:`HEARTBEAT`; those with a read
        timeout are in the order in which they were sent.
    :ivar orphaned: stream id of each orphan -> when it became one, oldest first.
    """

    __slots__ = ("_busy", "_free", "_last", "_limit", "orphaned", "waiting")

    def __init__(self, allocation: str = "pooled", limit: int = MAX_STREAMS - 1) -> None:
        self.waiting: dict[int, PendingRequest] = {}
        self.orphaned: dict[int, float] = {}
        # A byte for each id: the next free one is found by one search for a byte, which takes half a
        # microsecond longer with 30,000 busy ids in its way. A bitmap of two levels is slower always.
        self._busy = bytearray(b"\1" + bytes(limit)) if allocation == "sequential" else None
        self._limit = limit
        self._free: list[int] = []
        self._last = 0

    def __len__(self) -> int:
        """Ids in use, orphans included."""
        return len(self.waiting)

    @property
    def orphans(self) -> int:
        """Ids whose requests wait no more."""
        return len(self.orphaned)

    @property
    def idle(self) -> bool:
        """Whether no request waits."""
        return len(self.waiting) == len(self.orphaned) + (OWN_STREAM in self.waiting)

    @property
    def exhausted(self) -> bool:
        """Whether every id is busy."""
        return len(self.waiting) >= self._limit

    def register(self, request: PendingRequest) -> int:
        """Give the request an id of its own.

        :returns: the id, 1 or higher.
        :raises LookupError: every id is busy.
        """
        free = self._free
        if free:
            stream = free.pop()
        elif (busy := self._busy) is not None:
            stream = busy.find(0, self._last + 1)
            if stream < 0 and (stream := busy.find(0)) < 0:
                raise LookupError(f"all {self._limit} streams are busy")
            busy[stream] = 1
            self._last = stream
        elif self._last < self._limit:
            self._last = stream = self._last + 1
        else:
            raise LookupError(f"all {self._limit} streams are busy")
        self.waiting[stream] = request
        return stream

    def release(self, stream: int) -> PendingRequest:
        """Free an id, because its answer is there.

        :returns: the request that waits; :data:`ORPHANED` if none waits any more; :data:`UNKNOWN`
            if the id is not in use.
        """
        request = self.waiting.pop(stream, UNKNOWN)
        if request is not UNKNOWN:
            if self._busy is None:
                self._free.append(stream)
            else:
                self._busy[stream] = 0
            if request is ORPHANED:
                del self.orphaned[stream]
        return request

    def orphan(self, stream: int, now: float) -> None:
        """Leave an id busy, its request not waiting any more.

        :param now: the time, in seconds.
        :raises LookupError: no request waits on that id.
        """
        if isinstance(self.waiting.get(stream, UNKNOWN), _Mark):
            raise LookupError(f"no request waits on stream {stream}")
        self.waiting[stream] = ORPHANED
        self.orphaned[stream] = now

    def begin_heartbeat(self) -> bool:
        """Take the link's own stream; false if it is busy."""
        if OWN_STREAM in self.waiting:
            return False
        self.waiting[OWN_STREAM] = HEARTBEAT
        return True

    def end_heartbeat(self) -> bool:
        """Free the link's own stream; false if it was not busy."""
        return self.waiting.pop(OWN_STREAM, None) is not None

    def put_last(self, streams: Iterable[int]) -> None:
        """Move what has no read timeout behind the requests that have one."""
        for stream in streams:
            self.waiting[stream] = self.waiting.pop(stream)

    def requests(self) -> Iterator[PendingRequest]:
        """The requests that wait, without orphans and heartbeats."""
        return (request for request in self.waiting.values() if not isinstance(request, _Mark))

    def clear(self) -> list[PendingRequest]:
        """Forget everything, because the link is gone: the requests that waited."""
        waiting = list(self.requests())
        self.waiting = {}
        self.orphaned = {}
        return waiting

    def __repr__(self) -> str:
        return f"<StreamManager busy={len(self)} orphans={self.orphans}>"
