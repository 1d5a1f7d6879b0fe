"""Threads beside the reactor: they decode large pages, and they ask for what they need."""

import sys

from twisted.internet.task import react
from twisted.internet.threads import blockingCallFromThread, deferToThread

import txcql

TEXT = "SELECT release_version FROM system.local"


def report(reactor, session):
    """In a thread: a call of the session raises at once; a detour over the reactor does not."""
    try:
        session.execute(TEXT)
    except RuntimeError as error:
        print(f"RuntimeError: {str(error)[:57]}")
    result = blockingCallFromThread(reactor, session.execute, TEXT)
    print(f"in a thread: {len(result)} row")


async def main(reactor, contact_point="127.0.0.1"):
    session = await txcql.connect(reactor, [contact_point])

    # The rows of a large page are decoded in the pool; the result comes back here.
    columns = await session.execute(
        "SELECT * FROM system_schema.columns", page_size=100_000, decode_in=reactor.getThreadPool()
    )
    print(f"{len({row.keyspace_name for row in columns if row.keyspace_name == 'system'})} keyspace system")

    await deferToThread(report, reactor, session)
    await session.close()


react(main, sys.argv[1:])
