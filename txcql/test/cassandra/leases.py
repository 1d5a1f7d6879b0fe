"""A test's hold on a cluster: taken by name, released when the process ends, however it ends."""

from __future__ import annotations

import fcntl
import itertools
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from .certificates import Certificates
from .folders import cache_folder, cluster_folder, last_lines, locked, socket_path
from .jars import check_java, fetch_jars, find_java
from .keeping import KEEPER_LOCK
from .layouts import NAME, layout_named
from .problems import CassandraUnavailable, CommandFailed

if TYPE_CHECKING:
    from twisted.internet.interfaces import IReactorUNIX

    from .remote import Control

__all__ = ["Channel", "KeeperGone", "Lease", "Node", "lease", "outcome"]

#: Seconds until a cluster that has to be started first is given up; longer than the keeper's own patience.
LEASE_LIMIT = 300.0

#: Seconds until a command is given up; likewise.
COMMAND_LIMIT = 300.0

#: The logs of exclusive clusters are kept for so many seconds.
KEEP_LOGS = 24 * 3600.0

numbers = itertools.count(1)


class KeeperGone(CassandraUnavailable):
    """The keeper ended without an answer."""


@dataclass(frozen=True)
class Node:
    """One node of a leased cluster, as it was when it was last asked about.

    :ivar index: Its place in the cluster, from 0.
    :ivar address: Its IP address.
    :ivar port: Its native port.
    :ivar pid: Its process.
    :ivar state: ``starting``, ``ready``, ``stopped`` (by SIGSTOP) or ``ended``.
    :ivar datacenter: The name of its data center.
    :ivar rack: The name of its rack.
    :ivar log: The path of its log.
    """

    index: int
    address: str
    port: int
    pid: int
    state: str
    datacenter: str
    rack: str
    log: str


def outcome(answer: dict[str, Any]) -> dict[str, Any]:
    """Tell a good answer of the keeper from a bad one.

    :param answer: The answer.
    :returns: What was asked for.
    :raises CommandFailed: if it was not done; the text says why.
    """
    if "error" in answer:
        raise CommandFailed(answer["error"])
    result: dict[str, Any] = answer["ok"]
    return result


class Channel:
    """A connection to a keeper that blocks while it waits.

    :param path: The keeper's socket.
    :raises OSError: if no keeper listens there.
    """

    def __init__(self, path: Path) -> None:
        self._link = socket.socket(socket.AF_UNIX)
        self._unread = b""
        self._ids = itertools.count(1)
        try:
            self._link.connect(str(path))
        except OSError:
            self._link.close()
            raise

    def ask(self, limit: float = COMMAND_LIMIT, **request: object) -> dict[str, Any]:
        """Send a request and wait for its answer.

        :param limit: Seconds to wait at most.
        :param request: ``op`` and what it needs.
        :returns: What was asked for.
        :raises KeeperGone: if the keeper ends before it answers.
        :raises CommandFailed: if it was not done, or not in time.
        """
        identity, end = next(self._ids), time.monotonic() + limit
        try:
            self._link.sendall(json.dumps({"id": identity, **request}).encode() + b"\n")
            while (answer := json.loads(self._line(end)))["id"] != identity:
                pass
        except TimeoutError:
            raise CommandFailed(f"the keeper did not answer {request['op']} within {limit:.0f} s") from None
        except OSError as error:
            raise KeeperGone(f"the keeper of the cluster has ended: {error}") from error
        return outcome(answer)

    def _line(self, end: float) -> bytes:
        while b"\n" not in self._unread:
            self._link.settimeout(max(0.001, end - time.monotonic()))
            part = self._link.recv(65536)
            if not part:
                raise ConnectionResetError("it closed the connection")
            self._unread += part
        line, _, self._unread = self._unread.partition(b"\n")
        return line

    def wait(self) -> None:
        """Wait until the keeper ends, with no answer outstanding."""
        self._link.settimeout(None)
        while self._link.recv(65536):
            pass

    def close(self) -> None:
        """Close the connection; a second time does nothing."""
        self._link.close()


