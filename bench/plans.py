"""What a request costs with the default load balancing, in clusters of 1, 3, 100 and 1,000 nodes.

``python bench/plans.py`` runs each cluster in a process of its own, in turn for some rounds, and prints one
Markdown table: microseconds of CPU per request, and its ratio to three nodes. Each figure is the least of
all batches: whatever else the machine does can only add to it.

It ends with status 1 when a client fails, or (with ``--assert``) a request with 1,000 nodes costs more than
``MOST_OVER_THREE`` times what it costs with three.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
from typing import Any

from harness import BUILD, BenchmarkError, markdown, run_script, txcql_fact, txcql_variables

SIZES = (1, 3, 100, 1000)
MOST_OVER_THREE = 1.1
"""What a request may cost with 1,000 nodes, by what it costs with three."""


def measure(rounds: int) -> tuple[dict[int, list[float]], dict[str, Any]]:
    """The costs of all batches of each cluster, and what ran."""
    costs: dict[int, list[float]] = {size: [] for size in SIZES}
    build: dict[str, Any] = {}
    BUILD.mkdir(exist_ok=True)
    for number in range(rounds):
        for size in SIZES:
            print(f"round {number + 1}: {size:,} nodes", file=sys.stderr)
            result = run_script(f"{size} nodes", "plans_client.py", [size], variables=txcql_variables())
            costs[size] += result["costs"]
            build = result["build"]
    return costs, build


def print_plans(options: argparse.Namespace) -> int:
    """Measure and print; the exit status.

    :param options: ``rounds`` and ``bounds``.
    """
    costs, build = measure(options.rounds)
    least = {size: min(found) for size, found in costs.items()}
    rows = [[f"{size:,}", f"{cost:.2f}", f"{cost / least[3]:.3f}"] for size, cost in least.items()]
    print(
        f"- {platform.python_implementation()} {build['python']}, Twisted {build['twisted']}, "
        f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPUs; rounds: {options.rounds}"
    )
    print(f"- {txcql_fact(build)}\n")
    titles = ["nodes", "µs CPU per request", "of three nodes"]
    print(markdown(titles, rows, titles))
    if not options.bounds:
        return 0
    ratio = least[1000] / least[3]
    kept = ratio <= MOST_OVER_THREE
    print(
        f"\n- {'kept' if kept else 'BROKEN'} 1,000 nodes at {ratio:.3f} of three, at most {MOST_OVER_THREE}"
    )
    return int(not kept)


def main() -> int:
    """Run the benchmark; the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3, help="rounds to take the least of (3)")
    parser.add_argument(
        "--assert", action="store_true", dest="bounds", help="fail when the bound is not kept"
    )
    try:
        return print_plans(parser.parse_args())
    except BenchmarkError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
