"""What a hostile server can make of its bytes: bounded memory, bounded time, and an error that says why."""

from __future__ import annotations

import struct
import time
import tracemalloc
from collections.abc import Callable
from decimal import Decimal
from typing import Any
from uuid import UUID

from twisted.trial.unittest import SynchronousTestCase

from txcql.errors import CQLError, DecodeError, ProtocolError, ServerError
from txcql.session.responsehandler import DecoderCache
from txcql.wire import constants, responsewriter
from txcql.wire.collectiontypes import MapType, SetType
from txcql.wire.metadata import Column
from txcql.wire.primitives import write_bytes, write_short_bytes, write_string
from txcql.wire.responses import (
    MAX_COLUMNS,
    MAX_METADATA,
    MAX_PAGING_STATE,
    KnownMetadata,
    Rows,
    decode_response,
)
from txcql.wire.rows import RowDecoder
from txcql.wire.scalars import DECIMAL, INT, SCALARS, VARINT
from txcql.wire.typeoptions import MAX_TYPES, read_option, read_type
from txcql.wire.usercodecs import CodecRegistry

SHORT = struct.Struct(">H").pack
INTEGER = struct.Struct(">i").pack

FRAME_LIMIT = 16 * 1024 * 1024
"""What a link may hold at most; twice as much is what reading may take."""

LONGEST = 5.0
"""Seconds of the processor: nothing here takes one without tracemalloc."""


def bounded(read: Callable[..., Any], *arguments: Any) -> Any:
    """What a call gives, or the error that it raises, once it is seen that it was cheap."""
    tracemalloc.start()
    began = time.process_time()
    try:
        outcome = read(*arguments)
    except CQLError as error:
        outcome = error
    finally:
        took = time.process_time() - began
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert took < LONGEST, f"{took} s"
    assert peak < 2 * FRAME_LIMIT, f"{peak} bytes"
    return outcome


def rows_body(
    columns: bytes, count: int, rows: bytes = b"", row_count: int = 0, paging: bytes = b""
) -> bytes:
    """The body of a RESULT Rows whose column specs are given, with one table for all of them."""
    flags = constants.ROWS_GLOBAL_TABLE | (constants.ROWS_MORE_PAGES if paging else 0)
    table = write_string("ks") + write_string("t") if count else b""
    head = INTEGER(constants.RESULT_ROWS) + INTEGER(flags) + INTEGER(count) + paging
    return head + table + columns + INTEGER(row_count) + rows


def read(body: bytes, opcode: int = constants.RESULT, flags: int = 0, version: int = 5) -> Any:
    """What an answer says, read within bounds."""
    return bounded(lambda: decode_response(opcode, body, version, flags))


