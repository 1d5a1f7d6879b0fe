"""Point reads at the limits of one connection: more of them are wanted at once than txcql accepts.

A request that is refused waits until its session says that there is room (``when_ready()``); with a session
that has no such method, until an answer comes, and those that have waited longest go first.
"""

from __future__ import annotations

from collections import deque
from typing import Any

from load import Job, Load, build_of_txcql, report
from twisted.internet.defer import Deferred
from twisted.internet.task import react

import txcql
from txcql.errors import BusyConnectionError


class Wanted:
    """Sends point reads, and those that are refused again.

    :ivar refused: how often one was refused.
    """

    def __init__(self, session: Any, statement: Any) -> None:
        self.session = session
        self.statement = statement
        self.refused = 0
        self.finished: Deferred[None] = Deferred()
        self.waiting: deque[int] = deque()
        self.when_ready = getattr(session, "when_ready", None)

    def run(self, job: Job) -> Load:
        """Begin; ``finished`` tells the end."""
        self.load = Load(job, self.send, self.end)
        self.load.start()
        return self.load

    def send(self, key: int) -> None:
        """Send a request, unless others have been refused and wait."""
        if self.waiting:
            self.waiting.append(key)
        else:
            self.submit(key)

    def submit(self, key: int) -> None:
        """Send a request."""
        self.session.execute(self.statement, [key]).addCallbacks(
            self.answered, self.failed, callbackArgs=(key,), errbackArgs=(key,)
        )

    def answered(self, result: Any, key: int) -> None:
        """Check the answer; there is room now."""
        self.load.arrived((result.one(),), key)
        if self.waiting:
            self.submit(self.waiting.popleft())

    def failed(self, reason: Any, key: int) -> None:
        """Wait for room, if that is what is missing."""
        if not reason.check(BusyConnectionError):
            self.load.failed(reason)
            return
        self.refused += 1
        if self.when_ready is None:
            self.waiting.appendleft(key)
        else:
            self.when_ready().addCallbacks(lambda _: self.submit(key), self.load.failed)

    def end(self, reason: object) -> None:
        """The load is through, or cannot go on."""
        if reason is None:
            self.finished.callback(None)
        elif not self.finished.called:
            self.finished.errback(RuntimeError(str(reason)))


async def main(reactor: Any) -> None:
    """Connect by one link, prepare, run the job, report. The variant is the setting ``release``."""
    job = Job.from_arguments()
    settings: dict[str, Any] = {"release": job.variant, "protocol_version": job.protocol}
    if "max_connections_local" in txcql.Settings.names():
        settings["max_connections_local"] = 1
    session = await txcql.connect(reactor, [job.host], port=job.port, **settings)
    try:
        wanted = Wanted(session, await session.prepare(job.statement))
        load = wanted.run(job)
        await wanted.finished
        report({**load.measured, "refused": wanted.refused}, **build_of_txcql())
    finally:
        await session.close()


if __name__ == "__main__":
    react(main)
