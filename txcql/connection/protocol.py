"""One link to one node: framing and stream matching, as a Twisted protocol."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from twisted.internet.defer import Deferred, fail
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IPushProducer, IReactorTime, ITCPTransport
from twisted.internet.protocol import Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from txcql.connection.closing import Closing
from txcql.connection.gate import Gate
from txcql.connection.linkerrors import defect_error, link_error, unanswered, unreadable, violation
from txcql.connection.linkowner import LinkListener, LinkOwner, tell
from txcql.connection.ownstream import OwnStream
from txcql.connection.peerwatch import PeerWatch
from txcql.connection.pendingrequest import DeferredRequest, PendingRequest
from txcql.connection.responseflow import FRAMES_PER_TURN, ResponseFlow
from txcql.connection.retirement import Retirement
from txcql.connection.streams import ORPHANED, UNKNOWN, StreamManager
from txcql.connection.writebuffer import WriteBuffer
from txcql.errors import NOT_SENT, UNKNOWN as DELIVERY_UNKNOWN, CQLError, ProtocolError, TLSError
from txcql.security.login import is_secure
from txcql.security.tlsreasons import tls_error
from txcql.settings import Settings
from txcql.wire import constants
from txcql.wire.frames import Frame, FrameCodec, UnreadableBody, pack_header
from txcql.wire.requests import QueryOptions, query_parts
from txcql.wire.responses import Message

__all__ = ["CQLProtocol", "link_error"]

log = Logger(namespace="txcql.connection")

_TURN = range(FRAMES_PER_TURN)


# Who pauses whom.
#
# The transport pauses CQLProtocol (pauseProducing, as its producer) when its send buffer is full:
# the link is not open then, so that the pool gives it no more work, and the Write Buffer keeps what
# it has until the transport resumes it.
#
# CQLProtocol pauses the transport when the answers that it holds back undecoded pass the response
# budget, and resumes it below half. They are held back by hold_responses(), which a paused stream
# calls on a link of its own, and by the limit on frames in one turn. It stops every stream of the
# link, so it comes second: what comes first is that a paused stream asks for no further page. After
# the pause limit the link is dropped.
#
# A paused TCP transport does not notice that its peer has closed; a paused TLS transport still
# delivers. So bytes are accepted while it is paused, and before it is resumed the codec is emptied.


@implementer(IPushProducer)
class CQLProtocol(Protocol):
    """One link: every request gets a stream, every answer finds its request.

    :param node: the node's ``host:port``, for errors and logs.
    :param settings: see :class:`~txcql.settings.Settings`.
    :param clock: tells the time and waits.
    :param version: the protocol version to speak.
    :ivar open: whether the link may be given work.
    :ivar retiring: whether it never will be again, because it is to be replaced.
    :ivar suspect: whether its node is silent while requests time out.
    :ivar reading: whether answers are read as they come.
    :ivar received_at: when a byte was last received, by the clock.
    :ivar request_bytes: bodies sent and unanswered, in bytes.
    :ivar keyspace: the keyspace that it is in.
    :ivar owner: hears of its changes.
    :ivar listener: hears why it is not open, and what else goes wrong. Without one, a retiring link
        closes as soon as nothing waits on it.
    :ivar own: what it asks for itself.
    :ivar gate: sets ``open``.
    :ivar on_event: called with the frame of each EVENT.
    :ivar on_connected: called once the transport is there.
    :ivar on_read: called once answers have been read, if anybody waits for that.
    :ivar on_closed: called with the reason once the transport is gone.
    :ivar error: why the link was closed, or lost.
    :ivar answered: whether a request has been answered since it was ready.
    """

    # Beyond thirty attributes, a __dict__ is slow: those that each request needs are kept out of it.
    __slots__ = (
        "_codec",
        "_compressor",
        "_high",
        "_low",
        "_out",
        "_timeouts",
        "answered",
        "gate",
        "open",
        "reading",
        "ready",
        "request_bytes",
        "streams",
        "version",
    )

    def __init__(self, node: str, settings: Settings, clock: IReactorTime, version: int) -> None:
        self.node = node
        self.version = version
        self.keyspace: str | None = None
        self.owner: LinkOwner | None = None
        self.listener: LinkListener | None = None
        self.on_event: Callable[[Frame], None] | None = None
        self.on_connected: Callable[[], None] | None = None
        self.on_closed: Callable[[Failure], None] | None = None
        self.on_read: Callable[[], None] | None = None
        self.error: CQLError | None = None
        self.open = self.ready = self.closed = False
        self.retiring = self.suspect = self.answered = False
        self.reading = True
        self.received_at = 0.0
        self.request_bytes = 0
        self.streams = streams = StreamManager(settings.stream_allocation)
        self.gate = Gate(self)
        self._seconds = clock.seconds
        self._high = settings.high_mark
        self._low = settings.low_mark
        self._gone = False
        self._codec = codec = FrameCodec(
            version,
            settings.compression,
            max_frame_size=settings.max_frame_size,
            read_buffer_size=settings.read_buffer_size,
        )
        self._compressor = codec.compressor
        self._out = WriteBuffer(codec, clock, settings.write_buffer_size)
        self.own = OwnStream(node, codec, self._out, streams)
        self._watch = PeerWatch(self, clock, settings)
        self._timeouts = self._watch.timeouts
        self._responses = ResponseFlow(self, codec, clock, settings)
        self._retirement = Retirement(self, clock, settings)
        self._closing = Closing(clock)

    @property
    def sent(self) -> int:
        """Requests on a stream and unanswered, orphans and a heartbeat included."""
        return len(self.streams.waiting)

    @property
    def paused(self) -> bool:
        """Whether the transport takes no more for now."""
        return self.gate.full

    @property
    def responses_held(self) -> bool:
        """Whether the transport is paused, because too many answers are held back."""
        return self._responses.paused

    # What the pool asks for.

    def send(self, request: PendingRequest) -> None:
        """Give the request a stream and its bytes to the Write Buffer.

        The caller has seen that the link is ready and has a free stream.
        """
        streams = self.streams
        request.holder = self
        request.stream = stream = streams.register(request)
        body = request.body
        size = request.size
        if self._compressor is None:
            header = pack_header(self.version, request.flags, stream, request.opcode, size)
        else:
            header, body = self._codec.encode(stream, request.opcode, body, request.flags)
        self.request_bytes += size
        request.written = self._out.write(header, body)
        if not self._timeouts.armed:
            self._timeouts.arm()
        if len(streams.waiting) >= self._high and not self.gate.draining:
            self.gate.reached_high()

    def withdraw(self, request: PendingRequest) -> None:
        """The answer is no longer wanted: its stream stays busy until it comes."""
        if self.streams.waiting.get(request.stream) is not request:
            # One of several that fail together, the first of which has made this one be withdrawn.
            return
        self.request_bytes -= request.size
        self.streams.orphan(request.stream, self._seconds())
        self._retirement.orphaned()

    def retire(self, why: str) -> None:
        """Take no more work, and close as soon as nothing waits on the link.

        :param why: for the error that its owner is told.
        """
        self._retirement.retire(why)

    def let_go(self) -> None:
        """Another link has taken the place of this one, which is retiring, or none is to come.

        It closes as soon as nothing waits on it.
        """
        self._retirement.let_go()

    def hold_responses(self) -> None:
        """Read no answers until :meth:`release_responses`: whoever they are for has no room."""
        if not self.closed:
            self._responses.hold()
            self.note_stall()

    def release_responses(self) -> None:
        """Read answers again, from the next turn on."""
        self._responses.release()
        self.note_stall()

    def probe(self) -> None:
        """Ask the node whether it is there; the link is closed if it does not answer."""
        if self.ready:
            self._watch.probe()

    def ask(self, opcode: int, body: bytes) -> Deferred[Message]:
        """A request of the driver's own, past every queue.

        :returns: fires with the answer, or fails with a :class:`~txcql.errors.CQLError`.
        """
        if self.closed:
            return fail(link_error(self.node, "the link is closed", NOT_SENT))
        if not self.ready:
            return self.own.ask(opcode, body)
        if self.streams.exhausted:
            return fail(link_error(self.node, "every stream of the link is busy", NOT_SENT))
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

    def handshake_done(self) -> None:
        """The link is ready: from now on it may be given work."""
        self.ready = True
        self._codec.expect_answers()
        self._watch.start()
        self.gate.update()

    # What the transport tells.

    def connectionMade(self) -> None:
        transport = cast(Any, self.transport)
        if ITCPTransport.providedBy(transport):
            transport.setTcpNoDelay(True)
            transport.setTcpKeepAlive(True)
        self._out.transport = transport
        self.received_at = self._seconds()
        transport.registerProducer(self, True)
        if self.on_connected is not None:
            self.on_connected()

    def dataReceived(self, data: bytes) -> None:
        if self.closed:
            return
        self.received_at = self._seconds()
        self._codec.receive(data)
        if self.suspect:
            self._watch.heard()
        if self.reading:
            self.deliver()
        else:
            self._responses.received()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._gone = True
        self._closing.done()
        if isinstance(reason.value, ConnectionDone):
            text = "the node closed the link"
        else:
            text = f"the link was lost: {reason.getErrorMessage()}"
        if not self.closed:
            self.error = self._reason_of(reason)
            self._shut(text, reason.value)
        if self.on_closed is not None:
            self.on_closed(reason)

    def pauseProducing(self) -> None:
        self.gate.full = True
        self._out.pause()
        self.note_stall()
        self.gate.update()

    def resumeProducing(self) -> None:
        if self._gone:
            return
        self.gate.full = False
        # What is written now may fill the transport again.
        self._out.resume()
        self.note_stall()
        self.gate.update()

    def stopProducing(self) -> None:
        # The transport is gone; connectionLost follows.
        self._gone = True
        self.pauseProducing()

    # What its parts tell.

    def deliver(self) -> None:
        """Give the frames that are there to whom they belong, as many as one turn may have."""
        out = self._out
        streams = self.streams
        gate = self.gate
        out.hold()
        try:
            next_frame = self._codec.next_frame
            release = streams.release
            for _ in _TURN:
                frame = next_frame()
                if frame is None:
                    break
                stream = frame[2]
                if stream <= 0 or not self.ready:
                    self._own_frame(frame)
                else:
                    request = release(stream)
                    if request is UNKNOWN:
                        raise ProtocolError(f"an answer on stream {stream}, which no request has")
                    if request is not ORPHANED:
                        self.answered = True
                        self.request_bytes -= request.size
                        try:
                            request.received(frame)
                        except Exception as error:
                            log.failure("{node}: a defect in reading an answer", node=self.node)
                            tell(self.node, request.failed, defect_error(self.node, error))
                if gate.draining and len(streams.waiting) < self._low:
                    gate.fell_below_low()
                if not self.reading:
                    break
            else:
                if self._codec.buffered:
                    self._responses.yield_turn()
            if self.retiring:
                self._retirement.close_if_done()
            if self.on_read is not None:
                self.on_read()
        except UnreadableBody as error:
            self._unreadable(error)
        except Exception as error:
            self._close_broken(error)
        finally:
            if not self.closed:
                out.release()

    def note_stall(self) -> None:
        """Our own side may hold bytes back."""
        responses = self._responses
        self._watch.stalled(responses.stopped or responses.paused, not responses.paused, not self.gate.full)

    # Inside.

    def _own_frame(self, frame: Frame) -> None:
        """A frame on no request's stream."""
        if frame.stream != constants.EVENT_STREAM or frame.opcode != constants.EVENT:
            self.own.received(frame)
        elif self.on_event is not None:
            tell(self.node, self.on_event, frame)

    def _unreadable(self, error: UnreadableBody) -> None:
        """One answer cannot be decompressed: its request fails, the others go on in the next turn."""
        request = self.streams.release(error.stream) if self.ready and error.stream > 0 else UNKNOWN
        if request is UNKNOWN:
            self._close_broken(error)
            return
        if request is not ORPHANED:
            self.request_bytes -= request.size
            tell(self.node, request.failed, unreadable(self.node, error))
        if self.gate.draining and len(self.streams.waiting) < self._low:
            self.gate.fell_below_low()
        if self.reading:
            self._responses.yield_turn()

    def _reason_of(self, reason: Failure) -> CQLError | None:
        """Why the link was lost, where TLS may have to do with it."""
        cause = cast(BaseException, reason.value)
        error = tls_error(self.node, cause)
        if error is None and not self.ready and not self.own.heard:
            return unanswered(self.node, self._codec.peek(), is_secure(self.transport), cause)
        return error

    def _close_broken(self, error: Exception) -> None:
        """The peer breaks the protocol, or we do: nothing after that can be read."""
        if self.closed:
            return
        if isinstance(error, ProtocolError | TLSError):
            log.error("{node}: {error}", node=self.node, error=error)
        else:
            log.failure("{node}: what was received cannot be read", node=self.node)
            error = ProtocolError(f"what was received cannot be read: {error!r}")
        self.error = violation(self.node, error)
        self._shut(str(error), error)

    def _shut(self, text: str, cause: BaseException | None) -> None:
        self.closed = True
        self.ready = False
        for part in (self._watch, self._responses, self._retirement):
            part.stop()
        self._out.close()
        self.gate.update()
        waiting = self.streams.clear()
        self.request_bytes = 0
        error = self.error = self.error or link_error(self.node, text, None, cause)
        # The owner first: a request that goes on to its next node must not come back to this link.
        if self.owner is not None:
            tell(self.node, self.owner.link_lost, self, error)
        for request in waiting:
            # What the one before has set off may have withdrawn this one.
            if request.holder is self:
                delivery = NOT_SENT if request.written[0] is None else DELIVERY_UNKNOWN
                tell(self.node, request.failed, link_error(self.node, text, delivery, cause))
        self.own.lost(error)
        if self.transport is not None and not self._gone:
            self._closing.begin(self.transport, self._responses.paused)

    def __repr__(self) -> str:
        if self.closed:
            state = "closed"
        elif not self.ready:
            state = "connecting"
        elif self.retiring:
            state = "retiring"
        else:
            state = "open" if self.open else "draining"
        counts = f"sent={self.sent} orphans={self.streams.orphans}"
        return f"<CQLProtocol {self.node} v{self.version} {state} {counts}>"
