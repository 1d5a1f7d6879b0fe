"""Exchanges with a real node, captured byte by byte: both halves of the codec against them.

``C`` is what a client sends, ``S`` what the server answers.
"""

from __future__ import annotations

import ipaddress
import uuid

from twisted.trial.unittest import SynchronousTestCase

from txcql import errors
from txcql.wire import constants, requestreader, requests, responses, responsewriter
from txcql.wire.events import SchemaChange, StatusChange
from txcql.wire.frames import Frame, FrameCodec
from txcql.wire.primitives import Reader, write_bytes, write_string
from txcql.wire.requests import BatchItem, QueryOptions
from txcql.wire.responses import decode_response

ONE = QueryOptions(1)
SELECT = "SELECT key FROM system.local"
LOCAL_KEY = "000000020000000100000001000673797374656d00056c6f63616c00036b6579000d00000001000000056c6f63616c"
STATEMENT_ID = bytes.fromhex("329c5f00373447de42b7dd4a58678b1f")
METADATA_ID = bytes.fromhex("37a03ddd2d116ac86e4d90b0ee45acd1")


def unhex(text: str) -> bytes:
    return bytes.fromhex("".join(text.split()))


class ExchangeTestCase(SynchronousTestCase):
    """What each exchange is checked by."""

    def frame(self, codec: FrameCodec, text: str) -> Frame:
        """The one frame of a captured stream, which leaves nothing behind."""
        codec.receive(unhex(text))
        frame = codec.next_frame()
        assert frame is not None
        self.assertIsNone(codec.next_frame())
        self.assertEqual(codec.buffered, 0)
        return frame

    def request(self, codec: FrameCodec, text: str) -> requestreader.Request:
        """The request of a captured stream."""
        frame = self.frame(codec, text)
        return requestreader.read_request(frame.opcode, frame.body, frame.version, frame.flags)

    def response(self, codec: FrameCodec, text: str) -> responses.Message | errors.ServerError:
        """The message of a captured stream."""
        frame = self.frame(codec, text)
        self.assertTrue(frame.version & constants.RESPONSE)
        return decode_response(frame.opcode, frame.body, frame.version, frame.flags)

    def assert_sent(self, sent: bytes, text: str) -> None:
        self.assertEqual(sent.hex(), unhex(text).hex())


class PlainTests(ExchangeTestCase):
    """v3 and v4 without compression."""

    def test_select(self) -> None:
        """STARTUP, READY, QUERY, one row."""
        for version in (3, 4):
            v, s = f"{version:02x}", f"{version | 0x80:02x}"
            codec = FrameCodec(version)
            startup = v + "00000101000000160001000b43514c5f56455253494f4e0005332e302e30"
            sent = codec.encode_frame(1, constants.STARTUP, requests.startup({"CQL_VERSION": "3.0.0"}))
            self.assert_sent(sent, startup)
            self.assertEqual(self.request(codec, startup), requestreader.Startup({"CQL_VERSION": "3.0.0"}))
            self.assertIsInstance(self.response(codec, s + "0000010200000000"), responses.Ready)
            query = v + "00000207000000230000001c" + SELECT.encode().hex() + "000100"
            body = b"".join(requests.query_parts(version, SELECT, ONE, False))
            self.assert_sent(codec.encode_frame(2, constants.QUERY, body), query)
            self.assertEqual(self.request(codec, query), requestreader.Query(SELECT, (), ONE))
            answer = self.response(codec, s + "000002080000002f" + LOCAL_KEY)
            self.check_rows(answer)

    def check_rows(self, answer: object) -> None:
        assert isinstance(answer, responses.Rows)
        self.assertEqual([tuple(row) for row in answer.rows], [("local",)])
        assert answer.columns is not None
        (column,) = answer.columns
        self.assertEqual((column.keyspace, column.table, column.name), ("system", "local", "key"))
        for version in (3, 4, 5):
            header = responsewriter.rows_header(responsewriter.column_specs(answer.columns, version))
            self.assertEqual(responsewriter.rows(header, [[b"local"]]), unhex(LOCAL_KEY))


