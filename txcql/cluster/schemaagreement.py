"""Waiting until all nodes have the same schema."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any
from uuid import UUID

from twisted.internet.task import deferLater
from twisted.logger import Logger

from txcql.cluster.topology import read_schema_versions
from txcql.connection.protocol import CQLProtocol
from txcql.errors import CQLError

__all__ = ["agree_on_schema"]

log = Logger(namespace="txcql.cluster")

_INTERVAL = 0.2  # seconds


async def agree_on_schema(
    reactor: Any,
    link: Callable[[], CQLProtocol | None],
    down: Callable[[], Collection[UUID]],
    timeout: float,
) -> bool:
    """Wait until all nodes have the same schema; whether they did in time.

    :param link: tells a link to the node that has changed it, or, without one, another link.
    :param down: tells the nodes that are down: they will learn the schema when they return.
    :param timeout: seconds to wait.
    """
    end = reactor.seconds() + timeout
    while True:
        current = link()
        try:
            if current is not None and len(await read_schema_versions(current, down())) < 2:
                return True
        except CQLError as error:
            log.info("schema versions cannot be read: {error}", error=error)
        if reactor.seconds() >= end:
            log.warn("the nodes do not agree on a schema after {timeout} s", timeout=timeout)
            return False
        await deferLater(reactor, _INTERVAL)
