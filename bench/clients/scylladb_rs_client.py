"""scylladb-rs-driver (Rust) on asyncio: ``await session.execute(prepared, values)``.

It speaks protocol v4. Its rows are dicts, which is what it makes when left alone.
"""

from __future__ import annotations

import asyncio
from importlib.metadata import version
from typing import Any

from load import AsyncioLoad, Job, report
from scylla.session_builder import SessionBuilder


async def main() -> None:
    """Connect, prepare, keep the job's requests in flight."""
    job = Job.from_arguments()
    session = await SessionBuilder().contact_points([f"{job.host}:{job.port}"]).connect()
    prepared = await session.prepare(job.statement)

    async def execute(values: list[Any]) -> Any:
        result = await session.execute(prepared, values)
        if job.kind == "insert":
            return ()
        return [[*row.values()] for row in result.iter_current_page()]

    measured = await AsyncioLoad(job, execute).run()
    report(measured, **{"scylladb-rs-driver": version("scylladb-rs-driver")})


if __name__ == "__main__":
    asyncio.run(main())
