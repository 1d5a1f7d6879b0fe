"""Every interface that an application may implement."""

from __future__ import annotations

from zope.interface import Attribute, Interface

__all__ = ["IAuthenticator", "ILoadBalancingPolicy", "INode", "IReconnectionPolicy"]


class INode(Interface):
    """One node of the cluster, as policies see it."""

    name = Attribute("its native address and port, ``host:port``")
    host_id = Attribute("its identity, a ``uuid.UUID``, which outlives its address")
    datacenter = Attribute("the name of its data center")
    rack = Attribute("the name of its rack")
    up = Attribute("whether a link to it is ready")


class IReconnectionPolicy(Interface):
    """When to try again to reach a node that was lost."""

    def delays():
        """A new schedule, for one link.

        :returns: an endless iterable of seconds: the wait before each attempt.
        """


class ILoadBalancingPolicy(Interface):
    """Which nodes a request goes to, and in which order."""

    def node_up(node):
        """A link to the node is ready.

        :param node: an :class:`INode`.
        """

    def node_down(node):
        """No link to the node is ready any more, or the node has left the cluster.

        :param node: an :class:`INode`.
        """

    def plan():
        """The nodes to try for one request, best first.

        :returns: an iterator of :class:`INode`; it is asked for one node at a time.
        """


class IAuthenticator(Interface):
    """One login, by any SASL mechanism: made anew for each link.

    Each method may return its token or a Deferred of it.
    """

    def initial_response(server_class):
        """The first token.

        :param server_class: the class name that the node gave in AUTHENTICATE.
        :returns: bytes, or a Deferred of bytes.
        """

    def evaluate_challenge(token):
        """The answer to a challenge.

        :param token: bytes or ``None``, from AUTH_CHALLENGE.
        :returns: bytes, or a Deferred of bytes.
        """
