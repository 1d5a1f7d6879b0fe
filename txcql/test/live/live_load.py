"""``load`` and ``unload``: what goes out comes back, whatever happens on the way."""

from __future__ import annotations

import json
import os
import signal
import sys
from decimal import Decimal
from ipaddress import ip_address
from uuid import UUID

from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessDone
from twisted.internet.protocol import ProcessProtocol
from twisted.internet.task import deferLater
from twisted.internet.utils import getProcessOutputAndValue

import txcql
from txcql.test.live.releases import without_vectors

ROWS = 1_000_000 if os.environ.get("TXCQL_FULL") else 20_000

MOST_MEMORY = 150 * 1024
"""KiB that a process may ever have held."""

COLUMNS = {
    "id": "int", "c": "text", "a": "ascii", "b": "bigint", "bl": "blob", "bo": "boolean", "d": "date",
    "de": "decimal", "dbl": "double", "du": "duration", "f": "float", "i": "inet", "si": "smallint",
    "ti": "time", "ts": "timestamp", "tu": "timeuuid", "tn": "tinyint", "u": "uuid", "vi": "varint",
    "l": "list<int>", "s": "set<text>", "m": "map<text, int>", "mi": "map<int, text>",
    "tup": "tuple<int, text>", "ad": "frozen<addr>", "lad": "list<frozen<addr>>", '"Odd Name"': "text",
    **without_vectors({"v": "vector<float, 3>"}),
}  # fmt: skip


def row_of(k: int) -> list[object]:
    """A row with a value of every type."""
    return [
        k, f'c,"{k}"\nx é', "a", -k, bytes([k % 256]) * 3, k % 2 == 0, txcql.Date(18262 + k % 28),
        Decimal(k) / 7, [k / 3, float("nan"), float("-inf")][k % 3], txcql.Duration(k, 1, 5), 0.5,
        ip_address("127.0.0.1"), k % 100, txcql.Time(k * 1000 + 1), txcql.Timestamp(1577836800123 + k),
        txcql.uuid_from_time(k * 1000 + 100), -3, UUID(int=k), 10**30 + k, [1, 2, k], {"x", 'y"z'},
        {"a": k, "q'": 1}, {k: "v"}, (1, None), ("st", None), [("a", 1), ("b", 2)],
        None if k % 3 else "", *([[1.0, 2.5, -3.0]] if "v" in COLUMNS else []),
    ]  # fmt: skip


async def make_table(session):
    await session.execute('CREATE TYPE addr (street text, "Zip" int)')
    types = ", ".join(f"{name} {kind}" for name, kind in COLUMNS.items())
    await session.execute(f"CREATE TABLE t ({types}, PRIMARY KEY (id, c))")


async def fill(session, count):
    names, marks = ", ".join(COLUMNS), ", ".join("?" * len(COLUMNS))
    insert = await session.prepare(f"INSERT INTO t ({names}) VALUES ({marks})")
    await session.execute_many(insert, map(row_of, range(count)), on_result=lambda number, result: None)


async def content(session):
    """Every cell of the table, in an order of its own."""
    rows = [txcql.json_lines(row) async for row in session.stream("SELECT * FROM t", row_factory="tuple")]
    return sorted(
        json.dumps([sorted(c) if isinstance(c, list) and "x" in c else c for c in json.loads(row)])
        for row in rows
    )


def command(cassandra, *arguments):
    node = cassandra.nodes[0]
    return [sys.executable, "-m", "txcql", *arguments, "--contact-point", f"{node.address}:{node.port}"]


async def run(reactor, arguments, folder, expected=0):
    """Run a command to its end; what it says."""
    out, err, status = await getProcessOutputAndValue(
        arguments[0], arguments[1:], env=os.environ, path=str(folder), reactor=reactor
    )
    assert status == expected, (out, err)
    return out.decode(), err.decode()


async def test_what_goes_out_comes_back(session, cassandra, keyspace, reactor, tmp_path):
    """Values of every type, in both formats, by one process and by several."""
    await make_table(session)
    await fill(session, 300)
    before = await content(session)
    for name, processes in (("t.csv", "1"), ("t.jsonl", "2")):
        out, _ = await run(
            reactor,
            command(cassandra, "unload", f"{keyspace}.t", name, "--ranges", "8", "--processes", processes),
            tmp_path,
        )
        assert out.endswith(f"300 rows of {keyspace}.t written to {name}\n")
        await session.execute("TRUNCATE t")
        out, _ = await run(
            reactor, command(cassandra, "load", f"{keyspace}.t", name, "--processes", processes), tmp_path
        )
        assert out.endswith(f"300 rows loaded into {keyspace}.t\n")
        assert await content(session) == before
    assert sorted(os.listdir(tmp_path)) == ["t.csv", "t.jsonl"]


