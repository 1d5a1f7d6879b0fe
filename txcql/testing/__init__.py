"""A Cassandra cluster for tests: it speaks the native protocol and keeps its tables in memory."""

from txcql.testing.fakecluster import FakeCluster
from txcql.testing.fakenode import FakeNode
from txcql.testing.memoryreactor import MemoryReactor
from txcql.testing.reactions import (
    BadChecksum,
    Close,
    Delay,
    Drop,
    Reorder,
    Reset,
    Rows,
    Rule,
    Split,
    Unprepare,
    Void,
    WrongStream,
)
from txcql.testing.receivedrequests import Received, RequestLog
from txcql.testing.refusals import NOT_SUPPORTED

__all__ = [
    "NOT_SUPPORTED",
    "BadChecksum",
    "Close",
    "Delay",
    "Drop",
    "FakeCluster",
    "FakeNode",
    "MemoryReactor",
    "Received",
    "Reorder",
    "RequestLog",
    "Reset",
    "Rows",
    "Rule",
    "Split",
    "Unprepare",
    "Void",
    "WrongStream",
]
