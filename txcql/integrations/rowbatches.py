"""Gathers rows of one partition into batches that are flushed by size or by time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from txcql.session.session import Session
from txcql.session.statements import PreparedStatement

__all__ = ["LARGEST_BATCH", "RowBatch", "RowBatches"]

LARGEST_BATCH = 32 * 1024
"""Bytes of a batch at most; by default a server refuses those beyond 50 KiB."""


class RowBatch:
    """Rows of one partition.

    :ivar rows: their values.
    :ivar waiters: of each row, who waits for it.
    :ivar text: the batch's statement.
    """

    __slots__ = ("_insert", "call", "rows", "size", "waiters")

    def __init__(self, insert: str, call: IDelayedCall) -> None:
        self.rows: list[Sequence[Any]] = []
        self.waiters: list[Deferred[bool]] = []
        self.size = 0
        self.call = call
        self._insert = insert

    @property
    def text(self) -> str:
        statements = f"{self._insert}; " * len(self.rows)
        return f"BEGIN UNLOGGED BATCH {statements}APPLY BATCH"


class RowBatches:
    """The batches that are being gathered, one for each partition.

    Size alone would not do: whoever writes may wait for its rows before it writes more.

    :param session: encodes partition keys.
    :param clock: waits.
    :param statement: of each row; its whole partition key must be among its parameters.
    :param size: rows in a batch at most.
    :param interval: seconds that the first row of a batch waits for others at most.
    :param run: takes the batches that are full, or have waited long enough.
    """

    def __init__(
        self,
        session: Session,
        clock: IReactorTime,
        statement: PreparedStatement,
        size: int,
        interval: float,
        run: Callable[[RowBatch], None],
    ) -> None:
        self._session = session
        self._clock = clock
        self._statement = statement
        self._size = size
        self._interval = interval
        self._run = run
        self._open: dict[tuple[bytes | None, ...], RowBatch] = {}

    def add(self, values: Sequence[Any], size: int) -> Deferred[bool]:
        """Add a row.

        :param size: the bytes of its values.
        :returns: fires when its batch is written.
        """
        columns = self._statement.parameters
        places = self._statement.partition_key
        partition = tuple(columns[place].type.encode(values[place]) for place in places)
        batch = self._open.get(partition)
        if batch is not None and batch.size + size > LARGEST_BATCH:
            self._flush(partition)
            batch = None
        if batch is None:
            call = self._clock.callLater(self._interval, self._flush, partition)
            batch = self._open[partition] = RowBatch(self._statement.text, call)
        waiter: Deferred[bool] = Deferred()
        batch.rows.append(values)
        batch.waiters.append(waiter)
        batch.size += size
        if len(batch.rows) >= self._size:
            self._flush(partition)
        return waiter

    def flush(self) -> None:
        """Wait no longer for further rows."""
        for partition in list(self._open):
            self._flush(partition)

    def _flush(self, partition: tuple[bytes | None, ...]) -> None:
        batch = self._open.pop(partition)
        if batch.call.active():
            batch.call.cancel()
        self._run(batch)

    def __repr__(self) -> str:
        return f"<RowBatches open={len(self._open)}>"
