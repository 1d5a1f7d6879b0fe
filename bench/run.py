"""What a request and a row cost a client in CPU time: txcql beside other drivers and a bare protocol.

``python bench/run.py`` compiles the canned server, makes the peers' environments, runs every client on every
workload in turn for some rounds, checks what they computed against what they should have, and prints one
Markdown table: medians, with smallest and largest, of microseconds of CPU of the client's process.

txcql is built from the checkout, and runs twice: as built, and with ``TXCQL_PURE`` set.

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
from answers import PAGE_ROWS, Statement, insert_statement, page_statement, point_statement
from harness import (
    BUILD,
    BenchmarkError,
    built_variables,
    check_result,
    make_job,
    markdown,
    median_and_spread,
    run_script,
    run_tool,
    serving,
    txcql_fact,
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
    protocol: int | None = None
    """The protocol version, if it is not that of the run."""
    only: tuple[str, ...] = ()
    """The clients that do it; none: all."""

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
    ours: bool = False
    """Whether it is txcql."""
    pure: bool = False
    """Of txcql: without its compiled modules."""


@dataclass(frozen=True)
class Bound:
    """At most so many times what another client needs."""

    workload: str
    clients: dict[str, float]
    """Client -> how many times at most."""
    against: tuple[str, ...]
    """The cheapest of these; none: the client itself."""
    against_workload: str = ""
    """What that one does; if nothing, the same."""


CASSANDRA_DRIVER = ("cassandra-driver==3.30.*",)
ACSYLLA = ("acsylla==1.2.*",)
SCYLLADB_RS = ("scylladb-rs-driver==0.2.*",)
PURE, COMPILED = "txcql", "txcql-compiled"
CLIENTS = (
    Client(PURE, "txcql, pure Python", "txcql_client.py", "fast", ours=True, pure=True),
    Client(COMPILED, "txcql, compiled", "txcql_client.py", "fast", ours=True),
    Client(
        "cassandra-driver", "cassandra-driver on Twisted",
        "cassandra_driver_client.py", "slow", "default", CASSANDRA_DRIVER,
    ),
    Client(
        "cassandra-driver-tuple", "cassandra-driver on Twisted, tuples",
        "cassandra_driver_client.py", "slow", "tuple", CASSANDRA_DRIVER,
    ),
    Client(
        "libev", "cassandra-driver on libev",
        "cassandra_driver_client.py", "slow", "libev default", CASSANDRA_DRIVER,
    ),
    Client(
        "libev-tuple", "cassandra-driver on libev, tuples",
        "cassandra_driver_client.py", "slow", "libev tuple", CASSANDRA_DRIVER,
    ),
    Client("acsylla", "acsylla (C++), v4", "acsylla_client.py", "fast", "", ACSYLLA),
    Client("scylladb-rs", "scylladb-rs-driver (Rust), v4", "scylladb_rs_client.py", "fast", "", SCYLLADB_RS),
    Client("bare", "bare Twisted protocol (counts v4 frames)", "bare_client.py", "fast"),
)  # fmt: skip
REFERENCE = "cassandra-driver"
STAGES = {"imports": "interpreter and imports", "connect": "connect and prepare"}
NATIVE = ("acsylla", "scylladb-rs")
CASSANDRA = ("cassandra-driver", "cassandra-driver-tuple", "libev", "libev-tuple")
# acsylla 1.2 raises UnicodeDecodeError at a decimal: it cannot read the page.
READ_THE_PAGE = (*CASSANDRA, "scylladb-rs")
BOUNDS = (
    Bound("point-256", {PURE: 0.04, COMPILED: 0.02}, (REFERENCE,)),
    Bound("point-256", {PURE: 1.0, COMPILED: 0.5}, NATIVE),
    Bound("point-1", {PURE: 2.0, COMPILED: 1.6}, ("bare",)),
    Bound("point-1024", {PURE: 1.4, COMPILED: 1.4}, (), "point-256"),
    Bound("insert-256", {PURE: 1.5, COMPILED: 0.8}, ("acsylla",)),
    Bound("page", {PURE: 0.85, COMPILED: 0.38}, ("cassandra-driver-tuple",)),
    Bound("page", {PURE: 1.8, COMPILED: 0.8}, READ_THE_PAGE),
    Bound("page-untouched", {PURE: 0.15, COMPILED: 0.15}, (), "page"),
    Bound("point-256", {PURE: 1.25, COMPILED: 1.15}, (), "point-256-v4"),
)


def make_workloads() -> dict[str, Workload]:
    """The workloads by name."""
    point, page, insert = point_statement(), page_statement(), insert_statement()
    drivers = tuple(client.name for client in CLIENTS if client.name != "bare")
    ours = (PURE, COMPILED)
    size = f"page of {PAGE_ROWS:,} x {len(page.columns)}"
    return {
        "point-1": Workload(
            "point read, 1 in flight", point, 1, {"fast": 20_000, "slow": 5_000}, "request",
        ),
        "point-32": Workload(
            "point read, 32 in flight", point, 32, {"fast": 30_000, "slow": 5_000}, "request",
        ),
        "point-256": Workload(
            "point read, 256 in flight", point, 256, {"fast": 50_000, "slow": 10_000}, "request",
        ),
        "point-1024": Workload(
            "point read, 1,024 in flight", point, 1024, {"fast": 50_000, "slow": 10_000}, "request",
        ),
        "point-256-v4": Workload(
            "point read, 256 in flight, v4", point, 256, {"fast": 50_000, "slow": 10_000}, "request",
            protocol=4, only=ours,
        ),
        "insert-256": Workload(
            "insert of 6 values, 256 in flight", insert, 256, {"fast": 50_000, "slow": 10_000}, "request",
            only=drivers,
        ),
        "page-untouched": Workload(
            f"{size}, received untouched", replace(page, kind="page-untouched"), 1,
            {"fast": 100, "slow": 20}, "row", PAGE_ROWS,
            only=(*ours, *CASSANDRA, "bare"),
        ),
        "page-column": Workload(
            f"{size}, one column taken", replace(page, kind="page-column"), 1,
            {"fast": 20, "slow": 20}, "row", PAGE_ROWS, only=(*ours, *CASSANDRA),
        ),
        "page": Workload(
            f"{size}, every value taken", page, 1, {"fast": 20, "slow": 20}, "row", PAGE_ROWS,
            only=(*ours, *READ_THE_PAGE, "bare"),
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
        run_tool(python, "-m", "pip", "install", "--quiet", "--only-binary", ":all:", *requirements)
        stamp.write_text(wanted)
    return python


# ---- measuring ----


def run_client(
    client: Client, workload: Workload, port: int, protocol: int, quick: bool, host: str = "127.0.0.1"
) -> dict[str, Any]:
    """Run one client on one workload in a process of its own; its result, checked."""
    warm_up, requests = workload.counts(client.pace, quick)
    statement = workload.statement
    job = make_job(
        statement,
        workload.in_flight,
        warm_up,
        requests,
        port,
        host=host,
        protocol=workload.protocol or protocol,
        variant=client.variant,
    )
    what = f"{client.title}, {workload.name}"
    variables = built_variables(pure=client.pure) if client.ours else None
    result = run_script(what, client.script, job, environment_python(client), variables)
    check_result(what, result, statement, requests)
    if client.ours and result["build"]["compiled"] is client.pure:
        raise BenchmarkError(f"{what}: the other build ran")
    return result


@dataclass
class Figures:
    """What the rounds gave: microseconds of CPU per unit, by workload and client."""

    costs: dict[tuple[str, str], list[float]] = field(default_factory=dict)
    builds: dict[str, dict[str, Any]] = field(default_factory=dict)
    startups: dict[tuple[str, str], list[float]] = field(default_factory=dict)
    """Milliseconds of CPU of what comes before the first request, by stage and client."""

    def add(self, workload: str, client: str, result: dict[str, Any], units: int) -> None:
        """Note the result of one client in one round."""
        self.costs.setdefault((workload, client), []).append(result["cpu"] / units * 1e6)
        for stage in STAGES:
            if stage in result:
                self.startups.setdefault((stage, client), []).append(result[stage] * 1e3)
        self.builds[client] = result["build"]

    def median(self, workload: str, client: str) -> float:
        """Microseconds per unit."""
        return statistics.median(self.costs[workload, client])

    def ratio(self, workload: str, client: str, against: str, its_workload: str = "") -> float | None:
        """Between two medians; None where one is missing."""
        other = its_workload or workload, against
        if (workload, client) not in self.costs or other not in self.costs:
            return None
        return self.median(workload, client) / self.median(*other)


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
                    if workload.only and client.name not in workload.only:
                        continue
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
            if (key, client.name) not in figures.costs:
                continue
            spread = median_and_spread(figures.costs[key, client.name])
            ratio = figures.ratio(key, client.name, REFERENCE)
            of_reference = "-" if ratio is None else f"{ratio:.3f}"
            rows.append([workload.name, client.title, *spread, workload.unit, of_reference])
    for stage, title in STAGES.items():
        for client in clients:
            if (stage, client.name) in figures.startups:
                spread = median_and_spread([time * 1e3 for time in figures.startups[stage, client.name]])
                rows.append([title, client.title, *spread, "process", "-"])
    return markdown(titles, rows, numeric)


def as_data(
    figures: Figures, workloads: dict[str, Workload], clients: list[Client], options: argparse.Namespace
) -> dict[str, Any]:
    """The figures as plain data."""
    return {
        "facts": facts(figures, options),
        "workloads": {key: [workload.name, workload.unit] for key, workload in workloads.items()},
        "clients": {client.name: client.title for client in clients},
        "bounds": [
            [workloads[bound.workload].name, client, against, ratio, bound.clients[client]]
            for bound, client, against, ratio in check_bounds(figures)
        ],
        "costs": [[*labels, costs] for labels, costs in figures.costs.items()],
        "startups": [
            [STAGES[stage], client, [time * 1e3 for time in times]]
            for (stage, client), times in figures.startups.items()
        ],
    }


def facts(figures: Figures, options: argparse.Namespace) -> list[str]:
    """What ran, and on what."""
    (first, *others) = sorted(figures.builds.values(), key=lambda build: "twisted" not in build)
    for other in others:
        versions = [(build["python"], build.get("twisted", first.get("twisted"))) for build in (first, other)]
        if versions[0] != versions[1]:
            raise BenchmarkError(f"the clients ran on different versions: {first}, {other}")
    lines = [
        f"{platform.python_implementation()} {first['python']}, Twisted {first.get('twisted', '-')}, "
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
    for name in ("acsylla", "scylladb-rs-driver"):
        lines += [f"{name} {build[name]}" for build in figures.builds.values() if name in build]
    ours = figures.builds.get(PURE) or figures.builds.get(COMPILED)
    if ours:
        lines.append(txcql_fact(ours))
    return lines


def check_bounds(figures: Figures) -> list[tuple[Bound, str, str, float]]:
    """Each bound with the client, what it is measured against, and the ratio.

    :raises BenchmarkError: a figure is missing.
    """
    found = []
    for bound in BOUNDS:
        for client in bound.clients:
            ratios = {
                other: figures.ratio(bound.workload, client, other, bound.against_workload)
                for other in bound.against or (client,)
            }
            known = {other: ratio for other, ratio in ratios.items() if ratio is not None}
            if len(known) < len(ratios):
                missing = ", ".join(ratios.keys() - known.keys())
                raise BenchmarkError(f"--assert needs {client} and {missing} on {bound.workload}")
            other, ratio = max(known.items(), key=lambda pair: pair[1])
            found.append((bound, client, bound.against_workload or other, ratio))
    return found


def spell_bounds(found: list[tuple[Bound, str, str, float]]) -> list[str]:
    """What is to be said about each bound, the broken ones first."""
    verdicts = []
    for bound, client, against, ratio in found:
        verdict = "kept" if ratio <= bound.clients[client] else "BROKEN"
        text = f"{client} at {ratio:.3f} of {against}, at most {bound.clients[client]}"
        verdicts.append(f"{verdict} {bound.workload}: {text}")
    return sorted(verdicts, key=lambda verdict: verdict.startswith("kept"))


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
    parser.add_argument("--json", type=Path, help="write the figures to this file as well: see chart.py")
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
    if options.json:
        options.json.write_text(json.dumps(as_data(figures, workloads, clients, options), indent=1))
    if not options.bounds:
        return 0
    verdicts = spell_bounds(check_bounds(figures))
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
