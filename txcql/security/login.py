"""How a session logs in to its nodes."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from inspect import isawaitable
from typing import Any

from twisted.internet.address import UNIXAddress
from twisted.internet.interfaces import INegotiated, ISSLTransport
from twisted.logger import Logger

from txcql.errors import AuthenticationFailed
from txcql.interfaces import IAuthenticator
from txcql.security.authenticators import PlainAuthenticator
from txcql.security.secret import Secret

__all__ = ["Login", "is_secure"]

log = Logger(namespace="txcql.security")


class Login:
    """Makes the authenticator of each link, and minds where a password goes.

    :param username: the role to log in as; ``None`` without one.
    :param password: its password, or a callable that gives it.
    :param make: in place of both: makes an authenticator.
    :param require_tls: whether a login without TLS is refused.
    """

    def __init__(
        self,
        username: str | None,
        password: Secret | None,
        make: Callable[[], Any] | None,
        require_tls: bool,
    ) -> None:
        self._username = username
        self._password = password
        self._make = make
        self._require_tls = require_tls
        self._warned = False

    def __bool__(self) -> bool:
        """Whether there is a login."""
        return self._make is not None or self._password is not None

    async def authenticator(self) -> Any:
        """A new authenticator.

        :raises TypeError: the application gave something else.
        """
        if self._make is not None:
            made = await given(self._make())
            if not IAuthenticator.providedBy(made):
                raise TypeError(f"authenticator must make an IAuthenticator, got {type(made).__name__}")
            return made
        assert self._username is not None and self._password is not None
        password = self._password.reveal()
        if not callable(password):
            return PlainAuthenticator(self._username, password)
        # No local variable holds it: a traceback may show those.
        return PlainAuthenticator(self._username, await given(password()))

    def check(self, transport: Any) -> None:
        """Look where the credentials would go, before they are asked for.

        :raises AuthenticationFailed: the link does not speak TLS, and that is required.
        """
        if self._require_tls and not is_secure(transport):
            raise AuthenticationFailed(
                "no login over plaintext (require_tls_for_login): give tls=, as in tls=txcql.TLS()"
            )

    def warn(self, node: str, transport: Any, authenticator: object) -> None:
        """Warn, once, of a password that goes over a network in plaintext.

        :param node: the ``host:port`` of the node.
        """
        plain = isinstance(authenticator, PlainAuthenticator)
        if plain and not self._warned and not is_secure(transport) and not _is_local(transport):
            self._warned = True
            log.warn(
                "{node}: a password goes over the network in plaintext: give tls=; "
                "require_tls_for_login=True refuses it",
                node=node,
            )

    def __repr__(self) -> str:
        return f"<Login {self._username!r}>" if self._make is None else "<Login>"


async def given(answer: Any) -> Any:
    """What a call gives, at once or by a Deferred or coroutine."""
    return await answer if isawaitable(answer) else answer


def is_secure(transport: Any) -> bool:
    """Whether a transport speaks TLS."""
    return bool(ISSLTransport.providedBy(transport) or INegotiated.providedBy(transport))


def _is_local(transport: Any) -> bool:
    peer = transport.getPeer()
    if isinstance(peer, UNIXAddress):
        return True
    try:
        return ipaddress.ip_address(peer.host).is_loopback
    except (AttributeError, ValueError):
        return False
