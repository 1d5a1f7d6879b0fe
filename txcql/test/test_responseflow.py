"""Response-side backpressure: what is held back, when the transport is paused, and when it goes on."""

from __future__ import annotations

from typing import Any, ClassVar

from hypothesis import given, strategies as st
from twisted.internet.task import Clock

from txcql.connection.responseflow import FRAMES_PER_TURN
from txcql.errors import UNKNOWN, ConnectionLost
from txcql.test.examples import examples
from txcql.test.links import NODE, LinkTestCase, RecordedRequest, ready_link


class TurnTests(LinkTestCase):
    """At most so many frames are read in one turn."""

    def answers(self, requests: list[RecordedRequest]) -> bytes:
        return b"".join(self.peer.frame(request.stream) for request in requests)

    def told(self, requests: list[RecordedRequest]) -> int:
        return sum(len(request.outcomes) for request in requests)

    def test_the_rest_comes_later(self) -> None:
        """In order, turn by turn; nothing is left behind."""
        requests = self.send_now(3 * FRAMES_PER_TURN - 1)
        order: list[int] = []
        for number, request in enumerate(requests):
            request.on_outcome = lambda number=number: order.append(number)
        self.peer.send(self.answers(requests))
        self.assertEqual(len(order), FRAMES_PER_TURN)
        while self.link.sent:
            before = len(order)
            # One turn: what is due now, not what that makes due.
            call = self.clock.calls.pop(0)
            self.assertEqual(call.getTime(), self.clock.seconds())
            call.func()
            self.assertLessEqual(len(order) - before, FRAMES_PER_TURN)
        self.assertEqual(order, list(range(len(requests))))

    def test_not_at_once_when_more_arrives(self) -> None:
        """A read that comes before the next turn does not make this one longer."""
        requests = self.send_now(FRAMES_PER_TURN + 10)
        self.peer.send(self.answers(requests[:-5]))
        self.peer.send(self.answers(requests[-5:]))
        self.assertEqual(self.told(requests), FRAMES_PER_TURN)
        self.clock.advance(0)
        self.assertEqual(self.told(requests), len(requests))

    def test_no_more_than_that(self) -> None:
        """When nothing is left, no turn is asked for."""
        requests = self.send_now(FRAMES_PER_TURN)
        self.peer.send(self.answers(requests))
        self.assertEqual(self.told(requests), FRAMES_PER_TURN)
        self.assertTrue(self.link.reading)

    def test_written_in_one_go(self) -> None:
        """What each turn's answers set off is one write."""
        requests = self.send_now(FRAMES_PER_TURN + 10)
        self.peer.requests()
        for request in requests:
            request.on_outcome = self.send
        self.peer.send(self.answers(requests))
        self.assertEqual(len(self.peer.requests()), FRAMES_PER_TURN)
        self.clock.advance(0)
        self.assertEqual(len(self.peer.requests()), 10)

    def test_closed_before_the_next(self) -> None:
        """By the application, or by the node: what was not read yet is lost, and says so."""
        for close in (lambda: self.link.close(), lambda: self.peer.hang_up()):
            self.setUp()
            requests = self.send_now(FRAMES_PER_TURN + 10)
            self.peer.send(self.answers(requests))
            close()
            self.assertEqual([type(request.outcomes[0]) for request in requests[-10:]], [ConnectionLost] * 10)
            self.clock.pump([1] * 5)
            self.assertEqual((self.told(requests), self.clock.getDelayedCalls()), (len(requests), []))


