"""From contact points to a session."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from twisted.internet.defer import Deferred, succeed
from twisted.python.failure import Failure

from txcql.cluster.contactpoints import ContactPoint, parse_contact_points
from txcql.security.secret import Secret
from txcql.session.clusterview import DEFAULT_PORT, ClusterView
from txcql.session.session import Session
from txcql.settings import Settings

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from txcql.session.connectoptions import ConnectOptions

__all__ = ["Opening", "Target", "connect", "parse_target"]


def connect(
    reactor: Any,
    contact_points: Iterable[Any] = ("127.0.0.1",),
    *,
    port: int = DEFAULT_PORT,
    keyspace: str | None = None,
    **settings: Unpack[ConnectOptions],
) -> Deferred[Session]:
    """Open a session.

    It fires when the control connection is ready and each node of the local data center has a
    ready link or has failed its first attempt, at most 2 seconds after the first ready link.

    :param reactor: the reactor whose thread this is; no other is used.
    :param contact_points: where to find the cluster: ``host``, ``host:port``, ``[::1]:9042`` or an
        ``IStreamClientEndpoint``; one that answers is enough.
    :param port: for contact points that name none.
    :param keyspace: the keyspace of unqualified names.
    :param settings: the fields of :class:`txcql.Settings`.
    :returns: fires with a :class:`~txcql.session.session.Session`.
    :raises TypeError: an argument of the wrong type, or a setting that does not exist.
    :raises ValueError: a value out of its range.
    """
    given = cast(dict[str, Any], settings)
    return parse_target(reactor, contact_points, port, keyspace, given).open().opened


@dataclass(frozen=True, slots=True)
class Target:
    """The arguments of :func:`connect`, checked: what can be opened, also again."""

    reactor: Any
    points: list[ContactPoint]
    settings: Settings
    keyspace: str | None

    def open(self) -> Opening:
        """Begin to open a session."""
        return Opening(self)


def parse_target(
    reactor: Any, contact_points: Iterable[Any], port: int, keyspace: str | None, settings: dict[str, Any]
) -> Target:
    """Check the arguments of :func:`connect`, and connect to nothing.

    :param settings: a password in it is replaced by a :class:`~txcql.security.secret.Secret`.
    :raises TypeError: an argument of the wrong type, or a setting that does not exist.
    :raises ValueError: a value out of its range.
    """
    if not callable(getattr(reactor, "callLater", None)):
        raise TypeError(f"the first argument is the reactor, got {reactor!r}")
    points = parse_contact_points(contact_points, port)
    if keyspace is not None and not (isinstance(keyspace, str) and keyspace):
        raise TypeError(f"keyspace must be a name, got {keyspace!r}")
    if isinstance(settings.get("password"), str):
        # From here on, nothing that shows local variables shows it.
        settings["password"] = Secret(settings["password"])
    unknown = set(settings) - set(Settings.names())
    if unknown:
        raise TypeError(
            f"there is no setting {', '.join(sorted(unknown))}; there are: {', '.join(Settings.names())}"
        )
    return Target(reactor, points, Settings(**settings), keyspace)


class Opening:
    """A session that is being opened.

    :ivar opened: fires with it, or fails once nothing of it is left; cancelling it gives up, and
        then it fails at once.
    """

    def __init__(self, target: Target) -> None:
        self._view = ClusterView(target.reactor, target.points, target.settings, self._current_keyspace)
        self._session = Session(target.reactor, target.settings, target.keyspace, self._view)
        self._over = False
        self._waiters: list[Deferred[None]] = []
        self.opened: Deferred[Session] = Deferred(self._give_up)
        self._opening = Deferred.fromCoroutine(self._open())
        self._opening.addBoth(self._ended)

    def when_over(self) -> Deferred[None]:
        """Wait until the session is open, or nothing of it is left."""
        if self._over:
            return succeed(None)
        waiter: Deferred[None] = Deferred(self._waiters.remove)
        self._waiters.append(waiter)
        return waiter

    def _current_keyspace(self) -> str | None:
        return self._session.keyspace

    def _give_up(self, opened: Deferred[Session]) -> None:
        self._view.stop()
        self._opening.cancel()

    async def _open(self) -> Session:
        try:
            await self._view.connect()
        except Exception:
            self._session.closed = True
            await self._view.close()
            raise
        self._session.version = self._view.version
        return self._session

    def _ended(self, outcome: Session | Failure) -> None:
        self._over = True
        if not self.opened.called:
            self.opened.callback(outcome)
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            waiter.callback(None)
