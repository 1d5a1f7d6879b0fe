"""The heartbeat: a silent peer is asked, and given up only if the silence is its own."""

from __future__ import annotations

from hypothesis import given, strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from txcql.connection.heartbeat import Heartbeat
from txcql.test.examples import examples

INTERVAL, TIMEOUT = 30.0, 5.0


class Silence:
    """A link whose peer says something when it is told to.

    :ivar asked: when it was asked.
    :ivar missed: when it was given up.
    """

    def __init__(self, clock: Clock) -> None:
        self.received_at = clock.seconds()
        self.asked: list[float] = []
        self.missed: list[float] = []
        self.answers = False
        self._clock = clock

    def receive(self) -> None:
        self.received_at = self._clock.seconds()

    def send_heartbeat(self) -> None:
        self.asked.append(self._clock.seconds())
        if self.answers:
            self._clock.callLater(1, self.receive)

    def heartbeat_missed(self) -> None:
        self.missed.append(self._clock.seconds())


class HeartbeatTests(SynchronousTestCase):
    """30 seconds of silence, 5 to answer."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.link = Silence(self.clock)
        self.heartbeat = Heartbeat(self.link, self.clock, INTERVAL, TIMEOUT)
        self.heartbeat.start()

    def wait(self, seconds: float) -> None:
        """Let time pass, a quarter of a second at a time."""
        self.clock.pump([0.25] * int(seconds * 4))

    def test_silent(self) -> None:
        """It is asked once, and given up once; then there is nothing more to do."""
        self.wait(29.75)
        self.assertEqual(self.link.asked, [])
        self.wait(0.25)
        self.assertEqual((self.link.asked, self.link.missed), ([30.0], []))
        self.wait(4.75)
        self.assertEqual(self.link.missed, [])
        self.wait(0.25)
        self.assertEqual((self.link.asked, self.link.missed), ([30.0], [35.0]))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_answers(self) -> None:
        """It is asked again when it has been silent again for as long."""
        self.link.answers = True
        self.wait(100)
        self.assertEqual((self.link.asked, self.link.missed), ([30.0, 61.0, 92.0], []))

    def test_talks(self) -> None:
        """Whoever talks is not asked, and is not timed either: there is one timer for the interval."""
        for _ in range(100):
            self.wait(10)
            self.link.receive()
            self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        self.assertEqual(self.link.asked, [])

    def test_counts_from_the_last_byte(self) -> None:
        self.wait(12.5)
        self.link.receive()
        self.wait(29.75)
        self.assertEqual(self.link.asked, [])
        self.wait(0.25)
        self.assertEqual(self.link.asked, [42.5])

    def test_any_byte_answers(self) -> None:
        """Not only the answer to the question."""
        self.wait(34.75)
        self.link.receive()
        self.wait(29.75)
        self.assertEqual((self.link.asked, self.link.missed), ([30.0], []))
        self.wait(0.25)
        self.assertEqual(self.link.asked, [30.0, 64.75])

    def test_held(self) -> None:
        """While our own side holds bytes back, the time to answer stands still."""
        self.wait(32)
        self.heartbeat.hold()
        self.heartbeat.hold()
        self.wait(1000)
        self.assertEqual(self.link.missed, [])
        self.heartbeat.go_on()
        self.heartbeat.go_on()
        self.wait(2.75)
        self.assertEqual(self.link.missed, [])
        self.wait(0.25)
        self.assertEqual(self.link.missed, [1035.0])

    def test_held_before(self) -> None:
        """Asked while bytes are held back: the time begins when they flow."""
        self.wait(10)
        self.heartbeat.hold()
        self.wait(100)
        self.assertEqual((self.link.asked, self.link.missed), ([30.0], []))
        self.heartbeat.go_on()
        self.wait(4.75)
        self.assertEqual(self.link.missed, [])
        self.wait(0.25)
        self.assertEqual(self.link.missed, [115.0])

    def test_held_by_the_question(self) -> None:
        """Its bytes may be what fills the transport."""
        self.link.send_heartbeat = self.heartbeat.hold  # type: ignore[method-assign]
        self.wait(100)
        self.assertEqual((self.link.missed, self.clock.getDelayedCalls()), ([], []))
        self.heartbeat.go_on()
        self.wait(5)
        self.assertEqual(self.link.missed, [105.0])

    def test_held_and_answered(self) -> None:
        """What is received while we hold back is an answer all the same."""
        self.wait(31)
        self.heartbeat.hold()
        self.link.receive()
        self.heartbeat.go_on()
        self.wait(29)
        self.assertEqual((len(self.link.asked), self.link.missed), (1, []))

    def test_asked_at_once(self) -> None:
        self.wait(7)
        self.heartbeat.ask()
        self.heartbeat.ask()
        self.assertEqual(self.link.asked, [7.0])
        self.wait(1)
        self.link.receive()
        self.wait(29.75)
        self.assertEqual((self.link.asked, self.link.missed), ([7.0], []))
        self.wait(0.25)
        self.assertEqual(self.link.asked, [7.0, 38.0])

    def test_asked_at_once_and_silent(self) -> None:
        self.wait(7)
        self.heartbeat.ask()
        self.wait(5)
        self.assertEqual(self.link.missed, [12.0])

    def test_a_turn_that_takes_long(self) -> None:
        """An answer that has been there for a while, unread, counts."""
        self.wait(30)
        # The reactor comes back late, runs its timers first, and only then reads.
        self.clock.callLater(5, self.link.receive)
        self.clock.advance(9)
        self.assertEqual(self.link.missed, [])
        self.wait(29)
        self.assertEqual(len(self.link.asked), 1)

    def test_stopped(self) -> None:
        """At any time, and for good."""
        for seconds in (1, 31):
            self.setUp()
            self.wait(seconds)
            self.heartbeat.stop()
            self.heartbeat.stop()
            self.heartbeat.hold()
            self.heartbeat.go_on()
            self.assertEqual(self.clock.getDelayedCalls(), [])

    @examples
    @given(st.lists(st.tuples(st.sampled_from("rhga"), st.floats(0, 20)), max_size=40))
    def test_never_unjust(self, steps: list[tuple[str, float]]) -> None:
        """Only a peer that has not said a word for the whole time to answer is given up."""
        clock = Clock()
        link = Silence(clock)
        heartbeat = Heartbeat(link, clock, INTERVAL, TIMEOUT)
        heartbeat.start()
        flowed, flowing = 0.0, True
        for step, seconds in steps:
            clock.advance(seconds)
            if flowing:
                flowed += seconds
            if link.missed:
                break
            self.assertLessEqual(len(clock.getDelayedCalls()), 1)
            if step == "r":
                link.receive()
                flowed = 0.0
            elif step == "h":
                heartbeat.hold()
                flowing = False
            elif step == "g":
                heartbeat.go_on()
                flowing = True
            else:
                heartbeat.ask()
        if link.missed:
            self.assertGreaterEqual(flowed + 1e-6, TIMEOUT)
            self.assertLess(link.received_at, link.asked[-1])
