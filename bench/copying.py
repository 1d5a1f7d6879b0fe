"""``load`` and ``unload`` beside the ``COPY`` of cqlsh: rows a second, on the same node in the same run.

``python bench/copying.py`` prints one Markdown table. It starts a Cassandra by itself, which takes Java and
Maven, and makes an environment for cqlsh. Each time is that of a whole command, its start included; both
commands run as they come, but for ``--processes``, which is txcql's alone.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from uuid import UUID

from harness import (
    BUILD,
    HERE,
    BenchmarkError,
    built_variables,
    markdown,
    median_and_spread,
    run_tool,
    spell,
)

CQLSH = "cqlsh==6.2.2"
NAMES = "id,name,amount,score,flag,stamp"
KINDS = ("int PRIMARY KEY", "text", "bigint", "double", "boolean", "uuid")
TIMEOUT = 3600.0
KEYSPACE = "copying"
LEAST = 1.0
"""With ``--assert``: rows a second of txcql over those of cqlsh."""


def cqlsh() -> Path:
    """The command, its environment made when it is not there."""
    folder = BUILD / "venv-cqlsh"
    stamp, wanted = folder / "made-of.json", json.dumps([sys.version, CQLSH])
    if not stamp.exists() or stamp.read_text() != wanted:
        print(f"making an environment with {CQLSH}", file=sys.stderr)
        shutil.rmtree(folder, ignore_errors=True)
        run_tool(sys.executable, "-m", "venv", folder)
        run_tool(folder / "bin" / "python", "-m", "pip", "install", "--quiet", CQLSH)
        stamp.write_text(wanted)
    return folder / "bin" / "cqlsh"


def write_rows(path: Path, count: int) -> None:
    """A file of so many rows, the same ones each time."""
    numbers = random.Random(1)
    with open(path, "w", encoding="utf-8") as file:
        file.write(f"{NAMES}\n")
        for number in range(count):
            stamp = UUID(int=numbers.getrandbits(128))
            flag = "true" if number % 2 else "false"
            file.write(f"{number},user number {number},{number * 37},{number / 7!r},{flag},{stamp}\n")


def sorted_lines(path: Path) -> list[str]:
    """What a file holds, in no order of its own."""
    return sorted(path.read_text(encoding="utf-8").splitlines())


class Copying:
    """Both commands, on one node.

    :param address: of the node.
    :param rows: of the file.
    :param processes: of txcql.
    """

    def __init__(self, address: str, rows: int, processes: int) -> None:
        self.rows = rows
        self.source = BUILD / "copied.csv"
        self._address = address
        self._cqlsh = cqlsh()
        self._variables = built_variables(pure=False)
        self._processes = ["--processes", str(processes)]
        write_rows(self.source, rows)

    def prepare(self) -> None:
        """An empty table for each."""
        columns = ", ".join(f"{name} {kind}" for name, kind in zip(NAMES.split(","), KINDS, strict=True))
        replication = "{'class': 'SimpleStrategy', 'replication_factor': 1}"
        self._cql(
            f"DROP KEYSPACE IF EXISTS {KEYSPACE}",
            f"CREATE KEYSPACE {KEYSPACE} WITH replication = {replication}",
            *(f"CREATE TABLE {KEYSPACE}.{name} ({columns})" for name in ("txcql", "cqlsh")),
        )

    def clear(self) -> None:
        """Leave nothing on the node."""
        self._cql(f"DROP KEYSPACE {KEYSPACE}")

    def txcql_load(self) -> float:
        """Rows a second."""
        return self._timed(self._txcql("load", "txcql", self.source))

    def cqlsh_load(self) -> float:
        """Rows a second."""
        return self._timed(self._copy(f"FROM '{self.source}'"))

    def txcql_unload(self) -> float:
        """Rows a second; what came is what went."""
        path = BUILD / "unloaded.csv"
        speed = self._timed(self._txcql("unload", "txcql", path, "--columns", NAMES))
        if sorted_lines(path) != sorted_lines(self.source):
            raise BenchmarkError("txcql unload: it is not what was loaded")
        return speed

    def cqlsh_unload(self) -> float:
        """Rows a second; as many came as went."""
        path = BUILD / "unloaded.csv"
        speed = self._timed(self._copy(f"TO '{path}'"))
        count = len(sorted_lines(path)) - 1
        if count != self.rows:
            raise BenchmarkError(f"cqlsh COPY TO: {count} rows, expected {self.rows}")
        return speed

    def _txcql(self, command: str, table: str, path: Path, *arguments: str) -> list[str]:
        about = ["--contact-point", self._address, *self._processes, *arguments]
        return [sys.executable, "-m", "txcql", command, f"{KEYSPACE}.{table}", str(path), *about]

    def _copy(self, what: str) -> list[str]:
        text = f"COPY {KEYSPACE}.cqlsh ({NAMES}) {what} WITH HEADER = true"
        return [str(self._cqlsh), self._address, "-e", text]

    def _cql(self, *statements: str) -> None:
        run_tool(self._cqlsh, self._address, "--request-timeout=60", "-e", "; ".join(statements) + ";")

    def _timed(self, command: Sequence[str]) -> float:
        begun = time.monotonic()
        done = subprocess.run(
            command, cwd=BUILD, env=self._variables, capture_output=True, text=True, timeout=TIMEOUT
        )
        spent = time.monotonic() - begun
        if done.returncode:
            raise BenchmarkError(f"{' '.join(command)}: status {done.returncode}\n{done.stderr[-2000:]}")
        return self.rows / spent


def measure(copying: Copying, rounds: int) -> dict[str, dict[str, list[float]]]:
    """Rows a second, by what is done and by whom; the two take turns."""
    works: dict[str, dict[str, Callable[[], float]]] = {
        "load": {"txcql": copying.txcql_load, "cqlsh": copying.cqlsh_load},
        "unload": {"txcql": copying.txcql_unload, "cqlsh": copying.cqlsh_unload},
    }
    found: dict[str, dict[str, list[float]]] = {work: {"txcql": [], "cqlsh": []} for work in works}
    for _ in range(rounds):
        copying.prepare()
        for work, commands in works.items():
            for name, run in commands.items():
                found[work][name].append(run())
    copying.clear()
    return found


def main() -> int:
    """Measure, print; the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rows", type=int, default=200_000, help="rows to copy (200,000)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds to take the medians of (3)")
    parser.add_argument("--processes", type=int, default=1, help="processes of txcql (1)")
    parser.add_argument(
        "--assert", action="store_true", dest="asserted", help="status 1 when cqlsh is the faster one"
    )
    options = parser.parse_args()
    sys.path.insert(0, str(HERE.parent))
    from txcql.test.cassandra import lease

    BUILD.mkdir(exist_ok=True)
    try:
        with lease("bench") as held:
            copying = Copying(held.nodes[0].address, options.rows, options.processes)
            found = measure(copying, options.rounds)
    except BenchmarkError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    titles = ["", "txcql, rows/s", "smallest to largest", "cqlsh, rows/s", "smallest to largest", "ratio"]
    rows, slower = [], []
    for work, speeds in found.items():
        ratio = statistics.median(speeds["txcql"]) / statistics.median(speeds["cqlsh"])
        rows.append(
            [work, *median_and_spread(speeds["txcql"]), *median_and_spread(speeds["cqlsh"]), spell(ratio)]
        )
        if ratio < LEAST:
            slower.append(work)
    print(markdown(titles, rows, titles[1:]))
    if options.asserted and slower:
        print(f"bench: slower than cqlsh: {', '.join(slower)}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
