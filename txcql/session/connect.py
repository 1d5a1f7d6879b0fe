"""From contact points to a session."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from txcql.cluster.contactpoints import ContactPoint, parse_contact_points
from txcql.session.clusterview import DEFAULT_PORT, ClusterView
from txcql.session.session import Session
from txcql.settings import Settings

__all__ = ["connect"]


def connect(
    reactor: Any,
    contact_points: Iterable[Any] = ("127.0.0.1",),
    *,
    port: int = DEFAULT_PORT,
    keyspace: str | None = None,
    **settings: Any,
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
    if not callable(getattr(reactor, "callLater", None)):
        raise TypeError(f"the first argument is the reactor, got {reactor!r}")
    points = parse_contact_points(contact_points, port)
    if keyspace is not None and not (isinstance(keyspace, str) and keyspace):
        raise TypeError(f"keyspace must be a name, got {keyspace!r}")
    unknown = set(settings) - set(Settings.names())
    if unknown:
        raise TypeError(
            f"there is no setting {', '.join(sorted(unknown))}; there are: {', '.join(Settings.names())}"
        )
    return _connect(reactor, points, Settings(**settings), keyspace)


def _connect(
    reactor: Any, points: list[ContactPoint], settings: Settings, keyspace: str | None
) -> Deferred[Session]:
    def current_keyspace() -> str | None:
        return session.keyspace

    def give_up(deferred: Deferred[Session]) -> None:
        view.stop()
        opening.cancel()

    def ended(outcome: Session | Failure) -> None:
        if not connecting.called:
            connecting.callback(outcome)

    view = ClusterView(reactor, points, settings, current_keyspace)
    session = Session(reactor, settings, keyspace, view)
    connecting: Deferred[Session] = Deferred(give_up)
    opening = Deferred.fromCoroutine(_open(view, session))
    opening.addBoth(ended)
    return connecting


async def _open(view: ClusterView, session: Session) -> Session:
    try:
        await view.connect()
    except Exception:
        session.closed = True
        await view.close()
        raise
    return session
