"""What several processes get done together: point reads a second by one, two … processes at once.

``python bench/processes.py`` prints one Markdown table. The canned server has a process of its own, which
takes a part of one core: on two of them the speed-up cannot be two.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from answers import Statement, point_statement
from harness import (
    BenchmarkError,
    built_variables,
    check_result,
    make_job,
    markdown,
    median_and_spread,
    run_script,
    serving,
    spell,
)

REQUESTS = 100_000


def together(processes: int, statement: Statement, port: int) -> float:
    """Requests a second of so many processes that run at once."""
    job = make_job(statement, 256, REQUESTS // 5, REQUESTS, port)

    def run(number: int) -> float:
        what = f"process {number + 1} of {processes}"
        result = run_script(what, "txcql_client.py", job, variables=built_variables(pure=False))
        check_result(what, result, statement, REQUESTS)
        speed: float = REQUESTS / result["wall"]
        return speed

    with ThreadPoolExecutor(processes) as pool:
        return sum(pool.map(run, range(processes)))


def main() -> int:
    """Measure, print; the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3, help="rounds to take the medians of (3)")
    parser.add_argument("--csv", type=Path, help="write the table to this file as well")
    options = parser.parse_args()
    statement = point_statement()
    counts = range(1, (os.cpu_count() or 1) + 1)
    speeds: dict[int, list[float]] = {count: [] for count in counts}
    try:
        with serving([statement]) as port:
            for _ in range(options.rounds):
                for count in counts:
                    speeds[count].append(together(count, statement, port))
    except BenchmarkError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    alone = statistics.median(speeds[1])
    titles = ["processes", "requests/s, median", "smallest to largest", "of one process"]
    rows = [
        [str(count), *median_and_spread(found), spell(statistics.median(found) / alone)]
        for count, found in speeds.items()
    ]
    print(markdown(titles, rows, titles))
    if options.csv:
        lines = [",".join(f'"{cell}"' for cell in row) for row in (titles, *rows)]
        options.csv.write_text("\n".join(lines) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
