"""Requests: what a client writes is what a server reads, in every version."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hypothesis import given, settings, strategies as st
from twisted.trial.unittest import SynchronousTestCase

from txcql.wire import constants, requestreader, requests
from txcql.wire.primitives import write_bytes
from txcql.wire.requestreader import read_request
from txcql.wire.requests import BatchItem, QueryOptions
from txcql.wire.values import UNSET

VERSIONS = (3, 4, 5)

texts = st.text(st.characters(codec="utf-8"), max_size=30)
versions = st.sampled_from(VERSIONS)
values_ = st.lists(st.one_of(st.none(), st.just(UNSET), st.binary(max_size=30)), max_size=6)


@st.composite
def options_(draw: Any, version: int, in_batch: bool = False) -> QueryOptions:
    """The options that a version has."""

    def maybe(strategy: st.SearchStrategy[Any]) -> Any:
        return draw(st.none() | strategy)

    paged = not in_batch
    return QueryOptions(
        consistency=draw(st.integers(0, 10)),
        serial_consistency=maybe(st.integers(8, 9)),
        page_size=maybe(st.integers(1, 2**31 - 1)) if paged else None,
        paging_state=maybe(st.binary(max_size=20)) if paged else None,
        timestamp=maybe(st.integers(-(2**63) + 1, 2**63 - 1)),
        keyspace=maybe(texts) if version >= 5 else None,
        now_in_seconds=maybe(st.integers(-(2**31), 2**31 - 1)) if version >= 5 else None,
        skip_metadata=draw(st.booleans()) if paged else False,
    )


def encoded(values: Sequence[Any]) -> bytes:
    cells = [b"\xff\xff\xff\xfe" if value is UNSET else write_bytes(value) for value in values]
    return len(cells).to_bytes(2, "big") + b"".join(cells)


def as_read(values: Sequence[Any], version: int) -> list[Any]:
    """What a server makes of values: below v4, unset is null."""
    return [None if value is UNSET and version < 4 else value for value in values]


class RoundTripTests(SynchronousTestCase):
    """Written by :mod:`txcql.wire.requests`, read by :mod:`txcql.wire.requestreader`."""

    def test_simple(self) -> None:
        """The requests that are the same in every version."""
        for version in VERSIONS:
            for opcode, body, expected in (
                (constants.STARTUP, requests.startup({"A": "b"}), requestreader.Startup({"A": "b"})),
                (constants.OPTIONS, b"", requestreader.Options()),
                (
                    constants.REGISTER,
                    requests.register(["STATUS_CHANGE", "schema_change"]),
                    requestreader.Register(("STATUS_CHANGE", "SCHEMA_CHANGE")),
                ),
                (constants.AUTH_RESPONSE, requests.auth_response(b"x"), requestreader.AuthResponse(b"x")),
                (constants.AUTH_RESPONSE, requests.auth_response(None), requestreader.AuthResponse(None)),
            ):
                self.assertEqual(read_request(opcode, body, version), expected)
                self.assertEqual(read_request(opcode, body + b"surplus", version), expected)

    @settings(deadline=None)
    @given(data=st.data(), version=versions, text=texts)
    def test_prepare(self, data: st.DataObject, version: int, text: str) -> None:
        """PREPARE; v5 may name a keyspace."""
        keyspace = data.draw(st.none() | texts) if version >= 5 else None
        body = requests.prepare(version, text, keyspace)
        found = read_request(constants.PREPARE, body, version)
        self.assertEqual(found, requestreader.Prepare(text, keyspace))

    @settings(deadline=None)
    @given(data=st.data(), version=versions, text=texts, values=st.none() | values_)
    def test_query(self, data: st.DataObject, version: int, text: str, values: list[Any] | None) -> None:
        """QUERY, with and without values."""
        options = data.draw(options_(version))
        head, tail = requests.query_parts(version, text, options, values is not None)
        body = head + (b"" if values is None else encoded(values)) + tail
        found = read_request(constants.QUERY, body, version)
        assert isinstance(found, requestreader.Query)
        self.assertEqual(found.text, text)
        self.assertEqual(list(found.values), as_read(values or [], version))
        self.assertEqual(found.options, options)

    @settings(deadline=None)
    @given(data=st.data(), version=versions, ids=st.tuples(st.binary(max_size=20), st.binary(max_size=20)))
    def test_execute(self, data: st.DataObject, version: int, ids: tuple[bytes, bytes]) -> None:
        """EXECUTE; v5 has the id of the metadata."""
        options = data.draw(options_(version))
        values = data.draw(values_)
        head, tail = requests.execute_parts(version, *ids, options, True)
        found = read_request(constants.EXECUTE, head + encoded(values) + tail, version)
        expected = requestreader.Execute(
            ids[0], ids[1] if version >= 5 else None, as_read(values, version), options
        )
        self.assertEqual(found, expected)

    @settings(deadline=None)
    @given(
        data=st.data(),
        version=versions,
        kind=st.sampled_from(["logged", "unlogged", "counter"]),
        items=st.lists(st.tuples(st.one_of(texts, st.binary(max_size=20)), values_), max_size=4),
    )
    def test_batch(
        self, data: st.DataObject, version: int, kind: str, items: list[tuple[bytes | str, list[Any]]]
    ) -> None:
        """BATCH of texts and prepared statements."""
        options = data.draw(options_(version, in_batch=True))
        entries = [BatchItem(statement, encoded(values)) for statement, values in items]
        body = requests.batch(version, kind, entries, options)
        found = read_request(constants.BATCH, body, version)
        assert isinstance(found, requestreader.BatchRequest)
        self.assertEqual((found.kind, found.options), (kind, options))
        self.assertEqual(
            [(item.statement, list(item.values)) for item in found.items],
            [(statement, as_read(values, version)) for statement, values in items],
        )


class RefusalTests(SynchronousTestCase):
    """What a client cannot write."""

    def test_v5_only(self) -> None:
        """Options that older versions do not have are refused, never dropped."""
        for version in (3, 4):
            self.assertRaises(ValueError, requests.prepare, version, "x", "ks")
            for options in (QueryOptions(1, keyspace="ks"), QueryOptions(1, now_in_seconds=1)):
                self.assertRaises(ValueError, requests.query_parts, version, "x", options, False)
                self.assertRaises(ValueError, requests.batch, version, "logged", [], options)

    def test_batch(self) -> None:
        """Unknown kinds, pages, and more statements than fit."""
        self.assertRaises(ValueError, requests.batch, 5, "other", [], QueryOptions(1))
        self.assertRaises(ValueError, requests.batch, 5, "logged", [], QueryOptions(1, page_size=1))
        self.assertRaises(ValueError, requests.batch, 5, "logged", [], QueryOptions(1, paging_state=b""))
        items = [BatchItem("x")] * 65536
        self.assertRaises(ValueError, requests.batch, 5, "logged", items, QueryOptions(1))
