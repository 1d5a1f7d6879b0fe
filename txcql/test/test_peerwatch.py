"""A peer that says nothing: asked whether it is there, suspected, given up; but not for what we do."""

from __future__ import annotations

from typing import Any, ClassVar

from txcql.connection.peerwatch import SUSPECT_AFTER
from txcql.errors import UNKNOWN, ConnectionLost, RequestTimeout
from txcql.test.links import NODE, LinkTestCase, RecordedRequest, timers
from txcql.wire import constants, responsewriter

SUPPORTED = responsewriter.supported({})


class HeartbeatTests(LinkTestCase):
    """OPTIONS on stream 0 after 30 seconds of silence, 5 to answer."""

    def wait(self, seconds: float) -> None:
        self.clock.pump([0.25] * int(seconds * 4))

    def test_asked_and_answered(self) -> None:
        """The question counts as sent; the answer leaves the link as it was."""
        self.wait(29.75)
        self.assertEqual(self.peer.requests(), [])
        self.wait(0.25)
        (frame,) = self.peer.requests()
        self.assertEqual((frame.stream, frame.opcode, frame.body), (0, constants.OPTIONS, b""))
        self.assertEqual((self.link.sent, self.link.streams.idle), (1, True))
        self.peer.answer(0, constants.SUPPORTED, SUPPORTED)
        self.assertEqual(self.link.sent, 0)
        self.wait(29.75)
        self.assertEqual(self.peer.requests(), [])
        self.wait(0.25)
        self.assertEqual(len(self.peer.requests()), 1)
        self.assertTrue(self.link.open)
        self.assertEqual(self.owner.heard, [])

    def test_on_every_kind_of_link(self) -> None:
        for version, compression in ((3, "lz4"), (4, None), (4, "snappy"), (5, "lz4")):
            self.open_link(version, compression=compression)
            self.wait(30)
            (frame,) = self.peer.requests()
            self.peer.answer(frame.stream, constants.SUPPORTED, SUPPORTED)
            self.assertEqual((self.link.sent, self.link.closed), (0, False))
            self.link.close()
            self.peer.hang_up()

    def test_not_answered(self) -> None:
        """The link is closed; each waiting request hears why, and how far it had come."""
        self.wait(30)
        self.assertFalse(self.link.suspect)
        (request,) = self.send_now(untimed=True)
        self.wait(4.75)
        self.assertFalse(self.link.closed)
        self.clock.advance(0.25)
        text = "nothing was received for 35 s, nor a heartbeat answered"
        self.assertIsInstance(self.assertClosed(f"{NODE}: {text}"), ConnectionLost)
        self.assertEqual(str(request.error), f"{NODE}: {text} (the request: {UNKNOWN})")
        self.peer.break_down()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_any_byte_will_do(self) -> None:
        self.wait(34)
        self.peer.answer(constants.EVENT_STREAM, constants.EVENT, b"")
        self.wait(10)
        self.assertFalse(self.link.closed)

    def test_not_asked_in_the_handshake(self) -> None:
        """That has a time limit of its own."""
        self.link.ready = False
        self.link.probe()
        self.assertEqual(self.peer.requests(), [])

    def test_the_transport_is_full(self) -> None:
        """The question waits for the transport, and so does the time to answer."""
        self.link.pauseProducing()
        self.wait(300)
        self.assertEqual((self.peer.requests(), self.link.closed), ([], False))
        self.link.resumeProducing()
        (frame,) = self.peer.requests()
        self.assertEqual(frame.opcode, constants.OPTIONS)
        self.wait(4.75)
        self.assertFalse(self.link.closed)
        self.wait(0.25)
        self.assertTrue(self.link.closed)

    def test_the_transport_is_full_for_a_while(self) -> None:
        """The time that has passed before counts."""
        self.wait(33)
        self.link.pauseProducing()
        self.wait(60)
        self.link.resumeProducing()
        self.wait(1.75)
        self.assertFalse(self.link.closed)
        self.wait(0.25)
        self.assertTrue(self.link.closed)

    def test_we_do_not_read(self) -> None:
        """While the link is paused by us, its peer cannot answer."""
        self.open_link(response_budget=1000, pause_limit=1e6)
        (request,) = self.send_now(untimed=True)
        self.wait(32)
        self.link.hold_responses()
        self.peer.answer(request.stream, body=b"x" * 2000)
        self.assertEqual(self.peer.transport.producerState, "paused")
        self.wait(300)
        self.assertFalse(self.link.closed)
        self.link.release_responses()
        self.wait(4)
        self.peer.answer(0, constants.SUPPORTED, SUPPORTED)
        self.wait(30)
        self.assertEqual((len(request.outcomes), self.link.closed), (1, False))


