"""Tests for :mod:`txcql.session.pagingstate`."""

from __future__ import annotations

import pickle

from hypothesis import given, strategies as st
from twisted.trial.unittest import SynchronousTestCase

from txcql.session.pagingstate import PagingState, statement_digest
from txcql.test.examples import examples

DIGEST = statement_digest("SELECT * FROM t", "ks", b"")


class TokenTests(SynchronousTestCase):
    """A state as text."""

    @examples
    @given(st.binary(max_size=60), st.sampled_from([3, 4, 5]))
    def test_round_trip(self, raw: bytes, version: int) -> None:
        """Text that an address may hold, from which the same state is made."""
        state = PagingState.of(raw, version, DIGEST)
        self.assertRegex(str(state), r"^[\w-]+$")
        again = PagingState.parse(str(state))
        self.assertEqual((again, again.version, again.digest), (raw, 3 if version == 3 else 4, DIGEST))
        again.check(version, DIGEST)

    def test_it_is_bytes(self) -> None:
        """Those that the server gave; and it can be pickled."""
        state = PagingState.of(b"\0\1", 5, DIGEST)
        self.assertEqual(state, b"\0\1")
        again = pickle.loads(pickle.dumps(state))
        self.assertEqual((again, again.version, again.digest), (state, state.version, DIGEST))
        self.assertEqual(repr(state), f"<PagingState {state}>")

    def test_what_is_no_token(self) -> None:
        """Whatever has been changed in it."""
        token = str(PagingState.of(b"state", 5, DIGEST))
        other = "A" if token[5] != "A" else "B"
        for text in ("", "x", "ä", token[:-1], token + "A", token[:5] + other + token[6:], "A" * 60):
            self.assertRaisesRegex(ValueError, "is no paging state's token", PagingState.parse, text)
        self.assertRaisesRegex(TypeError, "must be a str, got b'x'", PagingState.parse, b"x")


class CheckTests(SynchronousTestCase):
    """What a state is for."""

    def test_another_statement(self) -> None:
        """Text, keyspace and values; no values are none, however they are written."""
        for other in (
            statement_digest("SELECT v FROM t", "ks", b""),
            statement_digest("SELECT * FROM t", "other", b""),
            statement_digest("SELECT * FROM t", None, b""),
            statement_digest("SELECT * FROM t", "ks", b"\0\1\0\0\0\0"),
        ):
            self.assertRaisesRegex(
                ValueError,
                "of another statement, of other values or another keyspace",
                PagingState.of(b"state", 5, DIGEST).check,
                5,
                other,
            )
        self.assertEqual(DIGEST, statement_digest("SELECT * FROM t", "ks", b"\0\0"))

    def test_qualified_names(self) -> None:
        """A table that is named with its keyspace is the same one wherever the session is."""
        for text in ("SELECT * FROM ks.t", 'select * from "K s" . t', "SELECT a FROM\nks.t WHERE k = 1"):
            self.assertEqual(statement_digest(text, "one", b""), statement_digest(text, None, b""), text)

    def test_another_version(self) -> None:
        """Version 3 has states of its own."""
        old = PagingState.of(b"state", 3, DIGEST)
        self.assertRaisesRegex(
            ValueError, "made with protocol v3, and this session speaks v5", old.check, 5, DIGEST
        )
        new = PagingState.of(b"state", 5, DIGEST)
        new.check(4, DIGEST)
        self.assertRaisesRegex(ValueError, "made with protocol v4 or v5, and this", new.check, 3, DIGEST)
