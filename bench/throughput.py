"""What gets done on a real Cassandra: requests a second of each driver, and a page with and without LZ4.

``python bench/throughput.py`` starts a Cassandra of one node by itself, which takes Java and Maven, fills its
tables, runs the clients of ``run.py`` on it in turn for some rounds, checks what they read, and prints one
Markdown table. Node and client share the machine: requests a second tell what is left of it for the node.

It ends with status 1 when a client fails, or (with ``--assert``) when a driver for Python gets more done than
txcql, or when LZ4 or protocol v5 costs more of the client's CPU than it may.
"""

from __future__ import annotations

import argparse
import csv
import statistics
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random

import run
from answers import PAGE_ROWS, insert_statement, page_statement, point_statement
from harness import (
    BUILD,
    HERE,
    BenchmarkError,
    built_variables,
    markdown,
    median_and_spread,
    run_script,
    txcql_fact,
)
from run import CLIENTS, Client, Workload

PAGES = 40
"""Pages that are there to be read."""
POINTS = {"fast": 150_000, "slow": 15_000}
"""Requests of one round, by the pace of a client: some seconds for each."""
LZ4 = tuple(
    replace(client, name=f"{client.name}-lz4", title=f"{client.title}, LZ4", variant="lz4")
    for client in CLIENTS
    if client.ours
)
DRIVERS = tuple(client for client in CLIENTS if client.name != "bare")
OURS = tuple(client for client in CLIENTS if client.ours)
LEAST = 1.0
"""With ``--assert``: requests a second of txcql over those of the best other driver."""
MOST_LZ4 = 1.5
"""With ``--assert``: CPU of a page with LZ4 over that without."""
MOST_V5 = {run.PURE: 1.25, run.COMPILED: 1.15}
"""With ``--assert``: CPU of a page in v5 over that in v4."""


def make_workloads() -> dict[str, tuple[Workload, tuple[Client, ...]]]:
    """The workloads, and the clients of each."""
    page = page_statement()
    # A real node gives them in the order of their clustering column, and says whether there are more.
    text = f"{page.text} LIMIT {PAGE_ROWS}"
    page = replace(page, text=text, rows=sorted(page.rows, key=lambda row: row[0].bytes))
    size = f"page of {PAGE_ROWS:,} x {len(page.columns)}, every value taken"
    pages = {"fast": PAGES, "slow": PAGES}
    return {
        "point": (
            Workload("point read, 256 in flight", point_statement(), 256, POINTS, "request"),
            DRIVERS,
        ),
        "insert": (
            Workload("insert of 6 values, 256 in flight", insert_statement(), 256, POINTS, "request"),
            DRIVERS,
        ),
        "page": (Workload(size, page, 1, pages, "row", PAGE_ROWS), (*OURS, *LZ4)),
        "page-v4": (Workload(f"{size}, v4", page, 1, pages, "row", PAGE_ROWS, protocol=4), (*OURS, *LZ4)),
    }


@dataclass
class Throughput:
    """What the rounds gave, by workload and client."""

    speeds: dict[tuple[str, str], list[float]] = field(default_factory=dict)
    """Requests, or rows, a second."""
    costs: dict[tuple[str, str], list[float]] = field(default_factory=dict)
    """Microseconds of the client's CPU for each."""
    build: dict[str, object] = field(default_factory=dict)

    def ratio(self, costs: bool, one: tuple[str, str], other: tuple[str, str]) -> float:
        """Between the medians of two."""
        found = self.costs if costs else self.speeds
        return statistics.median(found[one]) / statistics.median(found[other])

    def of_best(self, workload: str, client: str) -> float:
        """Requests a second over those of the best driver that is not txcql."""
        others = [driver.name for driver in DRIVERS if not driver.ours]
        return min(self.ratio(False, (workload, client), (workload, other)) for other in others)


