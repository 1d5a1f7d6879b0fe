"""Property tests of flow control: the marks and limits whatever their numbers, and a random walk."""

from __future__ import annotations

import os
import random
from collections import Counter, deque
from functools import partial
from typing import Any

from hypothesis import given, strategies as st
from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure

from txcql.errors import BusyConnectionError, CQLError
from txcql.settings import Settings
from txcql.test.examples import examples
from txcql.test.scriptednode import Asked, ScriptedNode, ScriptedTestCase, columns
from txcql.test.scriptedreactor import ScriptedLink

SELECT = "SELECT v FROM t WHERE k = ?"
VALUE = columns(v="int")

STEPS = 100_000 if os.environ.get("TXCQL_FULL") else 10_000


def key_of(asked: Asked) -> int:
    return int.from_bytes(asked.request.values[0], "big")


def answer_key(asked: Asked) -> None:
    """The row of a key is the key."""
    asked.rows(VALUE, [[key_of(asked)]], skip_metadata=asked.options.skip_metadata)


class FlowTestCase(ScriptedTestCase):
    """One node, which answers each key with itself when it is told to."""

    def begin(self, **settings: Any) -> None:
        self.one: ScriptedNode = self.node()
        self.one.teach(SELECT, parameters=columns(k="int"), columns=VALUE, reply=answer_key)
        self.client = self.connect(**settings)
        self.select = self.answer(self.client.prepare(SELECT))
        (self.pool,) = self.client.pools.values()
        self.one.holds = lambda asked: True


@st.composite
def limits_of_links(draw: st.DrawFn) -> dict[str, Any]:
    """Settings, down to one request a link."""
    low, high = sorted((draw(st.floats(0.01, 1)), draw(st.floats(0.01, 1))))
    return {
        "max_requests_per_connection": draw(st.integers(1, 40)),
        "low_watermark": low,
        "high_watermark": high,
        "release": draw(st.sampled_from(("hysteresis", "continuous"))),
        "core_connections": draw(st.integers(1, 3)),
    }


class LimitTests(FlowTestCase):
    """Of so many requests at once: how many are sent, how many wait, how many are refused."""

    def setUp(self) -> None:
        """Each example has a reactor of its own."""

    def tearDown(self) -> None:
        """And ends for itself."""

    @examples
    @given(limits_of_links(), st.integers(0, 160))
    def test_at_once(self, limits: dict[str, Any], count: int) -> None:
        """Exactly as many as the high marks are sent, up to the limit is queued, the rest is refused;
        and the queue moves by the rules, in order."""
        ScriptedTestCase.setUp(self)
        self.begin(**limits)
        links = limits["core_connections"]
        settings = Settings(**{**limits, "max_connections_local": links})
        high, low = settings.high_mark, settings.low_mark
        limit = links * settings.max_requests_per_connection

        outcomes: dict[int, Any] = {}
        for key in range(count):
            self.client.execute(self.select, [key]).addBoth(partial(outcomes.__setitem__, key))
        self.reactor.settle()
        # Where the high marks are the limits, there is no queue to join once they are reached.
        sent, accepted = min(count, links * high), min(count, limit)
        self.assertEqual((self.pool.sent, len(self.pool.queue)), (sent, accepted - sent))
        self.assertEqual(sorted(outcomes), list(range(accepted, count)))
        for outcome in outcomes.values():
            self.assertIsInstance(outcome.value, BusyConnectionError)
        self.assertEqual(sorted(map(key_of, self.one.held)), list(range(sent)))

        # One answer after another; a model says what has to follow.
        flying = dict.fromkeys(self.one.links, 0)
        draining = dict.fromkeys(flying, False)
        for asked in self.one.held:
            flying[asked.link] += 1
        for link, number in flying.items():
            draining[link] = number >= high
        queue = deque(range(sent, accepted))
        while self.one.held:
            link = self.one.held[0].link
            self.one.release(1)
            self.reactor.settle()
            flying[link] -= 1
            if flying[link] < low:
                draining[link] = False
            while queue and not draining[link]:
                queue.popleft()
                flying[link] += 1
                draining[link] = flying[link] >= high
            self.assertEqual((self.pool.sent, len(self.pool.queue)), (sum(flying.values()), len(queue)))
        keys = list(map(key_of, self.one.requests[1:]))
        # What several links carry in one turn arrives link by link.
        self.assertEqual(keys if links == 1 else sorted(keys), list(range(accepted)))
        self.assertEqual([outcomes[key].one().v for key in range(accepted)], list(range(accepted)))
        ScriptedTestCase.tearDown(self)


