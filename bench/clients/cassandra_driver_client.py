"""cassandra-driver on Twisted or libev: ``execute_async`` with callbacks, as its documentation has it.

The driver runs its loop in a thread of its own; on Twisted ``connect`` and ``prepare`` hang when called in
the reactor's. The load runs in that thread, where the callbacks are: it is started by the callback of a first
request. Variants with "tuple" set ``tuple_factory``; the others leave it as it is (named tuples); those
with "libev" run on libev. All else is left at its defaults; reading schema and ring too, without which a
request is found to cost more.
"""

from __future__ import annotations

import threading
import warnings
from typing import Any

warnings.simplefilter("ignore", DeprecationWarning)

import cassandra  # noqa: E402
from cassandra import cython_deps, row_parser  # noqa: E402
from cassandra.cluster import Cluster  # noqa: E402
from cassandra.query import tuple_factory  # noqa: E402
from checks import FIRST_KEY  # noqa: E402
from load import Job, Load, report  # noqa: E402


def main() -> None:
    """Connect, prepare, keep the job's requests in flight, shut down."""
    job = Job.from_arguments()
    if "libev" in job.variant:
        from cassandra.io.libevreactor import LibevConnection as Connection
    else:
        from cassandra.io.twistedreactor import TwistedConnection as Connection
    cluster = Cluster(
        [job.host],
        port=job.port,
        protocol_version=job.protocol,
        connection_class=Connection,
    )
    session = cluster.connect()
    if "tuple" in job.variant:
        session.row_factory = tuple_factory
    statement = session.prepare(job.statement)
    done = threading.Event()
    reasons: list[object] = []

    def send(key: int) -> None:
        future = session.execute_async(statement, load.values(key))
        future.add_callbacks(arrived, load.failed, callback_args=(key,))

    def arrived(rows: Any, key: int) -> None:
        load.arrived(rows or (), key)

    def end(reason: object) -> None:
        reasons.append(reason)
        done.set()

    load = Load(job, send, end)
    first = session.execute_async(statement, load.values(FIRST_KEY))
    first.add_callbacks(lambda rows: load.start(), load.failed)
    done.wait()
    cluster.shutdown()
    if reasons[0] is not None:
        raise SystemExit(f"failed: {reasons[0]!r}")
    compiled = bool(cython_deps.HAVE_CYTHON) and row_parser.__file__.endswith((".so", ".pyd"))
    report(load.measured, **{"cassandra-driver": cassandra.__version__, "compiled": compiled})


if __name__ == "__main__":
    main()
