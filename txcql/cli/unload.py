"""``python -m txcql unload``: the rows of a table into a file, at the pace of the disk."""

from __future__ import annotations

import argparse
import os
import shutil
from itertools import pairwise
from pathlib import Path
from typing import Any, BinaryIO, TextIO

from zope.interface import implementer

from txcql.cli.checkpoint import Checkpoint
from txcql.cli.command import Command, CommandFailed, add_connection_arguments, connection_arguments, whole
from txcql.cli.progress import Progress
from txcql.cli.rowfiles import FORMATS, RecordFormat, format_of, row_writer
from txcql.cli.tables import Table, find_table, quoted
from txcql.cli.workers import Share, add_worker_arguments, run_workers, share_of
from txcql.interfaces import IRowConsumer
from txcql.session.connect import connect
from txcql.session.session import Session

__all__ = ["COMMAND", "Unloader"]

RANGES = 64
"""Parts of the ring that a process reads one after another: a kill costs one of them, or a second's work."""

ROWS_BETWEEN = 20
"""Rows after which the progress is told."""

_LOWEST, _HIGHEST = -(2**63), 2**63 - 1


@implementer(IRowConsumer)
class _Writer:
    """Writes rows to a file."""

    def __init__(self, write: Any, file: BinaryIO, tell: Any) -> None:
        self._write = write
        self._file = file
        self._tell = tell

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        pass

    def unregisterProducer(self) -> None:
        pass

    def write(self, row: Any) -> None:
        self._file.write(self._write(row))
        self._tell()


class Unloader:
    """Reads a table range by range of the ring, page by page, and writes each row to a file.

    :param session: reads.
    :param table: the table.
    :param columns: the columns, in the order of the cells.
    :param form: the format of the file.
    :param page_size: rows a page.
    :ivar unloaded: rows written, those of earlier runs too.
    """

    def __init__(
        self, session: Session, table: Table, columns: tuple[str, ...], form: RecordFormat, page_size: int
    ) -> None:
        self.unloaded = 0
        self._session = session
        self._table = table
        self._columns = columns
        self._form = form
        self._page_size = page_size

    async def run(
        self, file: BinaryIO, ranges: list[tuple[int, int]], checkpoint: Checkpoint, tell: Any
    ) -> None:
        """Write the rows of some ranges; those that an earlier run has finished are not read again.

        :param file: open for reading and writing; what an unfinished range has left in it is cut off.
        :param ranges: the first token of each, left out, and its last.
        :param checkpoint: remembers which are finished.
        :param tell: called with the number of ranges finished, again and again.
        """
        done, size = checkpoint.state.get("ranges", 0), checkpoint.state.get("bytes", 0)
        self.unloaded = checkpoint.state.get("rows", 0)
        file.seek(size)
        file.truncate()
        key = ", ".join(map(quoted, self._table.partition_key))
        names = ", ".join(map(quoted, self._columns))
        select = await self._session.prepare(
            f"SELECT {names} FROM {self._table} WHERE token({key}) > ? AND token({key}) <= ?"
        )

        def told() -> None:
            self.unloaded += 1
            if self.unloaded % ROWS_BETWEEN == 0:
                tell(done)

        writer = _Writer(row_writer(self._form, select.columns), file, told)
        for first, last in ranges[done:]:
            stream = self._session.stream(
                select, [first, last], page_size=self._page_size, row_factory="tuple"
            )
            await stream.deliver_to(writer)
            done += 1
            if checkpoint.due:
                checkpoint.save(ranges=done, bytes=_on_disk(file), rows=self.unloaded)
            tell(done)
        checkpoint.save_now(ranges=done, bytes=_on_disk(file), rows=self.unloaded)


def _on_disk(file: BinaryIO) -> int:
    """See to it that what was written is on the disk; where it ends."""
    file.flush()
    os.fsync(file.fileno())
    return file.tell()


