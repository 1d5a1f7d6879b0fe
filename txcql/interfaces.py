"""Every interface that an application may implement."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Literal
from uuid import UUID

from twisted.internet.defer import Deferred
from zope.interface import Attribute, Interface

__all__ = [
    "Distance",
    "IAddressTranslator",
    "IAttemptListener",
    "IAuthenticator",
    "ICodec",
    "IFlowObserver",
    "IGuardedSpeculativeExecutionPolicy",
    "ILoadBalancingPolicy",
    "INode",
    "INodeListener",
    "IReconnectionPolicy",
    "IRequest",
    "IRequestObserver",
    "IRetryPolicy",
    "IRowConsumer",
    "ISchemaListener",
    "ISpeculativeExecutionPolicy",
    "IStatementSink",
    "ITimestampGenerator",
]

Distance = Literal["local", "remote", "ignored"]
"""How near a node is: it decides how many links the node is given, if any."""


class INode(Interface):
    """One node of the cluster, as policies see it."""

    name: str = Attribute("its native address and port, ``host:port``")
    host_id: UUID = Attribute("its identity, a ``uuid.UUID``, which outlives its address")
    datacenter: str = Attribute("the name of its data center")
    rack: str = Attribute("the name of its rack")
    up: bool = Attribute("whether a link to it is ready")
    suspect: bool = Attribute("whether requests to it time out while it says nothing at all")


class IRequest(Interface):
    """One request, as policies see it. What it says is computed when it is asked for."""

    keyspace: str | None = Attribute("the keyspace of what it reads or writes; ``None`` if not known")
    routing_key: bytes | None = Attribute(
        "the serialized partition key that it is for; ``None`` if it is for none, or for several"
    )
    consistency: str = Attribute("the name of its consistency level")
    idempotent: bool = Attribute("whether it may be repeated though it may have been carried out")

    def replicas() -> Sequence[INode]:
        """The nodes that own its partition.

        :returns: in ring order, those that are down too; empty if they are not known.
        """


class IReconnectionPolicy(Interface):
    """When to try again to reach a node that was lost."""

    def delays() -> Iterable[float]:
        """A new schedule, for one link.

        :returns: an endless iterable of seconds: the wait before each attempt.
        """


class ILoadBalancingPolicy(Interface):
    """Which nodes a request goes to, and in which order.

    Each session needs one of its own.
    """

    def start(datacenter: str, rack: str | None) -> None:
        """The session begins; called once, before all else.

        :param datacenter: the local data center.
        :param rack: the local rack, if the application has named one.
        """

    def distance(node: INode) -> Distance:
        """How near a node is. Asked of every node whenever nodes come, go, or go down.

        :param node: an :class:`INode`.
        :returns: ``"local"``; ``"remote"``, which gives it fewer links; or ``"ignored"``, which gives
            it none.
        """

    def node_up(node: INode) -> None:
        """A link to the node is ready.

        :param node: an :class:`INode`, which other policies of the session may use though this one
            ignores it.
        """

    def node_down(node: INode) -> None:
        """No link to the node is ready any more.

        :param node: an :class:`INode`.
        """

    def node_removed(node: INode) -> None:
        """The node has left the cluster; if it was up, ``node_down`` comes first.

        :param node: an :class:`INode`.
        """

    def plan(request: IRequest) -> Iterator[INode]:
        """The nodes to try for one request, best first.

        Nodes that are suspect need no care: the session puts them off to the end of any plan.

        :param request: an :class:`IRequest`.
        :returns: an iterator of :class:`INode`; it is asked for one node at a time.
        """


class IRetryPolicy(Interface):
    """What becomes of a request that a node has failed.

    It is asked when a link was lost under a request, an attempt has timed out, or the answer was an
    error. It is not asked where there is nothing to decide: a request that never left goes on to its
    next node, and so does one that a starting node refused; one that was cancelled, or whose
    deadline has passed, goes nowhere.
    """

    def decide(request: IRequest, error: Any, attempt: int) -> Any:
        """What to do now.

        :param request: an :class:`IRequest`; its ``idempotent`` says whether repeating it does no harm.
        :param error: a :class:`~txcql.errors.CQLError`; its ``delivery`` says whether the node may have
            carried the request out.
        :param attempt: how often the request has been sent, this time included.
        :returns: a :class:`~txcql.policies.retry.RetryDecision`.
        """


class ISpeculativeExecutionPolicy(Interface):
    """When an idempotent request is tried at a second node though the first may still answer."""

    def delay(request: IRequest, executions: int) -> float | None:
        """How long to wait before one more.

        :param request: an :class:`IRequest`.
        :param executions: how many have begun, the first included.
        :returns: seconds; ``None`` if there shall be no more.
        """


class IGuardedSpeculativeExecutionPolicy(ISpeculativeExecutionPolicy):
    """One that is asked again once the wait is over."""

    def begins(request: IRequest, executions: int) -> bool:
        """Whether the further execution begins now, for which ``delay`` gave the time.

        :param request: an :class:`IRequest`.
        :param executions: how many have begun, the first included.
        """


class IAttemptListener(Interface):
    """Hears how each attempt of each request goes: for policies that learn from it.

    A policy of a session that provides it is told, and so is one that another policy names among its
    ``children``. Where none does, requests know nothing of it. PREPAREs are attempts, too.
    """

    def attempt_begun(node: str) -> None:
        """A request is on its way to a node, or in the queue for it.

        :param node: the ``host:port`` of the node.
        """

    def attempt_ended(node: str, seconds: float, error: BaseException | None) -> None:
        """It is answered, has failed, or is given up; told once for each that has begun.

        :param node: as for ``attempt_begun``.
        :param seconds: since its bytes were written; since it began, if they were not.
        :param error: a :class:`~txcql.errors.CQLError`, among them
            :class:`~txcql.errors.RequestTimeout` when the deadline has passed; a ``CancelledError`` if
            nobody wanted the answer any more; ``None``: it was answered with a result.
        """


class ITimestampGenerator(Interface):
    """Which timestamp a write has, unless its caller or its text gives one."""

    def next() -> int | None:
        """A timestamp.

        :returns: microseconds since 1970; ``None`` leaves it to the server.
        """


class IAddressTranslator(Interface):
    """Where nodes are for this program, if that is not where they say they are."""

    def translate(host: str, port: int) -> tuple[str, int] | Deferred[tuple[str, int]]:
        """Where to connect to. It is asked again while the node cannot be reached.

        :param host: the numeric address that the nodes of the cluster have for the node.
        :param port: its native port.
        :returns: a numeric address and a port, or a Deferred of both. If it fails, the node's own
            address is used.
        """


class INodeListener(Interface):
    """Hears of nodes. What it raises is logged, and harms nothing."""

    def node_added(node: INode) -> None:
        """A node has joined the cluster."""

    def node_removed(node: INode) -> None:
        """A node has left the cluster."""

    def node_up(node: INode) -> None:
        """A link to the node is ready."""

    def node_down(node: INode) -> None:
        """No link to the node is ready any more."""

    def node_moved(node: INode, name: str) -> None:
        """A node has another address.

        :param node: with its new name.
        :param name: the name that it had.
        """


class ISchemaListener(Interface):
    """Hears of changes of the schema, in the keyspaces that ``schema_metadata`` covers.

    What it raises is logged, and harms nothing. What is added, changed or removed is a keyspace,
    table, view, type, function or aggregate: see :mod:`txcql.cluster.schema`. A keyspace has changed
    when its own options have: what is in it is told of by itself.
    """

    def schema_added(item: Any) -> None:
        """Something was created."""

    def schema_changed(old: Any, new: Any) -> None:
        """Something was altered."""

    def schema_removed(item: Any) -> None:
        """Something was dropped."""


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


class IFlowObserver(Interface):
    """Hears when something fills up at a node, and when there is room again."""

    def flow_signal(signal: Any) -> None:
        """A signal begins or ends. It is told within the work of the reactor: be quick.

        :param signal: a :class:`~txcql.pool.flowsignals.FlowSignal`.
        """


class IRequestObserver(Interface):
    """Hears of each step of each request of a session."""

    wants_values: bool = Attribute("whether it is to be told the values of requests, which may be secret")

    def request_step(event: Any) -> None:
        """A request has taken a step. It is told within the work of the reactor: be quick.

        :param event: a :class:`~txcql.session.requestevents.RequestEvent`.
        """


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