class MetadataTests(SynchronousTestCase):
    """Columns and their types."""

    def test_too_many_columns(self) -> None:
        """However small they are."""
        count = MAX_COLUMNS + 1
        error = read(rows_body(b"\0\0\0\x09" * count, count))
        self.assertIsInstance(error, ProtocolError)
        self.assertEqual(str(error), f"{count} columns are over the limit of {MAX_COLUMNS}")

    def test_as_many_as_there_may_be(self) -> None:
        """They are read, and so are their rows."""
        row = INTEGER(4) + INTEGER(7)
        found = read(rows_body(b"\0\0\0\x09" * 2000, 2000, row * 2000, 1))
        assert isinstance(found, Rows)
        (values,) = bounded(getattr, found, "rows")
        self.assertEqual(set(values), {7})

    def test_more_than_there_are_bytes(self) -> None:
        """A count alone makes nothing be allocated."""
        for count in (-1, 2**31 - 1, 1000):
            self.assertIsInstance(read(rows_body(b"\0\0\0\x09", count)), ProtocolError)

    def test_too_many_bytes(self) -> None:
        """Names of the greatest length."""
        column = write_string("n" * 65535) + SHORT(9)
        error = read(rows_body(column * 20, 20))
        self.assertEqual(str(error), f"metadata of more than {MAX_METADATA} bytes")

    def test_names_that_grow(self) -> None:
        """A letter whose compatible form has eighteen."""
        column = write_string("\ufdfa" * 20000) + SHORT(9)
        found = read(rows_body(column * 17, 17, INTEGER(-1) * 17, 1))
        (row,) = bounded(getattr, found, "rows")
        self.assertLess(max(map(len, row._fields)), 5000)

    def test_too_many_types(self) -> None:
        """Inside one column, in the protocol's spelling and in the server's."""
        tuples = SHORT(0x31) + SHORT(40000) + SHORT(9) * 40000
        two = SHORT(0x31) + SHORT(2) + tuples * 2
        error = bounded(lambda: read_type(two, 5))
        self.assertEqual(str(error), f"metadata of more than {MAX_TYPES} types")
        name = f"TupleType({','.join('a' * 32000)})"
        custom = SHORT(0) + write_string(name)
        three = SHORT(0x31) + SHORT(3) + custom * 3
        error = bounded(lambda: read_type(three, 5))
        self.assertEqual(str(error), f"metadata of more than {MAX_TYPES} types")

    def test_too_many_types_in_all(self) -> None:
        """Over all columns."""
        column = write_string("") + SHORT(0x31) + SHORT(1000) + SHORT(9) * 1000
        error = read(rows_body(column * 66, 66))
        self.assertEqual(str(error), f"metadata of more than {MAX_TYPES} types")

    def test_nested_too_deep(self) -> None:
        """Nothing recurses without a bound, in either spelling."""
        for kind in (0x20, 0x22):
            error = read(rows_body(write_string("c") + SHORT(kind) * 100_000, 1))
            self.assertEqual(str(error), "a type is nested deeper than 64")
        name = "org.apache.cassandra.db.marshal.ListType(" * 1500
        error = read(rows_body(write_string("c") + SHORT(0) + write_string(name), 1))
        self.assertEqual(str(error), "a type is nested deeper than 64")

    def test_sets_in_sets(self) -> None:
        """Each of them needs hashable elements: that costs no more the deeper they are."""
        chain = SHORT(0x22) * 63 + SHORT(9)
        maps = (SHORT(0x21) + SHORT(9)) * 63 + SHORT(9)
        keys = SHORT(0x21) * 63 + SHORT(9) * 64
        count = 60
        for types in (chain, maps, keys):
            body = b"".join(write_string(f"c{number}") + types for number in range(count))
            found = read(rows_body(body, count))
            assert isinstance(found, Rows)
            bounded(getattr, found, "rows")

    def test_a_long_name_deep_inside(self) -> None:
        """A type does not keep the names of those inside it."""
        custom = SHORT(0) + write_string("x" * 60000)
        found = read(rows_body((write_string("c") + SHORT(0x20) * 60 + custom) * 16, 16))
        assert isinstance(found, Rows)

    def test_thousands_of_user_types(self) -> None:
        """No class is made for a type of which there is no value."""
        fields = b"".join(
            SHORT(0x30) + write_string("k") + write_string(f"u{n}") + SHORT(1) + write_string("f") + SHORT(9)
            for n in range(5000)
        )
        found = read(rows_body(write_string("c") + SHORT(0x31) + SHORT(5000) + fields, 1))
        assert isinstance(found, Rows)

    def test_huge_vector(self) -> None:
        """The number of elements is no number of bytes."""
        name = f"org.apache.cassandra.db.marshal.VectorType(Int32Type , {2**31 - 1})"
        kind = bounded(lambda: read_type(SHORT(0) + write_string(name), 5))
        self.assertIsInstance(bounded(lambda: kind.decode(b"\0" * 4000)), DecodeError)

    def test_parentheses(self) -> None:
        """Parentheses without an end."""
        for name in ("(" * 60000, "a(" * 30000, "a(" + "b," * 30000, "UserType(ks," + "00," * 20000):
            outcome = bounded(read_option, SHORT(0) + write_string(name), 0, 5)
            self.assertIsInstance(outcome, DecodeError)

    def test_paging_state(self) -> None:
        """It would be sent back."""
        huge = write_bytes(b"p" * (MAX_PAGING_STATE + 1))
        error = read(rows_body(b"", 0, paging=huge))
        self.assertIn(f"a paging state of {MAX_PAGING_STATE + 1} bytes", str(error))
        found = read(rows_body(b"", 0, paging=write_bytes(b"p" * MAX_PAGING_STATE)))
        self.assertEqual(len(found.paging_state), MAX_PAGING_STATE)

    def test_what_is_kept(self) -> None:
        """Decoders are kept by the bytes of their metadata, as well as by their number."""
        cache = DecoderCache(CodecRegistry(), most=1000)
        columns = (Column("ks", "t", "c", INT),)

        def metadata(size: int, number: int) -> KnownMetadata:
            return KnownMetadata(b"%d" % number + b"m" * size, True, columns)

        kept = cache.decoder(metadata(100, 1), "named")
        self.assertIs(cache.decoder(metadata(100, 1), "named"), kept)
        for number in range(2, 30):
            cache.decoder(metadata(100, number), "named")
        self.assertLess(len(cache._decoders), 10)
        large = cache.decoder(metadata(2000, 1), "named")
        self.assertIsNot(cache.decoder(metadata(2000, 1), "named"), large)


