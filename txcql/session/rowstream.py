"""A stream of rows: page after page, no faster than its consumer takes them.

Who pauses whom: the consumer pauses the :class:`RowStream`. It then holds the page in progress and
at most ``prefetch_pages`` further ones, and asks the cluster for nothing; the link, which other
requests share, is never stopped for it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, Protocol as TypingProtocol

from twisted.internet.defer import Deferred, fail, maybeDeferred, succeed
from twisted.internet.interfaces import IDelayedCall, IPushProducer, IReactorTime
from twisted.python.failure import Failure
from zope.interface import implementer

from txcql.errors import ProtocolError
from txcql.session.results import Result
from txcql.wire.pagewatch import PageWatch

__all__ = ["NO_ROW", "ROWS_A_TURN", "RowStream"]

ROWS_A_TURN = 500
"""Rows given out before the reactor has its turn: some milliseconds of decoding."""

NO_ROW = object()
"""What stands for a row that is not there yet."""

_ITERATED = "iterated over"
_DELIVERED = "delivered to a consumer"


class PageSource(TypingProtocol):
    """Where the pages of a stream come from, if that is not shared with others."""

    def hold(self) -> None:
        """The stream is paused."""

    def release(self) -> None:
        """It goes on."""

    def close(self) -> None:
        """It needs no further page."""


@implementer(IPushProducer)
class RowStream:
    """All rows of a statement, read page by page.

    Use it in one of three ways: ``async for row in stream``, :meth:`deliver_to` an
    :class:`~txcql.interfaces.IRowConsumer`, or :meth:`deliver_to` an ``IConsumer`` of bytes. As an
    async context manager it stops when the block is left.

    Nothing is asked for before rows are. One that is abandoned asks for nothing more.

    After some hundreds of rows the reactor has its turn, however large a page is.

    In an ``async for``, a bad value raises :class:`~txcql.errors.DecodeError` at its row; another
    ``async for`` over the same stream goes on behind it.

    :param fetch: asks for the page behind the one that it is given, ``None`` for the first.
    :param clock: gives the reactor its turn between slices.
    :param prefetch_pages: pages to hold besides the one in progress.
    :param source: is told of pauses, and when no further page is needed.
    :ivar delivered: rows given out so far.
    """

    def __init__(
        self,
        fetch: Callable[[Result | None], Deferred[Result]],
        clock: IReactorTime,
        prefetch_pages: int,
        source: PageSource | None = None,
    ) -> None:
        self.delivered = 0
        self._source = source
        self._fetch = fetch
        self._clock = clock
        self._prefetch = prefetch_pages
        self._use: str | None = None
        # The pages: the one in progress, those held, and how it goes on.
        self._rows: Iterator[Any] | None = None
        self._pages: deque[Result] = deque()
        self._last: Result | None = None
        self._fetching: Deferred[Result] | None = None
        self._watch = PageWatch()
        self._complete = False
        self._failure: Failure | None = None
        self._stopped = False
        # Who iterates.
        self._waiter: Deferred[None] | None = None
        self._left = ROWS_A_TURN
        # Whom it delivers to.
        self._consumer: Any = None
        self._write: Callable[[Any], object] | None = None
        self._done: Deferred[int] | None = None
        self._paused = False
        self._writing = False
        self._turn: IDelayedCall | None = None

    # An async iterator, and a context manager.

    def __aiter__(self) -> RowStream:
        return self

    async def __anext__(self) -> Any:
        while (row := self.take_row()) is NO_ROW:
            await self.when_row()
        return row

    def take_row(self) -> Any:
        """The next row, for an async iterator.

        :returns: the row; ``NO_ROW`` if :meth:`when_row` is to be waited for first.
        :raises StopAsyncIteration: there is none any more.
        """
        self._take_for(_ITERATED)
        if not self._left and not self._stopped:
            return NO_ROW
        row = self._next_row()
        if row is not NO_ROW:
            self.delivered += 1
            self._left -= 1
            return row
        if self._failure is not None:
            # Told once; after that it is at its end.
            failure, self._failure, self._complete = self._failure, None, True
            failure.raiseException()
        if self._stopped or self._complete:
            raise StopAsyncIteration
        return NO_ROW

    def when_row(self) -> Deferred[None]:
        """Wait until it makes sense to try :meth:`take_row` again."""
        if self._waiter is not None:
            raise RuntimeError("the stream is iterated over by somebody else, who waits for a row")
        yields, self._left = not self._left, ROWS_A_TURN
        if yields:
            self._turn = self._clock.callLater(0, self._next_turn)
        else:
            self._ask()
            if self._fetching is None:
                return succeed(None)
        self._waiter = Deferred(self._forget_waiter)
        return self._waiter

    async def __aenter__(self) -> RowStream:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stopProducing()

    # A producer.

    def deliver_to(self, consumer: Any, encode: Callable[[Any], bytes] | None = None) -> Deferred[int]:
        """Write every row to a consumer, at its pace.

        The consumer's ``registerProducer(stream, True)`` is called first, and its
        ``unregisterProducer()`` last and once, however it ends.

        :param consumer: an :class:`~txcql.interfaces.IRowConsumer`; with ``encode``, an
            ``IConsumer`` of bytes, such as a ``twisted.web`` request.
        :param encode: makes bytes of a row, for example :func:`txcql.json_lines`.
        :returns: fires with the number of rows delivered, also after ``stopProducing``; fails with
            what went wrong, the rows before it delivered: an error of the statement, of a row's value,
            or whatever the consumer or ``encode`` raised. Cancelling it stops the stream.
        """
        try:
            self._take_for(_DELIVERED)
        except RuntimeError:
            return fail()
        done: Deferred[int] = Deferred(self._cancelled)
        # What the consumer makes of being registered has its turn when that is done.
        self._writing = True
        try:
            write = consumer.write
            consumer.registerProducer(self, True)
        except Exception:
            self._end(None)
            return fail()
        finally:
            self._writing = False
        self._write = write if encode is None else lambda row: write(encode(row))
        self._consumer = consumer
        self._done = done
        self._go_on()
        return done

    def pauseProducing(self) -> None:
        """Deliver nothing more until resumed, not even the rest of a page."""
        self._paused = True
        if self._source is not None:
            self._source.hold()

    def resumeProducing(self) -> None:
        """Go on delivering."""
        self._paused = False
        if self._source is not None:
            self._source.release()
        self._go_on()

    def stopProducing(self) -> None:
        """Deliver nothing more at all, drop what is held and ask for no further page."""
        self._end(None)

    # Inside: the pages.

    def _take_for(self, use: str) -> None:
        if self._use is None:
            self._use = use
        elif self._use != use or use == _DELIVERED:
            raise RuntimeError(f"the stream is {self._use} already")

    def _next_row(self) -> Any:
        """The next row that is here; ``NO_ROW`` if there is none."""
        while True:
            if self._rows is None:
                if not self._pages:
                    return NO_ROW
                self._rows = self._pages.popleft().rows()
                self._ask()
            row = next(self._rows, NO_ROW)
            if row is not NO_ROW:
                return row
            self._rows = None

    def _ask(self) -> None:
        """Ask for the next page, if there is room for it and it is not on its way."""
        room = self._prefetch if self._rows is not None else max(1, self._prefetch)
        over = self._stopped or self._complete or self._failure is not None
        if over or self._fetching is not None or len(self._pages) >= room:
            return
        self._fetching = fetching = maybeDeferred(self._fetch, self._last)
        fetching.addCallbacks(self._page_arrived, self._page_failed)

    def _page_arrived(self, page: Result) -> None:
        self._fetching = None
        if self._stopped:
            return
        try:
            self._watch.saw(len(page), page.raw_paging_state)
        except ProtocolError as error:
            error.node = page.coordinator
            self._page_failed(Failure(error))  # type: ignore[no-untyped-call]
            return
        self._complete = not page.has_more_pages
        self._last = None if self._complete else page
        if self._complete:
            self._close_source()
        self._pages.append(page)
        self._ask()
        self._wake()
        self._go_on()

    def _page_failed(self, failure: Failure) -> None:
        self._fetching = None
        if self._stopped:
            return
        self._failure = failure
        self._close_source()
        self._wake()
        self._go_on()

    def _close_source(self) -> None:
        source, self._source = self._source, None
        if source is not None:
            source.close()

    def _wake(self) -> None:
        if self._turn is not None:
            # It waits for its turn, not for a page.
            return
        waiter, self._waiter = self._waiter, None
        if waiter is not None:
            waiter.callback(None)

    def _forget_waiter(self, waiter: Deferred[None]) -> None:
        self._waiter = None
        if self._turn is not None:
            self._turn.cancel()
            self._turn = None

    # Inside: the consumer.

    def _go_on(self) -> None:
        """Write what may be written, some rows a turn."""
        write = self._write
        if write is None or self._writing or self._turn is not None:
            return
        left = ROWS_A_TURN
        self._writing = True
        try:
            while left and not self._paused:
                row = self._next_row()
                if row is NO_ROW:
                    break
                write(row)
                self.delivered += 1
                left -= 1
        except Exception:
            self._end(None)
            self._failure = Failure()  # type: ignore[no-untyped-call]
        finally:
            self._writing = False
        if self._stopped:
            self._let_go()
        elif self._rows is None and not self._pages and (self._complete or self._failure is not None):
            self._end(self._failure)
        elif not left:
            self._turn = self._clock.callLater(0, self._next_turn)
        elif not self._paused:
            self._ask()

    def _next_turn(self) -> None:
        self._turn = None
        self._wake()
        self._go_on()

    def _cancelled(self, done: Deferred[int]) -> None:
        # Twisted fires it.
        self._done = None
        self._end(None)

    def _end(self, failure: Failure | None) -> None:
        """Deliver nothing more, and ask for nothing; within ``write()``, the rest comes after it."""
        if self._stopped:
            return
        self._stopped = True
        self._failure = failure
        self._rows = self._last = None
        self._pages.clear()
        if self._turn is not None:
            self._turn.cancel()
            self._turn = None
        if self._fetching is not None:
            self._fetching.cancel()
        self._close_source()
        self._wake()
        if not self._writing:
            self._let_go()

    def _let_go(self) -> None:
        """Let go of the consumer, and tell how it went."""
        consumer, self._consumer = self._consumer, None
        failure, self._failure = self._failure, None
        self._write = None
        if consumer is None:
            return
        try:
            consumer.unregisterProducer()
        except Exception:
            failure = failure or Failure()  # type: ignore[no-untyped-call]
        done, self._done = self._done, None
        if done is None:
            return
        if failure is not None:
            done.errback(failure)
        else:
            done.callback(self.delivered)

    def __repr__(self) -> str:
        state = "stopped" if self._stopped else "paused" if self._paused else "flowing"
        return f"<RowStream {state} delivered={self.delivered} pages={len(self._pages)}>"
