"""Where the time of a point read goes: the parts of txcql, Twisted and the application, in shares of the CPU.

``python bench/shares.py`` runs 256 point reads in flight against the canned server under a sampling profiler,
for the pure and for the compiled build, and prints one Markdown table.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections import Counter
from pathlib import Path, PurePath
from typing import Any

from answers import Statement, point_statement
from harness import (
    BUILD,
    CLIENTS,
    BenchmarkError,
    built_variables,
    check_result,
    make_job,
    markdown,
    run_script,
    serving,
    txcql_fact,
)

REQUESTS = 300_000
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


def sampled(statement: Statement, port: int, pure: bool, requests: int) -> dict[str, Any]:
    """What the client said."""
    what = f"point reads, {'pure' if pure else 'compiled'}"
    job = make_job(statement, 256, requests // 5, requests, port)
    result = run_script(what, "sampled_client.py", job, variables=built_variables(pure=pure))
    check_result(what, result, statement, requests)
    if result["build"]["compiled"] is pure:
        raise BenchmarkError(f"{what}: the other build ran")
    return result


def shares_of(samples: list[list[Any]]) -> dict[str, float]:
    """Part -> share of all samples."""
    counts: Counter[str] = Counter()
    for file, _, count in samples:
        counts[part_of(file)] += count
    return {part: counts[part] / counts.total() for part in ORDER}


def main() -> int:
    """Measure, print; the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a fifth of the requests: to see that it runs")
    parser.add_argument("--functions", type=int, default=0, help="so many functions as well, the first ones")
    parser.add_argument("--csv", type=Path, help="write the table to this file as well")
    options = parser.parse_args()
    BUILD.mkdir(exist_ok=True)
    statement = point_statement()
    requests = REQUESTS // 5 if options.quick else REQUESTS
    try:
        with serving([statement]) as port:
            results = {
                "pure": sampled(statement, port, True, requests),
                "compiled": sampled(statement, port, False, requests),
            }
    except BenchmarkError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    costs = {build: result["cpu"] / requests * 1e6 for build, result in results.items()}
    shares = {build: shares_of(result["samples"]) for build, result in results.items()}
    titles = ["part", *(f"{build}, {unit}" for build in results for unit in ("%", "µs"))]
    rows = [
        [part, *(cell for build in results for cell in spell_share(shares[build][part], costs[build]))]
        for part in ORDER
    ]
    rows.append(["all", *(cell for build in results for cell in spell_share(1.0, costs[build]))])
    print(f"- {txcql_fact(results['compiled']['build'])}\n")
    print(markdown(titles, rows, titles[1:]))
    for build, result in results.items():
        total = sum(count for *_, count in result["samples"])
        for file, function, count in result["samples"][: options.functions]:
            print(f"{build} {count / total * 100:5.1f} % {function} {'/'.join(PurePath(file).parts[-2:])}")
    if options.csv:
        with open(options.csv, "w", newline="", encoding="utf-8") as table:
            csv.writer(table, lineterminator="\n").writerows([titles, *rows])
    return 0


def spell_share(share: float, cost: float) -> list[str]:
    """Two cells: per cent, and microseconds of a request."""
    return [f"{share * 100:.1f}", f"{share * cost:.2f}"]


if __name__ == "__main__":
    sys.exit(main())
