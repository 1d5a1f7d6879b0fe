"""The arguments of ``python -m txcql``."""

from __future__ import annotations

import contextlib
import io

from twisted.trial.unittest import SynchronousTestCase

from txcql._version import __version__
from txcql.cli.commandline import parse_arguments
from txcql.cli.demo import DemoOptions


class ArgumentTests(SynchronousTestCase):
    """:func:`parse_arguments`."""

    def exits(self, *arguments: str) -> tuple[object, str]:
        """The exit status and what is said."""
        said = io.StringIO()
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            error = self.assertRaises(SystemExit, parse_arguments, arguments)
        return error.code, said.getvalue()

    def test_defaults(self) -> None:
        """Nothing but the command."""
        self.assertEqual(parse_arguments(["demo"]), DemoOptions((), 10_000, 512, "txcql_demo", None, None))

    def test_all(self) -> None:
        """Everything."""
        arguments = [
            "demo",
            "--contact-point",
            "a",
            "--contact-point",
            "b:9043",
            "--rows",
            "7",
            "--concurrency",
            "3",
            "--keyspace",
            "k",
            "--username",
            "u",
            "--password",
            "p",
        ]
        self.assertEqual(parse_arguments(arguments), DemoOptions(("a", "b:9043"), 7, 3, "k", "u", "p"))

    def test_help_and_version(self) -> None:
        """Both end well."""
        status, said = self.exits("--version")
        self.assertEqual((status, said), (0, f"txcql {__version__}\n"))
        for arguments in (("--help",), ("demo", "--help")):
            status, said = self.exits(*arguments)
            self.assertEqual(status, 0)
            self.assertIn("usage: python -m txcql", said)

    def test_wrong(self) -> None:
        """Each is told in a line."""
        for arguments, sentence in (
            ((), "required: COMMAND"),
            (("nope",), "invalid choice"),
            (("demo", "--rows", "0"), "0 is not in 1.."),
            (("demo", "--rows", "x"), "invalid"),
            (("demo", "--concurrency", "801"), "801 is not in 1..800"),
            (("demo", "--keyspace", "No; DROP"), "is no plain name"),
            (("demo", "--username", "u"), "--username and --password go together"),
        ):
            status, said = self.exits(*arguments)
            self.assertEqual(status, 2)
            self.assertIn(sentence, said)
