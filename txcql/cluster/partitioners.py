"""From a partition key to its token, as each of Cassandra's partitioners does it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from hashlib import md5
from typing import Any

from txcql.wire import murmur3

__all__ = ["ByteOrderedPartitioner", "Murmur3Partitioner", "Partitioner", "RandomPartitioner", "partitioner"]


class Partitioner(ABC):
    """How keys are placed on the ring.

    :ivar name: the server's name for it, without its package.
    """

    name: str

    @abstractmethod
    def token(self, key: bytes) -> Any:
        """The token of a serialized partition key."""

    @abstractmethod
    def parse(self, text: str) -> Any:
        """A token as system tables show it.

        :raises ValueError: it is none.
        """

    def __repr__(self) -> str:
        return f"<{self.name}>"


class Murmur3Partitioner(Partitioner):
    """The default since Cassandra 1.2: tokens are 64-bit integers."""

    name = "Murmur3Partitioner"
    token = staticmethod(murmur3.token)

    def parse(self, text: str) -> int:
        return int(text)


class RandomPartitioner(Partitioner):
    """Tokens are the absolute values of MD5 sums."""

    name = "RandomPartitioner"

    def token(self, key: bytes) -> int:
        return abs(int.from_bytes(md5(key, usedforsecurity=False).digest(), "big", signed=True))

    def parse(self, text: str) -> int:
        return int(text)


class ByteOrderedPartitioner(Partitioner):
    """The keys themselves are the tokens."""

    name = "ByteOrderedPartitioner"

    def token(self, key: bytes) -> bytes:
        return key

    def parse(self, text: str) -> bytes:
        return bytes.fromhex(text)


_KNOWN: dict[str, Partitioner] = {
    kind.name: kind() for kind in (Murmur3Partitioner, RandomPartitioner, ByteOrderedPartitioner)
}


def partitioner(class_name: str) -> Partitioner | None:
    """The partitioner of a cluster; ``None`` if it is not one of Cassandra's own that are known here.

    :param class_name: as ``system.local`` has it, with its package or without.
    """
    return _KNOWN.get(class_name.rpartition(".")[2])
