"""Which build is running: the installed package, pure or compiled, as the test environment says."""

from __future__ import annotations

import os
import sys
from importlib.metadata import entry_points
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

import txcql

EXPECTED = os.environ.get("TXCQL_EXPECT_BUILD")


class BuildTests(SynchronousTestCase):
    """``TXCQL_EXPECT_BUILD`` is ``pure`` or ``compiled``; tox sets it."""

    if EXPECTED is None:
        skip = "TXCQL_EXPECT_BUILD is not set: any build will do"

    def test_installed(self) -> None:
        """The package under test is the installed one, not the source in the working directory."""
        self.assertTrue(txcql.__file__.startswith(sys.prefix), txcql.__file__)

    def test_compiled(self) -> None:
        """Compiled modules are there if, and only if, they are expected."""
        self.assertIn(EXPECTED, ("pure", "compiled"))
        root = Path(txcql.__file__).parent
        found = [str(path.relative_to(root)) for path in root.rglob("*") if path.suffix in (".so", ".pyd")]
        self.assertEqual(bool(found), EXPECTED == "compiled", found)
        self.assertIs(txcql.wire.COMPILED, EXPECTED == "compiled" and not os.environ.get("TXCQL_PURE"))

    def test_pytest_plugin(self) -> None:
        """pytest finds the fixtures of the installed package by itself."""
        found = {entry.name: entry.value for entry in entry_points(group="pytest11")}
        name = "txcql.testing.pytestplugin"
        self.assertEqual(found.get(name), name)

    def test_typed(self) -> None:
        """The marker that tells type checkers to look inside is installed."""
        self.assertTrue((Path(txcql.__file__).parent / "py.typed").is_file())
