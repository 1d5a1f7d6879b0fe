"""Which timestamp a write has: the later one wins."""

from __future__ import annotations

import time
from collections.abc import Callable

from twisted.logger import Logger
from zope.interface import implementer

from txcql.interfaces import ITimestampGenerator

__all__ = ["MonotonicTimestampGenerator", "ServerSideTimestampGenerator"]

log = Logger(namespace="txcql.policies")

_FAR_AHEAD = 1_000_000
_WARN_EVERY = 60_000_000


@implementer(ITimestampGenerator)
class MonotonicTimestampGenerator:
    """The client's clock, in microseconds; each timestamp is later than the one before.

    Two writes of one session are then applied in the order in which they were made, whichever nodes
    they went to. The clocks of clients that write the same rows have to agree.

    When the clock goes back, or more than a million writes are made in a second, timestamps run
    ahead of it; if by more than a second, that is logged, once a minute.

    :param now: the time, in seconds since 1970.
    """

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._last = 0
        self._warned = -_WARN_EVERY

    def next(self) -> int | None:
        now = int(self._now() * 1_000_000)
        if now > self._last:
            self._last = now
            return now
        self._last += 1
        if self._last > now + _FAR_AHEAD and abs(now - self._warned) >= _WARN_EVERY:
            self._warned = now
            log.warn(
                "timestamps of writes are {seconds:.1f} s ahead of the clock, which may have gone back",
                seconds=(self._last - now) / 1_000_000,
            )
        return self._last

    def __repr__(self) -> str:
        return f"<MonotonicTimestampGenerator last={self._last}>"


@implementer(ITimestampGenerator)
class ServerSideTimestampGenerator:
    """None: each write has the time at which its coordinator received it."""

    def next(self) -> int | None:
        return None

    def __repr__(self) -> str:
        return "<ServerSideTimestampGenerator>"
