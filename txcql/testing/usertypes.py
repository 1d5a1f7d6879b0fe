"""User-defined types, and the types of columns as they are declared."""

from __future__ import annotations

import re
from collections.abc import Mapping

from txcql.errors import DecodeError, InvalidRequest
from txcql.testing.expressions import type_text
from txcql.testing.refusals import unsupported
from txcql.wire.collectiontypes import FrozenType, ListType, MapType, SetType, VectorType, unwrap
from txcql.wire.cqltypes import CQLType
from txcql.wire.fieldtypes import TupleType, UDTType
from txcql.wire.typeparser import parse_type

__all__ = ["declared_type", "uses_type"]

_KNOWN_WORDS = frozenset(("list", "set", "map", "tuple", "vector", "frozen"))


def declared_type(text: str, types: Mapping[str, CQLType], keyspace: str) -> CQLType:
    """The type of a declaration: what is inside a frozen type is frozen too.

    :raises InvalidRequest: it is none, or cannot be declared so.
    """
    if re.match(r'(?i)["a-z0-9_]+\s*\.', text) and not text.lower().startswith(keyspace.lower() + "."):
        raise InvalidRequest(
            f"Statement on keyspace {keyspace} cannot refer to a user type in keyspace "
            f"{text.split('.')[0].strip()}; user types can only be used in the keyspace they are defined in"
        )
    try:
        found = parse_type(text, types)
    except DecodeError:
        for word in re.findall(r'[a-z_][a-z0-9_]*|"[^"]+"', text.lower()):
            if word not in _KNOWN_WORDS and not _parses(word, types):
                raise InvalidRequest(f"Unknown type {keyspace}.{word.strip(chr(34))}") from None
        raise unsupported(f"the type {text}") from None
    return _checked(found)


def _parses(word: str, types: Mapping[str, CQLType]) -> bool:
    try:
        parse_type(word, types)
    except DecodeError:
        return False
    return True


def _checked(cqltype: CQLType) -> CQLType:
    if isinstance(cqltype, FrozenType):
        return FrozenType(_frozen_inside(cqltype.inner))
    if isinstance(cqltype, (ListType, SetType, MapType)):
        parts = [cqltype.key, cqltype.value] if isinstance(cqltype, MapType) else [cqltype.element]
        for part in parts:
            if isinstance(part, (ListType, SetType, MapType)):
                raise InvalidRequest(
                    f"Non-frozen collections are not allowed inside collections: {type_text(cqltype)}"
                )
            if isinstance(part, UDTType):
                raise InvalidRequest(
                    f"Non-frozen UDTs are not allowed inside collections: {type_text(cqltype)}"
                )
            if part.name == "counter":
                raise InvalidRequest(f"Counters are not allowed inside collections: {type_text(cqltype)}")
        if isinstance(cqltype, SetType) and cqltype.element.name == "duration":
            raise InvalidRequest(f"Durations are not allowed inside sets: {type_text(cqltype)}")
        if isinstance(cqltype, MapType) and cqltype.key.name == "duration":
            raise InvalidRequest(f"Durations are not allowed as map keys: {type_text(cqltype)}")
        return _with_parts(cqltype)
    if isinstance(cqltype, (TupleType, VectorType)):
        return _frozen_inside(cqltype)
    return cqltype


def _with_parts(cqltype: CQLType) -> CQLType:
    if isinstance(cqltype, MapType):
        return MapType(_checked(cqltype.key), _checked(cqltype.value))
    return type(cqltype)(_checked(cqltype.element))  # type: ignore[attr-defined, call-arg]


def _frozen_inside(cqltype: CQLType) -> CQLType:
    """A type all of whose parts are frozen."""

    def frozen(part: CQLType) -> CQLType:
        inner = unwrap(part)
        made = _frozen_inside(inner)
        return (
            FrozenType(made) if isinstance(inner, (ListType, SetType, MapType, UDTType, TupleType)) else made
        )

    if isinstance(cqltype, (ListType, SetType)):
        return type(cqltype)(frozen(cqltype.element))
    if isinstance(cqltype, MapType):
        return MapType(frozen(cqltype.key), frozen(cqltype.value))
    if isinstance(cqltype, TupleType):
        return TupleType([frozen(part) for part in cqltype.types])
    if isinstance(cqltype, VectorType):
        return VectorType(frozen(cqltype.element), cqltype.dimension)
    return cqltype


def uses_type(cqltype: CQLType, name: str) -> bool:
    """Whether a type is, or has in it, the user-defined type of a name."""
    kind = unwrap(cqltype)
    if isinstance(kind, UDTType):
        return kind.type_name == name or any(uses_type(part, name) for part in kind.types)
    if isinstance(kind, TupleType):
        return any(uses_type(part, name) for part in kind.types)
    if isinstance(kind, MapType):
        return uses_type(kind.key, name) or uses_type(kind.value, name)
    if isinstance(kind, (ListType, SetType, VectorType)):
        return uses_type(kind.element, name)
    return False
