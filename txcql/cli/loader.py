"""Writes the records of a file into a table."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from txcql.cli.checkpoint import Checkpoint
from txcql.cli.command import CommandFailed
from txcql.cli.rowfiles import Record
from txcql.cli.tables import Table, quoted
from txcql.cli.workers import Share
from txcql.errors import EncodeError, InternalServerError, InvalidRequest
from txcql.session.session import Session
from txcql.session.statements import PreparedStatement

__all__ = ["Loader"]

ROWS_TOGETHER = 20
"""Rows of one request."""

TEXT_TOGETHER = 3000
"""Their characters in the file: beyond 5 KiB of data, servers complain of a batch in their logs."""

TEXT_IN_FLIGHT = 8 * 1024 * 1024
"""Characters in all requests in flight, whatever their number; one longer record goes by itself."""

_OF_THE_ROW = (InvalidRequest, InternalServerError, EncodeError)
"""What is said of a row that cannot be taken; all else ends the work."""


class _Chunk:
    """The records of one request; of no two it is known that they are of one row.

    :ivar records: the records.
    :ivar size: their characters in the file.
    :ivar timestamp: when the first is written, in microseconds, the next one a microsecond later, and so on:
        of two records of one row, in whatever requests, the later one wins.
    """

    __slots__ = ("records", "size", "timestamp")

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.size = 0
        self.timestamp = 0

    @property
    def end(self) -> int:
        """The number of the record behind them."""
        return self.records[-1].number + 1

    def values(self) -> list[list[Any]] | None:
        """The values of each row; ``None`` if the server has to read those of one of them."""
        rows = [record.values for record in self.records if record.values is not None]
        return rows if len(rows) == len(self.records) else None

    def documents(self) -> list[list[Any]]:
        """The document and the timestamp of each row."""
        return [[record.document, self.timestamp + place] for place, record in enumerate(self.records)]


class Loader:
    """Writes the records of a file, with many requests in flight, some rows in each.

    What the server refuses goes to a side file, one JSON object a line: the number of the record (from
    0), the error and the record as it stands in the file. Where a request is refused, each of its rows is
    sent again by itself, so that it is known which one it was.

    :param session: writes.
    :param table: into this one.
    :param checkpoint: where the work begins, and how far it has come; ``None``: it is not remembered.
    :param share: which of the records are its own.
    :param errors: the side file.
    :param most_errors: rows that may be refused; one more ends the work.
    :ivar loaded: rows written by this run.
    :ivar refused: rows refused by this run and those before it.
    """

    def __init__(
        self,
        session: Session,
        table: Table,
        checkpoint: Checkpoint | None,
        share: Share,
        errors: Path,
        most_errors: int,
    ) -> None:
        self.loaded = 0
        self.refused = 0
        self._session = session
        self._table = table
        self._checkpoint = checkpoint
        self._share = share
        self._errors = errors
        self._most_errors = most_errors
        self._first = checkpoint.state.get("records", 0) if checkpoint is not None else 0
        self._timestamp = 0
        self._insert_document = self._insert_values = ""
        self._key_places: list[int] | None = None
        self._statements: dict[tuple[str, int], PreparedStatement] = {}
        # In flight: how many rows, and how much. By its end, each chunk that was sent and is not known to be
        # done, or is done before one that is not.
        self._rows = 0
        self._size = 0
        self._sent: dict[int, bool] = {}
        self._waiting: _Chunk | None = None
        self._filling = False
        self._last = 0
        self._forget_later_errors()

    async def run(
        self, records: Iterator[Record], concurrency: int, ttl: int | None, tell: Callable[[], None]
    ) -> None:
        """Load the records.

        :param concurrency: rows in flight.
        :param ttl: seconds after which the rows expire; ``None``: never.
        :param tell: called after each request, to tell how far the work has come.
        :raises CQLError: the cluster cannot go on; what was done until then is remembered.
        :raises CommandFailed: too many rows were refused.
        """
        chunks = self._chunks(records)
        self._waiting = next(chunks, None)
        if self._waiting is None:
            return
        self._spell(self._waiting.records[0].columns, ttl)
        done: Deferred[None] = Deferred()
        try:
            self._fill(chunks, concurrency, tell, done)
            await done
        finally:
            self._waiting = None
            if self._checkpoint is not None and self._last:
                self._checkpoint.save_now(records=self._last)

    def wants(self, number: int) -> bool:
        """Whether a record is its own, and comes yet; by its number in the file."""
        own, shares = self._share
        return number % shares == own and number >= self._first

    def _spell(self, columns: Sequence[str], ttl: int | None) -> None:
        """Spell the statements for one row."""
        into = f"INSERT INTO {self._table}"
        names, marks = ", ".join(map(quoted, columns)), ", ".join("?" * len(columns))
        self._insert_document = f"{into} JSON ? DEFAULT UNSET USING TIMESTAMP ?"
        self._insert_values = f"{into} ({names}) VALUES ({marks})"
        if ttl is not None:
            self._insert_document += f" AND TTL {ttl}"
            self._insert_values += f" USING TTL {ttl}"

    # From the file.

    def _chunks(self, records: Iterator[Record]) -> Iterator[_Chunk]:
        chunk = _Chunk()
        keys: set[tuple[Any, ...]] = set()
        for record in records:
            if record.error:
                self._refuse(record, record.error)
                continue
            size = len(record.text)
            key = self._key(record)
            full = len(chunk.records) == ROWS_TOGETHER or chunk.size + size > TEXT_TOGETHER
            if chunk.records and (full or key in keys):
                yield self._stamped(chunk)
                chunk = _Chunk()
                keys.clear()
            chunk.records.append(record)
            chunk.size += size
            if key is not None:
                keys.add(key)
        if chunk.records:
            yield self._stamped(chunk)

    def _key(self, record: Record) -> tuple[Any, ...] | None:
        """The primary key of a record, as far as its values tell it."""
        if record.values is None:
            return None
        if self._key_places is None:
            names = self._table.primary_key
            self._key_places = [place for place, name in enumerate(record.columns) if name in names]
        values = record.values
        return tuple([values[place] for place in self._key_places])

    def _stamped(self, chunk: _Chunk) -> _Chunk:
        now = int(time.time() * 1_000_000)
        chunk.timestamp = max(now, self._timestamp)
        self._timestamp = chunk.timestamp + len(chunk.records)
        return chunk

    # To the cluster.

    def _fill(
        self, chunks: Iterator[_Chunk], concurrency: int, tell: Callable[[], None], done: Deferred[None]
    ) -> None:
        """Send what there is room for."""
        if self._filling:
            return
        self._filling = True
        try:
            while self._waiting is not None and not done.called and self._room(self._waiting, concurrency):
                chunk = self._waiting
                self._rows += len(chunk.records)
                self._size += chunk.size
                self._sent[chunk.end] = False
                writing = Deferred.fromCoroutine(self._write(chunk))
                writing.addCallback(self._written, chunk, tell)
                writing.addCallbacks(
                    lambda _: self._fill(chunks, concurrency, tell, done),
                    lambda failure: _fail(done, failure),
                )
                self._waiting = next(chunks, None)
        except Exception:
            _fail(done, Failure())  # type: ignore[no-untyped-call]
        finally:
            self._filling = False
        if self._waiting is None and not self._sent and not done.called:
            done.callback(None)

    def _room(self, chunk: _Chunk, concurrency: int) -> bool:
        if not self._rows:
            return True
        if len(self._sent) >= 2 * concurrency:
            return False
        return self._rows + len(chunk.records) <= concurrency and self._size + chunk.size <= TEXT_IN_FLIGHT

    async def _write(self, chunk: _Chunk) -> list[tuple[Record, str]]:
        """Write the rows of a chunk.

        :returns: those that were refused, and why.
        """
        values = chunk.values()
        try:
            if values is not None:
                await self._execute(self._insert_values, values, timestamp=chunk.timestamp)
            else:
                await self._execute(self._insert_document, chunk.documents())
            return []
        except _OF_THE_ROW:
            pass
        refused = []
        for record, document in zip(chunk.records, chunk.documents(), strict=True):
            try:
                await self._execute(self._insert_document, [document])
            except _OF_THE_ROW as error:
                refused.append((record, str(error)))
        return refused

    async def _execute(self, insert: str, rows: list[list[Any]], **options: Any) -> None:
        """Execute a statement for some rows, as one.

        A batch in the text costs both sides half of what a batch of prepared statements does.
        """
        count = len(rows)
        statement = self._statements.get((insert, count))
        if statement is None:
            text = insert if count == 1 else f"BEGIN UNLOGGED BATCH {f'{insert}; ' * count}APPLY BATCH"
            statement = self._statements[insert, count] = await self._session.prepare(text)
        parameters = rows[0] if count == 1 else list(chain.from_iterable(rows))
        await self._session.execute(statement, parameters, idempotent=True, **options)

    def _written(self, refused: list[tuple[Record, str]], chunk: _Chunk, tell: Callable[[], None]) -> None:
        self._rows -= len(chunk.records)
        self._size -= chunk.size
        self.loaded += len(chunk.records) - len(refused)
        for record, error in refused:
            self._refuse(record, error)
        self._sent[chunk.end] = True
        while self._sent and self._sent[end := next(iter(self._sent))]:
            del self._sent[end]
            self._last = end
        if self._checkpoint is not None and self._last:
            self._checkpoint.save(records=self._last)
        tell()

    # What was refused.

    def _refuse(self, record: Record, error: str) -> None:
        self.refused += 1
        line = json.dumps({"record": record.number, "error": error, "text": record.text}, ensure_ascii=False)
        with open(self._errors, "a", encoding="utf-8") as file:
            file.write(f"{line}\n")
        if self.refused > self._most_errors:
            raise CommandFailed(
                f"more than {self._most_errors} rows were refused (--max-errors): see {self._errors}; "
                f"the last one: {error}"
            )

    def _forget_later_errors(self) -> None:
        """An earlier run may have refused records that come again."""
        if not self._errors.exists():
            return
        with open(self._errors, encoding="utf-8") as file:
            kept = [line for line in file if json.loads(line)["record"] < self._first]
        self.refused = len(kept)
        if kept:
            self._errors.write_text("".join(kept), encoding="utf-8")
        else:
            self._errors.unlink()


def _fail(done: Deferred[None], failure: Failure) -> None:
    """The first failure is the one that is told."""
    if not done.called:
        done.errback(failure)
