"""Responses: what a server writes is what a client reads, in every version."""

from __future__ import annotations

import contextlib
import ipaddress
import uuid
from collections.abc import Sequence
from typing import Any

from hypothesis import given, settings, strategies as st
from twisted.trial.unittest import SynchronousTestCase

from txcql import errors
from txcql.consistency import CONSISTENCY_NAMES
from txcql.wire import constants, responses, responsewriter
from txcql.wire.events import SchemaChange, StatusChange, TopologyChange
from txcql.wire.metadata import Column
from txcql.wire.responses import Prefixes, decode_response
from txcql.wire.typeparser import parse_type

VERSIONS = (3, 4, 5)

names = st.text(st.characters(codec="utf-8"), max_size=20)
counts = st.integers(0, 2**31 - 1)
TYPES = [
    "int",
    "text",
    "date",
    "smallint",
    "duration",
    "list<int>",
    "map<text, set<int>>",
    "tuple<int, text>",
    "vector<float, 3>",
]
types = st.sampled_from([parse_type(text) for text in TYPES])
addresses = st.ip_addresses()

FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "alive": counts,
    "argument_types": st.lists(names, max_size=3),
    "consistency": st.sampled_from(CONSISTENCY_NAMES),
    "contentions": st.integers(0, 0xFFFF),
    "data_present": st.booleans(),
    "failures": st.just(0),
    "function": names,
    "keyspace": names,
    "reasons": st.dictionaries(addresses, st.integers(0, 0xFFFF), max_size=3),
    "received": counts,
    "required": counts,
    "statement_id": st.binary(max_size=20),
    "table": names,
    "unknown_code": st.integers(0x7000, 0x7FFF),
    "write_type": st.sampled_from(["SIMPLE", "BATCH", "CAS", "OTHER"]),
}


@st.composite
def columns_(draw: Any, least: int = 1) -> tuple[Column, ...]:
    """Columns of one table, or of several."""
    tables = draw(st.lists(st.tuples(names, names), min_size=1, max_size=2))
    return tuple(
        Column(keyspace, table, name, draw(types))
        for keyspace, table in [draw(st.sampled_from(tables))]
        for name in draw(st.lists(names, min_size=least, max_size=5))
    )


@st.composite
def errors_(draw: Any, version: int) -> errors.ServerError:
    """An error that the version has, with any body."""
    later = {3: _NOT_IN_V3, 4: (errors.CASWriteUnknown,), 5: ()}[version]
    kinds = [kind for kind in (*_concrete(errors.ServerError),) if kind not in later]
    kind = draw(st.sampled_from(kinds))
    fields = {name: draw(FIELDS[name]) for name in kind.fields}
    if "reasons" in fields:
        fields["failures"] = len(fields["reasons"]) if version >= 5 else draw(counts)
        fields["reasons"] = fields["reasons"] if version >= 5 else {}
    if "contentions" in fields and not (version >= 5 and fields["write_type"] == "CAS"):
        fields["contentions"] = None
    error: errors.ServerError = kind(draw(names), **fields)
    return error


_NOT_IN_V3 = (
    errors.ReadFailure,
    errors.WriteFailure,
    errors.FunctionFailure,
    errors.CDCWriteFailure,
    errors.CASWriteUnknown,
)


def _concrete(kind: type[errors.ServerError]) -> list[type[errors.ServerError]]:
    return [errors.UnknownServerError, *filter(None, map(errors.server_error_class, range(0x3000)))]


