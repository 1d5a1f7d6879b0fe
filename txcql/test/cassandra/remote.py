"""The commands of a lease for a program in which a reactor runs: each is a Deferred."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import UNIXClientEndpoint, connectProtocol
from twisted.internet.error import ConnectError
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.protocols.basic import LineReceiver
from twisted.python.failure import Failure

from .leases import COMMAND_LIMIT, KeeperGone, Lease, Node, outcome
from .problems import CommandFailed

if TYPE_CHECKING:
    from twisted.internet.interfaces import IReactorUNIX

__all__ = ["Control"]


class Question(LineReceiver):
    """One request to the keeper and its answer, on a connection of its own.

    :param clock: For the time limit.
    :param request: ``op`` and what it needs.
    :ivar done: Fires with the answer once the connection is closed, so that nothing of it is left behind.
    """

    delimiter = b"\n"
    MAX_LENGTH = 1 << 20

    def __init__(self, clock: IReactorTime, request: dict[str, object]) -> None:
        self.done: Deferred[dict[str, Any]] = Deferred(lambda _: self._hang_up())
        self._clock = clock
        self._request = request
        self._answer: dict[str, Any] | None = None
        self._late: IDelayedCall | None = None

    def connectionMade(self) -> None:
        """Send the request."""
        self._late = self._clock.callLater(COMMAND_LIMIT, self._give_up)
        self.sendLine(json.dumps({"id": 1, **self._request}).encode())

    def lineReceived(self, line: bytes) -> None:
        """Note the answer, and hang up.

        :param line: The answer.
        """
        self._answer = json.loads(line)
        self._hang_up()

    def connectionLost(self, reason: Failure | None = None) -> None:
        """Tell who waits.

        :param reason: Why the connection ended.
        """
        if self._late is not None and self._late.active():
            self._late.cancel()
        if self.done.called:
            return
        if self._answer is None:
            self.done.errback(KeeperGone("the keeper of the cluster has ended"))
            return
        try:
            result = outcome(self._answer)
        except CommandFailed:
            self.done.errback(Failure())
        else:
            self.done.callback(result)

    def _hang_up(self) -> None:
        if self.transport is not None:
            self.transport.loseConnection()

    def _give_up(self) -> None:
        operation = self._request["op"]
        self._answer = {"error": f"the keeper did not answer {operation} within {COMMAND_LIMIT:.0f} s"}
        self._hang_up()


class Control:
    """The commands of a lease, as Deferreds; see :class:`txcql.test.cassandra.Lease` for what each does.

    Cancelling stops the waiting, not the command.

    :param reactor: The reactor that runs; it must offer Unix sockets.
    :param lease: The lease, which stays open as long as this is used.
    """

    def __init__(self, reactor: IReactorUNIX, lease: Lease) -> None:
        self._reactor = reactor
        self._lease = lease

    def kill(self, node: int) -> Deferred[Node]:
        """End a node by SIGKILL, and wait until its process is gone.

        :param node: The node's index.
        :returns: Fires with the node; fails with CommandFailed as :meth:`Lease.kill` does.
        """
        return self._command("kill", node)

    def terminate(self, node: int) -> Deferred[Node]:
        """End a node by SIGTERM, and wait until its process is gone.

        :param node: The node's index.
        :returns: Fires with the node; fails with CommandFailed as :meth:`Lease.terminate` does.
        """
        return self._command("terminate", node)

    def stop(self, node: int) -> Deferred[Node]:
        """Freeze a node by SIGSTOP.

        :param node: The node's index.
        :returns: Fires with the node; fails with CommandFailed as :meth:`Lease.stop` does.
        """
        return self._command("stop", node)

    def cont(self, node: int) -> Deferred[Node]:
        """Let a frozen node go on, by SIGCONT.

        :param node: The node's index.
        :returns: Fires with the node; fails with CommandFailed as :meth:`Lease.cont` does.
        """
        return self._command("cont", node)

    def restart(self, node: int) -> Deferred[Node]:
        """End a node if it runs, start it over its data, and wait until it serves clients.

        :param node: The node's index.
        :returns: Fires with the node; fails with CommandFailed as :meth:`Lease.restart` does.
        """
        return self._command("restart", node)

    def nodetool(self, node: int, *arguments: str) -> Deferred[str]:
        """Run nodetool on a node.

        :param node: The node's index.
        :param arguments: What nodetool is to do, as in ``"disablebinary"``.
        :returns: Fires with what it printed; fails with CommandFailed as :meth:`Lease.nodetool` does.
        """

        def printed(answer: dict[str, Any]) -> str:
            return str(answer["output"])

        return self._ask({"op": "nodetool", "node": node, "arguments": arguments}).addCallback(printed)

    def _command(self, operation: str, node: int) -> Deferred[Node]:
        def note(answer: dict[str, Any]) -> Node:
            self._lease.nodes[node] = result = Node(**answer)
            return result

        return self._ask({"op": operation, "node": node}).addCallback(note)

    def _ask(self, request: dict[str, object]) -> Deferred[dict[str, Any]]:
        return Deferred.fromCoroutine(self._asked(request))

    async def _asked(self, request: dict[str, object]) -> dict[str, Any]:
        question = Question(cast(IReactorTime, self._reactor), request)
        endpoint = UNIXClientEndpoint(self._reactor, str(self._lease.path))
        try:
            await connectProtocol(endpoint, question)
        except ConnectError as error:
            raise KeeperGone(f"the keeper of the cluster has ended: {error}") from error
        return await question.done
