"""Where the time of a request goes: the parts of txcql, Twisted, the application and the kernel.

``python bench/shares.py`` runs four of the workloads of ``run.py`` against the canned server under a sampling
profiler, for the pure and for the compiled build, and prints one Markdown table.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import Any

from harness import (
    CLIENTS,
    BenchmarkError,
    markdown,
    serving,
    spell,
    txcql_fact,
)
from run import Client, Workload, make_workloads, run_client

REQUESTS = {"point-256": 300_000, "insert-256": 300_000, "point-1": 60_000, "page-untouched": 3_000}
"""Workload -> measured requests."""
TITLES = {
    "point-256": "point read",
    "insert-256": "insert",
    "point-1": "point read, 1 in flight",
    "page-untouched": "untouched page",
}
BUILDS = (
    Client("pure", "txcql, pure Python", "sampled_client.py", "fast", ours=True, pure=True),
    Client("compiled", "txcql, compiled", "sampled_client.py", "fast", ours=True),
)
PROTOCOL = 5
DEFERRED = "Deferred (Twisted)"
TRANSPORT = "reactor, transport and system calls (Twisted)"
APPLICATION = "the application: its loop, callbacks and checks"
OTHER = "anything else"
OURS = {
    "session": "session: the request and its result, the plan, deadlines",
    "pool": "pool: which link",
    "connection": "connection: streams, the link, the Write Buffer",
    "wire": "wire: frames, values, rows",
    "policies": "policies",
}
ORDER = (*OURS.values(), DEFERRED, TRANSPORT, APPLICATION, OTHER)


def part_of(file: str) -> str:
    """The part that a file belongs to."""
    path = PurePath(file)
    names = path.parts
    if path.parent == CLIENTS:
        return APPLICATION
    if "twisted" in names:
        return DEFERRED if path.name == "defer.py" else TRANSPORT
    if "txcql" in names:
        # The folder is called so too.
        place = len(names) - names[::-1].index("txcql")
        return OURS.get(names[place], OTHER)
    # The functions that txcql generates are in no file.
    return OURS["wire"] if file.startswith("<") and not file.startswith("<frozen") else OTHER


@dataclass(frozen=True)
class Profile:
    """What a client said of one workload.

    :ivar build: Which txcql it ran.
    :ivar cpu: Microseconds of a request.
    :ivar kernel: How many of them the kernel took.
    :ivar faults: Page faults of a request.
    :ivar samples: File, function and how often it was seen there, the most frequent first.
    """

    build: dict[str, Any]
    cpu: float
    kernel: float
    faults: float
    samples: list[list[Any]]

    def microseconds(self) -> dict[str, float]:
        """Part -> microseconds of a request."""
        counts: Counter[str] = Counter()
        for file, _, count in self.samples:
            counts[part_of(file)] += count
        return {part: counts[part] / counts.total() * self.cpu for part in ORDER}

    def functions(self, most: int) -> list[str]:
        """The functions that take most, with their microseconds."""
        total = sum(count for *_, count in self.samples)
        return [
            f"{count / total * self.cpu:7.2f} {function} {'/'.join(PurePath(file).parts[-2:])}"
            for file, function, count in self.samples[:most]
        ]


def sampled(workload: Workload, port: int, client: Client, quick: bool) -> Profile:
    """Run it."""
    result = run_client(client, workload, port, PROTOCOL, quick)
    _, requests = workload.counts(client.pace, quick)
    each = 1e6 / requests
    return Profile(
        result["build"],
        result["cpu"] * each,
        result["kernel"] * each,
        result["faults"] / requests,
        result["samples"],
    )


def table(profiles: dict[str, Profile]) -> tuple[list[str], list[list[str]]]:
    """Titles and rows: a row for each part, a column for each profile."""
    parts = [profile.microseconds() for profile in profiles.values()]
    rows = [[part, *(f"{each[part]:.2f}" for each in parts)] for part in ORDER]
    rows.append(["all", *(f"{profile.cpu:.2f}" for profile in profiles.values())])
    rows.append(["of it in the kernel", *(f"{profile.kernel:.2f}" for profile in profiles.values())])
    rows.append(["page faults, not µs", *(spell(profile.faults) for profile in profiles.values())])
    return ["part, µs of a request", *profiles], rows


def main() -> int:
    """Measure, print; the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a fifth of the requests: to see that it runs")
    parser.add_argument("--functions", type=int, default=0, help="so many functions as well, the first ones")
    parser.add_argument("--csv", type=Path, help="write the table to this file as well")
    options = parser.parse_args()
    workloads = make_workloads()
    profiles = {}
    try:
        with serving([workloads[name].statement for name in REQUESTS]) as port:
            for name, requests in REQUESTS.items():
                workload = replace(workloads[name], requests={"fast": requests})
                for client in BUILDS:
                    title = f"{TITLES[name]}: {client.name}"
                    profiles[title] = sampled(workload, port, client, options.quick)
    except BenchmarkError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    titles, rows = table(profiles)
    print(f"- {txcql_fact(next(iter(profiles.values())).build)}\n")
    print(markdown(titles, rows, titles[1:]))
    for name, profile in profiles.items() if options.functions else ():
        print(f"\n{name}", *profile.functions(options.functions), sep="\n")
    if options.csv:
        with open(options.csv, "w", newline="", encoding="utf-8") as file:
            csv.writer(file, lineterminator="\n").writerows([titles, *rows])
    return 0


if __name__ == "__main__":
    sys.exit(main())
