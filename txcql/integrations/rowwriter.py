"""Writes rows for a program that awaits each: some requests at a time, again after an outage, in batches.

Who pauses whom: whoever awaits :meth:`RowWriter.write` is paused until its row is written; that is
how a crawl slows down with its database.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol as TypingProtocol

from twisted.internet.defer import CancelledError, Deferred, fail
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from txcql.errors import (
    NOT_SENT,
    BusyConnectionError,
    ConnectionLost,
    CQLError,
    InvalidRequest,
    IsBootstrapping,
    NoNodeAvailable,
    Overloaded,
    RequestTimeout,
    Unavailable,
    WriteFailure,
    WriteTimeout,
)
from txcql.integrations.rowbatches import RowBatch, RowBatches
from txcql.integrations.turns import Turns
from txcql.session.session import Session
from txcql.session.statements import PreparedStatement

__all__ = ["RowWriter", "WriteOptions", "WriterStats"]

log = Logger(namespace="txcql.integrations")

_FIRST_DELAY = 0.1
_LONGEST_DELAY = 2.0

_PASSING = (
    BusyConnectionError,
    ConnectionLost,
    IsBootstrapping,
    NoNodeAvailable,
    Overloaded,
    RequestTimeout,
    Unavailable,
    WriteFailure,
    WriteTimeout,
)
"""Errors after which the same request may succeed."""


class WriterStats(TypingProtocol):
    """Where a writer counts; Scrapy's stats collectors are such."""

    def inc_value(self, key: str, count: int = 1) -> None:
        """Add to a count."""

    def max_value(self, key: str, value: Any) -> None:
        """Keep the largest value."""

    def set_value(self, key: str, value: Any) -> None:
        """Set a value."""


@dataclass(frozen=True, slots=True)
class WriteOptions:
    """How rows are written.

    :ivar concurrency: requests in flight at most.
    :ivar batch_size: rows of one partition that go into one batch at most; 1: no batches.
    :ivar flush_interval: seconds that the first row of a batch waits for others at most.
    :ivar repeat_for: seconds for which a write that fails for a passing reason is tried again.
    :ivar idempotent: whether it may be, though it may have been carried out already.
    :ivar consistency: a consistency level's name; ``None``: the session's.
    """

    concurrency: int = 64
    batch_size: int = 1
    flush_interval: float = 0.05
    repeat_for: float = 60.0
    idempotent: bool = True
    consistency: str | None = None


