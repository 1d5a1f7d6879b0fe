"""txcql: the CQL driver for programs that live in a Twisted reactor."""

from txcql import errors
from txcql._version import __version__
from txcql.session.connect import connect
from txcql.session.jsonlines import json_lines
from txcql.session.results import Result
from txcql.session.rowstream import RowStream
from txcql.session.session import Session
from txcql.session.statements import BoundStatement, PreparedStatement
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
    "UNSET",
    "BoundStatement",
    "Date",
    "Duration",
    "PreparedStatement",
    "Result",
    "RowStream",
    "Session",
    "Settings",
    "Time",
    "Timestamp",
    "__version__",
    "connect",
    "errors",
    "json_lines",
    "max_uuid_from_time",
    "min_uuid_from_time",
    "nanoseconds_from_uuid",
    "parse_type",
    "time_from_uuid",
    "uuid_from_time",
]
