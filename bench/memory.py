"""What txcql costs in memory: 50 connections, and 5,000 requests in flight which the server holds.

``python bench/memory.py`` measures a client process stage by stage: resident bytes (RSS) in some processes,
the bytes that Python allocates (tracemalloc) in another, and prints one Markdown table.

It ends with status 1 when an answer is wrong, a client fails, or (with ``--assert``) the bound is not kept.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import sys
from dataclasses import dataclass
from typing import Any

from answers import point_statement
from harness import BenchmarkError, markdown, run_script, serving, txcql_fact, txcql_variables

MIB = 2**20
MOST_OVER_IDLE = 20 * MIB
"""Bytes, resident or allocated, over an idle session of one connection."""
MOST_EACH = 2048
"""Bytes, resident or allocated, of each request in flight."""
CONNECTIONS = 50
REQUESTS = 5000
PROCESSES = 3
"""To take the medians of RSS of: they differ little."""
IDLE = "one connection"
"""The stage that the others are compared with."""
STAGES = {
    IDLE: "idle session, 1 connection",
    "all connections": f"idle session, {CONNECTIONS} connections",
    "in flight": f"{CONNECTIONS} connections, {REQUESTS:,} requests in flight",
    "answered": f"{CONNECTIONS} connections, all answered",
}


@dataclass(frozen=True)
class Memory:
    """What the processes said: bytes over the idle session, one number for each of them."""

    resident: dict[str, list[int]]
    traced: dict[str, list[int]]
    peak: list[int]
    """Bytes resident at most."""
    budget: int | None
    """What the session said it costs, in bytes; ``None`` if it says nothing."""
    build: dict[str, Any]

    def most(self) -> int:
        """Bytes over idle with all requests in flight: the larger one of the two measures."""
        return max(round(statistics.median(kind["in flight"])) for kind in (self.resident, self.traced))


def over_idle(results: list[dict[str, Any]], measure: str) -> dict[str, list[int]]:
    """By stage, what each process had over its idle session, in bytes."""
    return {
        stage: [result["stages"][stage][measure] - result["stages"][IDLE][measure] for result in results]
        for stage in STAGES
    }


def measure(options: argparse.Namespace) -> Memory:
    """Run the processes one after another."""
    statement = point_statement()
    plain: list[dict[str, Any]] = []
    traced: list[dict[str, Any]] = []
    processes = min(options.rounds, PROCESSES)
    with serving([statement]) as port:
        for number in range(processes + 1):
            trace = number == processes
            print(f"memory: process {number + 1}: {'tracemalloc' if trace else 'RSS'}", file=sys.stderr)
            job = {
                "port": port,
                "protocol": options.protocol,
                "statement": statement.text,
                "connections": CONNECTIONS,
                "requests": REQUESTS,
                "trace": trace,
            }
            result = run_script("txcql, memory", "memory_client.py", job, variables=txcql_variables())
            (traced if trace else plain).append(result)
    peak = [result["peak"] - result["stages"][IDLE]["resident"] for result in plain]
    return Memory(
        over_idle(plain, "resident"), over_idle(traced, "traced"), peak, plain[0]["budget"], plain[0]["build"]
    )


def mebibytes(values: list[int]) -> str:
    """The median, in MiB."""
    return f"{statistics.median(values) / MIB:.2f}"


def spread(values: list[int]) -> str:
    """Smallest and largest, in MiB."""
    return f"{min(values) / MIB:.2f}..{max(values) / MIB:.2f}"


def each(memory: dict[str, list[int]], stage: str, before: str, count: int) -> str:
    """What one of ``count`` things costs which this stage has and the one before it has not."""
    difference = statistics.median(memory[stage]) - statistics.median(memory[before])
    return f"{difference / count:,.0f} B"


def table(memory: Memory) -> str:
    """The figures as one Markdown table."""
    numeric = ["RSS over idle, MiB", "min..max", "tracemalloc over idle, MiB"]
    rows = []
    for stage, title in STAGES.items():
        resident = memory.resident[stage]
        cells = [mebibytes(resident), spread(resident), mebibytes(memory.traced[stage])]
        rows.append([title, *(["-"] * 3 if stage == IDLE else cells)])
    rows.append(["at most, at any time", mebibytes(memory.peak), spread(memory.peak), "-"])
    for title, stage, before, count in (
        ("each connection", "all connections", IDLE, CONNECTIONS - 1),
        ("each request in flight", "in flight", "all connections", REQUESTS),
    ):
        cells = [each(kind, stage, before, count) for kind in (memory.resident, memory.traced)]
        rows.append([title, cells[0], "-", cells[1]])
    if memory.budget is not None:
        rows.append(["`session.memory_budget()`, with all in flight", mebibytes([memory.budget]), "-", "-"])
    return markdown(["what", *numeric], rows, numeric)


def facts(memory: Memory, options: argparse.Namespace) -> list[str]:
    """What ran, and on what."""
    python, twisted = memory.build["python"], memory.build["twisted"]
    return [
        f"{platform.python_implementation()} {python}, Twisted {twisted}, {platform.system()} "
        f"{platform.machine()}, {os.cpu_count()} CPUs; protocol v{options.protocol}; processes: "
        f"{len(memory.peak)} for RSS, 1 for tracemalloc",
        txcql_fact(memory.build),
    ]


def verdict(memory: Memory) -> tuple[bool, str]:
    """Whether the bound is kept, and what is to be said about it."""
    most = memory.most()
    kept = most <= MOST_OVER_IDLE
    text = f"{most / MIB:.2f} MiB over an idle session of 1 connection, at most {MOST_OVER_IDLE / MIB:.0f}"
    return kept, f"{'kept' if kept else 'BROKEN'} memory with all in flight: {text}"


def verdict_of_each(memory: Memory) -> tuple[bool, str]:
    """The same for each request in flight."""
    costs = [
        (statistics.median(kind["in flight"]) - statistics.median(kind["all connections"])) / REQUESTS
        for kind in (memory.resident, memory.traced)
    ]
    kept = max(costs) <= MOST_EACH
    text = f"{max(costs):,.0f} bytes, at most {MOST_EACH:,}"
    return kept, f"{'kept' if kept else 'BROKEN'} memory of each request in flight: {text}"


def print_memory(options: argparse.Namespace) -> int:
    """Measure and print; the exit status.

    :param options: ``rounds``, ``protocol`` and ``bounds``.
    """
    memory = measure(options)
    print("\n".join(f"- {line}" for line in facts(memory, options)))
    print()
    print(table(memory))
    if not options.bounds:
        return 0
    verdicts = [verdict(memory), verdict_of_each(memory)]
    print("\n" + "\n".join(f"- {text}" for _, text in verdicts))
    return int(not all(kept for kept, _ in verdicts))


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--rounds",
        type=int,
        default=PROCESSES,
        help=f"processes to take the medians of ({PROCESSES}, at most)",
    )
    parser.add_argument("--protocol", type=int, choices=(4, 5), default=5, help="native protocol version (5)")
    parser.add_argument(
        "--assert", action="store_true", dest="bounds", help="fail when the bound is not kept"
    )
    return parser.parse_args()


def main() -> int:
    """Run the benchmark; the exit status."""
    try:
        return print_memory(parse_arguments())
    except BenchmarkError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
