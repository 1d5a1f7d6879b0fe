"""``python -m txcql describe``: the CQL that makes what is there."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any, TextIO, TypeVar

from txcql.cli.command import Command, CommandFailed, add_connection_arguments, connection_arguments
from txcql.session.connect import connect

__all__ = ["COMMAND"]

T = TypeVar("T")


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "name",
        metavar="KEYSPACE[.NAME]",
        nargs="?",
        help="a keyspace, or a table, view, index or type of it (the names of all keyspaces)",
    )
    add_connection_arguments(parser)


async def _run(reactor: Any, found: argparse.Namespace, output: TextIO) -> None:
    points, settings = connection_arguments(found)
    session = await connect(reactor, points, **settings)
    try:
        keyspaces = session.cluster.keyspaces
        if found.name is None:
            for name in sorted(keyspaces):
                output.write(f"{keyspaces[name]}\n")
            return
        name, _, inner = found.name.partition(".")
        keyspace = _find(keyspaces, name, "keyspace")
        if inner:
            tables = keyspace.tables
            indexes = {name: index for table in tables.values() for name, index in table.indexes.items()}
            everything: dict[str, Any] = {**indexes, **keyspace.types, **keyspace.views, **tables}
            output.write(f"{_find(everything, inner, f'table, view, index or type in {name}').as_cql()}\n")
        else:
            output.write("\n\n".join(keyspace.statements()) + "\n")
    finally:
        await session.close()


def _find(things: Mapping[str, T], name: str, kind: str) -> T:
    found = things.get(name)
    if found is None:
        raise CommandFailed(f"there is no {kind} {name!r}; there are: {', '.join(sorted(things)) or 'none'}")
    return found


COMMAND = Command(
    "describe",
    "print the CQL that makes a keyspace, a table or another part of the schema",
    "Print the CQL that makes a keyspace, or a table, view, index or type of it. Names are exact, without "
    "quotes.",
    _add_arguments,
    _run,
)
