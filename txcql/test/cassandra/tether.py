"""Become another program that dies with its parent: ``python tether.py PARENT NICE PROGRAM ARGUMENT…``.

Run by its path, not imported. A function given to :class:`subprocess.Popen` as ``preexec_fn`` would do the
same, but is unsafe, and warned about, in a process with threads.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    """Tie this process to its parent, give way to others if it is to, then replace it by the program.

    :raises SystemExit: if the system cannot do that, or the program cannot be run.
    """
    parent, nice, program = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0):
            raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
    except (AttributeError, OSError) as error:
        raise SystemExit(f"cannot tie a node to its keeper, which needs Linux: {error}") from error
    if os.getppid() != parent:
        raise SystemExit("the keeper was gone before its node started")
    if nice:
        give_way(nice)
    try:
        os.execvp(program[0], program)
    except OSError as error:
        raise SystemExit(f"cannot run {program[0]}: {error}") from error


def give_way(nice: int) -> None:
    """Run only when others do not want to.

    :param nice: How much; see ``nice(1)``.
    """
    os.nice(nice)
    try:
        # The kernel may put each session into a group, and then it weighs groups, not processes.
        with open("/proc/self/autogroup", "w", encoding="ascii") as group:
            group.write(str(nice))
    except OSError:
        return


if __name__ == "__main__":
    main()
