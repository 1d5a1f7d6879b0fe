"""Clusters by hand: ``python -m txcql.test.cassandra up one``."""

from __future__ import annotations

import argparse
import signal
import sys
import time

from .folders import cache_folder, socket_path
from .jars import check_java, fetch_jars, find_java
from .keeping import keep
from .layouts import LAYOUTS
from .leases import Channel, KeeperGone, Lease, lease
from .problems import CassandraUnavailable


def jars(names: list[str]) -> None:
    """Fetch the jars that clusters need.

    :param names: The names of the layouts; none means all.
    :raises CassandraUnavailable: if Java or Maven is missing, or Maven fails.
    """
    check_java(find_java())
    for release in dict.fromkeys(LAYOUTS[name].release for name in names or LAYOUTS):
        folder = fetch_jars(release)
        print(f"Cassandra {release.version}: {sum(1 for _ in folder.iterdir())} jars in {folder}")


def up(name: str, exclusive: bool) -> None:
    """Hold a cluster until Ctrl-C.

    :param name: The layout's name.
    :param exclusive: True for a cluster of one's own.
    :raises CassandraUnavailable: if it does not start, or ends while it is held.
    """
    # The background job of a shell is born deaf to SIGINT.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    begun = time.monotonic()
    with lease(name, exclusive) as held:
        show(held, time.monotonic() - begun)
        try:
            held.wait()
        except KeyboardInterrupt:
            print(f"{held.name}: released")
            return
    raise CassandraUnavailable(f"the keeper of {held.name} has ended, and its nodes with it")


def show(held: Lease, seconds: float) -> None:
    """Print what a cluster offers.

    :param held: The cluster.
    :param seconds: How long it took until it was there.
    """
    print(f"{held.name}: ready after {seconds:.1f} s, kept by process {held.keeper}")
    for node in held.nodes:
        place = f"{node.datacenter} {node.rack}"
        print(f"  {node.address}:{node.port}  {place}  pid {node.pid}  {node.state}  {node.log}")
    if held.login:
        print(f"  login: {held.login[0]} / {held.login[1]}")
    if held.tls:
        print(f"  TLS: trust {held.tls.authority}, show {held.tls.certificate} with {held.tls.key}")
    print("Ctrl-C releases it", flush=True)


def status() -> None:
    """Print all clusters that run."""
    running = 0
    for path in sorted(cache_folder().glob("*.sock")):
        try:
            channel = Channel(path)
        except OSError:
            continue
        answer = channel.ask(10.0, op="status")
        channel.close()
        running += 1
        print(f"{answer['name']}: keeper {answer['keeper']}, held by {answer['holders']}")
        for node in answer["nodes"]:
            print(f"  {node['address']}:{node['port']}  pid {node['pid']}  {node['state']}  {node['log']}")
    if not running:
        print("no cluster is running")


def down(name: str) -> None:
    """End a cluster whoever holds it, and wait until its nodes are gone.

    :param name: The cluster's name.
    :raises CassandraUnavailable: if there is no such cluster.
    """
    try:
        channel = Channel(socket_path(name))
    except OSError as error:
        raise CassandraUnavailable(f"no cluster called {name} is running") from error
    try:
        channel.ask(op="down")
    except KeeperGone:
        print(f"{name}: ended")
    finally:
        channel.close()


def arguments() -> argparse.ArgumentParser:
    """Describe the command line.

    :returns: The parser.
    """
    parser = argparse.ArgumentParser(prog="python -m txcql.test.cassandra", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    start = commands.add_parser("up", help="start or join a cluster, and hold it until Ctrl-C")
    start.add_argument("name", choices=sorted(LAYOUTS))
    start.add_argument("--exclusive", action="store_true", help="one of your own, whose nodes may be broken")
    fetch = commands.add_parser("jars", help="fetch the jars of all clusters, or of some")
    fetch.add_argument("names", nargs="*", metavar="name", help=f"one of {', '.join(sorted(LAYOUTS))}")
    commands.add_parser("status", help="show the clusters that run")
    commands.add_parser("down", help="end a cluster, whoever holds it").add_argument("name")
    commands.add_parser("keep", help="be a cluster's keeper; started by the others").add_argument("name")
    return parser


def main() -> int:
    """Do what the command line says.

    :returns: The exit status: 0, or 1 with a message if it could not be done.
    """
    parser = arguments()
    options = parser.parse_args()
    try:
        if options.command == "jars":
            unknown = sorted(set(options.names) - set(LAYOUTS))
            if unknown:
                parser.error(f"no cluster is called {unknown[0]!r}")
            jars(options.names)
        elif options.command == "up":
            up(options.name, options.exclusive)
        elif options.command == "keep":
            keep(options.name)
        elif options.command == "down":
            down(options.name)
        else:
            status()
    except CassandraUnavailable as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
