"""What INSERT, UPDATE and DELETE have in common: where they write, and when."""

from __future__ import annotations

from collections.abc import Callable

from txcql.errors import InvalidRequest
from txcql.testing import cqlstatements as cql
from txcql.testing.conditionalwrites import run_conditional
from txcql.testing.conditions import BoundCondition
from txcql.testing.execution import Execution
from txcql.testing.expressions import Expression, Receiver, Scope, compile_term
from txcql.testing.operations import CellOperation, Stamp
from txcql.testing.statementplans import Answer, Plan
from txcql.testing.storedrows import Row
from txcql.testing.storedtables import StoredTable
from txcql.testing.tabledefinitions import STATIC
from txcql.wire.murmur3 import token
from txcql.wire.scalars import BIGINT, INT
from txcql.wire.values import Singleton

__all__ = ["Key", "WritePlan"]

Key = tuple[bytes, tuple[bytes, ...]]
"""A serialized partition key, and its columns."""

_LONGEST_TTL = 630_720_000


class WritePlan(Plan):
    """A statement that writes to a table, alone or in a batch.

    :ivar conditions: the conditions of its IF.
    :ivar exists: ``True`` for IF EXISTS, ``False`` for IF NOT EXISTS, else ``None``.
    :ivar has_timestamp: whether it says USING TIMESTAMP.
    """

    table: StoredTable
    keyspace: str
    kind = ""

    def __init__(self, table: StoredTable, attributes: cql.Attributes, scope: Scope) -> None:
        self.table = table
        self.keyspace = table.definition.keyspace
        self.conditions: list[BoundCondition] = []
        self.exists: bool | None = None
        self.has_timestamp = attributes.timestamp is not None
        self.operations: list[CellOperation] = []
        self._attributes = attributes
        self._scope = scope
        self._timestamp: Expression | None = None
        self._ttl: Expression | None = None

    def _bind_attributes(self) -> None:
        given = self._attributes
        if given.timestamp is not None:
            self._timestamp = compile_term(given.timestamp, Receiver("[timestamp]", BIGINT), self._scope)
        if given.ttl is not None:
            self._ttl = compile_term(given.ttl, Receiver("[ttl]", INT), self._scope)

    def _check(self) -> None:
        if self.conditional and self._timestamp is not None:
            raise InvalidRequest("Cannot provide custom timestamp for conditional updates")
        if self.is_counter:
            if self._timestamp is not None:
                raise InvalidRequest("Cannot provide custom timestamp for counter updates")
            if self._ttl is not None:
                raise InvalidRequest("Cannot provide custom TTL for counter updates")
            if self.conditional:
                raise InvalidRequest("Conditional updates are not supported on counter tables")

    @property
    def is_counter(self) -> bool:
        """Whether it writes counters."""
        return self.table.definition.is_counter

    @property
    def conditional(self) -> bool:
        """Whether it has an IF."""
        return bool(self.conditions) or self.exists is not None

    @property
    def key_is_in(self) -> bool:
        """Whether it may be about several partitions."""
        return False

    @property
    def clustering_is_in(self) -> bool:
        """Whether it may be about several rows that it names."""
        return False

    @property
    def writes_rows(self) -> bool:
        """Whether it writes to rows, and not only to static columns."""
        return True

    @property
    def only_statics(self) -> bool:
        """Whether all that it writes and asks is static."""
        columns = [one.column for one in self.operations] + [one.column for one in self.conditions]
        return bool(columns) and all(column.kind == STATIC for column in columns)

    def keys(self, execution: Execution) -> list[Key]:
        """The partitions that it writes to."""
        raise NotImplementedError

    def clusterings(self, execution: Execution) -> list[tuple[bytes, ...]] | None:
        """The rows that it writes to; ``None`` if it is not about certain rows."""
        raise NotImplementedError

    def stamp(self, execution: Execution) -> Stamp:
        """When it writes, and when that expires.

        :raises InvalidRequest: USING says something wrong.
        """
        timestamp = execution.timestamp
        if self._timestamp is not None:
            value = self._timestamp.value(execution)
            if value is None:
                raise InvalidRequest("Invalid null value of timestamp")
            if not isinstance(value, Singleton):
                timestamp = int.from_bytes(value, "big", signed=True)
        default = self.table.definition.options.get("default_time_to_live", 0)
        ttl = default if isinstance(default, int) else 0
        if self._ttl is not None:
            value = self._ttl.value(execution)
            if not isinstance(value, Singleton):
                ttl = 0 if value is None else int.from_bytes(value, "big", signed=True)
        if ttl < 0:
            raise InvalidRequest(f"A TTL must be greater or equal to 0, but was {ttl}")
        if ttl > _LONGEST_TTL:
            raise InvalidRequest(f"ttl is too large. requested ({ttl}) maximum ({_LONGEST_TTL})")
        return Stamp(timestamp, ttl, execution.now + ttl if ttl else None)

    def run(self, execution: Execution) -> Answer:
        self.check(execution)
        if self.conditional:
            return run_conditional([(self, execution)])
        self.prepare(execution)()
        return None

    def check(self, execution: Execution) -> None:
        """Refuse a consistency level that cannot be met.

        :raises Unavailable: there are too few replicas.
        """

        def tokens() -> list[int]:
            return [token(key) for key, _ in self.keys(execution)]

        options = execution.options
        execution.node.check_consistency(self.keyspace, options.consistency, True, tokens)
        if self.conditional:
            execution.node.check_serial(self.keyspace, options.serial_consistency, tokens)

    def prepare(self, execution: Execution) -> Callable[[], None]:
        """Check the values.

        :returns: writes them.
        :raises ServerError: one of them is wrong.
        """
        keys = self.keys(execution)
        stamp = self.stamp(execution)
        writes = []
        for key, components in keys:
            writes.append(self._prepare_key(key, components, stamp, execution))

        def write_all() -> None:
            for write in writes:
                write()

        return write_all

    def _prepare_key(
        self, key: bytes, components: tuple[bytes, ...], stamp: Stamp, execution: Execution
    ) -> Callable[[], None]:
        present = self.table.partitions.get(key)
        statics = [one for one in self.operations if one.column.kind == STATIC]
        regular = [one for one in self.operations if one.column.kind != STATIC]
        static_row = None if present is None else present.static
        applied = [one.prepare(execution, static_row) for one in statics]
        rows = []
        for clustering in self.clusterings(execution) or []:
            row = None if present is None else present.rows.get(self.table.order(clustering))
            rows.append((clustering, [one.prepare(execution, row) for one in regular]))

        def write() -> None:
            partition = self.table.partition(key, components)
            for apply in applied:
                if apply is not None:
                    apply(partition.static, stamp)
            for clustering, applies in rows:
                row = partition.row(self.table.order(clustering), clustering)
                self._touch(row, stamp)
                for apply in applies:
                    if apply is not None:
                        apply(row, stamp)

        return write

    def _touch(self, row: Row, stamp: Stamp) -> None:
        """What it does to the row itself."""