class RandomWalkTests(FlowTestCase):
    """Requests, answers, ends of every kind, links that come and go, in any order."""

    def walk(self, seed: int, **settings: Any) -> None:
        self.random = random.Random(seed)
        # What connection_selection="random" draws from.
        random.seed(seed)
        self.begin(
            max_requests_per_connection=20,
            max_connections_local=4,
            max_orphans_per_connection=40,
            max_request_bytes=8000,
            idle_timeout=30.0,
            **settings,
        )
        self.one.holds = self.take
        self.busy: set[tuple[ScriptedLink, int]] = set()
        self.pending: dict[int, Deferred[Any]] = {}
        self.outcomes: dict[int, Any] = {}
        self.late: list[Deferred[None]] = []
        self.keys = 0
        self.seen: Counter[str] = Counter()
        self.sizes: set[int] = set()
        steps = {
            self.submit: 30,
            self.answer_some: 25,
            self.cancel: 5,
            self.wait_for_room: 2,
            self.time_passes: 4,
            self.bulk: 2,
            self.choke: 1,
            self.disconnect: 1,
            self.silence: 1,
        }
        chosen = self.random.choices(list(steps), list(steps.values()), k=STEPS // 4)
        for number, step in enumerate(chosen):
            step()
            self.reactor.settle()
            try:
                self.check()
            except AssertionError as error:
                raise AssertionError(f"seed {seed}, step {number}, {step.__name__}: {error}") from error
        self.finish()

    # The steps.

    def submit(self) -> None:
        for _ in range(self.random.choice((1, 2, 5, 30))):
            key = self.keys
            self.keys += 1
            limit = self.pool._limit
            deferred = self.client.execute(
                self.select,
                [key],
                timeout=self.random.choice((1.0, 3.0, 10.0)),
                idempotent=self.random.random() < 0.5,
                payload={"x": b"x" * self.random.choice((0, 0, 0, 500))},
            )
            if not deferred.called:
                # It was accepted, and so within the limits.
                assert self.pool.sent + len(self.pool.queue) <= limit
                assert self.pool.request_bytes <= 8000
            self.watch(key, deferred)

    def watch(self, key: int, deferred: Deferred[Any]) -> None:
        self.pending[key] = deferred
        deferred.addBoth(self.ended, key)

    def ended(self, outcome: Any, key: int) -> None:
        assert key not in self.outcomes, "fired twice"
        self.outcomes[key] = outcome
        del self.pending[key]
        if not isinstance(outcome, Failure):
            assert outcome.one().v == key, "another one's answer"
            self.seen["answered"] += 1
        elif outcome.check(CancelledError):
            self.seen["cancelled"] += 1
        else:
            assert outcome.check(CQLError), outcome
            self.seen["busy" if outcome.check(BusyConnectionError) else "failed"] += 1
        if self.pending and self.random.random() < 0.02:
            # In the middle of whatever makes requests end.
            self.cancel()
        elif self.random.random() < 0.1:
            key = self.keys
            self.keys += 1
            self.watch(key, self.client.execute(self.select, [key]))

    def answer_some(self) -> None:
        held = self.one.held
        for _ in range(min(len(held), self.random.choice((1, 3, 10, 40)))):
            asked = held.pop(self.random.randrange(len(held)) if self.random.random() < 0.3 else 0)
            self.busy.discard((asked.link, asked.stream))
            asked.reply()

    def cancel(self) -> None:
        for key in self.random.sample(list(self.pending), min(len(self.pending), 3)):
            if key in self.pending:
                self.pending[key].cancel()

    def wait_for_room(self) -> None:
        ready = self.client.when_ready()
        self.late.append(ready)
        if self.random.random() < 0.2:
            ready.addErrback(lambda failure: None)
            ready.cancel()

    def bulk(self) -> None:
        """Rows of which each is watched as if it were a request."""
        count = self.random.choice((1, 10, 50))
        keys = range(self.keys, self.keys + count)
        self.keys += count
        for key in keys:
            self.watch(key, Deferred())
        waiting = [self.pending[key] for key in keys]

        def told(number: int, outcome: Any) -> None:
            if not waiting[number].called:
                waiting[number].callback(Failure(outcome) if isinstance(outcome, Exception) else outcome)

        many = self.client.execute_many(
            self.select, ([key] for key in keys), concurrency=5, on_result=told, raise_errors=False
        )
        if self.random.random() < 0.2:
            many.addErrback(lambda failure: None)
            many.cancel()
            for deferred in waiting:
                deferred.cancel()
        else:
            self.late.append(many)

    def time_passes(self) -> None:
        self.reactor.advance(self.random.choice((0.1, 1.0, 6.0, 31.0)))

    def choke(self) -> None:
        """The transport of one link takes no more; or of all it does again."""
        links = [link for link in self.one.links if link.producer is not None]
        if links and self.random.random() < 0.4:
            self.random.choice(links).producer.pauseProducing()
        else:
            for link in links:
                link.producer.resumeProducing()

    def disconnect(self) -> None:
        self.random.choice(self.one.links).drop()

    def silence(self) -> None:
        """Nothing is asked for a while: the pool shrinks."""
        for _ in range(8):
            self.reactor.settle()
            self.release_all()
            self.reactor.advance(15.0)

    def release_all(self) -> None:
        while self.one.held:
            self.answer_some()
            self.reactor.settle()

    # What has to be so.

    def take(self, asked: Asked) -> bool:
        assert (asked.link, asked.stream) not in self.busy, "a busy stream was used again"
        self.busy.add((asked.link, asked.stream))
        return True

    def check(self) -> None:
        """After each step."""
        self.one.requests.clear()
        self.one.held = [asked for asked in self.one.held if not asked.link.closed]
        self.busy = {(link, stream) for link, stream in self.busy if not link.closed}
        pool = self.pool
        self.sizes.add(len(pool.links))
        assert pool.size <= 4, "too many links"
        for link in pool.links:
            # A heartbeat counts as sent, and goes out whatever the mark.
            heartbeat = 0 in link.streams.waiting
            assert link.sent - heartbeat <= 16, "above the high mark"
            assert link.open or link.sent >= link._low or link.paused or link.retiring, "it should be open"
        if pool.queue:
            assert not any(link.open for link in pool.links), "the queue should move"
            assert pool.links, "there is nobody whom the queue waits for"
        elif pool.room():
            assert not self.client._waiters, "who waits should be woken"
        assert pool.queue.request_bytes >= 0
        unfinished = self.client.deadlines.requests()
        assert all(request.deferred is not None for request in unfinished)
        assert self.flushLoggedErrors() == []

    def finish(self) -> None:
        """Everything is answered: nothing is left, and nothing was lost."""
        for _ in range(50):
            for link in self.one.links:
                if link.producer is not None:
                    link.producer.resumeProducing()
            self.release_all()
            self.reactor.advance(1.0)
            self.check()
            if not self.pending and not self.client.deadlines.requests():
                break
        assert not self.pending, f"never answered: {self.pending}"
        assert len(self.outcomes) == self.keys
        for late in self.late:
            self.successResultOf(late)
        self.release_all()
        self.reactor.advance(70.0)
        self.reactor.settle()
        assert (self.pool.sent, len(self.pool.queue), self.pool.request_bytes) == (0, 0, 0)
        assert len(self.client.deadlines) == 0 and not self.pool.bulk_waits
        # The walk went everywhere.
        assert min(self.seen[what] for what in ("answered", "busy", "cancelled", "failed")) > 50, self.seen
        assert self.sizes >= {2, 3, 4}, self.sizes

    def test_hysteresis(self) -> None:
        """The defaults."""
        self.walk(1)

    def test_continuous(self) -> None:
        """Each answer lets the next request out."""
        self.walk(2, release="continuous", connection_selection="round-robin")

    def test_sequential(self) -> None:
        """Stream ids one after another; a pool that grows late."""
        self.walk(3, stream_allocation="sequential", grow_at="max")

    def test_random(self) -> None:
        """A core of two links, chosen at random."""
        self.walk(4, core_connections=2, connection_selection="random")