async def test_refused_rows_stand_in_a_side_file(session, cassandra, keyspace, reactor, tmp_path):
    """With the number of the record, the reason and the record itself; the others are stored."""
    await session.execute("CREATE TABLE t (id int PRIMARY KEY, v text, n int)")
    (tmp_path / "rows.csv").write_text("id,v,n\n1,a,1\nx,b,2\n3,c\n4,d,\\N\n")
    arguments = command(cassandra, "load", f"{keyspace}.t", "rows.csv")
    _, err = await run(reactor, arguments, tmp_path, expected=1)
    assert err == "txcql: 2 rows were refused: see rows.csv.errors\n"
    refused = [json.loads(line) for line in (tmp_path / "rows.csv.errors").read_text().splitlines()]
    assert sorted((entry["record"], entry["text"]) for entry in refused) == [(1, "x,b,2"), (2, "3,c")]
    assert {row.id for row in await session.execute("SELECT id FROM t")} == {1, 4}
    assert not (tmp_path / "rows.csv.checkpoint").exists()


class Killed(ProcessProtocol):
    """A process that will not live long."""

    def __init__(self):
        self.ended: Deferred[bool] = Deferred()

    def processEnded(self, reason):
        self.ended.callback(reason.check(ProcessDone) is not None)


def peak_memory(pid):
    """The most that a process has held so far, in KiB; 0 when it is gone."""
    try:
        with open(f"/proc/{pid}/status", encoding="ascii") as status:
            return next((int(line.split()[1]) for line in status if line.startswith("VmHWM")), 0)
    except OSError:
        return 0


async def killed_again_and_again(reactor, arguments, folder, checkpoint, begun):
    """Start it, kill it when it has come further than the last time, until it is done.

    :returns: how often it was killed, and the most memory that it has held.
    """
    times = peak = 0
    state = ""
    while True:
        process = Killed()
        transport = reactor.spawnProcess(process, arguments[0], arguments, os.environ, str(folder))
        while not process.ended.called:
            await deferLater(reactor, 0.02)
            peak = max(peak, peak_memory(transport.pid)) if transport.pid else peak
            text = checkpoint.read_text() if checkpoint.exists() else ""
            if begun(text) and text != state and times < 3:
                state = text
                times += 1
                transport.signalProcess(signal.SIGKILL)
                break
        if await process.ended:
            return times, peak


async def test_killed_in_the_middle(session, cassandra, keyspace, reactor, tmp_path):
    """The same command goes on where it was: nothing is lost, nothing comes twice, and it all takes little
    memory.
    """
    await session.execute(
        "CREATE TABLE t (id int PRIMARY KEY, v text, amount bigint, score double, flag boolean, stamp uuid)"
    )
    names = "id,v,amount,score,flag,stamp"
    file = tmp_path / "rows.csv"
    with open(file, "w") as rows:
        rows.write(f"{names}\n")
        rows.writelines(
            f"{number},value {number},{number * 37},{number / 7},{'true' if number % 2 else 'false'},"
            f"{UUID(int=number)}\n"
            for number in range(ROWS)
        )
    arguments = command(cassandra, "load", f"{keyspace}.t", "rows.csv", "--concurrency", "100")
    times, peak = await killed_again_and_again(
        reactor, arguments, tmp_path, tmp_path / "rows.csv.checkpoint", lambda text: '"records"' in text
    )
    assert times > 0
    assert 0 < peak < MOST_MEMORY

    arguments = command(cassandra, "unload", f"{keyspace}.t", "out.csv", "--columns", names)
    times, peak = await killed_again_and_again(
        reactor, arguments, tmp_path, tmp_path / "out.csv.checkpoint", lambda text: '"rows": 0' not in text
    )
    assert times > 0
    assert 0 < peak < MOST_MEMORY
    assert sorted((tmp_path / "out.csv").read_text().splitlines()) == sorted(file.read_text().splitlines())


async def test_the_later_of_two_records_wins(session, cassandra, keyspace, reactor, tmp_path):
    """Also where they stand side by side, in either format, with values that only the server can read."""
    await session.execute("CREATE TABLE t (a int, b text, v int, w time, PRIMARY KEY (a, b))")
    (tmp_path / "rows.csv").write_text("a,b,v\n1,x,9\n1,y,8\n1,x,7\n1,x,6\n")
    (tmp_path / "times.csv").write_text("a,b,v,w\n2,x,9,10:00:00\n2,x,7,09:00:00\n")
    (tmp_path / "rows.jsonl").write_text('{"a": 3, "b": "x", "v": 9}\n{"a": 3, "b": "x", "v": 7}\n')
    for name in ("rows.csv", "times.csv", "rows.jsonl"):
        await run(reactor, command(cassandra, "load", f"{keyspace}.t", name), tmp_path)
    rows = await session.execute("SELECT a, b, v FROM t")
    assert sorted(map(tuple, rows)) == [(1, "x", 6), (1, "y", 8), (2, "x", 7), (3, "x", 7)]
