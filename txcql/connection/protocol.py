"""One link to one node: framing and stream matching, as a Twisted protocol.

Who pauses whom: the transport pauses :class:`CQLProtocol` when its own send
buffer is full; the link then is not :attr:`~CQLProtocol.open`, and the pool
gives it no more work until the transport resumes it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol as TypingProtocol, cast

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IDelayedCall, IPushProducer, IReactorTime, ITCPTransport, ITransport
from twisted.internet.protocol import Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from txcql.connection.pendingrequest import DeferredRequest, PendingRequest
from txcql.connection.readtimeouts import ReadTimeouts
from txcql.connection.streams import ORPHANED, UNKNOWN, StreamManager
from txcql.connection.writebuffer import WriteBuffer
from txcql.errors import (
    NOT_SENT,
    SENT,
    UNKNOWN as DELIVERY_UNKNOWN,
    ConnectionLost,
    CQLError,
    ProtocolError,
    RequestTimeout,
    ServerError,
)
from txcql.settings import Settings
from txcql.wire import constants
from txcql.wire.frames import Frame, FrameCodec, pack_header
from txcql.wire.requests import QueryOptions, query_parts
from txcql.wire.responses import Message, decode_response

__all__ = ["ABORT_AFTER", "CQLProtocol", "LinkOwner", "link_error"]

log = Logger(namespace="txcql.connection")

ABORT_AFTER = 2.0
"""Seconds after which a link that does not close is aborted."""

OWN_STREAM = 0


class LinkOwner(TypingProtocol):
    """Who hears of a link's changes: its slot in a pool, or the control connection."""

    def link_open(self, link: CQLProtocol) -> None:
        """It may be given work again."""

    def link_draining(self, link: CQLProtocol) -> None:
        """It must not be given work."""

    def link_lost(self, link: CQLProtocol, error: CQLError) -> None:
        """It is gone; whatever waited on it has been told."""


def link_error(
    node: str, text: str, delivery: str | None, cause: BaseException | None = None
) -> ConnectionLost:
    """What a request is told when its link is lost.

    :param node: the ``host:port`` of the link.
    :param delivery: whether the request reached the node, ``None`` where no request is concerned.
    """
    error = ConnectionLost(f"{node}: {text}" + (f" (the request: {delivery})" if delivery else ""))
    error.node = node
    error.delivery = delivery
    error.__cause__ = cause
    return error


