"""Statements of every kind, a condition, pages that leave the process, and a trace."""

import sys

from twisted.internet.task import react

import txcql


async def main(reactor, contact_point="127.0.0.1"):
    session = await txcql.connect(reactor, [contact_point])
    await session.execute(
        "CREATE KEYSPACE accounts WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}"
    )
    await session.set_keyspace("accounts")
    await session.execute("CREATE TABLE owners (id int PRIMARY KEY, name text)")
    await session.execute("CREATE TABLE moves (id int, number int, cents bigint, PRIMARY KEY (id, number))")

    # A condition.
    open_account = await session.prepare("INSERT INTO owners (id, name) VALUES (?, ?) IF NOT EXISTS")
    for name in ("Ada", "Grace"):
        result = await session.execute(open_account, [1, name])
        print(name, "has it" if result.was_applied else f"comes too late: it is {result.one().name}'s")

    # A statement with options of its own, and a batch of what it makes.
    move = await session.prepare("INSERT INTO moves (id, number, cents) VALUES (?, ?, ?)")
    move = move.with_options(idempotent=True)
    transfer = txcql.Batch([move(1, number, number * 100) for number in range(25)], kind="unlogged")
    await session.execute(transfer, consistency="ONE")

    # A page, and from its state the next one, which somebody else might ask for.
    select = txcql.SimpleStatement("SELECT number FROM moves WHERE id = ?", page_size=10)
    page = await session.execute(select, [1])
    token = str(page.paging_state)
    page = await session.execute(select, [1], paging_state=txcql.PagingState.parse(token))
    print("the second page begins with move", page.one().number)
    try:
        await session.execute(select, [2], paging_state=txcql.PagingState.parse(token))
    except ValueError as error:
        print(error)

    # What results tell.
    result = await session.execute(select, [1], page_size=100, tracing=True)
    print(len(result), "rows in", result.response_size, "bytes, after", len(result.attempts), "attempt")
    trace = await result.trace()
    print(trace.request, "of", trace.parameters["query"])

    await session.execute("DROP KEYSPACE accounts")
    await session.close()


react(main, sys.argv[1:])