def token_ranges(share: Share, each: int) -> list[tuple[int, int]]:
    """A share of the ring of Murmur3 tokens, in parts of equal size.

    The lowest token of all is no row's: the first range can leave it out.

    :param each: how many parts the share has.
    """
    parts = share.shares * each
    marks = [_LOWEST + (_HIGHEST - _LOWEST) * part // parts for part in range(parts)] + [_HIGHEST]
    ranges = list(pairwise(marks))
    return ranges[share.number * each : (share.number + 1) * each]


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("table", metavar="[KEYSPACE.]TABLE", help="where the rows come from")
    parser.add_argument("file", metavar="FILE", help="where they go; it is replaced")
    parser.add_argument("--format", choices=FORMATS, help="the format of the file (as its name ends)")
    parser.add_argument("--columns", metavar="A,B,C", help="these columns, in this order (all of them)")
    parser.add_argument("--no-header", action="store_true", help="do not begin a CSV file with a header")
    parser.add_argument("--delimiter", default=",", help="between the cells of a CSV file (%(default)s)")
    parser.add_argument("--null", default="\\N", help="the cell of a null in a CSV file (%(default)s)")
    parser.add_argument("--consistency", default="LOCAL_QUORUM", help="(%(default)s)")
    parser.add_argument(
        "--page-size", metavar="N", type=whole(1, 1_000_000), default=2000, help="rows a page (%(default)s)"
    )
    parser.add_argument(
        "--ranges",
        metavar="N",
        type=whole(1, 1_000_000),
        default=RANGES,
        help="parts of the ring that each process reads one after another (%(default)s)",
    )
    parser.add_argument(
        "--checkpoint",
        metavar="FILE",
        help="remembers how far it has come: the same command goes on there (FILE.checkpoint)",
    )
    add_worker_arguments(parser)
    add_connection_arguments(parser)


async def _run(reactor: Any, found: argparse.Namespace, output: TextIO) -> None:
    form = RecordFormat(format_of(found.file, found.format), not found.no_header, found.delimiter, found.null)
    if found.processes > 1 and found.share is None:
        counts = await run_workers(reactor, found.processes, Progress(reactor, output), "unloaded")
        _join(Path(found.file), found.processes)
        output.write(f"{counts['rows']:,} rows of {found.table} written to {found.file}\n")
        return
    share = share_of(found)
    points, settings = connection_arguments(found)
    path = share.path(found.file)
    work = {"table": found.table, "columns": found.columns, "share": str(share), "ranges": found.ranges}
    work.update(form=list(form))
    checkpoint = Checkpoint(share.path(found.checkpoint or f"{found.file}.checkpoint"), work, reactor)
    session = await connect(reactor, points, consistency=found.consistency, **settings)
    try:
        table = await find_table(session, found.table)
        local = (await session.execute("SELECT partitioner FROM system.local")).one()
        if not local.partitioner.endswith(".Murmur3Partitioner"):
            raise CommandFailed(f"the ring of a cluster with {local.partitioner} cannot be divided")
        columns = table.chosen(found.columns.split(",") if found.columns else ())
        unloader = Unloader(session, table, columns, form, found.page_size)
        progress = share.progress(Progress(reactor, output))
        progress.begin("read", found.ranges, "ranges")

        def tell(done: int) -> None:
            progress.tell(done, f"{unloader.unloaded:,} rows", rows=unloader.unloaded)

        with open(path, "r+b" if path.exists() and checkpoint.state else "w+b") as file:
            if form.name == "csv" and form.header and share.number == 0 and not checkpoint.state:
                file.write((form.delimiter.join(map(_cell, columns)) + "\n").encode())
                checkpoint.save_now(ranges=0, bytes=file.tell(), rows=0)
            await unloader.run(file, token_ranges(share, found.ranges), checkpoint, tell)
        progress.end(rows=unloader.unloaded)
    finally:
        await session.close()
    if share.shares == 1:
        checkpoint.remove()
        output.write(f"{unloader.unloaded:,} rows of {found.table} written to {found.file}\n")


def _cell(name: str) -> str:
    """A column's name as a cell."""
    return name if name.isidentifier() else '"' + name.replace('"', '""') + '"'


def _join(path: Path, processes: int) -> None:
    """Put the files of the processes together; each is gone when it has been copied."""
    parts = [Share(number, processes).path(str(path)) for number in range(processes)]
    with open(path, "wb") as whole_file:
        for part in parts:
            with open(part, "rb") as file:
                shutil.copyfileobj(file, whole_file, 1 << 20)
    for part in parts:
        part.unlink()
        Path(f"{path}.checkpoint.{part.suffix[1:]}").unlink(missing_ok=True)


COMMAND = Command(
    "unload",
    "write the rows of a table into a CSV or JSON lines file",
    "Write the rows of a table into a file, range by range of the ring, in little memory. Killed or failed, "
    "the same command goes on where it was.",
    _add_arguments,
    _run,
)
