"""acsylla (C++) on asyncio, as its documentation has it: ``await session.execute(bound statement)``.

It speaks protocol v4.
"""

from __future__ import annotations

import asyncio
from importlib.metadata import version
from typing import Any

import acsylla
from load import AsyncioLoad, Job, report


async def main() -> None:
    """Connect, prepare, keep the job's requests in flight, close."""
    job = Job.from_arguments()
    cluster = acsylla.create_cluster([job.host], port=job.port, protocol_version=4)
    session = await cluster.create_session()
    prepared = await session.create_prepared(job.statement)

    async def execute(values: list[Any]) -> Any:
        statement = prepared.bind()
        statement.bind_list(values)
        result = await session.execute(statement)
        return [row.as_tuple() for row in result]

    measured = await AsyncioLoad(job, execute).run()
    await session.close()
    report(measured, acsylla=version("acsylla"))


if __name__ == "__main__":
    asyncio.run(main())
