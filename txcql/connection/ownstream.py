"""The link's own stream: the handshake's questions, heartbeats, and the server's last words."""

from __future__ import annotations

from twisted.internet.defer import Deferred

from txcql.connection.streams import OWN_STREAM, StreamManager
from txcql.connection.writebuffer import WriteBuffer
from txcql.errors import CQLError, ProtocolError, ServerError, ServerProtocolError
from txcql.wire import constants
from txcql.wire.frames import Frame, FrameCodec, pack_header
from txcql.wire.responses import Message, Supported, decode_response

__all__ = ["OwnStream"]


class OwnStream:
    """Asks for the link itself, one question at a time, and reads what comes on no request's stream.

    :param node: the ``host:port`` of the link, for errors.
    :param codec: is told when segments begin.
    :param out: takes the questions.
    :param streams: counts a heartbeat as sent.
    :ivar handshake: the handshake under way; it is cancelled when the link is lost.
    :ivar heard: whether the node has answered anything.
    """

    __slots__ = ("_asked", "_codec", "_node", "_out", "_streams", "handshake", "heard")

    def __init__(self, node: str, codec: FrameCodec, out: WriteBuffer, streams: StreamManager) -> None:
        self.handshake: Deferred[None] | None = None
        self._node = node
        self._codec = codec
        self._out = out
        self._streams = streams
        self._asked: Deferred[Message] | None = None
        self.heard = False

    def ask(self, opcode: int, body: bytes) -> Deferred[Message]:
        """A question of the handshake.

        :returns: fires with the answer, or fails with a :class:`~txcql.errors.CQLError`.
        """
        asked: Deferred[Message] = Deferred()
        self._asked = asked
        self._write(opcode, body)
        return asked

    def beat(self) -> None:
        """Send a heartbeat, unless one is unanswered: a stream carries one question at a time."""
        if self._streams.begin_heartbeat():
            self._write(constants.OPTIONS, b"")

    def received(self, frame: Frame) -> None:
        """A frame on no request's stream, which is no event.

        :raises ProtocolError: it answers nothing: the link is to be closed, for this reason.
        """
        self.heard = True
        if not frame.version & constants.RESPONSE:
            raise ProtocolError("the peer sent a request: it is no server")
        if frame.stream != OWN_STREAM and frame.opcode != constants.ERROR:
            raise ProtocolError(f"an answer on stream {frame.stream}, which no request has")
        starts = frame.opcode in (constants.READY, constants.AUTHENTICATE)
        if starts and self._codec.version == 5 and not self._codec.segmented:
            self._codec.start_segments()
        message = decode_response(frame.opcode, frame.body, frame.version, frame.flags)
        asked, self._asked = self._asked, None
        if asked is not None:
            if isinstance(message, ServerError):
                message.node = self._node
                asked.errback(message)
            else:
                asked.callback(message)
        elif not (
            frame.stream == OWN_STREAM and _answers_heartbeat(message) and self._streams.end_heartbeat()
        ):
            text = str(message) if isinstance(message, ServerError) else f"an answer on stream {frame.stream}"
            raise ProtocolError(text)

    def lost(self, error: CQLError) -> None:
        """The link is gone."""
        asked, self._asked = self._asked, None
        if asked is not None:
            asked.errback(error)
        if self.handshake is not None:
            # It waits for its authenticator, not for the link.
            self.handshake.cancel()

    def _write(self, opcode: int, body: bytes) -> None:
        # STARTUP is never compressed, and the messages around it need not be.
        self._out.write(pack_header(self._codec.version, 0, OWN_STREAM, opcode, len(body)), body)
        self._out.flush()


def _answers_heartbeat(message: Message | ServerError) -> bool:
    """Whether it may be the answer to OPTIONS. A node that is overloaded refuses it, and lives; one
    that complains of the protocol speaks of the link."""
    if isinstance(message, ServerError):
        return not isinstance(message, ServerProtocolError)
    return isinstance(message, Supported)
