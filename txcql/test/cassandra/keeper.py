"""The process that owns the nodes, and ends them when nobody needs them any more.

It listens on a Unix socket and speaks JSON, one object a line. A request has an ``op`` and an ``id``; the
answer has the same ``id`` and either ``ok`` or ``error``. Who has said ``join`` holds the cluster until its
connection ends, which the kernel sees to however the holder ends.
"""

from __future__ import annotations

import json
import os
import selectors
import shutil
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from .daemons import Daemon, tethered
from .problems import CassandraUnavailable, CommandFailed

__all__ = ["LINGER", "Keeper", "note"]

#: Seconds for which a shared cluster outlives its last holder, so that the next test run finds it.
LINGER = 20.0

#: Seconds that nodes may take from their start until they answer.
START_LIMIT = 240.0

#: Seconds that a node may take to end after SIGTERM, and that a run of nodetool may take.
COMMAND_LIMIT = 120.0

#: Seconds between two looks at what is under way, and when nothing is.
BUSY_PAUSE, IDLE_PAUSE = 0.05, 0.5

Steps = Generator[None, None, dict[str, object]]


def note(text: str) -> None:
    """Write a line to the keeper's log.

    :param text: The line.
    """
    print(time.strftime("%H:%M:%S"), text, file=sys.stderr, flush=True)


@dataclass
class Client:
    """One connection to the keeper.

    :ivar link: The socket.
    :ivar holds: True once it has joined.
    :ivar unread: What came after the last whole line.
    """

    link: socket.socket
    holds: bool = False
    unread: bytearray = field(default_factory=bytearray)

    def tell(self, identity: object, answer: Mapping[str, object]) -> None:
        """Send an answer; one that cannot be delivered is dropped.

        :param identity: The ``id`` of the request.
        :param answer: The rest of the answer.
        """
        with suppress(OSError):
            self.link.sendall(json.dumps({"id": identity, **answer}).encode() + b"\n")


@dataclass
class Job:
    """A request that takes a while.

    :ivar client: Who is to be told.
    :ivar identity: The ``id`` of the request.
    :ivar steps: The work, a step at a time.
    :ivar node: The index of the node that it keeps busy; None for none.
    """

    client: Client
    identity: object
    steps: Steps
    node: int | None = None