class RowTests(SynchronousTestCase):
    """Rows that are not what their metadata says."""

    def test_more_rows_than_bytes(self) -> None:
        """A count alone makes nothing be allocated; rows without columns are none."""
        column = write_string("c") + SHORT(9)
        for columns, count, rows in ((column, 1, 2**31 - 1), (column, 1, -1), (b"", 0, 2**31 - 1)):
            self.assertIsInstance(read(rows_body(columns, count, b"\0" * 99, rows)), ProtocolError)
        found = read(rows_body(b"", 0, b"\0" * 99, 5))
        self.assertIsInstance(bounded(getattr, found, "rows"), DecodeError)

    def test_wide_rows(self) -> None:
        """No code is compiled for thousands of columns; their errors are named all the same."""
        columns = [Column("ks", "t", f"c{number}", INT) for number in range(5000)]
        cell = INTEGER(4) + INTEGER(7)
        for row_factory in ("named", "tuple", "dict"):
            decoder = bounded(RowDecoder, columns, row_factory)
            row, end = decoder.decode(cell * 5000, 0)
            self.assertEqual((len(row), end), (5000, 40000))
            self.assertEqual(decoder.skip(cell * 5000, 0), 40000)
            error = self.assertRaises(DecodeError, decoder.decode, cell * 4999 + INTEGER(3) + b"abc", 0)
            self.assertIn('column "c4999" (int)', str(error))
        self.assertEqual(decoder.columns_data(cell * 5000, 0, 1, range(5000)), [[7]] * 5000)

    def test_claims_of_collections(self) -> None:
        """Every count and length inside a value is compared with its end first."""
        claims = [INTEGER(2**31 - 1), INTEGER(-1), INTEGER(2) + INTEGER(2**31 - 1), INTEGER(1) + INTEGER(5)]
        kinds: tuple[Any, ...] = (SetType(INT), MapType(INT, INT), SetType(SetType(INT)))
        for kind in kinds:
            for claim in claims:
                self.assertIsInstance(bounded(kind.decode, claim), DecodeError)

    def test_chosen_hashes(self) -> None:
        """Numbers of one hash would make a set of them quadratic: they are refused."""
        step = (1 << 61) - 1
        numbers = [number * step for number in range(1, 2000)]
        cells: dict[Any, list[Any]] = {
            VARINT: [VARINT.encode(number) for number in numbers],
            DECIMAL: [DECIMAL.encode(Decimal(number)) for number in numbers],
            SCALARS["uuid"]: [UUID(int=number).bytes for number in numbers],
        }
        for kind, found in cells.items():
            data = INTEGER(len(found)) + b"".join(map(write_bytes, found))
            pairs = INTEGER(len(found)) + b"".join(write_bytes(cell) + INTEGER(-1) for cell in found)
            for codec, value in ((SetType(kind), data), (MapType(kind, INT), pairs)):
                error = bounded(codec.decode, value)
                self.assertIn("elements with the same hash", str(error))
            row = write_bytes(data)
            decoder = RowDecoder([Column("ks", "t", "c", SetType(kind))])
            error = bounded(decoder.decode, row, 0)
            self.assertIn("elements with the same hash", str(error))

    def test_honest_hashes(self) -> None:
        """What is not chosen is read."""
        for name in ("varint", "decimal", "uuid", "text", "bigint"):
            kind = SCALARS[name]
            make: Any = {"uuid": lambda n: UUID(int=n), "text": str, "decimal": Decimal}.get(name, int)
            value = {make(number) for number in range(5000)}
            codec = SetType(kind)
            self.assertEqual(codec.decode(codec.encode(value)), value)

    def test_megabytes_of_digits(self) -> None:
        """The time grows little faster than the number."""
        data = b"\x7f" * (1 << 20)
        self.assertEqual(bounded(lambda: VARINT.decode(data)).bit_length(), (8 << 20) - 1)
        small = b"\0\0\0\0" + b"\x7f" * 20000
        self.assertEqual(bounded(lambda: DECIMAL.decode(small)).adjusted(), 48164)


