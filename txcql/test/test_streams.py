"""The Stream Manager: an id carries one request at a time, whatever becomes of it."""

from __future__ import annotations

from hypothesis import given, strategies as st
from twisted.trial.unittest import SynchronousTestCase

from txcql.connection.streams import HEARTBEAT, MAX_STREAMS, ORPHANED, UNKNOWN, StreamManager
from txcql.test.examples import examples
from txcql.test.links import RecordedRequest

KINDS = ("pooled", "sequential")


def fill(streams: StreamManager, count: int) -> list[int]:
    """The ids that so many requests get."""
    return [streams.register(RecordedRequest()) for _ in range(count)]


class AllocationTests(SynchronousTestCase):
    """Which id comes next."""

    def test_first_ids(self) -> None:
        """Both kinds begin at 1: id 0 is the link's own."""
        for kind in KINDS:
            self.assertEqual(fill(StreamManager(kind), 3), [1, 2, 3])

    def test_pooled_takes_the_id_freed_last(self) -> None:
        streams = StreamManager("pooled")
        fill(streams, 5)
        streams.release(2)
        streams.release(4)
        self.assertEqual(fill(streams, 3), [4, 2, 6])

    def test_sequential_goes_on(self) -> None:
        streams = StreamManager("sequential")
        fill(streams, 3)
        streams.release(1)
        streams.release(3)
        self.assertEqual(fill(streams, 2), [4, 5])

    def test_sequential_wraps_around(self) -> None:
        """Behind the highest id comes 1 again, and what is busy is skipped."""
        streams = StreamManager("sequential", limit=5)
        fill(streams, 5)
        for stream in (1, 3, 4):
            streams.release(stream)
        self.assertEqual(fill(streams, 3), [1, 3, 4])
        streams.release(2)
        streams.release(5)
        self.assertEqual(fill(streams, 2), [5, 2])

    def test_every_id(self) -> None:
        """All 32,767 ids of protocol v3 and later can be in use at once."""
        for kind in KINDS:
            streams = StreamManager(kind)
            self.assertEqual(sorted(fill(streams, MAX_STREAMS - 1)), list(range(1, 32768)))
            self.assertTrue(streams.exhausted)

    def test_exhausted(self) -> None:
        for kind in KINDS:
            streams = StreamManager(kind, limit=3)
            fill(streams, 2)
            self.assertFalse(streams.exhausted)
            fill(streams, 1)
            self.assertTrue(streams.exhausted)
            with self.assertRaisesRegex(LookupError, "all 3 streams are busy"):
                streams.register(RecordedRequest())
            streams.release(2)
            self.assertEqual(fill(streams, 1), [2])


class OutcomeTests(SynchronousTestCase):
    """What a look-up finds."""

    def setUp(self) -> None:
        self.streams = StreamManager()
        self.request = RecordedRequest()
        self.stream = self.streams.register(self.request)

    def test_waiting(self) -> None:
        self.assertIs(self.streams.release(self.stream), self.request)
        self.assertEqual(len(self.streams), 0)

    def test_orphaned(self) -> None:
        """An orphan's id is busy until its answer comes, then free."""
        self.streams.orphan(self.stream, 0.0)
        self.assertEqual((len(self.streams), self.streams.orphans), (1, 1))
        self.assertNotIn(self.stream, fill(self.streams, 3))
        self.assertIs(self.streams.release(self.stream), ORPHANED)
        self.assertEqual((len(self.streams), self.streams.orphans), (3, 0))
        self.assertEqual(fill(self.streams, 1), [self.stream])

    def test_unknown(self) -> None:
        """Ids that are not in use, never were, or are none: nothing changes."""
        self.streams.release(self.stream)
        for stream in (self.stream, 77, 0, -1, MAX_STREAMS):
            self.assertIs(self.streams.release(stream), UNKNOWN)
        self.assertEqual(fill(self.streams, 2), [1, 2])

    def test_only_what_waits_can_be_orphaned(self) -> None:
        self.streams.orphan(self.stream, 0.0)
        for stream in (self.stream, 2, 0):
            with self.assertRaisesRegex(LookupError, f"no request waits on stream {stream}"):
                self.streams.orphan(stream, 0.0)
        self.assertEqual(self.streams.orphans, 1)

    def test_oldest_first(self) -> None:
        """Requests are told in the order in which they were sent, not in that of their ids."""
        fill(self.streams, 2)
        self.streams.release(1)
        late = RecordedRequest()
        self.assertEqual(self.streams.register(late), 1)
        self.streams.orphan(2, 0.0)
        self.assertEqual([self.streams.waiting[3], late], list(self.streams.requests()))

    def test_clear(self) -> None:
        """Everything is forgotten; who waited is given out, without the orphans."""
        last = RecordedRequest()
        fill(self.streams, 1)
        self.streams.register(last)
        self.streams.orphan(2, 0.0)
        self.assertEqual(self.streams.clear(), [self.request, last])
        self.assertEqual((len(self.streams), self.streams.orphans), (0, 0))

    def test_repr(self) -> None:
        self.streams.orphan(self.stream, 0.0)
        fill(self.streams, 1)
        self.assertEqual(repr(self.streams), "<StreamManager busy=2 orphans=1>")
        self.assertEqual((repr(ORPHANED), repr(UNKNOWN)), ("ORPHANED", "UNKNOWN"))