class SuspicionTests(LinkTestCase):
    """Three read timeouts in a row, and no byte received."""

    settings: ClassVar[dict[str, Any]] = {"heartbeat_timeout": 1e6}

    def time_out(self, count: int) -> list[RecordedRequest]:
        """So many requests time out, one after another."""
        requests = []
        for _ in range(count):
            requests += self.send_now()
            self.clock.advance(1)
        self.clock.advance(4)
        self.assertEqual({type(request.error) for request in requests}, {RequestTimeout})
        return requests

    def test_probed_at_once(self) -> None:
        heard = self.listen()
        self.time_out(SUSPECT_AFTER - 1)
        self.assertEqual((self.link.suspect, heard), (False, []))
        self.peer.requests()
        self.time_out(1)
        self.assertEqual((self.link.suspect, heard), (True, ["link_suspect"]))
        self.assertEqual(
            [frame.opcode for frame in self.peer.requests()], [constants.QUERY, constants.OPTIONS]
        )
        self.time_out(1)
        self.assertEqual(heard, ["link_suspect"])

    def test_trusted_again(self) -> None:
        """Whatever it says: the answer to the question, or the late answer to a request."""
        heard = self.listen()
        requests = self.time_out(SUSPECT_AFTER)
        self.peer.answer(requests[0].stream)
        self.assertEqual((self.link.suspect, heard), (False, ["link_suspect", "link_trusted"]))
        self.peer.answer(0, constants.SUPPORTED, SUPPORTED)
        self.assertEqual(len(heard), 2)
        self.time_out(SUSPECT_AFTER - 1)
        self.assertFalse(self.link.suspect)
        self.time_out(1)
        self.assertEqual(heard[2:], ["link_suspect"])

    def test_closed_if_it_stays_silent(self) -> None:
        self.open_link(heartbeat_timeout=5)
        self.time_out(SUSPECT_AFTER)
        self.clock.pump([0.5] * 9)
        self.assertFalse(self.link.closed)
        self.clock.advance(0.5)
        self.assertTrue(self.link.closed)

    def test_the_request_that_is_told_sees_it(self) -> None:
        """The owner has heard before the third request goes on to another node."""
        found: list[bool] = []
        requests = self.send_now(SUSPECT_AFTER)
        for request in requests:
            request.on_outcome = lambda: found.append(self.link.suspect)
        self.clock.advance(5)
        self.assertEqual(found, [False, False, True])

    def test_a_slow_node(self) -> None:
        """It answers others meanwhile: there is nothing to suspect."""
        for _ in range(10):
            slow, quick = self.send_now(2)
            self.clock.advance(2)
            self.peer.answer(quick.stream)
            self.clock.advance(3)
            self.assertIsInstance(slow.error, RequestTimeout)
        self.assertFalse(self.link.suspect)

    def test_written_before_the_last_byte(self) -> None:
        """Many that time out together say nothing of a node that has answered another meanwhile."""
        requests = self.send_now(10)
        self.clock.advance(2)
        self.peer.answer(requests.pop().stream)
        self.clock.advance(3)
        self.assertEqual({type(request.error) for request in requests}, {RequestTimeout})
        self.assertFalse(self.link.suspect)

    def test_not_in_a_row(self) -> None:
        self.time_out(SUSPECT_AFTER - 1)
        (request,) = self.send_now()
        self.clock.advance(1)
        self.peer.answer(request.stream)
        self.time_out(SUSPECT_AFTER - 1)
        self.assertFalse(self.link.suspect)

    def test_retired_by_the_third(self) -> None:
        """A link that is closed meanwhile is not asked."""
        self.open_link(max_orphans_per_connection=3)
        self.send_now(3)
        self.peer.requests()
        self.clock.advance(5)
        self.assertTrue(self.link.closed)
        self.assertEqual((self.link.suspect, self.peer.requests()), (False, []))


class ReadTimeoutTests(LinkTestCase):
    """Whose fault it is that an answer is not there."""

    settings: ClassVar[dict[str, Any]] = {"heartbeat_timeout": 1e6}

    def test_held_back(self) -> None:
        """While answers are held back by us, none is late; then each has its time anew."""
        (request,) = self.send_now()
        self.clock.advance(3)
        self.link.hold_responses()
        self.clock.pump([1] * 40)
        self.assertEqual(request.outcomes, [])
        self.link.release_responses()
        self.clock.pump([0.5] * 9)
        self.assertEqual(request.outcomes, [])
        self.clock.pump([0.5])
        self.assertIsInstance(request.error, RequestTimeout)

    def test_a_turn_that_takes_long(self) -> None:
        """Answers that are there, unread, when the reactor comes back late are read first."""
        (request,) = self.send_now()
        self.clock.callLater(5, self.peer.answer, request.stream)
        self.clock.advance(9)
        self.assertNotIsInstance(request.outcomes[0], RequestTimeout)

    def test_one_timer(self) -> None:
        self.send_now(3)
        self.assertEqual(timers(self.clock), [5.0])