class CompressedTests(ExchangeTestCase):
    """v4 with LZ4 and Snappy."""

    def test_lz4(self) -> None:
        """The READY is compressed already, and grows by it."""
        codec = FrameCodec(4, "lz4")
        startup = (
            "0400000101000000280002000b43514c5f56455253494f4e0005332e302e30"
            "000b434f4d5052455353494f4e00036c7a34"
        )
        body = requests.startup({"CQL_VERSION": "3.0.0", "COMPRESSION": "lz4"})
        self.assert_sent(FrameCodec(4).encode_frame(1, constants.STARTUP, body), startup)
        self.assertIsInstance(self.response(codec, "840100010200000005 00000000 00"), responses.Ready)
        asked = self.request(
            codec,
            "040100020700000029 00000023 f0140000001c53454c454354206b65792046524f4d20737973"
            "74656d2e6c6f63616c000100",
        )
        self.assertEqual(asked, requestreader.Query(SELECT, (), ONE))
        answer = self.frame(
            codec,
            "840100020800000031 0000002f 8100000002000000010400f1060673797374656d00056c6f63616c"
            "00036b6579000d1a00800000056c6f63616c",
        )
        self.assertEqual(answer.body, unhex(LOCAL_KEY))

    def test_snappy(self) -> None:
        """The raw block, with nothing before it."""
        codec = FrameCodec(4, "snappy")
        self.assertIsInstance(self.response(codec, "84010001020000000100"), responses.Ready)
        body = b"".join(requests.query_parts(4, SELECT, ONE, False))
        stored = unhex("2388") + body
        frame = self.frame(codec, f"0401000207{len(stored):08x}" + stored.hex())
        self.assertEqual(frame.body, body)


