"""Long random histories of one link, beside a model of what must become of each request."""

from __future__ import annotations

import os
from collections.abc import Callable
from random import Random
from typing import cast

from hypothesis import given, strategies as st
from twisted.internet.defer import CancelledError
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from txcql.connection.pendingrequest import DeferredRequest
from txcql.errors import CQLError, RequestTimeout
from txcql.test.examples import examples
from txcql.test.links import NODE, Listener, RecordedRequest, ready_link
from txcql.wire import constants, responsewriter
from txcql.wire.frames import Frame
from txcql.wire.responses import SetKeyspace

LINKS = [(3, None), (3, "lz4"), (4, None), (4, "snappy"), (5, None), (5, "lz4")]


class Walk:
    """A random history of one link after another, beside a model of what must become of it.

    :param seed: chooses the steps.
    :ivar fired: what each Deferred fired with, by its number.
    """

    def __init__(self, seed: int, version: int, compression: str | None) -> None:
        self.clock = Clock()
        self.fired: dict[int, list[object]] = {}
        self._random = Random(seed)
        self._kind = (version, compression)
        self._asked: list[DeferredRequest] = []
        self._steps: dict[Callable[[], None], float] = {
            self.send: 60,
            self.turn: 30,
            self.answer: self._random.choice([50, 50, 15]),
            self.cancel: 4,
            self.wait: 5,
            self.pause: 1,
            self.resume: 10,
            self.hold: 1,
            self.release: self._random.choice([8, 8, 0.1]),
            self.event: 2,
            self.lose: 0.1,
        }
        self.open_link()

    def open_link(self) -> None:
        """Begin another link; nothing is left of the one before."""
        version, compression = self._kind
        self.link, self.peer = ready_link(
            self.clock,
            version,
            compression=compression,
            max_orphans_per_connection=8,
            max_requests_per_connection=40,
            response_budget=400,
            pause_limit=20,
            stream_allocation=self._random.choice(["pooled", "sequential"]),
        )
        if self._random.random() < 0.5:
            self.link.listener = Listener(link_retiring=lambda link: self.clock.callLater(1, link.let_go))
        self._busy: dict[int, int] = {}
        self._unanswered: list[Frame] = []

    def step(self) -> None:
        """One step; each kind of step comes about as often as in life, or more."""
        chosen = self._random.choices(list(self._steps), list(self._steps.values()))[0]
        chosen()
        if self.link.closed:
            self.end()
            self.open_link()

    def send(self) -> None:
        if not self.link.open:
            return
        number = len(self._asked)
        request = DeferredRequest(constants.QUERY, b"SELECT %d" % number, NODE)
        request.untimed = self._random.random() < 0.2
        self.fired[number] = []
        request.deferred.addBoth(self.fired[number].append)
        self.link.send(request)
        assert request.stream not in self._busy, "a busy id is used again"
        self._busy[request.stream] = number
        self._asked.append(request)

    def turn(self) -> None:
        self.clock.advance(0)
        self._unanswered += self.peer.requests()

    def wait(self) -> None:
        self.clock.advance(self._random.random() * 3)
        self._unanswered += self.peer.requests()

    def answer(self) -> None:
        if not self._unanswered:
            return
        frame = self._unanswered.pop(self._random.randrange(len(self._unanswered)))
        if frame.opcode == constants.OPTIONS:
            self.peer.answer(0, constants.SUPPORTED, responsewriter.supported({}))
            return
        # While the answer is held back the link keeps the id; that it is free is all the same true.
        del self._busy[frame.stream]
        self.peer.answer(frame.stream, body=responsewriter.set_keyspace(frame.body.decode()))

    def cancel(self) -> None:
        if self._asked:
            self._random.choice(self._asked[-50:]).deferred.cancel()

    def pause(self) -> None:
        self.link.pauseProducing()

    def resume(self) -> None:
        self.link.resumeProducing()

    def hold(self) -> None:
        self.link.hold_responses()

    def release(self) -> None:
        self.link.release_responses()

    def event(self) -> None:
        self.peer.answer(constants.EVENT_STREAM, constants.EVENT, b"")

    def lose(self) -> None:
        self._random.choice([self.peer.hang_up, self.link.close, lambda: self.peer.answer(30000)])()

    def end(self) -> None:
        """The link is gone: nobody waits, and no timer runs."""
        if not self.peer.transport.disconnected:
            self.link.close()
            self.peer.hang_up()
        self.clock.advance(1)
        assert (self.link.sent, self.link.request_bytes) == (0, 0), self.link
        assert self.clock.getDelayedCalls() == [], self.clock.getDelayedCalls()

    def check(self) -> None:
        """Each Deferred has fired once, with its own answer or with why there is none."""
        for number, outcomes in self.fired.items():
            (outcome,) = outcomes
            if isinstance(outcome, SetKeyspace):
                assert outcome.keyspace == f"SELECT {number}", "the answer to another request"
            else:
                assert isinstance(outcome, Failure), outcome
                assert isinstance(outcome.value, CQLError | CancelledError), outcome


class WalkTests(SynchronousTestCase):
    """Any history of a link."""

    @examples
    @given(st.integers(0, 1 << 32), st.sampled_from(LINKS))
    def test_exactly_once(self, seed: int, kind: tuple[int, str | None]) -> None:
        """No busy id is used, no Deferred lost or fired twice, no timer left, in 2,000 steps."""
        walk = Walk(seed, *kind)
        for _ in range(2000):
            walk.step()
        walk.end()
        walk.check()

    def test_late_answers(self) -> None:
        """10,000 requests time out and are answered late, among others on the ids that are free."""
        count = 10_000 if os.environ.get("TXCQL_FULL") else 500
        random = Random(7)
        for allocation in ("pooled", "sequential"):
            clock = Clock()
            link, peer = ready_link(
                clock,
                stream_allocation=allocation,
                max_orphans_per_connection=10_000,
                max_requests_per_connection=400,
                high_watermark=1.0,
                heartbeat_timeout=1e6,
            )
            late: list[Frame] = []
            timed_out = 0
            while timed_out < count:
                requests = [RecordedRequest(b"%d" % random.getrandbits(60)) for _ in range(100)]
                for request in requests:
                    link.send(request)
                clock.advance(0)
                frames = [frame for frame in peer.requests() if frame.opcode == constants.QUERY]
                random.shuffle(frames)
                answered, unanswered = frames[:30], frames[30:]
                mixed = [*late, *answered]
                random.shuffle(mixed)
                peer.send(b"".join(peer.frame(frame.stream, body=frame.body) for frame in mixed))
                clock.advance(5)
                late = unanswered
                bodies = {frame.body for frame in answered}
                for request in requests:
                    (found,) = request.outcomes
                    if request.body in bodies:
                        self.assertEqual(cast(Frame, found).body, request.body)
                    else:
                        self.assertIsInstance(found, RequestTimeout)
                        timed_out += 1
            peer.send(b"".join(peer.frame(frame.stream, body=frame.body) for frame in late))
            clock.advance(0)
            self.assertEqual((link.streams.orphans, link.closed), (0, False))
