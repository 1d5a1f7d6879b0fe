"""What the tests of commands share: they run in memory, against a fake cluster."""

from __future__ import annotations

import io
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

import txcql
from txcql.cli.command import CommandFailed
from txcql.cli.commandline import parse_arguments
from txcql.testing import FakeCluster, MemoryReactor

__all__ = ["CommandTestCase"]


class CommandTestCase(SynchronousTestCase):
    """Three nodes in two data centers, with a keyspace and a table."""

    def setUp(self) -> None:
        self.reactor = MemoryReactor()
        self.begin()
        self.execute(
            "CREATE KEYSPACE shop WITH replication = {'class': 'NetworkTopologyStrategy', 'dc1': 2}",
            "CREATE TABLE shop.shirts (id int PRIMARY KEY, name text, sizes set<int>)",
            "CREATE INDEX by_name ON shop.shirts (name)",
        )

    def begin(self, **options: Any) -> None:
        """Begin with a cluster."""
        self.cluster = FakeCluster(self.reactor, datacenters={"dc1": 2, "dc2": 1}, **options)
        self.reactor.run(self.cluster.listen())

    def execute(self, *statements: str) -> None:
        """Do something that a command is to find."""

        async def all_of_them() -> None:
            session = await txcql.connect(self.reactor, self.cluster.contact_points)
            for statement in statements:
                await session.execute(statement)
            await session.close()

        self.reactor.run(Deferred.fromCoroutine(all_of_them()))

    def run_command(self, *arguments: str, points: bool = True) -> str:
        """Run a command; what it writes.

        :param points: whether it is told where the cluster is.
        """
        if points:
            arguments += ("--contact-point", self.cluster.contact_points[0])
        found = parse_arguments(arguments)
        self.output = io.StringIO()
        self.reactor.run(Deferred.fromCoroutine(found.command.run(self.reactor, found, self.output)))
        return self.output.getvalue()

    def fails(self, *arguments: str, points: bool = True) -> str:
        """Run a command that fails; what it says of it."""
        return str(self.assertRaises(CommandFailed, self.run_command, *arguments, points=points))