class SegmentedTests(ExchangeTestCase):
    """v5."""

    def setUp(self) -> None:
        self.codec = FrameCodec(5, None, segmented=True)

    def test_plain(self) -> None:
        """STARTUP and READY without segments, all else with them."""
        codec = FrameCodec(5)
        startup = "0500000101000000160001000b43514c5f56455253494f4e0005332e302e30"
        sent = codec.encode_frame(1, constants.STARTUP, requests.startup({"CQL_VERSION": "3.0.0"}))
        self.assert_sent(sent, startup)
        self.assertIsInstance(self.response(codec, "850000010200000000"), responses.Ready)
        codec.start_segments()
        query = (
            "2f0002 acf306 0500000207000000260000001c53454c454354206b65792046524f4d2073797374656d2e"
            "6c6f63616c000100000000 47b8a6eb"
        )
        body = b"".join(requests.query_parts(5, SELECT, ONE, False))
        self.assert_sent(codec.encode_frame(2, constants.QUERY, body), query)
        self.assertEqual(self.request(codec, query), requestreader.Query(SELECT, (), ONE))
        answer = "380002 43a153 85000002080000002f" + LOCAL_KEY + "844d4f5a"
        sent = codec.encode_frame(2, constants.RESULT, unhex(LOCAL_KEY), response=True)
        self.assert_sent(sent, answer)
        self.assertEqual(self.frame(codec, answer).body, unhex(LOCAL_KEY))

    def test_lz4(self) -> None:
        """A request that is stored as it is, an answer that is compressed."""
        codec = FrameCodec(5, "lz4", segmented=True)
        query = (
            "2f00000004 4146d0 0500000207000000260000001c53454c454354206b65792046524f4d2073797374656d2e"
            "6c6f63616c000100000000 47b8a6eb"
        )
        body = b"".join(requests.query_parts(5, SELECT, ONE, False))
        self.assert_sent(codec.encode_frame(2, constants.QUERY, body), query)
        self.assertEqual(self.request(codec, query), requestreader.Query(SELECT, (), ONE))
        answer = self.frame(
            codec,
            "3700700004 54015e f10285000002080000002f00000002000000010400f1060673797374656d00056c6f63616c"
            "00036b6579000d1a00800000056c6f63616c c7493698",
        )
        self.assertEqual(answer.body, unhex(LOCAL_KEY))

    def test_prepare(self) -> None:
        """PREPARE and what it gives."""
        text = "SELECT v FROM ref.mc WHERE k = ?"
        asked = (
            "310002 8d5f56 050000010900000028 00000020 53454c45435420762046524f4d207265662e6d632057"
            "48455245206b203d203f 00000000 015ed64f"
        )
        sent = self.codec.encode_frame(1, constants.PREPARE, requests.prepare(5, text))
        self.assert_sent(sent, asked)
        self.assertEqual(self.request(self.codec, asked), requestreader.Prepare(text, None))
        told = (
            "630002 b7ca1f 85000001080000005a 00000004 0010 329c5f00373447de42b7dd4a58678b1f 0010"
            "37a03ddd2d116ac86e4d90b0ee45acd1 00000001 00000001 00000001 0000 0003726566 00026d63 00016b 0009"
            "00000001 00000001 0003726566 00026d63 000176 0009 2364aa5f"
        )
        answer = self.response(self.codec, told)
        assert isinstance(answer, responses.Prepared)
        self.assertEqual(answer.statement_id, STATEMENT_ID)
        self.assertEqual(answer.result_metadata_id, METADATA_ID)
        self.assertEqual(answer.partition_key, (0,))
        self.assertEqual([(c.name, c.type.name) for c in answer.parameters], [("k", "int")])
        self.assertEqual([(c.name, c.type.name) for c in answer.columns], [("v", "int")])
        body = responsewriter.prepared(answer, 5)
        self.assert_sent(self.codec.encode_frame(1, constants.RESULT, body, response=True), told)

    def test_execute(self) -> None:
        """EXECUTE with a page size, whose answer leaves the metadata out."""
        options = QueryOptions(1, page_size=5000, skip_metadata=True)
        asked = (
            "410002 d43eee 050000010a00000038 0010 329c5f00373447de42b7dd4a58678b1f 0010"
            "37a03ddd2d116ac86e4d90b0ee45acd1 0001 00000007 0001 00000004 00000001 00001388 a7bc84af"
        )
        head, tail = requests.execute_parts(5, STATEMENT_ID, METADATA_ID, options, True)
        body = head + unhex("0001 00000004 00000001") + tail
        self.assert_sent(self.codec.encode_frame(1, constants.EXECUTE, body), asked)
        self.assertEqual(
            self.request(self.codec, asked),
            requestreader.Execute(STATEMENT_ID, METADATA_ID, [b"\0\0\0\1"], options),
        )
        told = (
            "210002 21628d 850000010800000018 00000002 00000005 00000001 00000001 00000004 00000002 ee4e353c"
        )
        answer = self.response(self.codec, told)
        assert isinstance(answer, responses.Rows)
        self.assertIsNone(answer.columns)
        self.assertEqual(answer.header.column_count, 1)
        self.assertEqual(answer.header.row_count, 1)
        self.assertEqual(answer.body[answer.header.offset :], unhex("00000004 00000002"))
        body = responsewriter.rows(responsewriter.rows_header((1, 1, b"unused"), True), [[b"\0\0\0\2"]])
        self.assert_sent(self.codec.encode_frame(1, constants.RESULT, body, response=True), told)

    def test_metadata_changed(self) -> None:
        """An old id is answered with the new one, and with all of the metadata."""
        told = (
            "570002 230cd3 85000001080000004e 00000002 00000009 00000003 0010"
            "276d4bbf07833310e12cb44949ce2760 0003726566 00026d63 00016b 0009 000176 0009 000177 000d"
            "00000001 00000004 00000001 00000004 00000002 ffffffff 4696fdd1"
        )
        answer = self.response(self.codec, told)
        assert isinstance(answer, responses.Rows)
        assert answer.columns is not None
        new_id = bytes.fromhex("276d4bbf07833310e12cb44949ce2760")
        self.assertEqual(answer.header.new_metadata_id, new_id)
        self.assertEqual([column.name for column in answer.columns], ["k", "v", "w"])
        self.assertEqual([tuple(row) for row in answer.rows], [(1, 2, None)])
        specs = responsewriter.column_specs(answer.columns, 5)
        header = responsewriter.rows_header(specs, True, new_metadata_id=new_id)
        body = responsewriter.rows(header, [[b"\0\0\0\1", b"\0\0\0\2", None]])
        self.assert_sent(self.codec.encode_frame(1, constants.RESULT, body, response=True), told)

    def test_authentication(self) -> None:
        """A wrong password, then the right one."""
        asked = (
            "1d0002 633a2c 050000010f00000014 00000010 00 63617373616e647261 00 77726f6e67 c5bbde93",
            "210002 21628d 050000010f00000018 00000014 00 63617373616e647261 00 63617373616e647261 ddb9db3a",
        )
        for text, password in zip(asked, ("wrong", "cassandra"), strict=True):
            token = b"\0cassandra\0" + password.encode()
            body = requests.auth_response(token)
            self.assert_sent(self.codec.encode_frame(1, constants.AUTH_RESPONSE, body), text)
            self.assertEqual(self.request(self.codec, text), requestreader.AuthResponse(token))
        refused = (
            "480002 1ac0eb 85000001000000003f 00000100 0039 50726f766964656420757365726e616d6520636173"
            "73616e64726120616e642f6f722070617373776f72642061726520696e636f7272656374 90e7dd89"
        )
        error = self.response(self.codec, refused)
        assert isinstance(error, errors.BadCredentials)
        self.assertEqual(str(error), "Provided username cassandra and/or password are incorrect")
        body = responsewriter.error(error, 5)
        self.assert_sent(self.codec.encode_frame(1, constants.ERROR, body, response=True), refused)
        accepted = "0d0002 cf07f7 850000011000000004 ffffffff 02b31143"
        answer = self.response(self.codec, accepted)
        assert isinstance(answer, responses.AuthSuccess)
        self.assertIsNone(answer.token)
        body = responsewriter.token(None)
        self.assert_sent(self.codec.encode_frame(1, constants.AUTH_SUCCESS, body, response=True), accepted)

    def test_batch(self) -> None:
        """One text, one prepared statement, and a default timestamp."""
        text = "insert into ref.lwt (k,v) values (?,1)"
        prepared = bytes.fromhex("3b5c02a093dd61e1b853739a4846c72a")
        options = QueryOptions(1, timestamp=12345)
        items = [
            BatchItem(text, b"\0\1" + write_bytes(b"\0\0\0\x64")),
            BatchItem(prepared, b"\0\2" + write_bytes(b"\0\0\0\x65") + write_bytes(b"\0\0\0\2")),
        ]
        asked = (
            "740002 58984a 050000010d0000006b 00 0002 00 00000026"
            + text.encode().hex()
            + "0001 00000004 00000064"
            "01 0010 3b5c02a093dd61e1b853739a4846c72a 0002 00000004 00000065 00000004 00000002"
            "0001 00000020 0000000000003039 315c4c9f"
        )
        body = requests.batch(5, "logged", items, options)
        self.assert_sent(self.codec.encode_frame(1, constants.BATCH, body), asked)
        entries = (
            requestreader.BatchEntry(text, [b"\0\0\0\x64"]),
            requestreader.BatchEntry(prepared, [b"\0\0\0\x65", b"\0\0\0\2"]),
        )
        self.assertEqual(
            self.request(self.codec, asked), requestreader.BatchRequest("logged", entries, options)
        )
        told = "0d0002 cf07f7 850000010800000004 00000001 1e43b5fd"
        self.assertIsInstance(self.response(self.codec, told), responses.Void)
        sent = self.codec.encode_frame(1, constants.RESULT, responsewriter.VOID, response=True)
        self.assert_sent(sent, told)

    def test_schema_event(self) -> None:
        """An event comes on the stream -1."""
        told = (
            "310002 8d5f56 8500ffff0c00000028 000d 534348454d415f4348414e4745 0007 43524541544544"
            "0008 4b45595350414345 0004 72656632 77a48c2a"
        )
        self.codec.receive(unhex(told))
        frame = self.codec.next_frame()
        assert frame is not None
        self.assertEqual(frame.stream, constants.EVENT_STREAM)
        change = SchemaChange("CREATED", "KEYSPACE", "ref2")
        self.assertEqual(decode_response(frame.opcode, frame.body, 5), responses.Event(change))
        body = responsewriter.event(change, 5)
        self.assert_sent(self.codec.encode_frame(-1, constants.EVENT, body, response=True), told)

    def test_status_event(self) -> None:
        """A node is down: its native address and port."""
        body = write_string("STATUS_CHANGE") + unhex("0004 444f574e 04 7f000102 00002352")
        change = StatusChange("DOWN", ipaddress.ip_address("127.0.1.2"), 9042)
        self.assertEqual(decode_response(constants.EVENT, body, 5), responses.Event(change))
        self.assertEqual(responsewriter.event(change, 5), body)

    def test_tracing(self) -> None:
        """The tracing id stands before the message."""
        body = unhex("e3f4b0a0e75011f18f1d039114ab298f" + LOCAL_KEY)
        self.assertEqual(len(body), 0x3F)
        answer = decode_response(constants.RESULT, body, 5, flags=2)
        assert isinstance(answer, responses.Rows)
        self.assertEqual(answer.prefixes.tracing_id, uuid.UUID("e3f4b0a0-e750-11f1-8f1d-039114ab298f"))
        self.assertEqual([tuple(row) for row in answer.rows], [("local",)])
        self.assertEqual(responsewriter.prefixes(answer.prefixes), (2, body[:16]))

    def test_syntax_error(self) -> None:
        """The server's sentence, and nothing around it."""
        sentence = "line 0:-1 mismatched input '<EOF>' expecting K_FROM"
        told = "420002 fc9e56 850000010000000039 00002000 0033" + sentence.encode().hex() + "6d14de6e"
        error = self.response(self.codec, told)
        assert isinstance(error, errors.CQLSyntaxError)
        self.assertEqual(str(error), sentence)
        body = responsewriter.error(error, 5)
        self.assert_sent(self.codec.encode_frame(1, constants.ERROR, body, response=True), told)


