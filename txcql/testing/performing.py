"""Reactions, carried out on a connection."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from txcql.errors import InternalServerError, ServerError
from txcql.testing.reactions import (
    BadChecksum,
    Close,
    Delay,
    Drop,
    Reaction,
    Reorder,
    Reset,
    Rows,
    Split,
    Unprepare,
    Void,
    WrongStream,
)
from txcql.wire import constants, responsewriter
from txcql.wire.responses import Prefixes

__all__ = ["Performance", "Performing", "Reply"]


class Reply:
    """An answer, ready to be written.

    :ivar flags: of its frame.
    """

    def __init__(self, stream: int, opcode: int, flags: int, body: bytes) -> None:
        self.stream = stream
        self.opcode = opcode
        self.flags = flags
        self.body = body
        self.piece_size: int | None = None
        self.damaged = False


class Performing(Protocol):
    """The connection that reactions are carried out on.

    :ivar held: answers that are held back to be turned round.
    """

    held: list[Reply]

    @property
    def version(self) -> int:
        """The protocol version."""

    def later(self, seconds: float, function: Callable[[], None]) -> Any:
        """Call a function later, if the connection is still there."""

    def send(self, *replies: Reply) -> None:
        """Write answers."""

    def lose(self) -> None:
        """Close the connection."""

    def abort(self) -> None:
        """Reset the connection."""

    def forget_prepared(self) -> None:
        """Forget the prepared statements of the node."""


class Performance:
    """What is done with one request.

    :param usual: makes the usual answer.
    """

    def __init__(
        self, connection: Performing, stream: int, reactions: list[Reaction], usual: Callable[[], Reply]
    ) -> None:
        self._connection = connection
        self._stream = stream
        self._left = list(reactions)
        self._usual = usual
        self._reply: Reply | None = None
        self._changes: list[Callable[[Reply], None]] = []
        self._turned: Reorder | None = None

    def go(self) -> None:
        """Carry out what is left."""
        while self._left:
            reaction = self._left.pop(0)
            if isinstance(reaction, Delay):
                self._connection.later(reaction.seconds, self.go)
                return
            if isinstance(reaction, Drop):
                return
            if isinstance(reaction, Close):
                self._connection.lose()
                return
            if isinstance(reaction, Reset):
                self._connection.abort()
                return
            self._prepare(reaction)
        self._finish()

    def _prepare(self, reaction: Reaction) -> None:
        if isinstance(reaction, Reorder):
            self._turned = reaction
        elif isinstance(reaction, Split):
            size = reaction.size
            self._changes.append(lambda reply: setattr(reply, "piece_size", size))
        elif isinstance(reaction, BadChecksum):
            if self._connection.version < 5:
                self._reply = self._error(InternalServerError("a bad checksum needs protocol v5"))
            else:
                self._changes.append(lambda reply: setattr(reply, "damaged", True))
        elif isinstance(reaction, WrongStream):
            self._changes.append(lambda reply: setattr(reply, "stream", 32767 - reply.stream))
        elif isinstance(reaction, Unprepare):
            self._connection.forget_prepared()
        elif isinstance(reaction, ServerError):
            self._reply = self._error(reaction)
        elif isinstance(reaction, Rows):
            self._reply = self._rows(reaction)
        elif isinstance(reaction, Void):
            self._reply = Reply(self._stream, constants.RESULT, 0, responsewriter.VOID)

    def _error(self, error: ServerError) -> Reply:
        return Reply(self._stream, constants.ERROR, 0, responsewriter.error(error, self._connection.version))

    def _rows(self, primed: Rows) -> Reply:
        version = self._connection.version
        header = responsewriter.rows_header(responsewriter.column_specs(primed.wire_columns(), version))
        body = responsewriter.rows(header, primed.encoded())
        flags = 0
        if primed.warnings and version >= 4:
            flags, prefix = responsewriter.prefixes(Prefixes(warnings=primed.warnings))
            body = prefix + body
        return Reply(self._stream, constants.RESULT, flags, body)

    def _finish(self) -> None:
        reply = self._reply if self._reply is not None else self._usual()
        for change in self._changes:
            change(reply)
        if self._turned is None:
            self._connection.send(reply)
            return
        held = self._connection.held
        held.append(reply)
        if len(held) >= self._turned.count:
            self._release()
        elif len(held) == 1:
            self._connection.later(self._turned.seconds, self._release)

    def _release(self) -> None:
        held = self._connection.held
        replies = list(reversed(held))
        held.clear()
        if replies:
            self._connection.send(*replies)
