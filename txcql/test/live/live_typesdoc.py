"""What the documentation says about types, executed."""

from __future__ import annotations

import doctest

from txcql.test.live.live_programs import examples, output_of


async def test_the_example_of_codecs_prints_what_the_documentation_says(cassandra, open_session):
    """To the letter; run twice, it does so twice."""
    session = await open_session()
    expected = (examples() / "shirts.out").read_text(encoding="utf-8")
    try:
        for _ in range(2):
            assert output_of(examples() / "shirts.py", cassandra.nodes[0].address) == expected
    finally:
        await session.execute("DROP KEYSPACE IF EXISTS shirts")


def test_the_examples_of_the_page_are_true():
    """Each line that it shows with its result."""
    page = examples().parent / "types.rst"
    found = doctest.testfile(str(page), module_relative=False, encoding="utf-8")
    assert found.failed == 0
    assert found.attempted >= 10
