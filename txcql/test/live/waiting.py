"""Waiting for what comes about by itself, and no longer than it may take."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.task import deferLater

from txcql.errors import CQLError

__all__ = ["eventually"]

T = TypeVar("T")


async def eventually(
    reactor: Any, question: Callable[[], T | Deferred[T]], seconds: float = 5.0, interval: float = 0.05
) -> T:
    """Ask until the answer is not no.

    :param reactor: Waits.
    :param question: Gives an answer, or a Deferred of it; None, False and an error of the driver's are no.
    :param seconds: How long to ask at most.
    :param interval: Seconds from an answer to the next question.
    :returns: The answer.
    :raises AssertionError: if it did not come in time; the text holds the last one.
    """
    end = reactor.seconds() + seconds
    while True:
        answer: Any
        try:
            answer = await maybeDeferred(question)
        except CQLError as error:
            answer = error
        else:
            # A result without rows is an answer, and is false.
            if answer is not None and answer is not False:
                result: T = answer
                return result
        if reactor.seconds() >= end:
            raise AssertionError(f"not within {seconds:g} s; the last answer was: {answer!r}")
        await deferLater(reactor, interval)
