"""What can be executed: simple, prepared and bound statements."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from txcql.session.options import RequestOptions
from txcql.session.responsehandler import ResponseHandler
from txcql.session.statementoptions import NO_OPTIONS, StatementOptions
from txcql.wire.binding import ParameterEncoder
from txcql.wire.metadata import Column
from txcql.wire.primitives import LONG
from txcql.wire.requests import execute_parts
from txcql.wire.responses import Prepared

if TYPE_CHECKING:
    from typing_extensions import Self, Unpack

    from txcql.session.options import ExecuteOptions

__all__ = [
    "BoundStatement",
    "Parameters",
    "PreparedGeneration",
    "PreparedStatement",
    "SimpleStatement",
    "Statement",
    "is_ddl",
    "is_select",
    "is_write",
    "kept_parameters",
    "used_keyspace",
]

Parameters = Sequence[Any] | Mapping[str, Any] | None

# Each character can be matched in one way only: else the time grows without bounds.
_COMMENTS = r"(?:\s|(?:--|//)[^\n]*(?:\n|$)|/\*(?:[^*]|\*(?!/))*\*/)*"
_SELECT = re.compile(_COMMENTS + r"SELECT\b", re.IGNORECASE | re.DOTALL)
_WRITE = re.compile(_COMMENTS + r"(?:INSERT|UPDATE|DELETE|BEGIN)\b", re.IGNORECASE | re.DOTALL)
_USE = re.compile(_COMMENTS + r"USE\b" + _COMMENTS + r'(?:"((?:[^"]|"")+)"|(\w+))', re.IGNORECASE | re.DOTALL)
_DDL = re.compile(_COMMENTS + r"(?:CREATE|ALTER|DROP|TRUNCATE)\b", re.IGNORECASE | re.DOTALL)


def is_select(text: str) -> bool:
    """Whether a statement only reads, so that repeating it does no harm."""
    return _SELECT.match(text) is not None


def is_write(text: str) -> bool:
    """Whether a statement writes data, which has a timestamp."""
    return _WRITE.match(text) is not None


def used_keyspace(text: str) -> str | None:
    """The keyspace that a USE statement names, as the server has it; ``None`` of any other statement."""
    match = _USE.match(text)
    if match is None:
        return None
    quoted, plain = match.groups()
    return plain.lower() if quoted is None else quoted.replace('""', '"')


def is_ddl(text: str) -> bool:
    """Whether a statement is one that ``ddl_timeout`` is for."""
    return _DDL.match(text) is not None


class PreparedGeneration:
    """What one PREPARE said; an ALTER TABLE makes a new one.

    A request keeps the generation that it was encoded for, so that its answer can never be read
    with another one's columns.

    :param prepared: what the server said.
    :param handler: reads the answers.
    :param writes: whether the statement writes data, which has a timestamp.
    :ivar encoder: encodes the parameters.
    :ivar partition_key: positions of the partition key among the parameters; empty if not all of it is
        bound, or if it is not known (v3, before it was looked up in the schema).
    """

    __slots__ = (
        "_kept_options",
        "_kept_parts",
        "_prepared",
        "encoder",
        "handler",
        "partition_key",
        "writes",
    )

    def __init__(self, prepared: Prepared, handler: ResponseHandler, writes: bool) -> None:
        self.writes = writes
        self.encoder = ParameterEncoder(handler.parameters(prepared.parameters))
        self.handler = handler
        self.partition_key = prepared.partition_key
        self._prepared = prepared
        self._kept_options: RequestOptions | None = None
        self._kept_parts = (b"", b"")

    @property
    def statement_id(self) -> bytes:
        """What the nodes know it by."""
        return self._prepared.statement_id

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns of the rows; empty if there are none, or if they vary."""
        return self.handler.columns

    def parts_for(self, version: int, options: RequestOptions) -> tuple[bytes, bytes]:
        """What stands before and behind the values in the body of an EXECUTE.

        Those of the options last used are kept: for most statements they never change.

        :raises ValueError: an option that the version does not have.
        """
        if options is self._kept_options:
            return self._kept_parts
        prepared = self._prepared
        query = options.query
        # Below v5 the server leaves out metadata that may have changed meanwhile.
        if self.columns and version >= 5:
            query = query._replace(skip_metadata=True)
        if not self.columns:
            query = query._replace(page_size=None)
        # PREPARE has fixed the keyspace.
        query = query._replace(keyspace=None)
        if self.has_timestamp(options):
            query = query._replace(timestamp=0)
        head, tail = execute_parts(
            version, prepared.statement_id, prepared.result_metadata_id, query, bool(prepared.parameters)
        )
        self._kept_options = options
        self._kept_parts = options.prefix + head, tail
        return self._kept_parts

    def has_timestamp(self, options: RequestOptions) -> bool:
        """Whether a timestamp of the driver's goes with each request."""
        return self.writes and options.timestamps and options.query.timestamp is None

    def body(self, version: int, options: RequestOptions, values: bytes, timestamp: int | None) -> bytes:
        """The body of an EXECUTE.

        :param values: with their [short] count.
        :param timestamp: in microseconds, if :meth:`has_timestamp`.
        """
        head, tail = self._kept_parts if options is self._kept_options else self.parts_for(version, options)
        if len(values) == 2:
            values = b""
        if timestamp is None:
            return head + values + tail
        if options.query.now_in_seconds is None:
            return head + values + tail[:-8] + LONG.pack(timestamp)
        return head + values + tail[:-12] + LONG.pack(timestamp) + tail[-4:]

    def timestamp_in(self, body: bytes, version: int, options: RequestOptions) -> int | None:
        """The timestamp that :meth:`body` was given."""
        if not self.has_timestamp(options):
            return None
        behind = 8 if options.query.now_in_seconds is None else 12
        timestamp: int = LONG.unpack_from(body, len(body) - behind)[0]
        return timestamp

    def changed(self, result_metadata_id: bytes, handler: ResponseHandler) -> PreparedGeneration:
        """The next generation: the same statement with other columns."""
        prepared = replace(self._prepared, result_metadata_id=result_metadata_id, columns=handler.columns)
        return PreparedGeneration(prepared, handler, self.writes)


