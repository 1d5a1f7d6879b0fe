"""What arrives before a version is agreed on: any version, and things that are no CQL at all.

Answers and sentences are those of a real node, also where they look odd: an
error comes on the stream 0, and for versions 1 and 2 in their shorter header.
"""

from __future__ import annotations

from collections.abc import Sequence

from txcql.errors import ServerProtocolError
from txcql.testing.refusals import NOT_SUPPORTED
from txcql.wire.constants import ERROR, FLAG_BETA, HEADER_SIZE, RESPONSE
from txcql.wire.frames import Frame, pack_header
from txcql.wire.responsewriter import error

__all__ = ["FirstFrames"]

_OLD_HEADER_SIZE = 8
_LARGEST = 1 << 20


class FirstFrames:
    """Takes the frames up to STARTUP from the received bytes.

    :param versions: the protocol versions that the node speaks.
    """

    def __init__(self, versions: Sequence[int]) -> None:
        self._versions = sorted(versions)
        self._held = b""

    def receive(self, data: bytes) -> None:
        """Take received bytes."""
        self._held += data

    def forget(self) -> None:
        """Drop what has been received and not been read."""
        self._held = b""

    def next_frame(self) -> Frame | bytes | None:
        """The next frame; or, where the version is refused, the answer; ``None`` if more bytes are needed."""
        held = self._held
        if not held:
            return None
        version = held[0] & 0x7F
        if len(held) < (_OLD_HEADER_SIZE if version < 3 else HEADER_SIZE):
            return None
        if version not in self._versions:
            self.forget()
            return self._refusal(version, held[1])
        size = int.from_bytes(held[5:HEADER_SIZE], "big", signed=True)
        if not 0 <= size <= _LARGEST:
            self.forget()
            return self._error(version, f"a first message of {size} bytes is {NOT_SUPPORTED}")
        end = HEADER_SIZE + size
        if len(held) < end:
            return None
        self._held = held[end:]
        stream = int.from_bytes(held[2:4], "big", signed=True)
        return Frame(held[0], held[1], stream, held[4], held[HEADER_SIZE:end])

    def _refusal(self, version: int, flags: int) -> bytes:
        if version == 6 and 5 in self._versions:
            if flags & FLAG_BETA:
                return self._error(6, f"protocol version 6 is {NOT_SUPPORTED}", FLAG_BETA)
            text = "Beta version of the protocol used (6/v6-beta), but USE_BETA flag is unset"
            return self._error(6, text, FLAG_BETA)
        names = [f"{number}/v{number}" for number in self._versions]
        if 5 in self._versions:
            names.append("6/v6-beta")
        known = ", ".join(names)
        text = f"Invalid or unsupported protocol version ({version}); supported versions are ({known})"
        if version < 3:
            body = error(ServerProtocolError(text), 3)
            return bytes((RESPONSE | 1, 0, 0, ERROR)) + len(body).to_bytes(4, "big") + body
        return self._error(self._versions[-1], text)

    def _error(self, version: int, text: str, flags: int = 0) -> bytes:
        body = error(ServerProtocolError(text), min(version, 5))
        return pack_header(RESPONSE | version, flags, 0, ERROR, len(body)) + body
