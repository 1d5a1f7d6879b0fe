"""The numbers of the native protocol: versions, opcodes, flags, kinds.

From the protocol specifications v3 to v5, sections 2 to 4.
"""

from __future__ import annotations

NATIVE_VERSIONS = (3, 4, 5)
"""The protocol versions that are spoken, oldest first."""

RESPONSE = 0x80
"""The bit of the version byte that marks a message of the server."""

HEADER_SIZE = 9
"""Bytes before a body: version, flags, stream (2), opcode, body length (4)."""

MAX_FRAME_SIZE = 256 * 1024 * 1024
"""The largest body that the protocol allows, in bytes (v4 specification, section 2)."""

EVENT_STREAM = -1

ERROR = 0x00
STARTUP = 0x01
READY = 0x02
AUTHENTICATE = 0x03
OPTIONS = 0x05
SUPPORTED = 0x06
QUERY = 0x07
RESULT = 0x08
PREPARE = 0x09
EXECUTE = 0x0A
REGISTER = 0x0B
EVENT = 0x0C
BATCH = 0x0D
AUTH_CHALLENGE = 0x0E
AUTH_RESPONSE = 0x0F
AUTH_SUCCESS = 0x10

OPCODE_NAMES = {
    ERROR: "ERROR",
    STARTUP: "STARTUP",
    READY: "READY",
    AUTHENTICATE: "AUTHENTICATE",
    OPTIONS: "OPTIONS",
    SUPPORTED: "SUPPORTED",
    QUERY: "QUERY",
    RESULT: "RESULT",
    PREPARE: "PREPARE",
    EXECUTE: "EXECUTE",
    REGISTER: "REGISTER",
    EVENT: "EVENT",
    BATCH: "BATCH",
    AUTH_CHALLENGE: "AUTH_CHALLENGE",
    AUTH_RESPONSE: "AUTH_RESPONSE",
    AUTH_SUCCESS: "AUTH_SUCCESS",
}

FLAG_COMPRESSED = 0x01
FLAG_TRACING = 0x02
FLAG_PAYLOAD = 0x04
FLAG_WARNING = 0x08
FLAG_BETA = 0x10

QUERY_VALUES = 0x01
QUERY_SKIP_METADATA = 0x02
QUERY_PAGE_SIZE = 0x04
QUERY_PAGING_STATE = 0x08
QUERY_SERIAL_CONSISTENCY = 0x10
QUERY_TIMESTAMP = 0x20
QUERY_NAMES = 0x40
QUERY_KEYSPACE = 0x80
QUERY_NOW = 0x100

PREPARE_KEYSPACE = 0x01

RESULT_VOID = 1
RESULT_ROWS = 2
RESULT_SET_KEYSPACE = 3
RESULT_PREPARED = 4
RESULT_SCHEMA_CHANGE = 5

ROWS_GLOBAL_TABLE = 0x01
ROWS_MORE_PAGES = 0x02
ROWS_NO_METADATA = 0x04
ROWS_METADATA_CHANGED = 0x08

BATCH_KINDS = {"logged": 0, "unlogged": 1, "counter": 2}
