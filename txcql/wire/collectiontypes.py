"""The types with any number of elements of one type: list, set, map, vector; frozen and reversed ones.

The elements of sets and the keys of maps must be hashable, so there a list is
read as a tuple, a set as a frozenset, a map as a tuple of pairs.

The serialization formats are those of the native protocol v5, section 6; the one
of vectors was measured against Cassandra 5.0.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from contextlib import suppress
from functools import cache
from itertools import chain
from typing import Any, ClassVar

from txcql.errors import DecodeError, EncodeError
from txcql.wire.cqltypes import Codec, CQLType, hashable
from txcql.wire.hashes import check_hashes
from txcql.wire.scalars import DoubleType, IntegerType, is_fused
from txcql.wire.values import EMPTY
from txcql.wire.vints import decode_unsigned_vint, encode_unsigned_vint

__all__ = [
    "FrozenType",
    "ListType",
    "MapType",
    "ReversedType",
    "SetType",
    "VectorType",
    "cut_cells",
    "fixed_elements",
    "unwrap",
]

_LENGTH = struct.Struct(">i")
_NULL = b"\xff\xff\xff\xff"
_MOST_PLANNED = 64
_NUMBERS = frozenset("?bBhHiIlLqQefd")
_CODES: dict[str | None, type] = {"?": bool, "i": int, "q": int, "f": float, "d": float}


def unwrap(codec: Codec) -> Codec:
    """Give the type inside ``frozen`` and ``reversed``, which write the same bytes."""
    while isinstance(codec, _Wrapper):
        codec = codec.inner
    return codec


def cut_cells(data: bytes, offset: int, count: int, *, short: bool = False) -> tuple[list[bytes | None], int]:
    """Cut [bytes] apart.

    :param short: whether there may be fewer of them.
    :returns: the parts and the offset behind them.
    :raises DecodeError: if the data end before they do.
    """
    end = len(data)
    if not short and not 0 <= count <= (end - offset) // 4:
        raise DecodeError(f"expected {count} elements, got only {end - offset} bytes")
    parts: list[bytes | None] = []
    for _ in range(count):
        if end - offset < 4:
            if short and offset == end:
                break
            raise DecodeError(f"expected the length of element {len(parts) + 1}, got {end - offset} bytes")
        length = _LENGTH.unpack_from(data, offset)[0]
        offset += 4
        if length < 0:
            parts.append(None)
            continue
        stop = offset + length
        if stop > end:
            raise DecodeError(f"expected {length} bytes in element {len(parts) + 1}, got {end - offset}")
        parts.append(data[offset:stop])
        offset = stop
    return parts, offset


def _collection(data: bytes, kind: CQLType, width: int = 1) -> list[bytes | None]:
    """Cut a whole collection apart; a map's elements have two parts each."""
    if len(data) < 4:
        raise DecodeError(f"expected {kind.name} of at least 4 bytes, got {len(data)}")
    parts, offset = cut_cells(data, 4, _LENGTH.unpack_from(data)[0] * width)
    if offset != len(data):
        raise DecodeError(f"expected {kind.name} of {offset} bytes, got {len(data)}")
    return parts


def _decode_all(codec: Codec, parts: Iterable[bytes | None], what: str) -> list[Any]:
    """Read every part.

    :raises DecodeError: naming the first that is bad by ``what`` and its place, from 1.
    """
    values: list[Any] = []
    append = values.append
    decode = codec.decode
    try:
        for part in parts:
            append(decode(part))
    except DecodeError as error:
        raise DecodeError(f"{what} {len(values) + 1}: {error}") from None
    return values


def _encode_all(codec: Codec, values: Iterable[Any], what: str, *, nullable: bool = False) -> list[bytes]:
    """Write every value as [bytes], its length first.

    :raises EncodeError: naming the first that is bad by ``what`` and its place, from 1.
    """
    cells: list[bytes] = []
    encode = codec.encode
    pack = _LENGTH.pack
    try:
        for value in values:
            if value is None and not nullable:
                raise EncodeError(f"expected {codec.name}, got None, and null is not allowed here")
            data = encode(value)
            cells.append(_NULL if data is None else pack(len(data)) + data)
    except EncodeError as error:
        raise EncodeError(f"{what} {len(cells) + 1}: {error}") from None
    return cells


