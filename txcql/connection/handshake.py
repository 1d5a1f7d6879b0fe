"""From a fresh link to one that takes requests: OPTIONS, STARTUP, login, keyspace."""

from __future__ import annotations

import re

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
from txcql.security.login import given
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
    if settings.throw_on_overload:
        options["THROW_ON_OVERLOAD"] = "1"
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
    login = settings.login
    if not login:
        raise _refused(link, f"the node asks for a login ({server_class}): give username and password")
    try:
        login.check(link.transport)
        authenticator = await login.authenticator()
        login.warn(link.node, link.transport, authenticator)
        # No local variable holds a token: a traceback may show those.
        answer = await _respond(link, await given(authenticator.initial_response(server_class)))
        challenges = 0
        while not isinstance(answer, AuthSuccess):
            if not isinstance(answer, AuthChallenge):
                raise _unexpected(link, answer, "AUTH_CHALLENGE or AUTH_SUCCESS")
            challenges += 1
            if challenges >= MAX_CHALLENGES:
                raise AuthenticationFailed(f"the login did not end after {MAX_CHALLENGES} challenges")
            answer = await _respond(link, await given(authenticator.evaluate_challenge(answer.token)))
    except AuthenticationFailed as error:
        raise _refused(link, str(error)) from error


def _respond(link: CQLProtocol, token: bytes) -> Deferred[Message]:
    return link.ask(constants.AUTH_RESPONSE, requests.auth_response(token))


def _refused(link: CQLProtocol, text: str) -> CQLError:
    error = AuthenticationFailed(f"{link.node}: {text}")
    error.node = link.node
    return error


def _unexpected(link: CQLProtocol, answer: Message, expected: str) -> ProtocolError:
    return ProtocolError(f"{link.node} answered {type(answer).__name__} where {expected} was expected")
