"""Whole programs, each in a process of its own: the examples of the documentation, and the demonstration."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import txcql
from txcql.test.live.sizes import sized
from txcql.test.live.wires import Wire

WIRES = [Wire(version, compression) for version in (3, 4, 5) for compression in (None, "lz4")]
REACTORS = {
    "epoll": "EPollReactor",
    "poll": "PollReactor",
    "select": "SelectReactor",
    "asyncio": "AsyncioSelectorReactor",
}


def examples():
    """Find the examples of the documentation, which are no part of the package.

    :returns: Their folder: tox names it; in a checkout it is beside the package.
    """
    beside = Path(txcql.__file__).parent.parent / "docs" / "examples"
    return Path(os.environ.get("TXCQL_EXAMPLES") or beside)


def run(*arguments):
    """Run Python in a process of its own, with warnings as errors.

    :returns: Its exit status, what it printed, and what it printed as errors.
    """
    done = subprocess.run(
        [sys.executable, "-W", "error", *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def output_of(*arguments):
    """Run what succeeds and complains of nothing.

    :returns: What it printed.
    """
    status, output, errors = run(*arguments)
    assert (status, errors) == (0, "")
    return output


def run_smallest(folder, cassandra, reactor="epoll", **settings):
    """Run the six lines against the shared node, and count threads.

    :param settings: What to add to the call of ``connect``.
    :returns: What the program printed, and what was counted.
    """
    text = (examples() / "smallest.py").read_text(encoding="utf-8")
    assert len(text.splitlines()) == 6
    contact_point = '["127.0.0.1"]'
    assert text.count(contact_point) == 1
    given = ", ".join(
        [f'["{cassandra.nodes[0].address}"]', *(f"{name}={value!r}" for name, value in settings.items())]
    )
    program = folder / "smallest.py"
    program.write_text(text.replace(contact_point, given), encoding="utf-8")
    counter = Path(__file__).with_name("threadcount.py")
    *printed, counted = output_of(counter, reactor, program).splitlines()
    return printed, json.loads(counted)


@pytest.mark.parametrize("wire", WIRES, ids=str)
def test_six_lines_and_no_thread(cassandra, tmp_path, wire):
    """They print the release, and the process has as many threads as before."""
    printed, counted = run_smallest(tmp_path, cassandra, **wire.settings)
    assert printed == ["Row(release_version='5.0.5')"]
    assert counted["after"] == counted["before"] == [1, 1]


@pytest.mark.parametrize("reactor", REACTORS)
def test_six_lines_on_any_reactor(cassandra, tmp_path, reactor):
    """As they stand: the version is negotiated."""
    printed, counted = run_smallest(tmp_path, cassandra, reactor)
    assert printed == ["Row(release_version='5.0.5')"]
    assert counted == {"reactor": REACTORS[reactor], "before": [1, 1], "after": [1, 1]}


async def test_the_quickstart_prints_what_the_documentation_says(cassandra, open_session):
    """To the letter; run twice, it does so twice."""
    session = await open_session()
    expected = (examples() / "quickstart.out").read_text(encoding="utf-8")
    try:
        for _ in range(2):
            assert output_of(examples() / "quickstart.py", cassandra.nodes[0].address) == expected
    finally:
        await session.execute("DROP KEYSPACE IF EXISTS quickstart")


async def test_the_example_of_much_data_prints_what_the_documentation_says(cassandra, open_session):
    """To the letter."""
    session = await open_session()
    expected = (examples() / "muchdata.out").read_text(encoding="utf-8")
    try:
        assert output_of(examples() / "muchdata.py", cassandra.nodes[0].address) == expected
    finally:
        await session.execute("DROP KEYSPACE IF EXISTS muchdata")


def test_the_demonstration_on_a_real_cluster(cassandra):
    """Every row comes back as it was written."""
    node, rows = cassandra.nodes[0], max(1000, sized(20_000))
    printed = output_of(
        "-m", "txcql", "demo", "--contact-point", f"{node.address}:{node.port}", "--rows", rows,
        "--keyspace", f"demo_{os.getpid()}",
    )  # fmt: skip
    assert re.search(rf"rows +{rows:,} written .*: every one as it was written", printed)
    assert "protocol version 5" in printed


def test_the_demonstration_without_a_cluster_says_so():
    """One line, and a failure."""
    assert run("-m", "txcql", "demo", "--contact-point", "127.0.0.77:9999") == (
        1,
        "",
        "txcql: cannot connect: 127.0.0.77:9999 refused the connection\n",
    )
