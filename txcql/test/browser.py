"""A headless Chromium for tests: found, or installed from the distribution's packages."""

from __future__ import annotations

import os
import shutil
import subprocess

__all__ = ["ARGUMENTS", "BrowserUnavailable", "chromium"]

NAMES = ("chromium", "chromium-browser", "google-chrome")

ARGUMENTS = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"]
"""What it needs in a container, as root."""

_INSTALL = (
    ["apt-get", "update"],
    ["apt-get", "install", "--yes", "--no-install-recommends", "chromium"],
)


class BrowserUnavailable(Exception):
    """There is no browser, and none can be installed; the text says what to do."""


def chromium() -> str:
    """Find Chromium, or install it: no test is skipped because it is missing.

    ``TXCQL_CHROMIUM`` names another one.

    :returns: its path.
    :raises BrowserUnavailable: it cannot be had.
    """
    given = os.environ.get("TXCQL_CHROMIUM")
    if given:
        return given
    found = _find()
    if found is not None:
        return found
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        raise BrowserUnavailable(
            "no Chromium was found, and only root can install it, on Debian and its kind: "
            "apt-get install --no-install-recommends chromium, or name one in TXCQL_CHROMIUM"
        )
    for command in _INSTALL:
        done = subprocess.run(
            command,
            env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
        )
        if done.returncode:
            raise BrowserUnavailable(f"{' '.join(command)} failed: {done.stderr[-1000:]}")
    found = _find()
    if found is None:
        raise BrowserUnavailable(f"apt-get has installed it, but there is none of {', '.join(NAMES)}")
    return found


def _find() -> str | None:
    return next((path for name in NAMES if (path := shutil.which(name)) is not None), None)