def _is_series(value: object) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, (str, bytes, bytearray, memoryview))


def fixed_elements(codec: Codec) -> Callable[[bytes, int, int], Sequence[Any] | None] | None:
    """Make the fast reader of a list of fixed-size elements, one ``struct`` for all of them.

    :returns: a function of the data, the list's offset and its end, which gives what
        ``struct`` makes of the elements, and ``None`` for everything unusual: nulls,
        other sizes, too many or too few bytes. ``None`` if the elements' size varies.
    """
    kind = unwrap(codec)
    return _fixed_reader(kind.format, kind.size) if is_fused(kind) else None


@cache
def _fixed_reader(code: str, size: int) -> Callable[[bytes, int, int], Sequence[Any] | None]:
    """The reader for one ``struct`` code; all lists of such elements share it."""
    pair = struct.Struct(f">i{code}")
    plans: dict[int, tuple[Callable[..., tuple[Any, ...]], int, tuple[int, ...]]] = {}

    def read(data: bytes, start: int, end: int) -> Sequence[Any] | None:
        plan = plans.get(end - start)
        if plan is None:
            count, rest = divmod(end - start - 4, pair.size)
            if rest or count < 0:
                return None
            if count > _MOST_PLANNED:
                values = [
                    value for length, value in pair.iter_unpack(data[start + 4 : end]) if length == size
                ]
                return values if _LENGTH.unpack_from(data, start)[0] == count == len(values) else None
            whole = struct.Struct(">i" + f"i{code}" * count)
            plan = plans[end - start] = whole.unpack_from, count, (size,) * count
        unpack, count, sizes = plan
        raw = unpack(data, start)
        return raw[2::2] if raw[0] == count and raw[1::2] == sizes else None

    return read


class _ElementsType(CQLType):
    """list and set.

    :ivar element: the type of the elements.
    """

    __slots__ = ("_codec", "_convert", "_fixed", "element")
    _title: ClassVar[str]

    def __init__(self, element: Codec, codec: Codec) -> None:
        self.element = element
        self._codec = codec
        self._fixed = fixed_elements(codec)
        self._convert = getattr(codec, "convert", None)

    @property
    def name(self) -> str:  # type: ignore[override]
        # Not kept: each type of a deeply nested one would hold the names of all inside.
        return f"{self._title}<{self.element.name}>"

    def identity(self) -> tuple[object, ...]:
        return (self.element,)

    def decode(self, data: bytes | None) -> Any:
        return None if data is None else self.read(data)

    def _elements(self, data: bytes) -> Sequence[Any]:
        if self._fixed is not None:
            raw = self._fixed(data, 0, len(data))
            if raw is not None:
                return raw if self._convert is None else [*map(self._convert, raw)]
        return _decode_all(self._codec, _collection(data, self), "element")


class ListType(_ElementsType):
    """list: any sequence; elements may be null, which the server takes in frozen lists only.

    :param hashed: whether it is read as a tuple of hashable elements.
    """

    __slots__ = ("hashed",)
    _title = "list"

    def __init__(self, element: Codec, *, hashed: bool = False) -> None:
        super().__init__(element, hashable(element) if hashed else element)
        self.hashed = hashed

    def hashable(self) -> CQLType:
        return ListType(self.element, hashed=True)

    def write(self, value: Any) -> bytes:
        if not _is_series(value):
            self.refuse(value)
        cells = _encode_all(self.element, value, "element", nullable=True)
        return _LENGTH.pack(len(cells)) + b"".join(cells)

    def read(self, data: bytes) -> Any:
        elements = self._elements(data)
        return tuple(elements) if self.hashed else list(elements)


class SetType(_ElementsType):
    """set: any set or sequence, without nulls; the server sorts it and drops doubles.

    :param hashed: whether it is read as a frozenset.
    :param codec: the hashable form of the elements' type, if it is there already.
    """

    __slots__ = ("hashed",)
    _title = "set"

    def __init__(self, element: Codec, *, hashed: bool = False, codec: Codec | None = None) -> None:
        super().__init__(element, hashable(element) if codec is None else codec)
        self.hashed = hashed

    def hashable(self) -> CQLType:
        return SetType(self.element, hashed=True, codec=self._codec)

    def write(self, value: Any) -> bytes:
        if not isinstance(value, Set) and not _is_series(value):
            self.refuse(value)
        cells = _encode_all(self.element, value, "element")
        return _LENGTH.pack(len(cells)) + b"".join(cells)

    def read(self, data: bytes) -> Any:
        elements = self._elements(data)
        check_hashes(self, elements)
        made: Set[Any] = frozenset(elements) if self.hashed else set(elements)
        if len(made) != len(elements):
            _check_merged(self, _collection(data, self), len(made))
        return made


