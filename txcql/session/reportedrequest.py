"""Requests that tell policies how their attempts go: made in place of the others if a policy wants to know.

An attempt lasts for as long as a queue or a link holds the request.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from twisted.internet.defer import CancelledError
from twisted.logger import Logger

from txcql.connection.pendingrequest import Holder
from txcql.connection.protocol import CQLProtocol
from txcql.errors import CQLError, RequestTimeout
from txcql.pool.requestqueue import RequestQueue
from txcql.session.request import Request
from txcql.wire import constants
from txcql.wire.frames import Frame

__all__ = ["reported_kinds"]

log = Logger(namespace="txcql.session")


class Reported(Request):
    """What is added to each kind of request.

    :cvar below: what the attribute ``holder`` of that kind is.
    :ivar begun: when the current attempt has begun; ``None`` if there is none.
    """

    below: ClassVar[tuple[Any]]
    begun: float | None = None

    @property
    def holder(self) -> Holder | None:
        """The link or queue that has it."""
        found: Holder | None = self.below[0].__get__(self)
        return found

    @holder.setter
    def holder(self, holder: Holder | None) -> None:
        self.below[0].__set__(self, holder)
        if self.begun is None and isinstance(holder, CQLProtocol | RequestQueue):
            self.begun = self.session.seconds()
            node = self.pool.name  # type: ignore[union-attr]
            for listener in self.session.attempt_listeners:
                _tell(listener.attempt_begun, node)

    def ended(self, error: BaseException | None) -> None:
        """If there is an attempt, it is over."""
        begun, self.begun = self.begun, None
        if begun is None:
            return
        written = getattr(self, "written", (None,))[0]
        # That of an attempt before this one says nothing.
        since = written if written is not None and written >= begun else begun
        seconds = self.session.seconds() - since
        node = self.pool.name  # type: ignore[union-attr]
        for listener in self.session.attempt_listeners:
            _tell(listener.attempt_ended, node, seconds, error)

    def received(self, frame: Frame) -> None:
        if frame.opcode != constants.ERROR:
            # Before the application is told, which may make its next request at once.
            self.ended(None)
        super().received(frame)

    def expire(self) -> None:
        self.ended(RequestTimeout(f"not answered within {self.timeout:g} s"))
        super().expire()

    def _answered(self, error: CQLError) -> None:
        self.ended(error)
        super()._answered(error)

    def _attempt_failed(self, error: CQLError) -> None:
        self.ended(error)
        super()._attempt_failed(error)

    def _withdraw(self) -> str:
        self.ended(CancelledError())
        return super()._withdraw()


def reported_kinds(kinds: Sequence[Any], listeners: Sequence[Any]) -> Sequence[Any]:
    """What a session makes its requests of.

    :param kinds: the classes of requests that tell no policy.
    :param listeners: the policies that hear of attempts.
    :returns: these classes, if there are none; else classes that tell them.
    """
    if not listeners:
        return kinds
    return [type(f"Reported{kind.__name__}", (Reported, kind), {"below": (kind.holder,)}) for kind in kinds]


def _tell(tell: Callable[..., None], *about: Any) -> None:
    try:
        tell(*about)
    except Exception:
        # A defect of one policy must not harm the request.
        log.failure("a policy failed to take in an attempt")
