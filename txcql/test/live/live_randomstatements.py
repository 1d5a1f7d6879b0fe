"""Statements drawn at random, on a real Cassandra and on the fake: both answer the same."""

from __future__ import annotations

import json

import pytest

from txcql.test.conformance.chapters import Chapter, comparable, is_refusal, run_chapter
from txcql.test.conformance.randomcases import random_chapter
from txcql.test.conformance.wireclient import WireClient, over_tcp
from txcql.test.live.sizes import sized
from txcql.test.test_conformance import run_on_fake

STATEMENTS = 400

#: At least this many times as many statements are compared as are refused.
KNOWN = 100


@pytest.mark.newest
def test_random_statements(cassandra, capsys):
    """Rows, columns, warnings, errors and pages of each, in tables of many shapes."""
    count = refused = 0
    for seed in range(sized(40)):
        drawn = random_chapter(seed, STATEMENTS)
        answers = zip(drawn.asked(), run_on_fake(drawn), strict=True)
        # What the fake refuses changes nothing there, so the real node does not see it either.
        known = [(asked, answer) for asked, answer in answers if not is_refusal(answer)]
        refused += len(drawn.statements) - len(known)
        chapter = Chapter(drawn.name, [asked for asked, _ in known])
        with over_tcp(cassandra.nodes[0].address, 9042) as exchange:
            real = [json.loads(json.dumps(one)) for one in run_chapter(WireClient(exchange), chapter)]
        for (asked, pretended), found in zip(known, real, strict=True):
            assert comparable(pretended) == comparable(found), f"{chapter.name}: {asked}"
            count += 1
    assert count >= KNOWN * refused
    with capsys.disabled():
        print(f"\nrandom: {count} statements, {refused} refused by the fake")
