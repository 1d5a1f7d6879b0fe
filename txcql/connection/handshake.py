"""From a fresh link to one that takes requests: OPTIONS, STARTUP, login, keyspace."""

from __future__ import annotations

import re
from typing import Any

from twisted.internet.defer import Deferred

from txcql._version import __version__
from txcql.connection.protocol import CQLProtocol
from txcql.errors import (
    AuthenticationFailed,
    CQLError,
    InvalidRequest,
    ProtocolError,
    ServerProtocolError,
    UnsupportedProtocolVersion,
)
from txcql.interfaces import IAuthenticator
from txcql.security import PlainAuthenticator
from txcql.settings import Settings
from txcql.wire import constants, requests
from txcql.wire.responses import AuthChallenge, Authenticate, AuthSuccess, Message, Ready, Supported

__all__ = ["MAX_CHALLENGES", "handshake", "startup_options"]

MAX_CHALLENGES = 16
"""Rounds of a login after which the node is taken to be wrong; SASL mechanisms need a handful."""

# A node that does not speak a version says so in one of these ways, by its release.
_VERSION_REFUSED = re.compile("protocol version|version of the protocol", re.IGNORECASE)


def startup_options(settings: Settings) -> dict[str, str]:
    """What STARTUP says of the driver and the link."""
    options = {
        "CQL_VERSION": "3.0.0",
        "DRIVER_NAME": "txcql",
        "DRIVER_VERSION": __version__,
    }
    if settings.compression is not None:
        options["COMPRESSION"] = settings.compression
    if settings.application_name is not None:
        options["APPLICATION_NAME"] = settings.application_name
    return options


async def handshake(link: CQLProtocol, settings: Settings, keyspace: str | None) -> None:
    """Make a connected link ready.

    :param keyspace: the keyspace that the link shall be in.
    :raises UnsupportedProtocolVersion: the node does not speak the link's version.
    :raises AuthenticationFailed: the login was refused, or is missing.
    :raises InvalidRequest: the keyspace does not exist.
    :raises ProtocolError: the peer is no Cassandra node, or breaks the protocol.
    """
    supported = await _ask_for_version(link, constants.OPTIONS, b"")
    if not isinstance(supported, Supported):
        raise _unexpected(link, supported, "SUPPORTED")
    _check_compression(link, settings.compression, supported)
    answer = await _ask_for_version(link, constants.STARTUP, requests.startup(startup_options(settings)))
    if isinstance(answer, Authenticate):
        await _log_in(link, settings, answer.authenticator)
    elif not isinstance(answer, Ready):
        raise _unexpected(link, answer, "READY or AUTHENTICATE")
    if keyspace is not None:
        try:
            await link.use(keyspace)
        except InvalidRequest as error:
            missing = InvalidRequest(f'keyspace "{keyspace}" does not exist')
            missing.node = link.node
            raise missing from error


async def _ask_for_version(link: CQLProtocol, opcode: int, body: bytes) -> Message:
    try:
        return await link.ask(opcode, body)
    except ServerProtocolError as error:
        if _VERSION_REFUSED.search(error.message):
            raise UnsupportedProtocolVersion(
                f"{link.node} does not speak protocol version {link.version}: {error.message}"
            ) from error
        raise


def _check_compression(link: CQLProtocol, compression: str | None, supported: Supported) -> None:
    offered = supported.options.get("COMPRESSION", [])
    if compression is not None and compression not in offered:
        raise ProtocolError(
            f"{link.node} does not offer the compression {compression!r}, but {', '.join(offered) or 'none'}"
        )


async def _log_in(link: CQLProtocol, settings: Settings, server_class: str) -> None:
    authenticator: Any
    if settings.authenticator is not None:
        authenticator = settings.authenticator()
        if not IAuthenticator.providedBy(authenticator):
            raise TypeError(f"authenticator must make an IAuthenticator, got {authenticator!r}")
    elif settings.username is not None and settings.password is not None:
        authenticator = PlainAuthenticator(settings.username, settings.password)
    else:
        raise _refused(link, f"the node asks for a login ({server_class}): give username and password")
    try:
        token = await _token(authenticator.initial_response(server_class))
        for _ in range(MAX_CHALLENGES):
            answer = await link.ask(constants.AUTH_RESPONSE, requests.auth_response(token))
            if isinstance(answer, AuthSuccess):
                return
            if not isinstance(answer, AuthChallenge):
                raise _unexpected(link, answer, "AUTH_CHALLENGE or AUTH_SUCCESS")
            token = await _token(authenticator.evaluate_challenge(answer.token))
    except AuthenticationFailed as error:
        raise _refused(link, str(error)) from error
    raise _refused(link, f"the login did not end after {MAX_CHALLENGES} challenges")


async def _token(answer: bytes | Deferred[bytes]) -> bytes:
    return await answer if isinstance(answer, Deferred) else answer


def _refused(link: CQLProtocol, text: str) -> CQLError:
    error = AuthenticationFailed(f"{link.node}: {text}")
    error.node = link.node
    return error


def _unexpected(link: CQLProtocol, answer: Message, expected: str) -> ProtocolError:
    return ProtocolError(f"{link.node} answered {type(answer).__name__} where {expected} was expected")
