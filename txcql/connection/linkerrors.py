"""What requests are told that their link does not answer."""

from __future__ import annotations

from txcql.errors import SENT, ConnectionLost, CQLError, ProtocolError, RequestTimeout, TLSError

__all__ = ["defect_error", "link_error", "read_timeout", "unanswered", "unreadable", "violation"]

_TLS_ALERT = b"\x15\x03"


def link_error(
    node: str, text: str, delivery: str | None, cause: BaseException | None = None
) -> ConnectionLost:
    """What a request is told when its link is lost.

    :param node: the ``host:port`` of the link.
    :param delivery: whether the request reached the node, ``None`` where no request is concerned.
    """
    error = ConnectionLost(f"{node}: {text}" + (f" (the request: {delivery})" if delivery else ""))
    error.node = node
    error.delivery = delivery
    error.__cause__ = cause
    return error


def read_timeout(node: str, seconds: float) -> RequestTimeout:
    """What a request is told that was not answered in time.

    :param seconds: the read timeout.
    """
    error = RequestTimeout(
        f"{node} did not answer within the read timeout of {seconds:g} s (the request: {SENT})"
    )
    error.node = node
    error.delivery = SENT
    return error


def defect_error(node: str, cause: Exception) -> CQLError:
    """What a request is told whose answer is there and which failed at reading it."""
    error = CQLError(f"{node}: the answer cannot be read: {cause!r} (the request: {SENT})")
    error.node = node
    error.delivery = SENT
    error.__cause__ = cause
    return error


def unreadable(node: str, cause: ProtocolError) -> ProtocolError:
    """What a request is told whose answer is there and which breaks the protocol."""
    error = ProtocolError(f"{node}: {cause} (the request: {SENT})")
    error.node = node
    error.delivery = SENT
    error.__cause__ = cause
    return error


def unanswered(node: str, begun: bytes, secure: bool, cause: BaseException) -> CQLError:
    """Why a link was lost whose node has said nothing in CQL yet: the likely reason is TLS.

    :param begun: the bytes that it has said.
    :param secure: whether the link speaks TLS.
    """
    error: CQLError
    lost = f"{node}: the node closed the link before it answered anything"
    if begun.startswith(_TLS_ALERT):
        error = TLSError(f"{node} speaks TLS, and this link does not: give tls=, as in tls=txcql.TLS()")
    elif secure:
        error = ConnectionLost(
            f"{lost}: it may not speak TLS (tls=), or require another certificate of the client ({cause})"
        )
    else:
        error = ConnectionLost(
            f"{lost}: it may speak TLS, and this link does not: give tls=, as in tls=txcql.TLS() ({cause})"
        )
    error.node = node
    error.__cause__ = cause
    return error


def violation(node: str, cause: ProtocolError | TLSError) -> ProtocolError | TLSError:
    """Why a link was closed whose peer breaks the protocol."""
    text = str(cause)
    kind = TLSError if isinstance(cause, TLSError) else ProtocolError
    # "the peer answered …" has a place for the name.
    error = kind(text.replace("the peer", node, 1) if text.startswith("the peer ") else f"{node}: {text}")
    error.node = node
    error.__cause__ = cause
    return error
