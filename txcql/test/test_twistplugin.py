"""Tests for :mod:`txcql.integrations.twistplugin`, and for the plugin that tells ``twist`` of it."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from twisted.application.service import IServiceMaker, Service
from twisted.plugin import getPlugins
from twisted.python.usage import UsageError
from twisted.trial.unittest import SynchronousTestCase

import txcql
from txcql.integrations.twistplugin import Options, makeService

made: list[txcql.CassandraService] = []


def make_user(cassandra: txcql.CassandraService) -> Service:
    """A service that uses the session."""
    made.append(cassandra)
    return Service()


def make_nothing(cassandra: txcql.CassandraService) -> object:
    """No service."""
    return 5


HERE = "txcql.test.test_twistplugin"


class PluginTests(SynchronousTestCase):
    """What ``twist`` finds."""

    def test_found(self) -> None:
        """There is one subcommand of that name, and this module makes its service."""
        [plugin] = [found for found in getPlugins(IServiceMaker) if found.tapname == "txcql"]
        self.assertIs(plugin.options, Options)
        self.assertIs(plugin.makeService, makeService)
        self.assertIn("Cassandra", plugin.description)


class OptionsTests(SynchronousTestCase):
    """What is given on the command line."""

    def service(self, *arguments: str) -> Any:
        options = Options()
        options.parseOptions(list(arguments))
        return makeService(options)

    def file(self, text: str) -> str:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        path = Path(directory.name) / "password"
        path.write_text(text, encoding="utf-8")
        return str(path)

    def assert_refused(self, text: str, *arguments: str) -> None:
        error = self.assertRaises(UsageError, self.service, *arguments)
        self.assertIn(text, str(error))

    def test_service(self) -> None:
        """The session's service first, then the one that was asked for; nothing is connected to yet."""
        password = self.file("secret\nmore\n")
        parent = self.service(
            "--contact-point=10.0.0.1", "-c", "10.0.0.2:9043", "--keyspace=shop", "--drain=5",
            "--username=ada", f"--password-file={password}", "--local-datacenter=dc2",
            "--set=page-size=100", "--set=consistency=ONE", f"--run={HERE}.make_user",
        )  # fmt: skip
        cassandra, user = parent
        self.assertIs(made[-1], cassandra)
        self.assertIs(type(user), Service)
        self.assertEqual(repr(cassandra), "<CassandraService stopped>")
        settings = cassandra.settings
        self.assertEqual((settings.page_size, settings.consistency), (100, "ONE"))
        self.assertEqual((settings.username, settings.password.reveal()), ("ada", "secret"))
        self.assertEqual(settings.local_datacenter, "dc2")

    def test_defaults(self) -> None:
        """Only ``--run`` has to be given."""
        cassandra, _ = self.service(f"--run={HERE}.make_user")
        self.assertEqual(cassandra.settings, txcql.Settings())

    def test_wrong(self) -> None:
        """Each mistake is told as one, with the option's name."""
        run = f"--run={HERE}.make_user"
        self.assert_refused("--run is missing")
        self.assert_refused("--drain takes seconds, got 'x'", run, "--drain=x")
        self.assert_refused("drain must be 0 or", run, "--drain=-1")
        self.assert_refused("--set takes NAME=VALUE, got 'page_size'", run, "--set=page_size")
        self.assert_refused("there is no setting colour", run, "--set=colour=red")
        self.assert_refused("page_size must be an int", run, "--set=page_size=many")
        self.assert_refused("names no host", run, "--contact-point=")
        self.assert_refused("--password-file cannot be read", run, "--password-file=/no/such/file")
        self.assert_refused("username and password go together", run, "--username=ada")
        self.assert_refused("cannot be imported", "--run=txcql.no_such_thing")
        self.assert_refused("must return an IService, got 5", f"--run={HERE}.make_nothing")

    def test_empty_password_file(self) -> None:
        """It is no password."""
        self.assert_refused("is empty", f"--run={HERE}.make_user", f"--password-file={self.file('')}")
