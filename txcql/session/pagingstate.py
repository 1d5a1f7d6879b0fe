"""Where the next page begins, in a form that can leave the process."""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import blake2b

__all__ = ["PagingState", "statement_digest"]

_DIGEST_SIZE = 12
_FORMAT = 1
_HEAD_SIZE = 2 + _DIGEST_SIZE
_CHECK_SIZE = 4
_NAME = r'(?:"(?:[^"]|"")+"|[A-Za-z_]\w*)'
_QUALIFIED = re.compile(rf"\bFROM\s+{_NAME}\s*\.", re.IGNORECASE | re.ASCII)


def statement_digest(text: str, keyspace: str | None, values: bytes) -> bytes:
    """What tells a statement and its values from any other.

    :param keyspace: that of unqualified names.
    :param values: encoded.
    """
    digest = blake2b(digest_size=_DIGEST_SIZE)
    # A qualified table is the same one in whichever keyspace the session is.
    where = "" if keyspace is None or _QUALIFIED.search(text) else keyspace
    for part in (text.encode(), where.encode(), values if len(values) > 2 else b""):
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.digest()


class PagingState(bytes):
    """Where the next page of a statement begins: the server's bytes, and what they are for.

    ``str()`` gives a printable token, which :meth:`parse` takes, in any process: it may go through the
    address of a web page. The token is not secret and not signed: it can be read, and who can make
    one up reads other rows of the same table.

    :ivar digest: of the statement and its values; no others are continued from here.
    :ivar version: the protocol version that the state is of: 3, or 4 for all later ones.
    """

    digest: bytes
    version: int

    @classmethod
    def of(cls, raw: bytes, version: int, digest: bytes) -> PagingState:
        """A state as the server gave it.

        :param version: the protocol version in which it came.
        :param digest: of the statement and values that it is for.
        """
        state = cls(raw)
        state.version = 3 if version < 4 else 4
        state.digest = digest
        return state

    @classmethod
    def parse(cls, text: str) -> PagingState:
        """Read what ``str()`` of a paging state gave.

        :raises TypeError: it is no str.
        :raises ValueError: it is no token, or is damaged.
        """
        if not isinstance(text, str):
            raise TypeError(f"a paging state's token must be a str, got {text!r}")
        shown = text if len(text) <= 40 else text[:37] + "..."
        try:
            data = urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
        except ValueError:
            data = b""
        body, check = data[:-_CHECK_SIZE], data[-_CHECK_SIZE:]
        if len(body) < _HEAD_SIZE or check != _checksum(body) or body[0] != _FORMAT:
            raise ValueError(f"{shown!r} is no paging state's token, or is damaged")
        return cls.of(body[_HEAD_SIZE:], body[1], body[2:_HEAD_SIZE])

    def check(self, version: int, digest: bytes) -> None:
        """See to it that it is used for what it was made for.

        :param version: the protocol version of the session.
        :param digest: of the statement and values that are about to be executed.
        :raises ValueError: it is not.
        """
        if self.version != (3 if version < 4 else 4):
            made = "v3" if self.version == 3 else "v4 or v5"
            raise ValueError(
                f"the paging state was made with protocol {made}, and this session speaks v{version}: "
                "begin again with the first page"
            )
        if self.digest != digest:
            raise ValueError(
                "the paging state is of another statement, of other values or another keyspace: "
                "it continues only what it came from"
            )

    def __str__(self) -> str:
        body = bytes((_FORMAT, self.version)) + self.digest + self
        return urlsafe_b64encode(body + _checksum(body)).rstrip(b"=").decode()

    def __repr__(self) -> str:
        return f"<PagingState {self}>"

    def __reduce__(self) -> tuple[object, ...]:
        return _parse, (str(self),)


def _parse(text: str) -> PagingState:
    return PagingState.parse(text)


def _checksum(body: bytes) -> bytes:
    return blake2b(body, digest_size=_CHECK_SIZE).digest()
