"""The policies that requests obey: the session's, and those of its execution profiles."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from twisted.logger import Logger

from txcql.interfaces import Distance, IAttemptListener, INode
from txcql.policies.retry import DefaultRetryPolicy
from txcql.policies.speculation import NoSpeculativeExecutionPolicy
from txcql.policies.tokenaware import TokenAwarePolicy
from txcql.settings import Settings

__all__ = ["NO_POLICIES", "Policies", "Profiles"]

log = Logger(namespace="txcql.session")


class Policies(NamedTuple):
    """What one request obeys.

    :ivar speculative: ``None`` if no request is at two nodes at a time.
    """

    load_balancing: Any
    retry: Any
    speculative: Any


log = Logger(namespace="txcql.session")

NO_POLICIES = Policies(None, None, None)


class Profiles:
    """The policies of a session; to the cluster, one policy that speaks for all of them.

    :param settings: see :class:`~txcql.settings.Settings`.
    :ivar default: those of requests that name no profile.
    :ivar named: those of the others, by profile.
    :ivar load_balancing: every load balancing policy, once.
    :ivar attempt_listeners: every policy that hears of attempts, once.
    """

    def __init__(self, settings: Settings) -> None:
        self.default = Policies(
            settings.load_balancing or TokenAwarePolicy(),
            settings.retry or DefaultRetryPolicy(),
            _speculative(settings.speculative),
        )
        self.named = {
            name: Policies(
                profile.load_balancing or self.default.load_balancing,
                profile.retry or self.default.retry,
                _speculative(profile.speculative) if profile.speculative else self.default.speculative,
            )
            for name, profile in (settings.profiles or {}).items()
        }
        every = [self.default.load_balancing, *(policies.load_balancing for policies in self.named.values())]
        self.load_balancing: Sequence[Any] = tuple({id(policy): policy for policy in every}.values())
        chosen = [policy for policies in (self.default, *self.named.values()) for policy in policies]
        listeners = [policy for policy in _with_children(chosen) if IAttemptListener.providedBy(policy)]
        self.attempt_listeners: Sequence[Any] = tuple({id(found): found for found in listeners}.values())
        self._rack = settings.local_rack

    def start(self, datacenter: str, rack: str | None) -> None:
        """The session begins.

        :param rack: the local rack; ``None`` takes that of the settings.
        """
        for policy in self.load_balancing:
            policy.start(datacenter, rack if rack is not None else self._rack)

    def distance(self, node: INode) -> Distance:
        """How near a node is to the policy that it is nearest to."""
        distances = {policy.distance(node) for policy in self.load_balancing}
        return "local" if "local" in distances else "remote" if "remote" in distances else "ignored"

    def node_up(self, node: INode) -> None:
        """A link to the node is ready."""
        for policy in self.load_balancing:
            self._tell(policy.node_up, node)

    def node_down(self, node: INode) -> None:
        """No link to the node is ready any more."""
        for policy in self.load_balancing:
            self._tell(policy.node_down, node)

    def node_removed(self, node: INode) -> None:
        """The node has left the cluster."""
        for policy in self.load_balancing:
            self._tell(policy.node_removed, node)

    @staticmethod
    def _tell(tell: Callable[[INode], None], node: INode) -> None:
        try:
            tell(node)
        except Exception:
            # A defect of one policy must not keep the others, or a pool, from what they need to know.
            log.failure("the load balancing policy failed to take in {node}", node=node.name)

    def __repr__(self) -> str:
        return ", ".join(map(repr, self.load_balancing))


def _with_children(policies: Iterable[Any]) -> Iterator[Any]:
    """Policies, and those that they build on."""
    for policy in policies:
        yield policy
        yield from _with_children(getattr(policy, "children", ()))


def _speculative(policy: Any) -> Any:
    # So that a request which is never at two nodes costs nothing more.
    return None if isinstance(policy, NoSpeculativeExecutionPolicy) else policy
