"""The conformance suite on the fake: what it answers, beside what Cassandra 5.0.5 answered."""

from __future__ import annotations

import json
from collections.abc import Iterator

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from txcql.test.conformance.chapters import Answer, Asked, Chapter, comparable, is_refusal, run_chapter
from txcql.test.conformance.record import CHAPTERS, recorded
from txcql.test.conformance.wireclient import WireClient, in_memory
from txcql.testing import FakeCluster

MOST_REFUSED = 2
"""How many statements of the suite the fake refuses; the documentation lists them."""


def run_on_fake(chapter: Chapter, version: int = 5) -> list[Answer]:
    """What the fake answers to the statements of a chapter."""
    clock = Clock()
    clock.advance(1_750_000_000)
    client = WireClient(in_memory(FakeCluster(clock).nodes[0]), version)
    return [json.loads(json.dumps(answer)) for answer in run_chapter(client, chapter)]


def differences(chapter: Chapter, expected: list[Answer]) -> Iterator[tuple[Asked, Answer, Answer]]:
    """The statements that the fake answers, and answers in another way."""
    for asked, real, fake in zip(chapter.asked(), expected, run_on_fake(chapter), strict=True):
        if not is_refusal(fake) and comparable(real) != comparable(fake):
            yield asked, real, fake


class ConformanceTests(SynchronousTestCase):
    """Every chapter of the suite."""

    maxDiff = None

    def check(self, name: str) -> None:
        [chapter] = [chapter for chapter in CHAPTERS if chapter.name == name]
        found = list(differences(chapter, recorded()[name]))
        self.assertEqual(found, [], f"{name}: {found[:1]}")

    def test_size(self) -> None:
        """There are many statements, an answer to each, and few that are refused."""
        answers = recorded()
        count = sum(len(chapter.statements) for chapter in CHAPTERS)
        self.assertEqual(count, sum(map(len, answers.values())))
        self.assertGreater(count, 1000)
        refused = [answer for chapter in CHAPTERS for answer in run_on_fake(chapter) if is_refusal(answer)]
        self.assertEqual(len(refused), MOST_REFUSED, refused)


def _add_test(name: str) -> None:
    def test(self: ConformanceTests) -> None:
        self.check(name)

    test.__doc__ = f"The chapter {name}."
    setattr(ConformanceTests, f"test_chapter_{name.replace(' ', '_')}", test)


for _chapter in CHAPTERS:
    _add_test(_chapter.name)
