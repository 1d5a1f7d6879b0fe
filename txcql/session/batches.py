"""Several writes as one request."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from twisted.internet.defer import Deferred, FirstError, gatherResults

from txcql.errors import EncodeError
from txcql.session.guessedvalues import encode_guessed
from txcql.session.statementoptions import NO_OPTIONS, StatementOptions
from txcql.session.statements import (
    BoundStatement,
    Parameters,
    PreparedGeneration,
    PreparedStatement,
    SimpleStatement,
    Statement,
    kept_parameters,
)
from txcql.wire.constants import BATCH_KINDS
from txcql.wire.requests import BatchItem, QueryOptions, batch as batch_body

if TYPE_CHECKING:
    from typing_extensions import Self, Unpack

    from txcql.session.core import SessionCore
    from txcql.session.options import ExecuteOptions, RequestOptions

__all__ = ["Batch", "EncodedBatch", "EncodedItem", "encode_batch", "prepare_texts"]

MOST_STATEMENTS = 0xFFFF
_PREPARED_AT_ONCE = 32
_NO_VALUES = b"\0\0"
_ITEM_OPTIONS = {"idempotent", "routing_key"}


class Item(NamedTuple):
    """One statement of a batch.

    :ivar statement: a prepared statement, or text.
    :ivar parameters: its values; ``None`` if it has none.
    :ivar options: those of its own that mean something in a batch.
    """

    statement: PreparedStatement | str
    parameters: Parameters
    options: StatementOptions


class Batch(Statement):
    """Several INSERT, UPDATE and DELETE statements as one request.

    A batch is idempotent if it, or each of its statements, says so. A text that has parameters is
    prepared first.

    :param items: each one ``(statement, parameters)``, the statement prepared or text; or a
        :class:`~txcql.BoundStatement`; or a statement without parameters. Those with options of their own
        may have ``idempotent`` and ``routing_key``: all others are the batch's.
    :param kind: ``"logged"``: all of it will be carried out, or nothing; ``"unlogged"``: that is so
        within each partition only, and costs less; ``"counter"``: for updates of counters.
    :param options: as for :meth:`txcql.Session.execute`. There are no pages.
    :ivar kind: the same.
    :raises TypeError: an item that is none of these, or an option of the wrong type.
    :raises ValueError: an unknown kind, more than 65,535 statements, or an option that a batch, or a
        statement in one, does not have.
    """

    __slots__ = ("_items", "_kind", "_options")

    def __init__(self, items: Iterable[Any], kind: str = "logged", **options: Unpack[ExecuteOptions]) -> None:
        if kind not in BATCH_KINDS:
            raise ValueError(f'kind must be "logged", "unlogged" or "counter", got {kind!r}')
        self._kind = kind
        if isinstance(items, str | Mapping | Statement):
            raise TypeError(f"a batch takes an iterable of statements, got {items!r}")
        self._items = tuple(_item(number, item) for number, item in enumerate(items, 1))
        if len(self._items) > MOST_STATEMENTS:
            raise ValueError(f"a batch holds at most 65535 statements, got {len(self._items)}")
        self._options = _of_batch(StatementOptions(options)) if options else NO_OPTIONS

    @property
    def kind(self) -> str:
        return self._kind

    @property
    def items(self) -> Sequence[Item]:
        """Its statements, each with ``.statement``, ``.parameters`` and ``.options``."""
        return self._items

    @property
    def options(self) -> StatementOptions:
        return self._options

    def unwrapped(self, parameters: Parameters) -> tuple[Batch, None]:
        if parameters is not None:
            raise TypeError("the statements of a batch have their own parameters: it takes no others")
        return self, None

    def _with(self, options: StatementOptions) -> Self:
        made = type(self)((), self._kind)
        made._items = self._items
        made._options = _of_batch(options)
        return made

    def __len__(self) -> int:
        """The number of its statements."""
        return len(self._items)

    def __repr__(self) -> str:
        options = f" {self._options!r}" if self._options else ""
        return f"<Batch {self._kind} statements={len(self._items)}{options}>"


def _of_batch(options: StatementOptions) -> StatementOptions:
    for name in ("page_size", "paging_state"):
        if name in options:
            raise ValueError(f"a batch has no pages, and no option {name}")
    return options


def _item(number: int, item: Any) -> Item:
    """One item as it was given.

    :raises TypeError: it is no statement.
    :raises ValueError: it has options that belong to the batch.
    """
    parameters: Parameters = None
    statement = item
    if isinstance(item, tuple):
        if len(item) != 2:
            raise TypeError(f"statement {number} of the batch must be (statement, parameters), got {item!r}")
        statement, parameters = item
    options = NO_OPTIONS
    if isinstance(statement, SimpleStatement | BoundStatement | PreparedStatement):
        options = statement.options
        try:
            statement, parameters = statement.unwrapped(parameters)
        except TypeError as error:
            raise TypeError(f"statement {number} of the batch: {error}") from None
    elif not isinstance(statement, str):
        raise TypeError(f"statement {number} of the batch must be text or prepared, got {statement!r}")
    surplus = set(options) - _ITEM_OPTIONS
    if surplus:
        raise ValueError(
            f"statement {number} of the batch has the option {', '.join(sorted(surplus))}, "
            "which only the whole batch can have"
        )
    return Item(statement, kept_parameters(parameters), options)


class EncodedItem(NamedTuple):
    """One statement of a batch whose values are encoded.

    :ivar generation: what its values were encoded for; ``None`` of text.
    :ivar values: with their [short] count.
    :ivar routing_key: the serialized partition key, if the application gave it.
    """

    statement: PreparedStatement | str
    generation: PreparedGeneration | None
    values: bytes
    routing_key: bytes | None


class EncodedBatch(NamedTuple):
    """A batch that is ready to be sent.

    :ivar idempotent: whether each of its statements may be repeated.
    """

    kind: str
    items: tuple[EncodedItem, ...]
    idempotent: bool

    @property
    def text(self) -> str:
        """What observers are shown: the beginning of it, without values."""
        first = f": {_text(self.items[0])}" if self.items else ""
        return f"{self.kind.upper()} BATCH of {len(self.items)} statements{first}"

    def body(self, version: int, query: QueryOptions) -> bytes:
        """The body of the BATCH.

        :raises ValueError: an option that the version does not have.
        """
        items = [
            BatchItem(item.statement if isinstance(item.statement, str) else _id_of(item), item.values)
            for item in self.items
        ]
        return batch_body(version, self.kind, items, query._replace(page_size=None, paging_state=None))


def _text(item: EncodedItem) -> str:
    return item.statement if isinstance(item.statement, str) else item.statement.text


def _id_of(item: EncodedItem) -> bytes:
    assert item.generation is not None
    return item.generation.statement_id


def is_to_prepare(text: str, parameters: Parameters, prepare: bool | None) -> bool:
    """Whether a text is prepared before it is executed."""
    return prepare is True or (prepare is None and bool(parameters))


def encode_batch(
    session: SessionCore, batch: Batch, options: RequestOptions, prepared: Mapping[str, PreparedStatement]
) -> EncodedBatch | list[str]:
    """Encode every statement of a batch.

    :param prepared: texts that have been prepared for it.
    :returns: the batch; or the texts that have to be prepared before.
    :raises EncodeError: values that do not fit; it says whose.
    """
    missing: dict[str, None] = {}
    items: list[EncodedItem] = []
    keyspace = options.query.keyspace
    for number, (statement, parameters, own) in enumerate(batch.items, 1):
        generation = None
        values = _NO_VALUES
        try:
            if isinstance(statement, str) and is_to_prepare(statement, parameters, options.prepare):
                found = prepared.get(statement) or session.find_prepared(statement, keyspace)
                if found is None:
                    missing[statement] = None
                    continue
                statement = found
            if isinstance(statement, PreparedStatement):
                session.check_keyspace(statement, keyspace)
                generation = statement.generation
                values = generation.encoder.encode(parameters, session.version)
            elif options.prepare is False and parameters:
                values = encode_guessed(statement, parameters, session.version, session.codecs)
        except EncodeError as error:
            raise EncodeError(f"statement {number} of the batch: {error}") from error.__cause__
        items.append(EncodedItem(statement, generation, values, own.get("routing_key")))
    if missing:
        return list(missing)
    idempotent = bool(items) and all(item.options.get("idempotent", False) for item in batch.items)
    return EncodedBatch(batch.kind, tuple(items), idempotent)


def prepare_texts(
    session: SessionCore, texts: Sequence[str], keyspace: str | None
) -> Deferred[dict[str, PreparedStatement]]:
    """Prepare what a batch needs, some texts at a time.

    :returns: fires with the statements, by text.
    """
    return Deferred.fromCoroutine(_prepare_texts(session, texts, keyspace))


async def _prepare_texts(
    session: SessionCore, texts: Sequence[str], keyspace: str | None
) -> dict[str, PreparedStatement]:
    found: dict[str, PreparedStatement] = {}
    for begin in range(0, len(texts), _PREPARED_AT_ONCE):
        some = texts[begin : begin + _PREPARED_AT_ONCE]
        try:
            made = await gatherResults(
                [session.prepare_text(text, keyspace) for text in some], consumeErrors=True
            )
        except FirstError as error:
            error.subFailure.raiseException()
        found.update(zip(some, made, strict=True))
    return found
