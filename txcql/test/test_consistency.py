"""Tests for :mod:`txcql.consistency`."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from txcql.consistency import CONSISTENCY_NAMES, consistency_code, consistency_name


class ConsistencyTests(SynchronousTestCase):
    """Names and numbers."""

    def test_there_and_back(self) -> None:
        """Each has its number."""
        for code, name in enumerate(CONSISTENCY_NAMES):
            self.assertEqual(consistency_code(name), code)
            self.assertEqual(consistency_name(code), name)
        self.assertEqual(consistency_code("LOCAL_QUORUM"), 6)
        self.assertEqual(consistency_code("LOCAL_ONE"), 0x0A)

    def test_unknown_name(self) -> None:
        """The text lists those there are."""
        names: list[Any] = ["one", "SOME", 1, None, []]
        for name in names:
            with self.assertRaisesRegex(ValueError, "consistency must be one of ANY, ONE, .*, got "):
                consistency_code(name)

    def test_unknown_code(self) -> None:
        """Later servers may have more: their numbers do not break an error's text."""
        self.assertEqual(consistency_name(0x0B), "0x000B")
        self.assertEqual(consistency_name(0xFFFF), "0xFFFF")
