"""Write down what real Cassandra answers: ``python -m txcql.test.conformance.record``."""

from __future__ import annotations

import json
from pathlib import Path

from txcql.test.cassandra import lease
from txcql.test.conformance import advancedcases, foundcases, furthercases, tablecases
from txcql.test.conformance.chapters import Answer, run_chapter
from txcql.test.conformance.wireclient import WireClient, over_tcp

__all__ = ["CHAPTERS", "RECORDED", "recorded"]

CHAPTERS = [
    *tablecases.CHAPTERS,
    *advancedcases.CHAPTERS,
    *furthercases.CHAPTERS,
    *foundcases.CHAPTERS,
]
RECORDED = Path(__file__).with_name("recorded.json")


def recorded() -> dict[str, list[Answer]]:
    """What Cassandra 5.0.5 answered to each chapter's statements."""
    found: dict[str, list[Answer]] = json.loads(RECORDED.read_text(encoding="utf-8"))
    return found


def main() -> None:
    """Run every chapter against a real node, and keep the answers."""
    with lease("one") as held, over_tcp(held.nodes[0].address, 9042) as exchange:
        client = WireClient(exchange)
        answers = {chapter.name: run_chapter(client, chapter) for chapter in CHAPTERS}
    RECORDED.write_text(json.dumps(answers, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
