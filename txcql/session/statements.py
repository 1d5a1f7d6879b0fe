"""What can be executed: prepared statements, and what every request may say besides."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from txcql.session.options import RequestOptions
from txcql.session.responsehandler import ResponseHandler
from txcql.wire.binding import ParameterEncoder
from txcql.wire.metadata import Column
from txcql.wire.requests import execute_parts
from txcql.wire.responses import Prepared

__all__ = ["BoundStatement", "PreparedGeneration", "PreparedStatement", "is_ddl", "is_select"]

# Each character can be matched in one way only: else the time grows without bounds.
_COMMENTS = r"(?:\s|(?:--|//)[^\n]*(?:\n|$)|/\*(?:[^*]|\*(?!/))*\*/)*"
_SELECT = re.compile(_COMMENTS + r"SELECT\b", re.IGNORECASE | re.DOTALL)
_DDL = re.compile(_COMMENTS + r"(?:CREATE|ALTER|DROP|TRUNCATE)\b", re.IGNORECASE | re.DOTALL)


def is_select(text: str) -> bool:
    """Whether a statement only reads, so that repeating it does no harm."""
    return _SELECT.match(text) is not None


def is_ddl(text: str) -> bool:
    """Whether a statement is one that ``ddl_timeout`` is for."""
    return _DDL.match(text) is not None


class PreparedGeneration:
    """What one PREPARE said; an ALTER TABLE makes a new one.

    A request keeps the generation that it was encoded for, so that its answer can never be read
    with another one's columns.

    :param prepared: what the server said.
    :param handler: reads the answers.
    :ivar encoder: encodes the parameters.
    """

    __slots__ = ("_default_options", "_default_parts", "_prepared", "encoder", "handler")

    def __init__(self, prepared: Prepared, handler: ResponseHandler) -> None:
        self.encoder = ParameterEncoder(handler.parameters(prepared.parameters))
        self.handler = handler
        self._prepared = prepared
        self._default_options: RequestOptions | None = None
        self._default_parts = (b"", b"")

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns of the rows; empty if there are none, or if they vary."""
        return self.handler.columns

    @property
    def partition_key(self) -> tuple[int, ...]:
        """Positions of the partition key among the parameters; empty if not all of it is bound."""
        return self._prepared.partition_key

    def parts_for(self, version: int, options: RequestOptions) -> tuple[bytes, bytes]:
        """What stands before and behind the values in the body of an EXECUTE.

        Those of the options last used are kept: for most statements they never change.

        :raises ValueError: an option that the version does not have.
        """
        if options is self._default_options:
            return self._default_parts
        prepared = self._prepared
        query = options.query
        # Below v5 the server leaves out metadata that may have changed meanwhile.
        if self.columns and version >= 5:
            query = query._replace(skip_metadata=True)
        if not self.columns:
            query = query._replace(page_size=None)
        # PREPARE has fixed the keyspace.
        query = query._replace(keyspace=None)
        head, tail = execute_parts(
            version, prepared.statement_id, prepared.result_metadata_id, query, bool(prepared.parameters)
        )
        self._default_options = options
        self._default_parts = options.prefix + head, tail
        return self._default_parts

    def changed(self, result_metadata_id: bytes, handler: ResponseHandler) -> PreparedGeneration:
        """The next generation: the same statement with other columns."""
        prepared = replace(self._prepared, result_metadata_id=result_metadata_id, columns=handler.columns)
        return PreparedGeneration(prepared, handler)


class PreparedStatement:
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
        self.generation = PreparedGeneration(prepared, handler)

    @property
    def columns(self) -> Sequence[Column]:
        return self.generation.columns

    @property
    def parameters(self) -> Sequence[Column]:
        return self.generation.encoder.columns

    @property
    def partition_key(self) -> Sequence[int]:
        return self.generation.partition_key

    def __call__(self, *values: Any, **named: Any) -> BoundStatement:
        """Bind values, all by position or all by name.

        :raises TypeError: both kinds at once.
        """
        if values and named:
            raise TypeError("bind by position or by name, not both")
        return BoundStatement(self, named or values)

    def __repr__(self) -> str:
        return f"<PreparedStatement {self.text!r}>"


class BoundStatement(NamedTuple):
    """A prepared statement and the values of its parameters.

    :ivar values: a sequence, or a mapping by name.
    """

    statement: PreparedStatement
    values: Sequence[Any] | Mapping[str, Any]
