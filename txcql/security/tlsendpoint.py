"""An endpoint whose connections speak TLS."""

from __future__ import annotations

import inspect
from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IProtocol, IProtocolFactory, IReactorTime, IStreamClientEndpoint
from zope.interface import implementer

from txcql.security.tls import MISSING, TLS, TLSPeer

__all__ = ["TLSEndpoint", "check_tls"]


def check_tls(tls: object) -> None:
    """See whether something can be the setting ``tls``.

    :raises TypeError: it cannot.
    """
    if tls is None or isinstance(tls, TLS):
        return
    if not any(callable(getattr(tls, name, None)) for name in ("clientConnectionForTLS", "getContext")):
        raise TypeError(
            f"tls must be a txcql.TLS, or a client context or options of Twisted's, got {tls!r}: "
            "as in tls=txcql.TLS()"
        )


@implementer(IStreamClientEndpoint)
class TLSEndpoint:
    """Connects through another endpoint, and speaks TLS over that.

    :param endpoint: the other one.
    :param tls: a :class:`~txcql.security.tls.TLS`, or any client context or options of Twisted's.
    :param peer: the node.
    :param clock: times what TLS waits for.
    """

    def __init__(self, endpoint: IStreamClientEndpoint, tls: Any, peer: TLSPeer, clock: IReactorTime) -> None:
        self._endpoint = endpoint
        self._tls = tls
        self._peer = peer
        self._clock = clock

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        try:
            factory = self._wrapped(protocolFactory)
        except Exception as error:
            return fail(error)
        connecting: Deferred[Any] = self._endpoint.connect(factory)
        return connecting.addCallback(lambda protocol: protocol.wrappedProtocol)

    def _wrapped(self, factory: IProtocolFactory) -> Any:
        try:
            from twisted.protocols.tls import TLSMemoryBIOFactory
        except ImportError as error:
            raise ImportError(MISSING) from error
        tls: Any = self._tls
        if isinstance(tls, TLS):
            tls = tls.connection_for(self._peer)
        # Newer ones would look for the global reactor; older ones need no clock.
        timed = "clock" in inspect.signature(TLSMemoryBIOFactory.__init__).parameters
        clock = {"clock": self._clock} if timed else {}
        return TLSMemoryBIOFactory(tls, True, factory, **clock)

    def __repr__(self) -> str:
        return f"<TLSEndpoint {self._endpoint!r}>"
