"""When to read the cluster's metadata again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from txcql.errors import ConnectionLost, CQLError, SessionClosed

__all__ = ["REFRESH_WINDOW", "Refreshes", "Wanted"]

log = Logger(namespace="txcql.control")

REFRESH_WINDOW = 1.0
"""Seconds from one refresh to the next, at least."""

_RETRY_AFTER = 5.0  # seconds, when a node does not answer
_MOST_KEYSPACES = 64  # beyond that the whole schema is read


@dataclass
class Wanted:
    """What is to be read.

    :ivar topology: whether the nodes are.
    :ivar schema: whether the whole schema is.
    :ivar keyspaces: the keyspaces, if it is not.
    """

    topology: bool = False
    schema: bool = False
    keyspaces: set[str] = field(default_factory=set)

    def __bool__(self) -> bool:
        return self.topology or self.schema or bool(self.keyspaces)

    def add(self, other: Wanted) -> None:
        """That is to be read as well."""
        self.topology |= other.topology
        self.schema |= other.schema
        self.keyspaces |= other.keyspaces
        if self.schema or len(self.keyspaces) > _MOST_KEYSPACES:
            self.schema = True
            self.keyspaces.clear()


class Refreshes:
    """Reads what events call for: at once if it has been quiet, else once in a window.

    However many events come, all that is kept of them is what to read.

    :param clock: tells the time and waits.
    :param read: reads it; fails with a :class:`~txcql.errors.CQLError` if it cannot.
    """

    def __init__(self, clock: IReactorTime, read: Callable[[Wanted], Deferred[None]]) -> None:
        self._clock = clock
        self._read = read
        self._wanted = Wanted()
        self._not_before = float("-inf")
        self._call: IDelayedCall | None = None
        self._due = 0.0
        self._later = Wanted()
        self._later_call: IDelayedCall | None = None
        self._reading: Deferred[None] | None = None
        self._waiters: list[Deferred[None]] = []
        self._closed = False

    def want(self, wanted: Wanted) -> None:
        """Read this when its turn has come."""
        if not self._closed and wanted:
            self._wanted.add(wanted)
            self._schedule()

    def want_later(self, wanted: Wanted, seconds: float) -> None:
        """Want this in so many seconds, or when that has been said of something else."""
        if not self._closed:
            self._later.add(wanted)
            if self._later_call is None:
                self._later_call = self._clock.callLater(seconds, self._want_now)

    def now(self, wanted: Wanted) -> Deferred[None]:
        """Read this at once, or as soon as the reading under way is done.

        :returns: a Deferred of the caller's own, which fires when it has been read, or fails with the
            :class:`~txcql.errors.CQLError` for which it could not be.
        """
        if self._closed:
            return fail(SessionClosed())
        waiter: Deferred[None] = Deferred(self._forget)
        self._waiters.append(waiter)
        self._wanted.add(wanted)
        self._schedule()
        return waiter

    def close(self) -> None:
        """Read nothing any more."""
        self._closed = True
        for call in (self._call, self._later_call):
            if call is not None:
                call.cancel()
        self._call = self._later_call = None
        if self._reading is not None:
            self._reading.cancel()
        self._tell(self._waiters, SessionClosed())

    # Inside.

    def _want_now(self) -> None:
        self._later_call = None
        later, self._later = self._later, Wanted()
        self.want(later)

    def _schedule(self) -> None:
        if self._reading is not None:
            return
        now = self._clock.seconds()
        due = now if self._waiters else max(now, self._not_before)
        if self._call is not None:
            # The call itself was made for a little later: time went on until it was.
            if self._due <= due:
                return
            self._call.cancel()
        self._due = due
        self._call = self._clock.callLater(due - now, self._begin)

    def _begin(self) -> None:
        self._call = None
        wanted, self._wanted = self._wanted, Wanted()
        waiters, self._waiters = self._waiters, []
        self._not_before = self._clock.seconds() + REFRESH_WINDOW

        def done(_: object) -> None:
            self._reading = None
            self._tell(waiters, None)

        def failed(failure: Failure) -> None:
            self._reading = None
            error = failure.value
            if self._closed:
                error = SessionClosed()
            elif not isinstance(error, CQLError):
                log.failure("a defect in reading the cluster's metadata", failure)
            elif not isinstance(error, ConnectionLost):
                # Else the next control connection reads everything.
                log.info("the cluster's metadata cannot be read: {error}", error=error)
                self._wanted.add(wanted)
                self._not_before = self._clock.seconds() + _RETRY_AFTER
            self._tell(waiters, error)

        self._reading = reading = self._read(wanted)
        reading.addCallbacks(done, failed).addCallback(self._go_on)

    def _go_on(self, _: object) -> None:
        if not self._closed and (self._wanted or self._waiters):
            self._schedule()

    def _forget(self, waiter: Deferred[None]) -> None:
        if waiter in self._waiters:
            self._waiters.remove(waiter)

    @staticmethod
    def _tell(waiters: list[Deferred[None]], error: BaseException | None) -> None:
        while waiters:
            waiter = waiters.pop(0)
            if waiter.called:
                # It was cancelled.
                continue
            if error is None:
                waiter.callback(None)
            else:
                waiter.errback(error)