def _check_merged(kind: CQLType, parts: Sequence[bytes | None], held: int) -> None:
    """See whether different bytes became equal Python values, as 0.0 and -0.0 do.

    :raises DecodeError: if so, as one of them would be lost.
    """
    if len(set(parts)) != held:
        raise DecodeError(f"expected {kind.name}, got different elements that are equal in Python")


class MapType(CQLType):
    """map: any mapping, or pairs of key and value, without nulls.

    :ivar key: the type of the keys.
    :ivar value: the type of the values.
    :param hashed: whether it is read as a tuple of pairs, in the server's order.
    :param key_codec: the hashable form of the keys' type, if it is there already.
    """

    __slots__ = ("_key", "_value", "hashed", "key", "value")

    def __init__(
        self, key: Codec, value: Codec, *, hashed: bool = False, key_codec: Codec | None = None
    ) -> None:
        self.key = key
        self.value = value
        self.hashed = hashed
        self._key = hashable(key) if key_codec is None else key_codec
        self._value = hashable(value) if hashed else value

    @property
    def name(self) -> str:  # type: ignore[override]
        return f"map<{self.key.name}, {self.value.name}>"

    def hashable(self) -> CQLType:
        return MapType(self.key, self.value, hashed=True, key_codec=self._key)

    def identity(self) -> tuple[object, ...]:
        return self.key, self.value

    def decode(self, data: bytes | None) -> Any:
        return None if data is None else self.read(data)

    def write(self, value: Any) -> bytes:
        if isinstance(value, Mapping):
            keys, values = list(value.keys()), list(value.values())
        elif _is_series(value) and all(isinstance(pair, tuple) and len(pair) == 2 for pair in value):
            keys, values = [pair[0] for pair in value], [pair[1] for pair in value]
        else:
            self.refuse(value)
        cells = zip(_encode_all(self.key, keys, "key"), _encode_all(self.value, values, "value"), strict=True)
        return _LENGTH.pack(len(keys)) + b"".join(chain.from_iterable(cells))

    def read(self, data: bytes) -> Any:
        parts = _collection(data, self, 2)
        keys = _decode_all(self._key, parts[::2], "key")
        pairs = zip(keys, _decode_all(self._value, parts[1::2], "value"), strict=True)
        if self.hashed:
            return tuple(pairs)
        check_hashes(self, keys)
        made = dict(pairs)
        if len(made) != len(keys):
            _check_merged(self, parts[::2], len(made))
        return made


