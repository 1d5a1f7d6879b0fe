"""What a keeper process does before and after it keeps: its lock, its nodes' files, its signals."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import ssl
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from .certificates import Certificates, make_certificates
from .configuration import NodePaths, node_command, node_settings, nodetool_command, write_files
from .daemons import Daemon
from .folders import cluster_folder, locked, socket_path
from .jars import find_java, jars_folder
from .keeper import Keeper, note
from .layouts import Layout, layout_named
from .loopback import NATIVE_PORT, free_addresses, free_port
from .readiness import answers

__all__ = ["KEEPER_LOCK", "SUPERUSER", "keep"]

#: The lock, in a cluster's folder, that its keeper and each of its nodes hold while they live.
KEEPER_LOCK = "keeper.lock"

#: The user name and the password of the role that Cassandra makes by itself.
SUPERUSER = ("cassandra", "cassandra")


#: Where Linux keeps files in memory.
MEMORY = "/dev/shm"


@dataclass
class CassandraRecipe:
    """How to start one real node, and how to ask it; see :class:`txcql.test.cassandra.daemons.Recipe`."""

    layout: Layout
    address: str
    datacenter: str
    rack: str
    paths: NodePaths
    java: str
    jars: Path
    tls: ssl.SSLContext | None
    port: int = NATIVE_PORT
    jmx_port: int = 0

    @property
    def nice(self) -> int:
        """How much the node gives way to other programs."""
        return self.layout.nice

    @property
    def log(self) -> Path:
        """What the node writes."""
        return self.paths.log

    def command(self) -> list[str]:
        """Make the command line for the next start, with a JMX port that is free now.

        :returns: The program and its arguments.
        """
        self.jmx_port = free_port()
        return node_command(self.java, self.layout, self.jars, self.paths, self.jmx_port)

    def nodetool(self, arguments: list[str]) -> list[str]:
        """Make the command line of nodetool for the running node.

        :param arguments: What nodetool is to do.
        :returns: The program and its arguments.
        """
        return nodetool_command(self.java, self.jars, self.paths, self.jmx_port, arguments)

    def answers(self) -> bool:
        """Ask the node whether it serves clients.

        :returns: True if it does, lets the superuser in if the layout asks for a login, and knows the others.
        """
        login = SUPERUSER if self.layout.login else None
        peers = len(self.layout.nodes) - 1
        return answers(self.address, self.port, tls=self.tls, login=login, peers=peers)


def make_daemons(layout: Layout, folder: Path, held: list[int]) -> tuple[list[Daemon], Certificates | None]:
    """Choose addresses and write the files of all nodes of a cluster.

    :param layout: The cluster's layout.
    :param folder: The cluster's folder; what an earlier run left there is removed.
    :param held: File descriptors that the nodes' processes keep open.
    :returns: The nodes, not started, and the certificates if the layout asks for TLS.
    :raises CassandraUnavailable: if something that is needed is missing.
    """
    for leftover in [*folder.glob("node*"), folder / "tls"]:
        shutil.rmtree(leftover.resolve(), ignore_errors=True)
        if leftover.is_symlink():
            leftover.unlink()
    java, jars = find_java(), jars_folder(layout.release)
    addresses = free_addresses(len(layout.nodes))
    tls = make_certificates(folder / "tls", addresses) if layout.tls else None
    context = tls.context() if tls is not None else None
    daemons = []
    for index, node in enumerate(layout.nodes):
        paths = NodePaths(folder / f"node{index}")
        if layout.in_memory:
            paths.folder.symlink_to(tempfile.mkdtemp(prefix=f"txcql-{folder.name}-", dir=MEMORY))
        write_files(layout, index, paths, node_settings(layout, index, addresses, paths, tls))
        recipe = CassandraRecipe(
            layout, addresses[index], node.datacenter, node.rack, paths, java, jars, context
        )
        daemons.append(Daemon(index, recipe, held))
    return daemons, tls


def keep(name: str) -> None:
    """Be the keeper of a cluster: start it, and end it when nobody holds it any more.

    The calling process ends with status 0 as soon as the keeper can be called; the keeper is a fork of it.

    :param name: The cluster's name; one with a suffix is exclusive.
    :raises CassandraUnavailable: if the nodes cannot be made ready to start.
    """
    layout, folder, path = layout_named(name), cluster_folder(name), socket_path(name)
    # The nodes inherit the lock, so it is free only when the last of them is gone.
    with locked(folder / KEEPER_LOCK) as lock:
        path.unlink(missing_ok=True)
        daemons, tls = make_daemons(layout, folder, [lock.fileno()])
        details = {"tls": asdict(tls) if tls else None, "login": SUPERUSER if layout.login else None}
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(path))
        listener.listen()
        if os.fork():
            # Whoever started us waits for this; the keeper itself is nobody's child, and holds the lock.
            os._exit(0)
        fingerprint, exclusive = layout.fingerprint(), "-" in name
        keeper = Keeper(name, fingerprint, daemons, listener, exclusive=exclusive, details=details)

        def end(number: int, _frame: object) -> None:
            note(f"ended by signal {number}")
            keeper.over = True

        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, end)
        keeper.run()
