"""Run a program on a reactor of one's choice, and count the threads of the process.

``python threadcount.py REACTOR PROGRAM`` prints, after what the program prints, one line of JSON: the
reactor's class, and the threads before anything of Twisted was imported and when the program was done.
With ``none`` in place of a reactor the program runs a loop of its own, and the line tells which threads
it has started, and whether there is a reactor.

It is run by its path, so that nothing of txcql is imported before the first count.
"""

from __future__ import annotations

import importlib
import json
import runpy
import sys
import threading
from pathlib import Path


def count_threads() -> tuple[int, int]:
    """Count the threads.

    :returns: Those that Python knows of, and those that the kernel knows of.
    """
    status = Path("/proc/self/status").read_text(encoding="ascii")
    [line] = [line for line in status.splitlines() if line.startswith("Threads:")]
    return threading.active_count(), int(line.split()[1])


def count_started(program: str) -> None:
    """Run a program that runs no reactor, and note each thread that it starts.

    :param program: its path.
    """
    started = []
    start = threading.Thread.start

    def noted(self: threading.Thread) -> None:
        started.append(self.name)
        start(self)

    threading.Thread.start = noted  # type: ignore[method-assign]
    before = count_threads()
    runpy.run_path(program, run_name="__main__")
    found = {
        "before": before,
        "after": count_threads(),
        "started": started,
        "reactor": "twisted.internet.reactor" in sys.modules,
    }
    print(json.dumps(found))


def main(reactor_name: str, program: str) -> None:
    """Install the reactor and run the program.

    :param reactor_name: ``epoll``, ``poll``, ``select``, ``asyncio`` or ``none``.
    :param program: The path of a program that runs the installed reactor.
    """
    before = count_threads()
    if reactor_name == "none":
        count_started(program)
        return
    importlib.import_module(f"twisted.internet.{reactor_name}reactor").install()
    from twisted.internet import reactor

    found = {"reactor": type(reactor).__name__, "before": before}

    def count_again() -> None:
        found["after"] = count_threads()

    # Before the reactor's own thread pool, if somebody has started that, is stopped.
    reactor.addSystemEventTrigger("before", "shutdown", count_again)
    status: object = None
    try:
        runpy.run_path(program, run_name="__main__")
    except SystemExit as finished:
        status = finished.code
    print(json.dumps(found))
    sys.exit(status)  # type: ignore[arg-type]


if __name__ == "__main__":
    main(*sys.argv[1:])
