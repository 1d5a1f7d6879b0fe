"""The link's own stream: what may come on it, and what that means."""

from __future__ import annotations

from txcql.errors import InternalServerError, Overloaded, ServerProtocolError
from txcql.test.links import NODE, LinkTestCase
from txcql.wire import constants, responsewriter

SUPPORTED = responsewriter.supported({})


class HeartbeatAnswerTests(LinkTestCase):
    """What answers a heartbeat, and what does not."""

    def supported(self) -> None:
        self.peer.answer(0, constants.SUPPORTED, SUPPORTED)

    def beats(self) -> int:
        """Heartbeats written since the last call."""
        return sum(frame.opcode == constants.OPTIONS for frame in self.peer.requests())

    def test_nobody_has_asked(self) -> None:
        self.supported()
        self.assertClosed(f"{NODE}: an answer on stream 0")

    def test_answered_twice(self) -> None:
        self.link.probe()
        self.supported()
        self.assertFalse(self.link.closed)
        self.supported()
        self.assertClosed(f"{NODE}: an answer on stream 0")

    def test_late(self) -> None:
        """Not before it has come is the next one sent; it is taken for none but its own."""
        self.link.probe()
        self.assertEqual(self.beats(), 1)
        self.clock.advance(4)
        self.peer.answer(constants.EVENT_STREAM, constants.EVENT, b"")
        self.clock.pump([1] * 31)
        self.assertEqual((self.beats(), self.link.sent), (0, 1))
        self.supported()
        self.clock.pump([1] * 31)
        self.assertEqual((self.beats(), self.link.sent), (1, 1))
        self.supported()
        self.assertEqual((self.link.sent, self.link.closed), (0, False))

    def test_never(self) -> None:
        """A peer that owes an answer and is silent is given up, though nothing more is sent to it."""
        self.link.probe()
        self.clock.advance(4)
        self.peer.answer(constants.EVENT_STREAM, constants.EVENT, b"")
        self.clock.pump([1] * 34)
        self.assertFalse(self.link.closed)
        self.clock.advance(1)
        self.assertTrue(self.link.closed)

    def test_refused(self) -> None:
        """A node that is overloaded lives."""
        for error in (Overloaded("Server is in overloaded state"), InternalServerError("java.lang.Error")):
            self.link.probe()
            self.peer.refuse(0, error)
            self.assertEqual((self.link.sent, self.link.closed), (0, False))
            self.clock.pump([1] * 5)

    def test_last_words(self) -> None:
        """A node that complains of the protocol speaks of the link, not of the question."""
        self.link.probe()
        text = "/127.0.0.1:9 invalid, unrecoverable CRC mismatch detected in frame body. Read 1, Computed 2"
        self.peer.refuse(0, ServerProtocolError(text))
        self.assertClosed(f"{NODE}: {text}")

    def test_another_message(self) -> None:
        self.link.probe()
        self.peer.answer(0, constants.RESULT, responsewriter.VOID)
        self.assertClosed(f"{NODE}: an answer on stream 0")

    def test_on_another_stream(self) -> None:
        self.link.probe()
        self.peer.answer(-7, constants.SUPPORTED, SUPPORTED)
        self.assertClosed(f"{NODE}: an answer on stream -7, which no request has")

    def test_counts_as_sent(self) -> None:
        """With the high mark's worth of requests, it is one more."""
        self.open_link(max_requests_per_connection=10)
        self.link.probe()
        requests = self.send_now(6)
        self.assertTrue(self.link.open)
        requests += self.send_now()
        self.assertEqual((self.link.sent, self.link.open), (8, False))
        for request in requests[:3]:
            self.peer.answer(request.stream)
        self.assertEqual((self.link.sent, self.link.open), (5, False))
        self.supported()
        self.assertEqual((self.link.sent, self.link.open), (4, True))
