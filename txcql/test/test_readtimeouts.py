"""Read timeouts: one timer finds every request that has waited too long since it was written."""

from __future__ import annotations

from hypothesis import given, strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from txcql.connection.pendingrequest import PendingRequest
from txcql.connection.readtimeouts import ReadTimeouts
from txcql.connection.streams import StreamManager
from txcql.test.examples import examples
from txcql.test.links import RecordedRequest

TIMEOUT = 5.0


class Watch:
    """Requests under a read timeout.

    :ivar expired: requests, with the time at which they expired.
    """

    def __init__(self, timeout: float = TIMEOUT) -> None:
        self.clock = Clock()
        self.streams = StreamManager()
        self.expired: list[tuple[PendingRequest, float]] = []
        self.timeouts = ReadTimeouts(self.streams, self.clock, timeout, self.expire)

    def expire(self, request: PendingRequest) -> None:
        self.streams.orphan(request.stream, self.clock.seconds())
        self.expired.append((request, self.clock.seconds()))

    def send(self, written: float | None = None, untimed: bool = False) -> RecordedRequest:
        """Send a request, written at this time: now, if none is given."""
        request = RecordedRequest(untimed=untimed)
        request.stream = self.streams.register(request)
        request.written = [self.clock.seconds() if written is None else written]
        self.timeouts.arm()
        return request


class ReadTimeoutsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.watch = Watch()
        self.clock = self.watch.clock

    def test_expires(self) -> None:
        request = self.watch.send()
        self.clock.advance(4.999)
        self.assertEqual(self.watch.expired, [])
        self.clock.advance(0.001)
        self.assertEqual(self.watch.expired, [(request, 5.0)])

    def test_counts_from_the_flush(self) -> None:
        """Not from when the request was given to the link."""
        request = self.watch.send()
        request.written[0] = None
        self.clock.advance(3)
        request.written[0] = 3.0
        self.clock.pump([0.25] * 40)
        self.assertEqual(self.watch.expired, [(request, 8.0)])

    def test_not_written_at_all(self) -> None:
        """What the Write Buffer holds does not expire."""
        request = self.watch.send()
        request.written[0] = None
        self.clock.pump([1] * 100)
        self.assertEqual(self.watch.expired, [])

    def test_in_order(self) -> None:
        """Each expires at its own time, with one timer for all."""
        requests = []
        for _ in range(4):
            requests.append(self.watch.send())
            self.assertEqual(len(self.clock.getDelayedCalls()), 1)
            self.clock.advance(1)
        self.clock.pump([0.5] * 20)
        self.assertEqual(
            self.watch.expired, [(request, 5.0 + number) for number, request in enumerate(requests)]
        )

    def test_answered(self) -> None:
        """What has been answered does not expire, and does not keep the timer going for ever."""
        request = self.watch.send()
        self.watch.streams.release(request.stream)
        self.clock.advance(5)
        self.assertEqual(self.watch.expired, [])
        self.assertFalse(self.watch.timeouts.armed)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_armed_again(self) -> None:
        first = self.watch.send()
        self.watch.streams.release(first.stream)
        self.clock.advance(5)
        second = self.watch.send()
        self.clock.advance(5)
        self.assertEqual(self.watch.expired, [(second, 10.0)])

    def test_untimed(self) -> None:
        """A request with a later deadline of its own is left alone, and hides none behind it."""
        self.watch.send(untimed=True)
        request = self.watch.send()
        self.clock.pump([1] * 20)
        self.assertEqual(self.watch.expired, [(request, 5.0)])

    def test_orphans_do_not_expire_again(self) -> None:
        self.watch.send()
        self.clock.advance(1)
        self.watch.send()
        self.clock.pump([1] * 20)
        self.assertEqual([time for _, time in self.watch.expired], [5.0, 6.0])
        self.assertEqual(self.watch.streams.orphans, 2)

    def test_others_are_met_once(self) -> None:
        """What has no read timeout is behind the others from then on: no sweep walks over it again."""
        for number in range(1000):
            request = self.watch.send(untimed=number % 2 == 0)
            if number % 2:
                self.watch.streams.orphan(request.stream, 0.0)
        timed = []
        for _ in range(10):
            timed.append(self.watch.send())
            self.clock.advance(0.25)
        self.assertEqual(list(self.watch.streams.waiting)[:2], [1, 2])
        self.clock.advance(2.5)
        for number in range(10):
            self.assertEqual([request for request, _ in self.watch.expired], timed[: number + 1])
            # The one that has just expired is an orphan by now; behind it are those to come.
            streams = [request.stream for request in timed[number:]]
            self.assertEqual(list(self.watch.streams.waiting)[: 10 - number], streams)
            self.clock.advance(0.25)

    def test_only_others(self) -> None:
        """When nothing has a read timeout, there is no timer."""
        for _ in range(3):
            self.watch.send(untimed=True)
        self.clock.advance(5)
        self.assertFalse(self.watch.timeouts.armed)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_held(self) -> None:
        """While we do not read none expires; then all that had been written has its time anew."""
        first = self.watch.send()
        self.clock.advance(4)
        self.watch.timeouts.hold()
        second = self.watch.send()
        self.clock.pump([1] * 16)
        self.assertEqual(self.watch.expired, [])
        self.watch.timeouts.go_on()
        self.watch.timeouts.go_on()
        self.clock.advance(2)
        third = self.watch.send()
        self.clock.pump([0.25] * 60)
        self.assertEqual(self.watch.expired, [(first, 25.0), (second, 25.0), (third, 27.0)])

    def test_stop(self) -> None:
        self.watch.send()
        self.watch.timeouts.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.watch.timeouts.stop()
        self.clock.advance(10)
        self.assertEqual(self.watch.expired, [])

    def test_sent_while_another_expires(self) -> None:
        """A request that is sent because one has expired gets its full time."""
        sent: list[RecordedRequest] = []
        expire = self.watch.expire

        def send_another(request: PendingRequest) -> None:
            expire(request)
            if not sent:
                sent.append(self.watch.send())

        self.watch.timeouts = ReadTimeouts(self.watch.streams, self.clock, TIMEOUT, send_another)
        self.watch.send()
        self.clock.pump([1] * 20)
        self.assertEqual(self.watch.expired[1], (sent[0], 10.0))

    @examples
    @given(
        st.floats(0.001, 100),
        st.lists(st.floats(0, 10), min_size=1, max_size=10),
        st.floats(0, 1e9),
    )
    def test_never_early_never_stuck(self, timeout: float, pauses: list[float], begin: float) -> None:
        """Times that no float holds exactly do not make the timer spin, or fire before its time."""
        watch = Watch(timeout)
        watch.clock.advance(begin)
        requests = []
        for pause in pauses:
            requests.append((watch.send(), watch.clock.seconds()))
            watch.clock.advance(pause)
        for _ in range(100):
            calls = watch.clock.getDelayedCalls()
            if not calls:
                break
            watch.clock.advance(max(0, calls[0].getTime() - watch.clock.seconds()))
        self.assertEqual([request for request, _ in watch.expired], [request for request, _ in requests])
        for (_, expired), (_, written) in zip(watch.expired, requests, strict=True):
            self.assertGreaterEqual(expired, written + timeout)
