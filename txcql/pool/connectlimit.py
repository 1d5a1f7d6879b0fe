"""How many connections a session opens at the same time."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, DeferredSemaphore
from twisted.internet.error import TimeoutError as ConnectTimeoutError
from twisted.internet.interfaces import (
    IProtocol,
    IProtocolFactory,
    IReactorTime,
    IStreamClientEndpoint,
)
from zope.interface import implementer

__all__ = ["ConnectLimit", "LimitedEndpoint"]


class ConnectLimit:
    """Lets attempts to connect begin in their order, so many at the same time.

    :param clock: tells the time and waits.
    :param most: attempts at the same time.
    :param timeout: seconds for one attempt, from when it begins.
    """

    def __init__(self, clock: IReactorTime, most: int, timeout: float) -> None:
        self._clock = clock
        self._timeout = timeout
        self._turns = DeferredSemaphore(most)

    def endpoint(self, endpoint: IStreamClientEndpoint) -> LimitedEndpoint:
        """The same endpoint, under this limit."""
        return LimitedEndpoint(endpoint, self._attempt)

    async def _attempt(self, endpoint: IStreamClientEndpoint, factory: IProtocolFactory) -> IProtocol:
        await self._turns.acquire()
        try:
            # Not before: an attempt that waits for its turn is not late.
            connecting = endpoint.connect(factory)
            connecting.addTimeout(self._timeout, self._clock, _not_in_time)
            return await connecting
        finally:
            self._turns.release()


@implementer(IStreamClientEndpoint)
class LimitedEndpoint:
    """An endpoint whose attempts wait for their turn; they may be cancelled meanwhile.

    :param endpoint: where to connect to.
    :param attempt: makes one attempt.
    """

    def __init__(self, endpoint: IStreamClientEndpoint, attempt: Any) -> None:
        self._endpoint = endpoint
        self._attempt = attempt

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        return Deferred.fromCoroutine(self._attempt(self._endpoint, protocolFactory))

    def __repr__(self) -> str:
        return f"<LimitedEndpoint {self._endpoint!r}>"


def _not_in_time(_: Any, seconds: float) -> Any:
    raise ConnectTimeoutError
