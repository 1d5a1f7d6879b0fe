"""One connection of a fake node, from the first byte to the last."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol as Interface

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPushProducer, ITCPTransport
from twisted.internet.protocol import Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from txcql.errors import (
    BadCredentials,
    InternalServerError,
    InvalidRequest,
    ProtocolError,
    ServerError,
    ServerProtocolError,
)
from txcql.testing.firstframes import FirstFrames
from txcql.testing.performing import Performance, Reply
from txcql.testing.reactions import Reaction
from txcql.testing.refusals import unsupported
from txcql.testing.requestrunner import RequestRunner, RunningNode
from txcql.wire import constants, responsewriter
from txcql.wire.events import SchemaChange, StatusChange, TopologyChange
from txcql.wire.frames import Frame, FrameCodec, pack_header
from txcql.wire.requestreader import (
    AuthResponse,
    BatchRequest,
    Execute,
    Options,
    Prepare,
    Query,
    Register,
    Request,
    Startup,
    read_request,
)

__all__ = ["Change", "NodeProtocol", "ServingNode"]

Change = SchemaChange | StatusChange | TopologyChange
"""What clients may be told of."""

AUTHENTICATOR = "org.apache.cassandra.auth.PasswordAuthenticator"
MAX_FRAME_SIZE = 16 * 1024 * 1024
"""The largest request, its header included; real nodes have the same limit."""

_REQUESTS = frozenset(
    (
        constants.STARTUP,
        constants.OPTIONS,
        constants.QUERY,
        constants.PREPARE,
        constants.EXECUTE,
        constants.REGISTER,
        constants.BATCH,
        constants.AUTH_RESPONSE,
    )
)
_FLUSH_SIZE = 65536
_FRAME_LIMIT = 64 * 1024 * 1024


class ServingNode(RunningNode, Interface):
    """The node that a connection belongs to.

    :ivar versions: the protocol versions that it speaks.
    :ivar compressions: the compressions that it offers.
    :ivar credentials: user names and passwords; ``None`` if it asks for no login.
    :ivar connections: the connections that are open.
    :ivar reading_paused: whether it takes no bytes.
    """

    versions: Sequence[int]
    compressions: Sequence[str]
    credentials: Mapping[str, str] | None
    connections: set[NodeProtocol]
    reading_paused: bool

    def received(
        self, request: Request, opcode: int, stream: int, keyspace: str | None
    ) -> list[Reaction] | None:
        """Note a request; what to do with it, ``None`` for the usual."""

    def call_later(self, seconds: float, function: Callable[[], None]) -> Any:
        """Call a function later."""

    def supported(self) -> Mapping[str, Sequence[str]]:
        """What OPTIONS is answered with."""


# Who pauses whom: the transport pauses this protocol when its send buffer is
# full. The protocol then takes no further request from its codec and pauses the
# transport's reading in turn, so that a client which sends and does not read is
# stopped by TCP, as a real node would stop it, and nothing piles up here. When
# the transport resumes, the requests that are held come first, then reading.
@implementer(IPushProducer)
class NodeProtocol(Protocol):
    """The server's side of one connection.

    :param node: the node.
    :ivar events: the event types that the client has registered for.
    :ivar lost: fires when the connection is gone.
    """

    log = Logger()

    def __init__(self, node: ServingNode) -> None:
        self.events: set[str] = set()
        self.lost: Deferred[None] = Deferred()
        self._node = node
        self._first: FirstFrames | None = FirstFrames(node.versions)
        self._codec: FrameCodec | None = None
        self._runner: RequestRunner | None = None
        self._transport: Any = None
        self._logging_in = False
        self._pieces: list[bytes] = []
        self._size = 0
        self._waiting_events: list[Change] = []
        self._working = False
        self._paused = False
        self._stopped_reading = False
        self._outbox: list[bytes] = []
        self.held: list[Reply] = []

    def connectionMade(self) -> None:
        self._transport = self.transport
        self._node.connections.add(self)
        if ITCPTransport.providedBy(self._transport):
            self._transport.setTcpNoDelay(True)
        self._transport.registerProducer(self, True)
        if self._node.reading_paused:
            self.pause_reading()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._node.connections.discard(self)
        self._paused = True
        self.lost.callback(None)

    def pauseProducing(self) -> None:
        if not self._paused:
            self._paused = True
            self._transport.pauseProducing()

    def resumeProducing(self) -> None:
        if self not in self._node.connections:
            return
        self._paused = False
        self._work()
        if not self._paused and not self._stopped_reading:
            self._transport.resumeProducing()

    def stopProducing(self) -> None:
        self._paused = True

    def dataReceived(self, data: bytes) -> None:
        if self._first is not None:
            self._first.receive(data)
            self._work_first(self._first)
        elif self._codec is not None:
            self._codec.receive(data)
            self._work()

    def pause_reading(self) -> None:
        """Take no more bytes, as a node that hangs."""
        self._stopped_reading = True
        self._transport.pauseProducing()

    def resume_reading(self) -> None:
        """Take bytes again."""
        self._stopped_reading = False
        if not self._paused:
            self._transport.resumeProducing()

    def forget_prepared(self) -> None:
        """Forget the prepared statements of the node."""
        self._node.prepared.clear()

    def later(self, seconds: float, function: Callable[[], None]) -> Any:
        """Call a function later, if the connection is still there."""
        return self._node.call_later(seconds, lambda: function() if self in self._node.connections else None)

    def lose(self) -> None:
        """Close the connection, once what was written has gone."""
        self._transport.unregisterProducer()
        self._transport.loseConnection()

    def abort(self) -> None:
        """Reset the connection."""
        self._transport.unregisterProducer()
        self._transport.abortConnection()

    def send_event(self, change: Change) -> None:
        """Tell of a change, behind the answers that are being made."""
        self._waiting_events.append(change)
        if not self._working:
            self._flush()

    # Before STARTUP is answered.

    def _work_first(self, first: FirstFrames) -> None:
        while self._first is not None and (frame := first.next_frame()) is not None:
            if isinstance(frame, bytes):
                self._transport.write(frame)
            else:
                self._answer_first(first, frame)

    def _answer_first(self, first: FirstFrames, frame: Frame) -> None:
        try:
            request = _read(frame)
            if isinstance(request, Startup):
                codec, opcode, body = self._start(frame.version, request)
                # Like a real node, drop what came behind STARTUP before its answer.
                self._first = None
                self._codec = codec
                self._runner = RequestRunner(self._node, frame.version)
                self._add(frame.stream, opcode, body)
                self._flush()
                if frame.version == 5:
                    codec.start_segments()
                return
            if not isinstance(request, Options):
                name = constants.OPCODE_NAMES[frame.opcode]
                raise ServerProtocolError(f"Unexpected message {name}, expecting STARTUP or OPTIONS")
            stream, opcode = frame.stream, constants.SUPPORTED
            body = responsewriter.supported(self._node.supported())
        except ServerError as error:
            # Only what STARTUP itself says wrong is answered on its own stream.
            stream = frame.stream if frame.opcode == constants.STARTUP else 0
            opcode, body = constants.ERROR, responsewriter.error(error, frame.version & 0x7F)
        version = constants.RESPONSE | frame.version
        self._transport.write(pack_header(version, 0, stream, opcode, len(body)) + body)

    def _start(self, version: int, request: Startup) -> tuple[FrameCodec, int, bytes]:
        options = {key.upper(): value for key, value in request.options.items()}
        if "CQL_VERSION" not in options:
            raise ServerProtocolError("Missing value CQL_VERSION in STARTUP message")
        compression = options.get("COMPRESSION", "").lower() or None
        if compression == "snappy" and version == 5:
            raise ServerProtocolError("Snappy compression is not supported in protocol V5")
        if compression is not None and compression not in self._node.compressions:
            raise ServerProtocolError(f"Unknown compression algorithm: {compression}")
        codec = FrameCodec(version, compression, max_frame_size=_FRAME_LIMIT)
        if self._node.credentials is None:
            return codec, constants.READY, responsewriter.READY_BODY
        self._logging_in = True
        return codec, constants.AUTHENTICATE, responsewriter.authenticate(AUTHENTICATOR)

    # Afterwards.

    def _work(self) -> None:
        """Answer the requests that are there, in one write, or in a few if it becomes large."""
        codec = self._codec
        if codec is None or self._working:
            return
        self._working = True
        try:
            while not self._paused and (frame := codec.next_frame()) is not None:
                self._answer(frame)
                if self._size >= _FLUSH_SIZE:
                    self._flush()
        except ProtocolError as error:
            self._break_off(error)
        finally:
            self._working = False
        self._flush()

    def _answer(self, frame: Frame) -> None:
        try:
            request = self._request(frame)
        except ServerError as error:
            self._put(self._error(frame.stream, error))
            return
        reactions = None
        if not self._logging_in:
            assert self._runner is not None
            reactions = self._node.received(request, frame.opcode, frame.stream, self._runner.keyspace)
        if reactions is None:
            self._put(self._reply(frame, request))
        else:
            Performance(self, frame.stream, reactions, lambda: self._reply(frame, request)).go()

    def _reply(self, frame: Frame, request: Request) -> Reply:
        try:
            return Reply(frame.stream, *self._response(frame, request))
        except ServerError as error:
            return self._error(frame.stream, error)
        except Exception as error:
            self.log.failure("a request could not be answered")
            told = InternalServerError(f"{type(error).__name__}: {error}"[:1000])
            return self._error(frame.stream, told)

    def _error(self, stream: int, error: ServerError) -> Reply:
        return Reply(stream, constants.ERROR, 0, responsewriter.error(error, self.version))

    def _request(self, frame: Frame) -> Request:
        size = constants.HEADER_SIZE + len(frame.body)
        if size > MAX_FRAME_SIZE:
            raise InvalidRequest(
                f"Request is too big: length {size} exceeds maximum allowed length {MAX_FRAME_SIZE}."
            )
        return _read(frame, self.version)

    def _response(self, frame: Frame, request: Request) -> tuple[int, int, bytes]:
        if self._logging_in:
            return constants.AUTH_SUCCESS, 0, self._log_in(request, frame.opcode)
        if isinstance(request, (Execute, Query, Prepare, BatchRequest)):
            if frame.flags & constants.FLAG_TRACING:
                raise unsupported("tracing")
            assert self._runner is not None
            return constants.RESULT, *self._runner.run(request)
        if isinstance(request, Options):
            return constants.SUPPORTED, 0, responsewriter.supported(self._node.supported())
        if isinstance(request, Register):
            self.events.update(request.types)
            return constants.READY, 0, responsewriter.READY_BODY
        name = constants.OPCODE_NAMES[frame.opcode]
        raise ServerProtocolError(f"Unexpected message {name}, the connection is already initialized")

    def _log_in(self, request: Request, opcode: int) -> bytes:
        if not isinstance(request, AuthResponse):
            name = constants.OPCODE_NAMES[opcode]
            raise ServerProtocolError(f"Unexpected message {name}, expecting SASL_RESPONSE")
        if request.token is None:
            raise InternalServerError("java.lang.NullPointerException")
        _check_login(request.token, self._node.credentials or {})
        self._logging_in = False
        return responsewriter.token(None)

    @property
    def version(self) -> int:
        """The protocol version that was agreed on."""
        assert self._codec is not None
        return int(self._codec.version)

    def _break_off(self, error: ProtocolError) -> None:
        """The stream of bytes is broken: say so on the stream 0 and close."""
        address = self._transport.getPeer() if self.transport is not None else None
        text = f"{address} invalid, unrecoverable: {error}"
        self._add(0, constants.ERROR, responsewriter.error(ServerProtocolError(text), self.version))
        self._paused = True
        self._flush()
        self.lose()

    def send(self, *replies: Reply) -> None:
        """Write answers that were not made in the usual course."""
        for reply in replies:
            self._put(reply)
        if not self._working:
            self._flush()

    def _put(self, reply: Reply) -> None:
        if reply.piece_size is None and not reply.damaged:
            self._add(reply.stream, reply.opcode, reply.body, reply.flags)
            return
        self._flush()
        self._add(reply.stream, reply.opcode, reply.body, reply.flags)
        assert self._codec is not None
        pieces, self._pieces, self._size = self._pieces, [], 0
        data = self._codec.join(pieces)
        if reply.damaged:
            data = data[:-1] + bytes((data[-1] ^ 0xFF,))
        size = reply.piece_size or len(data)
        self._outbox += [data[at : at + size] for at in range(0, len(data), size)]
        self._write_piece()

    def _write_piece(self) -> None:
        """Write the next of the pieces that must arrive one by one, and what has come behind them."""
        if self._outbox:
            self._transport.write(self._outbox.pop(0))
        if self._outbox:
            self.later(0, self._write_piece)

    def _write(self, data: bytes) -> None:
        if self._outbox:
            self._outbox.append(data)
        else:
            self._transport.write(data)

    def _add(self, stream: int, opcode: int, body: bytes, flags: int = 0) -> None:
        assert self._codec is not None
        compressor = self._codec.compressor
        if compressor is not None:
            # Once it is agreed on, real nodes compress every body, also where it grows.
            body = compressor.compress(body)
            flags |= constants.FLAG_COMPRESSED
        header = pack_header(constants.RESPONSE | self._codec.version, flags, stream, opcode, len(body))
        self._pieces += (header, body)
        self._size += len(body)

    def _flush(self) -> None:
        if self._codec is None:
            return
        for change in self._waiting_events:
            body = responsewriter.event(change, self.version)
            self._add(constants.EVENT_STREAM, constants.EVENT, body)
        self._waiting_events.clear()
        if self._pieces:
            pieces, self._pieces, self._size = self._pieces, [], 0
            self._write(self._codec.join(pieces))


def _read(frame: Frame, version: int | None = None) -> Request:
    """The request of a frame.

    :param version: the version of the connection, ``None`` before it is agreed on.
    :raises ServerProtocolError: it is none.
    """
    opcode = frame.opcode
    if opcode not in constants.OPCODE_NAMES:
        raise ServerProtocolError("Unsupported message")
    if opcode not in _REQUESTS:
        raise _wrong_direction("RESPONSE", "REQUEST", opcode)
    if frame.version & constants.RESPONSE:
        raise _wrong_direction("REQUEST", "RESPONSE", opcode)
    if version is not None and frame.version != version:
        # The missing space is Cassandra's own, in v5.
        gap = "" if version == 5 else " "
        raise ServerProtocolError(
            f"Invalid message version. Got {frame.version}/v{frame.version} but previous{gap}messages "
            f"on this connection had version {version}/v{version}"
        )
    try:
        return read_request(opcode, frame.body, frame.version, frame.flags)
    except ProtocolError as error:
        raise ServerProtocolError(str(error)) from None


def _wrong_direction(expected: str, got: str, opcode: int) -> ServerProtocolError:
    return ServerProtocolError(
        f"Wrong protocol direction (expected {expected}, got {got}) for opcode {opcode} "
        f"({constants.OPCODE_NAMES[opcode]})"
    )


def _check_login(token: bytes, credentials: Mapping[str, str]) -> None:
    """Check a token of SASL PLAIN; the sentences are those of PasswordAuthenticator.

    :raises BadCredentials: it is refused.
    """
    parts = token.split(b"\0")
    if len(parts) != 3:
        raise BadCredentials("Credential format error: username or password is empty or contains NUL")
    user, password = parts[1].decode("utf-8", "replace"), parts[2].decode("utf-8", "replace")
    if not user:
        raise BadCredentials("Authentication ID must not be null")
    if not password:
        raise BadCredentials("Password must not be null")
    if credentials.get(user) != password:
        raise BadCredentials(f"Provided username {user} and/or password are incorrect")