class Keeper:
    """Nodes, and those who hold them.

    :param name: The cluster's name.
    :param fingerprint: The fingerprint of its layout.
    :param daemons: Its nodes, not yet started.
    :param listener: The socket on which holders call; the keeper closes it and removes its file.
    :param exclusive: True if the cluster has one holder, goes with it, and lets it break nodes.
    :param details: What holders are told beside the nodes.
    :param clock: Seconds that never go back.
    """

    def __init__(
        self,
        name: str,
        fingerprint: str,
        daemons: list[Daemon],
        listener: socket.socket,
        *,
        exclusive: bool = False,
        details: Mapping[str, object] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.over = False
        self._name, self._fingerprint, self._exclusive = name, fingerprint, exclusive
        self._daemons, self._details, self._clock = daemons, dict(details or {}), clock
        self._clients: dict[int, Client] = {}
        self._jobs: list[Job] = []
        self._joining: list[tuple[Client, object]] = []
        self._starting: Steps | None = None
        self._ready = False
        self._free_since = clock()
        # Before the first holder has come, an exclusive cluster must wait for it too.
        self._linger = LINGER
        self._listener = listener
        self._selector = selectors.DefaultSelector()
        self._selector.register(listener, selectors.EVENT_READ, self._accept)
        listener.setblocking(False)

    def __repr__(self) -> str:
        state = "over" if self.over else "ready" if self._ready else "starting"
        return f"<Keeper {self._name} {state} nodes={self._daemons} holders={self._holders()}>"

    def run(self) -> None:
        """Start the nodes, serve until nobody needs them, and end them."""
        try:
            self.start()
            while not self.over:
                waiting = self._jobs or not self._ready
                self.tick(BUSY_PAUSE if waiting else IDLE_PAUSE)
        finally:
            self.close()

    def start(self) -> None:
        """Start all nodes at once; :meth:`tick` then waits for them."""
        for daemon in self._daemons:
            daemon.start()
        self._starting = self._until_ready(self._daemons)

    def tick(self, pause: float) -> None:
        """Do what is to be done now.

        :param pause: Seconds to wait for a client at most.
        """
        for key, _events in self._selector.select(pause):
            key.data()
        self._go_on_starting()
        for job in list(self._jobs):
            self._go_on(job)
        if not self._holders() and self._clock() - self._free_since >= self._linger:
            note("nobody needs the nodes any more")
            self.over = True

    def close(self) -> None:
        """End all nodes, remove what they stored, and let the clients go, in this order."""
        self.over = True
        with suppress(OSError):
            os.unlink(self._listener.getsockname())
        for daemon in self._daemons:
            # What they stored is thrown away, so there is nothing that they could do in peace.
            daemon.signal(signal.SIGKILL)
        for daemon in self._daemons:
            daemon.kill_and_wait()
            remove_data(daemon)
        note("all nodes are gone")
        for client in list(self._clients.values()):
            self._drop(client)
        self._selector.close()
        self._listener.close()

    def _holders(self) -> int:
        return sum(client.holds for client in self._clients.values())

    def _accept(self) -> None:
        try:
            link, _ = self._listener.accept()
        except OSError as error:
            note(f"a client was lost: {error}")
            return
        # A client that does not read its answers may not hold up the others for ever.
        link.settimeout(5.0)
        client = Client(link)
        self._clients[link.fileno()] = client
        self._selector.register(link, selectors.EVENT_READ, lambda: self._receive(client))

    def _drop(self, client: Client) -> None:
        self._selector.unregister(client.link)
        del self._clients[client.link.fileno()]
        client.link.close()
        self._joining = [entry for entry in self._joining if entry[0] is not client]
        if client.holds:
            self._free_since = self._clock()
            self._linger = 0.0 if self._exclusive else LINGER

    def _receive(self, client: Client) -> None:
        try:
            part = client.link.recv(65536)
        except OSError:
            part = b""
        if not part:
            self._drop(client)
            return
        client.unread += part
        *lines, rest = client.unread.split(b"\n")
        client.unread = bytearray(rest)
        for line in lines:
            self._serve(client, bytes(line))

    def _serve(self, client: Client, line: bytes) -> None:
        try:
            request = json.loads(line)
            identity, operation = request["id"], request["op"]
        except (ValueError, KeyError, TypeError):
            client.tell(None, {"error": f"not a request: {line[:200]!r}"})
            return
        try:
            self._begin(client, identity, operation, request)
        except CassandraUnavailable as error:
            client.tell(identity, {"error": str(error)})

    def _begin(self, client: Client, identity: object, operation: object, request: dict[str, Any]) -> None:
        if operation == "status":
            client.tell(identity, {"ok": self._describe()})
        elif operation == "down":
            note("told to end")
            self.over = True
        elif operation == "join":
            self._join(client, identity, request)
        else:
            self._command(client, identity, operation, request)

    def _join(self, client: Client, identity: object, request: dict[str, Any]) -> None:
        if request.get("layout") != self._fingerprint:
            raise CassandraUnavailable(
                f"the cluster {self._name} is running with another layout than yours: wait until its holders "
                f"are done, or end it with: python -m txcql.test.cassandra down {self._name}"
            )
        client.holds = True
        if self._ready:
            client.tell(identity, {"ok": self._describe()})
        else:
            self._joining.append((client, identity))

    def _describe(self) -> dict[str, object]:
        nodes = [daemon.describe() for daemon in self._daemons]
        own = {"name": self._name, "keeper": os.getpid(), "exclusive": self._exclusive}
        return {**self._details, **own, "holders": self._holders(), "nodes": nodes}

    def _go_on_starting(self) -> None:
        if self._starting is None:
            return
        answer: dict[str, object]
        try:
            next(self._starting)
            return
        except StopIteration:
            self._ready = True
            answer = {"ok": self._describe()}
            note("all nodes are ready")
        except CommandFailed as error:
            self.over = True
            answer = {"error": f"the cluster {self._name} did not start: {error}"}
            note(str(answer["error"]))
        self._starting = None
        for client, identity in self._joining:
            client.tell(identity, answer)
        self._joining.clear()

    def _command(self, client: Client, identity: object, operation: object, request: dict[str, Any]) -> None:
        commands: dict[object, Callable[[Daemon], Steps]] = {
            "kill": lambda daemon: self._end(daemon, signal.SIGKILL),
            "terminate": lambda daemon: self._end(daemon, signal.SIGTERM),
            "stop": self._stop,
            "cont": self._cont,
            "restart": self._restart,
            "nodetool": lambda daemon: self._nodetool(daemon, request),
        }
        if operation not in commands:
            raise CommandFailed(f"the keeper knows no command {operation!r}")
        daemon = self._node(request)
        if operation != "nodetool" and not self._exclusive:
            raise CommandFailed(
                f"others may be using the cluster {self._name}: for {operation} lease it with exclusive=True"
            )
        note(f"node {daemon.index}: {operation} {request.get('arguments', '')}")
        self._jobs.append(Job(client, identity, commands[operation](daemon), daemon.index))

    def _node(self, request: dict[str, Any]) -> Daemon:
        index = request.get("node")
        if not self._ready:
            raise CommandFailed(f"the cluster {self._name} is still starting")
        if not isinstance(index, int) or not 0 <= index < len(self._daemons):
            raise CommandFailed(f"there is no node {index!r}: the nodes are 0 to {len(self._daemons) - 1}")
        if any(job.node == index for job in self._jobs):
            raise CommandFailed(f"node {index} is busy with an earlier command: wait for its answer first")
        return self._daemons[index]

    def _go_on(self, job: Job) -> None:
        try:
            next(job.steps)
            return
        except StopIteration as end:
            job.client.tell(job.identity, {"ok": end.value})
        except CommandFailed as error:
            job.client.tell(job.identity, {"error": str(error)})
        except OSError as error:
            job.client.tell(job.identity, {"error": f"the keeper could not do it: {error}"})
        self._jobs.remove(job)

    def _until(
        self, done: Callable[[], bool], limit: float, failure: Callable[[], str]
    ) -> Generator[None, None, None]:
        end = self._clock() + limit
        while not done():
            if self._clock() > end:
                raise CommandFailed(failure())
            yield

    def _until_ready(self, daemons: list[Daemon]) -> Steps:
        def all_ready() -> bool:
            for daemon in daemons:
                if not daemon.alive():
                    ended = f"ended with status {daemon.status()} before it answered"
                    raise CommandFailed(daemon.trouble(ended))
            return all(daemon.ready() for daemon in daemons)

        def too_late() -> str:
            late = next(daemon for daemon in daemons if not daemon.ready())
            return late.trouble(f"did not answer within {START_LIMIT:.0f} s")

        yield from self._until(all_ready, START_LIMIT, too_late)
        return {}

    def _end(self, daemon: Daemon, number: signal.Signals) -> Steps:
        if not daemon.alive():
            raise CommandFailed(daemon.trouble(f"has already ended with status {daemon.status()}"))
        daemon.signal(number)
        # A stopped process sees no other signal than SIGKILL.
        daemon.signal(signal.SIGCONT)
        late = f"still runs {COMMAND_LIMIT:.0f} s after {number.name}"
        yield from self._until(lambda: not daemon.alive(), COMMAND_LIMIT, lambda: daemon.trouble(late))
        return daemon.describe()

    def _stop(self, daemon: Daemon) -> Steps:
        daemon.signal(signal.SIGSTOP)
        late = "still runs after SIGSTOP"
        done = ("stopped", "ended")
        yield from self._until(lambda: daemon.state() in done, COMMAND_LIMIT, lambda: daemon.trouble(late))
        return self._still_there(daemon)

    def _cont(self, daemon: Daemon) -> Steps:
        daemon.signal(signal.SIGCONT)
        late = "is still stopped after SIGCONT"
        done = ("starting", "ready", "ended")
        yield from self._until(lambda: daemon.state() in done, COMMAND_LIMIT, lambda: daemon.trouble(late))
        return self._still_there(daemon)

    def _still_there(self, daemon: Daemon) -> dict[str, object]:
        if not daemon.alive():
            raise CommandFailed(daemon.trouble(f"has ended with status {daemon.status()}"))
        return daemon.describe()

    def _restart(self, daemon: Daemon) -> Steps:
        if daemon.alive():
            yield from self._end(daemon, signal.SIGTERM)
        daemon.start()
        yield from self._until_ready([daemon])
        return daemon.describe()

    def _nodetool(self, daemon: Daemon, request: dict[str, Any]) -> Steps:
        arguments = [str(argument) for argument in request.get("arguments", [])]
        with tempfile.TemporaryFile() as output:
            process = tethered(daemon.recipe.nodetool(arguments), output, daemon.recipe.log.parent)
            try:
                late = f"nodetool {' '.join(arguments)} still runs after {COMMAND_LIMIT:.0f} s"
                yield from self._until(lambda: process.poll() is not None, COMMAND_LIMIT, lambda: late)
            finally:
                process.kill()
                process.wait()
            output.seek(0)
            text = output.read().decode(errors="replace")
        if process.returncode:
            said = f"nodetool {' '.join(arguments)} ended with status {process.returncode}:\n{text}"
            raise CommandFailed(said)
        return {"output": text}


def remove_data(daemon: Daemon) -> None:
    """Remove what a node stored, but not its log and its configuration, which tell what happened.

    :param daemon: The node, whose process is gone.
    """
    folder = daemon.recipe.log.parent
    for name in ("data", "commitlog", "saved", "hints", "cdc", "tmp"):
        shutil.rmtree(folder / name, ignore_errors=True)
