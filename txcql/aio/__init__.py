"""txcql for asyncio programs: the same session, whose Deferreds are futures of the running loop.

No reactor is installed or started: one that only translates to the loop is made for each session.
"""

from txcql.aio.aioresults import AioResult
from txcql.aio.aiosession import AioSession, wrap
from txcql.aio.aiosink import AioStatementSink
from txcql.aio.aiostreams import AioRowStream
from txcql.aio.connecting import Connecting, connect
from txcql.aio.futures import as_future

__all__ = [
    "AioResult",
    "AioRowStream",
    "AioSession",
    "AioStatementSink",
    "Connecting",
    "as_future",
    "connect",
    "wrap",
]
