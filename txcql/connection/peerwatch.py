"""What is made of a peer that says nothing: read timeouts, suspicion, the heartbeat."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from twisted.internet.interfaces import IReactorTime

from txcql.connection.heartbeat import Heartbeat
from txcql.connection.linkerrors import link_error, read_timeout
from txcql.connection.linkowner import tell, tell_listener
from txcql.connection.pendingrequest import PendingRequest
from txcql.connection.readtimeouts import ReadTimeouts
from txcql.settings import Settings

if TYPE_CHECKING:
    from txcql.connection.protocol import CQLProtocol

__all__ = ["SUSPECT_AFTER", "PeerWatch"]

SUSPECT_AFTER = 3
"""Read timeouts in a row, with no byte received, after which a node is asked whether it is there."""


class PeerWatch:
    """Watches the peer of a link, and does not blame it for what our own side holds back.

    :param link: the link; its :attr:`~txcql.connection.protocol.CQLProtocol.suspect` is set here.
    :param clock: tells the time and waits.
    :param settings: has the times.
    :ivar timeouts: the read timeouts; a link arms them when it sends.
    """

    __slots__ = ("_clock", "_count", "_heartbeat", "_last_byte", "_link", "_read_timeout", "timeouts")

    def __init__(self, link: CQLProtocol, clock: IReactorTime, settings: Settings) -> None:
        self._link = link
        self._clock = clock
        self._count = 0
        self._last_byte = 0.0
        self._read_timeout = settings.read_timeout
        self._heartbeat = Heartbeat(self, clock, settings.heartbeat_interval, settings.heartbeat_timeout)
        self.timeouts = ReadTimeouts(link.streams, clock, settings.read_timeout, self._timed_out)

    def start(self) -> None:
        """The link is ready: silence counts."""
        self._heartbeat.start()

    def stop(self) -> None:
        """The link is closed."""
        self.timeouts.stop()
        self._heartbeat.stop()

    def probe(self) -> None:
        """Ask the peer at once whether it is there."""
        self._heartbeat.ask()

    def heard(self) -> None:
        """A suspect peer has said something."""
        self._count = 0
        self._link.suspect = False
        tell_listener(self._link, "link_trusted")

    def stalled(self, unread: bool, reads: bool, writes: bool) -> None:
        """Our own side holds bytes back, or lets them flow again.

        :param unread: whether answers may be here that are not read.
        :param reads: whether the transport is told to read.
        :param writes: whether it takes what we write.
        """
        if unread:
            self.timeouts.hold()
        else:
            self.timeouts.go_on()
        if reads and writes:
            self._heartbeat.go_on()
        else:
            self._heartbeat.hold()

    # What the heartbeat asks.

    @property
    def received_at(self) -> float:
        return self._link.received_at

    def send_heartbeat(self) -> None:
        self._link.own.beat()

    def heartbeat_missed(self) -> None:
        link = self._link
        seconds = self._clock.seconds() - link.received_at
        text = f"nothing was received for {seconds:g} s, nor a heartbeat answered"
        link.close(link_error(link.node, text, None))

    # Inside.

    def _timed_out(self, request: PendingRequest) -> None:
        link = self._link
        if link.streams.waiting.get(request.stream) is not request:
            return
        if link.received_at > self._last_byte:
            self._last_byte = link.received_at
            self._count = 0
        # A peer that has said anything since then is there.
        if link.received_at <= cast(float, request.written[0]):
            self._count += 1
        link.withdraw(request)
        if self._count >= SUSPECT_AFTER and link.ready and not link.suspect:
            link.suspect = True
            tell_listener(link, "link_suspect")
            self.probe()
        tell(link.node, request.failed, read_timeout(link.node, self._read_timeout))
