"""A session as a Twisted service: it connects when it is started, and drains when it is stopped."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, cast

from twisted.application.service import Service
from twisted.internet.defer import Deferred, gatherResults, succeed
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from txcql.connection.schedule import Schedule
from txcql.errors import CQLError, NoNodeAvailable, SessionClosed
from txcql.policies.reconnection import ExponentialReconnectionPolicy
from txcql.session.clusterview import DEFAULT_PORT
from txcql.session.connect import Opening, parse_target
from txcql.session.session import Session
from txcql.settings import Settings

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from txcql.session.connectoptions import ConnectOptions

__all__ = ["CassandraService"]

log = Logger(namespace="txcql.session")


class CassandraService(Service):
    """Holds a session from its start to its stop.

    Starting it connects to nothing yet and waits for nothing: if no node can be reached, or the
    login is refused, it logs why and tries again, as the reconnection policy says. It may be started
    again after it was stopped.

    :param reactor: as for :func:`txcql.connect`, and so are contact points, port and keyspace.
    :param drain: seconds that requests already sent are given to be answered when it is stopped.
    :param settings: the fields of :class:`txcql.Settings`.
    :raises TypeError: an argument of the wrong type, or a setting that does not exist.
    :raises ValueError: a value out of its range.
    """

    def __init__(
        self,
        reactor: Any,
        contact_points: Iterable[Any] = ("127.0.0.1",),
        *,
        port: int = DEFAULT_PORT,
        keyspace: str | None = None,
        drain: float = 2.0,
        **settings: Unpack[ConnectOptions],
    ) -> None:
        self._target = parse_target(reactor, contact_points, port, keyspace, cast(dict[str, Any], settings))
        if not isinstance(drain, int | float) or isinstance(drain, bool):
            raise TypeError(f"drain must be a number of seconds, got {drain!r}")
        if not 0 <= drain < math.inf:
            raise ValueError(f"drain must be 0 or a positive number of seconds, got {drain!r}")
        self._clock = reactor
        self._drain = drain
        self._session: Session | None = None
        self._opening: Opening | None = None
        self._delays: Iterator[float] = iter(())
        self._call: IDelayedCall | None = None
        self._failures = 0
        self._error: Exception | None = None
        self._waiters: list[_Waiter] = []

    @property
    def settings(self) -> Settings:
        """The settings of its sessions."""
        return self._target.settings

    @property
    def session(self) -> Session:
        """The session.

        :raises NoNodeAvailable: there is none yet; the text says why.
        :raises SessionClosed: the service is stopped.
        """
        if self._session is not None:
            return self._session
        if not self.running:
            raise SessionClosed("the service is not running")
        if self._error is None:
            raise NoNodeAvailable("not connected yet: wait for when_ready()")
        raise NoNodeAvailable(f"not connected yet: {self._error}") from self._error

    def when_ready(self, fail_after: int | None = None) -> Deferred[Session]:
        """Wait for the session.

        :param fail_after: attempts to connect that may fail from now on before it gives up waiting;
            ``None``: it waits for as long as the service runs. The service goes on by itself.
        :returns: fires with the session; fails with what the last of those attempts said, or with
            :class:`~txcql.errors.SessionClosed` when the service is stopped.
        :raises TypeError: ``fail_after`` is no int.
        :raises ValueError: it is not positive.
        """
        if fail_after is not None:
            if not isinstance(fail_after, int) or isinstance(fail_after, bool):
                raise TypeError(f"fail_after must be a number of attempts, got {fail_after!r}")
            if fail_after < 1:
                raise ValueError(f"fail_after must be at least 1, got {fail_after!r}")
        if self._session is not None:
            return succeed(self._session)
        waiter = _Waiter(self._waiters, fail_after)
        self._waiters.append(waiter)
        return waiter.deferred

    def startService(self) -> None:
        """Begin to connect."""
        if self.running:
            return
        Service.startService(self)  # type: ignore[no-untyped-call]
        policy = self._target.settings.reconnection or ExponentialReconnectionPolicy()
        self._delays = Schedule(policy.delays)
        self._failures = 0
        self._error = None
        self._connect()

    def stopService(self) -> Deferred[None]:
        """Close the session; requests already sent are given ``drain`` seconds.

        :returns: fires when no connection is left.
        """
        if not self.running:
            return succeed(None)
        Service.stopService(self)  # type: ignore[no-untyped-call]
        if self._call is not None:
            self._call.cancel()
            self._call = None
        session, self._session = self._session, None
        opening, self._opening = self._opening, None
        closing: list[Deferred[Any]] = []
        if opening is not None:
            closing.append(opening.when_over())
            opening.opened.cancel()
        if session is not None:
            closing.append(session.close(self._drain))
        self._fail_waiters(self._waiters.copy(), SessionClosed("the service was stopped"))
        return gatherResults(closing).addCallback(lambda results: None)

    # Inside.

    def _connect(self) -> None:
        self._call = None
        self._opening = opening = self._target.open()
        opening.opened.addCallbacks(self._connected, self._failed, errbackArgs=(opening,))

    def _connected(self, session: Session) -> None:
        self._opening = None
        self._session = session
        if self._failures:
            log.info("connected after {failures} attempts that failed", failures=self._failures)
        while self._waiters and self._session is session:
            self._waiters.pop(0).deferred.callback(session)

    def _failed(self, failure: Failure, opening: Opening) -> None:
        if self._opening is not opening:
            # It was given up, when the service was stopped.
            return
        self._opening = None
        error: Any = failure.value
        self._error = error
        self._failures += 1
        delay = next(self._delays)
        text = "cannot connect, attempt {attempt} (the next one in {delay:g} s): {error}"
        about = {"attempt": self._failures, "delay": delay, "error": error}
        if isinstance(error, CQLError):
            log.warn(text, **about)
        else:
            log.failure(text, failure, **about)
        self._call = self._clock.callLater(delay, self._connect)
        late = [waiter for waiter in self._waiters if waiter.count_failure()]
        self._fail_waiters(late, error)

    def _fail_waiters(self, waiters: Iterable[_Waiter], error: Exception) -> None:
        for waiter in waiters:
            # The end of one may be the end of another, which its application cancels.
            if waiter in self._waiters:
                self._waiters.remove(waiter)
                waiter.deferred.errback(error)

    def __repr__(self) -> str:
        state = "stopped" if not self.running else "connecting" if self._session is None else "connected"
        return f"<CassandraService {state}>"


class _Waiter:
    """Who waits for the session."""

    def __init__(self, waiters: list[_Waiter], fail_after: int | None) -> None:
        self._left = fail_after
        self.deferred: Deferred[Session] = Deferred(lambda deferred: waiters.remove(self))

    def count_failure(self) -> bool:
        """Count a failed attempt; whether it was one too many."""
        if self._left is not None:
            self._left -= 1
        return self._left == 0
