"""What a client does with the values it got: the same small work in every client, and in the expectation.

The touches are timed with the requests, so they are cheap. ``touch_point`` and ``touch_page`` take every
value out of its row, which makes a driver that decodes late decode it; ``touch_column`` takes those of one
column, and ``touch_nothing`` counts the rows. ``fingerprint`` is exact and never timed.
"""

from __future__ import annotations

import datetime
import zlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any

FIRST_KEY = 1_000_000_000_000
"""The key of a phase's first request; the others count up from it."""

Row = Sequence[Any]
Touch = Callable[[Iterable[Row], int], int]


class WrongAnswer(Exception):
    """An answer that is not the one to this request."""


def touch_point(rows: Iterable[Row], key: int) -> int:
    """Take the six values of a point read's only row; its ``id`` has to be the key that was asked for."""
    ((id_, name, email, age, score, active),) = rows
    if id_ != key:
        raise WrongAnswer(f"asked for the row {key}, got the row {id_}")
    total: int = id_ + len(name) + len(email) + age + int(score) + active
    return total


def touch_insert(rows: Iterable[Row], key: int) -> int:
    """There are no rows; the answers are counted."""
    for row in rows:
        raise WrongAnswer(f"a row in answer to an INSERT: {row}")
    return 1


def touch_page(rows: Iterable[Row], key: int) -> int:
    """Take the ten values of every row of a page."""
    total = 0
    for id_, name, city, visits, amount, score, active, created, price, marks in rows:
        total += visits + amount + len(name) + len(city) + active + created.microsecond + marks[2]
        if id_ is None or score is None or price is None:
            raise WrongAnswer("a null where there is none")
    return total


def touch_nothing(rows: Iterable[Row], key: int) -> int:
    """Count the rows of a page, and look at none."""
    return len(rows)  # type: ignore[arg-type]


def touch_column(rows: Iterable[Row], key: int) -> int:
    """Take the values of one column, ``visits``, the way that a driver has for it, if it has one."""
    column = getattr(rows, "column", None)
    values: Iterable[int] = [row[3] for row in rows] if column is None else column("visits")
    return sum(values)


TOUCHES: dict[str, Touch] = {
    "point": touch_point,
    "insert": touch_insert,
    "page": touch_page,
    "page-untouched": touch_nothing,
    "page-column": touch_column,
}


def values_of(kind: str, key: int) -> list[Any]:
    """The values to bind to a request: its key, and what an insert has besides."""
    if kind == "insert":
        return [key, "Ada Lovelace", "ada.lovelace@example.org", 36, 98.5, True]
    return [key]


def canonical(value: Any) -> str:
    """One spelling for each value, whichever of Python's types a driver chose for it."""
    if isinstance(value, datetime.datetime):
        if value.tzinfo is not None:
            value = value.astimezone(datetime.timezone.utc).replace(tzinfo=None)
        return str((value - datetime.datetime(1970, 1, 1)) // datetime.timedelta(milliseconds=1))
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(map(canonical, value)) + "]"
    return str(value)


def fingerprint(rows: Iterable[Row], key: int) -> int:
    """CRC-32 over every value of every row. The key takes no part: the rows hold it where there is one."""
    crc = 0
    for row in rows:
        crc = zlib.crc32("\x1f".join([*map(canonical, row), "\x1e"]).encode(), crc)
    return crc