class RoundTripTests(SynchronousTestCase):
    """Written by :mod:`txcql.wire.responsewriter`, read by :mod:`txcql.wire.responses`."""

    def test_simple(self) -> None:
        """The messages that are the same in every version."""
        for version in VERSIONS:
            for opcode, body, expected in (
                (constants.READY, responsewriter.READY_BODY, responses.Ready()),
                (constants.AUTHENTICATE, responsewriter.authenticate("a.B"), responses.Authenticate("a.B")),
                (
                    constants.SUPPORTED,
                    responsewriter.supported({"A": ["b", "c"], "D": []}),
                    responses.Supported({"A": ["b", "c"], "D": []}),
                ),
                (constants.AUTH_CHALLENGE, responsewriter.token(b"x"), responses.AuthChallenge(b"x")),
                (constants.AUTH_SUCCESS, responsewriter.token(None), responses.AuthSuccess(None)),
                (constants.RESULT, responsewriter.VOID, responses.Void()),
                (constants.RESULT, responsewriter.set_keyspace("ks"), responses.SetKeyspace("ks")),
            ):
                self.assertEqual(decode_response(opcode, body, version | 0x80), expected)

    def test_schema_changes(self) -> None:
        """As a result and as an event."""
        for version in VERSIONS:
            for change in (
                SchemaChange("CREATED", "KEYSPACE", "ks"),
                SchemaChange("UPDATED", "TABLE", "ks", "t"),
                SchemaChange("DROPPED", "TYPE", "ks", "u"),
                SchemaChange("CREATED", "FUNCTION", "ks", "f", ("int", "text")),
                SchemaChange("CREATED", "AGGREGATE", "ks", "a", ()),
            ):
                expected = change
                if version == 3 and change.target in ("FUNCTION", "AGGREGATE"):
                    expected = SchemaChange("UPDATED", "KEYSPACE", "ks")
                body = responsewriter.schema_change(change, version)
                found = decode_response(constants.RESULT, body, version)
                self.assertEqual(found, responses.SchemaChanged(expected))
                body = responsewriter.event(change, version)
                found = decode_response(constants.EVENT, body, version)
                self.assertEqual(found, responses.Event(expected))

    @settings(deadline=None)
    @given(version=st.sampled_from(VERSIONS), address=addresses, port=st.integers(0, 65535))
    def test_events(self, version: int, address: Any, port: int) -> None:
        """Nodes that come, go, and are seen up or down."""
        for change in (TopologyChange("NEW_NODE", address, port), StatusChange("DOWN", address, port)):
            body = responsewriter.event(change, version)
            self.assertEqual(decode_response(constants.EVENT, body, version), responses.Event(change))

    @settings(deadline=None)
    @given(data=st.data(), version=st.sampled_from(VERSIONS))
    def test_prepared(self, data: st.DataObject, version: int) -> None:
        """Ids, bind markers, partition key, columns."""
        parameters = data.draw(columns_(least=0))
        key: Sequence[int] = ()
        if version >= 4 and parameters:
            key = data.draw(st.lists(st.integers(0, len(parameters) - 1), unique=True))
        message = responses.Prepared(
            data.draw(st.binary(max_size=20)),
            data.draw(st.binary(max_size=20)) if version >= 5 else None,
            parameters,
            tuple(key),
            data.draw(columns_(least=0)),
        )
        body = responsewriter.prepared(message, version)
        found = decode_response(constants.RESULT, body, version)
        assert isinstance(found, responses.Prepared)
        self.assertEqual(found.statement_id, message.statement_id)
        self.assertEqual(found.result_metadata_id, message.result_metadata_id)
        self.assertEqual(found.parameters, message.parameters)
        self.assertEqual(found.partition_key, message.partition_key)
        self.assertEqual(found.columns, message.columns)

    @settings(deadline=None)
    @given(data=st.data(), version=st.sampled_from(VERSIONS), columns=columns_())
    def test_rows(self, data: st.DataObject, version: int, columns: tuple[Column, ...]) -> None:
        """With and without metadata, paging state and new metadata id."""
        state = data.draw(st.none() | st.binary(max_size=20))
        new_id = data.draw(st.none() | st.binary(max_size=20)) if version >= 5 else None
        skip = data.draw(st.booleans())
        specs = responsewriter.column_specs(columns, version)
        header = responsewriter.rows_header(specs, skip, state, new_id)
        row = [None] * len(columns)
        body = responsewriter.rows(header, [row, row])
        found = decode_response(constants.RESULT, body, version)
        assert isinstance(found, responses.Rows)
        self.assertEqual(found.columns, None if skip and new_id is None else columns)
        self.assertEqual(found.paging_state, state)
        self.assertEqual(found.header.new_metadata_id, new_id)
        self.assertEqual(found.header.row_count, 2)
        self.assertEqual(found.header.column_count, len(columns))
        if found.columns is not None:
            self.assertEqual([tuple(row) for row in found.rows], [(None,) * len(columns)] * 2)

    @settings(deadline=None)
    @given(data=st.data(), version=st.sampled_from(VERSIONS))
    def test_errors(self, data: st.DataObject, version: int) -> None:
        """Every code, with its body."""
        error = data.draw(errors_(version))
        found = decode_response(constants.ERROR, responsewriter.error(error, version), version)
        assert isinstance(found, errors.ServerError)
        self.assertIs(type(found), type(error))
        self.assertEqual(str(found), str(error))
        for name in error.fields:
            self.assertEqual(getattr(found, name), getattr(error, name), name)

    def test_every_error_class(self) -> None:
        """The strategy above knows the fields of every class."""
        kinds = _concrete(errors.ServerError)
        self.assertGreater(len(kinds), 20)
        for kind in kinds:
            self.assertLessEqual(set(kind.fields), set(FIELDS))

    @settings(deadline=None)
    @given(
        version=st.sampled_from((4, 5)),
        tracing_id=st.none() | st.uuids(),
        warnings=st.lists(names, max_size=3),
        payload=st.none() | st.dictionaries(names, st.none() | st.binary(max_size=10), max_size=3),
    )
    def test_prefixes(
        self, version: int, tracing_id: uuid.UUID | None, warnings: list[str], payload: Any
    ) -> None:
        """What stands before a message, also before an error."""
        sent = Prefixes(tracing_id, warnings, payload)
        flags, before = responsewriter.prefixes(sent)
        found = decode_response(constants.RESULT, before + responsewriter.VOID, version, flags)
        assert isinstance(found, responses.Void)
        self.assertEqual(found.prefixes.tracing_id, tracing_id)
        self.assertEqual(list(found.prefixes.warnings), warnings)
        self.assertEqual(found.prefixes.payload, payload)
        body = responsewriter.error(errors.Overloaded("no"), version)
        error = decode_response(constants.ERROR, before + body, version, flags)
        assert isinstance(error, errors.Overloaded)
        self.assertEqual(
            (error.tracing_id, list(error.warnings), error.payload), (tracing_id, warnings, payload)
        )


