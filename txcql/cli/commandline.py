"""``python -m txcql``: which commands there are, and how one is set going."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from txcql._version import __version__
from txcql.cli import demo, describe, doctor, fake, load, monitor, ping, query, top, unload
from txcql.cli.command import CommandFailed
from txcql.errors import CQLError

__all__ = ["COMMANDS", "main", "parse_arguments"]

INTERRUPTED = 130

COMMANDS = (
    ping.COMMAND,
    query.COMMAND,
    describe.COMMAND,
    doctor.COMMAND,
    load.COMMAND,
    unload.COMMAND,
    monitor.COMMAND,
    top.COMMAND,
    demo.COMMAND,
    fake.COMMAND,
)
"""Every command, in the order of the help."""


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """What the arguments ask for; ``command`` is the :class:`~txcql.cli.command.Command`.

    :param arguments: those of the process if not given.
    :raises SystemExit: they are wrong, or ask for help.
    """
    parser = argparse.ArgumentParser(
        prog="python -m txcql", description="The CQL driver for Twisted programs."
    )
    parser.add_argument("--version", action="version", version=f"txcql {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND", dest="name")
    for command in COMMANDS:
        of_its_own = commands.add_parser(command.name, help=command.help, description=command.description)
        command.add_arguments(of_its_own)
        of_its_own.set_defaults(command=command)
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the arguments ask for.

    :returns: the exit status.
    """
    found = parse_arguments(arguments)
    return _react(lambda reactor: found.command.run(reactor, found, sys.stdout))


def _react(work: Callable[[Any], Awaitable[None]]) -> int:
    """Run a coroutine on the global reactor; a failure is one line on the standard error."""
    from twisted.internet import reactor as installed
    from twisted.internet.defer import Deferred
    from twisted.internet.task import react

    status = INTERRUPTED

    async def guarded(reactor: Any) -> None:
        nonlocal status
        try:
            await work(reactor)
            status = 0
        except (CQLError, CommandFailed, OSError) as error:
            status = 1
            print(f"txcql: {error}", file=sys.stderr)

    try:
        react(lambda given: Deferred.fromCoroutine(guarded(given)), _reactor=installed)
    except SystemExit as finished:
        return status if finished.code in (0, None) else int(finished.code)