def kept_parameters(parameters: Parameters) -> Parameters:
    """Parameters that change no more, whatever the caller does with what it gave."""
    if type(parameters) is list:
        return tuple(parameters)
    return dict(parameters) if isinstance(parameters, Mapping) else parameters


class Statement:
    """What can be executed, besides plain text. It never changes, and may be executed again and again.

    :ivar options: those of ``execute()`` that it brings along.
    """

    __slots__ = ()

    @property
    def options(self) -> StatementOptions:
        raise NotImplementedError

    def with_options(self, **options: Unpack[ExecuteOptions]) -> Self:
        """The same statement with other options.

        :param options: as for :meth:`txcql.Session.execute`; ``None`` takes an option away.
        :raises TypeError: one that does not exist, or of the wrong type.
        :raises ValueError: a value out of its range.
        """
        return self._with(self.options.changed(options))

    def unwrapped(self, parameters: Parameters) -> tuple[Any, Parameters]:
        """What is executed, and its values.

        :param parameters: those of the call.
        :raises TypeError: the statement has values of its own.
        """
        raise NotImplementedError

    def _with(self, options: StatementOptions) -> Self:
        raise NotImplementedError


def _only_own(own: Parameters, parameters: Parameters) -> Parameters:
    if parameters is not None:
        raise TypeError("the statement has its values bound already, and got parameters too")
    return own


class SimpleStatement(Statement):
    """CQL text, and options that belong to it.

    :param text: CQL.
    :param parameters: its values, by position or by name; else ``execute()`` is given them.
    :param options: as for :meth:`txcql.Session.execute`.
    :ivar text: the same.
    :ivar parameters: the same.
    :raises TypeError: the text is no str, or an option does not exist or is of the wrong type.
    :raises ValueError: an option's value is out of its range.
    """

    __slots__ = ("_options", "_parameters", "_text")

    def __init__(self, text: str, parameters: Parameters = None, **options: Unpack[ExecuteOptions]) -> None:
        if not isinstance(text, str):
            raise TypeError(f"a simple statement is CQL text, got {text!r}")
        self._text = text
        self._parameters = kept_parameters(parameters)
        self._options = StatementOptions(options) if options else NO_OPTIONS

    @property
    def text(self) -> str:
        return self._text

    @property
    def parameters(self) -> Parameters:
        return self._parameters

    @property
    def options(self) -> StatementOptions:
        return self._options

    def unwrapped(self, parameters: Parameters) -> tuple[str, Parameters]:
        own = self._parameters
        return self._text, parameters if own is None else _only_own(own, parameters)

    def _with(self, options: StatementOptions) -> Self:
        made = type(self)(self._text, self._parameters)
        made._options = options
        return made

    def __repr__(self) -> str:
        return f"<SimpleStatement {self._text!r}{_shown(self._options)}>"


