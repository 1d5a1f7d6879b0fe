"""``python -m txcql demo``: rows out with hundreds of requests in flight, and back page by page."""

from __future__ import annotations

import argparse
import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any, NamedTuple, TextIO
from uuid import UUID

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from txcql.cli.command import Command, CommandFailed, whole
from txcql.cli.progress import Progress
from txcql.cli.pump import RequestPump
from txcql.cli.summary import Summary
from txcql.errors import AlreadyExists, CQLError
from txcql.session.connect import connect
from txcql.session.session import Session
from txcql.testing import FakeCluster

__all__ = ["COMMAND", "DemoFailed", "DemoOptions", "run_demo"]

PAGE_SIZE = 1000

MOST_CONCURRENT = 800
"""More requests than these would wait in the driver's queue, and tell nothing of the server."""

_KEYSPACE = re.compile(r"[a-z][a-z0-9_]{0,47}", re.ASCII)

_EPOCH = datetime(2020, 1, 1, tzinfo=timezone.utc)


class DemoFailed(CommandFailed):
    """Something is not as it should be; the text says what."""


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """What the demo is asked to do.

    :ivar contact_points: nodes of a real cluster; without one, the demo brings a node of its own.
    """

    contact_points: tuple[str, ...] = ()
    rows: int = 10_000
    concurrency: int = 512
    keyspace: str = "txcql_demo"
    username: str | None = None
    password: str | None = None


class Reading(NamedTuple):
    """One row of the demo's table, in the order of ``SELECT *``."""

    id: int
    device: UUID
    label: str
    levels: list[int]
    taken: datetime
    value: float


def reading(number: int) -> Reading:
    """The row of a number; always the same one, so that it can be checked when it comes back."""
    return Reading(
        id=number,
        device=UUID(int=number * 0x9E3779B97F4A7C15F39CC0605CEDC835 % (1 << 128)),
        label=f"reading {number} \N{DEGREE SIGN}C",
        levels=[number % 7, -number, number * number % 1_000_003],
        taken=_EPOCH + timedelta(milliseconds=number),
        value=number / 8,
    )


async def run_demo(reactor: Any, options: DemoOptions, output: TextIO) -> None:
    """Run it and print what came of it.

    :raises CQLError: the cluster cannot be reached, or refuses something.
    :raises DemoFailed: a row did not come back as it was written.
    """
    if options.contact_points:
        summary = await _on_cluster(reactor, options, ", ".join(options.contact_points), output)
    else:
        summary = await _on_own_node(reactor, options, output)
    output.write(f"{summary}\n")


async def _on_own_node(reactor: Any, options: DemoOptions, output: TextIO) -> Summary:
    credentials = None
    if options.username is not None and options.password is not None:
        credentials = {options.username: options.password}
    cluster = FakeCluster(reactor, credentials=credentials)
    ((host, port),) = await cluster.listen()
    output.write(f"no --contact-point: started an embedded node on {host}:{port}\n")
    try:
        own = DemoOptions(
            (f"{host}:{port}",),
            options.rows,
            options.concurrency,
            options.keyspace,
            options.username,
            options.password,
        )
        return await _on_cluster(reactor, own, f"embedded node on {host}:{port}", output)
    finally:
        await cluster.close()


async def _on_cluster(reactor: Any, options: DemoOptions, name: str, output: TextIO) -> Summary:
    session = await connect(
        reactor, options.contact_points, username=options.username, password=options.password
    )
    try:
        demo = Demo(reactor, session, options, Progress(reactor, output))
        return await demo.run(name)
    finally:
        await session.close()


