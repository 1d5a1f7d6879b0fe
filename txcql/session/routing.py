"""What load balancing policies may ask of a request: its partition, and who owns it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from zope.interface import implementer

from txcql.consistency import consistency_name
from txcql.interfaces import INode, IRequest
from txcql.session.batches import EncodedBatch, EncodedItem
from txcql.session.profiles import Policies
from txcql.session.statements import PreparedGeneration, PreparedStatement, is_select
from txcql.wire.murmur3 import composite_key
from txcql.wire.primitives import INT

if TYPE_CHECKING:
    from txcql.session.core import SessionCore
    from txcql.session.options import RequestOptions

__all__ = ["Routed", "RoutedStatement", "SuspectsLast", "routing_key"]


class Routed:
    """The answers, computed when a policy asks; subclasses say where the values are."""

    __slots__ = ()

    session: SessionCore
    statement: PreparedStatement | str | EncodedBatch
    options: RequestOptions

    @property
    def policies(self) -> Policies:
        """Those that it obeys."""
        return self.options.policies

    @property
    def keyspace(self) -> str | None:
        """The keyspace of what it reads or writes; ``None`` if not known."""
        statement = self.statement
        if isinstance(statement, EncodedBatch):
            item, _ = first_routable(self.session, statement)
            statement = item.statement if item is not None else ""
        given = self.options.query.keyspace
        if isinstance(statement, str):
            return given if given is not None else self.session.keyspace
        for column in statement.parameters:
            return column.keyspace
        return statement.keyspace if statement.keyspace is not None else self.session.keyspace

    @property
    def routing_key(self) -> bytes | None:
        """The serialized partition key that it is for."""
        return self.options.routing_key

    @property
    def consistency(self) -> str:
        """The name of its consistency level."""
        return consistency_name(self.options.query.consistency)

    def replicas(self) -> Sequence[INode]:
        """The nodes that own its partition, in ring order; empty if they are not known."""
        key = self.routing_key
        return self.session.replicas(self.keyspace, key) if key is not None else ()


@implementer(IRequest)
class RoutedStatement(Routed):
    """A statement that will become a request when there is room for it.

    :param values: its encoded values, with their [short] count; ``b""`` for text.
    """

    __slots__ = ("_values", "options", "session", "statement")

    def __init__(
        self,
        session: SessionCore,
        statement: PreparedStatement | str | EncodedBatch,
        values: bytes,
        options: RequestOptions,
    ) -> None:
        self.session = session
        self.statement = statement
        self.options = options
        self._values = values

    @property
    def idempotent(self) -> bool:
        """Whether it may be repeated though it may have been carried out."""
        if self.options.idempotent is not None:
            return self.options.idempotent
        return is_select(self.statement) if isinstance(self.statement, str) else self.statement.idempotent

    @property
    def routing_key(self) -> bytes | None:
        given = self.options.routing_key
        if given is not None or isinstance(self.statement, str):
            return given
        if isinstance(self.statement, EncodedBatch):
            return first_routable(self.session, self.statement)[1]
        return routing_key(self._values, 0, partition_key(self.session, self.statement.generation))


def partition_key(session: SessionCore, generation: PreparedGeneration) -> Sequence[int]:
    """Positions of the partition key among the parameters; below v4 the schema tells them."""
    found = generation.partition_key
    columns = generation.encoder.columns
    if found or session.version >= 4 or not columns:
        return found
    names = [column.name for column in columns]
    try:
        found = tuple(map(names.index, session.partition_key_of(columns[0].keyspace, columns[0].table)))
    except ValueError:
        # Not all of it is bound.
        return ()
    generation.partition_key = found
    return found


def first_routable(session: SessionCore, batch: EncodedBatch) -> tuple[EncodedItem | None, bytes | None]:
    """The statement that a batch is routed by, and its serialized partition key.

    :returns: the first whose partition key is known; the first of all, and ``None``, if there is none.
    """
    for item in batch.items:
        key = item.routing_key
        if key is None and item.generation is not None:
            key = routing_key(item.values, 0, partition_key(session, item.generation))
        if key is not None:
            return item, key
    return (batch.items[0] if batch.items else None), None


def routing_key(body: bytes, offset: int, positions: Sequence[int]) -> bytes | None:
    """The serialized partition key among encoded values.

    :param body: holds the values, with their [short] count.
    :param offset: where they begin.
    :param positions: of the partition key's components among them.
    :returns: ``None`` if there are none, or one of them is null.
    """
    if not positions or offset >= len(body):
        return None
    offset += 2
    size: int
    if len(positions) == 1 and positions[0] == 0:
        # Mostly it is the first parameter, and one column.
        size = INT.unpack_from(body, offset)[0]
        if size > 0:
            offset += 4
            return body[offset : offset + size]
    components: dict[int, bytes] = {}
    for place in range(max(positions) + 1):
        size = INT.unpack_from(body, offset)[0]
        offset += 4
        if size > 0:
            if place in positions:
                components[place] = body[offset : offset + size]
            offset += size
        elif place in positions:
            if size < 0:
                return None
            components[place] = b""
    if len(positions) == 1:
        return components[positions[0]]
    try:
        return composite_key([components[place] for place in positions])
    except ValueError:
        # A component that is too long: the server will say so.
        return None


class SuspectsLast:
    """A plan whose suspect nodes have been put off to its end.

    :param suspect: the first of them.
    :param plan: the rest of the plan.
    """

    __slots__ = ("_plan", "_suspects")

    def __init__(self, suspect: Any, plan: Iterator[Any]) -> None:
        self._suspects = [suspect]
        self._plan: Iterator[Any] | None = plan

    def __iter__(self) -> SuspectsLast:
        return self

    def __next__(self) -> Any:
        if self._plan is not None:
            for node in self._plan:
                if not node.suspect:
                    return node
                self._suspects.append(node)
            self._plan = None
            self._suspects.reverse()
        if not self._suspects:
            raise StopIteration
        return self._suspects.pop()
