"""What a request spends its time on: a logger of slow ones, and an observer of one's own."""

import sys
from collections import Counter

from twisted.internet.task import react
from twisted.logger import globalLogBeginner, textFileLogObserver
from zope.interface import implementer

import txcql


@implementer(txcql.interfaces.IRequestObserver)
class Steps:
    """Counts the steps of requests."""

    wants_values = False

    def __init__(self):
        self.counts = Counter()

    def request_step(self, event):
        self.counts[event.step] += 1


async def main(reactor, contact_point="127.0.0.1"):
    globalLogBeginner.beginLoggingTo([textFileLogObserver(sys.stderr)], redirectStandardIO=False)
    steps = Steps()
    session = await txcql.connect(
        reactor, [contact_point], observers=[steps, txcql.SlowQueryLogger(threshold=0.0)]
    )
    await session.execute("SELECT release_version FROM system.local WHERE key = ?", ["local"])
    try:
        await session.execute("SELECT nothing FROM system.local")
    except txcql.errors.InvalidRequest as error:
        print(f"The server says: {error}")
    for step, count in steps.counts.items():
        print(f"{step}: {count}")
    await session.close()


react(main, sys.argv[1:])
