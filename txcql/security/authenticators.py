"""Authentication: who the application is, to a node."""

from __future__ import annotations

from zope.interface import implementer

from txcql.errors import AuthenticationFailed
from txcql.interfaces import IAuthenticator
from txcql.security.secret import Secret

__all__ = ["PlainAuthenticator"]


@implementer(IAuthenticator)
class PlainAuthenticator:
    """SASL PLAIN (RFC 4616), without an authorization identity: what PasswordAuthenticator asks for.

    The password is in no repr, and it cannot be pickled.

    :raises TypeError: username or password is no str.
    :raises ValueError: one of them cannot be sent: it has a NUL or a lone surrogate.
    """

    def __init__(self, username: str, password: str) -> None:
        problem = _problem(username, "the username") or _problem(password, "the password")
        self._username = username
        self._password = Secret(password)
        # Nothing that shows this call shows it, either.
        del password
        if problem is not None:
            raise problem

    def initial_response(self, server_class: str) -> bytes:
        return b"\0" + self._username.encode() + b"\0" + self._password.reveal().encode()  # type: ignore[no-any-return]

    def evaluate_challenge(self, token: bytes | None) -> bytes:
        raise AuthenticationFailed("the node sent a challenge, and SASL PLAIN has none")

    def __repr__(self) -> str:
        return f"<PlainAuthenticator {self._username!r}>"


def _problem(text: object, what: str) -> Exception | None:
    """Why a text cannot be sent; the text itself is not in it."""
    if not isinstance(text, str):
        return TypeError(f"{what} must be a str, got {type(text).__name__}")
    if "\0" in text:
        return ValueError(f"{what} has a NUL, which SASL PLAIN cannot send")
    if any("\ud800" <= letter <= "\udfff" for letter in text):
        return ValueError(f"{what} has a lone surrogate, which UTF-8 cannot hold")
    return None
