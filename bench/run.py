"""What a request and a row cost a client in CPU time: txcql beside cassandra-driver and a bare protocol.

``python bench/run.py`` compiles the canned server, makes the peers' environments, runs every client on every
workload in turn for some rounds, checks what they computed against what they should have, and prints one
Markdown table: medians, with smallest and largest, of microseconds of CPU of the client's process.

``--latency`` and ``--memory`` add the tables of ``latency.py`` and ``memory.py``.

It ends with status 1 when a check sum is wrong, a client fails, or (with ``--assert``) a bound is not kept.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import latency
import memory
from answers import PAGE_ROWS, Statement, page_statement, point_statement
from harness import (
    BUILD,
    BenchmarkError,
    check_result,
    markdown,
    median_and_spread,
    run_script,
    run_tool,
    serving,
    txcql_fact,
    txcql_variables,
)

# ---- what is measured ----


@dataclass(frozen=True)
class Workload:
    """One row of the table for each client."""

    name: str
    statement: Statement
    in_flight: int
    requests: dict[str, int]
    """Client's pace ("fast" or "slow") -> measured requests of one round."""
    unit: str
    units_per_request: int = 1

    def counts(self, pace: str, quick: bool) -> tuple[int, int]:
        """Requests to warm up with, and requests to measure."""
        requests = self.requests[pace]
        if quick:
            requests = max(requests // 5, 5)
        return max(requests // 5, 2), requests


@dataclass(frozen=True)
class Client:
    """A script in ``clients/`` and how to run it."""

    name: str
    title: str
    script: str
    pace: str
    variant: str = ""
    requirements: tuple[str, ...] = ()
    """What its own environment holds besides Twisted; none: it runs in the interpreter of this script."""


@dataclass(frozen=True)
class Bound:
    """At most so many times what another client needs."""

    workload: str
    client: str
    against: str
    at_most: float


CASSANDRA_DRIVER = ("cassandra-driver==3.30.*",)
CLIENTS = (
    Client("txcql", "txcql", "txcql_client.py", "fast"),
    Client(
        "cassandra-driver", "cassandra-driver on Twisted",
        "cassandra_driver_client.py", "slow", "default", CASSANDRA_DRIVER,
    ),
    Client(
        "cassandra-driver-tuple", "cassandra-driver on Twisted, tuples",
        "cassandra_driver_client.py", "slow", "tuple", CASSANDRA_DRIVER,
    ),
    Client("bare", "bare Twisted protocol (counts v4 frames)", "bare_client.py", "fast"),
)  # fmt: skip
REFERENCE = "cassandra-driver"
BOUNDS = (
    Bound("point-256", "txcql", REFERENCE, 0.06),
    Bound("page", "txcql", REFERENCE, 1.0),
)


def make_workloads() -> dict[str, Workload]:
    """The workloads by name."""
    point, page = point_statement(), page_statement()
    size = f"page of {PAGE_ROWS:,} x {len(page.columns)}"
    return {
        "point-1": Workload(
            "point read, 1 in flight", point, 1, {"fast": 20_000, "slow": 5_000}, "request",
        ),
        "point-256": Workload(
            "point read, 256 in flight", point, 256, {"fast": 50_000, "slow": 10_000}, "request",
        ),
        "page-untouched": Workload(
            f"{size}, received untouched", replace(page, kind="page-untouched"), 1,
            {"fast": 100, "slow": 20}, "row", PAGE_ROWS,
        ),
        "page-column": Workload(
            f"{size}, one column taken", replace(page, kind="page-column"), 1,
            {"fast": 20, "slow": 20}, "row", PAGE_ROWS,
        ),
        "page": Workload(
            f"{size}, every value taken", page, 1, {"fast": 20, "slow": 20}, "row", PAGE_ROWS,
        ),
    }  # fmt: skip


# ---- what is needed to measure it ----


def environment_python(client: Client) -> Path:
    """The interpreter of a client, its environment made when it is not there as it should be."""
    if not client.requirements:
        return Path(sys.executable)
    import twisted

    requirements = [*client.requirements, f"twisted=={twisted.__version__}"]
    folder = BUILD / f"venv-{Path(client.script).stem.replace('_', '-')}"
    stamp, wanted = folder / "made-of.json", json.dumps([sys.version, *requirements])
    python = folder / "bin" / "python"
    if not stamp.exists() or stamp.read_text() != wanted:
        print(f"making an environment with {', '.join(requirements)}", file=sys.stderr)
        shutil.rmtree(folder, ignore_errors=True)
        run_tool(sys.executable, "-m", "venv", folder)
        run_tool(
            python, "-m", "pip", "install", "--quiet", "--only-binary", "cassandra-driver", *requirements
        )
        stamp.write_text(wanted)
    return python


# ---- measuring ----


def run_client(client: Client, workload: Workload, port: int, protocol: int, quick: bool) -> dict[str, Any]:
    """Run one client on one workload in a process of its own; its result, checked."""
    warm_up, requests = workload.counts(client.pace, quick)
    statement = workload.statement
    job = {
        "port": port,
        "protocol": protocol,
        "kind": statement.kind,
        "statement": statement.text,
        "in_flight": workload.in_flight,
        "warm_up": warm_up,
        "requests": requests,
        "variant": client.variant,
    }
    what = f"{client.title}, {workload.name}"
    variables = txcql_variables() if client.name == "txcql" else None
    result = run_script(what, client.script, job, environment_python(client), variables)
    check_result(what, result, statement, requests)
    return result


@dataclass
class Figures:
    """What the rounds gave: microseconds of CPU per unit, by workload and client."""

    costs: dict[tuple[str, str], list[float]] = field(default_factory=dict)
    builds: dict[str, dict[str, Any]] = field(default_factory=dict)

    def add(self, workload: str, client: str, result: dict[str, Any], units: int) -> None:
        """Note the result of one client in one round."""
        self.costs.setdefault((workload, client), []).append(result["cpu"] / units * 1e6)
        self.builds[client] = result["build"]

    def median(self, workload: str, client: str) -> float:
        """Microseconds per unit."""
        return statistics.median(self.costs[workload, client])

    def ratio(self, workload: str, client: str, against: str) -> float | None:
        """Between two medians; None where one is missing."""
        if (workload, client) not in self.costs or (workload, against) not in self.costs:
            return None
        return self.median(workload, client) / self.median(workload, against)


def measure(workloads: dict[str, Workload], clients: list[Client], options: argparse.Namespace) -> Figures:
    """All clients in turn on each workload, round after round, so that what disturbs one disturbs all."""
    for client in clients:
        environment_python(client)
    figures = Figures()
    statements = {workload.statement.text: workload.statement for workload in workloads.values()}
    with serving(list(statements.values())) as port:
        for number in range(options.rounds):
            for key, workload in workloads.items():
                for client in clients:
                    print(f"round {number + 1}: {workload.name}: {client.title}", file=sys.stderr)
                    result = run_client(client, workload, port, options.protocol, options.quick)
                    figures.add(key, client.name, result, result["requests"] * workload.units_per_request)
    return figures


# ---- reporting ----


def table(figures: Figures, workloads: dict[str, Workload], clients: list[Client]) -> str:
    """The figures as one Markdown table."""
    numeric = ["µs CPU, median", "min..max", f"of {REFERENCE} on Twisted"]
    titles = ["workload", "client", *numeric[:2], "per", numeric[2]]
    rows = []
    for key, workload in workloads.items():
        for client in clients:
            spread = median_and_spread(figures.costs[key, client.name])
            ratio = figures.ratio(key, client.name, REFERENCE)
            of_reference = "-" if ratio is None else f"{ratio:.3f}"
            rows.append([workload.name, client.title, *spread, workload.unit, of_reference])
    return markdown(titles, rows, numeric)


def facts(figures: Figures, options: argparse.Namespace) -> list[str]:
    """What ran, and on what."""
    (first, *others) = figures.builds.values()
    for other in others:
        if (first["python"], first["twisted"]) != (other["python"], other["twisted"]):
            raise BenchmarkError(f"the clients ran on different versions: {first}, {other}")
    lines = [
        f"{platform.python_implementation()} {first['python']}, Twisted {first['twisted']}, "
        f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPUs; protocol v{options.protocol}; "
        f"rounds: {options.rounds}{' (quick)' if options.quick else ''}"
    ]
    driver = figures.builds.get(REFERENCE) or figures.builds.get("cassandra-driver-tuple")
    if driver:
        if not driver["compiled"]:
            raise BenchmarkError(
                "cassandra-driver came without its compiled row parser: not the peer to measure"
            )
        lines.append(f"cassandra-driver {driver['cassandra-driver']}, row parser compiled (Cython)")
    if "txcql" in figures.builds:
        lines.append(txcql_fact(figures.builds["txcql"]))
    return lines


def check_bounds(figures: Figures) -> list[str]:
    """What is to be said about each bound, the broken ones first."""
    broken: list[str] = []
    kept: list[str] = []
    for bound in BOUNDS:
        ratio = figures.ratio(bound.workload, bound.client, bound.against)
        if ratio is None:
            raise BenchmarkError(f"--assert needs {bound.client} and {bound.against} on {bound.workload}")
        text = f"{bound.workload}: {bound.client} at {ratio:.3f} of {bound.against}, at most {bound.at_most}"
        (kept if ratio <= bound.at_most else broken).append(text)
    return [*(f"BROKEN {text}" for text in broken), *(f"kept {text}" for text in kept)]


def names(given: str, known: list[str], what: str) -> list[str]:
    """The chosen ones, in the order of the known ones."""
    chosen = given.split(",") if given else known
    if unknown := set(chosen) - set(known):
        raise BenchmarkError(f"no such {what}: {', '.join(sorted(unknown))} (there are {', '.join(known)})")
    return [name for name in known if name in chosen]


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, help="rounds to take the medians of (5; quick: 1)")
    parser.add_argument("--quick", action="store_true", help="a fifth of the requests: to see that it runs")
    parser.add_argument("--protocol", type=int, choices=(4, 5), default=5, help="native protocol version (5)")
    parser.add_argument(
        "--clients", default="", help=f"only these: {','.join(client.name for client in CLIENTS)}"
    )
    parser.add_argument("--workloads", default="", help=f"only these: {','.join(make_workloads())}")
    parser.add_argument("--latency", action="store_true", help="the table of latency.py as well")
    parser.add_argument("--memory", action="store_true", help="the table of memory.py as well")
    parser.add_argument("--assert", action="store_true", dest="bounds", help="fail when a bound is not kept")
    options = parser.parse_args()
    options.rounds = options.rounds or (1 if options.quick else 5)
    return options


def print_comparison(options: argparse.Namespace) -> int:
    """Measure the clients beside each other and print; the exit status."""
    workloads = make_workloads()
    workloads = {name: workloads[name] for name in names(options.workloads, list(workloads), "workload")}
    wanted = names(options.clients, [client.name for client in CLIENTS], "client")
    clients = [client for client in CLIENTS if client.name in wanted]
    figures = measure(workloads, clients, options)
    print("\n".join(f"- {line}" for line in facts(figures, options)))
    print()
    print(table(figures, workloads, clients))
    if not options.bounds:
        return 0
    verdicts = check_bounds(figures)
    print("\n" + "\n".join(f"- {verdict}" for verdict in verdicts))
    return int(any(verdict.startswith("BROKEN") for verdict in verdicts))


def main() -> int:
    """Run the benchmark; the exit status."""
    options = parse_arguments()
    tables = [print_comparison]
    tables += [latency.print_latencies] if options.latency else []
    tables += [memory.print_memory] if options.memory else []
    statuses: list[int] = []
    try:
        for print_table in tables:
            if statuses:
                print()
            statuses.append(print_table(options))
    except BenchmarkError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    return max(statuses)


if __name__ == "__main__":
    sys.exit(main())
