"""What the parts of txcql's request path cost in CPU time, and what flow control costs at its limits.

``python bench/latency.py`` runs each part by itself and point reads against the canned server, in turn for
some rounds, and prints one Markdown table: medians, with smallest and largest, of microseconds of CPU.

It ends with status 1 when an answer is wrong, a client fails, or (with ``--assert``) a bound is not kept.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import sys
from dataclasses import dataclass, field
from typing import Any

from answers import Statement, point_statement
from harness import (
    BenchmarkError,
    check_result,
    make_job,
    markdown,
    median_and_spread,
    run_script,
    serving,
    spell,
    txcql_fact,
    txcql_variables,
)

BOUNDS = {"stream: release and allocate": 1.0, "encoding: bind, body and header": 5.0}
"""Part -> microseconds that its median has to stay below, in each of its cases."""
LIMIT = 1024
"""Requests that a connection accepts, ``max_requests_per_connection``, as it comes."""
RELEASES = ("hysteresis", "continuous")
REQUESTS = 50_000
WARM_UP = 10_000
KEEP_MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(2**25), "MALLOC_TRIM_THRESHOLD_": str(2**32)}
"""Variables: glibc gives no memory back to the system, so that page faults do not hide what a copy costs."""


@dataclass(frozen=True)
class Flow:
    """Point reads over one connection."""

    wanted: int
    """Requests that the application wants in flight, at every moment."""
    release: str
    """The setting of the driver."""

    @property
    def title(self) -> str:
        """How the table calls it."""
        over = f", {LIMIT:,} accepted" if self.wanted > LIMIT else ""
        return f'{self.wanted:,} wanted at once{over}, release="{self.release}"'


FLOWS = [Flow(wanted, release) for wanted in (512, 2000) for release in RELEASES]


@dataclass
class Latencies:
    """What the rounds gave."""

    pieces: dict[tuple[str, str, str], list[float]] = field(default_factory=dict)
    """(part, case, unit) -> microseconds of CPU per unit."""
    flows: dict[Flow, list[dict[str, Any]]] = field(default_factory=dict)
    """What the clients said."""
    build: dict[str, Any] = field(default_factory=dict)

    def add_pieces(self, result: dict[str, Any]) -> None:
        """Note one round of the parts."""
        self.build = result["build"]
        for *labels, microseconds in result["figures"]:
            part, case, unit = labels
            self.pieces.setdefault((part, case, unit), []).append(microseconds)


def run_flow(flow: Flow, statement: Statement, port: int, options: argparse.Namespace) -> dict[str, Any]:
    """One client, its result checked."""
    shrink = 5 if options.quick else 1
    job = make_job(
        statement,
        flow.wanted,
        WARM_UP // shrink,
        REQUESTS // shrink,
        port,
        protocol=options.protocol,
        variant=flow.release,
    )
    what = f"point reads, {flow.title}"
    result = run_script(what, "flow_client.py", job, variables=txcql_variables())
    check_result(what, result, statement, REQUESTS // shrink)
    return result


def measure(options: argparse.Namespace) -> Latencies:
    """The parts and the flows in turn, round after round."""
    latencies, statement = Latencies(), point_statement()
    variables = {**txcql_variables(), **KEEP_MEMORY}
    with serving([statement]) as port:
        for number in range(options.rounds):
            print(f"round {number + 1}: parts", file=sys.stderr)
            latencies.add_pieces(run_script("the parts", "pieces_client.py", {}, variables=variables))
            for flow in FLOWS:
                print(f"round {number + 1}: {flow.title}", file=sys.stderr)
                latencies.flows.setdefault(flow, []).append(run_flow(flow, statement, port, options))
    return latencies


def flow_rows(latencies: Latencies) -> list[list[str]]:
    """The rows of the point reads."""
    rows = []
    for flow, results in latencies.flows.items():
        costs = [result["cpu"] / result["requests"] * 1e6 for result in results]
        speed = statistics.median(result["requests"] / result["wall"] for result in results)
        rows.append(["point read", flow.title, *median_and_spread(costs), "request", "-", spell(speed)])
    return rows


def table(latencies: Latencies) -> str:
    """The figures as one Markdown table."""
    numeric = ["µs CPU, median", "min..max", "bound", "requests/s"]
    titles = ["part", "case", *numeric[:2], "per", *numeric[2:]]
    rows = []
    for (part, case, unit), costs in latencies.pieces.items():
        bound = f"< {BOUNDS[part]:g}" if part in BOUNDS else "-"
        rows.append([part, case, *median_and_spread(costs), unit, bound, "-"])
    return markdown(titles, rows + flow_rows(latencies), numeric)


def facts(latencies: Latencies, options: argparse.Namespace) -> list[str]:
    """What ran, and on what."""
    build = latencies.build
    refused = [
        f"{sum(result['refused'] for result in results) / sum(result['requests'] for result in results):.2g} "
        f'with release="{flow.release}"'
        for flow, results in latencies.flows.items()
        if flow.wanted > LIMIT
    ]
    return [
        f"{platform.python_implementation()} {build['python']}, Twisted {build['twisted']}, "
        f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPUs; point reads in protocol "
        f"v{options.protocol}; rounds: {options.rounds}{' (quick)' if options.quick else ''}",
        txcql_fact(build),
        f"refusals per request at overload: {', '.join(refused)}",
    ]


def check_bounds(latencies: Latencies) -> list[str]:
    """What is to be said about each bound, the broken ones first."""
    verdicts = []
    for (part, case, _), costs in latencies.pieces.items():
        if part in BOUNDS:
            median = statistics.median(costs)
            verdict = "kept" if median < BOUNDS[part] else "BROKEN"
            verdicts.append(f"{verdict} {part}, {case}: {spell(median)} µs, less than {BOUNDS[part]:g}")
    return sorted(verdicts, key=lambda verdict: verdict.startswith("kept"))


def print_latencies(options: argparse.Namespace) -> int:
    """Measure and print; the exit status.

    :param options: ``rounds``, ``quick``, ``protocol`` and ``bounds``.
    """
    latencies = measure(options)
    print("\n".join(f"- {line}" for line in facts(latencies, options)))
    print()
    print(table(latencies))
    if not options.bounds:
        return 0
    verdicts = check_bounds(latencies)
    print("\n" + "\n".join(f"- {verdict}" for verdict in verdicts))
    return int(any(verdict.startswith("BROKEN") for verdict in verdicts))


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, help="rounds to take the medians of (5; quick: 1)")
    parser.add_argument("--quick", action="store_true", help="a fifth of the requests: to see that it runs")
    parser.add_argument(
        "--protocol", type=int, choices=(4, 5), default=5, help="version for the point reads (5)"
    )
    parser.add_argument("--assert", action="store_true", dest="bounds", help="fail when a bound is not kept")
    options = parser.parse_args()
    options.rounds = options.rounds or (1 if options.quick else 5)
    return options


def main() -> int:
    """Run the benchmark; the exit status."""
    try:
        return print_latencies(parse_arguments())
    except BenchmarkError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
