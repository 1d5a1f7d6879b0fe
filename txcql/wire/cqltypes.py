"""What every CQL type is: a name, and how one value becomes bytes and back.

The rows and parameters that are decoded and encoded by generated code use
:attr:`CQLType.format`, :attr:`CQLType.size` and :meth:`CQLType.convert` instead.
"""

from __future__ import annotations

import reprlib
from collections.abc import Callable
from typing import Any, NoReturn

from txcql.errors import DecodeError, EncodeError
from txcql.wire.values import EMPTY, Singleton

__all__ = ["MAX_DEPTH", "CQLType", "Codec", "describe", "hashable"]

MAX_DEPTH = 64
"""Types nested deeper than this are refused, so that nothing recurses without a bound."""

Codec = Any
"""A :class:`CQLType`, or any object with ``name``, ``encode`` and ``decode`` like its own."""

_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = 60


def describe(value: object) -> str:
    """Name a value by its type and, cut to a readable length, itself: ``str "x"``."""
    kind = type(value).__name__
    if type(value) is str:
        return f'str "{value}"' if len(value) <= 60 else f'str "{value[:57]}..."'
    if isinstance(value, int) and value.bit_length() > 128:
        return f"{kind} of {value.bit_length()} bits"
    shown = _SHORT.repr(value)
    return (
        shown
        if value is None or isinstance(value, Singleton) or shown.startswith(kind)
        else f"{kind} {shown}"
    )


class CQLType:
    """One CQL type.

    :ivar name: the type in CQL notation, such as ``map<text, frozen<list<int>>>``.
    :ivar format: the ``struct`` code of a value, ``None`` if its size varies.
    :ivar size: the bytes of a value that is neither null nor empty, ``None`` if that varies.
    :ivar bare: whether a vector stores its elements of this type without their length.
    :ivar convert: makes the value of what ``format`` gives; ``None`` if that is the value.
    """

    __slots__ = ("__weakref__",)

    name: str
    format: str | None = None
    size: int | None = None
    bare: bool = False
    convert: Callable[[Any], Any] | None = None

    def encode(self, value: Any) -> bytes | None:
        """Write a value.

        :returns: its bytes; ``None`` for null.
        :raises EncodeError: if the value is none of this type.
        """
        if value is None:
            return None
        if value is EMPTY:
            return b""
        return self.write(value)

    def decode(self, data: bytes | None) -> Any:
        """Read a value.

        :returns: ``None`` for null; :data:`~txcql.EMPTY` for no bytes,
            where the type has no empty value.
        :raises DecodeError: if the bytes are no value of this type.
        """
        if data is None:
            return None
        if not data:
            return EMPTY
        return self.read(data)

    def write(self, value: Any) -> bytes:
        """Write a value that is neither null nor empty.

        :raises EncodeError: if the value is none of this type.
        """
        raise NotImplementedError

    def read(self, data: bytes) -> Any:
        """Read a value from at least one byte.

        :raises DecodeError: if the bytes are no value of this type.
        """
        raise NotImplementedError

    def hashable(self) -> CQLType:
        """Give the type whose :meth:`decode` makes values that can be keys."""
        return self

    def refuse(self, value: object) -> NoReturn:
        """Say that a value is of the wrong type.

        :raises EncodeError: always.
        """
        raise EncodeError(f"expected {self.name}, got {describe(value)}")

    def wrong_size(self, data: bytes) -> NoReturn:
        """Say that a value of fixed size has another size.

        :raises DecodeError: always.
        """
        raise DecodeError(f"expected {self.name} of {self.size} bytes, got {len(data)}")

    def identity(self) -> tuple[object, ...]:
        """What makes the type equal to another one, beside its class."""
        return (self.name,)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, CQLType):
            return NotImplemented
        return type(self) is type(other) and self.identity() == other.identity()

    def __hash__(self) -> int:
        return hash((type(self), self.name))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"

    def __str__(self) -> str:
        return self.name


def hashable(codec: Codec) -> Codec:
    """Give the codec for the elements of sets and the keys of maps."""
    return codec.hashable() if isinstance(codec, CQLType) else codec
