"""The notations of the protocol specification, section 3: [int], [string], [bytes] …

Writers return bytes. :class:`Reader` walks over one body and checks every
length against its end before anything is read or allocated.
"""

from __future__ import annotations

import builtins
import ipaddress
import struct
import uuid
from collections.abc import Iterable, Mapping, Sequence

from txcql.errors import ProtocolError

__all__ = [
    "Reader",
    "write_bytes",
    "write_bytes_map",
    "write_inet",
    "write_long_string",
    "write_short_bytes",
    "write_string",
    "write_string_list",
    "write_string_map",
    "write_string_multimap",
]

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

SHORT = struct.Struct(">H")
INT = struct.Struct(">i")
LONG = struct.Struct(">q")

_MAX_SHORT = 0xFFFF


def write_string(text: str) -> bytes:
    """A [string].

    :raises ValueError: its UTF-8 form is longer than 65,535 bytes.
    """
    return write_short_bytes(text.encode())


def write_long_string(text: str) -> bytes:
    """A [long string]."""
    encoded = text.encode()
    return INT.pack(len(encoded)) + encoded


def write_bytes(value: bytes | None) -> bytes:
    """A [bytes]; ``None`` is the protocol's null."""
    return b"\xff\xff\xff\xff" if value is None else INT.pack(len(value)) + value


def write_short_bytes(value: bytes) -> bytes:
    """A [short bytes].

    :raises ValueError: it is longer than 65,535 bytes.
    """
    if len(value) > _MAX_SHORT:
        raise ValueError(f"at most {_MAX_SHORT} bytes fit here, got {len(value)}")
    return SHORT.pack(len(value)) + value


def write_string_list(texts: Iterable[str]) -> bytes:
    """A [string list]."""
    items = [write_string(text) for text in texts]
    return SHORT.pack(len(items)) + b"".join(items)


def write_string_map(items: Mapping[str, str]) -> bytes:
    """A [string map]."""
    pairs = [write_string(key) + write_string(value) for key, value in items.items()]
    return SHORT.pack(len(pairs)) + b"".join(pairs)


def write_string_multimap(items: Mapping[str, Sequence[str]]) -> bytes:
    """A [string multimap]."""
    pairs = [write_string(key) + write_string_list(values) for key, values in items.items()]
    return SHORT.pack(len(pairs)) + b"".join(pairs)


def write_bytes_map(items: Mapping[str, bytes | None]) -> bytes:
    """A [bytes map]: what a custom payload is."""
    pairs = [write_string(key) + write_bytes(value) for key, value in items.items()]
    return SHORT.pack(len(pairs)) + b"".join(pairs)


def write_inet(address: str | Address, port: int) -> bytes:
    """An [inet]: address and port."""
    return write_inetaddr(address) + INT.pack(port)


def write_inetaddr(address: str | Address) -> bytes:
    """An [inetaddr]: an address alone."""
    packed = ipaddress.ip_address(address).packed
    return bytes((len(packed),)) + packed


class Reader:
    """Reads one notation after another from a body.

    :param data: the body.
    :param offset: where to begin, in bytes.
    :ivar offset: where the next notation begins.
    """

    __slots__ = ("data", "offset")

    def __init__(self, data: builtins.bytes, offset: builtins.int = 0) -> None:
        self.data = data
        self.offset = offset

    def raw(self, size: builtins.int) -> builtins.bytes:
        """The next ``size`` bytes.

        :raises ProtocolError: the body ends before them.
        """
        start = self.offset
        end = start + size
        if size < 0 or end > len(self.data):
            raise ProtocolError(
                f"the body of {len(self.data)} bytes ends too early: {size} bytes expected at {start}"
            )
        self.offset = end
        return self.data[start:end]

    def byte(self) -> builtins.int:
        """A [byte]."""
        return self.raw(1)[0]

    def short(self) -> builtins.int:
        """A [short], unsigned."""
        return int.from_bytes(self.raw(2), "big")

    def int(self) -> builtins.int:
        """An [int], signed."""
        return int.from_bytes(self.raw(4), "big", signed=True)

    def long(self) -> builtins.int:
        """A [long], signed."""
        return int.from_bytes(self.raw(8), "big", signed=True)

    def uuid(self) -> uuid.UUID:
        """A [uuid]."""
        return uuid.UUID(bytes=self.raw(16))

    def string(self) -> str:
        """A [string]."""
        return self._text(self.raw(self.short()))

    def long_string(self) -> str:
        """A [long string]."""
        return self._text(self.raw(self.int()))

    def bytes(self) -> builtins.bytes | None:
        """A [bytes]; every negative length is null."""
        size = self.int()
        return None if size < 0 else self.raw(size)

    def short_bytes(self) -> builtins.bytes:
        """A [short bytes]."""
        return self.raw(self.short())

    def string_list(self) -> list[str]:
        """A [string list]."""
        return [self.string() for _ in range(self.short())]

    def string_map(self) -> dict[str, str]:
        """A [string map]."""
        return {self.string(): self.string() for _ in range(self.short())}

    def string_multimap(self) -> dict[str, list[str]]:
        """A [string multimap]."""
        return {self.string(): self.string_list() for _ in range(self.short())}

    def bytes_map(self) -> dict[str, builtins.bytes | None]:
        """A [bytes map]."""
        return {self.string(): self.bytes() for _ in range(self.short())}

    def inetaddr(self) -> Address:
        """An [inetaddr].

        :raises ProtocolError: its size is neither 4 nor 16.
        """
        size = self.byte()
        if size not in (4, 16):
            raise ProtocolError(f"an address has 4 or 16 bytes, got {size}")
        return ipaddress.ip_address(self.raw(size))

    def inet(self) -> tuple[Address, builtins.int]:
        """An [inet]: address and port."""
        return self.inetaddr(), self.int()

    def _text(self, encoded: builtins.bytes) -> str:
        try:
            return encoded.decode()
        except UnicodeDecodeError as error:
            raise ProtocolError(f"a string of the body is not UTF-8: {error}") from error