class Lease:
    """A cluster that runs at least until this is closed, or its process ends.

    Its methods block; see :meth:`control` for a program in which a reactor runs.

    :ivar name: The cluster's name.
    :ivar exclusive: True if nobody else uses it, so that its nodes may be broken.
    :ivar nodes: Its nodes; each entry is replaced by what a command on that node reports.
    :ivar login: The superuser's name and password, or None if the cluster asks for neither.
    :ivar tls: The files for TLS, or None if the cluster speaks plaintext.
    :ivar keeper: The process that owns the nodes.
    :ivar path: The keeper's socket.

    :param channel: The connection that has joined.
    :param path: The keeper's socket.
    :param description: The keeper's answer to joining.
    """

    def __init__(self, channel: Channel, path: Path, description: dict[str, Any]) -> None:
        self._channel = channel
        self.path = path
        self.name: str = description["name"]
        self.exclusive: bool = description["exclusive"]
        self.keeper: int = description["keeper"]
        self.nodes = [Node(**node) for node in description["nodes"]]
        login, tls = description["login"], description["tls"]
        self.login: tuple[str, str] | None = (login[0], login[1]) if login else None
        self.tls = Certificates(**tls) if tls else None

    def __repr__(self) -> str:
        nodes = " ".join(f"{node.address}:{node.port}={node.state}" for node in self.nodes)
        return f"<Lease {self.name} {nodes}>"

    def __enter__(self) -> Lease:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Release the cluster: an exclusive one goes now, a shared one 20 s after its last holder."""
        self._channel.close()

    def wait(self) -> None:
        """Wait until the keeper ends, which it does not do by itself while the lease is held."""
        self._channel.wait()

    def kill(self, node: int) -> Node:
        """End a node by SIGKILL, and wait until its process is gone.

        :param node: The node's index.
        :returns: The node.
        :raises CommandFailed: if the cluster is not exclusive, or the node has ended before.
        """
        return self._command("kill", node)

    def terminate(self, node: int) -> Node:
        """End a node by SIGTERM, and wait until its process is gone.

        :param node: The node's index.
        :returns: The node.
        :raises CommandFailed: if the cluster is not exclusive, or the node has ended before, or does not end.
        """
        return self._command("terminate", node)

    def stop(self, node: int) -> Node:
        """Freeze a node by SIGSTOP: its connections stay, and it says nothing more.

        :param node: The node's index.
        :returns: The node.
        :raises CommandFailed: if the cluster is not exclusive, or the node has ended.
        """
        return self._command("stop", node)

    def cont(self, node: int) -> Node:
        """Let a frozen node go on, by SIGCONT.

        :param node: The node's index.
        :returns: The node.
        :raises CommandFailed: if the cluster is not exclusive, or the node has ended.
        """
        return self._command("cont", node)

    def restart(self, node: int) -> Node:
        """End a node by SIGTERM if it runs, start it over its data, and wait until it serves clients.

        :param node: The node's index.
        :returns: The node, with its new process.
        :raises CommandFailed: if the cluster is not exclusive, or the node does not start; the text holds the
            end of its log.
        """
        return self._command("restart", node)

    def nodetool(self, node: int, *arguments: str) -> str:
        """Run nodetool on a node, also of a shared cluster: there, do not break anything.

        :param node: The node's index.
        :param arguments: What nodetool is to do, as in ``"disablebinary"``.
        :returns: What it printed.
        :raises CommandFailed: if it failed; the text holds what it printed.
        """
        output: str = self._channel.ask(op="nodetool", node=node, arguments=arguments)["output"]
        return output

    def refresh(self) -> list[Node]:
        """Ask for the present state of all nodes.

        :returns: The nodes, which are also put into :attr:`nodes`.
        :raises KeeperGone: if the keeper has ended.
        """
        self.nodes = [Node(**node) for node in self._channel.ask(op="status")["nodes"]]
        return self.nodes

    def control(self, reactor: IReactorUNIX) -> Control:
        """Offer the commands to a program in which a reactor runs.

        :param reactor: The reactor.
        :returns: The same commands, which return Deferreds and do not block.
        """
        from .remote import Control

        return Control(reactor, self)

    def _command(self, operation: str, node: int) -> Node:
        self.nodes[node] = result = Node(**self._channel.ask(op=operation, node=node))
        return result


def lease(name: str, exclusive: bool = False) -> Lease:
    """Get hold of a cluster, which is started unless it runs already. This blocks until it is ready.

    :param name: The name of a layout, as in ``"one"``.
    :param exclusive: True for a cluster of one's own, whose nodes may be broken.
    :returns: The lease; close it, or use it as a context manager.
    :raises CassandraUnavailable: if something that is needed is missing, or the nodes do not start; the text
        says what, and what to do.
    """
    layout = layout_named(name)
    if exclusive:
        sweep()
        name = f"{name}-{os.getpid()}-{next(numbers)}"
    path = socket_path(name)
    for _ in range(3):
        channel = join_or_start(name, path)
        try:
            return Lease(channel, path, channel.ask(LEASE_LIMIT, op="join", layout=layout.fingerprint()))
        except KeeperGone:
            # It was about to end when we came: the next one is ours.
            channel.close()
        except BaseException:
            channel.close()
            raise
    raise keeper_trouble(name, "ended three times before it answered")


def join_or_start(name: str, path: Path) -> Channel:
    """Connect to the keeper of a cluster, and start one if there is none.

    :param name: The cluster's name.
    :param path: The keeper's socket.
    :returns: The connection.
    :raises CassandraUnavailable: if there is none and it cannot be started.
    """
    with locked(cluster_folder(name) / "lock"):
        try:
            return Channel(path)
        except OSError:
            pass
        check_java(find_java())
        fetch_jars(layout_named(name).release)
        start_keeper(name)
        try:
            return Channel(path)
        except OSError as error:
            raise keeper_trouble(name, f"cannot be called ({error})") from error


def start_keeper(name: str) -> None:
    """Start the keeper of a cluster, in a session of its own, so that Ctrl-C does not reach it.

    :param name: The cluster's name.
    :raises CassandraUnavailable: if it does not come up; the text holds the end of its log.
    """
    folder, package = cluster_folder(name), Path(__file__).resolve().parents[3]
    path = os.pathsep.join(filter(None, [str(package), os.environ.get("PYTHONPATH", "")]))
    with open(folder / "keeper.log", "wb") as log:
        try:
            done = subprocess.run(
                [sys.executable, "-m", "txcql.test.cassandra", "keep", name],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=folder,
                env={**os.environ, "PYTHONPATH": path},
                start_new_session=True,
                timeout=LEASE_LIMIT,
            )
        except subprocess.TimeoutExpired as error:
            raise keeper_trouble(name, f"was not there after {LEASE_LIMIT:.0f} s") from error
    if done.returncode:
        raise keeper_trouble(name, f"ended with status {done.returncode}")


def keeper_trouble(name: str, what: str) -> CassandraUnavailable:
    """Say what went wrong with a keeper.

    :param name: The cluster's name.
    :param what: What went wrong.
    :returns: The error, with the end of the keeper's log.
    """
    log = cluster_folder(name) / "keeper.log"
    return CassandraUnavailable(f"the keeper of {name} {what}; its log {log} ends:\n{last_lines(log)}")


def sweep() -> None:
    """Remove the folders of exclusive clusters that ended a day ago or earlier."""
    for folder in cache_folder().iterdir():
        if not folder.is_dir() or "-" not in folder.name or not NAME.fullmatch(folder.name):
            continue
        if time.time() - folder.stat().st_mtime < KEEP_LOGS:
            continue
        with open(folder / KEEPER_LOCK, "a", encoding="utf-8") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            shutil.rmtree(folder, ignore_errors=True)
