"""The fuzzer: it runs, it bites, and what it has found stays mended.

Some inputs here, in each run of the unit tests; a twentieth of the full counts, or all of them, in
:mod:`txcql.test.live.live_fuzz`; and hours of it by hand.
"""

from __future__ import annotations

import tracemalloc
from unittest import mock

from twisted.trial.unittest import SynchronousTestCase

from txcql.connection import ownstream
from txcql.session.request import Request
from txcql.test.fuzz import wirefuzz
from txcql.test.fuzz.corpus import envelopes
from txcql.test.fuzz.sessionfuzz import fuzz_sessions
from txcql.test.fuzz.wirefuzz import FRAME_LIMIT, Finding, fuzz_wire
from txcql.wire.responses import decode_response

WIRE_INPUTS = 2000
SESSIONS = 40


class FuzzTests(SynchronousTestCase):
    """A short run of both."""

    def test_corpus(self) -> None:
        """What mutations begin with can be read; what was captured is of v5."""
        for envelope in envelopes(5):
            decode_response(envelope.opcode, envelope.body, 5, envelope.flags)
        for version in (3, 4):
            self.assertGreater(len(envelopes(version)), 30)

    def test_wire(self) -> None:
        """Most inputs have frames in them: they get behind the framing."""
        self.assertGreater(fuzz_wire(WIRE_INPUTS), WIRE_INPUTS)

    def test_memory(self) -> None:
        """Inputs claim what they like; nothing is allocated for that."""
        tracemalloc.start()
        try:
            fuzz_wire(200, 1_000_000)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        self.assertLess(peak, 2 * FRAME_LIMIT)

    def test_sessions(self) -> None:
        """Half of them are opened at least, in spite of all."""
        self.assertGreater(fuzz_sessions(SESSIONS), SESSIONS // 2)


class BiteTests(SynchronousTestCase):
    """A defect is found."""

    def test_wire(self) -> None:
        """An exception outside the tree, with the seed that brings it about."""
        with mock.patch.object(wirefuzz, "decode_response", side_effect=KeyError("planted")):
            error = self.assertRaises(Finding, fuzz_wire, 100, 5000)
        self.assertRegex(str(error), r"^wire input 50\d\d: KeyError\('planted'\)$")

    def test_slow(self) -> None:
        """An input that takes too long."""
        with mock.patch.object(wirefuzz, "LONGEST", 0.0):
            error = self.assertRaises(Finding, fuzz_wire, 1, 7)
        self.assertRegex(str(error), "^wire input 7 took ")

    def test_session_that_does_not_recover(self) -> None:
        """Here, because no answer is ever read again."""
        with mock.patch.object(ownstream.OwnStream, "ask", side_effect=KeyError("planted")):
            error = self.assertRaises(Finding, fuzz_sessions, 20)
        self.assertIn("planted", str(error))
        self.flushLoggedErrors()

    def test_request_without_end(self) -> None:
        """Nobody tells it."""
        with mock.patch.multiple(Request, failed=mock.DEFAULT, expire=mock.DEFAULT):
            error = self.assertRaises(Finding, fuzz_sessions, 40)
        self.assertIn("outlived their deadline", str(error))
        self.flushLoggedErrors()
