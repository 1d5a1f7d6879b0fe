"""Authentication: who the application is, to a node."""

from __future__ import annotations

from zope.interface import implementer

from txcql.errors import AuthenticationFailed
from txcql.interfaces import IAuthenticator

__all__ = ["PlainAuthenticator"]


@implementer(IAuthenticator)
class PlainAuthenticator:
    """SASL PLAIN (RFC 4616), without an authorization identity: what PasswordAuthenticator asks for.

    The password is in no repr.
    """

    def __init__(self, username: str, password: str) -> None:
        self._username = username
        self._password = password

    def initial_response(self, server_class: str) -> bytes:
        return b"\0" + self._username.encode() + b"\0" + self._password.encode()

    def evaluate_challenge(self, token: bytes | None) -> bytes:
        raise AuthenticationFailed("the node sent a challenge, and SASL PLAIN has none")

    def __repr__(self) -> str:
        return f"<PlainAuthenticator {self._username!r}>"
