"""How many links a pool has: when it opens one more, and when it gives one up."""

from __future__ import annotations

from typing import Protocol as TypingProtocol

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from txcql.settings import Settings

__all__ = ["PoolSizing", "Sized"]


class Sized(TypingProtocol):
    """What the decisions ask of a pool, and tell it to do."""

    @property
    def size(self) -> int:
        """Links, those that are being opened too."""

    @property
    def connecting(self) -> bool:
        """Whether one is being opened."""

    @property
    def heard_at(self) -> float:
        """When a byte was last received on any link, by the clock."""

    def open_link(self) -> None:
        """Begin to open one more."""

    def retire_newest(self) -> None:
        """Give the newest no more work, and close it once it is empty."""


class PoolSizing:
    """Opens a further link when those there are do not suffice, and gives one up when they do.

    It grows by one link at a time, and only if the node has been heard of within the read timeout:
    one that is frozen is not given eight links. It shrinks after ``idle_timeout`` seconds in which
    the requests in flight would always have fitted below the low marks of one link less; waiting
    for a link to be idle would never end under light load.

    :param pool: the pool.
    :param settings: see :class:`~txcql.settings.Settings`.
    :param clock: tells the time and waits.
    :param core: links that it keeps.
    :param maximum: links at most.
    :ivar grown: whether the pool has more links than its core.
    """

    __slots__ = (
        "_call",
        "_clock",
        "_core",
        "_idle_timeout",
        "_low",
        "_maximum",
        "_needed_at",
        "_pool",
        "_read_timeout",
        "_stopped",
        "grown",
    )

    def __init__(self, pool: Sized, settings: Settings, clock: IReactorTime, core: int, maximum: int) -> None:
        self.grown = False
        self._pool = pool
        self._core = core
        self._low = settings.low_mark
        self._idle_timeout = settings.idle_timeout
        self._read_timeout = settings.read_timeout
        self._clock = clock
        self._maximum = maximum
        self._needed_at = 0.0
        self._call: IDelayedCall | None = None
        self._stopped = False

    def grow(self) -> None:
        """Every link is as full as ``grow_at`` says: open one more, if that may be."""
        pool = self._pool
        if pool.size >= self._maximum or pool.connecting or self._stopped:
            return
        now = self._clock.seconds()
        if now - pool.heard_at > self._read_timeout:
            return
        self.grown = True
        self._needed_at = now
        if self._call is None:
            self._call = self._clock.callLater(self._idle_timeout, self._look)
        pool.open_link()

    def sent(self, in_flight: int) -> None:
        """Requests have been sent; of a pool that has grown only.

        :param in_flight: requests in flight on all links, with these.
        """
        if in_flight >= self._low * (self._pool.size - 1):
            self._needed_at = self._clock.seconds()

    def stop(self) -> None:
        """Let the size be."""
        self._stopped = True
        if self._call is not None:
            self._call.cancel()
            self._call = None

    def _look(self) -> None:
        self._call = None
        left = self._needed_at + self._idle_timeout - self._clock.seconds()
        if left <= 0:
            self._needed_at = self._clock.seconds()
            left = self._idle_timeout
            self._pool.retire_newest()
        self.grown = self._pool.size > self._core
        if self.grown and not self._stopped:
            self._call = self._clock.callLater(left, self._look)