class RowWriter:
    """Executes one statement for one row after another.

    It counts in ``cassandra/…``: ``rows_written``, ``rows_existed`` (a condition was not met),
    ``rows_not_written``, ``requests``, ``batches``, ``retries``, ``errors/<Class>``,
    ``inflight_max``, and ``paused_seconds``: the time in which at least one row had to wait for its
    turn, or for the cluster to come back.

    :param session: reaches the cluster.
    :param clock: waits.
    :param statement: what is executed.
    :param options: how.
    :param stats: where it counts.
    :param ending: tells whether the work has to come to an end: from when it first does, writes are
        tried again for at most ``limit`` seconds.
    :param limit: those seconds.
    :param prefix: what the names of the counts begin with.
    :ivar pending: rows that are neither written nor given up.
    """

    def __init__(
        self,
        session: Session,
        clock: IReactorTime,
        statement: PreparedStatement,
        options: WriteOptions,
        stats: WriterStats,
        ending: Callable[[], bool] = lambda: False,
        limit: float = 30.0,
        prefix: str = "cassandra/",
    ) -> None:
        self.pending = 0
        self._session = session
        self._clock = clock
        self._statement = statement
        self._options = options
        self._stats = stats
        self._prefix = prefix
        self._ending = ending
        self._limit = limit
        self._end: float | None = None
        self._last_call: IDelayedCall | None = None
        self._over = False
        self._turns = Turns(options.concurrency)
        self._in_flight = 0
        self._waiting = 0
        self._waiting_since = 0.0
        self._paused = 0.0
        self._lost = 0
        self._troubled = False
        self._on_empty: list[Deferred[None]] = []
        self._running: dict[Deferred[Any], None] = {}
        self._batches: RowBatches | None = None
        if options.batch_size > 1:
            if statement.partition_key:
                self._batches = RowBatches(
                    session, clock, statement, options.batch_size, options.flush_interval, self._run_batch
                )
            else:
                log.warn("no batches: not every column of the partition key is a parameter of the statement")

    def write(self, values: Sequence[Any]) -> Deferred[bool]:
        """Write one row.

        :param values: by position.
        :returns: fires when it is written, with whether a condition of the statement was met; fails
            with what the cluster said, or with :class:`~txcql.errors.EncodeError`.
        """
        try:
            if self._over:
                raise CancelledError
            encoded = self._session.encode(self._statement, values)
        except Exception as error:
            self.refuse(error)
            return fail(error)
        self.pending += 1
        if self._batches is not None:
            return self._batches.add(values, len(encoded))
        return self._begin(values)

    def refuse(self, error: Exception) -> None:
        """Count a row that cannot even be asked for."""
        self._count(f"errors/{type(error).__name__}")
        self._lose(1)

    async def close(self) -> int:
        """Write what is left, for as long as the limit lets it.

        :returns: how many rows were not written, over all the time.
        """
        self._begin_to_end()
        if self._batches is not None:
            self._batches.flush()
        if self.pending:
            empty: Deferred[None] = Deferred()
            self._on_empty.append(empty)
            await empty
        if self._last_call is not None and self._last_call.active():
            self._last_call.cancel()
        return self._lost

    # Inside.

    def _begin(self, values: Sequence[Any]) -> Deferred[bool]:
        written = Deferred.fromCoroutine(self._write(self._statement, values, 1))
        self._running[written] = None
        written.addBoth(self._done, written)
        return written

    def _done(self, outcome: Any, written: Deferred[Any]) -> Any:
        self._running.pop(written, None)
        if isinstance(outcome, Failure):
            self._failed(outcome.value, 1)
        self._forget(1)
        return outcome

    def _run_batch(self, batch: RowBatch) -> None:
        if len(batch.rows) == 1:
            self._begin(batch.rows[0]).chainDeferred(batch.waiters[0])
            return
        running = Deferred.fromCoroutine(self._write_batch(batch))
        self._running[running] = None
        running.addBoth(lambda _: self._running.pop(running, None))

    async def _write_batch(self, batch: RowBatch) -> None:
        """Write a batch, and tell each of its rows."""
        rows, waiters = batch.rows, batch.waiters
        try:
            statement = await self._repeated(lambda: self._session.prepare(batch.text))
            self._count("batches")
            await self._write(statement, [value for row in rows for value in row], len(rows))
        except InvalidRequest:
            # It is too large, or one row of it is not as the server wants it.
            for row, waiter in zip(rows, waiters, strict=True):
                self._begin(row).chainDeferred(waiter)
        except BaseException as error:
            self._failed(error, len(rows))
            for waiter in waiters:
                waiter.errback(error)
            self._forget(len(rows))
        else:
            for waiter in waiters:
                waiter.callback(True)
            self._forget(len(rows))

    async def _write(self, statement: PreparedStatement, values: Sequence[Any], rows: int) -> bool:
        turn = self._turns.take()
        if not turn.called:
            await self._pause(turn)
        if self._over:
            self._turns.give_back()
            raise CancelledError
        self._in_flight += 1
        self._stats.max_value(f"{self._prefix}inflight_max", self._in_flight)
        try:
            result = await self._repeated(lambda: self._execute(statement, values))
        finally:
            self._in_flight -= 1
            self._turns.give_back()
        applied: bool = result.was_applied
        self._count("rows_written" if applied else "rows_existed", rows)
        return applied

    def _execute(self, statement: PreparedStatement, values: Sequence[Any]) -> Deferred[Any]:
        self._count("requests")
        options = self._options
        return self._session.execute(
            statement, values, idempotent=options.idempotent, consistency=options.consistency
        )

    async def _repeated(self, ask: Callable[[], Deferred[Any]]) -> Any:
        """Ask again for as long as an answer may still come."""
        begun = self._clock.seconds()
        delay = _FIRST_DELAY
        while True:
            try:
                answer = await ask()
            except CQLError as error:
                left = self._time_left(error, begun)
                if left <= 0:
                    raise
                if not self._troubled:
                    self._troubled = True
                    log.warn("writing again and again until the cluster takes it: {error}", error=error)
            else:
                self._troubled = False
                return answer
            self._count("retries")
            await self._pause(deferLater(self._clock, min(delay, left)))
            delay = min(_LONGEST_DELAY, delay * 2)

    def _time_left(self, error: CQLError, begun: float) -> float:
        """Seconds for which what has failed may be tried again; 0 if it must not be."""
        self._count(f"errors/{type(error).__name__}")
        if self._ending():
            self._begin_to_end()
        if not isinstance(error, _PASSING):
            return 0.0
        if error.delivery != NOT_SENT and not self._options.idempotent:
            return 0.0
        last = begun + self._options.repeat_for
        return (last if self._end is None else min(last, self._end)) - self._clock.seconds()

    async def _pause(self, until: Deferred[Any]) -> None:
        if self._waiting == 0:
            self._waiting_since = self._clock.seconds()
        self._waiting += 1
        try:
            await until
        finally:
            self._waiting -= 1
            if self._waiting == 0:
                self._paused += self._clock.seconds() - self._waiting_since
                self._stats.set_value(f"{self._prefix}paused_seconds", round(self._paused, 3))

    def _failed(self, error: BaseException | None, rows: int) -> None:
        self._lose(rows)
        if not isinstance(error, CQLError):
            # Those were counted when they came.
            self._count(f"errors/{type(error).__name__}")

    def _lose(self, rows: int) -> None:
        self._lost += rows
        self._count("rows_not_written", rows)

    def _count(self, name: str, number: int = 1) -> None:
        self._stats.inc_value(self._prefix + name, number)

    def _forget(self, rows: int) -> None:
        self.pending -= rows
        if not self.pending:
            waiting, self._on_empty = self._on_empty, []
            for empty in waiting:
                empty.callback(None)

    def _begin_to_end(self) -> None:
        if self._end is None:
            self._end = self._clock.seconds() + self._limit
            self._last_call = self._clock.callLater(self._limit, self._give_up)

    def _give_up(self) -> None:
        self._over = True
        # Those who wait first: the others would hand their turns on to them.
        for running in reversed(list(self._running)):
            running.cancel()

    def __repr__(self) -> str:
        return f"<RowWriter in_flight={self._in_flight} pending={self.pending}>"
