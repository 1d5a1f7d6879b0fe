"""Whole programs, each in a process of its own: the examples of the documentation, and the demonstration."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import txcql
from txcql.test.cassandra.layouts import NEWEST
from txcql.test.live.releases import RELEASE
from txcql.test.live.sizes import sized
from txcql.test.live.wires import PLAIN_WIRES, VERSIONS, Wire

WIRES = [Wire(version, compression) for version in VERSIONS for compression in (None, "lz4")]
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


async def put_planets(session):
    """Make the table that the sites of the documentation read."""
    await session.execute("CREATE TABLE planets (name text PRIMARY KEY, moons int)")


async def test_the_site_on_fastapi(session, keyspace, cassandra, monkeypatch):
    """It writes and reads, says what it does not have, and closes its session at the end."""
    await put_planets(session)
    monkeypatch.setenv("CASSANDRA", cassandra.nodes[0].address)
    monkeypatch.setenv("KEYSPACE", keyspace)
    program = Path(__file__).with_name("asgiprogram.py")
    assert output_of(program, examples() / "fastapisite.py").splitlines() == [
        '200 {"name":"Mars","moons":2}',
        '200 {"name":"Mars","moons":2}',
        '404 {"detail":"no planet Vulcan"}',
    ]


def test_the_notebook(cassandra, monkeypatch):
    """Its cells run one after the other on one loop; each shows what it ends with."""
    monkeypatch.setenv("CASSANDRA", cassandra.nodes[0].address)
    program = Path(__file__).with_name("notebookprogram.py")
    opened, column, frame, closed = output_of(program, examples() / "notebook.py").split("\n\n")
    assert opened.startswith("<Session v5 nodes=1")
    assert len(ast.literal_eval(column)) == 3
    assert frame.splitlines()[0] == "keyspace_name"
    assert closed == "None\n"


def run_smallest(folder, cassandra, reactor="epoll", form="smallest", **settings):
    """Run the smallest program against the shared node, and count threads.

    :param form: Which form of it.
    :param settings: What to add to the call of ``connect``.
    :returns: What the program printed, and what was counted.
    """
    text = (examples() / f"{form}.py").read_text(encoding="utf-8")
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
    assert len((examples() / "smallest.py").read_text(encoding="utf-8").splitlines()) == 6
    printed, counted = run_smallest(tmp_path, cassandra, **wire.settings)
    assert printed == [f"Row(release_version='{RELEASE}')"]
    assert counted["after"] == counted["before"] == [1, 1]


@pytest.mark.parametrize("reactor", REACTORS)
def test_six_lines_on_any_reactor(cassandra, tmp_path, reactor):
    """As they stand: the version is negotiated."""
    printed, counted = run_smallest(tmp_path, cassandra, reactor)
    assert printed == [f"Row(release_version='{RELEASE}')"]
    assert counted == {"reactor": REACTORS[reactor], "before": [1, 1], "after": [1, 1]}


@pytest.mark.parametrize("form", ["smallest_callbacks", "smallest_inlinecallbacks"])
def test_other_forms_of_the_six_lines(cassandra, tmp_path, form):
    """Chained callbacks, and inlineCallbacks: they do the same, and start no thread."""
    printed, counted = run_smallest(tmp_path, cassandra, form=form)
    assert printed == [f"Row(release_version='{RELEASE}')"]
    assert counted["after"] == counted["before"] == [1, 1]


@pytest.mark.parametrize("wire", PLAIN_WIRES, ids=str)
def test_the_asyncio_form_of_the_six_lines(cassandra, tmp_path, wire):
    """It does the same on a loop of asyncio's, with no thread and no reactor."""
    printed, counted = run_smallest(tmp_path, cassandra, "none", "smallest_asyncio", **wire.settings)
    assert printed == [f"Row(release_version='{RELEASE}')"]
    assert counted == {"before": [1, 1], "after": [1, 1], "started": [], "reactor": False}


@pytest.mark.parametrize("name", ["accounts", "asyncplanets", "listening", "processes", "threads", "traced"])
async def test_an_example_prints_what_the_documentation_says(cassandra, open_session, name):
    """To the letter."""
    session = await open_session()
    expected = (examples() / f"{name}.out").read_text(encoding="utf-8").replace(NEWEST.version, RELEASE)
    try:
        assert output_of(examples() / f"{name}.py", cassandra.nodes[0].address) == expected
    finally:
        await session.execute(f"DROP KEYSPACE IF EXISTS {name}")


def test_the_example_of_an_observer(cassandra):
    """Its output to the letter; and what is logged of its requests, which holds no value."""
    status, output, logged = run(examples() / "watching.py", cassandra.nodes[0].address)
    assert (status, output) == (0, (examples() / "watching.out").read_text(encoding="utf-8"))
    slow = [line for line in logged.splitlines() if "slow request" in line]
    assert len(slow) == 3
    assert all(
        "[txcql.session#warn]" in line and f"{cassandra.nodes[0].address}:9042" in line for line in slow
    )
    assert "key = ?" in slow[1]
    assert "InvalidRequest" in slow[2]


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