class PreparedStatement(Statement):
    """A statement that the nodes know by an id.

    Call it with the values of its parameters to get a :class:`BoundStatement`.

    :ivar text: the statement.
    :ivar keyspace: the keyspace that it was prepared in.
    :ivar parameters: its bind markers, in order.
    :ivar columns: the columns of its rows; empty if it returns none, or if they vary.
    :ivar partition_key: positions of the partition key among the parameters; empty if not all of
        it is bound.
    """

    def __init__(self, text: str, keyspace: str | None, prepared: Prepared, handler: ResponseHandler) -> None:
        self.text = text
        self.keyspace = keyspace
        self.idempotent = is_select(text)
        self.generation = PreparedGeneration(prepared, handler, is_write(text))

    @property
    def columns(self) -> Sequence[Column]:
        return self.generation.columns

    @property
    def parameters(self) -> Sequence[Column]:
        return self.generation.encoder.columns

    @property
    def partition_key(self) -> Sequence[int]:
        return self.generation.partition_key

    @property
    def options(self) -> StatementOptions:
        return NO_OPTIONS

    def unwrapped(self, parameters: Parameters) -> tuple[PreparedStatement, Parameters]:
        return self, parameters

    def _with(self, options: StatementOptions) -> Any:
        return PreparedWithOptions(self, options)

    def __call__(self, *values: Any, **named: Any) -> BoundStatement:
        """Bind values, all by position or all by name.

        :raises TypeError: both kinds at once.
        """
        if values and named:
            raise TypeError("bind by position or by name, not both")
        return BoundStatement(self, named or values)

    def __repr__(self) -> str:
        return f"<PreparedStatement {self.text!r}{_shown(self.options)}>"


class PreparedWithOptions(PreparedStatement):
    """A prepared statement that brings options along; all else it has of the one that it was made of.

    :param original: that one.
    """

    def __init__(self, original: PreparedStatement, options: StatementOptions) -> None:
        self.text = original.text
        self.keyspace = original.keyspace
        self.idempotent = original.idempotent
        self._original = original
        self._options = options

    @property
    def generation(self) -> PreparedGeneration:
        return self._original.generation

    @generation.setter
    def generation(self, generation: PreparedGeneration) -> None:
        self._original.generation = generation

    @property
    def options(self) -> StatementOptions:
        return self._options

    def unwrapped(self, parameters: Parameters) -> tuple[PreparedStatement, Parameters]:
        return self._original, parameters

    def _with(self, options: StatementOptions) -> Any:
        return PreparedWithOptions(self._original, options)


class BoundStatement(Statement):
    """A prepared statement and the values of its parameters.

    :ivar statement: the prepared statement.
    :ivar values: a sequence, or a mapping by name.
    """

    __slots__ = ("_options", "_statement", "_values")

    def __init__(
        self, statement: PreparedStatement, values: Any, options: StatementOptions | None = None
    ) -> None:
        self._options = statement.options if options is None else options
        self._statement = statement
        self._values = values

    @property
    def statement(self) -> PreparedStatement:
        return self._statement

    @property
    def values(self) -> Any:
        return self._values

    @property
    def options(self) -> StatementOptions:
        return self._options

    def unwrapped(self, parameters: Parameters) -> tuple[PreparedStatement, Parameters]:
        statement, _ = self._statement.unwrapped(None)
        return statement, _only_own(self._values, parameters)

    def _with(self, options: StatementOptions) -> Self:
        return type(self)(self._statement, self._values, options)

    def __repr__(self) -> str:
        return f"<BoundStatement {self._statement.text!r}{_shown(self._options)}>"


def _shown(options: StatementOptions) -> str:
    return f" {options!r}" if options else ""