class ErrorBodyTests(ExchangeTestCase):
    """Bodies of errors, as a real node sent them behind their code and sentence."""

    def check(self, kind: type[errors.ServerError], version: int, text: str, **fields: object) -> None:
        body = kind.code.to_bytes(4, "big") + write_string("why") + unhex(text)
        error = decode_response(constants.ERROR, body, version)
        self.assertIs(type(error), kind)
        assert isinstance(error, errors.ServerError)
        self.assertEqual(str(error), "why")
        self.assertEqual({name: getattr(error, name) for name in error.fields}, fields)
        self.assertEqual(responsewriter.error(error, version).hex(), body.hex())

    def test_unavailable(self) -> None:
        """THREE on one node; EACH_QUORUM without one datacenter."""
        for version in (3, 4, 5):
            self.check(
                errors.Unavailable,
                version,
                "0003 00000003 00000001",
                consistency="THREE",
                required=3,
                alive=1,
            )
            self.check(
                errors.Unavailable,
                version,
                "0007 00000002 00000000",
                consistency="EACH_QUORUM",
                required=2,
                alive=0,
            )

    def test_cas_write_timeout(self) -> None:
        """v5 tells how often a conditional write was contended."""
        text = "0009 00000001 00000002 0003 434153"
        fields: dict[str, object] = {
            "consistency": "LOCAL_SERIAL",
            "received": 1,
            "required": 2,
            "write_type": "CAS",
        }
        self.check(errors.WriteTimeout, 5, text + "0000", contentions=0, **fields)
        self.check(errors.WriteTimeout, 4, text, contentions=None, **fields)

    def test_counter_write_timeout(self) -> None:
        """Only CAS writes have contentions."""
        for version in (3, 4, 5):
            self.check(
                errors.WriteTimeout,
                version,
                "0001 00000000 00000001 0007 434f554e544552",
                consistency="ONE",
                received=0,
                required=1,
                write_type="COUNTER",
                contentions=None,
            )

    def test_read_failure(self) -> None:
        """Too many tombstones, with a warning before the error."""
        fields: dict[str, object] = {
            "consistency": "ONE",
            "received": 0,
            "required": 1,
            "failures": 1,
            "reasons": {ipaddress.ip_address("127.0.1.7"): 1},
            "data_present": False,
        }
        text = "0001 00000000 00000001 00000001 04 7f000107 0001 00"
        self.check(errors.ReadFailure, 5, text, **fields)
        warned = write_string("tombstones")
        body = b"\0\1" + warned + unhex("00001300 0003") + b"why" + unhex(text)
        error = decode_response(constants.ERROR, body, 5, flags=constants.FLAG_WARNING)
        assert isinstance(error, errors.ReadFailure)
        self.assertEqual(list(error.warnings), ["tombstones"])

    def test_write_failure(self) -> None:
        """A replica with another schema."""
        self.check(
            errors.WriteFailure,
            5,
            "0005 00000001 00000003 00000001 04 7f000103 0003 0006 53494d504c45",
            consistency="ALL",
            received=1,
            required=3,
            failures=1,
            reasons={ipaddress.ip_address("127.0.1.3"): 3},
            write_type="SIMPLE",
        )

    def test_function_failure(self) -> None:
        """The function and its argument types."""
        for version in (4, 5):
            self.check(
                errors.FunctionFailure,
                version,
                "0003 726566 0004 626f6f6d 0001 0003 696e74",
                keyspace="ref",
                function="boom",
                argument_types=["int"],
            )

    def test_already_exists(self) -> None:
        """A table, a keyspace."""
        for version in (3, 4, 5):
            self.check(errors.AlreadyExists, version, "0003 726566 0003 6c7774", keyspace="ref", table="lwt")
            self.check(errors.AlreadyExists, version, "0003 726566 0000", keyspace="ref", table="")

    def test_unprepared(self) -> None:
        """The id that the node does not know."""
        for version in (3, 4, 5):
            self.check(errors.Unprepared, version, "0010" + STATEMENT_ID.hex(), statement_id=STATEMENT_ID)

    def test_cut_short(self) -> None:
        """A body that ends too early is no error message."""
        body = unhex("00001000 0000 0003 00000003")
        self.assertRaises(errors.ProtocolError, decode_response, constants.ERROR, body, 5)

    def test_surplus(self) -> None:
        """Bytes behind a message are ignored."""
        reader = Reader(unhex("00002000 0000 ffff"))
        error = decode_response(constants.ERROR, reader.data, 5)
        self.assertIsInstance(error, errors.CQLSyntaxError)
