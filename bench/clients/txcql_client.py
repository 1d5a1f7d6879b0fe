"""txcql, used as a Twisted program uses it."""

from __future__ import annotations

from typing import Any

from load import Job, Load, build_of_txcql, report
from twisted.internet.defer import Deferred
from twisted.internet.task import react

import txcql


async def main(reactor: Any) -> None:
    """Connect, prepare, keep the job's requests in flight, close."""
    job = Job.from_arguments()
    about: dict[str, Any] = {"compression": "lz4"} if job.variant == "lz4" else {}
    session = await txcql.connect(reactor, [job.host], port=job.port, protocol_version=job.protocol, **about)
    try:
        statement = await session.prepare(job.statement)
        finished: Deferred[None] = Deferred()

        def send_point(key: int) -> None:
            session.execute(statement, values(key)).addCallbacks(point, load.failed, callbackArgs=(key,))

        def point(result: Any, key: int) -> None:
            load.arrived((result.one(),), key)

        def send_page(key: int) -> None:
            session.execute(statement, values(key)).addCallbacks(
                load.arrived, load.failed, callbackArgs=(key,)
            )

        def end(reason: object) -> None:
            if reason is None:
                finished.callback(None)
            elif not finished.called:
                finished.errback(RuntimeError(str(reason)))

        load = Load(job, send_point if job.kind == "point" else send_page, end)
        values = load.values
        load.start()
        await finished
        report(load.measured, **build_of_txcql())
    finally:
        await session.close()


if __name__ == "__main__":
    react(main)
