"""Every interface that an application may implement."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any
from uuid import UUID

from twisted.internet.defer import Deferred
from zope.interface import Attribute, Interface

__all__ = [
    "IAuthenticator",
    "ICodec",
    "ILoadBalancingPolicy",
    "INode",
    "IReconnectionPolicy",
    "IRowConsumer",
    "IStatementSink",
]


class INode(Interface):
    """One node of the cluster, as policies see it."""

    name: str = Attribute("its native address and port, ``host:port``")
    host_id: UUID = Attribute("its identity, a ``uuid.UUID``, which outlives its address")
    datacenter: str = Attribute("the name of its data center")
    rack: str = Attribute("the name of its rack")
    up: bool = Attribute("whether a link to it is ready")


class IReconnectionPolicy(Interface):
    """When to try again to reach a node that was lost."""

    def delays() -> Iterable[float]:
        """A new schedule, for one link.

        :returns: an endless iterable of seconds: the wait before each attempt.
        """


class ILoadBalancingPolicy(Interface):
    """Which nodes a request goes to, and in which order."""

    def node_up(node: INode) -> None:
        """A link to the node is ready.

        :param node: an :class:`INode`.
        """

    def node_down(node: INode) -> None:
        """No link to the node is ready any more, or the node has left the cluster.

        :param node: an :class:`INode`.
        """

    def plan() -> Iterator[INode]:
        """The nodes to try for one request, best first.

        :returns: an iterator of :class:`INode`; it is asked for one node at a time.
        """


class IAuthenticator(Interface):
    """One login, by any SASL mechanism: made anew for each link.

    Each method may return its token or a Deferred of it.
    """

    def initial_response(server_class: str) -> bytes | Deferred[bytes]:
        """The first token.

        :param server_class: the class name that the node gave in AUTHENTICATE.
        :returns: bytes, or a Deferred of bytes.
        """

    def evaluate_challenge(token: bytes | None) -> bytes | Deferred[bytes]:
        """The answer to a challenge.

        :param token: bytes or ``None``, from AUTH_CHALLENGE.
        :returns: bytes, or a Deferred of bytes.
        """


class ICodec(Interface):
    """How values of one CQL type, or instances of one Python class, are written and read.

    It is asked for every value, also inside collections, tuples and user-defined types; null is
    ``None`` on both sides. Whatever it raises fails the request, or the row, and names the column.
    An object needs the methods only; it need not declare the interface.

    A codec for a Python class may have an attribute ``cql_type``, such as ``"text"``: parameters of
    other types then refuse the instances.
    """

    def encode(value: Any) -> bytes | None:
        """Write a value.

        :returns: the bytes as the CQL type has them (:func:`txcql.parse_type` gives the type, which
            writes them); ``None`` for null.
        """

    def decode(data: bytes | None) -> Any:
        """Read a value. Codecs for Python classes need not have it.

        :param data: its bytes, ``None`` for null.
        """


class IRowConsumer(Interface):
    """Takes rows, at its own pace: ``IConsumer`` with rows in place of bytes."""

    def registerProducer(producer: Any, streaming: bool) -> None:
        """Rows will come from the producer.

        :param producer: an ``IPushProducer``, to be paused and resumed at will.
        :param streaming: always true.
        """

    def unregisterProducer() -> None:
        """No further row will come."""

    def write(row: Any) -> None:
        """Take one row. None is written between ``pauseProducing`` and ``resumeProducing``."""


class IStatementSink(Interface):
    """Takes statements, as ``IConsumer`` takes bytes."""

    def registerProducer(producer: Any, streaming: bool) -> None:
        """Statements will come from the producer, which is paused while there is no room for them.

        :param producer: an ``IPushProducer``, or an ``IPullProducer`` if ``streaming`` is false.
        """

    def unregisterProducer() -> None:
        """No further statement will come."""

    def write(statement: Any, parameters: Any = None) -> None:
        """Execute a statement."""

    finished: Deferred[Any] = Attribute("fires when every statement is answered")
