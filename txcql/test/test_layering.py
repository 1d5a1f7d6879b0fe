"""The rooms of the package, and who may import whom: read from the import statements themselves.

Imports inside functions and below ``if TYPE_CHECKING`` count like all others.
"""

from __future__ import annotations

import ast
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

import txcql

ROWS = [
    ["_version"],
    ["errors", "consistency"],
    ["interfaces"],
    ["profile"],
    ["settings", "security"],
    ["wire"],
    ["connection"],
    ["pool"],
    ["cluster"],
    ["policies"],
    ["session"],
    ["service", "aio"],
    ["testing"],
    ["cli", "integrations"],
    ["__init__"],
]
"""Each room may import from the rows above it, from its own row, and never from those below."""

ROW = {room: number for number, row in enumerate(ROWS) for room in row}

NARROWER = {
    "errors": set[str](),
    "consistency": set[str](),
    "wire": {"errors", "consistency"},
    "policies": {"errors", "interfaces", "settings"},
    "testing": {"errors", "consistency", "wire"},
    "__main__": {"cli"},
}
"""Rooms that may import less of the package than their row allows."""

THIRD_PARTY = {"errors": set[str](), "consistency": set[str](), "wire": {"lz4", "cramjam", "mmh3"}}
"""Rooms that may import only the standard library and these."""

MAY_USE_THE_DRIVER = {"cassandrafixture"}
"""Modules of ``testing`` that are users of the driver: they may import the package's public names."""

MAY_IMPORT_THE_REACTOR = {"cli", "__main__", "integrations.twistplugin"}

MOST_LINES = 500


def modules(root: Path) -> Iterator[tuple[Path, list[str]]]:
    """Every module of the package at ``root`` but its tests, with the parts of its dotted name."""
    for path in sorted(root.rglob("*.py")):
        parts = list(path.relative_to(root.parent).with_suffix("").parts)
        if parts[1] != "test":
            yield path, parts


def imported_names(tree: ast.AST, parts: list[str]) -> Iterator[tuple[int, list[str]]]:
    """The line and the parts of every name that a module imports; ``from a import b`` imports ``a.b``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name.split(".")
        elif isinstance(node, ast.ImportFrom):
            base = parts[: -node.level] if node.level else []
            base = base + (node.module.split(".") if node.module else [])
            for alias in node.names:
                yield node.lineno, [*base, alias.name]


def room_of(root: Path, name: list[str]) -> str:
    """The room that a dotted name below the package belongs to."""
    if len(name) > 1 and ((root / name[1]).is_dir() or (root / f"{name[1]}.py").is_file()):
        return name[1]
    return "__init__"


def objection(root: Path, parts: list[str], name: list[str]) -> str | None:
    """Why the module of the name ``parts`` may not import ``name``; ``None`` if it may."""
    room = parts[1]
    may_import = not MAY_IMPORT_THE_REACTOR.isdisjoint({room, ".".join(parts[1:])})
    if name[:3] == ["twisted", "internet", "reactor"] and not may_import:
        return "the reactor is an argument"
    if name[0] != root.name:
        allowed = THIRD_PARTY.get(room)
        if allowed is None or name[0] in allowed or name[0] in sys.stdlib_module_names:
            return None
        return f"{room} may import only {', '.join(['the standard library', *sorted(allowed)])}"
    target = room_of(root, name)
    if target == room or target == "_version":
        return None
    if target not in ROW:
        return f"{target} is in no row"
    if room in NARROWER and target not in NARROWER[room]:
        return f"{room} may import {', '.join(sorted(NARROWER[room])) or 'nothing'} of the package"
    if room in ROW and ROW[target] > ROW[room]:
        return f"{target} is below {room}"
    return None


def violations(root: Path) -> list[str]:
    """What is wrong with the package at ``root``: imports, names and sizes of its modules."""
    found = []
    names: dict[str, Path] = {}
    for path, parts in modules(root):
        where = path.relative_to(root.parent)
        room = parts[1]
        source = path.read_text(encoding="utf-8")
        if room not in ROW and room != "__main__":
            found.append(f"{where}: {room} is in no row")
            continue
        for line, name in imported_names(ast.parse(source, str(path)), parts):
            if path.stem in MAY_USE_THE_DRIVER and name == [root.name]:
                continue
            reason = objection(root, parts, name)
            if reason is not None:
                found.append(f"{where}:{line}: imports {'.'.join(name)}: {reason}")
        if path.stem != "__init__" and names.setdefault(path.stem, where) != where:
            found.append(f"{where}: there is a {names[path.stem]} already")
        if (lines := source.count("\n")) > MOST_LINES:
            found.append(f"{where}: {lines} lines, at most {MOST_LINES}")
    return found


class LayeringTests(SynchronousTestCase):
    """The package as it is."""

    def test_package(self) -> None:
        """No module imports from below, shares its name with another, or outgrows its page."""
        self.assertEqual(violations(Path(txcql.__file__).parent), [])

    def test_something_was_read(self) -> None:
        """The walk finds the package's modules, with their imports."""
        root = Path(txcql.__file__).parent
        found = {"/".join(parts): path for path, parts in modules(root)}
        self.assertIn("txcql/errors", found)
        self.assertTrue(any(name.startswith("txcql/wire/") for name in found))
        self.assertFalse(any(name.startswith("txcql/test/") for name in found))


