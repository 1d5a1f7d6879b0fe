"""Tests for :mod:`txcql.session.options`."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from txcql.session.options import RequestOptions
from txcql.settings import Settings
from txcql.test.scriptednode import ScriptedTestCase, columns
from txcql.wire import constants

LIST = "SELECT k FROM t"
SELECT = "SELECT k FROM t WHERE k = ?"


class CheckTests(SynchronousTestCase):
    """What is refused, and in which words."""

    def setUp(self) -> None:
        self.default = RequestOptions.default(Settings())

    def changed(self, version: int = 5, **options: Any) -> RequestOptions:
        return self.default.changed(version, options)  # type: ignore[arg-type]

    def test_default(self) -> None:
        """Those of the settings."""
        default = RequestOptions.default(
            Settings(consistency="ONE", serial_consistency="SERIAL", page_size=7, row_factory="dict")
        )
        query = default.query
        self.assertEqual((query.consistency, query.serial_consistency, query.page_size), (1, 8, 7))
        self.assertEqual((default.row_factory, default.whole, default.timeout), ("dict", True, None))

    def test_none_is_the_default(self) -> None:
        """None stands for what the session would do."""
        names = (
            "consistency",
            "serial_consistency",
            "page_size",
            "paging_state",
            "timeout",
            "idempotent",
            "timestamp",
            "keyspace",
            "now_in_seconds",
            "payload",
            "row_factory",
        )
        self.assertEqual(self.changed(3, **dict.fromkeys(names)), self.default)

    def test_unknown(self) -> None:
        """It is named, and so are those there are."""
        with self.assertRaisesRegex(
            TypeError, "execute.. has no option page, sise; there are: consistency, .*"
        ):
            self.changed(page=1, sise=2)

    def test_types(self) -> None:
        """Each has its own; a bool is no number."""
        cases: list[tuple[str, Any, str]] = [
            ("consistency", 1, "str"),
            ("serial_consistency", 8, "str"),
            ("page_size", "10", "int"),
            ("page_size", True, "int"),
            ("paging_state", "state", "bytes"),
            ("timeout", "2", "int or float"),
            ("timeout", True, "int or float"),
            ("idempotent", "no", "bool"),
            ("idempotent", 1, "bool"),
            ("tracing", "no", "bool"),
            ("timestamp", 1.5, "int"),
            ("keyspace", b"ks", "str"),
            ("now_in_seconds", "0", "int"),
            ("payload", [], "Mapping"),
            ("row_factory", dict, "str"),
        ]
        for name, value, expected in cases:
            with self.assertRaisesRegex(TypeError, f"^{name} must be {expected}, got "):
                self.changed(**{name: value})

    def test_ranges(self) -> None:
        """What does not fit is refused before it is packed."""
        cases: list[tuple[str, Any]] = [
            ("consistency", "SOME"),
            ("consistency", "one"),
            ("serial_consistency", "QUORUM"),
            ("page_size", 0),
            ("page_size", -1),
            ("page_size", 1 << 31),
            ("timeout", 0),
            ("timeout", -1.0),
            ("timeout", float("inf")),
            ("timeout", float("nan")),
            ("timestamp", -(1 << 63)),
            ("timestamp", 1 << 63),
            ("now_in_seconds", 1 << 31),
            ("row_factory", "list"),
        ]
        for name, value in cases:
            with self.assertRaisesRegex(ValueError, f"^{name} must be "):
                self.changed(**{name: value})

    def test_payload(self) -> None:
        """Names and bytes."""
        for payload in ({1: b"x"}, {"a": "x"}):
            with self.assertRaisesRegex(TypeError, "payload must map str to bytes or None, got "):
                self.changed(payload=payload)

    def test_versions(self) -> None:
        """What a version does not have is refused, not left out."""
        for name, value, first in (
            ("payload", {"a": b"x"}, 4),
            ("keyspace", "ks", 5),
            ("now_in_seconds", 0, 5),
        ):
            self.changed(first, **{name: value})
            with self.assertRaisesRegex(
                ValueError, f"^{name} needs protocol v{first}; this session speaks v{first - 1}$"
            ):
                self.changed(first - 1, **{name: value})

    def test_whole(self) -> None:
        """Who gives a page size or a paging state reads by pages."""
        self.assertTrue(self.changed(consistency="ONE").whole)
        self.assertFalse(self.changed(page_size=5).whole)
        self.assertFalse(self.changed(paging_state=b"x").whole)


class WireTests(ScriptedTestCase):
    """What reaches the node."""

    def setUp(self) -> None:
        ScriptedTestCase.setUp(self)
        self.one = self.node()
        self.one.teach(LIST, columns=columns(k="int"), rows=[[1]])
        self.one.teach(SELECT, parameters=columns(k="int"), columns=columns(k="int"), rows=[[1]])

    def asked(self, *arguments: Any, **options: Any) -> Any:
        assert self.session is not None
        self.answer(self.session.execute(*arguments, **options))
        return self.one.requests[-1]

    def test_each(self) -> None:
        """Text and prepared, every option."""
        self.connect()
        for arguments in ((LIST,), (SELECT, [1])):
            for name, value, expected in (
                ("consistency", "ALL", 5),
                ("serial_consistency", "LOCAL_SERIAL", 9),
                ("page_size", 7, 7),
                ("paging_state", b"state", b"state"),
                ("timestamp", -5, -5),
                ("now_in_seconds", 9, 9),
            ):
                asked = self.asked(*arguments, **{name: value})
                self.assertEqual(getattr(asked.options, name), expected)
                self.assertEqual(asked.flags, 0)

    def test_tracing_and_payload(self) -> None:
        """They are in the header's flags; the payload stands before the message."""
        self.connect(protocol_version=4)
        self.assertEqual(self.asked(LIST, tracing=True).flags, constants.FLAG_TRACING)
        asked = self.asked(SELECT, [1], payload={"a": b"x", "b": None}, tracing=True)
        self.assertEqual(asked.flags, constants.FLAG_TRACING | constants.FLAG_PAYLOAD)
        self.assertEqual(asked.request.values, [b"\0\0\0\1"])
        self.assertEqual(self.asked(LIST, tracing=False).flags, 0)

    def test_keyspace(self) -> None:
        """Of text, it goes with QUERY; of a statement that is to be prepared, with PREPARE."""
        session = self.connect()
        self.assertEqual(self.asked(LIST, keyspace="ks").options.keyspace, "ks")
        self.assertIsNone(self.asked(SELECT, [1], keyspace="ks").options.keyspace)
        (prepare,) = self.one.asked_for(constants.PREPARE)
        self.assertEqual(prepare.request.keyspace, "ks")
        select = self.answer(session.prepare(SELECT, keyspace="ks"))
        self.assertEqual(select.keyspace, "ks")
        self.asked(select, [1], keyspace="ks")
        error = self.error(session.execute(select, [1], keyspace="other"), ValueError)
        self.assertRegex(str(error), "was prepared in the keyspace 'ks': 'other' comes too late")

    def test_refused(self) -> None:
        """They errback, and nothing is sent: not even PREPARE."""
        session = self.connect(protocol_version=4)
        for options in (
            {"keyspace": "ks"},
            {"now_in_seconds": 1},
            {"timestamp": 1 << 70},
            {"unknown": 1},
            {"payload": {1: 2}},
        ):
            for arguments in ((LIST,), (SELECT, [1])):
                self.error(session.execute(*arguments, **options), ValueError, TypeError)
        self.error(session.prepare(SELECT, keyspace="ks"), ValueError)
        self.assertEqual(self.one.requests, [])
        self.assertEqual(len(session.deadlines), 0)

    def test_next_request(self) -> None:
        """Options are those of one request."""
        session = self.connect()
        select = self.answer(session.prepare(SELECT))
        self.asked(select, [1], consistency="ALL", page_size=3)
        options = self.asked(select, [1]).options
        self.assertEqual((options.consistency, options.page_size), (6, 5000))
