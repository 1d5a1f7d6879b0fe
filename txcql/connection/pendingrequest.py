"""What a link knows of a request: bytes to send, and whom to tell of the answer."""

from __future__ import annotations

from typing import Protocol

from twisted.internet.defer import Deferred

from txcql.errors import CQLError, ServerError
from txcql.wire.frames import Frame
from txcql.wire.responses import Message, decode_response

__all__ = ["DeferredRequest", "Holder", "PendingRequest"]


class Holder(Protocol):
    """Where a request is: a link that has sent it, or a queue."""

    def withdraw(self, request: PendingRequest) -> None:
        """Its answer is no longer wanted; whoever says so sets its holder to ``None``."""


class PendingRequest:
    """One request on its way through queue and link; subclasses say what becomes of its answer.

    Exactly one of :meth:`received` and :meth:`failed` is called for each time that it is sent,
    unless it is withdrawn before.

    :ivar opcode: the opcode of the request.
    :ivar flags: the flags of its header.
    :ivar body: its body, kept until it is answered: a node may make it be sent again.
    :ivar size: the size of its body, in bytes.
    :ivar holder: the link or queue that has it, ``None`` if none has.
    :ivar stream: its stream id on that link.
    :ivar written: a list whose only item is the time at which its bytes left the Write Buffer,
        ``None`` before; shared by all requests of one flush.
    :ivar untimed: whether the link's read timeout leaves it alone, because its own deadline is later.
    """

    __slots__ = ("body", "flags", "holder", "opcode", "size", "stream", "untimed", "written")

    body: bytes
    flags: int
    holder: Holder | None
    opcode: int
    size: int
    stream: int
    untimed: bool
    written: list[float | None]

    def received(self, frame: Frame) -> None:
        """The answer is there; its stream is free already."""
        raise NotImplementedError

    def failed(self, error: CQLError) -> None:
        """There will be no answer; ``error.delivery`` says whether the request reached the node."""
        raise NotImplementedError


class DeferredRequest(PendingRequest):
    """A request of the driver's own: a Deferred that fires with the decoded answer.

    :param node: the ``host:port`` that it goes to, for errors.
    :ivar deferred: fires with a :class:`~txcql.wire.responses.Message`, or fails with a
        :class:`~txcql.errors.CQLError`.
    """

    __slots__ = ("_node", "deferred")

    def __init__(self, opcode: int, body: bytes, node: str | None = None) -> None:
        self._node = node
        self.opcode = opcode
        self.flags = 0
        self.body = body
        self.size = len(body)
        self.untimed = False
        self.holder = None
        self.deferred: Deferred[Message] = Deferred(self._cancel)

    def received(self, frame: Frame) -> None:
        self.holder = None
        try:
            message = decode_response(frame.opcode, frame.body, frame.version, frame.flags)
        except CQLError as error:
            error.node = self._node
            self.deferred.errback(error)
            return
        if isinstance(message, ServerError):
            message.node = self._node
            self.deferred.errback(message)
        else:
            self.deferred.callback(message)

    def failed(self, error: CQLError) -> None:
        self.holder = None
        self.deferred.errback(error)

    def _cancel(self, deferred: Deferred[Message]) -> None:
        if self.holder is not None:
            self.holder.withdraw(self)
            self.holder = None