class HeartbeatTests(SynchronousTestCase):
    """The link's own stream counts as sent; it is no request, and its id is handed to nobody."""

    def setUp(self) -> None:
        self.streams = StreamManager()

    def test_one_at_a_time(self) -> None:
        self.assertEqual((self.streams.begin_heartbeat(), self.streams.begin_heartbeat()), (True, False))
        self.assertEqual((len(self.streams), self.streams.idle), (1, True))
        self.assertEqual((self.streams.end_heartbeat(), self.streams.end_heartbeat()), (True, False))
        self.assertEqual(len(self.streams), 0)
        self.assertEqual(fill(self.streams, 2), [1, 2])

    def test_is_no_request(self) -> None:
        """It is not withdrawn, nor told of the end."""
        self.streams.begin_heartbeat()
        with self.assertRaisesRegex(LookupError, "no request waits on stream 0"):
            self.streams.orphan(0, 0.0)
        self.assertEqual(self.streams.clear(), [])
        self.assertEqual(repr(HEARTBEAT), "HEARTBEAT")

    def test_idle(self) -> None:
        """Neither an orphan nor a heartbeat waits."""
        first, second = fill(self.streams, 2)
        self.streams.begin_heartbeat()
        self.streams.orphan(first, 1.0)
        self.assertFalse(self.streams.idle)
        self.streams.release(second)
        self.assertTrue(self.streams.idle)

    def test_age_of_orphans(self) -> None:
        """Oldest first, whatever their ids; those that are answered are gone."""
        fill(self.streams, 4)
        for stream, now in ((3, 1.0), (1, 2.0), (2, 3.0)):
            self.streams.orphan(stream, now)
        self.streams.release(1)
        self.assertEqual(list(self.streams.orphaned.items()), [(3, 1.0), (2, 3.0)])

    def test_put_last(self) -> None:
        """Behind the others, in their order; all are found as before."""
        requests = [RecordedRequest() for _ in range(4)]
        for request in requests:
            self.streams.register(request)
        self.streams.put_last([1, 3])
        self.assertEqual(list(self.streams.waiting), [2, 4, 1, 3])
        self.assertEqual([self.streams.release(stream) for stream in (1, 2, 3, 4)], requests)


class WalkTests(SynchronousTestCase):
    """Any history of sending, answering and cancelling."""

    @examples
    @given(
        st.sampled_from(KINDS),
        st.integers(1, 6),
        st.lists(st.tuples(st.sampled_from("rrroa"), st.integers(0, 99))),
    )
    def test_an_id_is_never_shared(self, kind: str, limit: int, steps: list[tuple[str, int]]) -> None:
        """A busy id, orphaned or not, is handed to nobody, and each answer finds its own request."""
        streams = StreamManager(kind, limit)
        busy: dict[int, object] = {}
        for step, choice in steps:
            chosen = sorted(busy)[choice % len(busy)] if busy else None
            if step == "r" and len(busy) < limit:
                request = RecordedRequest()
                stream = streams.register(request)
                self.assertNotIn(stream, busy)
                self.assertTrue(1 <= stream <= limit)
                busy[stream] = request
            elif step == "o" and chosen is not None and busy[chosen] is not ORPHANED:
                streams.orphan(chosen, 0.0)
                busy[chosen] = ORPHANED
            elif step == "a" and chosen is not None:
                self.assertIs(streams.release(chosen), busy.pop(chosen))
            self.assertEqual(len(streams), len(busy))
            self.assertEqual(streams.exhausted, len(busy) == limit)
            self.assertEqual(streams.orphans, sum(found is ORPHANED for found in busy.values()))
