"""How much of everything: all of it under ``TXCQL_FULL``, else a twentieth."""

from __future__ import annotations

import os

__all__ = ["sized"]


def sized(full: int) -> int:
    """Choose a count.

    :param full: The full count.
    :returns: That, or the twentieth part of it which a plain ``tox`` takes.
    """
    return full if os.environ.get("TXCQL_FULL") else max(1, full // 20)
