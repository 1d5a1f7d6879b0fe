"""Fill the tables of the benchmark on a real Cassandra: what the canned server makes up is there as rows."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from twisted.internet.task import react

import txcql

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from answers import KEYSPACE, page_statement, point_statement
from checks import FIRST_KEY

PRIMARY_KEYS = {"users": "id", "visits": "bucket, id"}


async def main(reactor: Any) -> None:
    """Make keyspace and tables anew, and a row, or a page, for each of so many keys."""
    job = json.loads(sys.argv[1])
    session = await txcql.connect(reactor, [job["host"]], port=job["port"])
    try:
        replication = "{'class': 'SimpleStrategy', 'replication_factor': 1}"
        await session.execute(f"DROP KEYSPACE IF EXISTS {KEYSPACE}")
        await session.execute(f"CREATE KEYSPACE {KEYSPACE} WITH replication = {replication}")
        point, page = point_statement(), page_statement()
        for statement in (point, page):
            columns = ", ".join(f"{name} {kind}" for name, kind in statement.table.types.items())
            key = PRIMARY_KEYS[statement.table.name.partition(".")[2]]
            await session.execute(f"CREATE TABLE {statement.table.name} ({columns}, PRIMARY KEY ({key}))")
        users = ([key, *point.rows[0][1:]] for key in range(FIRST_KEY, FIRST_KEY + job["points"]))
        await fill(session, point, users)
        rows = [[aware(value) for value in row] for row in page.rows]
        visits = ([key, *row] for key in range(FIRST_KEY, FIRST_KEY + job["pages"]) for row in rows)
        await fill(session, page, visits)
    finally:
        await session.close()
    print(json.dumps({"rows": job["points"] + job["pages"] * len(page.rows)}))


def aware(value: Any) -> Any:
    """A time with its zone, which the canned rows leave out."""
    return value.replace(tzinfo=timezone.utc) if isinstance(value, datetime) else value


async def fill(session: Any, statement: Any, rows: Iterable[list[Any]]) -> None:
    """Insert the rows into the table of a statement."""
    names = list(statement.table.types)
    marks = ", ".join("?" * len(names))
    text = f"INSERT INTO {statement.table.name} ({', '.join(names)}) VALUES ({marks})"
    await session.execute_many(await session.prepare(text), rows)


if __name__ == "__main__":
    react(main)
