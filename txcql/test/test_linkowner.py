"""Who hears of a link, in which order, and that their defects cost nobody else anything."""

from __future__ import annotations

from typing import Any, ClassVar

from txcql.connection.linkowner import LinkListener
from txcql.connection.protocol import CQLProtocol
from txcql.errors import SENT, CQLError, ProtocolError
from txcql.settings import Settings
from txcql.test.links import NODE, LinkTestCase, Listener, RecordedRequest
from txcql.wire import constants
from txcql.wire.frames import Frame


class SignalTests(LinkTestCase):
    """Why a link is not open."""

    settings: ClassVar[dict[str, Any]] = {"max_requests_per_connection": 10}

    def test_high_and_low(self) -> None:
        """Told of the count, whatever else keeps the link from being open."""
        heard = self.listen()
        self.link.pauseProducing()
        requests = self.send(8)
        self.assertEqual(heard, ["link_high"])
        self.link.resumeProducing()
        for request in requests[:4]:
            self.peer.answer(request.stream)
        self.assertEqual(heard, ["link_high", "link_low"])
        self.assertEqual(self.owner.heard, ["draining", "open"])

    def test_low_before_open(self) -> None:
        """So that what the owner sends at once, up to the high mark, is told after it."""
        told = self.listen()
        owner: Any = self.owner

        def link_open(link: object) -> None:
            told.append("open")
            self.send(4)

        owner.link_open = link_open
        owner.link_draining = lambda link: told.append("draining")
        requests = self.send_now(8)
        for request in requests[:4]:
            self.peer.answer(request.stream)
        self.assertEqual(told, ["draining", "link_high", "link_low", "open", "draining", "link_high"])

    def test_continuous(self) -> None:
        """Each answer opens the link, and the next request drains it again."""
        self.open_link(max_requests_per_connection=10, release="continuous")
        heard = self.listen()
        requests = self.send_now(8)
        for request in requests[:3]:
            self.peer.answer(request.stream)
            self.assertTrue(self.link.open)
            self.send(1)
            self.assertFalse(self.link.open)
        self.assertEqual(heard, ["link_high"] + ["link_low", "link_high"] * 3)

    def test_nobody_listens(self) -> None:
        """It works all the same."""
        self.assertIsNone(self.link.listener)
        for request in self.send_now(8):
            self.peer.answer(request.stream)
        self.assertTrue(self.link.open)

    def test_every_signal(self) -> None:
        """The tests' listener has them all."""
        names = [name for name in vars(LinkListener) if name.startswith(("link_", "responses_"))]
        self.assertEqual(len(names), 7)
        for name in names:
            getattr(Listener(), name)(self.link)


class GuardTests(LinkTestCase):
    """A defect of ours fails what it concerns, and nothing else."""

    def test_reading_an_answer(self) -> None:
        """The request is told, the others get their answers, and the link goes on."""
        bad, good = self.send_now(2)
        bad.on_outcome = lambda: 1 / 0 if len(bad.outcomes) == 1 else None
        self.peer.send(self.peer.frame(bad.stream) + self.peer.frame(good.stream))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        error = bad.outcomes[1]
        assert isinstance(error, CQLError)
        self.assertEqual(
            str(error),
            f"{NODE}: the answer cannot be read: ZeroDivisionError('division by zero') (the request: sent)",
        )
        self.assertEqual((error.node, error.delivery), (NODE, SENT))
        self.assertIsInstance(error.__cause__, ZeroDivisionError)
        self.assertEqual((len(good.outcomes), self.link.open, self.link.sent), (1, True, 0))

    def test_no_protocol_violation(self) -> None:
        """What a request makes of its answer says nothing of the link."""
        (request,) = self.send_now()

        def complain() -> None:
            if len(request.outcomes) == 1:
                raise ProtocolError("rows that nobody understands")

        request.on_outcome = complain
        self.peer.answer(request.stream)
        self.flushLoggedErrors(ProtocolError)
        self.assertTrue(self.link.open)

    def test_reading_and_failing(self) -> None:
        """A request that cannot even be told."""
        bad, good = self.send_now(2)
        bad.on_outcome = lambda: 1 / 0
        self.peer.send(self.peer.frame(bad.stream) + self.peer.frame(good.stream))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 2)
        self.assertEqual((len(good.outcomes), self.link.open), (1, True))

    def test_failing_with_the_link(self) -> None:
        """All others are told, and the connection is closed."""
        requests = self.send_now(3)
        requests[0].on_outcome = lambda: 1 / 0
        self.link.close()
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual([len(request.outcomes) for request in requests], [1, 1, 1])
        self.assertIn("lose", self.peer.transport.done)

    def test_failing_of_a_read_timeout(self) -> None:
        requests = self.send_now(3)
        requests[0].on_outcome = lambda: 1 / 0
        self.clock.advance(5)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual([len(request.outcomes) for request in requests], [1, 1, 1])

    def test_event(self) -> None:
        """The link goes on, and events are told again."""
        found: list[Frame] = []

        def bad_once(frame: Frame) -> None:
            found.append(frame)
            if len(found) == 1:
                raise ProtocolError("an event that nobody understands")

        self.link.on_event = bad_once
        (request,) = self.send_now()
        event = self.peer.frame(constants.EVENT_STREAM, constants.EVENT, b"")
        self.peer.send(event + event + self.peer.frame(request.stream))
        self.assertEqual(len(self.flushLoggedErrors(ProtocolError)), 1)
        self.assertEqual((len(found), len(request.outcomes), self.link.open), (2, 1, True))

    def test_owner(self) -> None:
        """Whatever it is told."""
        self.open_link(max_requests_per_connection=1)
        owner: Any = self.owner

        def defect(*what: object) -> None:
            raise RuntimeError("a defect of the pool")

        owner.link_open = owner.link_draining = owner.link_lost = defect
        for request in (*self.send_now(), *self.send_now()):
            self.peer.answer(request.stream)
            self.assertEqual(len(request.outcomes), 1)
        (last,) = self.send_now()
        self.peer.hang_up()
        self.assertEqual(len(last.outcomes), 1)
        self.assertTrue(self.flushLoggedErrors(RuntimeError))

    def test_codec(self) -> None:
        """Where bytes cannot be read at all, nothing after them can."""
        requests = self.send_now(2)

        def defect() -> None:
            raise MemoryError("no room for a frame")

        self.patch(type(self.link._codec), "next_frame", lambda codec: defect())
        self.peer.answer(requests[0].stream)
        self.assertEqual(len(self.flushLoggedErrors(MemoryError)), 1)
        text = "what was received cannot be read: MemoryError('no room for a frame')"
        self.assertClosed(f"{NODE}: {text}")
        for request in requests:
            self.assertEqual(str(request.error), f"{NODE}: {text} (the request: unknown)")


