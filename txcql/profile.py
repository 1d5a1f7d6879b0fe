"""An execution profile: what a kind of request asks for, under a name."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from txcql.consistency import CONSISTENCY_NAMES
from txcql.interfaces import ILoadBalancingPolicy, IRetryPolicy, ISpeculativeExecutionPolicy

__all__ = ["Profile"]


@dataclass(frozen=True, kw_only=True)
class Profile:
    """What the requests of a profile ask for; what is ``None`` is as the session has it.

    :ivar consistency: a consistency level's name.
    :ivar serial_consistency: ``"SERIAL"`` or ``"LOCAL_SERIAL"``.
    :ivar timeout: seconds for a request over queue, preparing and all attempts.
    :ivar page_size: rows a page.
    :ivar load_balancing: an :class:`~txcql.interfaces.ILoadBalancingPolicy`.
    :ivar retry: an :class:`~txcql.interfaces.IRetryPolicy`.
    :ivar speculative: an :class:`~txcql.interfaces.ISpeculativeExecutionPolicy`;
        :class:`~txcql.policies.speculation.NoSpeculativeExecutionPolicy` where the session has one that
        the profile shall not use.
    :raises TypeError: a value of the wrong type.
    :raises ValueError: a value out of its range; the text says which.
    """

    consistency: str | None = None
    serial_consistency: str | None = None
    timeout: float | None = None
    page_size: int | None = None
    load_balancing: Any = None
    retry: Any = None
    speculative: Any = None

    def __post_init__(self) -> None:
        if self.consistency is not None and self.consistency not in CONSISTENCY_NAMES:
            names = ", ".join(CONSISTENCY_NAMES)
            raise ValueError(f"consistency must be one of {names}, got {self.consistency!r}")
        if self.serial_consistency not in (None, "SERIAL", "LOCAL_SERIAL"):
            raise ValueError(
                f"serial_consistency must be 'SERIAL' or 'LOCAL_SERIAL', got {self.serial_consistency!r}"
            )
        timeout, page_size = self.timeout, self.page_size
        if timeout is not None:
            if not isinstance(timeout, int | float) or isinstance(timeout, bool):
                raise TypeError(f"timeout must be a number of seconds, got {timeout!r}")
            if not 0 < timeout < math.inf:
                raise ValueError(f"timeout must be a positive number of seconds, got {timeout!r}")
        if page_size is not None:
            if not isinstance(page_size, int) or isinstance(page_size, bool):
                raise TypeError(f"page_size must be an int, got {page_size!r}")
            if not 1 <= page_size <= 2**31 - 1:
                raise ValueError(f"page_size must be in 1..{2**31 - 1}, got {page_size!r}")
        for name, interface in (
            ("load_balancing", ILoadBalancingPolicy),
            ("retry", IRetryPolicy),
            ("speculative", ISpeculativeExecutionPolicy),
        ):
            value = getattr(self, name)
            if value is not None and not interface.providedBy(value):
                raise TypeError(f"{name} must provide {interface.__name__}, got {value!r}")
