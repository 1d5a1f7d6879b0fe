"""A day on which nodes go down again and again: links are opened when the schedule says so, and only then."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

from txcql.policies.reconnection import ConstantReconnectionPolicy, ExponentialReconnectionPolicy
from txcql.test.scriptednode import ScriptedNode, ScriptedTestCase, columns
from txcql.test.scriptedreactor import ScriptedReactor

DAY = 86_400.0
LIST = "SELECT k, v FROM t"
CONNECT_TIMEOUT = 5.0


class TimedReactor(ScriptedReactor):
    """Notes when which host was connected to.

    :ivar attempts: host -> times.
    """

    def __init__(self) -> None:
        ScriptedReactor.__init__(self)
        self.attempts: dict[str, list[float]] = {}

    def connectTCP(self, host: str, *about: Any, **options: Any) -> Any:
        self.attempts.setdefault(host, []).append(round(self.seconds(), 6))
        return ScriptedReactor.connectTCP(self, host, *about, **options)

    def run_until(self, time: float) -> None:
        """Let everything happen at the very time it is due."""
        while calls := [call.getTime() for call in self.getDelayedCalls()]:
            due = min(calls)
            if due > time:
                break
            self.advance(max(0.0, due - self.seconds()))
        self.advance(time - self.seconds())


def outages(numbers: random.Random) -> Iterator[tuple[float, float, str]]:
    """When a node goes down, when it is back, and what it does meanwhile.

    Some are over before the first wait is, some last for hours; between two of them there is always
    time for a link to prove itself.
    """
    time = numbers.uniform(30, 600)
    while True:
        length = numbers.choice((0.2, 0.9, 5.0, 30.0, 200.0, 1500.0, 9000.0)) * numbers.uniform(0.5, 1.5)
        if time + length + 200 > DAY:
            return
        yield time, time + length, numbers.choice(("refusing", "silent"))
        time += length + numbers.uniform(100, 1200)


def expected(down: float, up: float, how: str, waits: Iterator[float]) -> list[float]:
    """The times of the attempts during one outage and after it, the last of which succeeds."""
    found = [down + next(waits)]
    while found[-1] < up:
        failed = found[-1] + (CONNECT_TIMEOUT if how == "silent" else 0.0)
        found.append(failed + next(waits))
    return found


class FaultyDayTests(ScriptedTestCase):
    """One node is well, for the control connection; two are not."""

    def setUp(self) -> None:
        ScriptedTestCase.setUp(self)
        self.reactor = self.timed = TimedReactor()
        self.well = self.node("10.0.0.1")
        self.sick = [self.node("10.0.0.2"), self.node("10.0.0.3")]
        for node in (self.well, *self.sick):
            node.teach(LIST, columns=columns(k="int", v="text"), rows=[[1, "one"]])

    def plan(self, node: ScriptedNode, seed: int) -> list[tuple[float, Any]]:
        """What is done to the node, and when."""

        def go_down(how: str) -> None:
            setattr(node, how, True)
            for link in list(node.links):
                link.drop()

        def come_back() -> None:
            node.refusing = node.silent = False

        acts: list[tuple[float, Any]] = []
        for down, up, how in outages(random.Random(seed)):
            acts += [(down, lambda how=how: go_down(how)), (up, come_back)]
        return acts

    def spend_the_day(self, policy: Any) -> None:
        session = self.connect(
            reconnection=policy, connect_timeout=CONNECT_TIMEOUT, heartbeat_interval=7200.0
        )
        begin = {node.address: len(self.timed.attempts[node.address]) for node in self.sick}
        acts = [act for seed, node in enumerate(self.sick) for act in self.plan(node, seed)]
        for time, act in sorted(acts, key=lambda act: act[0]):
            self.timed.run_until(time)
            act()
            self.reactor.settle()
            # Requests go on: the well node answers.
            self.answer(session.execute(LIST))
        self.timed.run_until(DAY)
        for seed, node in enumerate(self.sick):
            found = self.timed.attempts[node.address][begin[node.address] :]
            right = [
                round(time, 6)
                for down, up, how in outages(random.Random(seed))
                for time in expected(down, up, how, iter(policy.delays()))
            ]
            self.assertGreater(len(right), 150)
            self.assertEqual(found, right)
            self.assertEqual(len(node.links), 1)
        self.assertEqual(len(self.timed.attempts[self.well.address]), 2, "control connection and pool")

    def test_exponential(self) -> None:
        """0, 1, 2, 4 … at most 60 seconds."""
        self.spend_the_day(ExponentialReconnectionPolicy())

    def test_constant(self) -> None:
        """The same wait each time."""
        self.spend_the_day(ConstantReconnectionPolicy(30.0))
