"""The Response Handler: a frame becomes a result, or the error it stands for."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

from txcql.errors import DecodeError, ProtocolError, ServerError
from txcql.session.results import Result
from txcql.wire import constants
from txcql.wire.frames import Frame
from txcql.wire.metadata import Column
from txcql.wire.primitives import Reader
from txcql.wire.responses import (
    NO_PREFIXES,
    ROWS_START_SIZE,
    KnownMetadata,
    Message,
    Prepared,
    RowsHeader,
    SchemaChanged,
    SetKeyspace,
    Void,
    decode_response,
    read_prefixes,
    read_rows,
    rows_starts,
)
from txcql.wire.rows import RowDecoder, RowFactory
from txcql.wire.usercodecs import CodecRegistry

if TYPE_CHECKING:
    from txcql.session.statementrequest import StatementRequest

__all__ = ["DecoderCache", "PrepareHandler", "ResponseHandler"]

_ROWS = constants.RESULT_ROWS.to_bytes(4, "big")
_VOID = constants.RESULT_VOID.to_bytes(4, "big")
_MOST_OTHERS = 16
_LARGEST_KEPT = 16384
_PREFIXED = constants.FLAG_TRACING | constants.FLAG_WARNING | constants.FLAG_PAYLOAD

from_bytes = int.from_bytes


class DecoderCache:
    """Row decoders by the metadata they were made for: making one costs more than a hundred rows.

    :param codecs: the user's, which all decoders of the session use.
    :param capacity: decoders kept; the one not used for longest goes first.
    :param most: bytes of the metadata that they were made for, at most; one that is larger is not kept.
    """

    def __init__(self, codecs: CodecRegistry, capacity: int = 256, most: int = 1 << 20) -> None:
        self.codecs = codecs
        self._capacity = capacity
        self._most = most
        self._held = 0
        self._decoders: OrderedDict[tuple[bytes, bool, RowFactory], RowDecoder] = OrderedDict()

    def decoder(self, metadata: KnownMetadata, row_factory: RowFactory) -> RowDecoder:
        """The decoder of rows with this metadata.

        :raises TypeError: a class of the user's cannot be made of the columns, or of a UDT's fields.
        """
        key = (metadata.raw, metadata.global_table, row_factory)
        decoder = self._decoders.get(key)
        if decoder is None:
            decoder = self._decoders[key] = self.make(metadata.columns, row_factory)
            self._held += len(metadata.raw)
            while len(self._decoders) > self._capacity or self._held > self._most:
                (raw, _, _), _ = self._decoders.popitem(last=False)
                self._held -= len(raw)
        else:
            self._decoders.move_to_end(key)
        return decoder

    def make(self, columns: tuple[Column, ...], row_factory: RowFactory) -> RowDecoder:
        """A decoder that is not kept."""
        return RowDecoder(self.codecs.columns(columns), row_factory)


class ResponseHandler:
    """Reads the answers to one statement.

    :param cache: makes the decoders of metadata that come with an answer.
    :param row_factory: ``"named"``, ``"tuple"``, ``"dict"``, or the class that rows are made into.
    :param columns: the columns of answers that come without metadata.
    :raises TypeError: a class of the user's cannot be made of the columns, or of a UDT's fields.
    """

    __slots__ = (
        "_cache",
        "_decoder",
        "_known",
        "_known_decoder",
        "_least_row",
        "_others",
        "_row_factory",
        "_usual_starts",
        "columns",
    )

    def __init__(
        self, cache: DecoderCache, row_factory: RowFactory, columns: tuple[Column, ...] = ()
    ) -> None:
        self.columns = columns
        self._cache = cache
        self._row_factory = row_factory
        self._decoder = cache.make(columns, row_factory) if columns else None
        # Each value has a length of 4 bytes.
        self._least_row = 4 * len(columns)
        self._usual_starts = rows_starts(len(columns)) if columns else ()
        self._known: KnownMetadata | None = None
        self._known_decoder: RowDecoder | None = None
        self._others: dict[RowFactory, ResponseHandler] = {}

    def parameters(self, columns: tuple[Column, ...]) -> tuple[Column, ...]:
        """The statement's parameters, with the user's codecs in them.

        :raises TypeError: a class of the user's cannot be made of a UDT's fields.
        """
        return self._cache.codecs.parameters(columns)

    def with_row_factory(self, row_factory: RowFactory) -> ResponseHandler:
        """This handler, or one like it whose rows are made otherwise."""
        if row_factory == self._row_factory:
            return self
        handler = self._others.get(row_factory)
        if handler is None:
            if len(self._others) >= _MOST_OTHERS:
                # A class that is made anew for each call must not be kept with each of them.
                self._others.clear()
            handler = self._others[row_factory] = ResponseHandler(self._cache, row_factory, self.columns)
        return handler

    def with_columns(self, columns: tuple[Column, ...]) -> ResponseHandler:
        """A handler like this one for answers that have other columns."""
        return ResponseHandler(self._cache, self._row_factory, columns)

    def result(self, frame: Frame, request: StatementRequest, coordinator: str) -> Result:
        """What a request is answered with.

        :raises ServerError: the answer is an ERROR.
        :raises DecodeError: the rows do not fit what is known of them.
        :raises ProtocolError: the answer breaks the protocol.
        """
        version, flags, _, opcode, body = frame
        prefixes = NO_PREFIXES
        offset = 0
        traced = None
        if opcode == constants.RESULT:
            if not flags & _PREFIXED:
                # What is usual is told by its first bytes.
                if body == _VOID:
                    return Result(coordinator, prefixes, None, body)
                if body.startswith(self._usual_starts) and len(body) >= ROWS_START_SIZE:
                    count = from_bytes(body[12:16], "big")
                    if count * self._least_row <= len(body) - ROWS_START_SIZE:
                        return Result(coordinator, prefixes, self._decoder, body, ROWS_START_SIZE, count)
            else:
                reader = Reader(body)
                prefixes = read_prefixes(reader, flags)
                offset = reader.offset
                if prefixes.tracing_id is not None:
                    traced = request
                if prefixes.warnings:
                    request.session.warnings.note(coordinator, prefixes.warnings)
            if body.startswith(_ROWS, offset):
                header = read_rows(body, offset, version & 0x7F, self._known)
                paging_state = header[2]
                return Result(
                    coordinator,
                    prefixes,
                    self._decoder_for(header, request),
                    body,
                    header[5],
                    header[4],
                    paging_state,
                    request if paging_state is not None else traced,
                )
        message = decode_response(opcode, body, version, flags)
        if isinstance(message, ServerError):
            message.node = coordinator
            if message.warnings:
                request.session.warnings.note(coordinator, message.warnings)
            try:
                raise message
            finally:
                # Else its traceback would hold the error, and the error its traceback.
                del message
        return _without_rows(message, coordinator, body, traced)

    def _decoder_for(self, header: RowsHeader, request: StatementRequest) -> RowDecoder:
        metadata = header[1]
        if metadata is None:
            decoder = self._decoder
            if decoder is None or header[0] != len(self.columns):
                raise DecodeError(
                    f"{header[0]} columns came without their metadata, where {len(self.columns)} are known"
                )
            return decoder
        if metadata is not self._known or self._known_decoder is None:
            decoder = self._cache.decoder(metadata, self._row_factory)
            # What is large is read anew each time rather than kept for each statement.
            self._known = metadata if len(metadata.raw) <= _LARGEST_KEPT else None
            self._known_decoder = decoder
        if header.new_metadata_id is not None:
            # Requests on their way were sent for the old columns: they keep this handler.
            request.metadata_changed(header.new_metadata_id, metadata.columns)
        return self._known_decoder


def _without_rows(message: Message, coordinator: str, body: bytes, traced: StatementRequest | None) -> Result:
    result = Result(coordinator, message.prefixes, None, body, request=traced)
    if isinstance(message, SetKeyspace | SchemaChanged):
        result.change = message
    elif not isinstance(message, Void):
        raise ProtocolError(f"{coordinator} answered {type(message).__name__} to a statement")
    return result


class PrepareHandler:
    """Reads the answers to PREPARE."""

    __slots__ = ()

    @staticmethod
    def result(frame: Frame, coordinator: str) -> Prepared:
        """What the server says of the statement.

        :raises ServerError: the answer is an ERROR.
        :raises ProtocolError: the answer breaks the protocol.
        """
        message = decode_response(frame.opcode, frame.body, frame.version, frame.flags)
        if isinstance(message, ServerError):
            message.node = coordinator
            try:
                raise message
            finally:
                # Else its traceback would hold the error, and the error its traceback.
                del message
        if not isinstance(message, Prepared):
            raise ProtocolError(f"{coordinator} answered {type(message).__name__} to PREPARE")
        return message