class ProducerTests(LinkTestCase):
    """As the producer of its transport: in any order, at any time."""

    def test_any_order(self) -> None:
        self.link.resumeProducing()
        self.link.pauseProducing()
        self.link.pauseProducing()
        self.link.resumeProducing()
        self.link.resumeProducing()
        self.assertEqual((self.link.open, self.owner.heard), (True, ["draining", "open"]))
        self.link.stopProducing()
        self.link.stopProducing()
        self.link.resumeProducing()
        self.assertFalse(self.link.open)
        self.peer.break_down()
        for call in (self.link.pauseProducing, self.link.resumeProducing, self.link.stopProducing):
            call()
        self.assertFalse(self.link.open)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_before_the_connection(self) -> None:
        fresh = CQLProtocol(NODE, Settings(), self.clock, 5)
        for call in (fresh.pauseProducing, fresh.resumeProducing, fresh.stopProducing, fresh.close):
            call()
        self.assertTrue(fresh.closed)

    def test_in_a_callback(self) -> None:
        """What is written after the pause waits in the Write Buffer."""
        first, second = self.send_now(2)
        self.peer.requests()
        first.on_outcome = self.link.pauseProducing
        second.on_outcome = lambda: self.link.send(RecordedRequest(b"next"))
        self.peer.send(self.peer.frame(first.stream) + self.peer.frame(second.stream))
        self.clock.advance(0)
        self.assertEqual((self.peer.requests(), self.link.paused), ([], True))
        self.link.resumeProducing()
        self.assertEqual([frame.body for frame in self.peer.requests()], [b"next"])

    def test_full_again_at_once(self) -> None:
        """What had been kept fills the transport again: the link is not given work in between."""
        write = self.peer.transport.write

        def write_and_pause(data: bytes) -> None:
            write(data)
            self.link.pauseProducing()

        self.patch(self.peer.transport, "write", write_and_pause)
        self.send_now()
        self.send_now()
        self.link.resumeProducing()
        self.assertEqual((self.link.open, self.owner.heard), (False, ["draining"]))
        self.link.resumeProducing()
        self.assertEqual(self.owner.heard, ["draining", "open"])

    def test_lost_while_it_is_full(self) -> None:
        """What had not left the Write Buffer was not sent."""
        (written,) = self.send_now()
        self.link.pauseProducing()
        (kept,) = self.send_now()
        self.peer.break_down()
        self.assertEqual([written.error.delivery, kept.error.delivery], ["unknown", "not sent"])

    def test_read_timeout_waits_for_the_transport(self) -> None:
        """It counts from when the bytes have left."""
        self.link.pauseProducing()
        (request,) = self.send_now()
        self.clock.pump([1] * 25)
        self.assertEqual(request.outcomes, [])
        self.link.resumeProducing()
        self.clock.pump([1] * 4)
        self.assertEqual(request.outcomes, [])
        self.clock.pump([1] * 6)
        self.assertEqual(len(request.outcomes), 1)