class RefusalTests(SynchronousTestCase):
    """Bodies that are no messages."""

    def test_cut_anywhere(self) -> None:
        """A message that ends too early is refused, wherever it ends."""
        columns = (
            Column("ks", "t", "a", parse_type("map<int, text>")),
            Column("ks", "t", "b", parse_type("int")),
        )
        message = responses.Prepared(b"id", b"metadata", columns, (1,), columns)
        specs = responsewriter.column_specs(columns, 5)
        header = responsewriter.rows_header(specs, False, b"state", b"id")
        for opcode, body in (
            (constants.RESULT, responsewriter.prepared(message, 5)),
            (constants.RESULT, responsewriter.rows(header, [[None, b"1234"]])),
            (constants.RESULT, responsewriter.schema_change(SchemaChange("CREATED", "TABLE", "k", "t"), 5)),
            (constants.EVENT, responsewriter.event(StatusChange("UP", ipaddress.ip_address("::1"), 1), 5)),
            (constants.SUPPORTED, responsewriter.supported({"A": ["b"]})),
        ):
            decode_response(opcode, body, 5)
            for size in range(len(body)):
                self.assertRaises(errors.ProtocolError, self._read_all, opcode, body[:size])

    def _read_all(self, opcode: int, body: bytes) -> None:
        found = decode_response(opcode, body, 5)
        if isinstance(found, responses.Rows):
            try:
                found.rows  # noqa: B018
            except errors.DecodeError as error:
                raise errors.ProtocolError("a row is cut short") from error

    def test_unknown(self) -> None:
        """Opcodes, kinds of results and events that do not exist."""
        for opcode, body in (
            (constants.QUERY, b""),
            (0x33, b""),
            (constants.RESULT, b"\0\0\0\x09"),
            (constants.EVENT, b"\0\4NOPE"),
        ):
            self.assertRaises(errors.ProtocolError, decode_response, opcode, body, 5)

    @settings(deadline=None)
    @given(opcode=st.integers(0, 17), body=st.binary(max_size=100), flags=st.integers(0, 15))
    def test_anything(self, opcode: int, body: bytes, flags: int) -> None:
        """Whatever arrives is a message, an error or a protocol error, nothing else."""
        for version in VERSIONS:
            with contextlib.suppress(errors.ProtocolError):
                decode_response(opcode, body, version, flags)