class HoldTests(LinkTestCase):
    """A link whose one reader has no room."""

    settings: ClassVar[dict[str, Any]] = {"response_budget": 10_000}

    def setUp(self) -> None:
        LinkTestCase.setUp(self)
        self.heard = self.listen()

    @property
    def reads(self) -> bool:
        """Whether the transport has been told to read."""
        return self.peer.transport.producerState == "producing"

    def answer(self, request: RecordedRequest, size: int = 1000) -> None:
        self.peer.answer(request.stream, body=bytes(size))

    def test_held_and_released(self) -> None:
        """Nothing is delivered meanwhile; then all of it, in order."""
        first, second, third = self.send_now(3)
        self.answer(first)
        self.link.hold_responses()
        self.answer(second)
        self.answer(third)
        self.clock.advance(1)
        self.assertEqual([len(request.outcomes) for request in (first, second, third)], [1, 0, 0])
        self.assertTrue(self.reads)
        self.link.release_responses()
        self.assertEqual(second.outcomes, [])
        self.clock.advance(0)
        self.assertEqual([len(request.outcomes) for request in (first, second, third)], [1, 1, 1])
        self.assertEqual(self.heard, [])

    def test_over_the_budget(self) -> None:
        """The transport is paused once; it is resumed when all has been read."""
        requests = self.send_now(20)
        self.link.hold_responses()
        for request in requests[:9]:
            self.answer(request)
        self.assertTrue(self.reads)
        # A TLS transport delivers what it has, though it is paused.
        for request in requests[9:]:
            self.answer(request)
        self.assertFalse(self.reads)
        self.assertEqual((self.link.responses_held, self.heard), (True, ["responses_full"]))
        self.link.release_responses()
        self.assertFalse(self.reads)
        self.clock.advance(0)
        self.assertTrue(self.reads)
        self.assertFalse(self.link.responses_held)
        self.assertEqual(self.heard, ["responses_full", "responses_drained"])
        self.assertEqual([len(request.outcomes) for request in requests], [1] * 20)

    def test_resumed_below_half(self) -> None:
        """Each answer makes its reader full again: the transport goes on when few enough are left."""
        requests = self.send_now(20)
        for request in requests:
            request.on_outcome = self.link.hold_responses
        self.link.hold_responses()
        for request in requests[:12]:
            self.answer(request)
        held = []
        for _ in range(12):
            self.link.release_responses()
            self.clock.advance(0)
            held.append(self.link.responses_held)
        # 12 x 1 KB: the eighth leaves four, which is below half of 10.
        self.assertEqual(held, [True] * 7 + [False] * 5)
        self.assertEqual(sum(len(request.outcomes) for request in requests), 12)

    def test_by_an_answer_that_is_over_it(self) -> None:
        """What is left of a read is looked at when it is held back."""
        requests = self.send_now(5)
        requests[0].on_outcome = self.link.hold_responses
        self.peer.send(b"".join(self.peer.frame(request.stream, body=bytes(4000)) for request in requests))
        self.assertEqual([len(request.outcomes) for request in requests], [1, 0, 0, 0, 0])
        self.assertFalse(self.reads)

    def test_an_incomplete_answer_is_not_held_back(self) -> None:
        """One that is larger than the budget would never be whole."""
        for version in (4, 5):
            self.open_link(version)
            (request,) = self.send_now()
            data = self.peer.frame(request.stream, body=bytes(400_000))
            for start in range(0, len(data), 1000):
                self.peer.send(data[start : start + 1000])
                self.assertTrue(self.reads)
            self.assertEqual(len(request.outcomes), 1)

    def test_an_incomplete_answer_behind_others(self) -> None:
        """When what is whole has been read, the rest of it is let in."""
        first, second = self.send_now(2)
        data = self.peer.frame(second.stream, body=bytes(400_000))
        self.link.hold_responses()
        self.answer(first)
        self.peer.send(data[:300_000])
        self.assertFalse(self.reads)
        self.link.release_responses()
        self.clock.advance(0)
        self.assertTrue(self.reads)
        self.peer.send(data[300_000:])
        self.assertEqual((len(first.outcomes), len(second.outcomes)), (1, 1))

    def test_by_the_cap(self) -> None:
        """Frames that wait for the next turn count too."""
        requests = self.send_now(FRAMES_PER_TURN + 30)
        self.peer.send(b"".join(self.peer.frame(request.stream, body=bytes(1000)) for request in requests))
        self.assertFalse(self.reads)
        self.clock.advance(0)
        self.assertTrue(self.reads)
        self.assertEqual(self.heard, ["responses_full", "responses_drained"])

    def test_pause_limit(self) -> None:
        """After 30 seconds the link is dropped, and each waiting request is told why."""
        requests = self.send_now(12, untimed=True)
        self.link.hold_responses()
        for request in requests[:11]:
            self.answer(request)
        held = 11 * (6 + 9 + 1000 + 4)
        self.clock.pump([0.5] * 59)
        self.assertFalse(self.link.closed)
        self.clock.advance(0.5)
        text = f"dropped, since {held} bytes of answers were not taken for 30 s (pause_limit)"
        self.assertClosed(f"{NODE}: {text}")
        for request in requests:
            self.assertEqual(str(request.error), f"{NODE}: {text} (the request: {UNKNOWN})")
        # Else a TLS transport does not learn of the end.
        self.assertTrue(self.reads)
        self.peer.hang_up()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_pause_limit_begins_anew(self) -> None:
        """With each pause."""
        for _ in range(5):
            requests = self.send_now(11, untimed=True)
            self.link.hold_responses()
            for request in requests:
                self.answer(request)
            self.clock.pump([1] * 20)
            self.link.release_responses()
            self.clock.advance(0)
        self.assertFalse(self.link.closed)

    def test_held_below_the_budget(self) -> None:
        """No time limit: nobody is paused."""
        (request,) = self.send_now(untimed=True)
        self.link.hold_responses()
        self.answer(request)
        for _ in range(10):
            self.clock.pump([1] * 29)
            self.peer.answer(-1, 0x0C, b"")
        self.assertFalse(self.link.closed)

    def test_any_order(self) -> None:
        """Held twice, released twice, within a callback, before and after the end: no harm."""
        first, second = self.send_now(2)
        self.link.release_responses()
        self.link.hold_responses()
        self.link.hold_responses()
        self.link.release_responses()
        self.link.release_responses()
        self.assertEqual(self.clock.getDelayedCalls()[0].getTime(), self.clock.seconds())
        self.link.hold_responses()
        self.clock.advance(0)
        self.answer(first)
        self.assertEqual(first.outcomes, [])
        self.link.release_responses()
        self.clock.advance(0)

        def flap() -> None:
            self.link.hold_responses()
            self.link.release_responses()
            self.link.hold_responses()
            self.link.release_responses()

        second.on_outcome = flap
        self.answer(second)
        self.clock.advance(0)
        (third,) = self.send_now()
        self.answer(third)
        self.assertEqual([len(request.outcomes) for request in (first, second, third)], [1, 1, 1])
        self.link.close()
        self.link.hold_responses()
        self.link.release_responses()
        self.peer.hang_up()
        self.link.release_responses()
        self.link.hold_responses()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_closed_while_paused(self) -> None:
        """By a listener that hears of it, and by the node."""
        for end in (self.peer.hang_up, self.link.close):
            requests = self.send_now(11, untimed=True)
            self.link.hold_responses()
            for request in requests:
                self.answer(request)
            self.assertFalse(self.reads)
            end()
            if not self.peer.transport.disconnected:
                self.peer.hang_up()
            self.assertEqual({type(request.error) for request in requests}, {ConnectionLost})
            self.assertEqual(self.clock.getDelayedCalls(), [])
            self.open_link()

    def test_a_listener_that_closes(self) -> None:
        for name in ("responses_full", "responses_drained"):
            self.open_link()
            self.listen(**{name: lambda link: link.close()})
            requests = self.send_now(11)
            self.link.hold_responses()
            for request in requests:
                self.answer(request)
            self.link.release_responses()
            self.clock.advance(0)
            self.assertTrue(self.link.closed)
            self.peer.hang_up()
            self.assertEqual([len(request.outcomes) for request in requests], [1] * 11)

    @examples
    @given(
        st.sampled_from([4, 5]),
        st.lists(st.tuples(st.sampled_from("ahrt"), st.integers(0, 3000)), max_size=60),
    )
    def test_bounded(self, version: int, steps: list[tuple[str, int]]) -> None:
        """Whatever happens, a transport that heeds its pause leaves no more than the budget and one
        read held back; and in the end all is delivered, once and in order."""
        clock = Clock()
        link, peer = ready_link(clock, version, response_budget=5000, read_timeout=1e6, pause_limit=1e6)
        sent: list[RecordedRequest] = []
        order: list[int] = []
        wire = b""

        def arrive() -> None:
            nonlocal wire
            while wire and peer.transport.producerState == "producing":
                read, wire = wire[:700], wire[700:]
                link.dataReceived(read)
                self.assertLessEqual(link._codec.buffered, 5000 + 700 + 3100)

        for step, number in steps:
            if step == "a":
                request = RecordedRequest(b"body")
                place = len(sent)
                request.on_outcome = lambda place=place: order.append(place)
                link.send(request)
                wire += peer.frame(request.stream, body=bytes(number))
                sent.append(request)
            elif step == "h":
                link.hold_responses()
            elif step == "r":
                link.release_responses()
            else:
                clock.advance(0)
            arrive()
        link.release_responses()
        while wire or link.sent:
            clock.advance(0)
            arrive()
        self.assertEqual(order, list(range(len(sent))))
        self.assertEqual(peer.transport.producerState, "producing")
