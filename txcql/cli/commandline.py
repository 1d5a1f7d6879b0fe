"""The arguments of ``python -m txcql``, and what they set going."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from txcql._version import __version__
from txcql.cli.demo import DemoFailed, DemoOptions, run_demo
from txcql.errors import CQLError

__all__ = ["main", "parse_arguments"]

MOST_CONCURRENT = 800
"""More requests than these would wait in the driver's queue, and tell nothing of the server."""

INTERRUPTED = 130

_KEYSPACE = re.compile(r"[a-z][a-z0-9_]{0,47}", re.ASCII)


def parse_arguments(arguments: Sequence[str] | None = None) -> DemoOptions:
    """What the arguments ask for.

    :param arguments: those of the process if not given.
    :raises SystemExit: they are wrong, or ask for help.
    """
    parser = argparse.ArgumentParser(
        prog="python -m txcql", description="The CQL driver for Twisted programs."
    )
    parser.add_argument("--version", action="version", version=f"txcql {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_demo(commands)
    found = parser.parse_args(arguments)
    if (found.username is None) != (found.password is None):
        parser.error("--username and --password go together")
    return DemoOptions(
        contact_points=tuple(found.contact_point),
        rows=found.rows,
        concurrency=found.concurrency,
        keyspace=found.keyspace,
        username=found.username,
        password=found.password,
    )


def _add_demo(commands: Any) -> None:
    demo = commands.add_parser(
        "demo",
        help="write rows with hundreds of requests in flight, and read them back",
        description="Write rows with hundreds of requests in flight, stream them back, and check every one. "
        "With no contact point, on a node that it starts in its own process.",
    )
    demo.add_argument(
        "--contact-point",
        metavar="HOST[:PORT]",
        action="append",
        default=[],
        help="a node of a real cluster; may be given more than once",
    )
    demo.add_argument(
        "--rows", metavar="N", type=_whole(1, 100_000_000), default=10_000, help="rows to write (%(default)s)"
    )
    demo.add_argument(
        "--concurrency",
        metavar="N",
        type=_whole(1, MOST_CONCURRENT),
        default=512,
        help="requests in flight at a time (%(default)s)",
    )
    demo.add_argument(
        "--keyspace",
        metavar="NAME",
        type=_keyspace,
        default="txcql_demo",
        help="the keyspace that is created, and dropped at the end (%(default)s)",
    )
    demo.add_argument("--username", help="for a cluster that asks for a login")
    demo.add_argument("--password", help="for a cluster that asks for a login")


def _whole(least: int, most: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        value = int(text)
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(f"{value} is not in {least}..{most}")
        return value

    return number


def _keyspace(text: str) -> str:
    if _KEYSPACE.fullmatch(text) is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no plain name in lower case")
    return text


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the arguments ask for.

    :returns: the exit status.
    """
    options = parse_arguments(arguments)
    return _react(lambda reactor: run_demo(reactor, options, sys.stdout))


def _react(work: Callable[[Any], Coroutine[Any, Any, None]]) -> int:
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
        except (CQLError, DemoFailed, OSError) as error:
            status = 1
            print(f"txcql: {error}", file=sys.stderr)

    try:
        react(lambda given: Deferred.fromCoroutine(guarded(given)), _reactor=installed)
    except SystemExit as finished:
        return status if finished.code in (0, None) else int(finished.code)
