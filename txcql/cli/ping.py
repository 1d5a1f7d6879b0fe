"""``python -m txcql ping``: whether the nodes answer, and how fast."""

from __future__ import annotations

import argparse
from typing import Any, TextIO

from txcql.cli.command import Command, CommandFailed, add_connection_arguments, connection_arguments, whole
from txcql.cli.summary import percentile
from txcql.cluster.nodes import Node
from txcql.errors import CQLError
from txcql.session.connect import connect
from txcql.session.session import Session

__all__ = ["COMMAND"]

LOCAL = "SELECT release_version FROM system.local"


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--count",
        metavar="N",
        type=whole(1, 10_000),
        default=5,
        help="requests to each node, one after another (%(default)s)",
    )
    add_connection_arguments(parser)


async def _run(reactor: Any, found: argparse.Namespace, output: TextIO) -> None:
    points, settings = connection_arguments(found)
    session = await connect(reactor, points, consistency="ONE", **settings)
    silent = 0
    try:
        output.write(f"cluster {session.cluster.name}, protocol version {session.version}\n")
        for node in sorted(session.nodes, key=lambda node: (node.distance, node.datacenter, node.name)):
            if node.distance == "ignored":
                output.write(f"{node}: not used, being in another data center\n")
                continue
            try:
                times = await _times(reactor, session, node, found.count)
            except CQLError as error:
                silent += 1
                output.write(f"{node}: {error}\n")
            else:
                figures = (times[0], percentile(times, 0.5), times[-1])
                shown = "/".join(f"{1000 * figure:.1f}" for figure in figures)
                output.write(f"{node}: Cassandra {node.release_version}, {shown} ms (least/median/most)\n")
    finally:
        await session.close()
    if silent:
        raise CommandFailed(f"{silent} of {len(session.nodes)} nodes did not answer")


async def _times(reactor: Any, session: Session, node: Node, count: int) -> list[float]:
    """How long requests take, in seconds, shortest first."""
    statement = await session.prepare(LOCAL)
    times = []
    for _ in range(count):
        begun = reactor.seconds()
        await session.execute(statement, node=node)
        times.append(reactor.seconds() - begun)
    return sorted(times)


COMMAND = Command(
    "ping",
    "ask every node for its version, and tell how long that takes",
    "Ask every node of the cluster for its version, some times, and tell how long that takes.",
    _add_arguments,
    _run,
)