class MessageTests(SynchronousTestCase):
    """The other messages."""

    def assertBroken(self, body: bytes, opcode: int, flags: int = 0) -> ProtocolError:
        error = read(body, opcode, flags)
        self.assertIsInstance(error, ProtocolError)
        assert isinstance(error, ProtocolError)
        return error

    def test_opcodes(self) -> None:
        """Those of requests, and those of nothing, are refused."""
        answers = {0x00, 0x02, 0x03, 0x06, 0x08, 0x0C, 0x0E, 0x10}
        for opcode in set(range(256)) - answers:
            self.assertIn(f"the opcode 0x{opcode:02X}", str(self.assertBroken(b"", opcode)))

    def test_cut_short(self) -> None:
        """Every beginning of a message."""
        option = write_string("CQL_VERSION") + SHORT(1) + write_string("3.4.7")
        for opcode, body in (
            (constants.SUPPORTED, SHORT(1) + option),
            (constants.AUTHENTICATE, write_string("org.apache.Authenticator")),
            (constants.AUTH_CHALLENGE, write_bytes(b"challenge")),
            (constants.ERROR, INTEGER(0x1000) + write_string("no") + SHORT(1) + INTEGER(2) + INTEGER(1)),
            (
                constants.EVENT,
                write_string("STATUS_CHANGE") + write_string("UP") + b"\4\x7f\0\0\1" + INTEGER(1),
            ),
        ):
            self.assertNotIsInstance(read(body, opcode), ProtocolError)
            for end in range(len(body)):
                self.assertBroken(body[:end], opcode)

    def test_counts(self) -> None:
        """As many as a [short] can say, in a body that has none of them."""
        self.assertBroken(SHORT(65535), constants.SUPPORTED)
        for flag in (constants.FLAG_WARNING, constants.FLAG_PAYLOAD):
            self.assertBroken(SHORT(65535), constants.RESULT, flag)
        failures = INTEGER(0x1300) + write_string("") + SHORT(1) + INTEGER(0) * 2 + INTEGER(2**31 - 1)
        self.assertBroken(failures, constants.ERROR)

    def test_texts_that_are_none(self) -> None:
        """Bytes that are not UTF-8, surrogates among them."""
        for text in (b"\xff", b"\xed\xa0\x80", b"\xc0\x80", b"a\xe2\x82"):
            self.assertIn(
                "not UTF-8", str(self.assertBroken(write_short_bytes(text), constants.AUTHENTICATE))
            )
            self.assertBroken(INTEGER(0) + write_short_bytes(text), constants.ERROR)

    def test_unknown_error(self) -> None:
        """A code that nobody knows is an error of the server all the same; so is an unknown consistency."""
        for code in (0x7777, -1, 2**31 - 1, -(2**31)):
            self.assertIsInstance(read(INTEGER(code) + write_string("what?"), constants.ERROR), ServerError)
        body = INTEGER(0x1000) + write_string("no") + SHORT(0xFFFF) + INTEGER(-2) + INTEGER(-1)
        self.assertIsInstance(read(body, constants.ERROR), ServerError)

    def test_nonsense_events(self) -> None:
        """Types, addresses and ports that make no sense."""
        inet = b"\4\x7f\0\0\1"
        for body in (
            write_string("WEATHER_CHANGE"),
            write_string("STATUS_CHANGE") + write_string("UP") + b"\5\x7f\0\0\1\1" + INTEGER(9042),
            write_string("TOPOLOGY_CHANGE") + write_string("NEW_NODE"),
            write_string("SCHEMA_CHANGE") + write_string("CREATED"),
        ):
            self.assertBroken(body, constants.EVENT)
        odd = write_string("STATUS_CHANGE") + write_string("SIDEWAYS") + inet + INTEGER(-5)
        self.assertEqual(read(odd, constants.EVENT).change.port, -5)

    def test_prepared(self) -> None:
        """Positions of the partition key that no parameter has."""
        head = INTEGER(constants.RESULT_PREPARED) + write_short_bytes(b"id") * 2 + INTEGER(1)
        for counts in (
            INTEGER(2) + INTEGER(1) + SHORT(2),
            INTEGER(0) + INTEGER(1) + SHORT(0),
            INTEGER(1) + INTEGER(-1),
            INTEGER(2**31 - 1) + INTEGER(2**31 - 1),
        ):
            self.assertBroken(head + counts + b"\0" * 50, constants.RESULT)

    def test_unknown_result(self) -> None:
        for kind in (0, 6, -1, 2**31 - 1):
            self.assertIn(f"kind {kind}", str(self.assertBroken(INTEGER(kind), constants.RESULT)))

    def test_trailing_bytes(self) -> None:
        """They are legal, and of no concern."""
        self.assertNotIsInstance(read(responsewriter.VOID + b"\0" * 1000, constants.RESULT), ProtocolError)
