"""Retirement: a link with too many orphans, or too old ones, makes room for another."""

from __future__ import annotations

from typing import Any, ClassVar

from txcql.errors import RequestTimeout
from txcql.test.links import NODE, LinkTestCase, timers
from txcql.wire import responsewriter


class RetirementTests(LinkTestCase):
    """A link with too many orphans is given no work, and closes when its last request is answered."""

    settings: ClassVar[dict[str, Any]] = {"max_orphans_per_connection": 3}

    def test_closes_with_its_last_answer(self) -> None:
        requests = self.send_now(5)
        for request in requests[:2]:
            request.withdraw()
        self.assertTrue(self.link.open)
        requests[2].withdraw()
        self.assertEqual((self.link.open, self.owner.heard), (False, ["draining"]))
        self.peer.answer(requests[3].stream)
        self.assertFalse(self.link.closed)
        self.peer.answer(requests[4].stream)
        self.assertClosed(f"{NODE}: replaced, having 3 orphaned streams")
        self.assertEqual([len(request.outcomes) for request in requests], [0, 0, 0, 1, 1])

    def test_closes_when_nobody_waits(self) -> None:
        for request in self.send_now(3):
            request.withdraw()
        self.assertClosed(f"{NODE}: replaced, having 3 orphaned streams")

    def test_a_silent_node(self) -> None:
        """When its last request expires, nothing holds the link."""
        requests = self.send_now(4)
        self.clock.advance(5)
        self.assertTrue(self.link.closed)
        self.assertEqual([type(request.error) for request in requests], [RequestTimeout] * 4)
        self.peer.break_down()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_orphans_that_are_answered_do_not_count(self) -> None:
        """What counts is how many there are at once."""
        self.send_now()
        for _ in range(10):
            (request,) = self.send_now()
            request.withdraw()
            self.peer.answer(request.stream)
        self.assertTrue(self.link.open)

    def test_late_answers_do_not_bring_it_back(self) -> None:
        requests = self.send_now(4)
        for request in requests[1:]:
            request.withdraw()
        self.peer.answer(requests[1].stream)
        self.assertEqual((self.link.streams.orphans, self.link.open), (2, False))


class NotNeededTests(LinkTestCase):
    """A link that is not needed any more."""

    def test_what_waits_is_answered_first(self) -> None:
        (request,) = self.send_now()
        self.link.retire("not needed any more")
        self.assertEqual((self.link.open, self.link.closed), (False, False))
        self.peer.answer(request.stream)
        self.assertEqual(len(request.outcomes), 1)
        self.assertClosed(f"{NODE}: not needed any more")

    def test_idle(self) -> None:
        self.link.retire("not needed any more")
        self.assertClosed(f"{NODE}: not needed any more")

    def test_reads_are_told(self) -> None:
        """Who waits for room hears of each read."""
        reads: list[int] = []
        first, second = self.send_now(2)
        self.link.on_read = lambda: reads.append(self.link.sent)
        self.peer.answer(first.stream)
        self.peer.answer(second.stream)
        self.assertEqual(reads, [1, 0])


class AgeTests(LinkTestCase):
    """One orphan that is older than two request deadlines is enough."""

    settings: ClassVar[dict[str, Any]] = {"heartbeat_interval": 1e6}

    def test_retires(self) -> None:
        orphan, other = self.send_now(2, untimed=True)
        self.clock.advance(1)
        orphan.withdraw()
        self.clock.pump([0.5] * 39)
        self.assertTrue(self.link.open)
        self.clock.advance(0.5)
        self.assertEqual((self.link.open, self.link.retiring), (False, True))
        self.peer.answer(other.stream)
        self.assertClosed(f"{NODE}: replaced, having had an orphaned stream for 20 s")

    def test_answered_in_time(self) -> None:
        """One timer, for the oldest that is left."""
        first, second, third, last = self.send_now(4, untimed=True)
        for request in (first, second, third):
            request.withdraw()
            self.clock.advance(4)
        self.assertEqual(timers(self.clock), [20.0])
        self.peer.answer(first.stream)
        self.peer.answer(second.stream)
        self.clock.advance(8)
        self.assertEqual(timers(self.clock), [28.0])
        self.peer.answer(third.stream)
        self.clock.advance(8)
        self.assertEqual((self.link.open, timers(self.clock)), (True, []))
        last.withdraw()
        self.clock.advance(20)
        self.assertTrue(self.link.closed)
        self.peer.hang_up()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_other_deadlines(self) -> None:
        self.open_link(request_timeout=3)
        (orphan,) = self.send_now()
        orphan.withdraw()
        self.clock.advance(5.5)
        self.assertFalse(self.link.closed)
        self.clock.advance(0.5)
        self.assertTrue(self.link.closed)

    def test_by_number_first(self) -> None:
        """It retires once, whatever comes after."""
        self.open_link(max_orphans_per_connection=2)
        heard = self.listen()
        requests = self.send_now(4, untimed=True)
        for request in requests[:3]:
            request.withdraw()
            self.clock.advance(1)
        self.clock.advance(30)
        self.assertEqual(heard, ["link_retiring"])


class ListenerTests(LinkTestCase):
    """A link that somebody wants to replace before it closes."""

    settings: ClassVar[dict[str, Any]] = {"max_orphans_per_connection": 3, "heartbeat_interval": 1e6}

    def setUp(self) -> None:
        LinkTestCase.setUp(self)
        self.heard = self.listen()

    def test_waits_for_its_replacement(self) -> None:
        """Though nothing waits on it."""
        for request in self.send_now(3):
            request.withdraw()
        self.clock.advance(3)
        self.assertEqual((self.link.open, self.link.closed), (False, False))
        self.assertEqual((self.owner.heard, self.heard), (["draining"], ["link_retiring"]))
        self.assertIn("retiring", repr(self.link))
        self.link.let_go()
        self.assertClosed(f"{NODE}: replaced, having 3 orphaned streams")

    def test_let_go_with_requests(self) -> None:
        """It closes with the last answer."""
        requests = self.send_now(5)
        for request in requests[:3]:
            request.withdraw()
        self.link.let_go()
        self.peer.answer(requests[3].stream)
        self.assertFalse(self.link.closed)
        self.peer.answer(requests[4].stream, body=responsewriter.set_keyspace("ks"))
        self.assertTrue(self.link.closed)
        self.assertEqual([len(request.outcomes) for request in requests], [0, 0, 0, 1, 1])

    def test_let_go_in_the_call(self) -> None:
        """A listener may decide at once that none is to come."""
        self.listen(link_retiring=lambda link: link.let_go())
        for request in self.send_now(3):
            request.withdraw()
        self.assertTrue(self.link.closed)

    def test_closed_when_told(self) -> None:
        self.listen(link_retiring=lambda link: link.close())
        requests = self.send_now(4)
        for request in requests[:3]:
            request.withdraw()
        self.assertEqual(len(requests[3].outcomes), 1)

    def test_a_heartbeat_does_not_hold_it(self) -> None:
        self.link.probe()
        for request in self.send_now(3):
            request.withdraw()
        self.link.let_go()
        self.assertTrue(self.link.closed)

    def test_let_go_of_a_good_link(self) -> None:
        """It goes on."""
        self.link.let_go()
        (request,) = self.send_now()
        self.peer.answer(request.stream)
        self.assertTrue(self.link.open)
