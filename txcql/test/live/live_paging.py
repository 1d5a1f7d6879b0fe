"""Pages: by hand from a paging state that has left the process, and in streams."""

from __future__ import annotations

import subprocess
import sys

import pytest

import txcql
from txcql.test.live.wires import VERSIONS

ROWS = 30

ANOTHER_PROCESS = """
import sys, txcql
state = txcql.PagingState.parse(sys.argv[1])
print(txcql.PagingState.parse(str(state)))
"""


async def filled(session):
    """Make a table with rows, and give the prepared statement that reads it."""
    await session.execute("CREATE TABLE things (part int, id int, v text, PRIMARY KEY (part, id))")
    insert = await session.prepare("INSERT INTO things (part, id, v) VALUES (?, ?, ?)")
    await session.execute_many(insert, [[part, id, "v"] for part in (1, 2) for id in range(ROWS)])
    return await session.prepare("SELECT id FROM things WHERE part = ?")


async def test_a_state_that_leaves_the_process(wired, wire, open_session, keyspace):
    """It goes on in another session, from where it was; and only for the statement and values it is of."""
    select = await filled(wired)
    seen = []
    state = None
    while True:
        page = await wired.execute(select, [1], page_size=7, paging_state=state)
        seen += [row.id for row in page]
        if page.paging_state is None:
            break
        command = [sys.executable, "-c", ANOTHER_PROCESS, str(page.paging_state)]
        token = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
        state = txcql.PagingState.parse(token)
    assert seen == list(range(ROWS))

    other = await open_session(keyspace=keyspace, **wire.settings)
    rest = await other.execute("SELECT id FROM things WHERE part = ?", [1], page_size=100, paging_state=state)
    assert [row.id for row in rest] == [28, 29]
    assert state is not None
    raw = await other.execute(select, [1], page_size=100, paging_state=bytes(state))
    assert [row.id for row in raw] == [28, 29]
    for statement, values in ((select, [2]), ("SELECT v FROM things WHERE part = ?", [1])):
        with pytest.raises(ValueError, match="the paging state is of another statement, of other values"):
            await wired.execute(statement, values, paging_state=state)


async def test_versions(open_session, session, keyspace):
    """Versions 4 and 5 share their states; version 3 has others, which an error says."""
    await filled(session)
    text = "SELECT id FROM things WHERE part = 1"
    sessions = {
        version: await open_session(keyspace=keyspace, protocol_version=version) for version in VERSIONS
    }
    for version, one in sessions.items():
        state = (await one.execute(text, page_size=10)).paging_state
        for found, other in sessions.items():
            if (version == 3) == (found == 3):
                page = await other.execute(text, page_size=5, paging_state=state)
                assert [row.id for row in page] == list(range(10, 15))
            else:
                with pytest.raises(ValueError, match="the paging state was made with protocol"):
                    await other.execute(text, page_size=5, paging_state=state)


async def test_pages_without_rows_and_without_values(wired):
    """A page may be empty though others follow; text without preparing has pages, too."""
    await filled(wired)
    await wired.execute("INSERT INTO things (part, id, v) VALUES (2, 1000, 'rare')")
    stream = wired.stream("SELECT id FROM things WHERE v = 'rare' ALLOW FILTERING", page_size=2)
    assert [row.id async for row in stream] == [1000]
    select = txcql.SimpleStatement(
        "SELECT id FROM things WHERE v = ? ALLOW FILTERING", prepare=False, page_size=9
    )
    async with wired.stream(select, ["v"]) as stream:
        assert len([row async for row in stream]) == 2 * ROWS
    first = await wired.execute(select, ["v"])
    second = await first.next_page()
    assert len(list(first)) == len(list(second)) == 9
    again = await wired.execute(select, ["v"], paging_state=first.paging_state)
    assert list(again) == list(second)


async def test_an_abandoned_stream_asks_for_nothing(session):
    """Its nodes are asked for two pages, one ahead, and never again."""
    select = await filled(session)
    asked = []
    fetch = session.execute_encoded

    def note(*about):
        asked.append(about)
        return fetch(*about)

    session.execute_encoded = note
    stream = session.stream(select, [1], page_size=5)
    assert (await stream.__anext__()).id == 0
    await session.execute("SELECT key FROM system.local")
    assert len(asked) == 3
    stream.stopProducing()