class Demo:
    """One run.

    :param clock: measures.
    :param session: reaches the cluster.
    """

    def __init__(
        self, clock: IReactorTime, session: Session, options: DemoOptions, progress: Progress
    ) -> None:
        self._clock = clock
        self._session = session
        self._options = options
        self._progress = progress
        self._table = f"{options.keyspace}.readings"

    async def run(self, cluster: str) -> Summary:
        """Create the keyspace, write, read, and drop it."""
        await self._create()
        try:
            start = self._clock.seconds()
            pump = await self._write()
            written = self._clock.seconds()
            pages = await self._read(pump.latencies)
            read = self._clock.seconds()
        except BaseException:
            # The first failure is the one to tell of.
            with suppress(CQLError):
                await self._drop()
            raise
        finally:
            self._progress.end()
        await self._drop()
        return Summary(
            cluster=cluster,
            version=self._session.version,
            rows=self._options.rows,
            pages=pages,
            write_seconds=written - start,
            read_seconds=read - written,
            in_flight_peak=pump.peak,
            latencies=pump.latencies,
        )

    async def _create(self) -> None:
        keyspace = self._options.keyspace
        try:
            await self._session.execute(
                f"CREATE KEYSPACE {keyspace} WITH replication = "
                "{'class': 'NetworkTopologyStrategy', 'replication_factor': 1}"
            )
        except AlreadyExists:
            raise DemoFailed(
                f"the keyspace {keyspace} exists already, and the demo drops its keyspace at the end: "
                f'"DROP KEYSPACE {keyspace}" yourself, or choose another name with --keyspace'
            ) from None
        await self._session.execute(
            f"CREATE TABLE {self._table} (id bigint PRIMARY KEY, device uuid, label text, "
            "levels list<int>, taken timestamp, value double)"
        )

    async def _drop(self) -> None:
        await self._session.execute(f"DROP KEYSPACE {self._options.keyspace}")

    async def _write(self) -> RequestPump:
        insert = await self._session.prepare(
            f"INSERT INTO {self._table} (id, device, label, levels, taken, value) VALUES (?, ?, ?, ?, ?, ?)"
        )
        execute, progress, rows = self._session.execute, self._progress, self._options.rows

        def send(number: int) -> Deferred[Any]:
            progress.tell(len(pump.latencies), f"{pump.in_flight:,} requests in flight")
            return execute(insert, reading(number), idempotent=True)

        progress.begin("writing:", rows)
        pump = RequestPump(self._clock, send)
        await pump.run(rows, self._options.concurrency)
        progress.tell(rows, f"{pump.peak:,} requests in flight at most")
        return pump

    async def _read(self, latencies: list[float]) -> int:
        """Read all rows back; the number of pages."""
        rows = self._options.rows
        self._progress.begin("reading:", rows)
        seen = bytearray(rows)
        pages = count = 0
        asked = self._clock.seconds()
        page = await self._session.execute(f"SELECT * FROM {self._table}", page_size=PAGE_SIZE)
        while True:
            latencies.append(self._clock.seconds() - asked)
            pages += 1
            for row in page.rows():
                _check(row, seen)
                count += 1
            self._progress.tell(min(count, rows), f"{pages:,} pages")
            if not page.has_more_pages:
                break
            asked = self._clock.seconds()
            page = await page.next_page()
        if count != rows:
            raise DemoFailed(f"{rows:,} rows were written, {count:,} came back")
        return pages


def _check(row: Any, seen: bytearray) -> None:
    """Compare a row with the one that was written, and see that it comes for the first time."""
    number = row[0]
    if not 0 <= number < len(seen) or tuple(row) != reading(number):
        raise DemoFailed(f"a row that was never written came back: {row}")
    if seen[number]:
        raise DemoFailed(f"a row came back twice: {row}")
    seen[number] = 1


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--contact-point",
        metavar="HOST[:PORT]",
        action="append",
        default=[],
        help="a node of a real cluster; may be given more than once",
    )
    parser.add_argument(
        "--rows", metavar="N", type=whole(1, 100_000_000), default=10_000, help="rows to write (%(default)s)"
    )
    parser.add_argument(
        "--concurrency",
        metavar="N",
        type=whole(1, MOST_CONCURRENT),
        default=512,
        help="requests in flight at a time (%(default)s)",
    )
    parser.add_argument(
        "--keyspace",
        metavar="NAME",
        type=_keyspace,
        default="txcql_demo",
        help="the keyspace that is created, and dropped at the end (%(default)s)",
    )
    parser.add_argument("--username", help="for a cluster that asks for a login")
    parser.add_argument("--password", help="for a cluster that asks for a login")


def _keyspace(text: str) -> str:
    if _KEYSPACE.fullmatch(text) is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no plain name in lower case")
    return text


def _options(found: argparse.Namespace) -> DemoOptions:
    if (found.username is None) != (found.password is None):
        raise CommandFailed("--username and --password go together")
    return DemoOptions(
        contact_points=tuple(found.contact_point),
        rows=found.rows,
        concurrency=found.concurrency,
        keyspace=found.keyspace,
        username=found.username,
        password=found.password,
    )


async def _run(reactor: Any, found: argparse.Namespace, output: TextIO) -> None:
    await run_demo(reactor, _options(found), output)


COMMAND = Command(
    "demo",
    "write rows with hundreds of requests in flight, and read them back",
    "Write rows with hundreds of requests in flight, stream them back, and check every one. "
    "With no contact point, on a node that it starts in its own process.",
    _add_arguments,
    _run,
)
