"""``python -m txcql query``: one statement, and its rows as a table, CSV or JSON lines."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any, TextIO

from txcql.cli.command import Command, CommandFailed, add_connection_arguments, connection_arguments, whole
from txcql.cli.documents import json_key
from txcql.cli.rowfiles import RecordFormat, row_writer
from txcql.cli.texttable import TextTable, cell_text
from txcql.session.connect import connect
from txcql.session.session import Session

__all__ = ["COMMAND"]

FORMATS = ("table", "csv", "jsonl")


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("statement", metavar="CQL", help="one statement; - reads it from the standard input")
    parser.add_argument("--format", choices=FORMATS, default="table", help="of the rows (%(default)s)")
    parser.add_argument("--consistency", default="LOCAL_QUORUM", help="(%(default)s)")
    parser.add_argument(
        "--page-size", metavar="N", type=whole(1, 1_000_000), default=1000, help="rows a page (%(default)s)"
    )
    parser.add_argument("--limit", metavar="N", type=whole(1, 2**63), help="rows to print (all of them)")
    parser.add_argument("--tracing", action="store_true", help="print how the cluster came by the first page")
    add_connection_arguments(parser)


async def _run(reactor: Any, found: argparse.Namespace, output: TextIO) -> None:
    text = sys.stdin.read() if found.statement == "-" else found.statement
    if not text.strip():
        raise CommandFailed("there is no statement to execute")
    points, settings = connection_arguments(found)
    session = await connect(reactor, points, consistency=found.consistency, **settings)
    try:
        await _execute(session, text, found, output)
    finally:
        await session.close()


async def _execute(session: Session, text: str, found: argparse.Namespace, output: TextIO) -> None:
    page = await session.execute(text, page_size=found.page_size, row_factory="tuple", tracing=found.tracing)
    trace = await page.trace() if found.tracing else None
    for warning in page.warnings:
        sys.stderr.write(f"txcql: the server warns: {warning}\n")
    if page.columns:
        printer = _printer(found.format, page.columns, output)
        printed = 0
        while True:
            rows = page.all()
            if found.limit is not None:
                rows = rows[: found.limit - printed]
            printer(rows)
            printed += len(rows)
            if not page.has_more_pages or printed == found.limit:
                break
            page = await page.next_page()
        if found.format == "table":
            output.write(f"({printed:,} {'row' if printed == 1 else 'rows'})\n")
    if trace is not None:
        output.write(f"{trace}\n")


def _printer(name: str, columns: Sequence[Any], output: TextIO) -> Any:
    """What prints the rows of a page."""
    if name == "table":
        table = TextTable([column.name for column in columns], output)
        return lambda rows: table.write([[cell_text(value) for value in row] for row in rows])
    form = RecordFormat(name)
    if name == "csv":
        header = [json_key(column.name).strip('"') for column in columns]
        output.write(",".join(header) + "\n")
    write = row_writer(form, columns)

    def lines(rows: Sequence[Sequence[Any]]) -> None:
        for row in rows:
            output.write(write(row).decode())

    return lines


COMMAND = Command(
    "query",
    "execute one statement, and print its rows",
    "Execute one statement, and print its rows, page by page, as a table, as CSV or as JSON lines.",
    _add_arguments,
    _run,
)
