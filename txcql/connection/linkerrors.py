"""What requests are told that their link does not answer."""

from __future__ import annotations

from txcql.errors import SENT, ConnectionLost, CQLError, ProtocolError, RequestTimeout

__all__ = ["defect_error", "link_error", "read_timeout", "violation"]


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


def violation(node: str, cause: ProtocolError) -> ProtocolError:
    """Why a link was closed whose peer breaks the protocol."""
    text = str(cause)
    # "the peer answered …" has a place for the name.
    error = ProtocolError(
        text.replace("the peer", node, 1) if text.startswith("the peer ") else f"{node}: {text}"
    )
    error.node = node
    error.__cause__ = cause
    return error
