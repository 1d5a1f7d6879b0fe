"""One statement for many rows of parameters."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, cast

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from txcql.errors import SessionClosed
from txcql.session.bulksender import BulkSender
from txcql.session.options import RequestOptions
from txcql.session.statements import PreparedStatement

if TYPE_CHECKING:
    from txcql.session.executor import StatementExecutor

__all__ = ["ExecuteMany", "OnResult"]

OnResult = Callable[[int, Any], object]

_END = object()


class ExecuteMany:
    """Takes rows from an iterable as there is room for them, and gathers what becomes of each.

    A row is taken only when it can be sent; one is held while its pool has no room. When it ends
    early, what is sent already will be answered, but nobody is told.

    :param session: whose pools are used.
    :param clock: gives the reactor its turn.
    :param statement: the prepared statement, or text that is not to be prepared.
    :param options: of each request.
    :param rows: any iterable, sync or async.
    :param concurrency: requests in flight at most.
    :param on_result: called with the number of each row, from 0, and its result or exception;
        without it, they are gathered in a list.
    :param ordered: whether ``on_result`` is called in the order of the rows. A slow row then holds
        up those behind it: no row is taken while twice ``concurrency`` of them wait for their turn.
    :param raise_errors: whether the first error ends the whole.
    :ivar deferred: fires with the list of results, or the number of rows if ``on_result`` took them.
    """

    def __init__(
        self,
        session: StatementExecutor,
        clock: IReactorTime,
        statement: PreparedStatement | str,
        options: RequestOptions,
        rows: Iterable[Any] | AsyncIterable[Any],
        concurrency: int,
        on_result: OnResult | None,
        ordered: bool,
        raise_errors: bool,
    ) -> None:
        self._sender = BulkSender(session, clock, options, concurrency, self._go_on)
        self._session = session
        self._statement = statement
        self._rows: Iterator[Any] | None = None
        self._async_rows: AsyncIterator[Any] | None = None
        if isinstance(rows, AsyncIterable):
            self._async_rows = rows.__aiter__()
        else:
            self._rows = iter(rows)
        self._next_row: Deferred[Any] | None = None
        self._on_result = on_result
        self._raise_errors = raise_errors
        self._results: list[Any] = []
        self._early: dict[int, Any] | None = {} if ordered and on_result is not None else None
        self._most_early = 2 * concurrency
        self._taken = 0
        self._told = 0
        self._exhausted = False
        self._done = False
        self._going = False
        self.deferred: Deferred[Any] = Deferred(lambda deferred: self._stop())
        session.bulk_users.add(self)

    def start(self) -> None:
        """Begin."""
        self._go_on()

    def session_closed(self) -> None:
        self._finish(Failure(SessionClosed()))  # type: ignore[no-untyped-call]

    # Taking rows.

    def _go_on(self) -> None:
        # A row may be there, or answered, at once: the loop below goes on by itself.
        if self._going:
            return
        self._going = True
        try:
            while not self._done and not self._exhausted and self._next_row is None and self._has_room():
                self._take()
        finally:
            self._going = False
        if self._exhausted and self._told == self._taken and not self._done:
            self._finish(None)

    def _has_room(self) -> bool:
        return self._sender.ready and (self._early is None or self._taken - self._told < self._most_early)

    def _take(self) -> None:
        if self._rows is not None:
            try:
                row = next(self._rows, _END)
            except Exception:
                self._finish(Failure())  # type: ignore[no-untyped-call]
            else:
                self._send(row)
            return
        self._next_row = next_row = Deferred.fromCoroutine(self._anext())
        next_row.addCallbacks(self._row_arrived, self._rows_failed)

    async def _anext(self) -> Any:
        try:
            return await cast(AsyncIterator[Any], self._async_rows).__anext__()
        except StopAsyncIteration:
            return _END

    def _row_arrived(self, row: Any) -> None:
        self._next_row = None
        self._send(row)
        self._go_on()

    def _rows_failed(self, failure: Failure) -> None:
        self._next_row = None
        self._finish(failure)

    def _send(self, row: Any) -> None:
        if self._done:
            return
        if row is _END:
            self._exhausted = True
            return
        number = self._taken
        self._taken += 1
        if self._on_result is None:
            self._results.append(None)
        self._sender.send(self._statement, row, lambda outcome: self._outcome(number, outcome))

    # Telling what became of them.

    def _outcome(self, number: int, outcome: Any) -> None:
        if self._done:
            return
        if isinstance(outcome, Failure):
            error = cast(Exception, outcome.value)
            if self._raise_errors:
                error.row_number = number  # type: ignore[attr-defined]
                self._finish(outcome)
                return
            # Its traceback leads to this row, and would keep it.
            outcome = error.with_traceback(None)
        if self._on_result is None:
            self._results[number] = outcome
            self._told += 1
            return
        try:
            self._tell(self._on_result, number, outcome)
        except Exception:
            self._finish(Failure())  # type: ignore[no-untyped-call]

    def _tell(self, on_result: OnResult, number: int, outcome: Any) -> None:
        if self._early is None:
            self._told += 1
            on_result(number, outcome)
            return
        self._early[number] = outcome
        while not self._done and self._told in self._early:
            number = self._told
            self._told += 1
            on_result(number, self._early.pop(number))

    # The end.

    def _finish(self, failure: Failure | None) -> None:
        if self._done:
            return
        self._stop()
        if failure is not None:
            self.deferred.errback(failure)
        elif self._on_result is not None:
            self.deferred.callback(self._taken)
        else:
            self.deferred.callback(self._results)

    def _stop(self) -> None:
        self._done = True
        self._session.bulk_users.discard(self)
        self._sender.stop()
        if self._next_row is not None:
            self._next_row.cancel()
