"""Whole sessions in memory, of nodes whose answers are mutated on their way."""

from __future__ import annotations

import random
import time
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import LogEvent, globalLogPublisher
from twisted.python.failure import Failure

import txcql
from txcql.errors import CQLError
from txcql.policies.reconnection import ExponentialReconnectionPolicy
from txcql.session.session import Session
from txcql.test.fuzz.mutations import mutated_body, mutated_bytes, mutated_header
from txcql.test.fuzz.wirefuzz import FRAME_LIMIT, LONGEST, Finding
from txcql.test.scriptednode import Asked, ScriptedNode, columns
from txcql.test.scriptedreactor import ScriptedLink, ScriptedReactor

__all__ = ["SessionFuzz", "fuzz_sessions"]

DEADLINE = 1.0
TEXT = "SELECT v FROM t"
INSERT = "INSERT INTO t (k, v) VALUES (?, ?)"
PAGES = "SELECT k, v FROM t"

# With DEADLINE: a link whose framing was left within a large frame is never silent, and is replaced
# when a request has been unanswered for two deadlines.
_RECOVERY = 2 * DEADLINE + 1.5


class FuzzedNode(ScriptedNode):
    """A node whose answers are mutated while it is hostile.

    :ivar chance: decides; ``None`` while the node is honest.
    """

    chance: random.Random | None = None
    rate = 0.0

    def receive(self, link: ScriptedLink, data: bytes) -> None:
        if link.seal is None:
            link.seal = self._sealed
            send = link.send
            link.send = partial(self._send, link, send)  # type: ignore[method-assign]
        try:
            ScriptedNode.receive(self, link, data)
        except CQLError:
            # A request that makes no sense follows from an answer that made none.
            link.drop()

    def _send(
        self, link: ScriptedLink, send: Any, stream: int, opcode: int, body: bytes, flags: int = 0
    ) -> None:
        """Mutate what the frame holds; its length and checksums fit."""
        chance = self.chance
        if chance is not None and link.codec is not None and chance.random() < self.rate:
            kind = chance.randrange(6)
            if kind < 3:
                body = mutated_body(body, link.codec.version, chance)
            elif kind == 3:
                opcode = chance.choice((*range(0x11), 0xFF))
            elif kind == 4:
                stream = chance.choice((stream, stream + 1, 0, -1, -2, 77))
                send(stream, opcode, body, flags)
            else:
                return
        send(stream, opcode, body, flags)

    def _sealed(self, frame: bytes) -> bytes:
        """Mutate the bytes themselves."""
        chance = self.chance
        if chance is None or chance.random() >= self.rate / 4:
            return frame
        if chance.random() < 0.5 and len(frame) >= 9:
            return mutated_header(frame, chance)
        return mutated_bytes(frame, chance)


def _pages(asked: Asked) -> None:
    state = None if asked.options.paging_state else b"second"
    found = columns(k="int", v="text")
    asked.rows(found, [[1, "one"], [2, None]], state, None, asked.options.skip_metadata)


