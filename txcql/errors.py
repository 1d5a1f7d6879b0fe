"""Every error that txcql raises, in one tree below :class:`CQLError`.

The codes and bodies of the server's errors are those of the native protocol
specification, section 9 ("Error codes").
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

__all__ = [
    "NOT_SENT",
    "SENT",
    "UNKNOWN",
    "AlreadyExists",
    "AuthenticationFailed",
    "BadCredentials",
    "BusyConnectionError",
    "CASWriteUnknown",
    "CDCWriteFailure",
    "CQLError",
    "CQLSyntaxError",
    "ConfigurationError",
    "ConnectionLost",
    "DecodeError",
    "EncodeError",
    "FunctionFailure",
    "IncompleteResult",
    "InternalServerError",
    "InvalidRequest",
    "IsBootstrapping",
    "NameResolutionError",
    "NoNodeAvailable",
    "Overloaded",
    "ProtocolError",
    "ReadFailure",
    "ReadTimeout",
    "RequestTimeout",
    "SchemaDisagreement",
    "ServerError",
    "ServerProtocolError",
    "SessionClosed",
    "TLSError",
    "TraceIncomplete",
    "TruncateError",
    "Unauthorized",
    "Unavailable",
    "UnknownServerError",
    "Unprepared",
    "UnsupportedProtocolVersion",
    "WriteFailure",
    "WriteTimeout",
    "said_by",
    "server_error_class",
]

NOT_SENT = "not sent"
"""No byte of the request reached the network: repeating it is always safe."""

SENT = "sent"
"""The request reached the network and may have been carried out."""

UNKNOWN = "unknown"
"""The link was lost while the request was on its way: it may have been carried out."""


class CQLError(Exception):
    r"""The root of the tree.

    :ivar delivery: whether the request reached the server: :data:`NOT_SENT`,
        :data:`SENT` or :data:`UNKNOWN`; ``None`` where no request is concerned.
    :ivar node: the ``host:port`` of the node concerned, ``None`` if there is none.
    :ivar attempts: what was tried before it came to this: :class:`~txcql.session.attempts.Attempt`\ s.
    :ivar row_number: which row of ``execute_many()`` it ended, from 0; ``None`` elsewhere.
    """

    delivery: str | None = None
    node: str | None = None
    row_number: int | None = None
    attempts: Sequence[Any] = ()

    def __reduce__(self) -> Any:
        return _rebuild, (type(self), self.args, self.__dict__)


def _rebuild(kind: type[CQLError], args: tuple[Any, ...], state: dict[str, Any]) -> CQLError:
    error = kind.__new__(kind, *args)
    error.__dict__.update(state)
    return error


def said_by(node: str, error: BaseException) -> str:
    """An error's text, with the node's name in front unless it is there already."""
    text = str(error)
    return text if node in text else f"{node}: {text}"


class ProtocolError(CQLError):
    """Bytes that are not the CQL native protocol, or break its rules."""


class UnsupportedProtocolVersion(ProtocolError):
    """The node does not speak the protocol version that it was addressed in."""


class EncodeError(CQLError, ValueError):
    """A value that cannot be written as the CQL type of its parameter."""

    delivery = NOT_SENT


class DecodeError(CQLError, ValueError):
    """Bytes that are no value of the CQL type of their column."""


class ConnectionLost(CQLError):
    """The link to a node was lost, with its cause."""


class BusyConnectionError(CQLError):
    """A node, or every node of a plan, has no room for one more request.

    :ivar reason: ``"requests"``, ``"bytes"`` or ``"streams"``: the limit that was met; ``"adaptive"``: that
        of an :class:`~txcql.policies.adaptivelimit.AdaptiveLimitPolicy`.
    :ivar in_flight: requests sent and unanswered at that node.
    :ivar queued: requests waiting there.
    :ivar limit: the limit that was met, in requests or bytes.
    """

    delivery = NOT_SENT

    def __init__(
        self, node: str, *, in_flight: int, queued: int, limit: int, reason: str = "requests"
    ) -> None:
        self.node = node
        self.in_flight = in_flight
        self.queued = queued
        self.limit = limit
        self.reason = reason
        super().__init__(
            f"{node} is busy: {in_flight} requests in flight, {queued} queued, limit {limit} {reason}; "
            "not sent: use execute_many() or sink(), or wait for when_ready()"
        )


class RequestTimeout(CQLError):
    """A request was not answered before its read timeout or its deadline.

    :ivar deadline: whether it was the deadline; else it was the read timeout of its last attempt.
    """

    deadline = False


class NoNodeAvailable(CQLError):
    """No node could take the request, or none could be connected to.

    :ivar errors: what each node that was tried said: ``host:port`` -> exception.
    """

    delivery = NOT_SENT

    def __init__(self, message: str, errors: Mapping[str, BaseException] | None = None) -> None:
        self.errors = dict(errors or {})
        super().__init__(message)


class AuthenticationFailed(CQLError):
    """The node refused the login, or asks for one and no credentials were given."""


class TLSError(CQLError):
    """The TLS handshake with a node failed, or only one side speaks TLS."""


class NameResolutionError(CQLError):
    """A contact point's host name does not resolve.

    :ivar host: the name.
    """

    def __init__(self, host: str, message: str | None = None) -> None:
        self.host = host
        super().__init__(message or f'the name "{host}" does not resolve')


class TraceIncomplete(CQLError):
    """The trace of a request was not complete in time.

    :ivar trace: what there was of it: a :class:`~txcql.Trace`; ``None`` if there was nothing.
    """

    def __init__(self, message: str, trace: Any = None) -> None:
        self.trace = trace
        super().__init__(message)


class SchemaDisagreement(CQLError):
    """The nodes did not agree on a schema version in time."""


class SessionClosed(CQLError):
    """The session is closed, or was closed before the request was answered."""

    def __init__(self, message: str = "session is closed", delivery: str = NOT_SENT) -> None:
        self.delivery = delivery
        super().__init__(message)


class IncompleteResult(CQLError):
    """A result holds one page of several, and all rows were asked for."""


class ServerError(CQLError):
    """An ERROR message of the server; each code has a class of its own below.

    :ivar code: the protocol's error code.
    :ivar message: the server's own sentence.
    :ivar warnings: warnings that came with the error.
    :ivar tracing_id: the tracing session, if the request was traced.
    :ivar payload: the custom payload of the answer.
    """

    code: ClassVar[int] = -1
    delivery = SENT
    fields: ClassVar[tuple[str, ...]] = ()

    def __init__(self, message: str, **fields: Any) -> None:
        super().__init__(message)
        self.message = message
        self.warnings: Sequence[str] = ()
        self.tracing_id: Any = None
        self.payload: Mapping[str, bytes | None] | None = None
        if set(fields) != set(self.fields):
            raise TypeError(f"{type(self).__name__} has the fields {self.fields}, got {tuple(fields)}")
        for name, value in fields.items():
            setattr(self, name, value)

    def __str__(self) -> str:
        return self.message


class UnknownServerError(ServerError):
    """A code that this version of txcql does not know.

    :ivar unknown_code: that code.
    """

    fields = ("unknown_code",)
    unknown_code: int


class InternalServerError(ServerError):
    """0x0000: something went wrong inside the server."""

    code = 0x0000


class ServerProtocolError(ServerError, ProtocolError):
    """0x000A: the server says that a message breaks the protocol."""

    code = 0x000A


class BadCredentials(ServerError, AuthenticationFailed):
    """0x0100: the login was refused."""

    code = 0x0100


class Unavailable(ServerError):
    """0x1000: fewer replicas are alive than the consistency level requires.

    :ivar consistency: the level of the request, by its name.
    :ivar required: replicas required.
    :ivar alive: replicas known to be alive.
    """

    code = 0x1000
    fields = ("consistency", "required", "alive")
    consistency: str
    required: int
    alive: int


class Overloaded(ServerError):
    """0x1001: the coordinator discarded the request unprocessed."""

    code = 0x1001
    delivery = NOT_SENT


class IsBootstrapping(ServerError):
    """0x1002: the coordinator is starting and did not process the request."""

    code = 0x1002
    delivery = NOT_SENT


class TruncateError(ServerError):
    """0x1003: a TRUNCATE failed."""

    code = 0x1003


class WriteTimeout(ServerError):
    """0x1100: too few replicas acknowledged a write in time.

    :ivar received: replicas that acknowledged.
    :ivar required: acknowledgements required.
    :ivar write_type: ``"SIMPLE"``, ``"BATCH"``, ``"CAS"`` …
    :ivar contentions: rounds of contention of a CAS write (v5), else ``None``.
    """

    code = 0x1100
    fields = ("consistency", "received", "required", "write_type", "contentions")
    consistency: str
    received: int
    required: int
    write_type: str
    contentions: int | None


class ReadTimeout(ServerError):
    """0x1200: too few replicas answered a read in time.

    :ivar data_present: whether the replica asked for data answered.
    """

    code = 0x1200
    fields = ("consistency", "received", "required", "data_present")
    consistency: str
    received: int
    required: int
    data_present: bool


class ReadFailure(ServerError):
    """0x1300: a replica failed to read.

    :ivar failures: the number of replicas that failed.
    :ivar reasons: address -> failure code (v5; empty below).
    """

    code = 0x1300
    fields = ("consistency", "received", "required", "failures", "reasons", "data_present")
    consistency: str
    received: int
    required: int
    failures: int
    reasons: Mapping[Any, int]
    data_present: bool


class FunctionFailure(ServerError):
    """0x1400: a user-defined function failed.

    :ivar keyspace: its keyspace.
    :ivar function: its name.
    :ivar argument_types: the CQL types of its arguments.
    """

    code = 0x1400
    fields = ("keyspace", "function", "argument_types")
    keyspace: str
    function: str
    argument_types: Sequence[str]


class WriteFailure(ServerError):
    """0x1500: a replica failed to write; attributes as in :class:`ReadFailure`."""

    code = 0x1500
    fields = ("consistency", "received", "required", "failures", "reasons", "write_type")
    consistency: str
    received: int
    required: int
    failures: int
    reasons: Mapping[Any, int]
    write_type: str


class CDCWriteFailure(ServerError):
    """0x1600: the change-data-capture space is full."""

    code = 0x1600


class CASWriteUnknown(ServerError):
    """0x1700: it is not known whether a conditional write took place."""

    code = 0x1700
    fields = ("consistency", "received", "required")
    consistency: str
    received: int
    required: int


class CQLSyntaxError(ServerError):
    """0x2000: the statement is not CQL."""

    code = 0x2000


class Unauthorized(ServerError):
    """0x2100: the role lacks a permission."""

    code = 0x2100


class InvalidRequest(ServerError):
    """0x2200: the statement is well-formed but cannot be carried out."""

    code = 0x2200


class ConfigurationError(ServerError):
    """0x2300: a statement names an impossible configuration."""

    code = 0x2300


class AlreadyExists(ServerError):
    """0x2400: the keyspace or table exists.

    :ivar keyspace: its keyspace.
    :ivar table: its table, ``""`` if a keyspace was to be created.
    """

    code = 0x2400
    fields = ("keyspace", "table")
    keyspace: str
    table: str


class Unprepared(ServerError):
    """0x2500: the node does not know the prepared statement.

    :ivar statement_id: its id.
    """

    code = 0x2500
    fields = ("statement_id",)
    statement_id: bytes


def _all_server_errors(kind: type[ServerError]) -> dict[int, type[ServerError]]:
    found = {} if kind.code < 0 else {kind.code: kind}
    for child in kind.__subclasses__():
        found.update(_all_server_errors(child))
    return found


_BY_CODE = _all_server_errors(ServerError)


def server_error_class(code: int) -> type[ServerError] | None:
    """The class of a protocol error code, ``None`` if the code is unknown."""
    return _BY_CODE.get(code)
