"""The consistency levels: their names, and the protocol's numbers for them."""

from __future__ import annotations

__all__ = ["CONSISTENCY_NAMES", "consistency_code", "consistency_name"]

CONSISTENCY_NAMES = (
    "ANY",
    "ONE",
    "TWO",
    "THREE",
    "QUORUM",
    "ALL",
    "LOCAL_QUORUM",
    "EACH_QUORUM",
    "SERIAL",
    "LOCAL_SERIAL",
    "LOCAL_ONE",
)
"""In the order of their numbers: protocol specification, section 3, [consistency]."""

_CODES = {name: code for code, name in enumerate(CONSISTENCY_NAMES)}


def consistency_code(name: str) -> int:
    """The protocol's number of a consistency level.

    :param name: such as ``"LOCAL_QUORUM"``.
    :raises ValueError: there is no such level; the text lists those that exist.
    """
    try:
        return _CODES[name]
    except (KeyError, TypeError):
        raise ValueError(f"consistency must be one of {', '.join(CONSISTENCY_NAMES)}, got {name!r}") from None


def consistency_name(code: int) -> str:
    """The name of a consistency level; an unknown number comes back as its hex text."""
    return CONSISTENCY_NAMES[code] if code < len(CONSISTENCY_NAMES) else f"0x{code:04X}"
