"""txcql: the CQL driver for programs that live in a Twisted reactor."""

from txcql import aio, errors, policies
from txcql._version import __version__
from txcql.profile import Profile
from txcql.security import TLS, TLSPeer
from txcql.service import CassandraService
from txcql.session.attempts import Attempt
from txcql.session.batches import Batch
from txcql.session.connect import connect
from txcql.session.guessedvalues import Typed
from txcql.session.jsonlines import json_lines
from txcql.session.pagingstate import PagingState
from txcql.session.requestloggers import RequestLogger, SlowQueryLogger
from txcql.session.results import Result
from txcql.session.rowstream import RowStream
from txcql.session.session import Session
from txcql.session.statements import BoundStatement, PreparedStatement, SimpleStatement
from txcql.session.traces import Trace, TraceEvent
from txcql.settings import Settings
from txcql.wire.timeuuids import (
    max_uuid_from_time,
    min_uuid_from_time,
    nanoseconds_from_uuid,
    time_from_uuid,
    uuid_from_time,
)
from txcql.wire.typeparser import parse_type
from txcql.wire.values import EMPTY, UNSET, Date, Duration, Time, Timestamp

__all__ = [
    "EMPTY",
    "TLS",
    "UNSET",
    "Attempt",
    "Batch",
    "BoundStatement",
    "CassandraService",
    "Date",
    "Duration",
    "PagingState",
    "PreparedStatement",
    "Profile",
    "RequestLogger",
    "Result",
    "RowStream",
    "Session",
    "Settings",
    "SimpleStatement",
    "SlowQueryLogger",
    "TLSPeer",
    "Time",
    "Timestamp",
    "Trace",
    "TraceEvent",
    "Typed",
    "__version__",
    "aio",
    "connect",
    "errors",
    "json_lines",
    "max_uuid_from_time",
    "min_uuid_from_time",
    "nanoseconds_from_uuid",
    "parse_type",
    "policies",
    "time_from_uuid",
    "uuid_from_time",
]
