"""One node's process: started, watched, signalled, reaped."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Sequence
from os import getpid
from pathlib import Path
from typing import IO, Protocol

from . import tether
from .folders import last_lines

__all__ = ["Daemon", "Recipe", "tethered"]


class Recipe(Protocol):
    """What a keeper has to know about a node before it can start it."""

    address: str
    port: int
    datacenter: str
    rack: str

    @property
    def nice(self) -> int:
        """How much the node gives way to other programs; see ``nice(1)``."""

    @property
    def log(self) -> Path:
        """The file for what the node writes, in a folder of its own."""

    def command(self) -> list[str]:
        """Make the command line for the next start.

        :returns: The program and its arguments.
        """

    def nodetool(self, arguments: list[str]) -> list[str]:
        """Make the command line of nodetool for the running node.

        :param arguments: What nodetool is to do.
        :returns: The program and its arguments.
        """

    def answers(self) -> bool:
        """Ask the node whether it serves clients.

        :returns: True if it does.
        """


def tethered(
    command: Sequence[str], output: IO[bytes], folder: Path, held: Sequence[int] = (), nice: int = 0
) -> subprocess.Popen[bytes]:
    """Start a program that dies with this process, however this process ends.

    The kernel watches the thread that calls this, not the process: call it from the main thread.

    :param command: The program and its arguments.
    :param output: Where its output and its errors go.
    :param folder: The folder in which it runs.
    :param held: File descriptors that it keeps open.
    :param nice: How much it gives way to other programs; see ``nice(1)``.
    :returns: The process.
    """
    tie = [sys.executable, "-I", "-S", tether.__file__, str(getpid()), str(nice)]
    return subprocess.Popen(
        [*tie, *command],
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        cwd=folder,
        pass_fds=held,
        start_new_session=True,
    )


class Daemon:
    """A node, running or not.

    :param index: Its place in the cluster, from 0.
    :param recipe: How to start it and how to ask it.
    :param held: File descriptors that its process keeps open.
    """

    def __init__(self, index: int, recipe: Recipe, held: Sequence[int] = ()) -> None:
        self.index = index
        self.recipe = recipe
        self._held = held
        self._process: subprocess.Popen[bytes] | None = None
        self._ready = False

    def __repr__(self) -> str:
        return f"<Daemon {self.index} {self.recipe.address}:{self.recipe.port} {self.state()}>"

    def start(self) -> None:
        """Start the process, which must not be running."""
        self._ready = False
        with open(self.recipe.log, "ab") as log:
            command, folder = self.recipe.command(), self.recipe.log.parent
            self._process = tethered(command, log, folder, self._held, self.recipe.nice)

    def alive(self) -> bool:
        """Look whether the process runs, and reap it if it ended.

        :returns: True if it runs, or is stopped.
        """
        return self._process is not None and self._process.poll() is None

    def ready(self) -> bool:
        """Ask whether the node serves clients: whoever answers, our own process must be alive too.

        :returns: True if it does.
        """
        self._ready = self._ready or (self.recipe.answers() and self.alive())
        return self._ready and self.alive()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process, if there is one.

        :param number: The signal.
        """
        if self._process is not None:
            self._process.send_signal(number)

    def kill_and_wait(self, limit: float = 30.0) -> None:
        """End the process at once, and wait until it is gone.

        :param limit: Seconds to wait at most.
        :raises subprocess.TimeoutExpired: if the kernel does not get rid of it.
        """
        if self._process is not None:
            self._process.kill()
            self._process.wait(limit)

    def state(self) -> str:
        """Say how the process is.

        :returns: ``new``, ``starting``, ``ready``, ``stopped`` (by SIGSTOP) or ``ended``.
        """
        if self._process is None:
            return "new"
        if not self.alive():
            return "ended"
        if self._stopped(self._process.pid):
            return "stopped"
        return "ready" if self._ready else "starting"

    @staticmethod
    def _stopped(pid: int) -> bool:
        # The command's name, in brackets, may hold anything; the state follows the last bracket.
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        return text.rpartition(")")[2].split()[0] in "Tt"

    def describe(self) -> dict[str, object]:
        """Describe the node to a client of the keeper.

        :returns: A plain dictionary, ready for JSON.
        """
        recipe = self.recipe
        return {
            "index": self.index,
            "address": recipe.address,
            "port": recipe.port,
            "pid": self._process.pid if self._process is not None else 0,
            "state": self.state(),
            "datacenter": recipe.datacenter,
            "rack": recipe.rack,
            "log": str(recipe.log),
        }

    def trouble(self, what: str) -> str:
        """Say what went wrong with the node, with the end of its log.

        :param what: What went wrong.
        :returns: A text of many lines.
        """
        where = f"node {self.index} ({self.recipe.address}:{self.recipe.port})"
        return f"{where} {what}; its log {self.recipe.log} ends:\n{last_lines(self.recipe.log)}"

    def status(self) -> int | None:
        """Look at the exit status.

        :returns: The status, negative for a signal; None if the process runs or never did.
        """
        return None if self._process is None else self._process.poll()
