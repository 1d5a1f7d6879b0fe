"""A stream of rows, for asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Any

from txcql.aio.futures import as_future
from txcql.session.rowstream import NO_ROW, RowStream

__all__ = ["AioRowStream"]


class AioRowStream:
    """A :class:`txcql.RowStream` for ``async for`` in a task.

    :param stream: the stream.
    """

    def __init__(self, stream: RowStream) -> None:
        self._stream = stream

    @property
    def delivered(self) -> int:
        """Rows given out so far."""
        return self._stream.delivered

    def __aiter__(self) -> AioRowStream:
        return self

    async def __anext__(self) -> Any:
        stream = self._stream
        while (row := stream.take_row()) is NO_ROW:
            await as_future(stream.when_row())
        return row

    async def __aenter__(self) -> AioRowStream:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stream.stopProducing()

    def deliver_to(self, consumer: Any, encode: Callable[[Any], bytes] | None = None) -> asyncio.Future[int]:
        """As :meth:`txcql.RowStream.deliver_to`, with a future."""
        return as_future(self._stream.deliver_to(consumer, encode))

    def stop(self) -> None:
        """Give out nothing more, drop what is held and ask for no further page."""
        self._stream.stopProducing()

    def __repr__(self) -> str:
        return repr(self._stream)
