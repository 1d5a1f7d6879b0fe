"""cassandra-driver on Twisted: ``execute_async`` with callbacks, as its documentation has it.

The driver runs the reactor in a thread of its own, since ``connect`` and ``prepare`` hang when called in
the reactor's. The load runs in the reactor's thread, where the callbacks are. Variant "default" leaves the
row factory as it is (named tuples), "tuple" sets ``tuple_factory``. All else is left at its defaults; reading
schema and ring too, without which a request is found to cost more.
"""

from __future__ import annotations

import threading
import warnings
from typing import Any

warnings.simplefilter("ignore", DeprecationWarning)

import cassandra  # noqa: E402
from cassandra import cython_deps, row_parser  # noqa: E402
from cassandra.cluster import Cluster  # noqa: E402
from cassandra.io.twistedreactor import TwistedConnection  # noqa: E402
from cassandra.query import tuple_factory  # noqa: E402
from load import Job, Load, report  # noqa: E402
from twisted.internet import reactor  # noqa: E402


def main() -> None:
    """Connect, prepare, keep the job's requests in flight, shut down."""
    job = Job.from_arguments()
    cluster = Cluster(
        ["127.0.0.1"],
        port=job.port,
        protocol_version=job.protocol,
        connection_class=TwistedConnection,
    )
    session = cluster.connect()
    if job.variant == "tuple":
        session.row_factory = tuple_factory
    statement = session.prepare(job.statement)
    done = threading.Event()
    reasons: list[object] = []

    def send(key: int) -> None:
        future = session.execute_async(statement, [key])
        future.add_callbacks(load.arrived, load.failed, callback_args=(key,))

    def end(reason: object) -> None:
        reasons.append(reason)
        done.set()

    load = Load(job, send, end)
    scheduler: Any = reactor
    scheduler.callFromThread(load.start)
    done.wait()
    cluster.shutdown()
    if reasons[0] is not None:
        raise SystemExit(f"failed: {reasons[0]!r}")
    compiled = bool(cython_deps.HAVE_CYTHON) and row_parser.__file__.endswith((".so", ".pyd"))
    report(load.measured, **{"cassandra-driver": cassandra.__version__, "compiled": compiled})


if __name__ == "__main__":
    main()
