"""The arguments of ``python -m txcql``."""

from __future__ import annotations

import contextlib
import io

from twisted.trial.unittest import SynchronousTestCase

from txcql._version import __version__
from txcql.cli import fake
from txcql.cli.command import CommandFailed
from txcql.cli.commandline import parse_arguments
from txcql.cli.demo import DemoOptions, _options


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
        self.assertEqual(_options(parse_arguments(["demo"])), DemoOptions())

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
        self.assertEqual(
            _options(parse_arguments(arguments)), DemoOptions(("a", "b:9043"), 7, 3, "k", "u", "p")
        )

    def test_fake(self) -> None:
        """A node, several, or data centers; what does not go together is refused."""

        def options(*arguments: str) -> fake.FakeOptions:
            return fake._options(parse_arguments(["fake", *arguments]))

        self.assertEqual(options(), fake.FakeOptions({"dc1": 1}, 9042))
        self.assertEqual(options("--nodes", "3", "--port", "0"), fake.FakeOptions({"dc1": 3}, 0))
        self.assertEqual(options("--nodes", "3", "--dc", "dc1:2,dc2:1").datacenters, {"dc1": 2, "dc2": 1})
        for wrong in (["--nodes", "4", "--dc", "dc1:2"], ["--username", "u"]):
            self.assertRaises(CommandFailed, options, *wrong)
        for text in ("dc1", "dc1:0", "dc1:1,dc1:2", ":3", ""):
            status, said = self.exits("fake", "--dc", text)
            self.assertEqual(status, 2)
            self.assertIn("is no list such as dc1:2,dc2:1", said)

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
        ):
            status, said = self.exits(*arguments)
            self.assertEqual(status, 2)
            self.assertIn(sentence, said)

    def test_half_a_login(self) -> None:
        error = self.assertRaises(CommandFailed, _options, parse_arguments(["demo", "--username", "u"]))
        self.assertEqual(str(error), "--username and --password go together")
