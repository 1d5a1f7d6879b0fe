"""Requests as a server reads them: what is wrong is refused, in Cassandra's words where they are known."""

from __future__ import annotations

import contextlib

from hypothesis import given, settings, strategies as st
from twisted.trial.unittest import SynchronousTestCase

from txcql.errors import ProtocolError
from txcql.wire import constants, requestreader, requests
from txcql.wire.primitives import write_bytes, write_bytes_map, write_string
from txcql.wire.requestreader import read_request
from txcql.wire.requests import BatchItem, QueryOptions
from txcql.wire.values import UNSET


def query(version: int, flags: int, rest: bytes, consistency: int = 1) -> bytes:
    size = 4 if version >= 5 else 1
    text = b"\0\0\0\1x"
    return text + consistency.to_bytes(2, "big") + flags.to_bytes(size, "big") + rest


class RequestReaderTests(SynchronousTestCase):
    """:func:`read_request`."""

    def assert_refused(self, sentence: str, opcode: int, body: bytes, version: int, flags: int = 0) -> None:
        error = self.assertRaises(ProtocolError, read_request, opcode, body, version, flags)
        self.assertIn(sentence, str(error))

    def test_unknown_opcode(self) -> None:
        """An opcode that no client sends."""
        for opcode in (constants.READY, constants.RESULT, 4, 0x77):
            self.assert_refused("opcode", opcode, b"", 4)

    def test_payload(self) -> None:
        """A custom payload is skipped; v3 has none."""
        body = write_bytes_map({"a": b"b"}) + requests.prepare(4, "x")
        found = read_request(constants.PREPARE, body, 4, constants.FLAG_PAYLOAD)
        self.assertEqual(found, requestreader.Prepare("x", None))
        self.assert_refused("CUSTOM_PAYLOAD", constants.PREPARE, body, 3, constants.FLAG_PAYLOAD)

    def test_event_types(self) -> None:
        """An event type that does not exist."""
        body = requests.register(["NOPE"])
        self.assert_refused("Invalid value 'NOPE' for Type", constants.REGISTER, body, 4)

    def test_value_lengths(self) -> None:
        """-2 is unset, lower ones are wrong; v3 takes all of them for null."""
        for length in (-1, -2, -3, -(1 << 31)):
            body = query(4, constants.QUERY_VALUES, b"\0\1" + length.to_bytes(4, "big", signed=True))
            if length < -2:
                self.assert_refused(f"Invalid ByteBuf length {length}", constants.QUERY, body, 4)
            else:
                found = read_request(constants.QUERY, body, 4)
                assert isinstance(found, requestreader.Query)
                self.assertEqual(found.values, [None if length == -1 else UNSET])
            found = read_request(constants.QUERY, body, 3)
            assert isinstance(found, requestreader.Query)
            self.assertEqual(found.values, [None])

    def test_named_values(self) -> None:
        """Values by name; the first of a name counts."""
        pairs = [("a", b"1"), ("b", None), ("a", b"2")]
        rest = b"\0\3" + b"".join(write_string(name) + write_bytes(value) for name, value in pairs)
        for version in (3, 4, 5):
            body = query(version, constants.QUERY_VALUES | constants.QUERY_NAMES, rest)
            found = read_request(constants.QUERY, body, version)
            assert isinstance(found, requestreader.Query)
            self.assertEqual(found.values, {"a": b"1", "b": None})

    def test_unknown_flags(self) -> None:
        """Bits that mean nothing are ignored."""
        found = read_request(constants.QUERY, query(5, 0x8000, b""), 5)
        self.assertEqual(found, requestreader.Query("x", (), QueryOptions(1)))

    def test_consistency(self) -> None:
        """A level that does not exist."""
        body = query(4, 0, b"", consistency=11)
        self.assert_refused("Unknown code 11 for a consistency level", constants.QUERY, body, 4)

    def test_page_size(self) -> None:
        """A page holds at least one row; a negative size means no pages."""
        body = query(4, constants.QUERY_PAGE_SIZE, bytes(4))
        self.assert_refused("The page size cannot be 0", constants.QUERY, body, 4)
        found = read_request(constants.QUERY, query(4, constants.QUERY_PAGE_SIZE, b"\xff" * 4), 4)
        assert isinstance(found, requestreader.Query)
        self.assertEqual(found.options.page_size, -1)

    def test_timestamp(self) -> None:
        """The one timestamp that is no timestamp."""
        body = query(4, constants.QUERY_TIMESTAMP, b"\x80" + bytes(7))
        self.assert_refused("Out of bound timestamp", constants.QUERY, body, 4)

    def test_batches(self) -> None:
        """Kinds of batches and of their statements; values cannot have names."""
        self.assert_refused("Invalid BATCH message type 3", constants.BATCH, b"\3\0\0\0\1\0", 4)
        self.assert_refused("Must be 0 or 1 but got 2", constants.BATCH, b"\0\0\1\2", 4)
        self.assert_refused("names", constants.BATCH, b"\0\0\0\0\1" + bytes((constants.QUERY_NAMES,)), 4)

    def test_cut_anywhere(self) -> None:
        """A body that ends too early is refused, wherever it ends."""
        options = QueryOptions(1, 8, 10, b"state", 5, "ks", 7, True)
        head, tail = requests.query_parts(5, "text", options, True)
        values = b"\0\2" + write_bytes(b"abc") + write_bytes(None)
        execute_head, _ = requests.execute_parts(5, b"id", b"metadata", options, True)
        batch_options = options._replace(page_size=None, paging_state=None)
        items = [BatchItem("text", values), BatchItem(b"id", values)]
        for opcode, body in (
            (constants.QUERY, head + values + tail),
            (constants.EXECUTE, execute_head + values + tail),
            (constants.PREPARE, requests.prepare(5, "text", "ks")),
            (constants.BATCH, requests.batch(5, "logged", items, batch_options)),
            (constants.STARTUP, requests.startup({"A": "b"})),
            (constants.REGISTER, requests.register(["STATUS_CHANGE"])),
            (constants.AUTH_RESPONSE, requests.auth_response(b"token")),
        ):
            read_request(opcode, body, 5)
            for size in range(len(body)):
                self.assertRaises(ProtocolError, read_request, opcode, body[:size], 5)

    @settings(deadline=None)
    @given(
        opcode=st.sampled_from([0x01, 0x05, 0x07, 0x09, 0x0A, 0x0B, 0x0D, 0x0F]),
        body=st.binary(max_size=200),
        version=st.sampled_from([3, 4, 5]),
        flags=st.sampled_from([0, 4]),
    )
    def test_anything(self, opcode: int, body: bytes, version: int, flags: int) -> None:
        """Whatever arrives is a request or a protocol error, nothing else."""
        with contextlib.suppress(ProtocolError):
            read_request(opcode, body, version, flags)