class VectorType(CQLType):
    """vector: a sequence, or a one-dimensional buffer such as numpy's arrays, of exactly so many elements.

    :ivar element: the type of the elements.
    :ivar dimension: their number.
    :param hashed: whether it is read as a tuple, not a list.
    :raises ValueError: if the dimension is not in 1..2**31-1.
    """

    __slots__ = ("_codec", "_exact", "_struct", "bare", "dimension", "element", "hashed", "size")

    def __init__(self, element: Codec, dimension: int, *, hashed: bool = False) -> None:
        if not 0 < dimension < 1 << 31:
            raise ValueError(f"a vector has 1..{(1 << 31) - 1} elements, not {dimension}")
        self.element = element
        self.dimension = dimension
        self.hashed = hashed
        self.bare = bool(getattr(element, "bare", False))
        self.size = element.size * dimension if self.bare else None
        self._codec = hashable(element) if hashed else element
        code = getattr(element, "format", None)
        # One struct for all elements; "16s" cannot be repeated, and a vector has no code.
        self._struct = struct.Struct(f">{dimension}{code}") if self.bare and code in _CODES else None
        self._exact = (
            _CODES[code] if isinstance(element, (DoubleType, IntegerType)) and self._struct else None
        )

    @property
    def name(self) -> str:  # type: ignore[override]
        return f"vector<{self.element.name}, {self.dimension}>"

    def hashable(self) -> CQLType:
        return VectorType(self.element, self.dimension, hashed=True)

    def identity(self) -> tuple[object, ...]:
        return self.element, self.dimension

    def write(self, value: Any) -> bytes:
        values = value if _is_series(value) else self._from_buffer(value)
        if len(values) != self.dimension:
            raise EncodeError(f"expected {self.name} of {self.dimension} elements, got {len(values)}")
        if self._exact is not None and self._struct is not None and set(map(type, values)) == {self._exact}:
            with suppress(OverflowError, struct.error):
                return self._struct.pack(*values)
        parts = []
        for index, element in enumerate(values):
            try:
                if element is None or (self.bare and element is EMPTY):
                    raise EncodeError(
                        f"expected {self.element.name}, got {element}, which a vector cannot hold"
                    )
                parts.append(self.element.encode(element))
            except EncodeError as error:
                raise EncodeError(f"element {index + 1}: {error}") from None
        if self.bare:
            return b"".join(parts)
        return b"".join(chain.from_iterable((encode_unsigned_vint(len(part)), part) for part in parts))

    def _from_buffer(self, value: Any) -> Sequence[Any]:
        if isinstance(value, (bytes, bytearray)):
            self.refuse(value)
        try:
            view = memoryview(value)
        except (TypeError, ValueError):
            self.refuse(value)
        if view.ndim != 1 or view.format[-1:] not in _NUMBERS or len(view.format) > 2:
            self.refuse(value)
        # memoryview.tolist() knows no format with a byte order.
        order, code = view.format[:-1], view.format[-1]
        try:
            return struct.unpack(f"{order}{len(view)}{code}", view.tobytes())
        except struct.error:
            self.refuse(value)

    def read(self, data: bytes) -> Any:
        if not self.bare:
            elements = self._read_variable(data)
        elif len(data) != self.size:
            self.wrong_size(data)
        elif self._struct is not None:
            raw = self._struct.unpack(data)
            elements = list(raw) if self._codec.convert is None else [*map(self._codec.convert, raw)]
        else:
            width = self._codec.size
            elements = [self._codec.read(data[at : at + width]) for at in range(0, len(data), width)]
        return tuple(elements) if self.hashed else elements

    def _read_variable(self, data: bytes) -> list[Any]:
        offset, end = 0, len(data)
        if self.dimension > end:
            raise DecodeError(f"expected {self.name} of at least {self.dimension} bytes, got {end}")
        parts = []
        for index in range(self.dimension):
            length, offset = decode_unsigned_vint(data, offset)
            if length > end - offset:
                raise DecodeError(f"expected {length} bytes in element {index + 1}, got {end - offset}")
            parts.append(data[offset : offset + length])
            offset += length
        if offset != end:
            raise DecodeError(f"expected {self.name} of {offset} bytes, got {end}")
        return _decode_all(self._codec, parts, "element")


class _Wrapper(CQLType):
    """A type with the bytes of another one.

    :ivar inner: that one.
    """

    __slots__ = ("bare", "convert", "format", "inner", "size")

    def __init__(self, inner: Codec) -> None:
        self.inner = inner
        self.format = getattr(inner, "format", None)
        self.size = getattr(inner, "size", None)
        self.bare = getattr(inner, "bare", False)
        self.convert = getattr(inner, "convert", None)

    def identity(self) -> tuple[object, ...]:
        return (self.inner,)

    def encode(self, value: Any) -> bytes | None:
        data: bytes | None = self.inner.encode(value)
        return data

    def decode(self, data: bytes | None) -> Any:
        return self.inner.decode(data)

    def write(self, value: Any) -> bytes:
        data: bytes = self.inner.write(value)
        return data

    def read(self, data: bytes) -> Any:
        return self.inner.read(data)


class FrozenType(_Wrapper):
    """frozen: a type whose values are written as a whole."""

    __slots__ = ()

    @property
    def name(self) -> str:  # type: ignore[override]
        return f"frozen<{self.inner.name}>"

    def hashable(self) -> CQLType:
        return FrozenType(hashable(self.inner))


class ReversedType(_Wrapper):
    """A clustering column in descending order: in CQL it is of the inner type."""

    __slots__ = ()

    @property
    def name(self) -> str:  # type: ignore[override]
        name: str = self.inner.name
        return name

    def hashable(self) -> CQLType:
        return ReversedType(hashable(self.inner))
