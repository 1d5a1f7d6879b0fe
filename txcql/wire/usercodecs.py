"""Codecs and classes of the user's, put into the types of columns and parameters.

That happens once for the metadata of a statement, so that values cost nothing more
where there are none, and so that they work inside collections, tuples and UDTs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from txcql.errors import DecodeError, EncodeError
from txcql.wire.collectiontypes import (
    FrozenType,
    ListType,
    MapType,
    ReversedType,
    SetType,
    VectorType,
    unwrap,
)
from txcql.wire.cqltypes import Codec, CQLType, describe
from txcql.wire.fieldtypes import TupleType, UDTType
from txcql.wire.metadata import Column
from txcql.wire.records import attribute_names, keywords_for
from txcql.wire.typeparser import parse_type
from txcql.wire.values import EMPTY

__all__ = ["CodecRegistry", "RecordUDT", "UserType", "bare_type", "plain_type", "with_parts"]

_NAME = r'(?:"((?:[^"]|"")+)"|([A-Za-z_]\w*))'
_QUALIFIED = re.compile(rf"\s*{_NAME}\s*\.\s*{_NAME}\s*", re.ASCII)


def with_parts(codec: Codec, change: Callable[[Codec], Codec]) -> Codec:
    """Change the types that a type is made of; where none changes, it is itself."""
    if isinstance(codec, (ListType, SetType)):
        element = change(codec.element)
        return codec if element is codec.element else type(codec)(element)
    if isinstance(codec, MapType):
        key, value = change(codec.key), change(codec.value)
        return codec if key is codec.key and value is codec.value else MapType(key, value)
    if isinstance(codec, VectorType):
        element = change(codec.element)
        return codec if element is codec.element else VectorType(element, codec.dimension)
    if isinstance(codec, (FrozenType, ReversedType)):
        inner = change(codec.inner)
        return codec if inner is codec.inner else type(codec)(inner)
    if isinstance(codec, (TupleType, UDTType)):
        types = [change(part) for part in codec.types]
        same = all(new is old for new, old in zip(types, codec.types, strict=True))
        return codec if same else codec.with_types(types)
    return codec


def plain_type(codec: Codec) -> Codec:
    """Give a type without what the user has put into it: the reverse of a :class:`CodecRegistry`."""
    if isinstance(codec, UserType):
        return plain_type(codec.inner)
    if isinstance(codec, RecordUDT):
        codec = UDTType(codec.keyspace, codec.type_name, codec.fields())
    return with_parts(codec, plain_type)


def bare_type(codec: Codec) -> Codec:
    """Give a type without ``frozen`` and ``reversed``, which the protocol does not always show."""
    return with_parts(unwrap(codec), bare_type)


def _ask(codec: Any, value: object, kind: Codec) -> bytes | None:
    """Let a codec of the user's encode a value.

    :raises EncodeError: if it fails, or gives no bytes, or too many or too few.
    """
    what = f"expected {kind.name}, got {describe(value)}"
    try:
        data = codec.encode(value)
    except EncodeError:
        raise
    except Exception as error:
        raise EncodeError(f"{what}, which its codec refuses: {error!r}") from error
    if data is None:
        return None
    if not isinstance(data, bytes):
        raise EncodeError(f"{what}, whose codec gave {describe(data)}, and not bytes")
    if kind.size is not None and len(data) not in (0, kind.size):
        raise EncodeError(f"{what}, whose codec gave {len(data)} bytes, and not {kind.size}")
    return data


class UserType(CQLType):
    """A type whose values a codec of the user's makes.

    :param inner: the type in whose place it stands.
    :param codec: anything that has ``encode(value)``, which gives bytes or ``None``, and
        ``decode(data)``, which takes them.
    """

    __slots__ = ("_decode", "bare", "codec", "inner", "size")

    def __init__(self, inner: Codec, codec: Any) -> None:
        self.inner = inner
        self.codec = codec
        self.size = inner.size
        self.bare = inner.bare
        self._decode = codec.decode

    @property
    def name(self) -> str:  # type: ignore[override]
        name: str = self.inner.name
        return name

    def identity(self) -> tuple[object, ...]:
        return self.inner, self.codec

    def encode(self, value: Any) -> bytes | None:
        return b"" if value is EMPTY else _ask(self.codec, value, self.inner)

    def write(self, value: Any) -> bytes:
        data = self.encode(value)
        return self.refuse(value) if data is None else data

    def decode(self, data: bytes | None) -> Any:
        try:
            return self._decode(data)
        except DecodeError:
            raise
        except Exception as error:
            raise DecodeError(f"the codec of {self.name} failed: {error!r}") from error

    def read(self, data: bytes) -> Any:
        return self.decode(data)


class _ByClass(CQLType):
    """A parameter's type that looks first whether the value's class has a codec of its own.

    :param codecs: by class: the codec, and the type that it says it writes.
    """

    __slots__ = ("_codecs", "bare", "inner", "size")

    def __init__(self, inner: Codec, codecs: Mapping[type, tuple[Any, Codec | None]]) -> None:
        self.inner = inner
        self.size = inner.size
        self.bare = inner.bare
        self._codecs = codecs

    @property
    def name(self) -> str:  # type: ignore[override]
        name: str = self.inner.name
        return name

    def identity(self) -> tuple[object, ...]:
        return (self.inner,)

    def encode(self, value: Any) -> bytes | None:
        for kind in type(value).__mro__:
            found = self._codecs.get(kind)
            if found is not None:
                return self._with(*found, value)
        data: bytes | None = self.inner.encode(value)
        return data

    def write(self, value: Any) -> bytes:
        data = self.encode(value)
        return self.refuse(value) if data is None else data

    def decode(self, data: bytes | None) -> Any:
        return self.inner.decode(data)

    def read(self, data: bytes) -> Any:
        return self.inner.read(data)

    def _with(self, codec: Any, meant: Codec | None, value: object) -> bytes | None:
        # The codec does not know what type the parameter is of, so what it gives is looked at.
        kind = plain_type(self.inner)
        what = f"expected {self.name}, got {describe(value)}"
        if meant is not None and meant != bare_type(kind):
            raise EncodeError(f"{what}, which its codec writes as {meant}")
        data = _ask(codec, value, kind)
        try:
            kind.decode(data)
        except DecodeError as error:
            raise EncodeError(f"{what}, whose codec wrote something else: {error}") from None
        return data


class RecordUDT(UDTType):
    """A UDT whose values are instances of a registered class.

    :param udt: the type.
    :param kind: the class: a dataclass, an attrs class, a named tuple, or any that takes keywords
        and has attributes of the same names.
    :raises TypeError: if it cannot be made of the type's fields.
    """

    __slots__ = ("_attributes", "_keywords", "kind")

    def __init__(self, udt: UDTType, kind: type, *, hashed: bool = False) -> None:
        super().__init__(udt.keyspace, udt.type_name, udt.fields(), hashed=hashed)
        self.kind = kind
        self._keywords = keywords_for(kind, self.field_names, "field")
        self._attributes = attribute_names(kind, self._keywords)

    def hashable(self) -> CQLType:
        return RecordUDT(self, self.kind, hashed=True)

    def with_types(self, types: Sequence[Codec]) -> UDTType:
        return RecordUDT(super().with_types(types), self.kind)

    def identity(self) -> tuple[object, ...]:
        return (*super().identity(), self.kind)

    def write(self, value: Any) -> bytes:
        if isinstance(value, self.kind):
            value = tuple([getattr(value, name) for name in self._attributes])
        return super().write(value)

    def read(self, data: bytes) -> Any:
        values = self._read_fields(data)
        try:
            return self.kind(**dict(zip(self._keywords, values, strict=True)))
        except Exception as error:
            raise DecodeError(
                f"{self.kind.__qualname__} refused the fields of {self.name}: {error!r}"
            ) from error


class CodecRegistry:
    """What the user has registered for CQL types and for classes.

    :param codecs: by CQL type, such as ``"text"``, ``"frozen<list<int>>"`` or ``"keyspace.udt"``: an
        :class:`~txcql.interfaces.ICodec`; for a UDT also a class. By Python class: the codec of
        its instances, for parameters of every type.
    :raises TypeError: a key or a codec that is none.
    :raises ValueError: a name that is no type.
    """

    def __init__(self, codecs: Mapping[Any, Any] | None = None) -> None:
        self._types: dict[Codec, Any] = {}
        self._udts: dict[tuple[str, str], Any] = {}
        self._classes: dict[type, tuple[Any, Codec | None]] = {}
        for key, codec in (codecs or {}).items():
            if isinstance(key, type):
                meant = getattr(codec, "cql_type", None)
                kind = None if meant is None else bare_type(_parsed(meant))
                self._classes[key] = _codec(key.__qualname__, codec, "encode"), kind
            elif isinstance(key, str):
                self._add(key, codec)
            else:
                raise TypeError(f"codecs are for names of CQL types and for classes, not for {key!r}")

    def _add(self, name: str, codec: Any) -> None:
        match = _QUALIFIED.fullmatch(name)
        if match is None:
            self._types[bare_type(_parsed(name))] = _codec(name, codec, "encode", "decode")
            return
        keyspace, udt = (
            quoted.replace('""', '"') if quoted else plain.lower()
            for quoted, plain in (match.group(1, 2), match.group(3, 4))
        )
        is_record = isinstance(codec, type) and not hasattr(codec, "decode")
        self._udts[keyspace, udt] = codec if is_record else _codec(name, codec, "encode", "decode")

    def __bool__(self) -> bool:
        return bool(self._types or self._udts or self._classes)

    def columns(self, columns: Sequence[Column]) -> tuple[Column, ...]:
        """Put the codecs into the columns of a result.

        :raises TypeError: if a class that is registered for a UDT cannot be made of its fields.
        """
        if not self._types and not self._udts:
            return tuple(columns)
        return tuple(column._replace(type=self._registered(column.type)) for column in columns)

    def parameters(self, columns: Sequence[Column]) -> tuple[Column, ...]:
        """Put the codecs into the parameters of a statement.

        :raises TypeError: as in :meth:`columns`.
        """
        columns = self.columns(columns)
        if not self._classes:
            return columns
        return tuple(column._replace(type=self._by_class(column.type)) for column in columns)

    def _registered(self, codec: Codec) -> Codec:
        if isinstance(codec, (FrozenType, ReversedType)):
            return with_parts(codec, self._registered)
        found = self._types.get(bare_type(codec))
        if found is None and isinstance(codec, UDTType):
            found = self._udts.get((codec.keyspace, codec.type_name))
            if found is not None and not hasattr(found, "decode"):
                return RecordUDT(with_parts(codec, self._registered), found)
        return with_parts(codec, self._registered) if found is None else UserType(codec, found)

    def _by_class(self, codec: Codec) -> Codec:
        changed = with_parts(codec, self._by_class)
        return changed if isinstance(codec, (FrozenType, ReversedType)) else _ByClass(changed, self._classes)


def _codec(name: str, codec: Any, *needed: str) -> Any:
    if not all(callable(getattr(codec, method, None)) for method in needed):
        raise TypeError(f"the codec of {name} must have {' and '.join(needed)}, got {codec!r}")
    return codec


def _parsed(name: str) -> CQLType:
    try:
        return parse_type(name)
    except DecodeError as error:
        raise ValueError(f"codecs: {error} (a UDT is given as keyspace.name)") from None
