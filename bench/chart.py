"""From the figures of ``run.py --json FILE`` to what docs/performance.rst includes: tables and a chart.

``python bench/chart.py FILE`` writes ``facts.rst``, ``figures.csv``, ``bounds.csv`` and ``requests.svg`` into
``docs/performance/``. Nothing in there is typed in by hand.
"""

from __future__ import annotations

import csv
import json
import statistics
import sys
from collections.abc import Iterable
from html import escape
from pathlib import Path
from typing import Any

from harness import HERE, spell

DOCS = HERE.parent / "docs" / "performance"
SHOWN = ("point-256", "insert-256", "page")
"""The workloads of the chart."""
WIDTH, LABEL, LINE, GAP = 760, 250, 20, 34
"""Of the chart, in pixels."""


def medians(data: dict[str, Any]) -> dict[tuple[str, str], float]:
    """Microseconds by workload and client."""
    return {(workload, client): statistics.median(costs) for workload, client, costs in data["costs"]}


def bars(data: dict[str, Any]) -> Iterable[str]:
    """The elements of the chart: for each workload one bar a client, on a scale of its own."""
    found, y = medians(data), 0
    for workload in SHOWN:
        title, unit = data["workloads"][workload]
        costs = {client: found[workload, client] for client in data["clients"] if (workload, client) in found}
        most = max(costs.values())
        y += GAP
        yield f'<text x="0" y="{y}" class="title">{escape(title)}: µs of CPU per {unit}</text>'
        for client, cost in costs.items():
            y += LINE
            width = max(1.0, cost / most * (WIDTH - LABEL - 60))
            kind = "ours" if client.startswith("txcql") else "other"
            yield f'<text x="{LABEL - 8}" y="{y}" class="name">{escape(data["clients"][client])}</text>'
            yield f'<rect x="{LABEL}" y="{y - 12}" width="{width:.1f}" height="15" class="{kind}"/>'
            yield f'<text x="{LABEL + width + 6:.1f}" y="{y}">{spell(cost)}</text>'
    yield str(y + GAP // 2)


def chart(data: dict[str, Any]) -> str:
    """The whole picture."""
    *elements, height = bars(data)
    style = (
        "text{font:12px sans-serif;fill:#333}.title{font-weight:bold;font-size:13px}.name{text-anchor:end}"
        ".ours{fill:#2a7f62}.other{fill:#b8bcc2}"
    )
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}">',
            f'<style>{style}</style><rect width="{WIDTH}" height="{height}" fill="white"/>',
            *elements,
            "</svg>\n",
        ]
    )


def figures(data: dict[str, Any]) -> Iterable[list[str]]:
    """A row for each workload and client, and for each client's start."""
    yield ["workload", "client", "µs of CPU, median", "smallest to largest", "per"]
    for workload, client, costs in data["costs"]:
        title, unit = data["workloads"][workload]
        spread = f"{spell(min(costs))} to {spell(max(costs))}"
        yield [title, data["clients"][client], spell(statistics.median(costs)), spread, unit]
    for stage, client, costs in data["startups"]:
        spread = f"{spell(min(costs))} to {spell(max(costs))}"
        yield [stage, data["clients"][client], spell(statistics.median(costs)), spread, "process"]


def bounds(data: dict[str, Any]) -> Iterable[list[str]]:
    """A row for each bound."""
    yield ["workload", "client", "against", "measured", "at most"]
    for title, client, against, ratio, at_most in data["bounds"]:
        yield [title, data["clients"].get(client, client), against, f"{ratio:.3f}", f"{at_most:g}"]


def main() -> None:
    """Write the files."""
    data = json.loads(Path(sys.argv[1]).read_text())
    DOCS.mkdir(exist_ok=True)
    (DOCS / "facts.rst").write_text("".join(f"* {fact}\n" for fact in data["facts"]))
    (DOCS / "requests.svg").write_text(chart(data))
    for name, rows in (("figures", figures(data)), ("bounds", bounds(data))):
        with open(DOCS / f"{name}.csv", "w", newline="", encoding="utf-8") as file:
            csv.writer(file, lineterminator="\n").writerows(rows)


if __name__ == "__main__":
    main()
