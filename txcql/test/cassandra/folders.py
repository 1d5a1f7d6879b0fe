"""Where jars, nodes and sockets live: one cache folder outside the checkout."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from .problems import CassandraUnavailable

__all__ = ["VARIABLE", "cache_folder", "cluster_folder", "last_lines", "locked", "socket_path"]

#: The environment variable that moves the cache folder.
VARIABLE = "TXCQL_CASSANDRA_CACHE"

#: The longest path that Linux takes for a Unix socket, in bytes.
SOCKET_LIMIT = 107


def cache_folder() -> Path:
    """Find the cache folder, and make it if need be.

    :returns: Its absolute path.
    :raises CassandraUnavailable: if the environment names a folder that cannot serve.
    """
    folder = Path(os.environ.get(VARIABLE) or "~/.cache/txcql").expanduser()
    if not folder.is_absolute() or ":" in str(folder):
        raise CassandraUnavailable(
            f"{VARIABLE} must be an absolute path without a colon, not {str(folder)!r}"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CassandraUnavailable(
            f"the cache folder {folder} cannot be made ({error.strerror}): set {VARIABLE} to one that can"
        ) from error
    return folder


def cluster_folder(name: str) -> Path:
    """Find the folder of one cluster's files, and make it if need be.

    :param name: The cluster's name.
    :returns: Its absolute path.
    :raises CassandraUnavailable: if there is no usable cache folder.
    """
    folder = cache_folder() / name
    folder.mkdir(exist_ok=True)
    return folder


def socket_path(name: str) -> Path:
    """Find the Unix socket on which the keeper of a cluster listens.

    :param name: The cluster's name.
    :returns: The path, which need not exist.
    :raises CassandraUnavailable: if the path is too long for a Unix socket, which ends at 107 bytes.
    """
    path = cache_folder() / f"{name}.sock"
    length = len(os.fsencode(path))
    if length > SOCKET_LIMIT:
        raise CassandraUnavailable(
            f"{path} is {length} bytes long, and a Unix socket's path ends at {SOCKET_LIMIT}: "
            f"set {VARIABLE} to a folder that is at least {length - SOCKET_LIMIT} bytes shorter"
        )
    return path


@contextmanager
def locked(path: Path) -> Iterator[TextIO]:
    """Hold a lock file, waiting for whoever holds it now.

    :param path: The lock file; made if need be, never removed.
    :returns: The open file, as a context manager.
    """
    with open(path, "w", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield file


def last_lines(path: Path, count: int = 25) -> str:
    """Read the end of a log.

    :param path: The log.
    :param count: How many lines at most.
    :returns: Its last lines, or a remark that there are none.
    """
    try:
        with open(path, "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - 16384))
            text = file.read().decode(errors="replace")
    except OSError as error:
        return f"(no log: {error})"
    return "\n".join(text.splitlines()[-count:]) or "(the log is empty)"