class SessionFuzz:
    """One session, its nodes and what is asked of them.

    :param seed: of everything.
    """

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.reactor = ScriptedReactor()
        self.nodes = [self._node("10.0.0.1")]
        if self.chance.random() < 0.3:
            self.nodes.append(self._node("10.0.0.2"))
            self.nodes[0].peers.append(self.nodes[1])
            self.nodes[1].peers.append(self.nodes[0])
        self.pending: list[Any] = []
        self.session: Session | None = None

    def run(self) -> None:
        """
        :raises Exception: a defect.
        """
        connecting = self._connect()
        self._hostile(self.chance.choice((0.0, 0.05, 0.2)))
        self._advance(0.6)
        if self.session is None and not self.pending:
            self._honest()
            self._advance(8.0)
        self._hostile(self.chance.choice((0.1, 0.3, 0.8)))
        if self.session is not None:
            for _ in range(self.chance.randrange(1, 6)):
                self._ask(self.session)
                self._advance(self.chance.choice((0.0, 0.0, 0.2)))
        self._advance(DEADLINE + 0.2)
        self._honest()
        if self.session is not None:
            self._advance(0.3)
            assert not self.pending, f"{len(self.pending)} requests outlived their deadline"
            self._recover(self.session)
        self._close(connecting)

    def _node(self, address: str) -> FuzzedNode:
        login = ("app", "geheim") if self.chance.random() < 0.3 else None
        node = FuzzedNode(self.reactor, address, login=login)
        node.teach(TEXT, columns=columns(v="int"), rows=[[7]])
        node.teach(INSERT, parameters=columns(k="int", v="text"))
        node.teach(PAGES, reply=_pages)
        self.reactor.nodes[address, 9042] = node
        return node

    def _hostile(self, rate: float) -> None:
        for node in self.nodes:
            node.chance, node.rate = self.chance, rate

    def _honest(self) -> None:
        for node in self.nodes:
            node.chance = None

    def _connect(self) -> Deferred[Session]:
        connecting = txcql.connect(
            self.reactor,
            [node.address for node in self.nodes],
            protocol_version=self.chance.choice((None, 3, 4, 5)),
            username="app",
            password="geheim",
            local_datacenter="dc1",
            max_connections_local=1,
            reconnection=ExponentialReconnectionPolicy(0.1, 0.4),
            connect_timeout=0.4,
            read_timeout=0.4,
            request_timeout=DEADLINE,
            ddl_timeout=DEADLINE,
            schema_agreement_timeout=0.3,
            heartbeat_interval=0.4,
            heartbeat_timeout=0.3,
            max_frame_size=FRAME_LIMIT,
        )

        def opened(outcome: Any) -> None:
            if isinstance(outcome, Session):
                self.session = outcome
            else:
                self._check(outcome)
            self.pending.remove(connecting)

        self.pending.append(connecting)
        connecting.addBoth(opened)
        return connecting

    def _ask(self, session: Session) -> None:
        kind = self.chance.randrange(4)
        if kind == 0:
            self._wait(session.execute(TEXT))
        elif kind == 1:
            self._wait(session.execute(INSERT, [1, "one"]))
        elif kind == 2:
            self._wait(session.execute(PAGES, page_size=2))
        else:
            self._wait(Deferred.fromCoroutine(self._stream(session)))

    async def _stream(self, session: Session) -> None:
        count = 0
        async for _ in session.stream(PAGES):
            count += 1
            if count > 50:
                return

    def _wait(self, deferred: Deferred[Any]) -> None:
        def ended(outcome: Any) -> None:
            self.pending.remove(deferred)
            if isinstance(outcome, Failure):
                self._check(outcome)
            elif outcome is not None:
                try:
                    list(outcome.rows())
                except CQLError as error:
                    str(error)

        self.pending.append(deferred)
        deferred.addBoth(ended).addErrback(self._defect)

    def _check(self, failure: Failure) -> None:
        if not isinstance(failure.value, CQLError):
            self._defect(failure)

    def _defect(self, failure: Failure) -> None:
        self.defect = cast_exception(failure)

    defect: BaseException | None = None

    def _advance(self, seconds: float) -> None:
        for _ in range(max(1, round(seconds / 0.1))):
            self.reactor.advance(0.1 if seconds else 0)
            if self.defect is not None:
                raise self.defect

    def _recover(self, session: Session) -> None:
        end = self.reactor.seconds() + _RECOVERY
        if not session.pools:
            # A lie that makes sense is believed until the tables are read again: here, of a restarted node.
            for link in [link for node in self.nodes for link in node.links]:
                link.drop()
        while True:
            outcomes: list[Any] = []
            session.execute(TEXT).addBoth(outcomes.append)
            self.reactor.advance(0)
            self.reactor.advance(0)
            if outcomes and not isinstance(outcomes[0], Failure):
                try:
                    assert outcomes[0].one().v == 7
                    return
                except (CQLError, AttributeError):
                    # Answered with what a hostile answer has left behind.
                    pass
            assert self.reactor.seconds() < end, f"does not serve again: {outcomes}, {session.snapshot()}"
            self.reactor.advance(0.1)

    def _close(self, connecting: Deferred[Session]) -> None:
        if self.session is None:
            connecting.cancel()
        else:
            closed: list[Any] = []
            self.session.close().addBoth(closed.append)
            self._advance(3.0)
            assert closed == [None], f"close() gives {closed}"
        self._advance(3.0)
        assert not self.pending, "a Deferred never fired"
        left = self.reactor.getDelayedCalls()
        assert not left, f"left behind: {left}"
        links = [link for node in self.nodes for link in node.links]
        assert not links, f"{len(links)} links left open"


def cast_exception(failure: Failure) -> BaseException:
    """The exception of a failure."""
    error = failure.value
    assert isinstance(error, BaseException)
    return error


def fuzz_sessions(count: int, seed: int = 0) -> int:
    """Run sessions.

    :param count: how many.
    :param seed: of the first; the others follow.
    :returns: how many were opened.
    :raises Finding: an exception outside the tree of errors, a defect that was logged, a request without
        an end, a session that does not recover, or one that took too long.
    """
    opened = 0
    defects: list[LogEvent] = []

    def observe(event: LogEvent) -> None:
        if "log_failure" in event:
            defects.append(event)

    observer: Any = observe
    globalLogPublisher.addObserver(observer)
    try:
        for number in range(seed, seed + count):
            begun = time.process_time()
            fuzz = SessionFuzz(number)
            try:
                fuzz.run()
            except Exception as error:
                raise Finding(f"session {number}: {error!r}") from error
            if defects:
                raise Finding(f"session {number} logged {defects[0]['log_failure'].getTraceback()}")
            took = time.process_time() - begun
            if took > LONGEST:
                raise Finding(f"session {number} took {took:.2f} s")
            opened += fuzz.session is not None
    finally:
        globalLogPublisher.removeObserver(observer)
    return opened
