"""The rows of a large page, decoded before it is delivered: in slices, or in a pool of threads.

Who waits for whom: the request is answered by then, so that its deadline is over; the reactor goes on
between two slices, or while the threads work.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor, Future
from itertools import islice
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.python.failure import Failure

from txcql.errors import DecodeError
from txcql.wire.rows import RowDecoder

if TYPE_CHECKING:
    from txcql.session.core import SessionCore
    from txcql.session.results import Result

__all__ = ["LARGE_PAGE", "ROWS_A_SLICE", "DecodedRows", "PageDecoding"]

LARGE_PAGE = 64 * 1024
"""Bytes of an answer from which on its rows are decoded elsewhere: less takes no longer than going there."""

ROWS_A_SLICE = 500
"""Rows that are decoded in one turn of the reactor."""


class DecodedRows(RowDecoder):
    """A decoder that has done its work.

    :param decoder: the decoder.
    :param rows: all rows of the page.
    """

    __slots__ = ("_rows",)

    def __init__(self, decoder: RowDecoder, rows: list[Any]) -> None:
        for name in RowDecoder.__slots__:
            setattr(self, name, getattr(decoder, name))
        self._rows = rows

    def rows(self, data: bytes, offset: int, count: int) -> Iterator[Any]:
        """All rows; they are the same objects each time."""
        return iter(self._rows)


class PageDecoding:
    """Decodes the rows of one result. A page with a bad value is delivered as it is: it is told at its row.

    When the session is closed meanwhile, the result is delivered at once, its rows not decoded.

    :param session: hears of its end.
    :param reactor: goes on meanwhile; results are delivered in its thread.
    :param result: the result.
    :param where: ``"reactor"``, an object with ``callInThreadWithCallback``, or an executor of
        ``concurrent.futures``.
    :ivar deferred: fires with the result; fails with what the pool raises.
    """

    def __init__(self, session: SessionCore, reactor: Any, result: Result, where: Any) -> None:
        self._session = session
        self._reactor = reactor
        self._result = result
        self._iterator = result.rows()
        self._rows: list[Any] = []
        self._call: IDelayedCall | None = None
        self.deferred: Deferred[Result] = Deferred(lambda deferred: self._stop())
        session.bulk_users.add(self)
        try:
            if where == "reactor":
                self._next_slice()
            else:
                self._enter(where)
        except Exception:
            self._finish(Failure())  # type: ignore[no-untyped-call]

    def session_closed(self) -> None:
        self._finish(self._result)

    # Inside.

    def _next_slice(self) -> None:
        self._call = None
        try:
            rows = list(islice(self._iterator, ROWS_A_SLICE))
        except DecodeError:
            self._decoded(False, None)
            return
        self._rows += rows
        if len(rows) < ROWS_A_SLICE:
            self._decoded(True, self._rows)
        else:
            self._call = self._reactor.callLater(0, self._next_slice)

    def _enter(self, pool: Any) -> None:
        if isinstance(pool, Executor):
            pool.submit(self._decode_all).add_done_callback(self._executed)
        elif not getattr(pool, "started", True):
            raise RuntimeError(f"decode_in={pool!r} is not started, and would never decode anything")
        else:
            pool.callInThreadWithCallback(self._come_back, self._decode_all)

    def _decode_all(self) -> list[Any]:
        """It runs in a thread of the pool's."""
        return list(self._iterator)

    def _executed(self, done: Future[list[Any]]) -> None:
        # In a thread of the executor's.
        success = not done.cancelled() and done.exception() is None
        self._come_back(success, done.result() if success else None)

    def _come_back(self, success: bool, rows: Any) -> None:
        # In a thread of the pool's.
        self._reactor.callFromThread(self._decoded, success, rows)

    def _decoded(self, success: bool, rows: Any) -> None:
        if success and not self.deferred.called:
            self._result.take_rows(rows)
        self._finish(self._result)

    def _finish(self, outcome: Any) -> None:
        if not self.deferred.called:
            self._stop()
            self.deferred.callback(outcome)

    def _stop(self) -> None:
        self._session.bulk_users.discard(self)
        if self._call is not None:
            self._call.cancel()
            self._call = None
