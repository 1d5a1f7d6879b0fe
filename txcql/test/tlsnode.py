"""A scripted node that speaks TLS to its clients, in memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from OpenSSL import SSL

from txcql.test.scriptednode import ScriptedNode
from txcql.test.scriptedreactor import ScriptedLink

__all__ = ["TLSNode"]


@dataclass(eq=False, repr=False)
class TLSNode(ScriptedNode):
    """A node behind TLS.

    :ivar context: its OpenSSL context.
    :ivar names: what clients asked for by SNI, in order.
    """

    context: Any = None
    names: list[bytes | None] = field(default_factory=list)
    secured: dict[ScriptedLink, Any] = field(default_factory=dict)

    def receive(self, link: ScriptedLink, data: bytes) -> None:
        tls = self.secured.get(link)
        if tls is None:
            tls = self.secured[link] = SSL.Connection(self.context, None)
            tls.set_accept_state()
            link.seal = lambda plain: self._sealed(tls, plain)
        tls.bio_write(data)
        plain, failed = b"", False
        try:
            while True:
                plain += tls.recv(65536)
        except SSL.WantReadError:
            pass
        except SSL.Error:
            failed = True
        if plain and link.codec is None:
            self.names.append(tls.get_servername())
        out = _drained(tls)
        if out:
            link.raw(out)
        if plain:
            ScriptedNode.receive(self, link, plain)
        if failed:
            self.reactor.callLater(0, link.drop)

    @staticmethod
    def _sealed(tls: Any, plain: bytes) -> bytes:
        tls.sendall(plain)
        return _drained(tls)


def _drained(tls: Any) -> bytes:
    found = b""
    try:
        while True:
            found += tls.bio_read(65536)
    except SSL.WantReadError:
        return found
