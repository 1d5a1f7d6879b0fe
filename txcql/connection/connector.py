"""From an endpoint to a ready link, once or for a factory that comes back."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import (
    ConnectError,
    ConnectingCancelledError,
    ConnectionRefusedError,
    DNSLookupError,
    NotConnectingError,
    TimeoutError as ConnectTimeoutError,
    UserError,
)
from twisted.internet.interfaces import IAddress, IConnector, IReactorTime, IStreamClientEndpoint
from twisted.internet.protocol import Factory
from twisted.python.failure import Failure
from zope.interface import implementer

from txcql.connection.handshake import handshake
from txcql.connection.protocol import CQLProtocol
from txcql.errors import ConnectionLost, CQLError, NameResolutionError, ProtocolError
from txcql.settings import Settings

__all__ = ["EndpointConnector", "connect_error", "make_ready", "open_link"]

# What endpoints fail with when they are cancelled.
_CANCELLED = (CancelledError, ConnectingCancelledError)


def connect_error(node: str, reason: BaseException) -> CQLError:
    """Why a node could not be connected to, in one sentence.

    :param node: the ``host:port`` that was tried.
    """
    if isinstance(reason, CQLError):
        return reason
    if isinstance(reason, DNSLookupError):
        return NameResolutionError(node.rpartition(":")[0])
    if isinstance(reason, ConnectionRefusedError):
        text = "refused the connection"
    elif isinstance(reason, ConnectTimeoutError):
        text = "did not accept the connection in time"
    elif isinstance(reason, ConnectError) and reason.osError is not None:
        text = f"cannot be reached: {reason}"
    else:
        text = f"cannot be reached: {type(reason).__name__}: {reason}"
    error = ConnectionLost(f"{node} {text}")
    error.node = node
    error.__cause__ = reason
    return error


def make_ready(
    link: CQLProtocol, settings: Settings, clock: IReactorTime, keyspace: str | None
) -> Deferred[CQLProtocol]:
    """Run the handshake of a connected link, bounded by ``connect_timeout``.

    :returns: fires with the link; or closes it and fails with a :class:`~txcql.errors.CQLError`, or
        with what an authenticator raised.
    """
    link.own.handshake = deferred = Deferred.fromCoroutine(handshake(link, settings, keyspace))

    def too_late() -> None:
        error = ConnectionLost(
            f"{link.node} accepted the connection and did not finish the handshake "
            f"within {settings.connect_timeout:g} s"
        )
        error.node = link.node
        link.close(error)

    timer = clock.callLater(settings.connect_timeout, too_late)

    def done(_: None) -> CQLProtocol:
        link.own.handshake = None
        timer.cancel()
        link.handshake_done()
        return link

    def failed(failure: Failure) -> Failure:
        link.own.handshake = None
        if timer.active():
            timer.cancel()
        error = failure.value
        if isinstance(error, CancelledError):
            # By the link, which was lost; else by the caller.
            failure = _failure(link.error or error)
            link.close()
        else:
            link.close(error if isinstance(error, CQLError) else ProtocolError(f"{link.node}: {error!r}"))
        return failure

    return deferred.addCallbacks(done, failed)


class _OneLink(Factory):
    """Makes the protocol of :func:`open_link`."""

    noisy = False

    def __init__(self, link: CQLProtocol) -> None:
        self._link = link

    def buildProtocol(self, addr: IAddress | None) -> CQLProtocol:
        return self._link


async def open_link(
    endpoint: IStreamClientEndpoint,
    link: CQLProtocol,
    settings: Settings,
    clock: IReactorTime,
    keyspace: str | None = None,
) -> CQLProtocol:
    """Connect a link to an endpoint and make it ready, once.

    :raises CQLError: it could not be connected, or its handshake failed.
    """
    connecting = endpoint.connect(_OneLink(link))
    connecting.addTimeout(settings.connect_timeout, clock, _not_in_time)
    try:
        await connecting
    except _CANCELLED:
        # By the caller: the time limit gives another error.
        raise CancelledError from None
    except CQLError:
        raise
    except Exception as error:
        raise connect_error(link.node, error) from error
    return await make_ready(link, settings, clock, keyspace)


def _not_in_time(_: Any, seconds: float) -> Any:
    raise ConnectTimeoutError


def _failure(error: BaseException) -> Failure:
    return Failure(error)  # type: ignore[no-untyped-call]


def _given_up() -> Failure:
    return _failure(UserError())  # type: ignore[no-untyped-call]


@implementer(IConnector)
class EndpointConnector:
    """An ``IConnector`` over any stream client endpoint.

    Endpoints never call a factory's ``clientConnectionFailed`` and ``clientConnectionLost``; this
    does, so that one factory serves TCP, TLS, UNIX sockets, proxies and tests in memory alike.

    :param endpoint: where to connect to.
    :param factory: a client factory whose protocols are
        :class:`~txcql.connection.protocol.CQLProtocol`.
    :param clock: bounds an attempt.
    :param timeout: that bound, in seconds.
    :ivar state: ``"disconnected"``, ``"connecting"`` or ``"connected"``.
    """

    def __init__(
        self, endpoint: IStreamClientEndpoint, factory: Any, clock: IReactorTime, timeout: float
    ) -> None:
        self.endpoint = endpoint
        self.factory = factory
        self.state = "disconnected"
        self._clock = clock
        self._timeout = timeout
        self._started = False
        self._attempt: Deferred[Any] | None = None
        self._link: CQLProtocol | None = None

    def connect(self) -> None:
        """Begin an attempt.

        :raises RuntimeError: there is one already, or a connection.
        """
        if self.state != "disconnected":
            raise RuntimeError(f"cannot connect: {self.state}")
        self.state = "connecting"
        if not self._started:
            self.factory.doStart()
            self._started = True
        self.factory.startedConnecting(self)
        if self.state != "connecting":
            return
        self._attempt = attempt = self.endpoint.connect(_Built(self))

        def ended(result: Any) -> Any:
            self._attempt = None
            return result

        attempt.addTimeout(self._timeout, self._clock, _not_in_time)
        attempt.addBoth(ended).addErrback(self._failed)

    def stopConnecting(self) -> None:
        """Give up the attempt.

        :raises NotConnectingError: there is none.
        """
        if self.state != "connecting":
            raise NotConnectingError("we're not trying to connect")
        if self._attempt is None:
            self._failed(_given_up())
        else:
            self._attempt.cancel()

    def disconnect(self) -> None:
        """Give up the attempt, or close the connection."""
        if self.state == "connecting":
            self.stopConnecting()
        elif self._link is not None:
            self._link.close()

    def another(self) -> EndpointConnector:
        """A connector for one more connection of the same factory to the same endpoint."""
        return EndpointConnector(self.endpoint, self.factory, self._clock, self._timeout)

    def getDestination(self) -> Any:
        """The endpoint."""
        return self.endpoint

    def build(self, addr: IAddress | None) -> CQLProtocol:
        """The protocol of a connection that was made."""
        link: CQLProtocol = self.factory.buildProtocol(addr)
        link.on_closed = self._lost
        self._link = link
        self.state = "connected"
        return link

    def _failed(self, reason: Failure) -> None:
        if isinstance(reason.value, _CANCELLED):
            reason = _given_up()
        self.state = "disconnected"
        self.factory.clientConnectionFailed(self, reason)
        self._stop_factory()

    def _lost(self, reason: Failure) -> None:
        self.state = "disconnected"
        self._link = None
        self.factory.clientConnectionLost(self, reason)
        self._stop_factory()

    def _stop_factory(self) -> None:
        if self.state == "disconnected" and self._started:
            self._started = False
            self.factory.doStop()


class _Built(Factory):
    """Gives an endpoint the protocols that a connector builds."""

    noisy = False

    def __init__(self, connector: EndpointConnector) -> None:
        self._connector = connector

    def buildProtocol(self, addr: IAddress | None) -> CQLProtocol:
        return self._connector.build(addr)