class PlantedViolationTests(SynchronousTestCase):
    """Trees made to be wrong: the check bites."""

    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.root = Path(directory.name) / "txcql"
        for room in [
            "wire",
            "connection",
            "pool",
            "session",
            "policies",
            "testing",
            "cli",
            "integrations",
            "test",
        ]:
            self.plant(f"{room}/__init__.py", "")
        for module in ["__init__", "__main__", "_version", "errors", "interfaces", "settings", "security"]:
            self.plant(f"{module}.py", "")

    def plant(self, name: str, source: str) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source, encoding="utf-8")

    def assert_found(self, *beginnings: str) -> None:
        found = violations(self.root)
        self.assertEqual(len(found), len(beginnings), found)
        for line, beginning in zip(found, beginnings, strict=True):
            self.assertTrue(line.startswith(beginning), f"{line!r} does not start with {beginning!r}")

    def test_right(self) -> None:
        """What the rows allow is not reported."""
        self.plant("__init__.py", "from .session.session import connect\nfrom ._version import __version__\n")
        self.plant("__main__.py", "from twisted.internet import reactor\nfrom txcql.cli import main\n")
        self.plant("integrations/twistplugin.py", "def f():\n    from twisted.internet import reactor\n")
        self.plant("cli/__init__.py", "from twisted.internet import reactor\nfrom ..session import session\n")
        self.plant("session/session.py", "from ..pool.pool import Pool\nfrom ..policies import plans\n")
        self.plant("session/results.py", "from . import session\nfrom .session import Session\n")
        self.plant("pool/pool.py", "import zope.interface\nfrom ..connection.links import Link\n")
        self.plant("connection/links.py", "from txcql import errors, _version\nimport txcql.wire.frames\n")
        self.plant("wire/frames.py", "import struct\nimport lz4.block\nfrom ..errors import ProtocolError\n")
        self.plant("policies/plans.py", "from txcql.interfaces import ILoadBalancingPolicy\n")
        self.plant("settings.py", "from .security import TLS\n")
        self.plant("test/test_frames.py", "from twisted.internet import reactor\nimport txcql.wire.frames\n")
        self.assert_found()

    def test_absolute(self) -> None:
        """``import a.b.c`` of a lower room."""
        self.plant("wire/frames.py", "import txcql.connection.protocol\n")
        self.assert_found(
            "txcql/wire/frames.py:1: imports txcql.connection.protocol: wire may import consistency, errors"
        )

    def test_from(self) -> None:
        """``from a import b`` where b is a lower room."""
        self.plant("connection/protocol.py", "\nfrom txcql import pool\n")
        self.assert_found("txcql/connection/protocol.py:2: imports txcql.pool: pool is below connection")

    def test_relative(self) -> None:
        """Relative imports are resolved, in modules and in packages."""
        self.plant("pool/pool.py", "from ..session.requests import Request\n")
        self.plant("connection/__init__.py", "from .. import pool\n")
        self.assert_found(
            "txcql/connection/__init__.py:1: imports txcql.pool", "txcql/pool/pool.py:1: imports"
        )

    def test_inside_a_function(self) -> None:
        """A late import is an import."""
        self.plant("pool/pool.py", "def f():\n    if 1:\n        from ..session import x\n")
        self.assert_found("txcql/pool/pool.py:3: imports txcql.session.x")

    def test_type_checking(self) -> None:
        """An import for types alone is an import."""
        self.plant(
            "errors.py", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from . import wire\n"
        )
        self.assert_found("txcql/errors.py:3: imports txcql.wire: errors may import nothing of")

    def test_public_names(self) -> None:
        """Nobody inside imports the public names."""
        self.plant("cli/demo.py", "import txcql\nfrom txcql import connect\nfrom .. import connect\n")
        self.assert_found(*[f"txcql/cli/demo.py:{n}: imports txcql" for n in (1, 2, 3)])

    def test_sans_io(self) -> None:
        """``wire`` knows neither Twisted nor zope, ``errors`` nothing at all."""
        self.plant("wire/frames.py", "from twisted.python import log\nfrom zope.interface import Interface\n")
        self.plant("errors.py", "import lz4\n")
        self.assert_found(
            "txcql/errors.py:1: imports lz4: errors may import only the standard library",
            "txcql/wire/frames.py:1: imports twisted.python.log",
            "txcql/wire/frames.py:2: imports zope.interface.Interface",
        )

    def test_narrower(self) -> None:
        """``policies`` and ``testing`` may not use all that is above them."""
        self.plant("policies/plans.py", "from ..pool import x\n")
        self.plant("testing/node.py", "from ..connection import x\n")
        self.plant("__main__.py", "from .session import x\n")
        self.assert_found(
            "txcql/__main__.py:1: imports txcql.session.x: __main__ may import cli of the package",
            "txcql/policies/plans.py:1: imports txcql.pool.x: policies may import errors, interfaces",
            "txcql/testing/node.py:1: imports txcql.connection.x: testing may import consistency",
        )

    def test_tests(self) -> None:
        """No module of the package imports its tests."""
        self.plant("session/session.py", "from ..test import helpers\n")
        self.assert_found("txcql/session/session.py:1: imports txcql.test.helpers: test is in no row")

    def test_reactor(self) -> None:
        """Nobody but the programs imports the reactor."""
        self.plant("pool/pool.py", "from twisted.internet import reactor\n")
        self.plant("session/session.py", "def f():\n    import twisted.internet.reactor\n")
        self.plant("integrations/other.py", "from twisted.internet import reactor\n")
        self.assert_found(
            "txcql/integrations/other.py:1: imports twisted.internet.reactor: the reactor is an argument",
            "txcql/pool/pool.py:1: imports twisted.internet.reactor: the reactor is an argument",
            "txcql/session/session.py:2: imports twisted.internet.reactor: the reactor is an argument",
        )

    def test_unknown_room(self) -> None:
        """A room that the table does not have."""
        self.plant("utils/helpers.py", "")
        self.plant("misc.py", "")
        self.assert_found("txcql/misc.py: misc is in no row", "txcql/utils/helpers.py: utils is in no row")

    def test_name_taken(self) -> None:
        """Two modules of one name."""
        self.plant("wire/frames.py", "")
        self.plant("connection/frames.py", "")
        self.assert_found("txcql/wire/frames.py: there is a txcql/connection/frames.py already")

    def test_too_long(self) -> None:
        """A module that outgrows its page."""
        self.plant("wire/frames.py", "x = 1\n" * 500)
        self.assert_found()
        self.plant("wire/frames.py", "x = 1\n" * 501)
        self.assert_found("txcql/wire/frames.py: 501 lines, at most 500")