@implementer(IPushProducer)
class CQLProtocol(Protocol):
    """One link: every request gets a stream, every answer finds its request.

    :param node: the node's ``host:port``, for errors and logs.
    :param settings: see :class:`~txcql.settings.Settings`.
    :param clock: tells the time and waits.
    :param version: the protocol version to speak.
    :ivar open: whether the link may be given work.
    :ivar request_bytes: bodies sent and unanswered, in bytes.
    :ivar keyspace: the keyspace that it is in.
    :ivar owner: hears of its changes.
    :ivar on_event: called with the frame of each EVENT.
    :ivar on_connected: called once the transport is there.
    :ivar on_closed: called with the reason once the transport is gone.
    :ivar handshake: the handshake under way; it is cancelled when the link is lost.
    :ivar error: why the link was closed, or lost.
    :ivar answered: whether a request has been answered since it was ready.
    """

    def __init__(self, node: str, settings: Settings, clock: IReactorTime, version: int) -> None:
        self.node = node
        self.version = version
        self.keyspace: str | None = None
        self.owner: LinkOwner | None = None
        self.on_event: Callable[[Frame], None] | None = None
        self.on_connected: Callable[[], None] | None = None
        self.on_closed: Callable[[Failure], None] | None = None
        self.handshake: Deferred[None] | None = None
        self.error: CQLError | None = None
        self.open = False
        self.ready = False
        self.closed = False
        self.answered = False
        self.request_bytes = 0
        self.streams = StreamManager(settings.stream_allocation)
        self._settings = settings
        self._clock = clock
        self._high = settings.high_mark
        self._low = settings.low_mark
        self._draining = False
        self._writable = True
        self._retiring = False
        self._own: Deferred[Message] | None = None
        self._abort: IDelayedCall | None = None
        self._codec = FrameCodec(
            version,
            settings.compression,
            max_frame_size=settings.max_frame_size,
            read_buffer_size=settings.read_buffer_size,
        )
        self._timeouts = ReadTimeouts(self.streams, clock, settings.read_timeout, self._timed_out)

    @property
    def sent(self) -> int:
        """Requests on a stream and unanswered, orphans included."""
        return len(self.streams.waiting)

    @property
    def paused(self) -> bool:
        """Whether the transport takes no more for now."""
        return not self._writable

    # What the pool asks for.

    def send(self, request: PendingRequest) -> None:
        """Give the request a stream and its bytes to the Write Buffer.

        The caller has seen that the link is ready and has a free stream.
        """
        streams = self.streams
        request.holder = self
        request.stream = stream = streams.register(request)
        codec = self._codec
        body = request.body
        if codec.compressor is None:
            header = pack_header(codec.version, request.flags, stream, request.opcode, len(body))
        else:
            header, body = codec.encode(stream, request.opcode, body, request.flags)
        self.request_bytes += request.size
        request.written = self._out.write(header, body)
        if not self._timeouts.armed:
            self._timeouts.arm()
        if len(streams.waiting) >= self._high and not self._draining:
            self._draining = True
            self._update()

    def withdraw(self, request: PendingRequest) -> None:
        """The answer is no longer wanted: its stream stays busy until it comes."""
        if self.streams.waiting.get(request.stream) is not request:
            # One of several that fail together, the first of which has made this one be withdrawn.
            return
        self.request_bytes -= request.size
        self.streams.orphan(request.stream)
        if self.streams.orphans >= self._settings.max_orphans_per_connection and not self._retiring:
            log.warn(
                "{node}: {count} orphaned streams, the link is replaced",
                node=self.node,
                count=self.streams.orphans,
            )
            self._retiring = True
            self._update()
        self._close_when_retired()

    def ask(self, opcode: int, body: bytes) -> Deferred[Message]:
        """A request of the driver's own, past every queue.

        :returns: fires with the answer, or fails with a :class:`~txcql.errors.CQLError`.
        """
        if self.closed:
            return _failed(link_error(self.node, "the link is closed", NOT_SENT))
        if not self.ready:
            return self._ask_in_handshake(opcode, body)
        if self.streams.exhausted:
            return _failed(link_error(self.node, "every stream of the link is busy", NOT_SENT))
        request = DeferredRequest(opcode, body, self.node)
        self.send(request)
        return request.deferred

    def query(self, text: str) -> Deferred[Message]:
        """A QUERY without values, of consistency ONE and one page, past every queue."""
        head, tail = query_parts(self.version, text, QueryOptions(consistency=1), has_values=False)
        return self.ask(constants.QUERY, head + tail)

    async def use(self, keyspace: str) -> None:
        """Bring the link into a keyspace.

        :param keyspace: its name, not quoted.
        """
        quoted = keyspace.replace('"', '""')
        await self.query(f'USE "{quoted}"')
        self.keyspace = keyspace

    def close(self, error: CQLError | None = None) -> None:
        """Tell each waiting request and close.

        :param error: why; ``None`` if nothing is wrong.
        """
        if self.closed:
            return
        self.error = error
        text = str(error).removeprefix(f"{self.node}: ") if error is not None else "the link was closed"
        self._shut(text, error)
        self._lose_connection()

    def handshake_done(self) -> None:
        """The link is ready: from now on it may be given work."""
        self.ready = True
        self._update()

    # What the transport tells.

    def connectionMade(self) -> None:
        transport = cast(ITransport, self.transport)
        if ITCPTransport.providedBy(transport):
            transport.setTcpNoDelay(True)
            transport.setTcpKeepAlive(True)
        self._out = WriteBuffer(self._codec, transport, self._clock, self._settings.write_buffer_size)
        transport.registerProducer(self, True)  # type: ignore[attr-defined]
        if self.on_connected is not None:
            self.on_connected()

    def dataReceived(self, data: bytes) -> None:
        if self.closed:
            return
        out = self._out
        streams = self.streams
        out.hold()
        try:
            self._codec.receive(data)
            next_frame = self._codec.next_frame
            while not self.closed:
                frame = next_frame()
                if frame is None:
                    break
                stream = frame[2]
                if stream <= 0 or not self.ready:
                    self._own_frame(frame)
                    continue
                request = streams.release(stream)
                if request is ORPHANED:
                    pass
                elif request is UNKNOWN:
                    raise ProtocolError(f"an answer on stream {stream}, which no request has")
                else:
                    self.answered = True
                    self.request_bytes -= request.size
                    request.received(frame)
                if self._draining and len(streams.waiting) < self._low:
                    self._draining = False
                    self._update()
            if self._retiring:
                self._close_when_retired()
        except ProtocolError as error:
            self._close_broken(error)
        finally:
            if not self.closed:
                out.release()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self._abort is not None and self._abort.active():
            self._abort.cancel()
        if isinstance(reason.value, ConnectionDone):
            text = "the node closed the link"
        else:
            text = f"the link was lost: {reason.getErrorMessage()}"
        if not self.closed:
            self._shut(text, reason.value)
        if self.on_closed is not None:
            self.on_closed(reason)

    def pauseProducing(self) -> None:
        self._writable = False
        self._update()

    def resumeProducing(self) -> None:
        self._writable = True
        self._update()

    def stopProducing(self) -> None:
        # The transport is gone; connectionLost follows.
        self.pauseProducing()

    # Inside.

    def _update(self) -> None:
        is_open = (
            self.ready and self._writable and not self._draining and not self._retiring and not self.closed
        )
        if is_open is self.open:
            return
        self.open = is_open
        if self.owner is None:
            return
        if is_open:
            self.owner.link_open(self)
        else:
            self.owner.link_draining(self)

    def _ask_in_handshake(self, opcode: int, body: bytes) -> Deferred[Message]:
        self._own = Deferred()
        own = self._own
        # STARTUP is never compressed, and the messages around it need not be.
        self._out.write(pack_header(self.version, 0, OWN_STREAM, opcode, len(body)), body)
        self._out.flush()
        return own

    def _own_frame(self, frame: Frame) -> None:
        """A frame on no request's stream: an event, the handshake's answer, or the server's last words."""
        if frame.stream == constants.EVENT_STREAM and frame.opcode == constants.EVENT:
            if self.on_event is not None:
                self.on_event(frame)
            return
        if not frame.version & constants.RESPONSE:
            raise ProtocolError("the peer sent a request: it is no server")
        if frame.stream != OWN_STREAM and frame.opcode != constants.ERROR:
            raise ProtocolError(f"an answer on stream {frame.stream}, which no request has")
        starts = frame.opcode in (constants.READY, constants.AUTHENTICATE)
        if starts and self.version == 5 and not self._codec.segmented:
            self._codec.start_segments()
        message = decode_response(frame.opcode, frame.body, frame.version, frame.flags)
        own, self._own = self._own, None
        if own is None:
            text = str(message) if isinstance(message, ServerError) else f"an answer on stream {frame.stream}"
            raise ProtocolError(text)
        if isinstance(message, ServerError):
            message.node = self.node
            own.errback(message)
        else:
            own.callback(message)

    def _timed_out(self, request: PendingRequest) -> None:
        if self.streams.waiting.get(request.stream) is not request:
            return
        self.withdraw(request)
        error = RequestTimeout(
            f"{self.node} did not answer within the read timeout of {self._settings.read_timeout:g} s "
            "(the request: sent)"
        )
        error.node = self.node
        error.delivery = SENT
        request.failed(error)

    def _close_when_retired(self) -> None:
        if self._retiring and self.streams.orphans == len(self.streams):
            self.close(link_error(self.node, f"replaced, having {len(self.streams)} orphaned streams", None))

    def _close_broken(self, error: ProtocolError) -> None:
        """The peer breaks the protocol: nothing after that can be read."""
        if self.closed:
            return
        log.error("{node}: {error}", node=self.node, error=error)
        text = str(error)
        # "the peer answered …" has a place for the name.
        named = (
            text.replace("the peer", self.node, 1) if text.startswith("the peer ") else f"{self.node}: {text}"
        )
        self.error = ProtocolError(named)
        self.error.node = self.node
        self.error.__cause__ = error
        self._shut(text, error)
        self._lose_connection()

    def _shut(self, text: str, cause: BaseException | None) -> None:
        self.closed = True
        self.ready = False
        self._timeouts.stop()
        self._out.close()
        self._update()
        waiting = self.streams.clear()
        self.request_bytes = 0
        own, self._own = self._own, None
        error = self.error = self.error or link_error(self.node, text, None, cause)
        # The owner first: a request that goes on to its next node must not come back to this link.
        if self.owner is not None:
            self.owner.link_lost(self, error)
        for request in waiting:
            # What the one before has set off may have withdrawn this one.
            if request.holder is self:
                delivery = NOT_SENT if request.written[0] is None else DELIVERY_UNKNOWN
                request.failed(link_error(self.node, text, delivery, cause))
        if own is not None:
            own.errback(error)
        if self.handshake is not None:
            # It waits for its authenticator, not for the link.
            self.handshake.cancel()

    def _lose_connection(self) -> None:
        transport = cast(ITransport, self.transport)
        # A TLS transport with a producer registered never closes.
        transport.unregisterProducer()  # type: ignore[attr-defined]
        self._abort = self._clock.callLater(ABORT_AFTER, self._abort_connection)
        transport.loseConnection()

    def _abort_connection(self) -> None:
        abort = getattr(self.transport, "abortConnection", None)
        if abort is not None:
            abort()

    def __repr__(self) -> str:
        if self.closed:
            state = "closed"
        elif not self.ready:
            state = "connecting"
        else:
            state = "open" if self.open else "draining"
        counts = f"sent={self.sent} orphans={self.streams.orphans}"
        return f"<CQLProtocol {self.node} v{self.version} {state} {counts}>"


def _failed(error: CQLError) -> Deferred[Message]:
    deferred: Deferred[Message] = Deferred()
    deferred.errback(error)
    return deferred
