"""Errors that are expected."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

import pytest

__all__ = ["failure_of"]


async def failure_of(awaitable: Awaitable[Any]) -> Any:
    """Await what fails.

    :param awaitable: A Deferred or a coroutine.
    :returns: The error.
    :raises pytest.fail.Exception: if it does not fail.
    """
    with pytest.raises(Exception) as caught:
        await awaitable
    return caught.value
