"""A request of the driver's own: its Deferred fires once, with the answer or the reason why there is none."""

from __future__ import annotations

import gc
from unittest import skipIf

import twisted
from twisted.internet.defer import CancelledError
from twisted.trial.unittest import SynchronousTestCase

from txcql.connection.pendingrequest import DeferredRequest, PendingRequest
from txcql.errors import ConnectionLost, CQLSyntaxError, ProtocolError
from txcql.test.links import NODE, outcome
from txcql.wire import constants, responsewriter
from txcql.wire.frames import Frame
from txcql.wire.responses import Void


class RecordingHolder:
    """A holder that notes what is withdrawn."""

    def __init__(self) -> None:
        self.withdrawn: list[PendingRequest] = []

    def withdraw(self, request: PendingRequest) -> None:
        self.withdrawn.append(request)


def answer(opcode: int, body: bytes) -> Frame:
    return Frame(0x84, 0, 1, opcode, body)


class DeferredRequestTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.request = DeferredRequest(constants.QUERY, b"body", NODE)
        self.holder = RecordingHolder()
        self.request.holder = self.holder
        self.outcome = outcome(self.request.deferred)

    def test_what_it_is(self) -> None:
        request = self.request
        self.assertEqual((request.opcode, request.flags, request.body, request.size), (7, 0, b"body", 4))
        self.assertFalse(request.untimed)

    def test_answered(self) -> None:
        """It fires with the decoded message, and is nobody's any more."""
        self.request.received(answer(constants.RESULT, responsewriter.VOID))
        self.assertEqual(self.outcome, [Void()])
        self.assertIsNone(self.request.holder)

    def test_server_error(self) -> None:
        """An ERROR is raised as what it stands for, with the server's sentence and the node."""
        body = responsewriter.error(CQLSyntaxError("line 1:0 no viable alternative"), 4)
        self.request.received(answer(constants.ERROR, body))
        (error,) = self.outcome
        self.assertIsInstance(error, CQLSyntaxError)
        self.assertEqual((str(error), error.node), ("line 1:0 no viable alternative", NODE))

    def test_answer_that_cannot_be_read(self) -> None:
        """It fails this request, and raises nothing into the link."""
        for opcode, body in ((0x44, b""), (constants.RESULT, b"\0"), (constants.RESULT, b"\0\0\0\x63")):
            request = DeferredRequest(constants.QUERY, b"", NODE)
            request.received(answer(opcode, body))
            error = self.failureResultOf(request.deferred, ProtocolError).value
            self.assertEqual(error.node, NODE)

    def test_failed(self) -> None:
        error = ConnectionLost("gone")
        self.request.failed(error)
        self.assertEqual(self.outcome, [error])
        self.assertIsNone(self.request.holder)

    def test_cancelled(self) -> None:
        """Whoever holds it hears of it once; the Deferred fails at once."""
        self.request.deferred.cancel()
        self.request.deferred.cancel()
        self.assertEqual(self.holder.withdrawn, [self.request])
        self.assertIsInstance(self.outcome[0], CancelledError)

    def test_cancelled_after_the_answer(self) -> None:
        """There is nothing left to withdraw."""
        self.request.received(answer(constants.RESULT, responsewriter.VOID))
        self.request.deferred.cancel()
        self.assertEqual(self.holder.withdrawn, [])

    def test_cancelled_while_nobody_holds_it(self) -> None:
        self.request.holder = None
        self.request.deferred.cancel()
        self.assertIsInstance(self.outcome[0], CancelledError)

    def test_application_error(self) -> None:
        """What a callback raises stays in its Deferred."""
        self.request.deferred.addCallback(lambda _: 1 / 0)
        self.request.received(answer(constants.RESULT, responsewriter.VOID))
        self.failureResultOf(self.request.deferred, ZeroDivisionError)

    @skipIf(twisted.__version__.startswith("22."), "the Deferreds of Twisted 22.10 keep their canceller")
    def test_no_garbage(self) -> None:
        """An answered request is freed by counting references, without a run of the collector."""
        gc.collect()
        gc.disable()
        try:
            for _ in range(10):
                request = DeferredRequest(constants.QUERY, b"", NODE)
                request.received(answer(constants.RESULT, responsewriter.VOID))
                del request
            self.assertEqual(gc.collect(), 0)
        finally:
            gc.enable()
