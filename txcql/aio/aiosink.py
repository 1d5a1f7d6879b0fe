"""A sink of statements, for asyncio.

Who pauses whom: the sink pauses its producer, which is the :class:`AioStatementSink` around it;
whoever writes to that waits in :meth:`AioStatementSink.drain` until the sink resumes it.
"""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Any

from twisted.internet.interfaces import IPushProducer
from zope.interface import implementer

from txcql.aio.futures import as_future
from txcql.session.sink import SinkCounts, StatementSink
from txcql.session.statements import Statement

__all__ = ["AioStatementSink"]


@implementer(IPushProducer)
class AioStatementSink:
    """A sink that is written to as a ``StreamWriter`` is: ``write()``, then ``await drain()``.

    As an async context manager it is finished, and waited for, when the block is left; an exception
    ends it there.

    :param sink: the sink.
    :ivar finished: the future of :class:`~txcql.session.sink.SinkCounts`: it is there once every
        statement is answered. Cancelling it ends the sink.
    """

    def __init__(self, sink: StatementSink) -> None:
        self._sink = sink
        self._room: asyncio.Future[None] | None = None
        self._finished = False
        self.finished: asyncio.Future[SinkCounts] = as_future(sink.finished)
        sink.registerProducer(self, True)

    @property
    def counts(self) -> SinkCounts:
        """What became of the statements so far."""
        return self._sink.counts

    def write(self, statement: str | Statement, parameters: Any = None) -> None:
        """Execute a statement, at once or when there is room.

        :raises BusyConnectionError: nobody waits for room:
            :data:`~txcql.session.sink.MAX_KEPT` statements wait already.
        """
        self._sink.write(statement, parameters)

    async def drain(self) -> None:
        """Wait until there is room for a further statement.

        :raises Exception: what has ended the sink.
        """
        if self.finished.done():
            self.finished.result()
        if self._room is not None:
            await asyncio.shield(self._room)
            if self.finished.done():
                self.finished.result()

    def finish(self) -> asyncio.Future[SinkCounts]:
        """Nothing more will be written.

        :returns: the future ``finished``.
        """
        if not self._finished:
            self._finished = True
            self._sink.unregisterProducer()
        return self.finished

    async def __aenter__(self) -> AioStatementSink:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is None:
            await self.finish()
        else:
            self.finished.cancel()

    # What the sink calls.

    def pauseProducing(self) -> None:
        if self._room is None:
            self._room = asyncio.get_running_loop().create_future()

    def resumeProducing(self) -> None:
        room, self._room = self._room, None
        if room is not None:
            room.set_result(None)

    def stopProducing(self) -> None:
        self._finished = True
        self.resumeProducing()

    def __repr__(self) -> str:
        return repr(self._sink)
