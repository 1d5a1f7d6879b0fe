"""The conformance suite on a real Cassandra: its answers are those recorded, and those of the fake."""

from __future__ import annotations

import json
import os

import pytest

from txcql.test.conformance.chapters import comparable, is_refusal, run_chapter
from txcql.test.conformance.record import CHAPTERS, recorded
from txcql.test.conformance.wireclient import WireClient, over_tcp
from txcql.test.test_conformance import run_on_fake

BY_DEFAULT = ("conditions", "expiry", "rows")
CHOSEN = [one for one in CHAPTERS if os.environ.get("TXCQL_FULL") or one.name in BY_DEFAULT]


@pytest.mark.newest
@pytest.mark.parametrize("chapter", CHOSEN, ids=lambda chapter: chapter.name.replace(" ", "_"))
def test_chapter(cassandra, chapter, capsys):
    """Every statement of a chapter has one answer: the real node's, the recorded one, the fake's."""
    with over_tcp(cassandra.nodes[0].address, 9042) as exchange:
        real = [json.loads(json.dumps(one)) for one in run_chapter(WireClient(exchange), chapter)]
    fake = run_on_fake(chapter)
    refused = sum(map(is_refusal, fake))
    with capsys.disabled():
        print(f"\n{chapter.name}: {len(real)} statements, {refused} refused by the fake")
    answers = zip(chapter.asked(), real, recorded()[chapter.name], fake, strict=True)
    for asked, found, before, pretended in answers:
        assert comparable(found) == comparable(before), asked
        assert is_refusal(pretended) or comparable(pretended) == comparable(found), asked