def measure(host: str, port: int, rounds: int, quick: bool) -> Throughput:
    """All clients in turn on each workload, round after round.

    What one has written is flushed and compacted while the next one runs: so each round has another order. A
    round before the first is not counted: the node compiles its own code meanwhile.
    """
    found = Throughput()
    job = {"host": host, "port": port, "points": POINTS["fast"], "pages": PAGES}
    run_script("filling the tables", "fill_client.py", job, variables=built_variables(pure=False))
    for number in range(rounds + 1):
        for key, (workload, clients) in make_workloads().items():
            for client in Random(number).sample(clients, len(clients)):
                print(f"round {number}: {workload.name}: {client.title}", file=sys.stderr)
                result = run.run_client(client, workload, port, 5, quick, host)
                if not number:
                    continue
                units = result["requests"] * workload.units_per_request
                found.speeds.setdefault((key, client.name), []).append(units / result["wall"])
                found.costs.setdefault((key, client.name), []).append(result["cpu"] / units * 1e6)
                if client.ours:
                    found.build = result["build"]
    return found


def check_bounds(found: Throughput) -> list[str]:
    """What is to be said about each bound, the broken ones first."""
    verdicts: list[tuple[str, bool]] = []
    for client in OURS:
        for workload in ("point", "insert"):
            ratio = found.of_best(workload, client.name)
            text = f"{workload}: {client.name} does {ratio:.3f} of the best other driver, at least {LEAST}"
            verdicts.append((text, ratio >= LEAST))
        for workload in ("page", "page-v4"):
            ratio = found.ratio(True, (workload, f"{client.name}-lz4"), (workload, client.name))
            text = f"{workload}: {client.name} with LZ4 costs {ratio:.3f} of plain, at most {MOST_LZ4}"
            verdicts.append((text, ratio <= MOST_LZ4))
        most = MOST_V5[client.name]
        ratio = found.ratio(True, ("page", client.name), ("page-v4", client.name))
        verdicts.append((f"page: {client.name} in v5 costs {ratio:.3f} of v4, at most {most}", ratio <= most))
    return sorted(f"{'kept' if kept else 'BROKEN'} {text}" for text, kept in verdicts)


def table(found: Throughput) -> tuple[list[str], list[list[str]]]:
    """The titles and the rows of the table."""
    titles = ["workload", "client", "a second, median", "smallest to largest", "µs of CPU each", "each"]
    rows = []
    for key, (workload, clients) in make_workloads().items():
        for client in clients:
            speeds, costs = found.speeds[key, client.name], found.costs[key, client.name]
            cost = median_and_spread(costs)[0]
            rows.append([workload.name, client.title, *median_and_spread(speeds), cost, workload.unit])
    return titles, rows


def main() -> int:
    """Measure, print; the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5, help="rounds to take the medians of (5)")
    parser.add_argument("--quick", action="store_true", help="a fifth of the requests: to see that it runs")
    parser.add_argument("--csv", type=Path, help="write the table to this file as well")
    parser.add_argument("--assert", action="store_true", dest="bounds", help="fail when a bound is not kept")
    options = parser.parse_args()
    sys.path.insert(0, str(HERE.parent))
    from txcql.test.cassandra import lease

    BUILD.mkdir(exist_ok=True)
    try:
        with lease("bench") as held:
            node = held.nodes[0]
            found = measure(node.address, node.port, options.rounds, options.quick)
    except BenchmarkError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    titles, rows = table(found)
    print(f"- {txcql_fact(found.build)}; rounds: {options.rounds}\n")
    print(markdown(titles, rows, titles[2:5]))
    if options.csv:
        with open(options.csv, "w", newline="", encoding="utf-8") as file:
            csv.writer(file, lineterminator="\n").writerows([titles, *rows])
    if not options.bounds:
        return 0
    verdicts = check_bounds(found)
    print("\n" + "\n".join(f"- {verdict}" for verdict in verdicts))
    return int(any(verdict.startswith("BROKEN") for verdict in verdicts))


if __name__ == "__main__":
    sys.exit(main())
