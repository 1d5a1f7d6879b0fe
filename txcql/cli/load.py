"""``python -m txcql load``: the rows of a file into a table, at the pace of the cluster."""

from __future__ import annotations

import argparse
import os
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TextIO

from txcql.cli.checkpoint import Checkpoint
from txcql.cli.command import Command, CommandFailed, add_connection_arguments, connection_arguments, whole
from txcql.cli.loader import Loader
from txcql.cli.progress import Progress
from txcql.cli.rowfiles import FORMATS, RecordFormat, format_of
from txcql.cli.tables import find_table
from txcql.cli.workers import Share, add_worker_arguments, run_workers, share_of
from txcql.session.connect import connect

__all__ = ["COMMAND"]

MOST_CONCURRENT = 800
"""More rows than these, each in a request of its own, would wait in the driver's queue."""


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("table", metavar="[KEYSPACE.]TABLE", help="where the rows go")
    parser.add_argument("file", metavar="FILE", help="where they come from; - is the standard input")
    parser.add_argument("--format", choices=FORMATS, help="the format of the file (as its name ends)")
    parser.add_argument(
        "--columns", metavar="A,B,C", help="the columns of the cells of a CSV file (those of its header)"
    )
    parser.add_argument("--no-header", action="store_true", help="the CSV file has none")
    parser.add_argument("--delimiter", default=",", help="between the cells of a CSV file (%(default)s)")
    parser.add_argument("--null", default="\\N", help="the cell of a null in a CSV file (%(default)s)")
    parser.add_argument("--ttl", type=whole(1, 630_720_000), metavar="SECONDS", help="when the rows expire")
    parser.add_argument("--consistency", default="LOCAL_QUORUM", help="(%(default)s)")
    parser.add_argument(
        "--concurrency",
        metavar="N",
        type=whole(1, MOST_CONCURRENT),
        default=512,
        help="rows in flight at a time, of each process (%(default)s)",
    )
    parser.add_argument(
        "--max-errors",
        metavar="N",
        type=whole(0, 2**31),
        default=1000,
        help="rows that may be refused, in each process, before it gives up (%(default)s)",
    )
    parser.add_argument(
        "--errors", metavar="FILE", help="where refused rows are written, as JSON lines (FILE.errors)"
    )
    parser.add_argument(
        "--checkpoint",
        metavar="FILE",
        help="remembers how far it has come: the same command goes on there (FILE.checkpoint)",
    )
    add_worker_arguments(parser)
    add_connection_arguments(parser)


async def _run(reactor: Any, found: argparse.Namespace, output: TextIO) -> None:
    if found.file == "-" and (found.processes > 1 or found.format is None):
        raise CommandFailed("the standard input is read by one process, and needs --format")
    if found.processes > 1 and found.share is None:
        counts = await run_workers(reactor, found.processes, Progress(reactor, output), "loaded")
        _conclude(output, counts["rows"], counts["refused"], found)
        return
    share = share_of(found)
    form = RecordFormat(format_of(found.file, found.format), not found.no_header, found.delimiter, found.null)
    columns = found.columns.split(",") if found.columns else ()
    if form.name == "csv" and not form.header and not columns:
        raise CommandFailed("without a header, --columns has to name the columns")
    points, settings = connection_arguments(found)
    errors = _beside(found.errors, found.file, "errors", share)
    with ExitStack() as stack:
        file = _open(found.file, stack)
        checkpoint = None
        if found.file != "-":
            path = _beside(found.checkpoint, found.file, "checkpoint", share)
            size = os.fstat(file.fileno()).st_size
            work = {"table": found.table, "file": found.file, "size": size, "share": str(share)}
            checkpoint = Checkpoint(path, work, reactor)
        session = await connect(reactor, points, consistency=found.consistency, **settings)
        try:
            table = await find_table(session, found.table)
            loader = Loader(session, table, checkpoint, share, errors, found.max_errors)
            progress = share.progress(Progress(reactor, output))
            progress.begin("read", max(1, os.fstat(file.fileno()).st_size), "bytes")

            def tell() -> None:
                rows, refused = loader.loaded, loader.refused
                progress.tell(_position(file), f"{rows:,} rows", rows=rows, refused=refused)

            await loader.run(
                form.read(file, table, columns, loader.wants), found.concurrency, found.ttl, tell
            )
            progress.end(rows=loader.loaded, refused=loader.refused)
        finally:
            await session.close()
        if checkpoint is not None:
            checkpoint.remove()
    if share.shares == 1:
        _conclude(output, loader.loaded, loader.refused, found)


def _conclude(output: TextIO, loaded: int, refused: int, found: argparse.Namespace) -> None:
    output.write(f"{loaded:,} rows loaded into {found.table}\n")
    if refused:
        raise CommandFailed(f"{refused:,} rows were refused: see {found.errors or found.file + '.errors'}")


def _open(name: str, stack: ExitStack) -> TextIO:
    if name == "-":
        return sys.stdin
    return stack.enter_context(open(name, encoding="utf-8", newline=""))


def _position(file: TextIO) -> int:
    """Bytes that have been read of a file; its text cannot be asked while it is iterated over."""
    return file.buffer.tell() if file is not sys.stdin else 0


def _beside(given: str | None, file: str, kind: str, share: Share) -> Path:
    return share.path(given or f"{'stdin' if file == '-' else file}.{kind}")


COMMAND = Command(
    "load",
    "write the rows of a CSV or JSON lines file into a table",
    "Write the rows of a file into a table, at the pace of the cluster, in little memory. What the server "
    "refuses goes to a side file. Killed or failed, the same command goes on where it was.",
    _add_arguments,
    _run,
)
